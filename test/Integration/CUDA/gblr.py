# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, sm90
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""GBLR layers of enough tokens for tensor cores, of sizes that fill no tile, which
start from zeros or add to an argument."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import check_layers
from layers import gblr

COMPONENTS = [(190, 60, 300, 120, 8), (0, 200, 0, 392, 4), (50, 64, 64, 128, 1),
              (0, 8, 0, 8, 60), (100, 90, 200, 100, 70)]
LAYERS = [gblr(f"tiled_{init}", [2100], 392, 200, COMPONENTS, dtype, zero_init=init == "zero")
          for dtype in ("f16", "bf16") for init in ("zero", "added")]
for layer in LAYERS:
    layer.on_tensor_cores = True
check_layers(LAYERS)
