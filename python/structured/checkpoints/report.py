# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reports on structured layers, in the papers' terms.

Both papers state a model's work as multiply-adds relative to the dense one's.
BLAST: r·(m + n + b_out·b_in) per token. Gaudi-GBLR counts a component as
min(rank·(rows + columns), rows·columns), as if the cheaper of the two products
ran; this project's code runs rank·(rows + columns), so both are given. For a
convolution a token is an output position. Layers see different numbers of
tokens: with these given, the sums are per sample, as the papers state them.
Products without weights (attention's) are not counted.
"""

import html
import io
import re
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from ..errors import StructuredError
from ..files import staged_directory, write_json, write_text
from ..report import table
from .layouts import Layer
from .matrices import cheaper_dense


def layer_record(layer: Layer, error: float | None = None, tokens: int | None = None) -> dict:
    """The numbers of one layer, per token; `relative_error` is
    ‖W − Ŵ‖_F / ‖W‖_F, `tokens` the number of them per sample."""
    m, n = layer.shape
    record = {"layer": layer.name, "layout": layer.layout, "shape": [m, n],
              "structure": layer.structure, "dense_parameters": m * n,
              "parameters": layer.parameters, "multiply_adds": layer.parameters,
              "paper_multiply_adds": layer.parameters,
              "relative_parameters": layer.parameters / (m * n)}
    if layer.sizes:
        record |= {"b_out": layer.sizes.b_out, "b_in": layer.sizes.b_in,
                   "rank": layer.sizes.rank}
    else:
        count, saved = cheaper_dense(layer.components)
        record |= {"components": len(layer.components),
                   "rank": int(layer.components[:, 4].sum()),
                   "paper_multiply_adds": layer.parameters - saved,
                   "components_cheaper_dense": count}
    record["relative_multiply_adds"] = record["paper_multiply_adds"] / (m * n)
    if error is not None:
        record["relative_error"] = error
    if tokens is not None:
        record["tokens"] = tokens
    notes = list(layer.notes)
    if record.get("components_cheaper_dense"):
        notes.append(f"{record['components_cheaper_dense']} components are cheaper dense")
    if layer.parameters >= m * n:
        notes.append("takes no fewer numbers than a dense matrix")
    return record | {"notes": notes}


def summary(layers: Sequence[dict], other_parameters: int | None = None) -> dict:
    """The sums over all layers; with the number of parameters that are in none
    of them, also the model's. Multiply-adds are per sample if all layers have
    `tokens`, else per token."""
    per_sample = all("tokens" in layer for layer in layers)

    def total(key: str) -> int:
        return sum(layer[key] * (layer["tokens"] if per_sample else 1) for layer in layers)

    sums = {"per_sample": per_sample,
            "dense_parameters": sum(layer["dense_parameters"] for layer in layers),
            "parameters": sum(layer["parameters"] for layer in layers),
            "dense_multiply_adds": total("dense_parameters"),
            "multiply_adds": total("multiply_adds"),
            "paper_multiply_adds": total("paper_multiply_adds")}
    sums["relative_parameters"] = sums["parameters"] / sums["dense_parameters"]
    sums["relative_multiply_adds"] = sums["paper_multiply_adds"] / sums["dense_multiply_adds"]
    if other_parameters is not None:
        sums |= {"model_parameters": sums["parameters"] + other_parameters,
                 "model_parameters_dense": sums["dense_parameters"] + other_parameters}
    return sums


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def layer_rows(layers: Sequence[dict]) -> tuple[list[str], list[list[object]]]:
    """Header and rows of the table of layers."""
    header = ["layer", "layout", "shape", "structure", "rank", "parameters", "of dense",
              "multiply-adds", "of dense", "as the paper counts", "of dense", "relative error"]
    rows = []
    for layer in layers:
        dense = layer["dense_parameters"]
        rows.append([layer["layer"], layer["layout"], "×".join(map(str, layer["shape"])),
                     layer["structure"], layer["rank"], f"{layer['parameters']:,}",
                     _percent(layer["parameters"] / dense), f"{layer['multiply_adds']:,}",
                     _percent(layer["multiply_adds"] / dense),
                     f"{layer['paper_multiply_adds']:,}",
                     _percent(layer["paper_multiply_adds"] / dense),
                     f"{layer['relative_error']:.4g}" if "relative_error" in layer else ""])
    return header, rows


def summary_rows(sums: dict) -> tuple[list[str], list[list[object]]]:
    """Header and rows of the table of sums."""
    dense = sums["dense_parameters"]
    rows = [["layers' parameters", f"{dense:,}", f"{sums['parameters']:,}",
             _percent(sums["parameters"] / dense)]]
    if "model_parameters" in sums:
        whole = sums["model_parameters_dense"]
        rows.append(["model's parameters", f"{whole:,}", f"{sums['model_parameters']:,}",
                     _percent(sums["model_parameters"] / whole)])
    dense = sums["dense_multiply_adds"]
    unit = "sample" if sums["per_sample"] else "token"
    rows += [[f"layers' multiply-adds per {unit}", f"{dense:,}", f"{sums['multiply_adds']:,}",
              _percent(sums["multiply_adds"] / dense)],
             ["the same, as the papers count", f"{dense:,}", f"{sums['paper_multiply_adds']:,}",
              _percent(sums["paper_multiply_adds"] / dense)]]
    return ["", "dense", "structured", "of dense"], rows


def markdown(title: str, layers: Sequence[dict], sums: dict, pictures: dict[str, str]) -> str:
    """The report; `pictures` are file names by layer."""
    parts = [f"# {title}", table(*summary_rows(sums)), "## Layers", table(*layer_rows(layers))]
    notes = [f"- `{layer['layer']}`: {note}" for layer in layers for note in layer["notes"]]
    if notes:
        parts += ["## Notes", "\n".join(notes)]
    if pictures:
        parts += ["## GBLR layouts", _CAPTION]
        parts += [f"![{layer}]({file})" for layer, file in pictures.items()]
    return "\n\n".join(parts) + "\n"


_CAPTION = ("A rectangle is a component's interval of rows and of columns, the darker the higher "
            "its rank; where an interval wraps around, there are several pieces.")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ccc; padding: .25em .7em; text-align: right }
th:first-child, td:first-child { text-align: left }
figure { display: inline-block; margin: 1em 1em 1em 0 }
"""


def html_page(title: str, layers: Sequence[dict], sums: dict, pictures: dict[str, str]) -> str:
    """The report as one self-contained file; `pictures` are SVG texts by layer."""
    def rows(header: Sequence[str], body: Sequence[Sequence[object]]) -> str:
        def line(tag: str, cells: Sequence[object]) -> str:
            inside = "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)
            return f"<tr>{inside}</tr>"

        return "\n".join(["<table>", line("th", header), *(line("td", row) for row in body),
                          "</table>"])

    notes = [f"<li><code>{html.escape(layer['layer'])}</code>: {html.escape(note)}</li>"
             for layer in layers for note in layer["notes"]]
    figures = [f"<figure>{svg[svg.index('<svg'):]}<figcaption>{html.escape(layer)}</figcaption>"
               "</figure>" for layer, svg in pictures.items()]
    name = html.escape(title)
    return "\n".join([
        "<!doctype html>", f'<html lang="en"><head><meta charset="utf-8"><title>{name}</title>',
        f"<style>{_STYLE}</style></head><body>", f"<h1>{name}</h1>", rows(*summary_rows(sums)),
        "<h2>Layers</h2>", rows(*layer_rows(layers)),
        *(["<h2>Notes</h2>", "<ul>", *notes, "</ul>"] if notes else []),
        *(["<h2>GBLR layouts</h2>", f"<p>{html.escape(_CAPTION)}</p>", *figures]
          if figures else []),
        "</body></html>"]) + "\n"


def _pieces(start: int, length: int, period: int) -> list[tuple[int, int]]:
    """The one or two intervals that a periodic one consists of."""
    first = min(length, period - start)
    return [(start, first)] + ([(0, length - first)] if length > first else [])


def rectangles(shape: tuple[int, int], components: np.ndarray) -> list[tuple]:
    """(row, rows, column, columns, rank) of each piece of each component; an
    interval that wraps gives two pieces."""
    return [(*rows, *columns, rank)
            for row, height, column, width, rank in np.asarray(components).tolist()
            if height and width and rank
            for rows in _pieces(row, height, shape[0])
            for columns in _pieces(column, width, shape[1])]


def layout_picture(title: str, shape: tuple[int, int], components: np.ndarray) -> str:
    """SVG of the components over the matrix; row 0 is at the top."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    import matplotlib
    m, n = shape
    scale = 4 / max(m, n)
    figure = Figure(figsize=(max(n * scale, 1) + 1, max(m * scale, 1) + 1), layout="constrained")
    axes = figure.add_subplot()
    pieces = rectangles(shape, components)
    most = max((rank for *_, rank in pieces), default=1)
    depth = sum(rows * columns for _, rows, _, columns, _ in pieces) / (m * n)
    for row, rows, column, columns, rank in pieces:
        axes.add_patch(Rectangle((column, row), columns, rows, facecolor="C0", edgecolor="C0",
                                 linewidth=0.4, alpha=(0.1 + 0.5 * rank / most) / max(depth, 1)))
    axes.set(xlim=(0, n), ylim=(m, 0), aspect="equal", title=title, xlabel="input",
             ylabel="output")
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title}):  # The same file each time.
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def write_report(directory: Path, title: str, layers: Sequence[Layer],
                 errors: Mapping[str, float], other_parameters: int | None = None,
                 tokens: Mapping[str, int] = {}) -> dict:
    """Writes report.md, report.json, report.html and an SVG per GBLR layer.

    Returns what report.json holds. All or none of the files appear.
    """
    records = [layer_record(layer, errors.get(layer.name), tokens.get(layer.name))
               for layer in layers]
    sums = summary(records, other_parameters)
    result = {"title": title, "layers": records, "totals": sums}
    pictures = {layer.name: layout_picture(layer.name, layer.shape, layer.components)
                for layer in layers if layer.components is not None}
    files = {name: re.sub(r"[^\w.-]", "_", name) + ".svg" for name in pictures}
    if len(set(files.values())) != len(files):
        raise StructuredError(f"{directory}: two layers' pictures have the same file name")
    with staged_directory(directory) as stage:
        for name, svg in pictures.items():
            write_text(stage / files[name], svg)
        write_json(stage / "report.json", result)
        write_text(stage / "report.md", markdown(title, records, sums, files))
        write_text(stage / "report.html", html_page(title, records, sums, pictures))
    return result
