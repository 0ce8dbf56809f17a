"""Writes a safetensors file of small tensors.

Usage: write_tensors.py FILE NAME=SHAPE[:KIND] ...
SHAPE is sizes joined by 'x'. KIND is one of
  random[,SEED]  standard normal numbers (the default, seed 0), F32
  f16, i64       the same in F16; 0, 1, 2, ... in I64
  nan, inf       random with one such element
  blast,B,R,SEED a matrix that is exactly BLAST with B x B blocks of rank R
  gblr,SEED      a matrix that is exactly GBLR: two components that overlap,
                 one of them around the end
  values,V,V...  these I64 numbers
"""

import sys

import numpy as np
from safetensors.numpy import save_file


def make(shape, kind, arguments):
    count = int(np.prod(shape))
    if kind == "values":
        return np.array([int(v) for v in arguments], np.int64).reshape(shape)
    if kind == "i64":
        return np.arange(count, dtype=np.int64).reshape(shape)
    if kind == "blast":
        b, r, seed = map(int, arguments)
        rng = np.random.default_rng(seed)
        m, n = shape
        u = rng.standard_normal((b, m // b, r))
        s = rng.standard_normal((b, b, r))
        vt = rng.standard_normal((b, r, n // b))
        blocks = np.einsum("ipr,ijr,jrq->ipjq", u, s, vt)
        return blocks.reshape(m, n).astype(np.float32)
    if kind == "gblr":
        rng = np.random.default_rng(int(arguments[0]))
        m, n = shape
        dense = np.zeros(shape)
        for row, rows, col, cols in ((m - m // 4, m // 2, n // 8, n // 2),
                                     (m // 8, m // 2, n - n // 4, n // 2)):
            at = np.ix_(np.arange(row, row + rows) % m,
                        np.arange(col, col + cols) % n)
            dense[at] += np.outer(rng.standard_normal(rows),
                                  rng.standard_normal(cols))
        return dense.astype(np.float32)
    seed = int(arguments[0]) if arguments else 0
    values = np.random.default_rng(seed).standard_normal(shape)
    if kind in ("nan", "inf"):
        values.flat[count // 2] = float(kind)
    return values.astype(np.float16 if kind == "f16" else np.float32)


tensors = {}
for argument in sys.argv[2:]:
    name, spec = argument.split("=")
    shape, _, kind = spec.partition(":")
    kind, *arguments = (kind or "random").split(",")
    tensors[name] = make([int(s) for s in shape.split("x")], kind, arguments)
save_file(tensors, sys.argv[1])
