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

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import compile_module, open_module
from attentions import Case, as_attention, as_linalg, check, make_inputs
from harness import ROUNDOFF, round_to
from structured import runtime

BATCH = dict(k=2, g=3)
CASES = [
    # Several tiles of queries and blocks of keys.
    Case("causal", dict(**BATCH, t=450, l=700, d=128, e=128), "tkgd", "lkd", "lke", "tkge", "bf16", causal=True),
    Case("all", dict(h=3, t=257, l=640, d=64, e=64), "htd", "hld", "hle", "hte", "f16"),
    # One block of keys that is not full; features that fill no box.
    Case("few_keys", dict(h=2, t=64, l=9, d=40, e=128), "thd", "lhd", "lhe", "the", "bf16"),
    Case("few_values", dict(h=2, t=130, l=300, d=128, e=24), "thd", "hld", "lhe", "hte", "f16"),
    # All heads share the values; keys are those of one batch.
    Case("shared", dict(a=2, b=3, t=70, l=150, d=80, e=72), "abtd", "ald", "le", "abte", "bf16"),
    Case("mask", dict(h=3, t=150, l=333, d=64, e=64), "thd", "lhd", "lhe", "the", "bf16", mask="tl"),
    Case("bias", dict(h=4, t=100, l=260, d=32, e=32), "htd", "hld", "hle", "hte", "f16", mask="htl", causal=True),
    Case("capped", dict(h=2, t=140, l=200, d=128, e=128), "thd", "lhd", "lhe", "the", "f16", capped=True),
    Case("dynamic", dict(h=3, t=211, l=345, d=64, e=64), "htd", "hld", "lhe", "the", "bf16", causal=True,
         dynamic="tl"),
]
MANY_TIMES = Case("many_times", dict(h=16, t=700, l=1000, d=128, e=64), "thd", "lhd", "lhe", "the", "f16",
                  causal=True)
#: Queries, keys and values side by side, and a result that is transposed.
PARTS = """func.func @parts(%x: tensor<200x1152xf16>) -> tensor<6x200x64xf16> {
  %e = tensor.empty() : tensor<6x200x64xf16>
  %qs = tensor.extract_slice %x[0, 0] [200, 384] [1, 1] : tensor<200x1152xf16> to tensor<200x384xf16>
  %ks = tensor.extract_slice %x[0, 384] [200, 384] [1, 1] : tensor<200x1152xf16> to tensor<200x384xf16>
  %vs = tensor.extract_slice %x[0, 768] [200, 384] [1, 1] : tensor<200x1152xf16> to tensor<200x384xf16>
  %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [200, 6, 64] : tensor<200x384xf16> into tensor<200x6x64xf16>
  %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [200, 6, 64] : tensor<200x384xf16> into tensor<200x6x64xf16>
  %v = tensor.expand_shape %vs [[0], [1, 2]] output_shape [200, 6, 64] : tensor<200x384xf16> into tensor<200x6x64xf16>
  %o = structured.attention indexing_maps = [
      affine_map<(h, t, l, d, e) -> (t, h, d)>, affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>, affine_map<(h, t, l, d, e) -> (h, t, e)>]
      ins(%q, %k, %v : tensor<200x6x64xf16>, tensor<200x6x64xf16>, tensor<200x6x64xf16>)
      outs(%e : tensor<6x200x64xf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<6x200x64xf16>
  return %o : tensor<6x200x64xf16>
}
"""


def check_parts(module):
    x = round_to(np.random.default_rng(1).standard_normal((200, 1152)) / 3, "f16")
    result = module.run("parts", [(x, "f16")], "f16")
    q, k, v = x.reshape(200, 3, 6, 64).transpose(1, 2, 0, 3)
    weights = np.exp(q @ k.transpose(0, 2, 1))
    weights /= weights.sum(axis=-1, keepdims=True)
    # Weights and result are rounded; exponentials and sums are in f32.
    allowed = 1.1 * ROUNDOFF["f16"] * (weights @ np.abs(v) + np.abs(weights @ v))
    assert np.all(np.abs(result - weights @ v) <= allowed)


def check_runs(directory):
    module = runtime.Module.load(Path(directory) / "model.so")
    inputs = [array.astype(np.float16) if dtype == "f16" else array
              for array, dtype in make_inputs(MANY_TIMES, 300)]
    first = module(*inputs, entry=MANY_TIMES.name)[0].copy()
    for run in range(200):
        result, = module(*inputs, entry=MANY_TIMES.name)
        assert result.tobytes() == first.tobytes(), run


half, directory = sys.argv[1:]
if half == "compile":
    # One spelt out, which the compiler raises.
    spelt, *others = CASES
    compile_module(as_linalg(spelt) + "".join(as_attention(case) for case in [*others, MANY_TIMES]) + PARTS,
                   directory)
else:
    module = open_module(directory)
    for case in [*CASES, MANY_TIMES]:
        # So that the last queries see all keys; none at first; not all at last.
        for position in (case.sizes["l"] - case.sizes["t"], -1, 20) if case.causal else (0,):
            check("on the GPU", module, case, position)
    check_parts(module)
    check_runs(directory)
    print("all agree")
