#!/usr/bin/env python3
# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times compiled GBLR layers against the dense layer of the same size.

    python benchmarks/gblr/run.py [--build build] [--output results/cpu.json]

Three layouts, each with 30 % and 25 % of the dense layer's multiply-adds:

- blocks: half of the blocks of a 4 × 4 grid, as on a chessboard, each a
  component of the rank that fills the budget;
- random: components of rank 1 with random periodic intervals of 10 to 100 % of
  each side;
- diagonal: diagonal blocks of a 16 × 16 grid and one low-rank component over
  the whole matrix, half of the budget each.

Each layer is run as a process of structured-run, several times, in turn with
the dense layer; the smallest time of all runs counts. Only NumPy is needed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "test/Integration/CPU/Inputs"))
from harness import write_safetensors

SIZES = [(384, 1536), (1536, 384), (1024, 1024), (4096, 4096)]  # in, out
FRACTIONS = [0.30, 0.25]
TOKENS = [128, 1]


def blocks(n, m, budget, rng):
    h, w = m // 4, n // 4
    # A block's rank is what makes 8 of the 16 blocks fill the budget.
    rank = budget // (8 * (h + w))
    places = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    return [(i * h, h, j * w, w, rank) for i, j in places]


def random(n, m, budget, rng):
    components = []
    while True:
        rows, cols = (int(size * rng.uniform(0.1, 1.0)) for size in (m, n))
        if rows + cols > budget:
            return components
        budget -= rows + cols
        components.append((int(rng.integers(m)), rows, int(rng.integers(n)), cols, 1))


def diagonal(n, m, budget, rng):
    h, w = m // 16, n // 16
    rank = budget // 2 // (16 * (h + w))
    return ([(i * h, h, i * w, w, rank) for i in range(16)]
            + [(0, m, 0, n, budget // 2 // (n + m))])


LAYOUTS = {"blocks": blocks, "random": random, "diagonal": diagonal}


def multiply_adds(components):
    return sum(rank * (rows + cols) for _, rows, _, cols, rank in components)


class Layer:
    def __init__(self, tools, directory, n, m, tokens, components, rng):
        """components None: dense."""
        directory.mkdir(parents=True)
        self.tools, self.module = tools, directory / "model.so"
        x, y = f"tensor<{tokens}x{n}xf32>", f"tensor<{tokens}x{m}xf32>"

        def draw(*shape):
            return rng.standard_normal(shape).astype(np.float32)

        if components is None:
            weights = {"w": (draw(m, n), "f32")}
            op, types = "linear", [f"tensor<{m}x{n}xf32>"]
        else:
            weights = {"u": (draw(sum(c[4] * c[1] for c in components)), "f32"),
                       "v": (draw(sum(c[4] * c[3] for c in components)), "f32")}
            layout = ", ".join(f"<rows {r} + {h}, cols {c} + {w}, rank {k}>"
                               for r, h, c, w, k in components)
            op = f"gblr.matmul layout = <out = {m}, in = {n}, components = [{layout}]>"
            types = [f"tensor<{array.size}xf32>" for array, _ in weights.values()]
        body = "".join(f'  %{name} = structured.parameter "{name}" : {tensor}\n'
                       for name, tensor in zip(weights, types))
        (directory / "model.mlir").write_text(
            f"func.func @main(%x: {x}) -> {y} {{\n{body}"
            f"  %zero = arith.constant 0.0 : f32\n  %e = tensor.empty() : {y}\n"
            f"  %y0 = linalg.fill ins(%zero : f32) outs(%e : {y}) -> {y}\n"
            f"  %y = structured.{op} ins(%x, {', '.join('%' + name for name in weights)} : "
            f"{x}, {', '.join(types)}) outs(%y0 : {y}) -> {y}\n  return %y : {y}\n}}\n")
        write_safetensors(directory / "weights.safetensors", weights)
        subprocess.run([tools / "structured-compile", directory / "model.mlir", "-o", self.module,
                        f"--weights={directory / 'weights.safetensors'}"], check=True)
        self.best = float("inf")

    def time(self, threads, repeat):
        report = subprocess.run(
            [self.tools / "structured-run", self.module, f"--threads={threads}", "--random-seed=0",
             f"--repeat={repeat}", "--warmup=3", "--json"],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        self.best = min(self.best, json.loads(report)["time_ms"]["min"])


def machine():
    info = {"machine": platform.machine(), "system": platform.platform(),
            "cores": len(os.sched_getaffinity(0))}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "cpu family", "model", "cache size"):
                info.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    return info


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build")
    parser.add_argument("--output", type=Path,
                        default=REPOSITORY / "benchmarks/gblr/results/cpu.json")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5, help="runs of each layer")
    parser.add_argument("--size", action="append", help="only these sizes, such as 384x1536")
    arguments = parser.parse_args()
    tools, rng, results = arguments.build / "bin", np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as scratch:
        for n, m in SIZES:
            if arguments.size and f"{n}x{m}" not in arguments.size:
                continue
            for tokens in TOKENS:
                place = Path(scratch) / f"{n}x{m}-{tokens}"
                repeat = max(5, min(300, int(2e10 / (n * m * (tokens + 100)))))
                dense = Layer(tools, place / "dense", n, m, tokens, None, rng)
                layers = []
                for fraction in FRACTIONS:
                    for name, make in LAYOUTS.items():
                        components = make(n, m, int(fraction * n * m), rng)
                        layers.append((fraction, name, components, Layer(
                            tools, place / f"{name}{fraction}", n, m, tokens, components, rng)))
                for _ in range(arguments.rounds):
                    dense.time(arguments.threads, repeat)
                    for *_, layer in layers:
                        layer.time(arguments.threads, repeat)
                for fraction, name, components, layer in layers:
                    row = {"in": n, "out": m, "tokens": tokens, "layout": name,
                           "components": len(components),
                           "multiply_adds_of_dense": multiply_adds(components) / (n * m),
                           "dense_ms": dense.best, "gblr_ms": layer.best,
                           "speedup": dense.best / layer.best}
                    results.append(row)
                    print(f"{n}->{m} T={tokens} {name} ({len(components)} components, "
                          f"{100 * row['multiply_adds_of_dense']:.1f} %): dense "
                          f"{dense.best:.4f} ms, GBLR {layer.best:.4f} ms, "
                          f"{row['speedup']:.2f} times as fast", flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "threads": arguments.threads, "rounds": arguments.rounds,
              "dtype": "f32", "results": results}
    temporary = arguments.output.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    temporary.replace(arguments.output)


main()
