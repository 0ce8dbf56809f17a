# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler's table of costs, made of measurements (LayerCost.h reads it), and what
the compiler chooses with one, by other measurements."""

import concurrent.futures
import itertools
import json
import math
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Iterable

import numpy as np

from ..errors import StructuredError
from ..files import write_text
from ..report import table
from ..tools import first_error, find_tool
from .history import History, layer_of
from .layers import DTYPES, Layer, blast_kernels, ir, kernel_of

VERSION = 1
#: What rank and sizes of blocks must be multiples of on our kernels for the GPU.
KERNEL_MULTIPLE = 8


def implementation_of(record: dict, target: str) -> str:
    """Whose time a measurement of ours is: on a GPU that of the kernels which the
    module has."""
    if record["b"] == 0:
        return "dense"
    return implementation(record["kernels"]) if target == "cuda" else "blast"


def implementation(kernels: Iterable[str]) -> str:
    """That of a BLAST layer with these kernels."""
    return blast_kernels(kernels) or "library"


def fit(features: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Coefficients of at least 0 that make features [k,3] times them near `seconds` [k],
    by least squares of the relative error: the best of the fits with some of them 0."""
    scaled, best = features / seconds[:, None], None
    for used in itertools.product([False, True], repeat=features.shape[1]):
        mask = np.array(used)
        if not mask.any():
            continue
        solution = np.zeros(features.shape[1])
        solution[mask] = np.linalg.lstsq(scaled[:, mask], np.ones(len(seconds)), rcond=None)[0]
        error = np.square(scaled @ solution - 1).sum()
        if (solution >= 0).all() and (best is None or error < best[0]):
            best = error, solution
    return best[1]


def moved_bytes(layer: Layer, width: int) -> int:
    """As LayerCost.h counts them: Y and Z written and read."""
    return layer.bytes(width) + layer.intermediate_bytes(width)


def write_costs(history: History, device: str, path: Path) -> None:
    """Writes the table of the measurements of our layers on `device`."""
    records = [record for record in history.measurements
               if kernel_of(record["who"]) and "us" in record
               and history.runs[record["run"]]["machine"]["device"] == device]
    if not records:
        raise StructuredError(f"{history.path}: no measurements on '{device}'")
    runs = [history.runs[index] for index in sorted({record["run"] for record in records})]
    target = runs[-1]["target"]
    width = DTYPES[target][1]
    shape = lambda record: (record["tokens"], record["m"], record["n"])
    # Clocks change: layers are timed against the dense layer of their turns.
    dense = {shape(record): record["dense_us"] for record in records if record["b"] == 0}
    # implementation -> layer without its tokens -> tokens -> seconds
    times: dict[str, dict[tuple, dict[int, float]]] = {}
    for record in records:
        sizes = tuple(record[key] for key in ("m", "n", "b", "r", "keep"))
        row = times.setdefault(implementation_of(record, target), {}).setdefault(sizes, {})
        seconds = record["us"] * 1e-6
        if shape(record) in dense:
            seconds *= dense[shape(record)] / record["dense_us"]
        # The fastest of those that were measured.
        row[record["tokens"]] = min(seconds, row.get(record["tokens"], math.inf))
    if "dense" not in times or len(times) < 2:
        raise StructuredError(f"{history.path}: a table of costs needs dense and BLAST layers")
    tokens = sorted({t for layers in times.values() for row in layers.values() for t in row})
    parts = []
    for name, layers in sorted(times.items()):
        features, seconds, lines = [], [], []
        for sizes, row in sorted(layers.items()):
            for t in sorted(row):
                layer = Layer(t, *sizes)
                features.append((1, layer.operations, moved_bytes(layer, width)))
                seconds.append(row[t])
            m, n, b, r, _ = sizes
            lines.append(json.dumps({
                "m": m, "n": n, "b": b, "r": r,
                "seconds": [float(f"{row[t]:.4g}") if t in row else None for t in tokens]}))
        overhead, operation, byte = fit(np.array(features, float), np.array(seconds))
        # Our kernels take such sizes only.
        multiple = f'"multiple": {KERNEL_MULTIPLE}, ' if name.startswith("blast_") else ""
        parts.append(f'"{name}": {{\n{multiple}"overhead": {overhead:.4g}, '
                     f'"seconds_per_operation": {operation:.4g}, '
                     f'"seconds_per_byte": {byte:.4g},\n"layers": [\n' + ",\n".join(lines)
                     + "\n]}")
    head = {"version": VERSION, "device": device, "target": target, "element_bytes": width,
            "date": runs[-1]["date"][:10], "machine": runs[-1]["machine"],
            "command": "structured-bench --report-only --write-costs FILE",
            "sources": [{key: run.get(key, "") for key in ("date", "revision", "command")}
                        for run in runs],
            "tokens": tokens}
    write_text(path, json.dumps(head, ensure_ascii=False)[:-1]
               + ',\n"implementations": {\n' + ",\n".join(parts) + "\n}}\n")


def choice(layer: Layer, target: str, costs: str) -> str:
    """The implementation that the compiler chooses for a BLAST layer with a table."""
    with tempfile.TemporaryDirectory() as directory:
        source, output = Path(directory) / "layer.mlir", Path(directory) / "layer"
        source.write_text(ir(layer, target, series=(1, 1)))
        emit = "ptx" if target == "cuda" else "llvm"
        process = subprocess.run(
            [find_tool("structured-compile"), source, f"--target={target}", f"--costs={costs}",
             "--remarks", f"--emit={emit}", "-o", output], capture_output=True, text=True)
        if process.returncode != 0:
            raise StructuredError(f"{layer.name}: {first_error(process.stderr)}")
        if "remark: made dense" in process.stderr:
            return "dense"
        if target != "cuda":
            return "blast"
        return implementation(re.findall(r"\.entry (\w+?)(?:_\d+)?\b", output.read_text()))


def check_costs(history: History, device: str, costs: str, jobs: int) -> str:
    """What the compiler's choices with a table lose to the fastest of what was measured
    on `device`, which may be other measurements than those of the table."""
    times: dict[Layer, dict[str, float]] = {}
    dense: dict[tuple, float] = {}
    for record in history.measurements:
        run = history.runs[record["run"]]
        if (run["machine"]["device"] != device or not kernel_of(record["who"])
                or "us" not in record):
            continue
        layer, target = layer_of(record), run["target"]
        # Relative to the dense layer of the same turns: clocks change.
        time = record["us"] / record["dense_us"]
        if layer.b == 0:
            dense[layer.tokens, layer.m, layer.n] = time
            continue
        name = implementation_of(record, target)
        row = times.setdefault(layer, {})
        row[name] = min(time, row.get(name, math.inf))
    if not times:
        raise StructuredError(f"{history.path}: no measurements of BLAST layers on '{device}'")
    layers = sorted(times)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        choices = list(pool.map(lambda layer: choice(layer, target, costs), layers))
    losses, unknown = [], 0
    for layer, name in zip(layers, choices):
        row = times[layer] | {"dense": dense.get((layer.tokens, layer.m, layer.n), 1.0)}
        if name in row:
            fastest = min(row, key=row.get)
            losses.append((row[name] / row[fastest] - 1, layer, name, fastest))
        else:
            unknown += 1
    losses.sort(reverse=True)
    worst = [[f"{layer.n} → {layer.m}", layer.tokens, layer.b, f"{layer.keep:g}", name, fastest,
              f"{100 * loss:.1f}"]
             for loss, layer, name, fastest in losses if loss > 0.02]
    lines = [f"{len(losses)} choices with '{costs}' on {device}: {len(losses) - len(worst)} "
             f"within 2 % of the fastest; {choices.count('dense')} dense"
             + (f"; {unknown} more were not measured" if unknown else "")]
    if worst:
        lines += ["", table(["layer", "T", "b", "kept", "chosen", "fastest", "% lost"], worst)]
    return "\n".join(lines)
