# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line of structured-bench.

    PYTHONPATH=python python -m structured.bench -o build/bench

compiles one module for each layer of the grid, runs it and its rivals, prints a
table, and adds to OUT/measurements.json; a second run measures what is missing.
Modules can be compiled on one machine (--compile-only) and OUT taken to another
that has a GPU, PyTorch and the runtime, but no compiler (--run-only).
"""

import argparse
import datetime
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Sequence

from ..errors import StructuredError, run_command
from ..files import write_json, write_text
from . import report
from .costs import check_costs, write_costs
from .history import History
from .layers import DTYPES, KERNELS, Layer, Modules, grid, groups, kernel_of, with_kernels

RIVALS = {"cuda": ("torch.mm", "low rank", "2:4", "bmm", "eager"), "cpu": ("numpy",)}
EXTRA_RIVALS = {"cuda": ("compile",), "cpu": ()}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 1 also if a layer of ours
    gave a wrong result."""
    options = _parser().parse_args(arguments)
    return run_command("structured-bench", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="structured-bench", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Times of dense, BLAST and other layers, by turns in one process.")
    parser.add_argument("-o", "--out", type=Path, default=Path("build/bench"),
                        help="directory of modules, measurements and reports")
    parser.add_argument("--target", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--select", nargs="+", default=[], metavar="KEY=VALUE[,VALUE...]",
                        help="layers to measure: T, size (MxN, output by input features), b, keep; "
                             "keys that are left out take the values of the default grid")
    parser.add_argument("--rivals", nargs="*", metavar="NAME",
                        help="whom to measure beside ours; cuda: torch.mm, 'low rank', 2:4, bmm, "
                             "eager, and, if named, compile; cpu: numpy")
    parser.add_argument("--kernels", nargs="*", default=[], choices=KERNELS,
                        help="ways of computing BLAST on a GPU to measure beside the compiler's "
                             "choice")
    parser.add_argument("--turns", type=int, default=5, help="timed turns; the median counts")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS",
                        help="stop before a group of layers that would take longer; run again to "
                             "go on")
    parser.add_argument("--again", action="store_true", help="measure what was measured, too")
    parser.add_argument("--jobs", type=int, default=2, help="compilations at a time")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    phase = parser.add_mutually_exclusive_group()
    phase.add_argument("--compile-only", action="store_true")
    phase.add_argument("--run-only", action="store_true")
    phase.add_argument("--report-only", action="store_true",
                       help="write the tables and plots of OUT/measurements.json")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots as SVG to DIR")
    parser.add_argument("--write-costs", type=Path, metavar="FILE",
                        help="write the compiler's table of costs (JSON), of all that was ever "
                             "measured in OUT on this device")
    parser.add_argument("--check-costs", metavar="TABLE",
                        help="compare what the compiler chooses with a table of costs (its name or "
                             "file) with the fastest of what was measured in OUT on this device")
    parser.add_argument("--device", help="whose table --write-costs writes, or choices "
                                         "--check-costs checks, if OUT has several's")
    return parser


def _select(texts: list[str]) -> dict[str, set[str]]:
    select = {}
    for text in texts:
        key, separator, values = text.partition("=")
        if not separator or not values:
            raise StructuredError(f"--select: '{text}' is not KEY=VALUE")
        select.setdefault(key, set()).update(values.split(","))
    return select


def _run(options: argparse.Namespace) -> int:
    known = RIVALS[options.target] + EXTRA_RIVALS[options.target]
    rivals = RIVALS[options.target] if options.rivals is None else options.rivals
    if unknown := set(rivals) - set(known):
        raise StructuredError(f"--rivals: {', '.join(sorted(unknown))}: not one of "
                              f"{', '.join(known)}")
    kernels = options.kernels if options.target == "cuda" else ()
    if options.turns < 1 or options.jobs < 1 or options.threads < 1:
        raise StructuredError("--turns, --jobs and --threads must be positive")
    layers = grid(_select(options.select))
    if not layers:
        raise StructuredError("--select: no layers")
    options.out.mkdir(parents=True, exist_ok=True)
    modules = Modules(options.out / options.target, options.target)
    if not options.run_only and not options.report_only:
        weights = None
        if options.target == "cpu":
            from .cpu import write_weights as weights
        modules.compile(with_kernels(layers, kernels), options.jobs, weights)
        write_json(options.out / "revision.json", _revision())
    if options.compile_only:
        return 0
    history = History(options.out / "measurements.json")
    wrong = []
    if not options.report_only:
        wrong = _measure(options, layers, kernels, rivals, modules, history)
    wanted = set(layers)
    tables = [report.markdown(history, device, wanted, rivals) for device in history.machines()]
    write_text(options.out / "measurements.md", "\n".join(tables))
    if options.plots:
        report.plots(history, options.plots)
    if options.write_costs or options.check_costs:
        devices = [options.device] if options.device else history.machines()
        if len(devices) != 1:
            option = "--write-costs" if options.write_costs else "--check-costs"
            raise StructuredError(f"{option}: name one --device of: {', '.join(devices)}")
        if options.write_costs:
            write_costs(history, devices[0], options.write_costs)
        if options.check_costs:
            print(check_costs(history, devices[0], options.check_costs, options.jobs))
    return 1 if wrong else 0


def _revision() -> dict:
    """The source's revision; the machine that runs the modules may have none."""
    git = ["git", "-C", Path(__file__).parent]
    try:
        revision = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True,
                                  text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "--untracked-files=no"],
                                 capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"revision": revision + ("+" if changed else "")}


def _measure(options: argparse.Namespace, layers: list[Layer], kernels: Sequence[str],
             rivals: Sequence[str], modules: Modules, history: History) -> list[dict]:
    """Measures what is missing, group by group; returns what was wrong."""
    start = time.monotonic()
    if options.target == "cuda":
        from .cuda import Runner
        runner = Runner(modules, kernels, rivals, options.turns)
    else:
        from .cpu import Runner
        runner = Runner(modules, rivals, options.turns, options.threads)
    try:
        revision = json.loads((options.out / "revision.json").read_text())
    except FileNotFoundError:
        revision = {}
    done = set() if options.again else history.measured(runner.machine)
    history.begin({"machine": runner.machine, "target": options.target,
                   "date": datetime.datetime.now().isoformat(timespec="seconds"), **revision,
                   "command": shlex.join(["structured-bench", *sys.argv[1:]])})
    width, wrong, longest = DTYPES[options.target][1], [], 0.0
    for group in groups(layers):
        # Of ours: what the module was made from.
        digests = {(layer, who): modules.hash(layer, kernel_of(who)) if kernel_of(who) else None
                   for layer, who in runner.contenders(group)}
        wanted = {key for key, digest in digests.items() if (*key, digest) not in done}
        if not wanted:
            continue
        begin = time.monotonic()
        if begin - start + longest > options.budget:
            print(f"structured-bench: the budget of {options.budget:g} s does not suffice for "
                  f"{group[0].name} and later; run again to go on", file=sys.stderr)
            break
        # The dense layers are what all others are compared with.
        wanted |= {(layer, who) for layer, who in runner.contenders(group)
                   if layer.b == 0 and who != "2:4"}
        records = runner.run(group, wanted)
        dense = min((record["us"] for record in records
                     if record["layer"].b == 0 and record["who"] != "2:4" and "us" in record),
                    default=None)
        lines = []
        for record in records:
            layer = record.pop("layer")
            line = {"tokens": layer.tokens, "m": layer.m, "n": layer.n, "b": layer.b,
                    "r": layer.r, "keep": layer.keep, "operations": layer.operations,
                    "bytes": layer.bytes(width), **record}
            kernel = kernel_of(record["who"])
            if kernel:
                line |= {"module": digests[layer, record["who"]],
                         "kernels": modules.kernels(layer, kernel)}
            if "us" in record:
                line["dense_us"] = dense
                # Of the dense product, which takes twice the operations of 2:4.
                limit = runner.limit(layer) if record["who"] != "2:4" else None
                if limit is not None:
                    line["limit_us"] = 1e6 * limit
                for key in ("us", "dense_us", "limit_us", "spread", "error"):
                    if line.get(key) is not None:
                        line[key] = float(f"{line[key]:.4g}")
            lines.append(line)
            if "wrong" in record:
                wrong.append(line)
                print(f"structured-bench: error: {layer.name}, {record['who']}: "
                      f"{record['wrong']}", file=sys.stderr)
        history.add(lines)
        seconds = time.monotonic() - begin
        longest = max(longest, seconds)
        print(report.terminal(lines), f"  [{seconds:.1f} s]\n", flush=True)
    return [record for record in wrong if kernel_of(record["who"])]
