# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How far one model's results are from another's, and how long each takes."""

import dataclasses
import os
import platform
import statistics
import time
from typing import Callable, Mapping

import numpy as np


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each row of a [N,n] with the same row of b [N,n]: [N]."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / norms


def relative_error(result: np.ndarray, reference: np.ndarray) -> float:
    """Frobenius norm of (result - reference) over that of the reference."""
    return float(np.linalg.norm(result - reference) / np.linalg.norm(reference))


def max_error(result: np.ndarray, reference: np.ndarray) -> float:
    """Largest absolute difference; NaN if either array has one."""
    return float(np.abs(result.astype(np.float64) - reference).max())


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 of values [N]; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of a [N] and b [N]: Pearson's of the ranks.

    NaN when all values of one of them are equal.
    """
    first, second = ranks(a), ranks(b)
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one call over the repetitions."""

    minimum: float
    median: float


def time_interleaved(calls: Mapping[str, Callable[[], object]], repetitions: int = 20,
                     per_turn: int = 4, pause: float = 0.25) -> dict[str, Timing]:
    """Times the calls in turns, which spreads what else the machine does evenly.

    A turn is a pause, one untimed call and `per_turn` timed ones. The pause (in
    seconds) lets the previous call's worker threads fall asleep: OpenMP's and
    onnxruntime's wait for more work in a loop, which would slow the next turn.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for done in range(0, repetitions, per_turn):
        for name, call in calls.items():
            time.sleep(pause)
            call()
            for _ in range(min(per_turn, repetitions - done)):
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(min(s), statistics.median(s)) for name, s in seconds.items()}


def machine() -> str:
    """The processor and the number of its cores that this process may use."""
    try:
        model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                     if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{model}, {len(os.sched_getaffinity(0))} cores"
