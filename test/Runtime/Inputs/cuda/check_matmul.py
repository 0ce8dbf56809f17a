# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_matmul.py STRUCTURED-RUN MODULE: products through structuredCudaMatmul
(matmul.c) against NumPy in float64: every combination of transposition, bias,
accumulation and activation, odd sizes, strided rows and a batch; directly, as a
graph, and with tuned algorithms."""

import itertools
import os
import subprocess
import sys

import numpy as np

RUN, MODULE = sys.argv[1:]
rng = np.random.default_rng(0)
x = rng.standard_normal(4096).astype(np.float32)
np.save("x.npy", x)


def expected(batch, m, n, k, lda, ldb, ldd, trans_a, trans_b, bias, use_c, alpha,
             beta, activation, offset):
    y = x[3072:].astype(np.float64)
    b = np.lib.stride_tricks.as_strided(
        x[1024:].astype(np.float64), (n, k) if trans_b else (k, n), (8 * ldb, 8))
    for s in range(batch):
        a = np.lib.stride_tricks.as_strided(
            x[offset + 256 * s:].astype(np.float64), (k, m) if trans_a else (m, k),
            (8 * lda, 8))
        d = np.lib.stride_tricks.as_strided(y[256 * s:], (m, n), (8 * ldd, 8))
        value = alpha * (a.T if trans_a else a) @ (b.T if trans_b else b)
        if use_c:
            value += beta * d
        if bias:
            first = 2048 + (64 * s if bias == 2 else 0)
            value += x[first:first + n]
        if activation == 1:
            value = np.maximum(value, 0)
        if activation == 2:
            value = 0.5 * value * (1 + np.tanh(np.sqrt(2 / np.pi) * (value + 0.044715 * value**3)))
        d[...] = value
    return y


def check(options, *numbers):
    environment = dict(os.environ, MATMUL=" ".join(map(str, (1, 1, *numbers))))
    subprocess.run([RUN, MODULE, "--input", "x=x.npy", "--output", "y.npy", *options],
                   env=environment, check=True, capture_output=True)
    # Sums of at most 13 products in f32: relative to their size 13 · 2^-24.
    # An element that is not written keeps a value that is off by about 1.
    np.testing.assert_allclose(np.load("y.npy"), expected(*numbers), rtol=1e-5, atol=1e-5,
                               err_msg=str((options, numbers)))


for trans_a, trans_b, bias, use_c in itertools.product((0, 1), repeat=4):
    # m 5, n 7, k 13, and rows longer than they need be.
    activation = (trans_a + 2 * trans_b + bias) % 3
    check([], 3, 5, 7, 13, 16, 20, 9, trans_a, trans_b, bias, use_c, 0.5,
          -2 if use_c else 0, activation, 0)
for activation in range(3):
    check(["--graph"], 2, 8, 16, 8, 8, 16, 16, 0, 0, 1, 0, 1, 0, activation, 0)
    check(["--tune"], 1, 8, 16, 8, 8, 16, 16, 0, 0, 1, 0, 1, 0, activation, 0)
# A bias for each of the batch.
check([], 3, 5, 7, 13, 16, 20, 9, 0, 0, 2, 0, 1, 0, 1, 0)
# In place: to try algorithms must not add more than once.
check(["--tune"], 3, 5, 7, 13, 16, 20, 9, 0, 1, 1, 1, 1, 1, 0, 0)
check(["--tune", "--graph"], 3, 5, 7, 13, 16, 20, 9, 0, 1, 1, 1, 1, 1, 0, 0)
# An operand that is aligned to its elements only.
check([], 1, 5, 7, 13, 13, 20, 9, 0, 0, 0, 0, 1, 0, 0, 1)
# Nothing to do.
check([], 1, 0, 7, 13, 13, 20, 9, 0, 0, 0, 0, 1, 0, 0, 0)
print("passed")
