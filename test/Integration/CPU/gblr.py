# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: %python %s %t | FileCheck %s --implicit-check-not=Traceback
# CHECK: fixed_full_f32[T=1]: error
# CHECK: random_0_
# CHECK: all layouts agree
"""Compiled GBLR layers of random layouts against float64 references.

Intervals and ranks are random: components that are empty, that wrap around on
one side or both, that overlap wholly, that are one number; sizes that are no
multiples of a vector. The reference places each rank vector by index arithmetic
modulo the matrix's size. A second program packs the factors by hand: the
weights file beside the module must hold exactly the components' numbers, each
once, and zeros.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from harness import ROUNDOFF, Module, check, round_to

rng = np.random.default_rng(1)


def interval(extent):
    """(start, size) of an interval modulo `extent`."""
    kind = rng.integers(5)
    start = int(rng.integers(extent))
    if kind == 0:
        return start, 0 if rng.integers(2) else 1
    if kind == 1:
        return start, extent
    if kind == 2:  # wraps around, unless the extent is 1
        start = extent - 1 - int(rng.integers(max(1, extent // 4)))
        return start, min(extent, extent - start + 1 + int(rng.integers(extent // 2 + 1)))
    return start, int(rng.integers(extent + 1))


def random_layout():
    m, n = (int(rng.choice([1, 2, 3, 15, 16, 17, 31, 48, 65, 100, 130])) for _ in range(2))
    components = []
    for _ in range(int(rng.choice([1, 2, 5, 20, 60]))):
        rank = int(rng.choice([0, 1, 1, 1, 2, 5, 17, 40]))
        components.append((*interval(m), *interval(n), rank))
        if rng.integers(4) == 0:  # one more in the same place
            components.append((*components[-1][:4], 1))
    return m, n, components


class Layer:
    def __init__(self, name, m, n, components, dtype, init_dtype, tokens, dynamic,
                 arguments=False):
        self.name, self.m, self.n, self.components = name, m, n, components
        self.dtype, self.init_dtype, self.tokens = dtype, init_dtype, tokens
        self.arguments = arguments
        self.u = round_to(rng.standard_normal(sum(r * h for _, h, _, _, r in components)), dtype)
        self.v = round_to(rng.standard_normal(sum(r * w for _, _, _, w, r in components)), dtype)
        t = "?" if dynamic else tokens[0]
        x, y = f"tensor<{t}x{n}x{dtype}>", f"tensor<{t}x{m}x{init_dtype}>"
        u, v = f"tensor<{self.u.size}x{dtype}>", f"tensor<{self.v.size}x{dtype}>"
        layout = ", ".join(f"<rows {r} + {h}, cols {c} + {w}, rank {k}>"
                           for r, h, c, w, k in components)
        parameters = (f'  %u = structured.parameter "{name}.u" : {u}\n'
                      f'  %v = structured.parameter "{name}.v" : {v}\n')
        self.mlir = (
            f"func.func @{name}(%x: {x}, %y0: {y}"
            + (f", %u: {u}, %v: {v}" if arguments else "") + f") -> {y} {{\n"
            + ("" if arguments else parameters) +
            f"  %y = structured.gblr.matmul layout = <out = {m}, in = {n}, components = [{layout}]>\n"
            f"      ins(%x, %u, %v : {x}, {u}, {v}) outs(%y0 : {y}) -> {y}\n"
            f"  return %y : {y}\n}}\n")

    def weights(self):
        if self.arguments:
            return {}
        return {f"{self.name}.u": (self.u, self.dtype), f"{self.name}.v": (self.v, self.dtype)}

    def dense(self):
        w = np.zeros((self.m, self.n))
        u, v = self.u, self.v
        for row, rows, col, cols, rank in self.components:
            for _ in range(rank):
                w[np.ix_((row + np.arange(rows)) % self.m,
                         (col + np.arange(cols)) % self.n)] += np.outer(u[:rows], v[:cols])
                u, v = u[rows:], v[cols:]
        assert u.size == 0 and v.size == 0
        return w

    def check(self, module):
        weight = self.dense()
        rank = sum(component[4] for component in self.components)
        for tokens in self.tokens:
            x = round_to(rng.standard_normal((tokens, self.n)), self.dtype)
            y0 = round_to(rng.standard_normal((tokens, self.m)), self.init_dtype)
            inputs = [(x, self.dtype), (y0, self.init_dtype)]
            if self.arguments:
                inputs += [(self.u, self.dtype), (self.v, self.dtype)]
            result = module.run(self.name, inputs, self.init_dtype)
            # As in layers.py, for the sums over columns and over rank vectors.
            # W's rows differ in size: the scale is that of the whole result, so
            # the largest element may have more than its share.
            error = 8 * ROUNDOFF["f32"] * (1 + np.sqrt(self.n) + np.sqrt(rank))
            check(f"{self.name}[T={tokens}]", result, y0 + x @ weight.T, self.init_dtype, error)


def make_layers():
    layers = []
    full = (0, 40, 0, 30)
    for name, m, n, components in [
            ("full", 40, 30, [(*full, 1)] * 50),
            ("shifted", 40, 30, [(i % 40, 40, i % 30, 30, 1) for i in range(50)]),
            ("diagonal", 64, 64, [(16 * i, 16, 16 * i, 16, 8) for i in range(4)]),
            ("empty", 5, 7, [(0, 0, 0, 7, 3), (1, 2, 3, 0, 2), (0, 5, 0, 7, 0)]),
            ("none", 5, 7, [])]:
        for dtype in ("f32", "f16", "bf16"):
            layers.append(Layer(f"fixed_{name}_{dtype}", m, n, components, dtype, dtype,
                                [1, 13], dynamic=True))
    for index in range(48):
        m, n, components = random_layout()
        dtype = str(rng.choice(["f32", "f16", "bf16"]))
        init_dtype = "f32" if rng.integers(3) == 0 else dtype
        dynamic = bool(rng.integers(3) == 0)
        tokens = [1, 6, 29, 150] if dynamic else [int(rng.choice([1, 2, 7, 12, 25, 128, 200]))]
        layers.append(Layer(f"random_{index}_{dtype}", m, n, components, dtype, init_dtype, tokens,
                            dynamic, arguments=index % 12 == 0))
    return layers


def read_safetensors(path, dtypes={"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}):
    """The tensors' bits by name."""
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[8 + size + begin:8 + size + end], dtypes[entry["dtype"]])
    return tensors


def check_packing(layers, directory):
    """Each number of a factor that is used is stored once; all else is zero."""
    source = read_safetensors(directory / "weights.safetensors")
    packed = read_safetensors(directory / "model.safetensors")
    for layer in layers:
        if layer.arguments:
            continue
        for factor in "uv":
            bits, used = source[f"{layer.name}.{factor}"], []
            for _, rows, _, cols, rank in layer.components:
                count = rank * (rows if factor == "u" else cols)
                if rows and cols:
                    used.append(bits[:count])
                bits = bits[count:]
            used = np.concatenate(used) if used else bits[:0]
            stored = [tensor for name, tensor in packed.items()
                      if name.startswith(f"{layer.name}.{factor}#")]
            assert len(stored) == (1 if used.size else 0), (layer.name, factor)
            if used.size:
                nonzero = np.sort(stored[0][stored[0] != 0])
                assert np.array_equal(nonzero, np.sort(used[used != 0])), (layer.name, factor)


def main(directory):
    layers = make_layers()
    weights = {}
    for layer in layers:
        weights.update(layer.weights())
    module = Module("".join(layer.mlir for layer in layers), directory, weights)
    check_packing(layers, directory)
    for layer in layers:
        layer.check(module)
    print("all layouts agree")


main(Path(sys.argv[1]))
