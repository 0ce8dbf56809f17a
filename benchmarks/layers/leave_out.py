# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How far a table of costs reaches: leaves out one size, number of blocks, fraction of the
parameters or number of tokens after the other, has the compiler estimate what was left
out, and compares that with what was measured.

    PYTHONPATH=python python benchmarks/layers/leave_out.py lib/Analysis/costs/h200.json

An error is that of the time of a BLAST layer by its fastest implementation, estimated
against measured. A choice is the implementation of the least estimate, or dense where
that would be more than 2 % slower; it loses to the fastest of those that were measured.
(Beyond the measured numbers of blocks the compiler takes a kernel by its default rule.)
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import numpy as np

from structured.bench.layers import DTYPES, KEEP
from structured.errors import StructuredError, run_command
from structured.report import table as markdown
from structured.tools import first_error, find_tool

#: kDefaultCostTolerance of LayerCost.h.
TOLERANCE = 0.02
#: Of estimates, whose text has one digit after the point.
SCALE = 1e3


class Cell(NamedTuple):
    """A measured layer of so many tokens; b = 0: dense."""
    tokens: int
    m: int
    n: int
    b: int
    r: int


def cells(table: dict, content: dict) -> Iterator[tuple[Cell, float]]:
    """What was measured of an implementation, in seconds."""
    for layer in content["layers"]:
        for tokens, seconds in zip(table["tokens"], layer["seconds"]):
            if seconds is not None:
                yield Cell(tokens, *(layer[key] for key in "mnbr")), seconds


def without(table: dict, is_left_out: Callable[[Cell], bool]) -> dict:
    """The table without the times that are left out."""
    def rest(layer: dict) -> dict:
        cell = Cell(0, *(layer[key] for key in "mnbr"))
        return layer | {"seconds": [
            None if is_left_out(cell._replace(tokens=tokens)) else seconds
            for tokens, seconds in zip(table["tokens"], layer["seconds"])]}

    return table | {"implementations": {
        name: content | {"layers": [layer for layer in map(rest, content["layers"])
                                    if any(layer["seconds"])]}
        for name, content in table["implementations"].items()}}


def scaled(content: dict, factor: float) -> dict:
    """An implementation whose times are so many times as long."""
    keys = ("overhead", "seconds_per_operation", "seconds_per_byte")
    return content | {key: factor * content[key] for key in keys} | {"layers": [
        layer | {"seconds": [s and factor * s for s in layer["seconds"]]}
        for layer in content["layers"]]}


def estimates(table: dict, implementation: str, asked: list[Cell],
              directory: Path) -> list[tuple[float, float] | None]:
    """The compiler's estimates of these BLAST layers by one implementation, and of the dense
    layers, in seconds; None where it has none. They are in remarks of layers that do not
    pay, which BLAST never does if it takes a million times as long."""
    dtype, _ = DTYPES[table["target"]]
    body = []
    for i, (t, m, n, b, r) in enumerate(asked):
        types = {"x": f"{t}x{n}", "u": f"{b}x{m // b}x{r}", "s": f"{b}x{b}x{r}",
                 "v": f"{b}x{r}x{n // b}", "y": f"{t}x{m}"}
        types = {name: f"tensor<{shape}x{dtype}>" for name, shape in types.items()}
        body += [f'  %{name}{i} = structured.parameter "{name}{i}" : {types[name]}'
                 for name in "usv"]
        body += [f"  %{name}{i} = tensor.empty() : {types[name]}" for name in "xy"]
        body.append(f"  %z{i} = structured.blast.matmul ins(%x{i}, %u{i}, %s{i}, %v{i} : "
                    + ", ".join(types[name] for name in "xusv")
                    + f") outs(%y{i} : {types['y']}) -> {types['y']}")
    costs, source = directory / "costs.json", directory / "layers.mlir"
    source.write_text("\n".join(["func.func @layers() {", *body, "  return", "}"]))
    parts = table["implementations"]
    costs.write_text(json.dumps(table | {"implementations": {
        "dense": scaled(parts["dense"], SCALE),
        implementation: scaled(parts[implementation], 1e6 * SCALE)}}))
    process = subprocess.run(
        [find_tool("structured-opt"), source, f"--structured-expand-unprofitable=costs={costs}"],
        capture_output=True, text=True)
    if process.returncode != 0:
        raise StructuredError(first_error(process.stderr))
    remarks = re.findall(r"remark: (?:made dense: estimated ([\d.]+) us against ([\d.]+) us|"
                         "no estimate)", process.stderr)
    assert len(remarks) == len(asked), process.stderr
    return [(1e-12 * float(blast) / SCALE, 1e-6 * float(dense) / SCALE) if blast else None
            for blast, dense in remarks]


class Choice(NamedTuple):
    loss: float
    over_dense: float
    cell: Cell
    chosen: str
    fastest: str


def check(table: dict, is_left_out: Callable[[Cell], bool] | None
          ) -> tuple[list[float], list[Choice]]:
    """The errors of the times of BLAST layers that are left out, and what is chosen for
    them; None: of all layers, of which none is left out."""
    measured: dict[Cell, dict[str, float]] = {}
    estimated: dict[Cell, dict[str, float]] = {}
    rest = without(table, is_left_out) if is_left_out else table
    for name, content in table["implementations"].items():
        times = dict(cells(table, content))
        for cell, seconds in times.items():
            measured.setdefault(cell, {})[name] = seconds
        if name == "dense":
            continue
        asked = [cell for cell in times if not is_left_out or is_left_out(cell)]
        with tempfile.TemporaryDirectory() as directory:
            for cell, result in zip(asked, estimates(rest, name, asked, Path(directory))):
                if result:
                    estimated.setdefault(cell, {}).update({name: result[0], "dense": result[1]})
    errors, choices = [], []
    for cell, times in estimated.items():
        dense = times.pop("dense")
        chosen = min(times, key=times.get)
        errors.append(abs(times[chosen] / min(measured[cell][name] for name in times) - 1))
        if times[chosen] > (1 + TOLERANCE) * dense:
            chosen = "dense"
        truth = measured[cell] | {"dense": measured[cell._replace(b=0, r=0)]["dense"]}
        fastest = min(truth, key=truth.get)
        choices.append(Choice(truth[chosen] / truth[fastest] - 1,
                              truth[chosen] / truth["dense"] - 1, cell, chosen, fastest))
    return errors, choices


def is_between(table: dict, tokens: int) -> bool:
    """Whether all that was measured with so many tokens was with fewer and more, too."""
    counts = [{cell.tokens for cell, _ in cells(table, content)}
              for content in table["implementations"].values()]
    return all(min(of_one) < tokens < max(of_one) for of_one in counts if tokens in of_one)


def main(path: str) -> None:
    table = json.loads(Path(path).read_text())
    _, everything = check(table, None)
    tokens = sorted({choice.cell.tokens for choice in everything})
    names = sorted({choice.chosen for choice in everything} - {"dense"}) + ["dense"]
    chosen = Counter((choice.cell.tokens, choice.chosen) for choice in everything)
    print(f"{table['device']}: what BLAST layers become\n\n" + markdown(
        ["T", *names], [[t, *(chosen[t, name] for name in names)] for t in tokens]))
    keys = {"nothing": None, "size": lambda cell: (cell.m, cell.n), "b": lambda cell: cell.b,
            "kept": lambda cell: min(KEEP, key=lambda keep: abs(keep - cell.r * (
                cell.m + cell.n + cell.b ** 2) / (cell.m * cell.n))),
            "T": lambda cell: cell.tokens}
    lines, worst = [], []
    for name, key in keys.items():
        values = sorted({key(choice.cell) for choice in everything}) if key else [None]
        errors, choices = [], []
        for value in values:
            if name == "T" and not is_between(table, value):
                continue
            # Dense layers are left out with their size, or with their number of tokens.
            left_out = key and (lambda cell: key(cell) == value
                                and (cell.b > 0 or name in ("size", "T")))
            result = check(table, left_out)
            errors += result[0]
            choices += result[1]
        choices.sort(reverse=True)
        lines.append([name, *(f"{100 * np.quantile(errors, q):.1f}" for q in (0.5, 0.9)),
                      len(choices), sum(choice.loss > TOLERANCE for choice in choices),
                      f"{100 * choices[0].loss:.0f}",
                      sum(choice.over_dense > TOLERANCE for choice in choices)])
        worst += [[name, f"{cell.n} → {cell.m}", cell.tokens, cell.b, cell.r, chosen, fastest,
                   f"{100 * loss:.1f}"] for loss, _, cell, chosen, fastest in choices[:5]]
    print("\n" + markdown(["left out", "median error %", "90 %", "choices",
                           f"losing more than {100 * TOLERANCE:g} %", "worst %",
                           f"more than {100 * TOLERANCE:g} % slower than dense"], lines))
    print("\n" + markdown(["left out", "layer", "T", "b", "r", "chosen", "fastest", "% lost"],
                          worst))


if __name__ == "__main__":
    sys.exit(run_command("leave_out.py", lambda: main(*sys.argv[1:])))
