# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: %python %s %t --count=10 -- structured-opt | FileCheck %s --implicit-check-not=Traceback
# CHECK: 10 modules
# CHECK-SAME: all agree; {{[0-9]+}} compile for CUDA
"""Random valid modules with the dialect's ops.

Each seed gives a function: a few layers of all kinds, with factors that are
parameters (permuted or not), constants or arguments, on inputs of static or
dynamic size, which use each other's results as inputs and inits, elementwise ops
and casts between them, and several results. For each the following must hold.

- The IR survives a round trip through text, the generic form and bytecode.
- Compiled as it is, canonicalised, and through the expansion of its structured
  layers to dense ones, it computes the same numbers as a reference in float64
  with dense matrices.
- It compiles for CUDA, to machine code where ptxas is, with the structure of its
  layers kept, with layers that do not pay made dense, and expanded. GBLR layers whose
  factors are not parameters are refused, and only these.

A number may differ from the reference by six standard deviations of its rounding
errors, which the reference follows through the ops. That this tells a wrong
result is tested too: with the numbers of one factor moved by a place, the
reference must differ by more than that in nearly all cases.

    random-modules.py DIRECTORY [--count N] [--first SEED] [-- structured-opt …]
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from harness import ROUNDOFF, from_bits, gblr_matrix, round_to, to_bits, write_safetensors

DEVIATIONS = 6
# The smallest distance of numbers, below which roundoff is not relative.
TINY = {"f32": 2.0**-149, "f16": 2.0**-24, "bf16": 2.0**-133}


def tensor(shape, dtype):
    return f"tensor<{''.join(f'{size}x' for size in shape)}{dtype}>"


def literal(array):
    if array.ndim:
        return "[" + ", ".join(map(literal, array)) + "]"
    return f"{array:.20e}"


class Number:
    """Exact numbers and the standard deviation of their rounding errors."""

    def __init__(self, exact, error):
        self.exact, self.error = exact, error

    def rounded(self, dtype):
        return Number(self.exact, np.sqrt(
            self.error**2 + (ROUNDOFF[dtype] * np.abs(self.exact) + TINY[dtype])**2))


class Function:
    """The function of a seed: `text`, `inputs` and `parameters`."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.name = f"seed{seed}"
        self.tokens = self.choose([1, 2, 3, 5, 8, 17, 33, 70])
        self.token_size = self.choose(["?", self.tokens])
        self.lines, self.arguments, self.inputs, self.parameters = [], [], [], {}
        self.values = []  # (SSA name, features, element type)
        self.steps = []  # (result, f(numbers, factors, narrow) -> Number), in order
        self.factors, self.names = {}, 0
        self.refused_by_cuda = False
        dtype = self.choose(["f32", "f32", "f16", "bf16"])
        self.values.append(self.argument(self.size(), dtype))
        for _ in range(self.rng.integers(2, 6)):
            self.choose([self.linear, self.blast, self.blast, self.gblr, self.gblr,
                         self.block_sparse, self.elementwise, self.cast])()
        self.finish()

    # -- choices

    def choose(self, options):
        return options[self.rng.integers(len(options))]

    def size(self):
        return self.choose([1, 2, 3, 4, 7, 8, 12, 16, 24, 33])

    def random(self, shape, dtype, scale=1.0):
        return round_to(scale * self.rng.standard_normal(shape), dtype)

    # -- pieces of text

    def fresh(self):
        self.names += 1
        return f"%v{self.names}"

    def type(self, value):
        return tensor([self.token_size, value[1]], value[2])

    def add(self, result, evaluate):
        self.values.append(result)
        self.steps.append((result[0], evaluate))

    def argument(self, features, dtype):
        value = (f"%x{len(self.inputs)}", features, dtype)
        array = self.random((self.tokens, features), dtype)
        self.arguments.append(f"{value[0]}: {self.type(value)}")
        self.inputs.append((array, dtype))
        self.steps.append((value[0], lambda numbers, factors, narrow: Number(array, 0 * array)))
        return value

    def fill(self, features, dtype):
        value = (self.fresh(), features, dtype)
        size, kind = "", self.type(value)
        if self.token_size == "?":
            zero, size = self.fresh(), self.fresh()
            self.lines += [f"{zero} = arith.constant 0 : index",
                           f"{size} = tensor.dim %x0, {zero} : {self.type(self.values[0])}"]
        zero, empty = self.fresh(), self.fresh()
        self.lines += [f"{zero} = arith.constant 0.0 : {dtype}",
                       f"{empty} = tensor.empty({size}) : {kind}",
                       f"{value[0]} = linalg.fill ins({zero} : {dtype}) outs({empty} : {kind}) -> {kind}"]
        zeros = np.zeros((self.tokens, features))
        self.steps.append((value[0], lambda numbers, factors, narrow: Number(zeros, zeros)))
        return value

    def factor(self, array, dtype):
        """Text of a factor, and the name under which steps find its numbers."""
        name = f"{self.name}.{len(self.factors)}"
        self.factors[name] = array
        value, kind = f"%f{len(self.factors)}", tensor(array.shape, dtype)
        form = self.choose(["parameter", "parameter", "constant", "argument"])
        if form == "argument" and array.size:
            self.arguments.append(f"{value}: {kind}")
            self.inputs.append((array, dtype))
        elif form == "constant" and 0 < array.size <= 300:
            self.lines.append(f"{value} = arith.constant dense<{literal(array)}> : {kind}")
        else:
            order = list(range(array.ndim))
            permutation = ""
            if array.ndim > 1 and self.rng.random() < 0.4:
                order = list(map(int, self.rng.permutation(array.ndim)))
                permutation = f" permutation = {order}"
            self.lines.append(f'{value} = structured.parameter "{name}"{permutation} : {kind}')
            # Dimension i of the result is dimension order[i] of what is stored.
            self.parameters[name] = (array.transpose(np.argsort(order)), dtype)
        return value, kind, name

    def input(self, dtypes=("f32", "f16", "bf16")):
        candidates = [v for v in self.values if v[2] in dtypes]
        if not candidates:
            self.values.append(self.argument(self.size(), dtypes[0]))
            return self.values[-1]
        # The latest is the likeliest: chains are longer then.
        return candidates[-1] if self.rng.random() < 0.6 else self.choose(candidates)

    def init(self, features, dtypes):
        """Zeros, an argument, or a value that may have other uses."""
        candidates = [v for v in self.values if v[1] == features and v[2] in dtypes]
        if candidates and self.rng.random() < 0.6:
            return self.choose(candidates)
        make = self.choose([self.fill, self.fill, self.argument])
        value = make(features, self.choose(dtypes))
        self.values.append(value)
        return value

    # -- ops

    def layer(self, op, attributes, x, m, arrays, dtype, matrix, terms, types=None):
        """`matrix(factors)` is the dense W, `terms` the longest sum's length."""
        factors = [self.factor(a, t) for a, t in zip(arrays, types or [dtype] * len(arrays))]
        if op == "structured.gblr.matmul" and not all(f[2] in self.parameters for f in factors):
            self.refused_by_cuda = True
        init = self.init(m, sorted({x[2], "f32"}))
        result = (self.fresh(), m, init[2])
        names = ", ".join([x[0]] + [f[0] for f in factors])
        kinds = ", ".join([self.type(x)] + [f[1] for f in factors])
        self.lines.append(f"{result[0]} = {op}{attributes} ins({names} : {kinds}) "
                          f"outs({init[0]} : {self.type(init)}) -> {self.type(init)}")

        def evaluate(numbers, values, narrow):
            w = matrix(*[values[f[2]] for f in factors])
            sizes = matrix(*[np.abs(values[f[2]]) for f in factors])
            a, b = numbers[x[0]], numbers[init[0]]
            y = b.exact + a.exact @ w.T
            # Errors of the terms are independent; those of the sums a walk.
            error = np.sqrt(b.error**2 + a.error**2 @ (w**2).T
                            + (ROUNDOFF["f32"] * (np.abs(b.exact) + np.abs(a.exact) @ sizes.T))**2
                            * terms)
            if narrow and op != "structured.linear":  # an expanded W is rounded
                error = np.sqrt(error**2 + a.exact**2 @ ((ROUNDOFF[dtype] * w)**2).T)
            return Number(y, error).rounded(init[2])

        self.add(result, evaluate)

    def linear(self):
        x, m = self.input(), self.size()
        array = self.random((m, x[1]), x[2], x[1]**-0.5)
        self.layer("structured.linear", "", x, m, [array], x[2], lambda w: w, x[1])

    def blast(self):
        x = self.input()
        b_in = self.choose([b for b in (1, 2, 3, 4, 8) if x[1] % b == 0])
        b_out, p, r = self.choose([1, 2, 3, 4]), self.choose([1, 2, 5, 8, 16]), self.size()
        q = x[1] // b_in
        arrays = [self.random((b_out, p, r), x[2], r**-0.5),
                  self.random((b_out, b_in, r), x[2], b_in**-0.5),
                  self.random((b_in, r, q), x[2], q**-0.5)]

        def matrix(u, s, vt):
            return np.einsum("ipr,ijr,jrq->ipjq", u, s, vt).reshape(b_out * p, b_in * q)

        self.layer("structured.blast.matmul", "", x, b_out * p, arrays, x[2], matrix,
                   q + b_in + r)

    def gblr(self):
        x, m = self.input(), self.size()
        components = [
            (int(self.rng.integers(m)), int(self.rng.integers(m + 1)),
             int(self.rng.integers(x[1])), int(self.rng.integers(x[1] + 1)),
             int(self.rng.integers(4))) for _ in range(self.rng.integers(5))]
        layout = ", ".join(f"<rows {r} + {h}, cols {c} + {w}, rank {k}>"
                           for r, h, c, w, k in components)
        arrays = [self.random(sum(k * h for _, h, _, _, k in components), x[2]),
                  self.random(sum(k * w for _, _, _, w, k in components), x[2], x[1]**-0.5)]
        self.layer("structured.gblr.matmul",
                   f" layout = <out = {m}, in = {x[1]}, components = [{layout}]>", x, m, arrays,
                   x[2], lambda u, v: gblr_matrix(u, v, components, m, x[1]),
                   x[1] + sum(c[4] for c in components))

    def block_sparse(self):
        x, m, p = self.input(["f32"]), self.size(), self.choose([16, 32])  # multiples of a vector
        counts = self.rng.integers(0, x[1] + 1, -(-m // p))
        positions = np.concatenate([[0], np.cumsum(counts)])
        if positions[-1] == 0:
            return
        coordinates = np.concatenate([self.rng.permutation(x[1])[:k] for k in counts])
        dtype = self.choose(["f32", "f16", "bf16"])
        values = self.random((positions[-1], p), dtype, x[1]**-0.5)
        init = self.init(m, ["f32"])
        name, kind, key = self.factor(values, dtype)
        result = (self.fresh(), m, "f32")
        tables = []
        for table in positions, coordinates:
            tables.append((self.fresh(), tensor(table.shape, "i32")))
            self.lines.append(f"{tables[-1][0]} = arith.constant dense<"
                              f"[{', '.join(map(str, table))}]> : {tables[-1][1]}")
        (a, a_type), (b, b_type) = tables
        self.lines.append(
            f"{result[0]} = structured.block_sparse.matmul ins({x[0]}, {name}, {a}, {b} : "
            f"{self.type(x)}, {kind}, {a_type}, {b_type}) outs({init[0]} : {self.type(init)}) "
            f"-> {self.type(init)}")

        def evaluate(numbers, factors, narrow):
            w = np.zeros((len(counts) * p, x[1]))
            for i in range(len(counts)):
                for k in range(positions[i], positions[i + 1]):
                    w[i * p:(i + 1) * p, coordinates[k]] += factors[key][k]
            w, a, b = w[:m], numbers[x[0]], numbers[init[0]]
            error = np.sqrt(b.error**2 + a.error**2 @ (w**2).T + x[1] * (
                ROUNDOFF["f32"] * (np.abs(b.exact) + np.abs(a.exact) @ np.abs(w).T))**2)
            return Number(b.exact + a.exact @ w.T, error).rounded("f32")

        self.add(result, evaluate)

    def elementwise(self):
        x = self.input()
        y = self.choose([v for v in self.values if v[1:] == x[1:]])
        op = self.choose(["addf", "subf", "maximumf", "mulf"])
        result = (self.fresh(), x[1], x[2])
        self.lines.append(f"{result[0]} = arith.{op} {x[0]}, {y[0]} : {self.type(x)}")

        def evaluate(numbers, factors, narrow):
            a, b = numbers[x[0]], numbers[y[0]]
            exact = {"addf": np.add, "subf": np.subtract, "maximumf": np.maximum,
                     "mulf": np.multiply}[op](a.exact, b.exact)
            # The errors of the two may be the same ones.
            error = a.error + b.error
            if op == "mulf":
                error = a.error * np.abs(b.exact) + b.error * np.abs(a.exact) + a.error * b.error
            return Number(exact, error).rounded(x[2])

        self.add(result, evaluate)

    def cast(self):
        x = self.input()
        dtype = self.choose([t for t in ("f32", "f16", "bf16") if "f32" in (t, x[2]) and t != x[2]])
        result = (self.fresh(), x[1], dtype)
        op = "extf" if dtype == "f32" else "truncf"
        self.lines.append(f"{result[0]} = arith.{op} {x[0]} : {self.type(x)} to {self.type(result)}")
        self.add(result, lambda numbers, factors, narrow: numbers[x[0]].rounded(dtype))

    # -- the whole

    def finish(self):
        count = min(len(self.values), self.choose([1, 1, 2, 3]))
        others = self.rng.permutation(len(self.values) - 1)[:count - 1]
        self.results = [self.values[-1]] + [self.values[i] for i in others]
        kinds = ", ".join(map(self.type, self.results))
        names = ", ".join(value[0] for value in self.results)
        body = "\n  ".join(self.lines + [f"return {names} : {kinds}"])
        self.text = (f"func.func @{self.name}({', '.join(self.arguments)}) -> ({kinds}) {{\n"
                     f"  {body}\n}}\n")

    def evaluate(self, narrow, factors=None):
        """References of the results; `narrow` if expanded matrices are rounded to
        the factors' type."""
        numbers, factors = {}, factors or self.factors
        for name, step in self.steps:
            numbers[name] = step(numbers, factors, narrow)
        return [numbers[value[0]] for value in self.results]


def call(arguments, text=None):
    return subprocess.run([str(a) for a in arguments], check=True, input=text,
                          stdout=subprocess.PIPE).stdout


def check_round_trip(opt, text, name):
    printed = call(opt, text.encode())
    for form in [], ["--mlir-print-op-generic"], ["--emit-bytecode"]:
        again = call(opt, call([*opt, *form], printed))
        assert again == printed, f"{name}: a round trip ({form or 'text'}) changes the module"


def check_cuda(opt, functions, directory):
    """Compiles the functions for CUDA, three ways; returns how many were refused."""
    weights = f"--weights={directory / 'weights.safetensors'}"
    place = directory / "cuda"
    place.mkdir(exist_ok=True)
    compiler = ["structured-compile", "--target=cuda", place / "model.mlir", weights,
                "-o", place / "model.so"]
    accepted = [function for function in functions if not function.refused_by_cuda]
    for chosen, passes, options in (
            (accepted, [], ["--costs=none"]), (accepted, ["--canonicalize"], []),
            (functions, ["--structured-expand-to-dense"], [])):
        text = "".join(function.text for function in chosen)
        (place / "model.mlir").write_bytes(call([*opt, *passes], text.encode()))
        call([*compiler, *options])
    refused = 0
    for function in functions:
        if function.refused_by_cuda:
            (place / "model.mlir").write_text(function.text)
            run = subprocess.run(compiler, stderr=subprocess.PIPE, text=True)
            refused += run.returncode != 0  # not if the layer had no components
            assert run.returncode == 0 or (
                "error: 'structured.gblr.matmul' is left on the host" in run.stderr), (
                f"{function.name}: {run.stderr}\n{function.text}")
    return refused


def within(result, number):
    return np.abs(result - number.exact) <= DEVIATIONS * number.error


def check_results(function, directory, label):
    """The worst error, in what is allowed."""
    arguments = ["structured-run", directory / "model.so", f"--entry={function.name}",
                 "--threads=2", f"--output-dir={directory}"]
    for index, (array, dtype) in enumerate(function.inputs):
        np.save(directory / f"input{index}.npy", to_bits(array, dtype))
        arguments.append(f"--input=input{index}={directory / f'input{index}.npy'}")
    call(arguments)
    worst = 0.0
    for index, reference in enumerate(function.evaluate(label == "expanded")):
        result = from_bits(np.load(directory / f"output{index}.npy"), function.results[index][2])
        assert result.shape == reference.exact.shape, (function.name, label, index, result.shape)
        good = within(result, reference)
        if not np.all(good):
            place = tuple(map(int, np.argwhere(~good)[0]))
            sys.exit(f"{function.name}, {label}, result {index}: {np.sum(~good)} of {good.size} "
                     f"numbers are wrong, the first at {place}: {result[place]}, expected "
                     f"{reference.exact[place]}\n{function.text}")
        ratio = np.abs(result - reference.exact) / np.maximum(DEVIATIONS * reference.error, 1e-300)
        worst = max(worst, np.max(ratio, initial=0.0))
    return worst


def count_told_apart(function):
    """How many factors matter to the results, and for how many of them the
    numbers moved by a place are told from the right ones."""
    matter = told = 0
    right = function.evaluate(False)
    for name, array in function.factors.items():
        moved = np.roll(array.ravel(), 1).reshape(array.shape)
        wrong = function.evaluate(False, {**function.factors, name: moved})
        if all(np.array_equal(a.exact, b.exact) for a, b in zip(right, wrong)):
            continue
        matter += 1
        told += any(not np.all(within(b.exact, a)) for a, b in zip(right, wrong))
    return matter, told


def main():
    own, opt = sys.argv[1:], ["structured-opt"]
    if "--" in own:
        own, opt = own[:own.index("--")], own[own.index("--") + 1:]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args(own)

    functions = [Function(seed) for seed in range(options.first, options.first + options.count)]
    text = "".join(function.text for function in functions)
    directory = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    write_safetensors(directory / "weights.safetensors",
                      {k: v for f in functions for k, v in f.parameters.items()})
    for function in functions:
        check_round_trip(opt, function.text, function.name)
    worst = {}
    for label, passes in [("as it is", []), ("canonicalised", ["--canonicalize", "--cse"]),
                          ("expanded", ["--structured-expand-to-dense"])]:
        place = directory / label.split()[0]
        place.mkdir(exist_ok=True)
        (place / "model.mlir").write_bytes(call([*opt, *passes], text.encode()))
        call(["structured-compile", place / "model.mlir", "-o", place / "model.so",
              f"--weights={directory / 'weights.safetensors'}"])
        worst[label] = max(check_results(function, place, label) for function in functions)
    refused = check_cuda(opt, functions, directory)
    matter, told = map(sum, zip(*map(count_told_apart, functions)))
    assert told >= 0.95 * matter > 0, f"wrong factors: {told} of {matter} told apart"
    layers = sum(function.text.count("structured.") - function.text.count("structured.parameter")
                 for function in functions)
    print(f"{len(functions)} modules of {layers} layers; largest error, in what is allowed: "
          + ", ".join(f"{label} {ratio:.2f}" for label, ratio in worst.items())
          + f"; wrong factors told apart: {told} of {matter}; all agree; "
          f"{len(functions) - refused} compile for CUDA, {refused} refused")


if __name__ == "__main__":
    main()
