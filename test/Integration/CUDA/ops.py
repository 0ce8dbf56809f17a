# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, cuda
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""Ops that are no layers on a GPU, against float64 references: kernels for rows
and for points, of known, odd and dynamic sizes, of several types; contractions
by the library and by our kernels."""

import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import compile_module, open_module
from harness import ROUNDOFF, check, round_to

rng = np.random.default_rng(0)
CASES = []


def case(name, mlir, inputs, reference, dtype="f32", error=0.0):
    CASES.append((name, f"func.func @{name}{mlir}\n", inputs, reference, dtype, error))


def normal(*shape, dtype="f32"):
    return round_to(rng.standard_normal(shape), dtype), dtype


def loops(rank):
    return ", ".join("abcd"[:rank])


def generic(maps, kinds, ins, outs, block, body):
    maps = ", ".join(f"affine_map<({loops(len(kinds))}) -> ({m})>" for m in maps)
    kinds = ", ".join('"parallel"' if k == "p" else '"reduction"' for k in kinds)
    return (f"linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}} "
            f"{ins} {outs} {{\n  ^bb0({block}):\n    {body}\n  }}")


def softmax(name, rows, columns, dynamic):
    shape = "?x?" if dynamic else f"{rows}x{columns}"
    row = "?" if dynamic else str(rows)
    sizes = "(%r, %c)" if dynamic else "()"
    row_size = "(%r)" if dynamic else "()"
    full, part = f"tensor<{shape}xf32>", f"tensor<{row}xf32>"
    text = f"""(%x: {full}) -> {full} {{
  %i0 = arith.constant 0 : index
  %i1 = arith.constant 1 : index
  %r = tensor.dim %x, %i0 : {full}
  %c = tensor.dim %x, %i1 : {full}
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty{sizes} : {full}
  %p = tensor.empty{row_size} : {part}
  %m0 = linalg.fill ins(%minus : f32) outs(%p : {part}) -> {part}
  %m = {generic(["a, b", "a"], "pr", f"ins(%x : {full})", f"outs(%m0 : {part})",
                "%a: f32, %o: f32", "%v = arith.maximumf %a, %o : f32"
                + chr(10) + "    linalg.yield %v : f32")} -> {part}
  %d = {generic(["a, b", "a", "a, b"], "pp", f"ins(%x, %m : {full}, {part})",
                f"outs(%e : {full})", "%a: f32, %b: f32, %o: f32",
                "%s = arith.subf %a, %b : f32" + chr(10) + "    %v = math.exp %s : f32"
                + chr(10) + "    linalg.yield %v : f32")} -> {full}
  %s0 = linalg.fill ins(%zero : f32) outs(%p : {part}) -> {part}
  %s = {generic(["a, b", "a"], "pr", f"ins(%d : {full})", f"outs(%s0 : {part})",
                "%a: f32, %o: f32", "%v = arith.addf %a, %o : f32"
                + chr(10) + "    linalg.yield %v : f32")} -> {part}
  %y = {generic(["a, b", "a", "a, b"], "pp", f"ins(%d, %s : {full}, {part})",
                f"outs(%e : {full})", "%a: f32, %b: f32, %o: f32",
                "%v = arith.divf %a, %b : f32" + chr(10) + "    linalg.yield %v : f32")} -> {full}
  return %y : {full}
}}"""
    x, dtype = normal(rows, columns)
    e = np.exp(x - x.max(1, keepdims=True))
    # exp and the quotient: 2 units in the last place each; the sum.
    case(name, text, [(x, dtype)], e / e.sum(1, keepdims=True),
         error=ROUNDOFF["f32"] * (8 + 4 * math.sqrt(columns)))


softmax("softmax_held", 50, 128, False)
softmax("softmax_warps", 9, 1536, False)
softmax("softmax_long", 3, 40960, False)
softmax("softmax_odd", 7, 333, False)
softmax("softmax_one", 5, 1, False)
softmax("softmax_dynamic", 11, 77, True)
softmax("softmax_dynamic_long", 4, 5000, True)


def simple(name, op, reference, in_shape, out_shape, maps, kinds, dtype="f32", out=None,
           init=None, error=0.0, more="", integers=False):
    """One generic over one input."""
    out = out or dtype
    x = ((rng.integers(-50, 50, in_shape), dtype) if integers else normal(*in_shape, dtype=dtype))
    in_type = f"tensor<{'x'.join(map(str, in_shape + (dtype,)))}>"
    out_type = f"tensor<{'x'.join(map(str, out_shape + (out,)))}>"
    start = ""
    if init is not None:
        start = f"%c = arith.constant {init} : {out}\n  %z = linalg.fill ins(%c : {out}) outs(%e : {out_type}) -> {out_type}"
    case(name, f"""(%x: {in_type}) -> {out_type} {{
  %e = tensor.empty() : {out_type}
  {start}
  %y = {generic(maps, kinds, f"ins(%x : {in_type})",
                f"outs({'%z' if start else '%e'} : {out_type})",
                f"%a: {dtype}, %o: {out}", op + chr(10) + f"    linalg.yield %v : {out}")} -> {out_type}
  return %y : {out_type}
}}""", [x], reference(x[0]), out, error)


simple("columns", "%v = arith.addf %a, %o : f32", lambda x: x.sum(0), (300, 70), (70,),
       ["b, a", "a"], "pr", init="0.0", error=4 * math.sqrt(300) * ROUNDOFF["f32"])
simple("everything", "%v = arith.addf %a, %o : f32", lambda x: x.sum(), (37, 1000), (),
       ["a, b", ""], "rr", init="0.0", error=4 * math.sqrt(37000) * ROUNDOFF["f32"])
simple("sum_i64", "%v = arith.addi %a, %o : i64", lambda x: x.sum(1), (6, 700), (6,),
       ["a, b", "a"], "pr", "i64", init="0", integers=True)
simple("max_i32", "%v = arith.maxsi %a, %o : i32", lambda x: x.max(1), (6, 700), (6,),
       ["a, b", "a"], "pr", "i32", init="-1000", integers=True)
simple("sum_f64", "%v = arith.addf %a, %o : f64", lambda x: x.sum(1), (6, 700), (6,),
       ["a, b", "a"], "pr", "f64", init="0.0", error=4 * math.sqrt(700) * ROUNDOFF["f64"])
simple("max_f16", "%v = arith.maximumf %a, %o : f16", lambda x: x.max(1), (6, 700), (6,),
       ["a, b", "a"], "pr", "f16", init="0xFC00")
simple("minus", "%v = arith.subf %o, %a : f32", lambda x: -x.sum(1), (6, 70), (6,),
       ["a, b", "a"], "pr", init="0.0", error=4 * math.sqrt(70) * ROUNDOFF["f32"])
simple("transpose", "%v = arith.negf %a : f32", lambda x: -x.T, (45, 64), (64, 45),
       ["b, a", "a, b"], "pp")
simple("transpose_bf16", "%v = arith.negf %a : bf16", lambda x: -x.transpose(2, 0, 1),
       (5, 12, 8), (8, 5, 12), ["b, c, a", "a, b, c"], "ppp", "bf16")
simple("erf", "%v = math.erf %a : f32", np.vectorize(math.erf), (3, 1000), (3, 1000),
       ["a, b", "a, b"], "pp", error=8 * ROUNDOFF["f32"])
simple("tanh_odd", "%v = math.tanh %a : f32", np.tanh, (3, 333), (3, 333),
       ["a, b", "a, b"], "pp", error=8 * ROUNDOFF["f32"])
simple("rsqrt", "%s = math.absf %a : f32\n    %v = math.rsqrt %s : f32",
       lambda x: 1 / np.sqrt(np.abs(x)), (1000,), (1000,), ["a", "a"], "p",
       error=4 * ROUNDOFF["f32"])
simple("log_bf16", "%s = math.absf %a : bf16\n    %v = math.log %s : bf16",
       lambda x: np.log(np.abs(x)), (64,), (64,), ["a", "a"], "p", "bf16",
       error=8 * ROUNDOFF["f32"])

def pointwise(name, body, inputs, reference, error):
    """One generic over points of several inputs, f32: its block has %a0, %a1, …"""
    vector = f"tensor<{len(reference)}xf32>"
    names = [f"%x{i}" for i in range(len(inputs))]
    arguments = ", ".join(f"{x}: {vector}" for x in names)
    ins = f"ins({', '.join(names)} : {', '.join([vector] * len(inputs))})"
    block = ", ".join([*(f"%a{i}: f32" for i in range(len(inputs))), "%o: f32"])
    lines = "\n    ".join([*body, "linalg.yield %v : f32"])
    case(name, f"""({arguments}) -> {vector} {{
  %e = tensor.empty() : {vector}
  %y = {generic(["a"] * (len(inputs) + 1), "p", ins, f"outs(%e : {vector})", block, lines)} -> {vector}
  return %y : {vector}
}}""", [(x, "f32") for x in inputs], reference, error=error)


# exp over its whole range, in units of the true value: its error and the quotient's,
# and that of the true value's rounding.
exponents = round_to(np.linspace(-87.3, 88.7, 5003), "f32")
pointwise("exp_range", ["%p = math.exp %a0 : f32", "%v = arith.divf %p, %a1 : f32"],
          [exponents, round_to(np.exp(exponents), "f32")], np.ones(len(exponents)),
          (5 + 4 + 1) * ROUNDOFF["f32"])
# Where it is 0 or infinite, it is no NaN.
pointwise("exp_ends", ["%minus = arith.negf %a0 : f32", "%small = math.exp %minus : f32",
                       "%large = math.exp %a0 : f32", "%one = arith.constant 1.0 : f32",
                       "%inverse = arith.divf %one, %large : f32",
                       "%v = arith.addf %small, %inverse : f32"],
          [np.array([0, 89.5, 104.5, 200, 1e30, np.inf])], np.array([2.0, 0, 0, 0, 0, 0]),
          4 * ROUNDOFF["f32"])
simple("positive", "%z = arith.constant 0.0 : f32\n    %v = arith.cmpf ogt, %a, %z : f32",
       lambda x: x > 0, (3, 100), (3, 100), ["a, b", "a, b"], "pp", out="i1")

TABLE = np.array([0.5, -2.0, 8.0, 3.0])
indices = rng.integers(0, 4, (5, 6))
case("gather", f"""(%x: tensor<5x6xi64>) -> tensor<5x6xf32> {{
  %t = arith.constant dense<{TABLE.tolist()}> : tensor<4xf32>
  %e = tensor.empty() : tensor<5x6xf32>
  %y = {generic(["a, b", "a, b"], "pp", "ins(%x : tensor<5x6xi64>)", "outs(%e : tensor<5x6xf32>)",
                "%a: i64, %o: f32", "%i = arith.index_cast %a : i64 to index" + chr(10)
                + "    %v = tensor.extract %t[%i] : tensor<4xf32>" + chr(10)
                + "    linalg.yield %v : f32")} -> tensor<5x6xf32>
  return %y : tensor<5x6xf32>
}}""", [(indices, "i64")], TABLE[indices])
case("constant", f"""(%x: tensor<4xf32>) -> tensor<4xf32> {{
  %t = arith.constant dense<{TABLE.tolist()}> : tensor<4xf32>
  return %t : tensor<4xf32>
}}""", [normal(4)], TABLE)


def contraction(name, dims, left, right, out, sizes, dtype="f32", out_dtype=None):
    """`left` etc. are indices such as "t k d"."""
    out_dtype = out_dtype or dtype
    shape = lambda s: tuple(sizes[d] for d in s.split())
    tensor = lambda s, t: f"tensor<{'x'.join(map(str, shape(s) + (t,)))}>"
    maps = ", ".join(f"affine_map<({', '.join(dims.split())}) -> ({', '.join(s.split())})>"
                     for s in (left, right, out))
    x, y = normal(*shape(left), dtype=dtype), normal(*shape(right), dtype=dtype)
    o = normal(*shape(out), dtype=out_dtype)
    terms = math.prod(sizes[d] for d in dims.split() if d not in out.split())
    compact = [s.replace(" ", "") for s in (left, right, out)]
    reference = o[0] + np.einsum(f"{compact[0]},{compact[1]}->{compact[2]}", x[0], y[0])
    case(name, f"""(%x: {tensor(left, dtype)}, %y: {tensor(right, dtype)}, %o: {tensor(out, out_dtype)}) -> {tensor(out, out_dtype)} {{
  %r = linalg.contract indexing_maps = [{maps}] ins(%x, %y : {tensor(left, dtype)}, {tensor(right, dtype)})
      outs(%o : {tensor(out, out_dtype)}) -> {tensor(out, out_dtype)}
  return %r : {tensor(out, out_dtype)}
}}""", [x, y, o], reference, out_dtype,
         4 * ROUNDOFF["f32" if dtype != "f64" else "f64"] * (1 + math.sqrt(terms)))


SIZES = dict(t=19, k=3, g=2, l=23, d=16, b=4, m=40, n=24)
contraction("scores", "t k g l d", "t k g d", "l k d", "k g t l", SIZES)
contraction("mix_heads", "t k g d l", "k g t l", "l k d", "t k g d", SIZES)
contraction("scores_bf16", "t k g l d", "t k g d", "l k d", "k g t l", SIZES, "bf16", "f32")
contraction("swapped", "m n d", "m d", "d n", "n m", SIZES, "f16")
contraction("batches", "b k m n d", "b m k d", "k d b n", "b k m n", SIZES)
contraction("merged", "b t m n", "b t n", "m n", "b t m", SIZES)
contraction("vector", "m n", "n", "m n", "m", SIZES)
contraction("row", "t m n", "t n", "n m", "t m", {**SIZES, "t": 1})
contraction("ours_f64", "m n d", "m d", "d n", "m n", SIZES, "f64")
contraction("ours_two_sums", "m n k l", "k l m", "l k n", "m n", SIZES)
contraction("ours_mix", "b t d k", "b k d", "k t d", "b t d", SIZES, "bf16")


def epilogue(name, tokens, n, m, dtype, activation, bias=True, dynamic=False):
    """A dense layer, its bias and its activation, which are one product of the library:
    the sum is not rounded before the end."""
    t = "?" if dynamic else tokens
    x_type, w_type, y_type = (f"tensor<{s}x{dtype}>" for s in (f"{t}x{n}", f"{m}x{n}", f"{t}x{m}"))
    b_type = f"tensor<{m}x{dtype}>"
    relu = ["%g = arith.maximumf %s, %zero : f32"]
    gelu = ["%square = arith.mulf %s, %s : f32", "%cube = arith.mulf %square, %s : f32",
            "%term = arith.mulf %cube, %cubic : f32", "%inner = arith.addf %s, %term : f32",
            "%scaled = arith.mulf %inner, %root : f32", "%tanh = math.tanh %scaled : f32",
            "%plus = arith.addf %tanh, %one : f32", "%part = arith.mulf %s, %plus : f32",
            "%g = arith.mulf %part, %half : f32"]
    wide = ([f"%wa = arith.extf %a : {dtype} to f32", f"%wc = arith.extf %c : {dtype} to f32",
             "%s = arith.addf %wa, %wc : f32"] if bias
            else [f"%s = arith.extf %a : {dtype} to f32"])
    body = "\n    ".join([*wide, *(gelu if activation == "gelu" else relu),
                         f"%v = arith.truncf %g : f32 to {dtype}", f"linalg.yield %v : {dtype}"])
    ins = f"ins(%y, %b : {y_type}, {b_type})" if bias else f"ins(%y : {y_type})"
    after = generic(["a, b", *(["b"] if bias else []), "a, b"], "pp", ins, f"outs(%e : {y_type})",
                    f"%a: {dtype}, {f'%c: {dtype}, ' if bias else ''}%o: {dtype}", body)
    constants = {"zero": 0.0, "half": 0.5, "one": 1.0, "cubic": 0.044715, "root": 0.7978845608}
    lines = "\n".join(f"  %{key} = arith.constant {value} : f32"
                      for key, value in constants.items())
    argument = f", %b: {b_type}" if bias else ""
    x = normal(tokens, n, dtype=dtype)
    w = round_to(rng.standard_normal((m, n)) * 2 / math.sqrt(n), dtype), dtype
    b = normal(m, dtype=dtype)
    s = x[0] @ w[0].T + (b[0] if bias else 0)
    reference = np.maximum(s, 0) if activation == "relu" else 0.5 * s * (
        1 + np.tanh(math.sqrt(2 / math.pi) * (s + 0.044715 * s**3)))
    case(name, f"""(%x: {x_type}, %w: {w_type}{argument}) -> {y_type} {{
{lines}
  %narrow = arith.constant 0.0 : {dtype}
  %i0 = arith.constant 0 : index
  %t = tensor.dim %x, %i0 : {x_type}
  %e = tensor.empty({"%t" if dynamic else ""}) : {y_type}
  %z = linalg.fill ins(%narrow : {dtype}) outs(%e : {y_type}) -> {y_type}
  %y = structured.linear ins(%x, %w : {x_type}, {w_type}) outs(%z : {y_type}) -> {y_type}
  %r = {after} -> {y_type}
  return %r : {y_type}
}}""", [x, w, *([b] if bias else [])], reference, dtype,
         # GELU is no steeper than 1.13, and the library's is exact up to 5.4e-6.
         4 * 1.13 * ROUNDOFF["f32"] * (1 + math.sqrt(n))
         + (1e-5 if activation == "gelu" else 0))


for dtype in ("f16", "bf16"):
    epilogue(f"gelu_{dtype}", 150, 264, 200, dtype, "gelu")
    epilogue(f"gelu_no_bias_{dtype}", 64, 128, 96, dtype, "gelu", bias=False)
    epilogue(f"gelu_dynamic_{dtype}", 33, 72, 104, dtype, "gelu", dynamic=True)
    epilogue(f"relu_{dtype}", 150, 264, 200, dtype, "relu")


def main(half, directory):
    if half == "compile":
        compile_module("".join(text for _, text, *_ in CASES), directory)
        return
    module = open_module(directory)
    for name, _, inputs, reference, dtype, error in CASES:
        result = module.run(name, inputs, dtype)
        if dtype.startswith("i"):
            assert np.array_equal(result, reference), name
            print(f"{name}: equal")
        else:
            check(name, result, np.asarray(reference, np.float64), dtype, error)
    print(f"{len(CASES)} ops agree")


main(*sys.argv[1:])
