# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, sm90
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""BLAST layers for few tokens, which are one kernel each, or one for up to three of
the same input.

Each is launched a thousand times, since its blocks wait for each other, and the
last result is checked.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import Siblings, check_layers
from layers import blast

siblings = [Siblings([blast([t], b_out, b_in, p, q, r, dtype) for _ in range(count)])
            for dtype in ("f16", "bf16") for count, t, b_out, b_in, p, q, r in [
                (2, 1, 4, 4, 96, 96, 80), (3, 1, 2, 2, 512, 256, 304), (3, 5, 4, 2, 264, 64, 96),
                (2, 16, 16, 8, 24, 40, 200), (4, 2, 3, 5, 136, 24, 72), (3, 4, 2, 2, 8, 8, 8)]]
check_layers([blast([t], b_out, b_in, p, q, r, dtype, zero_init=True,
                    factors_as_inputs=t == 3)
              for dtype in ("f16", "bf16") for t, b_out, b_in, p, q, r in [
                  (1, 1, 1, 8, 8, 8), (1, 16, 16, 64, 64, 512), (2, 4, 4, 96, 96, 80),
                  (3, 2, 5, 40, 24, 72), (8, 16, 16, 24, 16, 264), (16, 32, 24, 24, 40, 200),
                  (16, 2, 2, 512, 256, 136), (1, 2, 2, 1536, 384, 304),
                  (5, 4, 2, 608, 64, 96), (4, 2, 2, 1536, 384, 144),
                  (7, 4, 4, 2752, 128, 288), (2, 3, 5, 1032, 40, 504)]] + siblings,
             run_options=["--graph", "--repeat=1000"])
