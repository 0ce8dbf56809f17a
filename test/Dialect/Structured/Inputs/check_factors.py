"""Prints, for each layer of a factors file, the shapes of its factors and the
relative Frobenius error against the weights in float64.

Usage: check_factors.py FACTORS WEIGHTS [LAYER=WEIGHT ...]
LAYER's weight is LAYER.weight unless said otherwise; WEIGHT' with a quote is
transposed first.
"""

import sys

import numpy as np
from safetensors.numpy import load_file

factors, weights = load_file(sys.argv[1]), load_file(sys.argv[2])
names = dict(a.split("=") for a in sys.argv[3:])
for name in sorted(factors):
    if not name.endswith(".U"):
        continue
    layer = name[:-2]
    u, s, vt = (factors[layer + suffix] for suffix in (".U", ".S", ".Vt"))
    weight_name = names.get(layer, layer + ".weight")
    w = weights[weight_name.rstrip("'")].astype(np.float64)
    w = w.T if weight_name.endswith("'") else w
    dense = np.einsum("ipr,ijr,jrq->ipjq",
                      *(f.astype(np.float64) for f in (u, s, vt)))
    error = np.linalg.norm(dense.reshape(w.shape) - w) / np.linalg.norm(w)
    print(f"{layer}: {u.dtype} {u.shape} {s.shape} {vt.shape} error {error:.6f}")
