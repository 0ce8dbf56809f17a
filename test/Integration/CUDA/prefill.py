# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, sm90
# RUN: %if compile-half %{ %python %s auto compile %modules-auto %}
# RUN: %if run-half %{ %python %s auto run %modules-auto %}
# RUN: %if compile-half %{ %python %s fused compile %modules-fused %}
# RUN: %if run-half %{ %python %s fused run %modules-fused %}
# RUN: %if compile-half %{ %python %s unfused compile %modules-unfused %}
# RUN: %if run-half %{ %python %s unfused run %modules-unfused %}
# RUN: %if compile-half %{ %python %s exchange compile %modules-exchange %}
# RUN: %if run-half %{ %python %s exchange run %modules-exchange %}
"""BLAST layers of many tokens, with kernels for tensor cores: as the compiler
chooses them (all stages in one kernel where thread blocks share tiles), these with
the third stage by the library, with a kernel for the second stage alone, and with one
whose thread blocks exchange Y. Sizes that fill no tile, more than one tile in each
direction, a dynamic number of tokens. Some are run many times. One has more tiles
than a GPU has multiprocessors: what a thread block brings for its next tile must not
reach what it still reads of the last. In the others' thread blocks wait for each
other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import check_layers, check_runs
from layers import blast

kernel = sys.argv.pop(1)
#: Several thread blocks share a tile.
SHARED = [(300, 4, 4, 264, 1032, 264), (2100, 3, 2, 200, 520, 456), (300, 8, 8, 264, 520, 264),
          (300, 2, 2, 520, 1032, 520), (300, 4, 4, 48, 1032, 520), (1030, 12, 16, 24, 72, 264)]
#: Thread blocks exchange Y: several tiles for each group of them, and more slices of ranks
#: than there is memory for; block columns in several pieces; fewer pieces than thread blocks;
#: fewer block rows; a part of a tile, and of the ranks of a slice.
EXCHANGED = [(300, 16, 16, 24, 16, 136), (1030, 12, 16, 24, 72, 264), (2100, 16, 12, 16, 256, 520),
             (700, 4, 5, 72, 520, 264), (128, 9, 15, 8, 200, 8), (5000, 3, 5, 40, 200, 264)]
LAYERS = []
for dtype in ("f16", "bf16"):
    if kernel == "exchange":
        LAYERS += [blast([t], b_out, b_in, p, q, r, dtype, zero_init=True)
                   for t, b_out, b_in, p, q, r in EXCHANGED]
        continue
    LAYERS += [blast([t], b_out, b_in, p, q, r, dtype, zero_init=True)
               for t, b_out, b_in, p, q, r in SHARED]
    if kernel == "fused":
        continue
    LAYERS += [blast([t], b_out, b_in, p, q, r, dtype, zero_init=True)
               for t, b_out, b_in, p, q, r in [
                   (256, 1, 1, 64, 64, 64), (300, 2, 2, 72, 136, 200), (1000, 2, 1, 24, 64, 88),
                   (257, 1, 2, 40, 8, 8), (513, 4, 4, 96, 96, 80), (320, 3, 5, 16, 40, 72),
                   (300, 8, 8, 24, 16, 136), (270, 16, 12, 8, 24, 72), (400, 16, 16, 16, 16, 264),
                   # Several tiles for each thread block.
                   (9000, 5, 3, 40, 200, 264), (9000, 16, 12, 16, 40, 264)]]
    LAYERS += [blast([256, 300, 1000, 9000], 3, 4, 24, 32, 80, dtype, zero_init=True, dynamic=True),
               blast([300], 2, 2, 40, 72, 64, dtype, zero_init=True, factors_as_inputs=True)]
#: A layer that is run so many times, by the kernels that it is for.
MANY_TIMES = {"auto": [(blast([8192], 8, 8, 128, 128, 1016, "f16", zero_init=True), (8192, 1024), 60),
                       (blast([1024], 4, 4, 512, 264, 504, "f16", zero_init=True), (1024, 1056), 300)],
              "exchange": [(blast([5000], 16, 16, 40, 136, 992, "f16", zero_init=True), (5000, 2176),
                            300)]}.get(kernel, [])
check_layers([*LAYERS, *(layer for layer, _, _ in MANY_TIMES)], [f"--blast-kernel={kernel}"])
for layer, shape, runs in MANY_TIMES:
    check_runs(layer.name, shape, runs)
