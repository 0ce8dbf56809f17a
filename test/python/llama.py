# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: rm -rf %t && mkdir %t
# RUN: %python %s %t
# RUN: not %python -m structured.llama %t/bad --heads 3 2>&1 | FileCheck %s --check-prefix=HEADS
# RUN: not %python -m structured.llama %t/bad --kv-heads 5 2>&1 | FileCheck %s --check-prefix=KV
# RUN: not %python -m structured.llama %t/bad --prefill 9 --length 8 2>&1 | FileCheck %s --check-prefix=LENGTH
# RUN: not %python -m structured.llama %t/bad --dtype f64 2>&1 | FileCheck %s --check-prefix=DTYPE
# RUN: not %python -m structured.llama %t/bad --blocks 3 2>&1 | FileCheck %s --check-prefix=BLOCKS
# RUN: not %python -m structured.llama %t/bad --blocks 4 --keep 0 2>&1 | FileCheck %s --check-prefix=KEEP
# RUN: not ls %t/bad
# HEADS: error: 3 heads do not divide hidden = 4096 into even parts
# KV: error: 5 kv_heads do not divide 32 heads
# LENGTH: error: prefill = 9 is not in 1 … length = 8
# DTYPE: error: dtype is f64, not f32, f16 or bf16
# BLOCKS: error: 3 blocks do not divide the layers' sizes
# KEEP: error: blocks = 4 is negative, or keep = 0.0 is not in (0, 1]
"""The decoder layer, dense and of BLAST matrices, compiled for the CPU, against
NumPy in float64: several tokens, then one with the cache they leave."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from structured import llama

rng = np.random.default_rng(0)


def forward(w, c, x, position, keys, values):
    """x [T, hidden], keys and values [length, kv_heads, head]; the same as the
    entries."""
    tokens, half = len(x), c.head // 2
    at = position + np.arange(tokens)

    def norm(name, x):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c.epsilon) * w[name + ".weight"]

    def rotate(x):
        cos, sin = (w["rotary." + n][at][:, None] for n in ("cos", "sin"))
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def linear(name, x):
        if c.blocks == 0:
            return x @ w[name + ".weight"].T
        u, s, vt = (w[f"{name}.{factor}"] for factor in ("U", "S", "Vt"))
        y = np.einsum("tjq,jrq->jtr", x.reshape(tokens, c.blocks, -1), vt)
        return np.einsum("ijr,jtr,ipr->tip", s, y, u).reshape(tokens, -1)

    y = norm("input_norm", x)
    q = rotate(linear("attention.q", y).reshape(tokens, c.heads, c.head))
    keys, values = keys.copy(), values.copy()
    keys[at] = rotate(linear("attention.k", y).reshape(tokens, c.kv_heads, c.head))
    values[at] = linear("attention.v", y).reshape(tokens, c.kv_heads, c.head)
    attended = np.zeros_like(q)
    for head in range(c.heads):
        kv = head // (c.heads // c.kv_heads)
        for t in range(tokens):
            seen = slice(0, at[t] + 1)
            scores = keys[seen, kv] @ q[t, head] / np.sqrt(c.head)
            weights = np.exp(scores - scores.max())
            attended[t, head] = weights / weights.sum() @ values[seen, kv]
    x = x + linear("attention.o", attended.reshape(tokens, -1))
    y = norm("post_norm", x)
    gate = linear("mlp.gate", y)
    x = x + linear("mlp.down", gate / (1 + np.exp(-gate)) * linear("mlp.up", y))
    return x, keys, values


def check(directory, blocks):
    directory.mkdir()
    c = llama.DecoderConfig(hidden=48, intermediate=100, heads=6, kv_heads=2, length=13,
                            prefill=5, blocks=blocks)
    weights = llama.make_weights(c)
    llama.write_mlir(c, directory / "model.mlir")
    save_file(weights, directory / "weights.safetensors")
    subprocess.run(["structured-compile", directory / "model.mlir", "--weights",
                    directory / "weights.safetensors", "-o", directory / "model.so"], check=True)
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    keys, values = (rng.standard_normal((13, 2, 8)).astype(np.float32) for _ in range(2))
    for entry, tokens, position in (("prefill", 5, 3), ("decode", 1, 8)):
        x = rng.standard_normal((tokens, 48)).astype(np.float32)
        expected = forward(w, c, *(a.astype(np.float64) for a in (x,)), position,
                           keys.astype(np.float64), values.astype(np.float64))
        inputs = {"x": x, "position": np.array([position]), "keys": keys, "values": values}
        arguments = []
        for name, array in inputs.items():
            np.save(directory / f"{name}.npy", array)
            arguments.append(f"--input={name}={directory / name}.npy")
        subprocess.run(["structured-run", directory / "model.so", f"--entry={entry}", *arguments,
                        f"--output-dir={directory / entry}"], check=True,
                       stdout=subprocess.DEVNULL)
        results = [np.load(path) for path in sorted((directory / entry).glob("*.npy"))]
        # Seven layers after each other with sums of at most 100 terms in f32, or
        # three of at most 50.
        for result, reference in zip(results, expected, strict=True):
            error = np.abs(result - reference).max() / np.sqrt((reference**2).mean())
            print(f"{entry}: error {error:.1e}")
            assert error < (3 if blocks else 1) * 7 * 4 * 10 * 2.0**-24, entry
        _, keys, values = results


check(Path(sys.argv[1]) / "dense", 0)
check(Path(sys.argv[1]) / "blast", 2)
