# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tables and plots of measurements."""

import os
from pathlib import Path
from typing import Iterator, Sequence

from ..errors import StructuredError
from ..report import table
from .history import History, layer_of
from .layers import Layer, kernel_of


def rows(records: list[dict]) -> list[list[object]]:
    """For each measurement: layer, who, operations, bytes, time, rate, share of the
    data sheet's limit, and how many times as fast as dense."""
    result = []
    for record in records:
        start = [record["tokens"], f"{record['n']} → {record['m']}", record["b"] or "dense",
                 record["r"] or "", f"{record['keep']:g}", record["who"],
                 f"{record['operations'] / 1e9:.3g}", f"{record['bytes'] / 1e6:.3g}"]
        if "us" not in record:
            reason = record.get("skipped") or f"wrong: {record['wrong']}"
            result.append([*start, reason, "", "", "", ""])
            continue
        us = record["us"]
        result.append([
            *start, f"{us:.1f}", f"{100 * record['spread']:.0f}",
            f"{record['operations'] / us / 1e6:.3g}",
            f"{100 * record['limit_us'] / us:.0f}" if "limit_us" in record else "",
            f"{record['dense_us'] / us:.2f}" if record["dense_us"] else ""])
    return result


HEADER = ["T", "layer", "b", "r", "kept", "who", "Gop", "MB", "µs", "spread %", "Top/s",
          "% of limit", "× dense"]


def terminal(records: list[dict]) -> str:
    return table(HEADER, rows(sorted(records, key=_order)))


def _order(record: dict):
    return (record["m"] * record["n"], record["tokens"], record["b"], record["keep"],
            record["who"])


def markdown(history: History, device: str, wanted: set[Layer], rivals: Sequence[str]) -> str:
    """One device's tables of the wanted layers and the rivals beside them: first how
    many times as fast as dense everyone is, then all that was measured."""
    shapes = {(layer.tokens, layer.m, layer.n) for layer in wanted}
    records = [record for record in history.measurements
               if history.runs[record["run"]]["machine"]["device"] == device
               and (record["tokens"], record["m"], record["n"]) in shapes
               and (record["b"] < 2 or layer_of(record) in wanted)
               and (record["b"] != 1 or record["keep"] in {layer.keep for layer in wanted})
               and (kernel_of(record["who"]) or record["who"] in rivals)]
    if not records:
        return f"## {device}\n\nNothing was measured of these layers.\n"
    return "\n\n".join([f"## {device}", *_summaries(records),
                        "### All measurements",
                        table(HEADER, rows(sorted(records, key=_order)))]) + "\n"


def _summaries(records: list[dict]) -> Iterator[str]:
    """A table for each size and fraction kept: times as fast as dense, by tokens."""
    sizes = sorted({(r["m"], r["n"]) for r in records}, key=lambda size: (size[0] * size[1], size))
    for m, n in sizes:
        of_size = [r for r in records if (r["m"], r["n"]) == (m, n)]
        for keep in sorted({r["keep"] for r in of_size if r["b"]}):
            cells, columns, dense = {}, {}, {}
            for r in of_size:
                # 2:4 keeps one half.
                kept = 0.5 if r["who"] == "2:4" else r["keep"]
                if kept != keep or (r["b"] == 0 and r["who"] != "2:4"):
                    continue
                # Of the ways of ours the fastest, as the compiler chooses by a table of costs.
                who = "ours" if kernel_of(r["who"]) else r["who"]
                name = who if r["b"] < 2 else f"{who}, b = {r['b']}"
                columns[(who != "ours", who, r["b"])] = name
                if "us" in r and r["dense_us"]:
                    cells[r["tokens"], name] = max(r["dense_us"] / r["us"],
                                                   cells.get((r["tokens"], name), 0))
                    if who == "ours":
                        dense[r["tokens"]] = f"{r['dense_us']:.1f}"
            names = [columns[key] for key in sorted(columns)]
            lines = [[t, dense.get(t, ""), *(f"{cells[t, name]:.2f}" if (t, name) in cells else ""
                                             for name in names)]
                     for t in sorted({r["tokens"] for r in of_size})]
            yield (f"### {n} → {m}, {100 * keep:g} % kept\n\n"
                   + table(["T", "dense µs", *names], lines))


def plots(history: History, directory: Path) -> None:
    """For each device and size, how many times as fast as dense each number of
    blocks is, against the tokens; one figure with a panel for each fraction
    kept. The same measurements give the same bytes."""
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "structured",
                         "font.family": "sans-serif", "font.size": 10,
                         "axes.spines.top": False, "axes.spines.right": False,
                         "axes.grid": True, "grid.color": "#dddddd"})
    panels = {}
    for record in history.measurements:
        if "us" not in record or not record["dense_us"]:
            continue
        device = history.runs[record["run"]]["machine"]["device"]
        is_ours = kernel_of(record["who"]) is not None
        if record["b"] == 0 or not (is_ours or record["who"] == "low rank"):
            continue
        label = f"b = {record['b']}" if is_ours else "low rank"
        points = panels.setdefault((device, record["m"], record["n"]), {}).setdefault(
            record["keep"], {}).setdefault(label, {})
        # The fastest way of ours.
        points[record["tokens"]] = max(record["dense_us"] / record["us"],
                                       points.get(record["tokens"], 0))
    if not panels:
        raise StructuredError(f"{history.path}: no measurements to plot")
    directory.mkdir(parents=True, exist_ok=True)
    for (device, m, n), by_keep in sorted(panels.items()):
        figure, axes = plt.subplots(1, len(by_keep), figsize=(3 + 3 * len(by_keep), 3.6),
                                    layout="constrained", sharey=True, squeeze=False)
        for axis, (keep, lines) in zip(axes[0], sorted(by_keep.items())):
            for marker, (label, points) in zip("osD^vP*X", sorted(lines.items(), key=_by_blocks)):
                axis.plot(*zip(*sorted(points.items())), marker=marker, markersize=5, linewidth=1.5,
                          label=label, color="gray" if label == "low rank" else None)
            axis.axhline(1, linestyle="--", color="black", linewidth=1)
            axis.set_xscale("log", base=2)
            axis.set(title=f"{100 * keep:g} % kept", xlabel="tokens")
        axes[0][0].set_ylabel("times as fast as dense")
        axes[0][0].set_ylim(bottom=0)
        axes[0][-1].legend(frameon=False)
        figure.suptitle(f"{n} → {m}, {device}")
        name = "".join(c if c.isalnum() else "-" for c in device.lower())
        path = directory / f"bench-{name}-{m}x{n}.svg"
        temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
        figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)
        os.replace(temporary, path)
        print(path)


def _by_blocks(item):
    label = item[0]
    return int(label.split()[-1]) if label != "low rank" else 0
