# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as MLIR, spelt in linalg and as structured.attention, with inputs and
references in float64."""

from dataclasses import dataclass

import numpy as np

from harness import ROUNDOFF, round_to


@dataclass
class Case:
    """Each letter of an operand is the loop of a dimension: t of queries, l of
    keys, d and e of features, all others batch loops."""

    name: str
    sizes: dict
    q: str
    k: str
    v: str
    o: str
    dtype: str = "f32"
    capped: bool = False  # tanh of the scores
    mask: str = ""        # loops of a mask that is added, in f32
    causal: bool = False  # a key is seen up to the query's position
    dynamic: str = ""     # loops whose size is not known to the compiler

    @property
    def batch(self):
        return "".join(c for c in self.o if c not in "te")

    def type(self, loops, dtype=None):
        sizes = ["?" if c in self.dynamic else str(self.sizes[c]) for c in loops]
        return f"tensor<{'x'.join(sizes)}x{dtype or self.dtype}>"


#: Error of sums and exponentials in f32, besides that of the scores.
SUM_ERROR = 8 * 2.0**-24


def maps(loops, operands):
    source = ", ".join(loops)
    return ", ".join(f"affine_map<({source}) -> ({', '.join(o)})>" for o in operands)


def score_ops(case, index):
    """The masked score of %score; `index` gives the value of a loop's index."""
    lines = [f"%scaled = arith.mulf %score, %scale : f32"]
    score = "%scaled"
    if case.capped:
        lines.append("%capped = math.tanh %scaled : f32")
        score = "%capped"
    if case.mask:
        lines.append(f"%added = arith.addf {score}, %bias : f32")
        score = "%added"
    if case.causal:
        lines += ["%first = tensor.extract %position[%c0] : tensor<1xi64>",
                  "%base = arith.index_cast %first : i64 to index",
                  f"%last = arith.addi %base, {index['t']} : index",
                  f"%seen = arith.cmpi sle, {index['l']}, %last : index",
                  f"%masked = arith.select %seen, {score}, %infinity : f32"]
        score = "%masked"
    return lines, score


def function(case, body):
    arguments = [("%q", case.type(case.q)), ("%k", case.type(case.k)), ("%v", case.type(case.v))]
    if case.mask:
        arguments.append(("%mask", case.type(case.mask, "f32")))
    if case.causal:
        arguments.append(("%position", "tensor<1xi64>"))
    text = ", ".join(f"{name}: {type}" for name, type in arguments)
    constants = [f"%c{i} = arith.constant {i} : index" for i in range(5)]
    constants += [f"%scale = arith.constant {case.sizes['d']**-0.5:.9e} : f32",
                  "%zero = arith.constant 0.0 : f32", "%infinity = arith.constant 0xFF800000 : f32"]
    if case.dtype != "f32":
        constants.append(f"%zero_{case.dtype} = arith.constant 0.0 : {case.dtype}")
    for loop in case.dynamic:
        operand = next(o for o in "qkv" if loop in getattr(case, o))
        loops = getattr(case, operand)
        constants.append(f"%size_{loop} = tensor.dim %{operand}, %c{loops.index(loop)} : {case.type(loops)}")
    lines = "\n  ".join(constants + body)
    return f"func.func @{case.name}({text}) -> {case.type(case.o)} {{\n  {lines}\n" \
           f"  return %o : {case.type(case.o)}\n}}\n"


def empty(case, name, loops, dtype):
    sizes = ", ".join(f"%size_{c}" for c in loops if c in case.dynamic)
    return f"{name} = tensor.empty({sizes}) : {case.type(loops, dtype)}"


def as_linalg(case):
    point, row = case.batch + "tl", case.batch + "t"
    product = "".join(c for c in point if c in case.q + case.k)
    body = []

    def filled(name, value, loops, dtype):
        type = case.type(loops, dtype)
        body.append(empty(case, name + "_e", loops, dtype))
        body.append(f"{name} = linalg.fill ins({value} : {dtype}) outs({name}_e : {type}) -> {type}")

    def contract(name, lhs, lhs_loops, rhs, rhs_loops, loops, dtype):
        filled(name + "0", "%zero" if dtype == "f32" else f"%zero_{dtype}", loops, dtype)
        every = "".join(dict.fromkeys(loops + lhs_loops + rhs_loops))
        body.append(f"{name} = linalg.contract indexing_maps = [{maps(every, [lhs_loops, rhs_loops, loops])}] "
                    f"ins({lhs}, {rhs} : {case.type(lhs_loops)}, {case.type(rhs_loops)}) "
                    f"outs({name}0 : {case.type(loops, dtype)}) -> {case.type(loops, dtype)}")

    def generic(name, inputs, init, loops, ops, result, dtype="f32"):
        iterators = ", ".join('"parallel"' if c in loops else '"reduction"' for c in point)
        arguments = "".join(f"{argument}: f32, " for argument, _, _ in inputs)
        body.append(
            f"{name} = linalg.generic {{indexing_maps = [{maps(point, [l for _, _, l in inputs] + [loops])}], "
            f"iterator_types = [{iterators}]}} ins({', '.join(value for _, value, _ in inputs)} : "
            f"{', '.join(case.type(l, 'f32') for _, _, l in inputs)}) outs({init} : {case.type(loops, dtype)}) {{\n"
            f"  ^bb0({arguments}%out: {dtype}):\n    " + "\n    ".join(ops) +
            f"\n    linalg.yield {result} : {dtype}\n  }} -> {case.type(loops, dtype)}")

    contract("%products", "%q", case.q, "%k", case.k, product, "f32")
    body.append(empty(case, "%points", point, "f32"))
    inputs = [("%score", "%products", product)]
    if case.mask:
        inputs.append(("%bias", "%mask", case.mask))
    indices = [f"%at_{c} = linalg.index {i} : index" for i, c in enumerate(point)]
    ops, result = score_ops(case, {c: f"%at_{c}" for c in point})
    generic("%scores", inputs, "%points", point, indices + ops, result)
    filled("%maxima0", "%infinity", row, "f32")
    generic("%maxima", [("%a", "%scores", point)], "%maxima0", row, ["%r = arith.maximumf %a, %out : f32"], "%r")
    generic("%exponentials", [("%a", "%scores", point), ("%b", "%maxima", row)], "%points", point,
            ["%s = arith.subf %a, %b : f32", "%r = math.exp %s : f32"], "%r")
    filled("%sums0", "%zero", row, "f32")
    generic("%sums", [("%a", "%exponentials", point)], "%sums0", row, ["%r = arith.addf %a, %out : f32"], "%r")
    body.append(empty(case, "%weights_e", point, case.dtype))
    ops, result = ["%r = arith.divf %a, %b : f32"], "%r"
    if case.dtype != "f32":
        ops, result = ops + [f"%n = arith.truncf %r : f32 to {case.dtype}"], "%n"
    generic("%weights", [("%a", "%exponentials", point), ("%b", "%sums", row)], "%weights_e", point, ops, result,
            case.dtype)
    contract("%o", "%weights", point, "%v", case.v, case.o, case.dtype)
    return function(case, body)


def as_attention(case):
    loops = case.batch + "tlde"
    ops, result = score_ops(case, {c: f"%at_{c}" for c in loops})
    if case.mask:
        read = ", ".join(f"%at_{c}" for c in case.mask)
        ops.insert(0, f"%bias = tensor.extract %mask[{read}] : {case.type(case.mask, 'f32')}")
    arguments = "".join(f", %at_{c}: index" for c in case.batch + "tl")
    return function(case, [
        empty(case, "%e", case.o, case.dtype),
        f"%o = structured.attention indexing_maps = [{maps(loops, [case.q, case.k, case.v, case.o])}] "
        f"ins(%q, %k, %v : {case.type(case.q)}, {case.type(case.k)}, {case.type(case.v)}) "
        f"outs(%e : {case.type(case.o)}) {{\n  ^bb0(%score: f32{arguments}):\n    " + "\n    ".join(ops) +
        f"\n    structured.yield {result} : f32\n  }} -> {case.type(case.o)}"])


def reference(case, q, k, v, mask, position):
    """The result, the sum of weights times values without their signs, and the
    largest sum of products of a score without theirs."""
    point = case.batch + "tl"
    shape = [case.sizes[c] for c in point]
    product = "".join(c for c in point if c in case.q + case.k)
    scores = np.einsum(f"{case.q},{case.k}->{product}", q, k) * case.sizes["d"]**-0.5
    ones = np.ones(shape)
    scores = np.einsum(f"{product},{point}->{point}", scores, ones)
    if case.capped:
        scores = np.tanh(scores)
    if case.mask:
        scores = scores + np.einsum(f"{case.mask},{point}->{point}", mask, ones)
    if case.causal:
        t, l = np.arange(case.sizes["t"])[:, None], np.arange(case.sizes["l"])
        scores = np.where(l <= position + t, scores, -np.inf)
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return (np.einsum(f"{point},{case.v}->{case.o}", weights, v),
            np.einsum(f"{point},{case.v}->{case.o}", weights, np.abs(v)),
            np.einsum(f"{case.q},{case.k}->{product}", np.abs(q), np.abs(k)).max() * case.sizes["d"]**-0.5)


def make_inputs(case, position):
    """(array, dtype) of each argument."""
    random = np.random.default_rng(len(case.name))
    normal = lambda loops, dtype: round_to(random.standard_normal([case.sizes[c] for c in loops]), dtype)
    q, k, v = (normal(loops, case.dtype) for loops in (case.q, case.k, case.v))
    # Scores of some size: the largest weights are far from the others.
    inputs = [(round_to(4 * q, case.dtype), case.dtype), (k, case.dtype), (v, case.dtype)]
    if case.mask:
        inputs.append((normal(case.mask, "f32"), "f32"))
    if case.causal:
        inputs.append((np.array([position]), "i64"))
    return inputs


def check(what, module, case, position):
    """Compares what `module` gives with the reference."""
    inputs = make_inputs(case, position)
    q, k, v = (array for array, _ in inputs[:3])
    mask = inputs[3][0] if case.mask else None
    result = module.run(case.name, inputs, case.dtype)
    expected, magnitude, largest_score = reference(case, q, k, v, mask, position)
    # Rows that see nothing are NaN, and no others.
    blind = np.isnan(expected)
    assert np.array_equal(np.isnan(result), blind), (what, case.name)
    assert np.any(blind) == (case.causal and position < 0), (what, case.name)
    rounded = ROUNDOFF[case.dtype] if case.dtype != "f32" else 0.0
    # Errors of a score and of the maximum are relative ones of a weight. Weights
    # that are subnormal in f16 have fewer digits.
    allowed = (rounded + SUM_ERROR + 2 * 2.0**-24 * largest_score) * magnitude + ROUNDOFF[case.dtype] * np.abs(expected) + \
        (2.0**-25 * case.sizes["l"] * np.abs(v).max() if case.dtype == "f16" else 0.0)
    worst = np.nanmax(np.abs(result - expected) / allowed)
    print(f"{what} {case.name}: {worst:.2f} of what is allowed")
    assert worst <= 1, (what, case.name)
