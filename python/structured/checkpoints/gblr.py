# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gaudi-GBLR checkpoints (ICLR 2024): masked low-rank components.

A linear layer of K components holds

    lr_weight1  [K,rank,n]     lr_weight2  [K,m,rank]
    widths      [2,K]          locations   [2,K]        fractions; row 0: input
    sigma       []             bias [m], optional

and computes W = Σ_k mask_out_k ⊙ (lr_weight2_k lr_weight1_k) ⊙ mask_in_k. A mask
is a periodic boxcar, smoothed by a Gaussian, so it is not 0 or 1 in general:
import multiplies it into the factors. A convolution holds such a layer per
kernel tap (`L.gaudi_modules.<tap>.…`), or one over the unfolded
`oc × (k1 k2 ic)` matrix (`L.gaudi_module.…`).
"""

import numpy as np

from .matrices import Gblr

#: Mask elements below this are 0 at evaluation.
MASK_THRESHOLD = 1e-3


def quantized(fractions: np.ndarray, n: int) -> np.ndarray:
    """round(fraction·n), half to even, in the precision of `fractions`."""
    if fractions.dtype != np.float64:
        product = (fractions.astype(np.float32) * np.float32(n)).astype(fractions.dtype)
    else:
        product = fractions * n
    return np.rint(product.astype(np.float64)).astype(np.int64)


def masks(widths: np.ndarray, locations: np.ndarray, n: int, sigma: float | None) -> np.ndarray:
    """The masks [K,n] of one side at evaluation; `sigma` None: no smoothing.

    With w and l quantised to multiples of 1/n, w ≤ 1/n taken as 0, and
    k = 0…n/2: the inverse real FFT (norm "forward") of
    w sinc(kw)/sinc(k/n) · exp(−k²/2σ² + iπk(1/n − w) − 2πikl).
    """
    count, start = quantized(widths, n), quantized(locations, n)
    count[np.abs(count) <= 1] = 0
    k = np.arange(n // 2 + 1)
    w = count[:, None] / n
    phase = np.pi * k * (1 / n - w) - 2 * np.pi * ((k * start[:, None]) % n) / n
    decay = 0.0 if sigma is None else -0.5 * (k / sigma) ** 2
    coefficients = w * np.sinc(k * w) / np.sinc(k / n) * np.exp(decay + 1j * phase)
    result = np.fft.irfft(coefficients, n=n, norm="forward")
    result[np.abs(result) < MASK_THRESHOLD] = 0
    return result


def support(mask: np.ndarray) -> tuple[int, int]:
    """(start, length) of the smallest periodic interval with all that is not 0."""
    places, n = np.flatnonzero(mask), len(mask)
    if not len(places):
        return 0, 0
    gaps = np.diff(places, append=places[0] + n) - 1
    widest = int(np.argmax(gaps))
    if gaps[widest] == 0:
        return 0, n
    return int(places[(widest + 1) % len(places)]), int(n - gaps[widest])


def fold(mask_out: np.ndarray, mask_in: np.ndarray, weight2: np.ndarray, weight1: np.ndarray
         ) -> list[tuple]:
    """The components as parts of a `Gblr`, masks multiplied in; those with an
    empty mask are left out.

    mask_out [K,m], mask_in [K,n], weight2 [K,m,rank], weight1 [K,rank,n].
    """
    m, n = mask_out.shape[1], mask_in.shape[1]
    parts = []
    for rows_mask, columns_mask, left, right in zip(mask_out, mask_in, weight2, weight1):
        row, height = support(rows_mask)
        column, width = support(columns_mask)
        if height and width:
            rows = (row + np.arange(height)) % m
            columns = (column + np.arange(width)) % n
            parts.append((row, column,
                          left[rows].T.astype(np.float64) * rows_mask[rows],
                          right[:, columns].astype(np.float64) * columns_mask[columns]))
    return parts


def place_tap(parts: list[tuple], tap: int, channels: int) -> list[tuple]:
    """The parts of one kernel tap in the unfolded matrix `oc × (k1 k2 ic)`.

    Columns are periodic within the tap but not across taps: an interval that
    wraps is cut in two, or, where that takes fewer numbers, filled with zeros.
    """
    result = []
    for row, column, u, v in parts:
        inside = min(v.shape[1], channels - column)
        if inside == v.shape[1]:
            pieces = [(column, v)]
        elif u.shape[1] + v.shape[1] <= channels:
            pieces = [(column, v[:, :inside]), (0, v[:, inside:])]
        else:
            whole = np.zeros((len(v), channels))
            whole[:, (column + np.arange(v.shape[1])) % channels] = v
            pieces = [(0, whole)]
        result += [(row, tap * channels + start, u, piece) for start, piece in pieces]
    return result


def take_taps(parts: list[tuple], taps: int, channels: int) -> list[list[tuple]]:
    """The parts of each kernel tap: the inverse of `place_tap`.

    Raises ValueError for a component that covers more than one tap.
    """
    result: list[list[tuple]] = [[] for _ in range(taps)]
    for row, column, u, v in parts:
        tap, start = divmod(column, channels)
        if start + v.shape[1] > channels:
            raise ValueError(f"the columns {column} + {v.shape[1]} cover more than one tap "
                             f"of {channels} channels")
        previous = result[tap][-1] if result[tap] else None
        if (previous and start == 0 and previous[0] == row and previous[1] > 0
                and previous[1] + previous[3].shape[1] == channels
                and np.array_equal(previous[2], u)):
            v = np.concatenate([previous[3], v], axis=1)
            start = result[tap].pop()[1]
        result[tap].append((row, start, u, v))
    return result


def permute_columns(parts: list[tuple], new_place: np.ndarray) -> list[tuple]:
    """The parts with column c of the matrix moved to `new_place[c]`.

    A component's columns need not stay together: its interval then spans them,
    with zeros between.
    """
    result, n = [], len(new_place)
    for row, column, u, v in parts:
        moved = np.zeros((len(v), n), v.dtype)
        moved[:, new_place[(column + np.arange(v.shape[1])) % n]] = v
        start, length = support(moved.any(axis=0))
        result.append((row, start, u, moved[:, (start + np.arange(length)) % n]))
    return result


def channels_first_places(taps: int, channels: int) -> np.ndarray:
    """Where the columns of `oc × (k1 k2 ic)` are in `oc × (ic k1 k2)`."""
    return np.arange(taps * channels).reshape(channels, taps).T.ravel()


def to_components(gblr: Gblr, count: int = 0, rank: int = 0) -> dict[str, np.ndarray]:
    """The authors' tensors of a linear layer, with masks that are 0 or 1.

    `sigma` is infinite: their Gaussian is then 1, so that their code computes
    this matrix as it is. Components are cut to pieces of `rank`, or, if that
    does not divide their ranks, of the ranks' greatest common divisor, and
    filled up with empty ones to `count`. An interval of length 1, which their
    masks take as empty, becomes one of length 2 with a 0.
    """
    m, n = gblr.shape
    parts = [part for part in gblr.parts() if part[2].size and part[3].size]
    if not rank or any(len(u) % rank for _, _, u, _ in parts):
        rank = int(np.gcd.reduce([len(u) for _, _, u, _ in parts])) if parts else 1
    cut = [(row, column, u[at:at + rank], v[at:at + rank])
           for row, column, u, v in parts for at in range(0, len(u), rank)]
    count = max(count, len(cut))
    weight1 = np.zeros((count, rank, n), gblr.v.dtype)
    weight2 = np.zeros((count, m, rank), gblr.u.dtype)
    widths, locations = np.zeros((2, count), np.float32), np.zeros((2, count), np.float32)
    for i, (row, column, u, v) in enumerate(cut):
        weight1[i][:, (column + np.arange(v.shape[1])) % n] = v
        weight2[i][(row + np.arange(u.shape[1])) % m] = u.T
        widths[:, i] = max(v.shape[1], 2) / n, max(u.shape[1], 2) / m
        locations[:, i] = column / n, row / m
    # On a side of length 1 the interval of length 2 covers it twice.
    if n == 1:
        weight1 /= 2
    if m == 1:
        weight2 /= 2
    return {"lr_weight1": weight1, "lr_weight2": weight2, "widths": widths,
            "locations": locations, "freq_in": np.arange(n // 2 + 1, dtype=np.float32),
            "freq_out": np.arange(m // 2 + 1, dtype=np.float32),
            "sigma": np.array(np.inf, np.float32)}
