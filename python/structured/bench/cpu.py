# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers on the CPU, in f32: ours, and NumPy's product.

Weights are rotated among as many sets as do not fit the L2 caches, but may fit
the L3, as those of a small model do. Of the turns the fastest counts: what else
the machine does only adds to a time.
"""

import hashlib
import math
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Sequence

import numpy as np

from .. import runtime
from ..evaluation import relative_error
from ..files import LazyTensor, write_safetensors
from .layers import Layer, Modules

#: Relative Frobenius error of sums in f32.
TOLERANCE = 1e-5
ROTATED_BYTES = 16 << 20
#: A sample is as many calls as take this long.
SAMPLE_SECONDS = 0.02


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def factors(layer: Layer) -> dict[str, np.ndarray]:
    """Random factors, the same in each process."""
    seed = int.from_bytes(hashlib.sha256(layer.name.encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in layer.shapes.items()}


def write_weights(layer: Layer, path: Path) -> None:
    write_safetensors(path, [LazyTensor(name, value.dtype, value.shape, lambda value=value: value)
                             for name, value in factors(layer).items()])


def reference(x: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
    """In float64."""
    values = {name: value.astype(np.float64) for name, value in values.items()}
    if "W" in values:
        return x @ values["W"].T
    u, s, vt = values["U"], values["S"], values["Vt"]
    y = np.einsum("tjq,jrq->jtr", x.reshape(len(x), len(vt), -1), vt, optimize=True)
    z = np.einsum("ijr,jtr->itr", s, y, optimize=True)
    return np.einsum("itr,ipr->tip", z, u, optimize=True).reshape(len(x), -1)


class Runner:
    """Measures groups of layers."""

    def __init__(self, modules: Modules, rival_names: Sequence[str], turns: int, threads: int):
        self.modules, self.rival_names, self.turns = modules, rival_names, turns
        runtime.set_num_threads(threads)
        self.machine = {"device": _cpu_name(), "threads": threads, "numpy": np.__version__,
                        "cpus": os.cpu_count()}

    def contenders(self, group: Sequence[Layer]) -> list[tuple[Layer, str]]:
        result = [(layer, "ours") for layer in group]
        return result + [(layer, "numpy") for layer in group
                         if layer.b == 0 and "numpy" in self.rival_names]

    def limit(self, layer: Layer) -> None:
        """No data sheet says."""
        return None

    def run(self, group: Sequence[Layer], wanted: set[tuple[Layer, str]]) -> list[dict]:
        """A record for each wanted one, with "us" or "wrong"."""
        calls, records = {}, []
        with tempfile.TemporaryDirectory() as scratch:
            for layer, who in self.contenders(group):
                if (layer, who) not in wanted:
                    continue
                sets, error = self._prepare(layer, who, Path(scratch))
                if error < TOLERANCE:
                    calls[layer, who] = sets, error, self._count(sets)
                else:
                    records.append({"layer": layer, "who": who,
                                    "wrong": f"relative error {error:.2e}"})
            samples: dict = {key: [] for key in calls}
            for turn in range(self.turns + 1):
                for key, (sets, _, count) in calls.items():
                    seconds = self._time(sets, count)
                    if turn:
                        samples[key].append(seconds)
        for (layer, who), values in samples.items():
            records.append({"layer": layer, "who": who, "us": 1e6 * min(values),
                            "spread": (max(values) - min(values)) / min(values),
                            "error": calls[layer, who][1]})
        return records

    def _prepare(self, layer: Layer, who: str, scratch: Path):
        """Calls, one for each set of weights, and the relative error of one."""
        x = np.random.default_rng(1).standard_normal((layer.tokens, layer.n), np.float32)
        count = min(16, max(2, math.ceil(ROTATED_BYTES / (4 * layer.parameters))))
        values = factors(layer)
        if who == "numpy":
            weights = [values["W"]] + [values["W"].copy() for _ in range(count - 1)]
            calls = [lambda w=w: x @ w.T for w in weights]
            result = calls[0]()
        else:
            path = self.modules.path(layer)
            calls = []
            for index in range(count):
                copy = scratch / f"{layer.name}.{index}.safetensors"
                shutil.copyfile(path.with_suffix(".safetensors"), copy)
                module = runtime.Module.load(path, copy)
                copy.unlink()  # stays mapped
                calls.append(lambda module=module: module(x))
            result, = calls[0]()
        return calls, relative_error(result, reference(x, values))

    def _count(self, sets) -> int:
        """How many calls make a sample, a multiple of the sets."""
        seconds = min(self._time(sets, len(sets)) for _ in range(2))
        return len(sets) * max(1, round(SAMPLE_SECONDS / (seconds * len(sets))))

    def _time(self, sets, count: int) -> float:
        start = time.perf_counter()
        for index in range(count):
            sets[index % len(sets)]()
        return (time.perf_counter() - start) / count
