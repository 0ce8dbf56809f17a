"""Writes second moments of n features of falling scale to a safetensors file.

Usage: write_moments.py FILE LAYER=N[:KIND] ... [--samples N] [--scale S]
KIND is good (the default), nan, asymmetric, zero or f64.
"""

import argparse

import numpy as np
from safetensors.numpy import save_file

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("layers", nargs="*")
parser.add_argument("--samples", default="100")
parser.add_argument("--scale", type=float, default=1)
options = parser.parse_args()

tensors = {}
for argument in options.layers:
    layer, spec = argument.split("=")
    size, _, kind = spec.partition(":")
    n = int(size)
    x = np.random.default_rng(n).standard_normal((100, n)) * 0.7 ** np.arange(n)
    x *= options.scale
    moment = (x.T @ x / 100).astype(np.float64 if kind == "f64" else np.float32)
    if kind == "nan":
        moment[1, 2] = np.nan
    if kind == "asymmetric":
        moment[1, 2] += 1
    if kind == "zero":
        moment[:] = 0
    tensors[f"{layer}.moment"] = moment
metadata = {} if options.samples == "none" else {"samples": options.samples}
save_file(tensors, options.file, metadata)
