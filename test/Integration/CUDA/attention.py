# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, sm90
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""Attention by the kernel for Hopper against float64: blocks of keys that all, some
and none of a tile's queries see, sizes that fill no tile and no box, operands in all
orders of their dimensions and as parts of one tensor, masks that are read, functions
of scores, sizes that are not known; the same bits in many runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import compile_module, open_module
from attentions import Case, as_attention, as_linalg, check, make_inputs
from harness import ROUNDOFF, round_to
from structured import runtime

CASES = [
    # Several tiles of queries; thread blocks that share them, each with some of the keys.
    Case("causal", dict(k=2, g=3, t=450, l=700, d=128, e=128), "tkgd", "lkd", "lke", "tkge", "bf16", causal=True),
    Case("in_parts", dict(k=4, g=2, t=66, l=2500, d=72, e=40), "kgtd", "kld", "lke", "tkge", "f16", causal=True),
    Case("all", dict(h=7, t=257, l=640, d=64, e=64), "htd", "hld", "hle", "hte", "f16"),
    # One block of keys that is not full; features that fill no box.
    Case("few_keys", dict(h=16, t=8000, l=9, d=40, e=128), "thd", "lhd", "lhe", "the", "bf16"),
    Case("few_values", dict(h=8, t=450, l=300, d=128, e=24), "thd", "hld", "lhe", "hte", "f16"),
    # All heads share the values; keys are those of one batch.
    Case("shared", dict(a=4, b=4, t=470, l=150, d=80, e=72), "abtd", "ald", "le", "abte", "bf16"),
    # Queries between batches and heads, in one order and another.
    Case("batches", dict(b=3, h=4, t=300, l=310, d=64, e=32), "bthd", "bhld", "lhbe", "bthe", "bf16", causal=True),
    Case("mask", dict(h=24, t=600, l=620, d=64, e=64), "thd", "lhd", "lhe", "the", "bf16", mask="tl"),
    Case("mask_parts", dict(h=8, t=500, l=2100, d=64, e=64), "thd", "lhd", "lhe", "the", "f16", mask="l"),
    Case("bias", dict(h=48, t=400, l=450, d=32, e=32), "htd", "hld", "hle", "hte", "f16", mask="htl", causal=True),
    Case("capped", dict(h=24, t=700, l=520, d=128, e=128), "thd", "lhd", "lhe", "the", "f16", capped=True),
    Case("dynamic", dict(h=3, t=211, l=345, d=64, e=64), "htd", "hld", "lhe", "the", "bf16", causal=True,
         dynamic="tl"),
]
MANY_TIMES = [Case("many_times", dict(h=16, t=700, l=1000, d=128, e=64), "thd", "lhd", "lhe", "the", "f16",
                   causal=True),
              Case("many_times_parts", dict(h=4, t=500, l=3000, d=128, e=64), "thd", "lhd", "lhe", "the", "f16",
                   causal=True)]
#: Queries, keys and values side by side, and a result that is transposed.
PARTS = """func.func @parts(%x: tensor<400x1536xf16>) -> tensor<8x400x64xf16> {
  %e = tensor.empty() : tensor<8x400x64xf16>
  %qs = tensor.extract_slice %x[0, 0] [400, 512] [1, 1] : tensor<400x1536xf16> to tensor<400x512xf16>
  %ks = tensor.extract_slice %x[0, 512] [400, 512] [1, 1] : tensor<400x1536xf16> to tensor<400x512xf16>
  %vs = tensor.extract_slice %x[0, 1024] [400, 512] [1, 1] : tensor<400x1536xf16> to tensor<400x512xf16>
  %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [400, 8, 64] : tensor<400x512xf16> into tensor<400x8x64xf16>
  %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [400, 8, 64] : tensor<400x512xf16> into tensor<400x8x64xf16>
  %v = tensor.expand_shape %vs [[0], [1, 2]] output_shape [400, 8, 64] : tensor<400x512xf16> into tensor<400x8x64xf16>
  %o = structured.attention indexing_maps = [
      affine_map<(h, t, l, d, e) -> (t, h, d)>, affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>, affine_map<(h, t, l, d, e) -> (h, t, e)>]
      ins(%q, %k, %v : tensor<400x8x64xf16>, tensor<400x8x64xf16>, tensor<400x8x64xf16>)
      outs(%e : tensor<8x400x64xf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x400x64xf16>
  return %o : tensor<8x400x64xf16>
}
"""


def check_parts(module):
    x = round_to(np.random.default_rng(1).standard_normal((400, 1536)) / 3, "f16")
    result = module.run("parts", [(x, "f16")], "f16")
    q, k, v = x.reshape(400, 3, 8, 64).transpose(1, 2, 0, 3)
    weights = np.exp(q @ k.transpose(0, 2, 1))
    weights /= weights.sum(axis=-1, keepdims=True)
    # Weights and result are rounded; exponentials and sums are in f32.
    allowed = 1.1 * ROUNDOFF["f16"] * (weights @ np.abs(v) + np.abs(weights @ v))
    assert np.all(np.abs(result - weights @ v) <= allowed)


def check_runs(directory, case):
    module = runtime.Module.load(Path(directory) / "model.so")
    inputs = [array.astype(np.float16) if dtype == "f16" else array
              for array, dtype in make_inputs(case, 300)]
    first = module(*inputs, entry=case.name)[0].copy()
    for run in range(200):
        result, = module(*inputs, entry=case.name)
        assert result.tobytes() == first.tobytes(), run


half, directory = sys.argv[1:]
if half == "compile":
    # One spelt out, which the compiler raises.
    spelt, *others = CASES
    text = as_linalg(spelt) + "".join(as_attention(case) for case in [*others, *MANY_TIMES]) + PARTS
    compile_module(text, directory)
    # Each has the kernel.
    kernels = subprocess.run(["structured-compile", Path(directory) / "model.mlir", "--target=cuda", "--emit=ptx",
                              "-o", "-"], check=True, text=True, stdout=subprocess.PIPE).stdout
    assert kernels.count(".entry attention_") == len(CASES) + len(MANY_TIMES) + 1
else:
    module = open_module(directory)
    for case in [*CASES, *MANY_TIMES]:
        # So that the last queries see all keys; none at first; not all at last.
        for position in (case.sizes["l"] - case.sizes["t"], -1, 20) if case.causal else (0,):
            check("on the GPU", module, case, position)
    check_parts(module)
    for case in MANY_TIMES:
        check_runs(directory, case)
    print("all agree")
