# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Two further layouts: low rank, and Monarch.

Low rank, W = A·B: `L.left` [m,r] and `L.right` [r,n], or `L.lr_weight2` [m,r]
and `L.lr_weight1` [r,n]. It is BLAST with one block and S = 1.

Monarch (blockdiag butterfly, arXiv 2204.00595): `L.blkdiag1` [K,q,p] and
`L.blkdiag2` [B,s,r] with K·q = B·r. The input is cut into K blocks of p, each
multiplied by its [q,p]; the K·q results, in the order f = k·q + i, are dealt
out to B blocks, f to block f mod B at place f div B; each is multiplied by its
[s,r]; output s'·B + b is row s' of block b. So with its rows sorted by b the
matrix is block low rank, block bk of the rank #{i: k·q + i ≡ b (mod B)}. In the
model's own order the rows of a block are B apart.
"""

import numpy as np

from ..errors import StructuredError
from .matrices import Gblr


def block_low_rank(u: np.ndarray, vt: np.ndarray) -> Gblr:
    """Block ij is u_ij vt_ij: u [b_out,b_in,p,r], vt [b_out,b_in,r,q].

    Exact and packed as GBLR. As BLAST it would take rank b_out·b_in·r with a
    one-hot S, hence up to b times the numbers.
    """
    b_out, b_in, p, rank = u.shape
    q = vt.shape[3]
    if vt.shape != (b_out, b_in, rank, q):
        raise StructuredError(f"block low rank: U {list(u.shape)} and Vt {list(vt.shape)} do "
                              "not agree")
    return Gblr.pack((b_out * p, b_in * q),
                     [(i * p, j * q, u[i, j].T, vt[i, j])
                      for i in range(b_out) for j in range(b_in)], u.dtype)


def _dealt(k: int, q: int, blocks: int, block: int) -> np.ndarray:
    """The results i of input block k that go to output block `block`."""
    return np.arange(q)[(k * q + np.arange(q)) % blocks == block]


def monarch_to_gblr(first: np.ndarray, second: np.ndarray) -> Gblr:
    """GBLR components, exact, from Monarch's blkdiag1 [K,q,p], blkdiag2 [B,s,r].

    The interval of a component's rows has to span rows that are B apart, and
    holds zeros between them. Raises ValueError if K·q is not B·r.
    """
    blocks_in, q, p = first.shape
    blocks_out, s, r = second.shape
    if blocks_in * q != blocks_out * r:
        raise ValueError(f"{blocks_in}·{q} is not {blocks_out}·{r}")
    parts = []
    for k in range(blocks_in):
        for block in range(blocks_out):
            chosen = _dealt(k, q, blocks_out, block)
            if len(chosen):
                u = np.zeros((len(chosen), (s - 1) * blocks_out + 1))
                u[:, ::blocks_out] = second[block][:, (k * q + chosen) // blocks_out].T
                parts.append((block, k * p, u, first[k, chosen]))
    return Gblr.pack((s * blocks_out, blocks_in * p), parts, first.dtype)


def gblr_to_monarch(gblr: Gblr, blocks_in: int, q: int, blocks_out: int
                    ) -> tuple[np.ndarray, np.ndarray]:
    """blkdiag1 and blkdiag2 from the components that `monarch_to_gblr` made;
    ValueError if it did not make them."""
    m, n = gblr.shape
    if n % blocks_in or m % blocks_out or blocks_in * q % blocks_out:
        raise ValueError(f"{m} × {n} is not of {blocks_out} × {blocks_in} blocks")
    first = np.zeros((blocks_in, q, n // blocks_in), gblr.v.dtype)
    second = np.zeros((blocks_out, m // blocks_out, blocks_in * q // blocks_out), gblr.u.dtype)
    if not np.array_equal(gblr.components, monarch_to_gblr(first, second).components):
        raise ValueError("the components are not those of a Monarch matrix")
    parts = iter(gblr.parts())
    for k in range(blocks_in):
        for block in range(blocks_out):
            chosen = _dealt(k, q, blocks_out, block)
            if len(chosen):
                _, _, u, v = next(parts)
                first[k, chosen] = v
                second[block][:, (k * q + chosen) // blocks_out] = u[:, ::blocks_out].T
    return first, second
