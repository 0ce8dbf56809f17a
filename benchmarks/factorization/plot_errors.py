# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plots factorization errors, by kept fraction and by block count.

    python benchmarks/factorization/plot_errors.py \\
        benchmarks/factorization/results/minilm.json docs/figures

Reads the list that factorization-error writes, {structure, b_out, b_in, keep,
relative_error_mean, ...}, and writes

    factorization-error.svg    error against kept fraction, with B x B blocks
    factorization-blocks.svg   error against block count, at one kept fraction

with one line per structure. The same input gives the same bytes.
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

KEYS = ("structure", "b_out", "b_in", "keep", "relative_error_mean")

LABELS = {"svd": "low rank (truncated SVD)", "block-svd": "block low rank (SVD of each block)",
          "blast-gradient": "BLAST, Algorithm 2 of its paper",
          "blast-als": "BLAST, alternating least squares"}


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


def curves(rows: list[dict], x: str) -> dict[str, list[tuple[float, float]]]:
    """Points (row[x], mean error), sorted, by structure."""
    result: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        result.setdefault(row["structure"], []).append((row[x], row["relative_error_mean"]))
    return {key: sorted(points) for key, points in result.items()}


def draw(lines: dict, title: str, xlabel: str, path: Path, *, level: bool = True) -> None:
    """Writes one figure as SVG, by way of a temporary file.

    With `level` a structure of which there is but one point (one block) is a level line.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    ticks = sorted({x for points in lines.values() for x, _ in points})
    for marker, (structure, points) in zip("osD^vP*X", sorted(lines.items())):
        label = LABELS.get(structure, structure)
        if level and len(points) == 1 < len(ticks):
            axes.axhline(points[0][1], linestyle="--", color="gray", label=label)
        else:
            axes.plot(*zip(*points), marker=marker, markersize=5, linewidth=1.5, label=label)
    axes.set(title=title, xlabel=xlabel,
             ylabel="mean relative error  ‖W − Ŵ‖ / ‖W‖  (Frobenius)")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
    os.replace(temporary, path)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="JSON of the measurements")
    parser.add_argument("directory", type=Path, help="where the figures go")
    parser.add_argument("--blocks", type=int, default=4, help="B of the first figure")
    parser.add_argument("--keep", type=float, default=0.5, help="of the second figure")
    options = parser.parse_args()
    rows = [row for row in read(options.results) if row["b_out"] == row["b_in"]]
    by_keep = [row for row in rows
               if row["structure"] == "svd" or row["b_out"] == options.blocks]
    by_blocks = [row for row in rows if row["keep"] == options.keep]
    if not by_keep or not by_blocks:
        sys.exit(f"{options.results}: no measurements with {options.blocks} blocks "
                 f"or with keep {options.keep:g}")
    options.directory.mkdir(parents=True, exist_ok=True)
    draw(curves(by_keep, "keep"), f"{options.blocks}×{options.blocks} blocks",
         "kept fraction of the parameters", options.directory / "factorization-error.svg")
    draw(curves(by_blocks, "b_out"), f"{100 * options.keep:g} % of the parameters kept",
         "blocks per side", options.directory / "factorization-blocks.svg")


if __name__ == "__main__":
    main()
