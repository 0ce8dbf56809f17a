# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: %python %s %t | FileCheck %s
# CHECK: linalg grouped_bf16: {{.*}} of what is allowed
# CHECK: raised grouped_bf16: {{.*}} of what is allowed
# CHECK: attention grouped_bf16: {{.*}} of what is allowed
# CHECK: all within
"""Attention spelt in linalg, the same raised and lowered back, and
structured.attention written by hand, against NumPy in float64."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from attentions import Case, as_attention, as_linalg, check
from harness import Module

CASES = [
    Case("heads", dict(h=3, t=5, l=7, d=9, e=6), "thd", "lhd", "lhe", "the"),
    Case("one_head", dict(t=33, l=65, d=16, e=48), "td", "dl", "le", "et"),
    Case("mask", dict(b=2, h=3, t=19, l=23, d=32, e=32), "bthd", "blhd", "blhe", "bhte", mask="bl"),
    Case("bias", dict(h=4, t=17, l=31, d=8, e=8), "htd", "hld", "hle", "hte", mask="htl", causal=True),
    Case("grouped", dict(k=2, g=3, t=13, l=37, d=24, e=24), "tkgd", "lkd", "lke", "tkge", causal=True),
    Case("grouped_bf16", dict(k=2, g=3, t=13, l=37, d=24, e=24), "tkgd", "lkd", "lke", "tkge",
         dtype="bf16", causal=True),
    Case("f16", dict(h=3, t=9, l=40, d=16, e=16), "htd", "hld", "hle", "the", dtype="f16", mask="tl"),
    Case("capped", dict(h=2, t=6, l=15, d=16, e=16), "thd", "lhd", "lhe", "the", capped=True, mask="h"),
    Case("shared", dict(a=2, b=3, t=11, l=29, d=16, e=12), "abtd", "ald", "le", "abte"),
    Case("dynamic", dict(b=2, h=3, t=21, l=45, d=16, e=16), "bhtd", "bhld", "bhle", "bhte", causal=True, dynamic="btl"),
]


def opt(mlir, *passes):
    return subprocess.run(["structured-opt", "-", *passes], input=mlir, text=True, check=True,
                          stdout=subprocess.PIPE).stdout


linalg = "".join(as_linalg(case) for case in CASES)
attention = "".join(as_attention(case) for case in CASES)
raised = opt(linalg, "--structured-raise-attention")
assert raised.count("= structured.attention") == len(CASES) and "linalg.contract" not in raised
lowered = opt(raised, "--structured-to-linalg")
assert "structured.attention" not in lowered
for what, mlir in [("linalg", linalg), ("raised", lowered), ("attention", attention)]:
    module = Module(mlir, Path(sys.argv[1]) / what)
    for case in CASES:
        check(what, module, case, position=3)
        if case.causal:
            check(what, module, case, position=-1)
print("all within")
