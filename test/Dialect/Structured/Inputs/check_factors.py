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
    if name.endswith(".gblr.U"):
        layer = name[:-len(".gblr.U")]
        u, v, components = (factors[f"{layer}.gblr.{suffix}"]
                            for suffix in ("U", "V", "components"))
        w = weights[layer + ".weight"].astype(np.float64)
        dense, parameters = np.zeros(w.shape), 0
        for row, rows, col, cols, rank in components:
            at = np.ix_(np.arange(row, row + rows) % w.shape[0],
                        np.arange(col, col + cols) % w.shape[1])
            left, u = np.split(u, [rank * rows])
            right, v = np.split(v, [rank * cols])
            dense[at] += (left.astype(np.float64).reshape(rank, rows).T
                          @ right.astype(np.float64).reshape(rank, cols))
            parameters += rank * (rows + cols)
        assert u.size == 0 and v.size == 0, "numbers without a component"
        error = np.linalg.norm(dense - w) / np.linalg.norm(w)
        print(f"{layer}: {left.dtype} {len(components)} components, "
              f"{parameters} parameters, error {error:.6f}")
        continue
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
