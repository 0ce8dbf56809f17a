# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: %python %s %t | FileCheck %s --implicit-check-not=Traceback
# CHECK: linear_f32_1x1x1[T=1]: error
# CHECK: all layers agree
"""Compiled layers against float64 references of the same factors.

Each layer is run compiled as it is and, where it is structured, a second time
compiled through its dense expansion; BLAST layers a third time, as on a machine
where they do not pay, with the dense matrix computed at compile time. The sums, in f32, are of k products of
normally distributed numbers: their error relative to the root mean square of
the result is a random walk of k steps of 2^-24, at most 4 sqrt(k) of them in the
elements compared here. The stages of a structured layer add up. The result of a
narrow type must be correctly rounded up to that error. The dense expansion of a
structured layer rounds W to the factors' type: it is compared with that, and
where W is narrow some entries are rounded the other way.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from harness import ROUNDOFF, Module, check, gblr_matrix, read_safetensors, round_to

rng = np.random.default_rng(0)


def tensor(shape, dtype):
    return f"tensor<{'x'.join('?' if s is None else str(s) for s in shape)}x{dtype}>"


def random(shape, dtype):
    return round_to(rng.standard_normal(shape), dtype)


class Layer:
    """One layer op as an entry: input 0 is X, input 1 the init, if it is not
    zeros; factors are parameters, or inputs after them."""

    def __init__(self, name, kind, op, tokens, n, m, factors, dtype, init_dtype=None,
                 dynamic=False, factors_as_inputs=False, zero_init=False, attributes=""):
        self.name, self.kind, self.dtype = name, kind, dtype
        self.init_dtype = init_dtype or dtype
        self.tokens, self.n, self.m = tokens, n, m
        self.factors, self.factors_as_inputs = factors, factors_as_inputs
        self.zero_init = zero_init
        t = None if dynamic else tokens[0]
        x, y = tensor((t, n), dtype), tensor((t, m), self.init_dtype)
        types = [tensor(f.shape, dtype) for f in factors]
        names = [f"%f{i}" for i in range(len(factors))]
        arguments = [f"%x: {x}"]
        if zero_init:
            size = "%t" if dynamic else ""
            body = (f"  %zero = arith.constant 0.0 : {self.init_dtype}\n"
                    "  %c0 = arith.constant 0 : index\n"
                    f"  %t = tensor.dim %x, %c0 : {x}\n"
                    f"  %e = tensor.empty({size}) : {y}\n"
                    f"  %y0 = linalg.fill ins(%zero : {self.init_dtype}) outs(%e : {y}) -> {y}\n")
        else:
            arguments.append(f"%y0: {y}")
            body = ""
        for index, (factor, factor_type) in enumerate(zip(names, types)):
            if factors_as_inputs:
                arguments.append(f"{factor}: {factor_type}")
            else:
                body += f'  {factor} = structured.parameter "{name}.{index}" : {factor_type}\n'
        self.mlir = (f"func.func @{name}({', '.join(arguments)}) -> {y} {{\n{body}"
                     f"  %y = {op} {attributes} ins(%x, {', '.join(names)} : {x}, {', '.join(types)})\n"
                     f"      outs(%y0 : {y}) -> {y}\n  return %y : {y}\n}}\n")

    def weights(self):
        if self.factors_as_inputs:
            return {}
        return {f"{self.name}.{i}": (f, self.dtype) for i, f in enumerate(self.factors)}

    def check(self, module, label, rounds_weight=False, more=0.0, weight=None):
        if weight is None:
            weight = self.dense()
        if rounds_weight:
            weight = round_to(weight, self.dtype)
        for tokens in self.tokens:
            x = random((tokens, self.n), self.dtype)
            inputs = [(x, self.dtype)]
            if self.zero_init:
                y0 = 0
            else:
                y0 = random((tokens, self.m), self.init_dtype)
                inputs.append((y0, self.init_dtype))
            if self.factors_as_inputs:
                inputs += [(f, self.dtype) for f in self.factors]
            result = module.run(self.name, inputs, self.init_dtype)
            error = self.sum_error() + more
            if rounds_weight and self.dtype != "f32":
                error += 0.01 * ROUNDOFF[self.dtype]
            check(f"{self.name}{label}[T={tokens}]", result, y0 + x @ weight.T,
                  self.init_dtype, error)

    def sum_error(self):
        """What sums in f32 may be wrong by, relative to the result's root mean square."""
        return 4 * ROUNDOFF["f32"] * (1 + sum(np.sqrt(k) for k in self.sums()))

    def sums(self):
        """The lengths of the sums that follow each other."""
        if self.kind == "linear":
            return [self.n]
        if self.kind == "blast":
            b_in, r, q = self.factors[2].shape
            return [q, b_in, r]
        return [self.n, sum(rank for *_, rank in self.components)]

    def dense(self):
        return {"linear": lambda w: w, "blast": blast_matrix,
                "gblr": lambda u, v: gblr_matrix(u, v, self.components, self.m, self.n),
                }[self.kind](*self.factors)


def blast_matrix(u, s, vt):
    b_out, p, _ = u.shape
    b_in, _, q = vt.shape
    return np.einsum("ipr,ijr,jrq->ipjq", u, s, vt).reshape(b_out * p, b_in * q)


def linear(tokens, n, m, dtype, **options):
    name = f"linear_{dtype}_{tokens[0]}x{n}x{m}" + "".join(f"_{o}" for o in options)
    weight = random((m, n), dtype)
    return Layer(name, "linear", "structured.linear", tokens, n, m, [weight], dtype, **options)


def blast(tokens, b_out, b_in, p, q, r, dtype, **options):
    name = (f"blast_{dtype}_{tokens[0]}x{b_out}x{b_in}x{p}x{q}x{r}"
            + "".join(f"_{o}" for o in options))
    factors = [random((b_out, p, r), dtype), random((b_out, b_in, r), dtype),
               random((b_in, r, q), dtype)]
    return Layer(name, "blast", "structured.blast.matmul", tokens, b_in * q, b_out * p,
                 factors, dtype, **options)


def gblr(name, tokens, n, m, components, dtype, **options):
    layout = ", ".join(f"<rows {r} + {h}, cols {c} + {w}, rank {k}>"
                       for r, h, c, w, k in components)
    factors = [random((sum(k * h for _, h, _, _, k in components),), dtype),
               random((sum(k * w for _, _, _, w, k in components),), dtype)]
    layer = Layer(f"gblr_{dtype}_{name}", "gblr", "structured.gblr.matmul", tokens, n, m,
                  factors, dtype,
                  attributes=f"layout = <out = {m}, in = {n}, components = [{layout}]>", **options)
    layer.components = components
    return layer


TOKENS = [1, 7, 33, 128, 200]
LAYERS = [linear(t, n, m, "f32") for t, n, m in [
    ([1], 1, 1), ([1], 5, 1), ([7], 1, 3), ([1], 384, 1536), ([7], 384, 100), ([128], 64, 48),
    ([128], 1536, 384), ([457], 330, 512), ([3], 17, 19)]]
LAYERS += [
    linear(TOKENS, 96, 144, "f32", dynamic=True),
    linear(TOKENS, 33, 17, "f32", dynamic=True),
    linear([7], 40, 50, "f32", factors_as_inputs=True),
    linear([1], 40, 50, "f32", factors_as_inputs=True),
    linear([130], 90, 70, "f32", factors_as_inputs=True),
    linear(TOKENS, 90, 70, "f32", factors_as_inputs=True, dynamic=True)]
for dtype in ("f16", "bf16"):
    LAYERS += [
        linear([128], 64, 48, dtype), linear([5], 33, 17, dtype), linear([1], 1, 1, dtype),
        linear([130], 1000, 70, dtype, init_dtype="f32"),
        linear(TOKENS, 64, 40, dtype, dynamic=True),
        linear([9], 30, 20, dtype, factors_as_inputs=True)]
LAYERS += [blast(t, b_out, b_in, p, q, r, "f32") for t, b_out, b_in, p, q, r in [
    ([1], 1, 1, 1, 1, 1), ([1], 4, 4, 96, 96, 80), ([7], 3, 2, 4, 4, 5),
    ([128], 4, 4, 96, 96, 80), ([128], 6, 2, 33, 70, 48), ([70], 2, 5, 17, 9, 20),
    ([457], 2, 2, 50, 60, 33)]]
LAYERS += [
    blast(TOKENS, 3, 4, 20, 30, 16, "f32", dynamic=True),
    blast([40], 3, 2, 12, 10, 9, "f32", factors_as_inputs=True)]
for dtype in ("f16", "bf16"):
    LAYERS += [
        blast([70], 2, 3, 20, 30, 16, dtype), blast([1], 2, 3, 5, 7, 3, dtype),
        blast(TOKENS, 3, 2, 16, 16, 16, dtype, init_dtype="f32", dynamic=True)]
# (first row, rows, first column, columns, rank): wrapping, overlapping, empty.
COMPONENTS = [(10, 4, 0, 3, 1), (0, 6, 6, 5, 2), (3, 0, 0, 2, 4), (0, 12, 0, 8, 1),
              (11, 12, 7, 8, 3), (5, 3, 2, 4, 0)]
LAYERS += [
    gblr("wrap", [5], 8, 12, COMPONENTS, "f32"),
    gblr("dynamic", TOKENS, 8, 12, COMPONENTS, "f32", dynamic=True),
    gblr("large", [128], 384, 200, [(190, 60, 300, 120, 8), (0, 200, 0, 384, 4),
                                    (50, 64, 64, 128, 1)], "f32"),
    gblr("wrap", [70], 8, 12, COMPONENTS, "f16"),
    gblr("wrap", [5], 8, 12, COMPONENTS, "bf16"),
    gblr("empty", [5], 8, 12, [], "f32")]


def check_unprofitable(directory, layers):
    for dtypes in (["f32"], ["f16", "bf16"]):
        chosen = [layer for layer in layers if layer.dtype in dtypes]
        costs = directory / "costs.json"
        implementation = lambda b, seconds: {
            "overhead": 1e-6, "seconds_per_operation": 0, "seconds_per_byte": 0,
            "layers": [{"m": 64, "n": 64, "b": b, "r": 8 * b, "seconds": [seconds]}]}
        costs.write_text(json.dumps({
            "version": 1, "device": "where BLAST is slow", "tokens": [1],
            "element_bytes": 4 if dtypes == ["f32"] else 2,
            "implementations": {"dense": implementation(0, 1e-6),
                                "blast": implementation(2, 2e-6)}}))
        weights = {}
        for layer in chosen:
            weights.update(layer.weights())
        target = directory / f"unprofitable-{dtypes[0]}"
        module = Module("".join(layer.mlir for layer in chosen), target, weights,
                        options=[f"--costs={costs}", "--tokens=5"])
        stored = read_safetensors(target / "model.safetensors")
        for layer in chosen:
            matrix = None
            if name := "*".join(layer.weights()):
                # In the order that the code wants. It is the rounded product of
                # the factors (products of three numbers have longer tails than of
                # two: twice the bound); the result is compared with what was stored.
                matrix = stored[f"{name}#perm10"].T
                check(f"{layer.name} product", matrix, layer.dense(), layer.dtype,
                      8 * ROUNDOFF["f32"] * (1 + np.sqrt(layer.factors[2].shape[1])))
            layer.check(module, " unprofitable", weight=matrix)


def main(directory):
    mlir = "".join(layer.mlir for layer in LAYERS)
    weights = {}
    for layer in LAYERS:
        weights.update(layer.weights())
    module = Module(mlir, directory / "layers", weights)
    for layer in LAYERS:
        layer.check(module, "")

    structured = [layer for layer in LAYERS if layer.kind != "linear"]
    expanded = subprocess.run(
        ["structured-opt", "--structured-expand-to-dense"], check=True, text=True,
        input="".join(layer.mlir for layer in structured), stdout=subprocess.PIPE).stdout
    module = Module(expanded, directory / "dense", weights)
    for layer in structured:
        layer.check(module, " dense", rounds_weight=True)
    check_unprofitable(directory, [layer for layer in LAYERS if layer.kind == "blast"])
    print("all layers agree")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
