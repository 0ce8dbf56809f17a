# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, sm90
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""GBLR layers of enough tokens for tensor cores, of sizes that fill no tile, which
start from zeros or add to an argument; of one panel and of several, whose tiles wait
for each other, also in many runs one after the other."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import check_layers, check_runs
from layers import gblr

COMPONENTS = [(190, 60, 300, 120, 8), (0, 200, 0, 392, 4), (50, 64, 64, 128, 1),
              (0, 8, 0, 8, 60), (100, 90, 200, 100, 70)]
LAYERS = [gblr(f"tiled_{init}", [2100], 392, 200, COMPONENTS, dtype, zero_init=init == "zero")
          for dtype in ("f16", "bf16") for init in ("zero", "added")]
# Four panels of V, and five of U, one of which no component meets.
generator = np.random.default_rng(4)
PANELS = [(int(generator.integers(256, 900)), int(generator.integers(1, 300)),
           int(generator.integers(0, 776)), int(generator.integers(1, 500)),
           int(generator.integers(1, 20))) for _ in range(70)]
LAYERS += [gblr("panels_zero", [2100], 776, 1200, PANELS, "f16", zero_init=True),
           gblr("panels_added", [2049], 776, 1200, PANELS, "bf16")]
for layer in LAYERS:
    layer.on_tensor_cores = True
check_layers(LAYERS)
# What another run has left in memory would show.
check_runs(LAYERS[-2].name, (2100, 776), 90)
