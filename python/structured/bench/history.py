# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The file of measurements, which a later run adds to.

    {"version": 1,
     "runs": [{"machine": {...}, "date": ..., "revision": ..., "command": ...}],
     "measurements": [{"run": 0, "tokens": 4096, "m": 4096, "n": 4096, "b": 4, "r": 1008,
                       "keep": 0.5, "who": "ours", "us": 143.2, "spread": 0.01, ...}]}

One line for each measurement. `us` is the median of the turns (on the CPU their
minimum), `spread` their range relative to it, `dense_us` the fastest dense layer of the same turns. What
was not measured has `skipped`, what gave a wrong result `wrong`, with the
reason. docs/Benchmark.md lists all keys.
"""

import json
import os
from pathlib import Path

from ..errors import StructuredError
from ..files import write_text
from .layers import KERNELS, Layer, blast_kernels, ours_name

VERSION = 1


class History:
    def __init__(self, path: Path):
        self.path, self.runs, self.measurements = path, [], []
        try:
            content = json.loads(path.read_text())
            if content["version"] != VERSION:
                raise StructuredError(f"{path}: version {content['version']}, expected {VERSION}")
            self.runs, self.measurements = content["runs"], content["measurements"]
            for record in self.measurements:
                if not 0 <= record["run"] < len(self.runs):
                    raise StructuredError(f"{path}: a measurement of run {record['run']}, which "
                                          "is not there")
                layer_of(record)
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            raise StructuredError(f"{path}: not a file of measurements: {error!r}") from error

    def begin(self, run: dict) -> None:
        self.runs.append(run)

    def measured(self, machine: dict) -> set[tuple[Layer, str, str | None]]:
        """Layer, name and, of ours, the module's hash of all that was measured on
        such a machine."""
        return {(layer_of(record), record["who"], record.get("module"))
                for record in self.measurements
                if _same(self.runs[record["run"]]["machine"], machine)}

    def add(self, records: list[dict]) -> None:
        """Adds measurements of the last run, in place of older ones of the same
        layers on the same machine, and writes the file. Where the compiler chooses
        another kernel now than before, its old choice keeps its time, under its name."""
        machine = self.runs[-1]["machine"]
        new = {(layer_of(record), record["who"]) for record in records}
        chosen = {layer_of(record): blast_kernels(record["kernels"])
                  for record in records
                  if self.runs[-1]["target"] == "cuda" and record["who"] == "ours" and record["b"]}
        names = {kernels: ours_name(name) for name, kernels in KERNELS.items()}
        # What the compiler chooses is measured once.
        new |= {(layer, names.get(kernels)) for layer, kernels in chosen.items()}
        here = [record for record in self.measurements
                if _same(self.runs[record["run"]]["machine"], machine)]
        known = new | {(layer_of(record), record["who"]) for record in here}
        for record in here:
            layer = layer_of(record)
            if record["who"] == "ours" and layer in chosen:
                name = names.get(blast_kernels(record["kernels"]))
                if name and (layer, name) not in known:
                    record["who"] = name
        self.measurements = [
            record for record in self.measurements
            if (layer_of(record), record["who"]) not in new
            or not _same(self.runs[record["run"]]["machine"], machine)]
        self.measurements += [{"run": len(self.runs) - 1} | record for record in records]
        self.write()

    def write(self) -> None:
        used = sorted({record["run"] for record in self.measurements} | {len(self.runs) - 1})
        number = {run: index for index, run in enumerate(used)}
        dump = lambda value: json.dumps(value, ensure_ascii=False)
        runs = ",\n".join(dump(self.runs[run]) for run in used)
        lines = ",\n".join(dump(record | {"run": number[record["run"]]})
                           for record in self.measurements)
        write_text(self.path, f'{{"version": {VERSION},\n"runs": [\n{runs}\n],\n'
                              f'"measurements": [\n{lines}\n]}}\n')

    def machines(self) -> list[str]:
        return sorted({run["machine"]["device"] for run in self.runs})


def layer_of(record: dict) -> Layer:
    return Layer(*(record[key] for key in ("tokens", "m", "n", "b", "r", "keep")))


def _same(one: dict, other: dict) -> bool:
    """Clocks and drivers change; devices do not."""
    keys = ("device", "threads")
    return all(one.get(key) == other.get(key) for key in keys)
