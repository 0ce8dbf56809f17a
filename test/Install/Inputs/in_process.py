"""Compiles a layer in this process, runs it, and compares it with NumPy."""

import sys

import numpy as np
from structured import compiler, runtime

path = compiler.Model.load(sys.argv[1]).compile("layer.so")
module = runtime.Module.load(path)
x, w, y0 = (np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
            for seed, shape in enumerate([(4, 8), (12, 8), (4, 12)]))
y, = module(x, w, y0)
error = np.abs(y - (y0 + x.astype(np.float64) @ w.T)).max()
assert error < 1e-5, error
print("in process: equal")
