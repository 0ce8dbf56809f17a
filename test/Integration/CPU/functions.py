# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: %python %s %t | FileCheck %s
# CHECK: erf: {{.*}} units
# CHECK: all within
"""Errors of the approximated functions over their range, in units of the last
place of the largest of |f(x)| and the smallest normal number (of 1 for erf and
tanh, which are used near sums with 1), and their special values."""

import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from harness import Module

# Function: float64 reference, range, relative error?, allowed units of 2^-24.
FUNCTIONS = {
    "erf": (np.vectorize(math.erf), (-6, 6), False, 6),
    "tanh": (np.tanh, (-12, 12), False, 6),
    "exp": (np.exp, (-80, 88), True, 2),
    "log": (np.log, (1e-6, 1e6), False, 2),
}
SPECIAL = {
    "erf": [(-np.inf, -1), (np.inf, 1), (0, 0), (np.nan, np.nan)],
    "tanh": [(-np.inf, -1), (np.inf, 1), (0, 0), (np.nan, np.nan)],
    "exp": [(-np.inf, 0), (np.inf, np.inf), (0, 1), (-1000, 0), (1000, np.inf), (np.nan, np.nan)],
    "log": [(0, -np.inf), (np.inf, np.inf), (1, 0), (-1, np.nan), (np.nan, np.nan)],
}

mlir = "".join(f"""
func.func @{name}(%x: tensor<?xf32>) -> tensor<?xf32> {{
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %empty = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {{indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}}
      ins(%x : tensor<?xf32>) outs(%empty : tensor<?xf32>) {{
  ^bb0(%a: f32, %out: f32):
    %f = math.{name} %a : f32
    linalg.yield %f : f32
  }} -> tensor<?xf32>
  return %y : tensor<?xf32>
}}""" for name in FUNCTIONS)
module = Module(mlir, sys.argv[1])

for name, (reference, (low, high), relative, units) in FUNCTIONS.items():
    x = np.linspace(low, high, 200003).astype(np.float32)
    y = module.run(name, [(x, "f32")], "f32")
    expected = reference(x.astype(np.float64))
    scale = np.abs(expected) if relative else np.maximum(np.abs(expected), 1)
    error = np.max(np.abs(y - expected) / scale) * 2**24
    print(f"{name}: {error:.2f} units, {units} allowed")
    assert error <= units, name
    x, expected = np.array(SPECIAL[name], np.float64).T
    y = module.run(name, [(x, "f32")], "f32")
    assert np.array_equal(y, expected, equal_nan=True), (name, x, y, expected)
print("all within")
