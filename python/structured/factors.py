# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factor files (safetensors) back to dense weights, as a reference."""

from pathlib import Path

import numpy as np

from .errors import StructuredError


def blast_matrix(u: np.ndarray, s: np.ndarray, vt: np.ndarray) -> np.ndarray:
    """The matrix [m,n] of BLAST factors, in their dtype.

    u [b_out,p,r], s [b_out,b_in,r], vt [b_in,r,q]; block ij is
    U_i diag(s_ij) V_j^T; m = b_out p, n = b_in q (arXiv 2410.21262, eq. 2).
    """
    b_out, p, _ = u.shape
    b_in, _, q = vt.shape
    blocks = (u[:, None] * s[:, :, None]) @ vt[None]  # [b_out,b_in,p,q]
    return blocks.transpose(0, 2, 1, 3).reshape(b_out * p, b_in * q)


def dense_weights(path: Path) -> dict[str, np.ndarray]:
    """The dense weight `L.weight` of each BLAST layer L in the factor file.

    Computed in float64 and rounded to the factors' dtype.
    """
    import safetensors
    import safetensors.numpy
    try:
        tensors = safetensors.numpy.load_file(path)
        weights = {}
        for layer in (name.removesuffix(".U") for name in tensors if name.endswith(".U")):
            u, s, vt = (tensors[f"{layer}.{factor}"] for factor in ("U", "S", "Vt"))
            matrix = blast_matrix(*(f.astype(np.float64) for f in (u, s, vt)))
            weights[f"{layer}.weight"] = matrix.astype(u.dtype)
        return weights
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise StructuredError(f"{path}: not a file of BLAST factors: {error}") from error
