# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times of a GBLR layer on a GPU, compiled by us, beside the dense layer of cuBLAS.

    PYTHONPATH=python python benchmarks/cuda/gblr_layers.py -o build/gblr-layers

compiles a layer of 4096 × 4096 whose components structured-factorize found, and
one of low rank (no interval, nothing to pad) with as many multiply-adds, runs
both and the dense product by turns in one process, and prints a table. With
--compile-only and --run-only as blast_layers.py.

The layout (layouts/minilm-tiles-4096.json: rows from, rows, columns from,
columns, rank) comes from

    … gblr_layers.py --find path/to/all-MiniLM-L6-v2/model.safetensors

A model with a trained matrix of this size was not at hand. So the matrix is put
together from 144 tiles of 384 × 384 of all-MiniLM-L6-v2, the linear layers and a
part of the word embeddings in a random order, less 160 rows and columns, so that
no tile begins at a multiple of 64. GBLR takes a quarter of its numbers
(gblr-min-component=2048); the relative error is 0.69.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from blast_layers import TOLERANCE, measure, replay
from structured.files import write_json, write_text
from structured.report import table
from structured.tools import find_tool

LAYOUT = Path(__file__).parent / "layouts/minilm-tiles-4096.json"
SIZE, TILE, OFFSET = 4096, 384, 160
#: Sets of inputs and copies of the weights: more than fits the L2 cache.
SETS = 3


def tiled_matrix(model: Path) -> np.ndarray:
    """The matrix of the description, f32."""
    from safetensors import safe_open
    count = -(-(SIZE + OFFSET) // TILE)
    tiles = []
    with safe_open(model, "np") as file:
        names = sorted(file.keys())
        for name in names:
            if re.fullmatch(r".*encoder\.layer\.\d+\..*(query|key|value|dense)\.weight", name):
                weight = file.get_tensor(name).astype(np.float32)
                tiles += [weight[i:i + TILE, j:j + TILE] for i in range(0, weight.shape[0], TILE)
                          for j in range(0, weight.shape[1], TILE)]
        words = file.get_slice(next(name for name in names
                                    if name.endswith("word_embeddings.weight")))
        for first in range(2000, 2000 + TILE * (count * count - len(tiles)), TILE):
            tiles.append(words[first:first + TILE].astype(np.float32))
    order = np.random.default_rng(0).permutation(len(tiles)).reshape(count, count)
    full = np.block([[tiles[index] for index in row] for row in order])
    return full[OFFSET:OFFSET + SIZE, OFFSET:OFFSET + SIZE].copy()


def find(model: Path, directory: Path) -> None:
    """Runs the finder; writes LAYOUT."""
    from safetensors.numpy import load_file, save_file
    save_file({"fc.weight": tiled_matrix(model)}, directory / "matrix.safetensors")
    x = f"tensor<1x{SIZE}xf32>"
    write_text(directory / "find.mlir", f"""func.func @main(%x: {x}, %y0: {x}) -> {x} {{
  %w = structured.parameter "fc.weight" : tensor<{SIZE}x{SIZE}xf32>
  %y = structured.linear {{layer = "fc", plan = #structured.plan<gblr, budget = {SIZE * SIZE // 4}>}}
      ins(%x, %w : {x}, tensor<{SIZE}x{SIZE}xf32>) outs(%y0 : {x}) -> {x}
  return %y : {x}
}}
""")
    factors = directory / "factors.safetensors"
    subprocess.run([find_tool("structured-opt"), directory / "find.mlir", "-o",
                    directory / "found.mlir", "--structured-factorize=weights="
                    f"{directory / 'matrix.safetensors'} output={factors} "
                    "gblr-min-component=2048 progress=1"], check=True)
    components = load_file(factors)["fc.gblr.components"].tolist()
    write_text(LAYOUT, f'{{"out": {SIZE}, "in": {SIZE}, "components": [\n'
               + ",\n".join(map(json.dumps, components)) + "\n]}\n")


def make_cells(options: argparse.Namespace) -> list[dict]:
    found = json.loads(LAYOUT.read_text())
    m, n = found["out"], found["in"]
    rank = sum(k * (h + w) for _, h, _, w, k in found["components"]) // (m + n)
    layouts = {"found": found["components"], "low-rank": [[0, m, 0, n, rank]]}
    return [{"name": f"T{tokens}-{kind}", "T": tokens, "m": m, "n": n, "components": components}
            for tokens in options.tokens for kind, components in layouts.items()]


def factors(cell: dict) -> dict[str, np.ndarray]:
    """U and V as they are packed, bf16."""
    import ml_dtypes
    generator = np.random.default_rng(1)
    sizes = {"U": sum(k * h for _, h, _, _, k in cell["components"]),
             "V": sum(k * w for _, _, _, w, k in cell["components"])}
    return {name: (0.05 * generator.standard_normal(size, np.float32)).astype(ml_dtypes.bfloat16)
            for name, size in sizes.items()}


def compile_cell(cell: dict, directory: Path) -> None:
    from safetensors.numpy import save_file
    weights = factors(cell)
    x, y = (f"tensor<{cell['T']}x{size}xbf16>" for size in (cell["n"], cell["m"]))
    u, v = (f"tensor<{weights[name].size}xbf16>" for name in "UV")
    layout = ", ".join(f"<rows {r} + {h}, cols {c} + {w}, rank {k}>"
                       for r, h, c, w, k in cell["components"])
    source = directory / f"{cell['name']}.mlir"
    write_text(source, f"""func.func @main(%x: {x} {{structured.name = "x"}}) -> {y} {{
  %u = structured.parameter "U" : {u}
  %v = structured.parameter "V" : {v}
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : {y}
  %y0 = linalg.fill ins(%zero : bf16) outs(%empty : {y}) -> {y}
  %y = structured.gblr.matmul
      layout = <out = {cell['m']}, in = {cell['n']}, components = [{layout}]>
      ins(%x, %u, %v : {x}, {u}, {v}) outs(%y0 : {y}) -> {y}
  return %y : {y}
}}
""")
    stored = source.with_suffix(".in.safetensors")
    save_file(weights, stored)
    subprocess.run([find_tool("structured-compile"), source, "--target=cuda", "--weights", stored,
                    "-o", source.with_suffix(".so")], check=True)
    stored.unlink()


def multiply_adds(cell: dict) -> int:
    return sum(k * (h + w) for _, h, _, w, k in cell["components"])


def reference(cell: dict, x):
    """The float32 product of the same factors, Y rounded to bf16."""
    import torch
    weights = {name: torch.from_numpy(value.astype(np.float32)).cuda()
               for name, value in factors(cell).items()}
    m, n = cell["m"], cell["n"]
    ranks = sum(k for *_, k in cell["components"])
    u, v = torch.zeros(m, ranks, device="cuda"), torch.zeros(n, ranks, device="cuda")
    in_u = in_v = rank = 0
    for row, rows, col, cols, count in cell["components"]:
        at_rows = (torch.arange(rows, device="cuda") + row) % m
        at_cols = (torch.arange(cols, device="cuda") + col) % n
        for _ in range(count):
            u[at_rows, rank] = weights["U"][in_u:in_u + rows]
            v[at_cols, rank] = weights["V"][in_v:in_v + cols]
            in_u, in_v, rank = in_u + rows, in_v + cols, rank + 1
    return (x.float() @ v).bfloat16().float() @ u.T


def run_cells(cells: list[dict], options: argparse.Namespace) -> list[dict]:
    import torch
    from structured import runtime
    generator = torch.Generator("cuda").manual_seed(0)
    normal = lambda *shape: torch.randn(shape, generator=generator, device="cuda")
    calls = {}
    for cell in cells:
        stream, graphs, modules = torch.cuda.Stream(), [], []
        for _ in range(SETS):
            module = runtime.Module.load(options.out / f"{cell['name']}.so")
            x = normal(cell["T"], cell["n"]).bfloat16()
            result, = module.run_on_stream(x, stream=stream.cuda_stream)
            stream.synchronize()
            expected = reference(cell, x)
            error = (torch.from_dlpack(result).float() - expected).norm() / expected.norm()
            if not error.item() < TOLERANCE:
                raise SystemExit(f"{cell['name']}: error {error.item():.2e}")
            cell["error"] = error.item()
            graphs.append(module.capture(x))
            modules.append((module, x))
        cell["modules"] = modules  # as long as their graphs run
        calls[cell["name"]] = (stream, lambda i, graphs=graphs, stream=stream:
                               graphs[i].launch(stream=stream.cuda_stream), SETS)
        dense = f"T{cell['T']}-dense"
        if dense not in calls:
            xs = [normal(cell["T"], cell["n"]).bfloat16() for _ in range(SETS)]
            ws = [(normal(cell["m"], cell["n"]) / cell["n"] ** 0.5).bfloat16()
                  for _ in range(SETS)]
            ys = [x.new_empty(cell["T"], cell["m"]) for x in xs]
            calls[dense] = (stream, replay(lambda i, xs=xs, ws=ws, ys=ys: torch.mm(
                xs[i], ws[i].T, out=ys[i]), SETS, stream), SETS)
    times = measure(calls, options.repeat)
    records = []
    for cell in cells:
        seconds, dense = times[cell["name"]], times[f"T{cell['T']}-dense"]
        records.append({"name": cell["name"], "T": cell["T"], "error": cell["error"],
                        "share": multiply_adds(cell) / (cell["m"] * cell["n"]),
                        "us": seconds * 1e6, "dense_us": dense * 1e6})
    return records


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("build/gblr-layers"))
    parser.add_argument("--tokens", type=int, nargs="+", default=[4096])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--find", type=Path, metavar="MODEL", help="find the layout again")
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--run-only", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.find:
        find(options.find, options.out)
        return 0
    cells = make_cells(options)
    if not options.run_only:
        for cell in cells:
            compile_cell(cell, options.out)
    if options.compile_only:
        return 0
    records = run_cells(cells, options)
    write_json(options.out / "results.json", records)
    rows = [[r["name"], f"{r['share']:.2f}", f"{r['us']:.1f}", f"{r['dense_us']:.1f}",
             f"{r['dense_us'] / r['us']:.2f}", f"{r['error']:.1e}"] for r in records]
    text = table(["", "multiply-adds", "µs", "dense, µs", "× dense", "error"], rows) + "\n"
    write_text(options.out / "results.md", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
