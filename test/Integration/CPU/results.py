# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: %python %s %t
"""Results that are inputs, parameters, constants or each other, and inputs that
an op could be computed in: inputs keep their values, and each result is an
allocation of its own that the caller can free."""

import ctypes
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from harness import Module

Module("""
func.func @same(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @twice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<2x2xf32>, tensor<4xf32>) {
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %w = structured.parameter "w" : tensor<4xf32>
  %sum = linalg.add ins(%x, %w : tensor<4xf32>, tensor<4xf32>) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  %view = tensor.expand_shape %sum [[0, 1]] output_shape [2, 2] : tensor<4xf32> into tensor<2x2xf32>
  return %sum, %sum, %view, %c : tensor<4xf32>, tensor<4xf32>, tensor<2x2xf32>, tensor<4xf32>
}
func.func @choose(%x: tensor<4xf32>, %which: tensor<i1>) -> (tensor<4xf32>, tensor<4xf32>) {
  %w = structured.parameter "w" : tensor<4xf32>
  %c = tensor.extract %which[] : tensor<i1>
  %r = arith.select %c, %x, %w : tensor<4xf32>
  return %r, %w : tensor<4xf32>, tensor<4xf32>
}
""", sys.argv[1], weights={"w": (np.full(4, 10.0), "f32")})


def descriptor(rank):
    class Descriptor(ctypes.Structure):
        _fields_ = [("allocated", ctypes.c_void_p), ("aligned", ctypes.c_void_p),
                    ("offset", ctypes.c_int64), ("sizes", ctypes.c_int64 * rank),
                    ("strides", ctypes.c_int64 * rank)]
    return Descriptor


def describe(array):
    d = descriptor(array.ndim)()
    d.allocated = d.aligned = array.ctypes.data
    d.sizes[:] = array.shape
    d.strides[:] = [s // array.itemsize for s in array.strides]
    return d


def values(d):
    count = int(np.prod(d.sizes[:]))
    return np.ctypeslib.as_array(
        (ctypes.c_float * count).from_address(d.aligned + 4 * d.offset)).copy()


library = ctypes.CDLL(str(Path(sys.argv[1]) / "model.so"))
free = ctypes.CDLL(None).free
free.argtypes = [ctypes.c_void_p]


def call(entry, ranks, *arrays):
    class Results(ctypes.Structure):
        _fields_ = [(f"r{i}", descriptor(rank)) for i, rank in enumerate(ranks)]
    results = Results()
    pointers = [ctypes.pointer(a) for a in [results] + [describe(a) for a in arrays]]
    slots = [ctypes.cast(p, ctypes.c_void_p) for p in pointers]
    arguments = (ctypes.c_void_p * len(slots))(*[ctypes.addressof(s) for s in slots])
    getattr(library, f"structured_entry_{entry}")(arguments)
    outputs = [getattr(results, f"r{i}") for i in range(len(ranks))]
    allocations = [d.allocated for d in outputs]
    assert len(set(allocations)) == len(allocations), "results share an allocation"
    assert not set(allocations) & {a.ctypes.data for a in arrays}, "a result is an argument"
    data = [values(d) for d in outputs]
    for allocation in allocations:
        free(allocation)
    return data


x, w = np.arange(4, dtype=np.float32), np.full(4, 10, np.float32)
for _ in range(3):
    assert np.array_equal(call("same", [1], x)[0], [0, 1, 2, 3])
    results = call("twice", [1, 1, 2, 1], x, w)
    for result in results[:3]:
        assert np.array_equal(result, [10, 11, 12, 13]), result
    assert np.array_equal(results[3], [1, 2, 3, 4]), results[3]
    for which in (True, False):
        chosen, parameter = call("choose", [1, 1], x, np.array(which), w)
        assert np.array_equal(chosen, x if which else w), chosen
        assert np.array_equal(parameter, w)
    assert np.array_equal(x, [0, 1, 2, 3]) and np.array_equal(w, [10] * 4), "an argument changed"
