# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plots error against kept fraction, and against BLAST's block count.

    python benchmarks/factorization/plot_errors.py \\
        benchmarks/factorization/results/minilm.json docs/figures

Reads a list of {structure, b_out, b_in, keep, parameters,
relative_error_mean, relative_error_max, seconds} and writes
factorization-error.svg (one line per structure and block count) and, if any
kept fraction was tried with several block counts, factorization-blocks.svg.
The same input gives the same bytes.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

#: Text stays text and element ids are fixed, so that the files are reproducible.
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "structured",
                     "font.family": "sans-serif", "font.size": 10,
                     "axes.spines.top": False, "axes.spines.right": False,
                     "axes.grid": True, "grid.color": "#dddddd"})

KEYS = ("structure", "b_out", "b_in", "keep", "relative_error_mean", "relative_error_max")


def read(path: Path) -> list[dict]:
    """The measurements; exits with a message when the file has none."""
    try:
        rows = json.loads(path.read_text())
        missing = {key for row in rows for key in KEYS if key not in row}
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"{path}: {error}")
    if not rows or missing:
        sys.exit(f"{path}: no measurements" if not rows else
                 f"{path}: an entry has no {', '.join(sorted(missing))}")
    return rows


def label(row: dict) -> str:
    blocks = "" if row["b_out"] == row["b_in"] == 1 else f" {row['b_out']}×{row['b_in']}"
    return row["structure"] + blocks


def lines(rows: list[dict], name, x: str) -> dict[str, list[tuple[float, float]]]:
    """Points (row[x], mean error), sorted, by `name(row)`."""
    result: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        result.setdefault(name(row), []).append((row[x], row["relative_error_mean"]))
    return {key: sorted(result[key]) for key in sorted(result)}


def draw(curves: dict, xlabel: str, path: Path, xticks: list[float]) -> None:
    """Writes one figure of several lines as SVG, by way of a temporary file."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for marker, (name, points) in zip("osD^vP*Xd<>ph" * len(curves), curves.items()):
        axes.plot(*zip(*points), marker=marker, markersize=5, linewidth=1.5, label=name)
    axes.set(xlabel=xlabel, ylabel="mean relative error  ‖W − Ŵ‖ / ‖W‖ (Frobenius)")
    axes.set_xticks(xticks, [f"{tick:g}" for tick in xticks])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, ncols=2)
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
    os.replace(temporary, path)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="JSON of the measurements")
    parser.add_argument("directory", type=Path, help="where the figures go")
    options = parser.parse_args()
    rows = read(options.results)
    options.directory.mkdir(parents=True, exist_ok=True)
    keeps = sorted({row["keep"] for row in rows})
    draw({name: points for name, points in lines(rows, label, "keep").items()
          if len(points) > 1 or len(keeps) == 1},
         "kept fraction of the parameters", options.directory / "factorization-error.svg", keeps)
    blast = [row for row in rows if row["structure"] == "blast" and row["b_out"] == row["b_in"]]
    curves = {name: points for name, points in
              lines(blast, lambda row: f"keep {row['keep']:g}", "b_out").items()
              if len(points) > 2}
    if curves:
        draw(curves, "blocks per side of BLAST", options.directory / "factorization-blocks.svg",
             sorted({x for points in curves.values() for x, _ in points}))


if __name__ == "__main__":
    main()
