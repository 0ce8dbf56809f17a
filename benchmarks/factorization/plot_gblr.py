# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tables and figure of the comparison of GBLR with the other structures.

    python benchmarks/factorization/plot_gblr.py benchmarks/factorization/results docs

Reads minilm.json, which run.sh makes, and gblr-minilm.json and
gblr-planted-*.json, which run-gblr.sh makes, and writes

    docs/figures/gblr-error.svg    error against kept fraction, a line per structure
    docs/Gblr.md                   the tables between <!-- minilm --> and <!-- planted -->
                                   and the next <!-- end -->

Of several block counts the best counts. The same input gives the same bytes.
"""

import argparse
import os
import sys
from pathlib import Path

import plot_errors

LABELS = {"svd": "truncated SVD", "block-svd": "block SVD", "blast-als": "BLAST",
          "sparse-low-rank": "block-sparse + low rank", "2:4": "2:4, by magnitude",
          "gblr-energy-runs": "GBLR, energy runs", "gblr": "GBLR, greedy",
          "gblr-fine": "GBLR, greedy, fine"}

#: With one block these are truncated SVD.
ONE_BLOCK = {("block-svd", 1), ("blast-als", 1)}

FRACTIONS = (0.25, 0.5, 0.75)


def best(*paths: Path) -> dict[tuple[str, float], dict]:
    """The row of the lowest error of each structure and kept fraction."""
    result: dict[tuple[str, float], dict] = {}
    for row in (row for path in paths for row in plot_errors.read(path)):
        key = (row["structure"], row["keep"])
        if row["structure"] not in LABELS or (row["structure"], row["b_out"]) in ONE_BLOCK:
            continue
        if key not in result or row["relative_error_mean"] < result[key]["relative_error_mean"]:
            result[key] = row
    return result


def table(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def cell(row: dict | None) -> str:
    """An error, with the block count where there is one."""
    if not row:
        return ""
    blocks = f" (b = {row['b_out']})" if row["b_out"] > 1 else ""
    return f"{row['relative_error_mean']:.3f}{blocks}"


def minilm_table(rows: dict) -> str:
    """A line for each structure, a column for each kept fraction."""
    lines = []
    for structure in LABELS:
        components = rows.get((structure, 0.5), {}).get("components")
        lines.append([LABELS[structure], *(cell(rows.get((structure, keep)))
                                           for keep in FRACTIONS),
                      f"{components / 36:.0f}" if components else ""])
    return table(["structure", *(f"keep {keep:g}" for keep in FRACTIONS),
                  "components per matrix"], lines)


def planted_table(kinds: dict[str, dict]) -> str:
    """A line for each structure, a column for each kind of planted matrix, which
    tell the largest errors."""
    lines = []
    for structure in LABELS:
        found = [next((row for (name, _), row in rows.items() if name == structure), None)
                 for rows in kinds.values()]
        if any(found):
            lines.append([LABELS[structure]]
                         + [f"{row['relative_error_max']:.1g}" if row["relative_error_max"] < 1e-3
                            else f"{row['relative_error_max']:.3f}" for row in found if row])
    header = [f"{kind} ({next(iter(rows))[1]:g})" for kind, rows in kinds.items()]
    return table(["structure", *header], lines)


def replace(page: str, marker: str, content: str) -> str:
    """The page with the content between the marker and the next end."""
    begin, found, rest = page.partition(f"<!-- {marker} -->\n")
    _, end, rest = rest.partition("<!-- end -->")
    if not found or not end:
        sys.exit(f"the page has no <!-- {marker} --> … <!-- end -->")
    return begin + found + content + end + rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="directory of the measurements")
    parser.add_argument("docs", type=Path, help="directory of the page")
    options = parser.parse_args()
    minilm = {key: row for key, row in best(options.results / "minilm.json",
                                            options.results / "gblr-minilm.json").items()
              if key[1] in FRACTIONS}
    prefix = "gblr-planted-"
    kinds = {path.stem.removeprefix(prefix): best(path)
             for path in sorted(options.results.glob(f"{prefix}*.json"))
             if not path.stem.endswith(".info")}
    page = options.docs / "Gblr.md"
    text = replace(page.read_text(), "minilm", minilm_table(minilm))
    text = replace(text, "planted", planted_table(kinds))
    temporary = page.with_name(f"{page.name}.tmp.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, page)
    print(page)
    figures = options.docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    plot_errors.LABELS = LABELS
    plot_errors.draw(plot_errors.curves(list(minilm.values()), "keep"),
                     "all-MiniLM-L6-v2, 36 matrices", "kept fraction of the parameters",
                     figures / "gblr-error.svg", level=False)


if __name__ == "__main__":
    main()
