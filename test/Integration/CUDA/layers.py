# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, cuda
# RUN: %python %s %t | FileCheck %s --implicit-check-not=Traceback
# CHECK: linear_f32_1x1x1[T=1]: error
# CHECK: all layers agree
"""The layers of ../CPU/layers.py on a GPU, with the same bounds.

Between the stages of a BLAST layer Y and Z are rounded to the factors' type, of
a GBLR layer on tensor cores Y.
A result sums many such errors with random signs: relative to its root mean
square their sum has a standard deviation of about half a unit of roundoff. Of
the ten thousand elements compared here the largest, in tokens of larger numbers
than the mean, reach six units; ten are allowed.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "CPU"), str(HERE.parent / "CPU" / "Inputs")]
from harness import ROUNDOFF, Module
from layers import LAYERS, blast, gblr

#: Layers for few tokens, which are one kernel each.
DECODE = [blast([t], b_out, b_in, p, q, r, dtype, zero_init=True,
                factors_as_inputs=t == 3)
          for dtype in ("f16", "bf16") for t, b_out, b_in, p, q, r in [
              (1, 1, 1, 8, 8, 8), (1, 16, 16, 64, 64, 512), (2, 4, 4, 96, 96, 80),
              (3, 2, 5, 40, 24, 72), (8, 16, 16, 24, 16, 264), (16, 32, 24, 24, 40, 200)]]

COMPONENTS = [(190, 60, 300, 120, 8), (0, 200, 0, 392, 4), (50, 64, 64, 128, 1),
              (0, 8, 0, 8, 60), (100, 90, 200, 100, 70)]
#: GBLR layers of enough tokens for tensor cores, of sizes that fill no tile.
TILED = [gblr(f"tiled_{init}", [2100], 392, 200, COMPONENTS, dtype, zero_init=init == "zero")
         for dtype in ("f16", "bf16") for init in ("zero", "added")]


def rounding(layer):
    rounds = layer.kind == "blast" or layer in TILED
    return 10 * ROUNDOFF[layer.dtype] if rounds and layer.dtype != "f32" else 0


def main(directory, make_module=Module):
    weights = {}
    layers = LAYERS + DECODE + TILED
    for layer in layers:
        weights.update(layer.weights())
    module = make_module("".join(layer.mlir for layer in layers), directory, weights,
                         options=["--target=cuda", "--costs=none"])
    for layer in layers:
        layer.check(module, "", more=rounding(layer))
    print("all layers agree")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
