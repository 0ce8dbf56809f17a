# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times of BLAST layers on a GPU, compiled by us, beside the dense layer and PyTorch.

    PYTHONPATH=python python benchmarks/cuda/blast_layers.py -o build/cuda-layers

compiles one module for each cell, runs all of them and their rivals by turns in
one process, and prints a table. Without a GPU (or with --compile-only) it only
compiles; the directory can then be taken to a machine that has a GPU, PyTorch
and the runtime but no compiler, and run there with --run-only.

Each call is the replay of a CUDA graph, of one layer or, with --chain, of several,
as in a model: applied in turn if they are square, else all to the same input. With
--siblings so many of them have one input, as q, k and v have. Times are per layer. Weights, inputs and outputs are
rotated among as many sets as make them larger than the L2 cache. Each result is
first compared with the float32 product of the same factors.

Rivals: cuBLAS's dense product of the same sizes (torch.mm); BLAST as three
batched products and sums in PyTorch, eager ("torch") and with --inductor through
torch.compile. With --stream a kernel that only reads as many bytes as BLAST's factors
have (Triton): it asks for what fits its registers before it waits for the kernel in
front of it (programmatic dependent launch), the rest of what is more than that after.
"""

import argparse
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np

from structured.bench import layers as bench
from structured.files import write_json, write_text
from structured.report import table

#: Relative Frobenius error that bf16 factors, Y, Z and results may have.
TOLERANCE = 4e-3
L2_BYTES = 60 << 20


def model(cell: dict) -> str:
    """The IR of a cell's layers."""
    x, y = (f"tensor<{cell['T']}x{cell[size]}xbf16>" for size in "nm")
    results = [f"y{index}" for index in get_results(cell)]
    types = ", ".join(y for _ in results)
    parameters = {name: f"tensor<{'x'.join(map(str, shape))}xbf16>"
                  for name, shape in shapes(cell).items()}
    lines = [f"func.func @main(%x: {x} {{structured.name = \"x\"}}) -> ({types}) {{",
             "  %zero = arith.constant 0.0 : bf16", f"  %empty = tensor.empty() : {y}",
             f"  %init = linalg.fill ins(%zero : bf16) outs(%empty : {y}) -> {y}"]
    lines += [f"  %{name} = structured.parameter \"{name}\" : {shape}"
              for name, shape in parameters.items()]
    op = "linear" if cell["b"] == 0 else "blast.matmul"
    operand = "%x"
    for index in range(cell["chain"]):
        factors = [f"{name}{index}" for name in layer_shapes(cell)]
        operand_types = ", ".join([x, *(parameters[name] for name in factors)])
        operands = ", ".join([operand, *(f"%{name}" for name in factors)])
        lines.append(f"  %y{index} = structured.{op} ins({operands} : {operand_types}) "
                     f"outs(%init : {y}) -> {y}")
        if is_last_sibling(cell, index):
            operand = f"%y{index}"
    names = ", ".join(f"%{name}" for name in results)
    return "\n".join([*lines, f"  return {names} : {types}", "}"]) + "\n"


def is_in_turn(cell: dict) -> bool:
    """Whether a cell's layers are applied to each other's results."""
    return cell["m"] == cell["n"]


def is_last_sibling(cell: dict, index: int) -> bool:
    """Whether the next layer is applied to this one's result."""
    return is_in_turn(cell) and (index + 1) % cell["siblings"] == 0


def get_results(cell: dict) -> range:
    """The layers whose results nothing else uses."""
    is_chain = is_in_turn(cell) and cell["siblings"] == 1
    return range(cell["chain"] - 1 if is_chain else 0, cell["chain"])


def layer_shapes(cell: dict) -> dict[str, tuple[int, ...]]:
    """The factors of one of a cell's layers; b = 0: dense."""
    return bench.Layer(*(cell[key] for key in ("T", "m", "n", "b", "r", "keep"))).shapes


def shapes(cell: dict) -> dict[str, tuple[int, ...]]:
    """The parameters of a cell's module."""
    return {f"{name}{index}": shape for index in range(cell["chain"])
            for name, shape in layer_shapes(cell).items()}


def make_cells(options: argparse.Namespace) -> list[dict]:
    cells = []
    for tokens, (m, n) in itertools.product(options.tokens, options.sizes):
        cells.append({"T": tokens, "m": m, "n": n, "b": 0, "r": 0, "keep": 1.0, "kernel": "auto"})
        cells += [{"T": tokens, "m": m, "n": n, "b": b,
                   "r": bench.Layer.blast(tokens, m, n, b, keep).r, "keep": keep,
                   "kernel": kernel}
                  for keep, b, kernel in itertools.product(options.keep, options.blocks,
                                                           options.kernels)]
    for cell in cells:
        cell["chain"] = options.chain
        cell["siblings"] = options.siblings
        cell["name"] = "T{T}-{m}x{n}-b{b}-r{r}-{chain}-{kernel}".format(**cell)
        if options.siblings > 1:
            cell["name"] += f"-s{options.siblings}"
    return cells


def compile_cells(cells: list[dict], options: argparse.Namespace) -> None:
    from structured.tools import find_tool
    for cell in cells:
        source = options.out / f"{cell['name']}.mlir"
        target = source.with_suffix(".so")
        if target.exists():
            continue
        write_text(source, model(cell))
        weights = source.with_suffix(".in.safetensors")
        bench.write_zeros(weights, shapes(cell))
        subprocess.run([find_tool("structured-compile"), source, "--target=cuda", "--costs=none",
                        f"--blast-kernel={cell['kernel']}", "--weights", weights, "-o", target],
                       check=True)
        weights.unlink()
        # Made again, with numbers in it, where the module runs.
        target.with_suffix(".safetensors").unlink()
        print(target.name, file=sys.stderr)


class Layer:
    """A cell's module with several sets of weights and inputs, on the GPU."""

    def __init__(self, cell: dict, directory: Path, seed: int):
        import torch
        from safetensors.torch import save_file
        from structured import runtime
        self.cell = cell
        size = sum(map(math.prod, shapes(cell).values())) + cell["T"] * (cell["m"] + cell["n"])
        self.sets = []
        generator = torch.Generator("cuda").manual_seed(seed)
        normal = lambda shape, scale=1.0: (torch.randn(
            shape, generator=generator, device="cuda") * scale).to(torch.bfloat16)
        for index in range(min(8, max(2, math.ceil(2 * L2_BYTES / (2 * size))))):
            # Sums over the last dimension, and of S over the second, keep the variance.
            weights = {name: normal(shape, shape[1 if name[0] == "S" else -1] ** -0.5)
                       for name, shape in shapes(cell).items()}
            path = directory / f"{cell['name']}.{index}.safetensors"
            save_file({name: value.cpu() for name, value in weights.items()}, path)
            module = runtime.Module.load(directory / f"{cell['name']}.so", path)
            path.unlink()
            self.sets.append((module, normal([cell["T"], cell["n"]]), weights))

    def apply(self, layer, x, weights: dict) -> list:
        """The cell's results, by a function of the input and one layer's factors."""
        results = []
        for index in range(self.cell["chain"]):
            results.append(layer(x, *(weights[f"{name}{index}"]
                                      for name in layer_shapes(self.cell))))
            if is_last_sibling(self.cell, index):
                x = results[-1]
        return [results[index] for index in get_results(self.cell)]

    def reference(self, index: int) -> list:
        """In float32, from the rounded factors."""
        from structured.bench import cuda
        _, x, weights = self.sets[index]
        return self.apply(lambda x, *factors: cuda.reference(x, factors), x, weights)

    def rivals(self, options: argparse.Namespace) -> dict:
        """Name -> a function of a set's number."""
        import torch
        from structured.bench import cuda
        chain = lambda layer: lambda i: self.apply(layer, *self.sets[i][1:])

        if self.cell["b"] == 0:
            return {"torch.mm": chain(cuda.dense_mm)}

        result = {"torch": chain(cuda.blast_eager)} if options.eager else {}
        if options.inductor:
            result["torch.compile"] = chain(torch.compile(cuda.blast_eager, dynamic=False))
        if options.stream:
            result["stream"] = self.stream()
        return result

    def stream(self):
        """Reads as many bytes as each of the layers has, or the siblings together, other
        ones for each set."""
        import torch
        siblings = self.cell["siblings"]
        words = siblings * sum(map(math.prod, layer_shapes(self.cell).values())) // 2
        buffers = [[torch.randint(1 << 30, (words,), dtype=torch.int32, device="cuda")
                    for _ in range(self.cell["chain"] // siblings)] for _ in self.sets]
        read = make_stream(words)

        def apply(i):
            for buffer in buffers[i]:
                read(buffer)
        return apply


def make_stream(words: int):
    """A function that reads a tensor of so many int32."""
    import torch
    import triton
    import triton.language as tl
    from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

    @triton.jit
    def stream(source, result, words, share, LOADS: tl.constexpr, WORDS: tl.constexpr):
        gdc_launch_dependents()
        first = tl.program_id(0) * share
        end = tl.minimum(first + share, words)
        places = first + tl.arange(0, WORDS)
        total = tl.zeros([WORDS], tl.int32)
        for i in tl.static_range(LOADS):
            total ^= tl.load(source + places + i * WORDS, places + i * WORDS < end, 0,
                             eviction_policy="evict_first")
        gdc_wait()
        for start in range(LOADS * WORDS, share, LOADS * WORDS):
            for i in tl.static_range(LOADS):
                at = places + start + i * WORDS
                total ^= tl.load(source + at, at < end, 0, eviction_policy="evict_first")
        tl.store(result + tl.program_id(0), tl.sum(total, 0))

    programs = torch.cuda.get_device_properties(0).multi_processor_count
    block = 512 * 4
    share = math.ceil(words / programs / block) * block
    loads = min(share // block, 16)
    result = torch.empty(programs, dtype=torch.int32, device="cuda")
    return lambda source: stream[(programs,)](
        source, result, words, share, LOADS=loads, WORDS=block, num_warps=16, launch_pdl=True)


def has_gpu() -> bool:
    """Whether there are a GPU and PyTorch; says so if not."""
    try:
        import torch
    except ImportError:
        print("compiled only: there is no PyTorch", file=sys.stderr)
        return False
    if torch.cuda.is_available():
        return True
    print("compiled only: there is no GPU", file=sys.stderr)
    return False


def run_cells(cells: list[dict], options: argparse.Namespace) -> list[dict]:
    import torch
    records = []
    groups = itertools.groupby(cells, key=lambda cell: (cell["T"], cell["m"], cell["n"]))
    for _, group in groups:
        layers = [Layer(cell, options.out, seed) for seed, cell in enumerate(group)]
        calls = {}
        for layer in layers:
            stream = torch.cuda.Stream()
            graphs = []
            for index, (module, x, _) in enumerate(layer.sets):
                results = module.run_on_stream(x, stream=stream.cuda_stream)
                stream.synchronize()
                result = torch.stack([torch.from_dlpack(result).float() for result in results])
                reference = torch.stack(layer.reference(index))
                error = ((result - reference).norm() / reference.norm()).item()
                if not error < TOLERANCE * layer.cell["chain"] ** 0.5:
                    raise SystemExit(f"{layer.cell['name']}: error {error:.2e}")
                graphs.append(module.capture(x))
            layer.cell["error"] = error
            name = layer.cell["name"]
            kernel = layer.cell["kernel"]
            calls[name, "ours" if kernel == "auto" else f"ours:{kernel}"] = (
                stream, lambda i, graphs=graphs, stream=stream:
                graphs[i].launch(stream=stream.cuda_stream), len(graphs))
            # The others do not depend on it.
            is_first = layer.cell["b"] == 0 or kernel == options.kernels[0]
            rivals = layer.rivals(options) if is_first else {}
            for rival, function in rivals.items():
                calls[name, rival] = (stream, replay(function, len(layer.sets), stream),
                                      len(layer.sets))
        times = {key: seconds / options.chain
                 for key, seconds in measure(calls, options.repeat).items()}
        dense = [value for (name, _), value in times.items() if "-b0-" in name]
        best_dense = min(dense)
        for layer in layers:
            cell = layer.cell
            multiply_adds = cell["T"] * sum(map(math.prod, layer_shapes(cell).values()))
            for (name, who), seconds in times.items():
                if name == cell["name"]:
                    records.append(cell | {
                        "who": who, "us": seconds * 1e6, "dense_us": best_dense * 1e6,
                        "tflops": 2 * multiply_adds / seconds / 1e12})
                    print("{name:36} {who:14} {us:9.2f} us  {tflops:6.0f} TFLOP/s  {speedup:5.2f} x dense"
                          .format(**records[-1], speedup=best_dense / seconds), flush=True)
        write_json(options.out / "results.json", records)
        del layers, calls
        torch.cuda.empty_cache()
    return records


def replay(function, count: int, stream):
    """`function` of each number as a CUDA graph."""
    import torch
    graphs = []
    for index in range(count):
        with torch.cuda.stream(stream):
            function(index)
            function(index)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            function(index)
        graphs.append(graph)
    # Graphs do not keep what they read.
    return lambda i, _kept=function: graphs[i].replay()


def measure(calls: dict, repeat: int) -> dict:
    """The median over `repeat` turns of the seconds of one call in a row of them."""
    import torch
    samples = {key: [] for key in calls}
    for turn in range(repeat + 2):
        for key, (stream, call, count) in calls.items():
            rounds = 3 * count
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            with torch.cuda.stream(stream):
                begin.record()
                for i in range(rounds):
                    call(i % count)
                end.record()
            end.synchronize()
            if turn >= 2:
                samples[key].append(begin.elapsed_time(end) / 1e3 / rounds)
    return {key: float(np.median(values)) for key, values in samples.items()}


def markdown(records: list[dict]) -> str:
    rows = [[record["T"], f"{record['n']} → {record['m']}", record["b"] or "dense",
             record["r"] or "", f"{record['keep']:g}", record["who"], f"{record['us']:.2f}",
             f"{record['tflops']:.0f}", f"{record['dense_us'] / record['us']:.2f}"]
            for record in records]
    return table(["T", "layer", "b", "r", "keep", "", "µs", "TFLOP/s", "× dense"], rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    size = lambda text: tuple(int(part) for part in text.split("x"))
    parser.add_argument("-o", "--out", type=Path, default=Path("build/cuda-layers"))
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--sizes", type=size, nargs="+", default=[(4096, 4096)], metavar="MxN")
    parser.add_argument("--blocks", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--kernels", nargs="+", default=["auto"], metavar="NAME",
                        help="ways of computing BLAST, as structured-compile --blast-kernel")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.5])
    parser.add_argument("--chain", type=int, default=1,
                        help="layers of a module, applied in turn if they are square")
    parser.add_argument("--siblings", type=int, default=1,
                        help="of these, layers that are applied to the same input")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--eager", action="store_true", help="time PyTorch's operations too")
    parser.add_argument("--inductor", action="store_true", help="time torch.compile too")
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--run-only", action="store_true")
    parser.add_argument("--stream", action="store_true",
                        help="time reading as many bytes as the factors have")
    options = parser.parse_args()
    if options.siblings < 1 or options.chain % options.siblings:
        parser.error("--chain is not a multiple of --siblings")
    options.out.mkdir(parents=True, exist_ok=True)
    cells = make_cells(options)
    if not options.run_only:
        compile_cells(cells, options)
    if options.compile_only or (not options.run_only and not has_gpu()):
        return 0
    records = run_cells(cells, options)
    write_text(options.out / "results.md", markdown(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
