# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The factors of one layer, as the compiler reads them."""

import dataclasses

import numpy as np

from ..factors import blast_matrix


@dataclasses.dataclass
class Blast:
    """W = [U_i diag(s_ij) Vt_j] (arXiv 2410.21262).

    u [b_out,p,r], s [b_out,b_in,r], vt [b_in,r,q].
    """

    u: np.ndarray
    s: np.ndarray
    vt: np.ndarray

    def tensors(self) -> dict[str, np.ndarray]:
        """The factors by the ending of their names in a factor file."""
        return {"U": self.u, "S": self.s, "Vt": self.vt}

    def dense(self) -> np.ndarray:
        """W [m,n] in float64."""
        return blast_matrix(*(factor.astype(np.float64) for factor in (self.u, self.s, self.vt)))


@dataclasses.dataclass
class Gblr:
    """W = Σ_k P_k(Σ_ρ u_kρ v_kρᵀ), on periodic intervals (Gaudi-GBLR, ICLR 2024).

    shape is [m,n]; components [K,5] int64 has the columns row start, rows,
    column start, columns, rank; u and v hold for each component
    [rank,rows] and [rank,columns], packed.
    """

    shape: tuple[int, int]
    components: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @classmethod
    def pack(cls, shape: tuple[int, int], parts: list[tuple], dtype: np.dtype) -> "Gblr":
        """From parts (row start, column start, u [rank,rows], v [rank,columns])."""
        components = [(row % shape[0], u.shape[1], column % shape[1], v.shape[1], u.shape[0])
                      for row, column, u, v in parts]
        return cls(shape, np.array(components, np.int64).reshape(-1, 5),
                   np.concatenate([np.empty(0), *(u.ravel() for _, _, u, _ in parts)]
                                  ).astype(dtype),
                   np.concatenate([np.empty(0), *(v.ravel() for _, _, _, v in parts)]
                                  ).astype(dtype))

    def parts(self) -> list[tuple]:
        """The components as `pack` takes them."""
        result, at_u, at_v = [], 0, 0
        for row, rows, column, columns, rank in self.components.tolist():
            u = self.u[at_u:at_u + rank * rows].reshape(rank, rows)
            v = self.v[at_v:at_v + rank * columns].reshape(rank, columns)
            at_u, at_v = at_u + u.size, at_v + v.size
            result.append((row, column, u, v))
        return result

    def tensors(self) -> dict[str, np.ndarray]:
        """The factors by the ending of their names in a factor file."""
        return {"gblr.U": self.u, "gblr.V": self.v, "gblr.components": self.components}

    def dense(self) -> np.ndarray:
        """W [m,n] in float64."""
        m, n = self.shape
        result = np.zeros((m, n))
        for row, column, u, v in self.parts():
            rows = (row + np.arange(u.shape[1])) % m
            columns = (column + np.arange(v.shape[1])) % n
            result[np.ix_(rows, columns)] += u.T.astype(np.float64) @ v.astype(np.float64)
        return result

    def merged(self) -> "Gblr":
        """The same matrix in fewer numbers, where that is exact.

        Components on the same intervals become one; a component whose rank is
        more than its smaller side takes that as its rank.
        """
        groups: dict[tuple, list[tuple]] = {}
        for row, column, u, v in self.parts():
            groups.setdefault((row, u.shape[1], column, v.shape[1]), []).append((u, v))
        parts = []
        for (row, rows, column, columns), members in groups.items():
            u = np.concatenate([u for u, _ in members])
            v = np.concatenate([v for _, v in members])
            if len(u) > min(rows, columns):
                block = u.T.astype(np.float64) @ v.astype(np.float64)
                u, v = (np.eye(rows), block) if rows <= columns else (block.T, np.eye(columns))
            parts.append((row, column, u, v))
        return Gblr.pack(self.shape, parts, self.u.dtype)


def count_blast(m: int, n: int, b_out: int, b_in: int, rank: int) -> int:
    """Parameters of a BLAST matrix, and multiply-adds per token."""
    return rank * (m + n + b_out * b_in)


def count_gblr(components: np.ndarray) -> int:
    """Parameters of a GBLR matrix, Σ rank·(rows + columns), and multiply-adds
    per token."""
    _, rows, _, columns, rank = np.asarray(components, np.int64).reshape(-1, 5).T
    return int((rank * (rows + columns)).sum())


def cheaper_dense(components: np.ndarray) -> tuple[int, int]:
    """How many components take fewer numbers as a dense block, and how many
    numbers that would save: Σ max(0, rank·(rows + columns) − rows·columns)."""
    _, rows, _, columns, rank = np.asarray(components, np.int64).reshape(-1, 5).T
    saved = rank * (rows + columns) - rows * columns
    return int((saved > 0).sum()), int(saved[saved > 0].sum())
