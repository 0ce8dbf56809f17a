# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tables in Markdown, which also read well in a terminal."""

from typing import Mapping, Sequence

from .evaluation import Timing


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table with aligned columns; numbers go to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *texts])
              for i in range(len(header))]
    right = [bool(rows) and all(_is_number(row[i]) for row in texts)
             for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right))
        return "| " + " | ".join(padded) + " |"

    rule = ("-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right))
    return "\n".join([line(header), "| " + " | ".join(rule) + " |", *map(line, texts)])


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").removesuffix(" %") or 0)
    except ValueError:
        return False
    return True


def layer_table(layers: Sequence[Mapping]) -> str:
    """The per-layer table. Multiply-adds are per token, also as the papers count
    them (checkpoints/report.py); the error is ‖W − Ŵ‖_F / ‖W‖_F."""
    rows = []
    for layer in layers:
        m, n = layer["shape"]
        dense = layer["structure"] == "dense"
        details = {"blast": "{b_out}×{b_in}", "gblr": "{components} components"}
        structure = layer["structure"]
        if structure in details:
            structure += " " + details[structure].format(**layer)
        rows.append([
            layer["layer"], f"{m}×{n}", structure, "" if dense else layer["rank"],
            f"{layer['parameters']:,}", _percent(layer["parameters"], layer["dense_parameters"]),
            f"{layer['multiply_adds']:,}", _percent(layer["paper_multiply_adds"], m * n),
            "" if dense else f"{layer['relative_error']:.4f}",
            layer["decision"] + (f": {layer['reason']}" if layer.get("reason") else "")])
    return table(["layer", "shape", "structure", "rank", "parameters", "kept", "multiply-adds",
                  "as the papers count", "relative error", "decision"], rows)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"


def totals(layers: Sequence[Mapping], model_parameters: int) -> dict[str, int]:
    """Parameters and multiply-adds, before and after.

    `model_parameters` counts every weight of the original model; the layers
    are those recognised as linear. Layers that share a weight ("fc", "fc#2")
    count its parameters once. Multiply-adds are per token, and as the papers
    count them (checkpoints/report.py); if all layers have `tokens`, also
    `call_multiply_adds`, over all tokens of a call.
    """
    dense, kept = {}, {}
    for layer in layers:
        weight = layer["layer"].split("#")[0]
        factors = (weight, *(layer.get(key) for key in ("structure", "b_out", "b_in", "rank",
                                                        "budget")))
        dense[weight] = layer["dense_parameters"]
        kept[factors] = layer["parameters"]
    linear_dense, linear = sum(dense.values()), sum(kept.values())
    multiply_adds_dense = [m * n for m, n in (layer["shape"] for layer in layers)]
    sums = {
        "linear_layers": len(layers),
        "factorized_layers": sum(layer["structure"] != "dense" for layer in layers),
        "linear_parameters_dense": linear_dense, "linear_parameters": linear,
        "model_parameters_dense": model_parameters,
        "model_parameters": model_parameters - linear_dense + linear,
        "multiply_adds_dense": sum(multiply_adds_dense),
        "multiply_adds": sum(layer["multiply_adds"] for layer in layers),
        "paper_multiply_adds_dense": sum(multiply_adds_dense),
        "paper_multiply_adds": sum(layer["paper_multiply_adds"] for layer in layers),
    }
    if all("tokens" in layer for layer in layers):
        sums |= {
            "call_multiply_adds_dense": sum(
                layer["tokens"] * count for layer, count in zip(layers, multiply_adds_dense)),
            "call_multiply_adds": sum(
                layer["tokens"] * layer["multiply_adds"] for layer in layers)}
    return sums


def dense_totals(sums: Mapping[str, int]) -> dict[str, int]:
    """The totals of the original model, from those of a compressed one."""
    return {key: sums.get(f"{key.removesuffix('_dense')}_dense", value)
            for key, value in sums.items()} | {"factorized_layers": 0}


def totals_table(sums: Mapping[str, int]) -> str:
    """Original against compressed, with the fraction kept."""
    rows = [[title, f"{sums[key + '_dense']:,}", f"{sums[key]:,}",
             _percent(sums[key], sums[key + "_dense"])]
            for title, key in (
                ("linear layers' parameters", "linear_parameters"),
                ("model's parameters", "model_parameters"),
                ("linear multiply-adds per token", "multiply_adds"),
                ("the same, as the papers count", "paper_multiply_adds"),
                ("linear multiply-adds per call", "call_multiply_adds")) if key in sums]
    return table(["", "original", "compressed", "kept"], rows)


def timing_table(timings: Mapping[str, Timing]) -> str:
    """Milliseconds per call, minimum and median."""
    return table(["model", "min ms", "median ms"],
                 [[name, f"{1e3 * t.minimum:.2f}", f"{1e3 * t.median:.2f}"]
                  for name, t in timings.items()])
