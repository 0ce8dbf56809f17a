# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorizes the layers of a model on many workers, with the result of one.

    python -m structured.distribute MODEL.mlir --plan PLAN.json --weights W.safetensors
        --output FACTORS.safetensors -o OUT.mlir --workers N|ray|ray:ADDRESS

Layers do not depend on each other. A task runs structured-opt with a plan that
names one layer and returns the layer's work file as bytes, so workers share no
file system with this process; they only read the weights, under the same path,
and need this package and the tools. The work files are collected in the work
directory. In the end the ordinary structured-factorize assembles: it checks each
work file (hash of weight and options, error of the factors) and takes it, or
computes the layer itself. Hence the same bytes as without workers.

docs/Scale.md has examples and figures.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import re
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Sequence

from . import tools
from .errors import StructuredError, run_command
from .files import write_bytes

#: Options of structured-factorize that this module sets.
RESERVED_OPTIONS = ("weights", "output", "work-dir", "report", "progress")


@dataclasses.dataclass(frozen=True)
class Job:
    """What all tasks have in common.

    module   the model with its structured.linear ops, MLIR text or bytecode
    weights  safetensors files, as absolute paths
    options  further options of structured-factorize (iterations, seed, ...)
    threads  OpenMP threads of a task; the result does not depend on them
    """

    module: bytes
    weights: tuple[Path, ...]
    options: Mapping[str, str]
    threads: int

    def passes(self, plan: Path, **outputs: Path) -> list[str]:
        """The arguments of structured-opt that factorize what `plan` names."""
        for path in self.weights:
            if "," in str(path):
                raise StructuredError(f"{path}: the name must not have a comma")
        return [tools.pass_argument("structured-plan", read=plan),
                tools.pass_argument("structured-factorize",
                                    weights=",".join(map(str, self.weights)),
                                    progress="true", **outputs, **self.options)]


class Outcome(NamedTuple):
    """What became of one layer: an error, or its record in the report.

    `work_file` is None if it is the one that was sent along, and for a layer that
    stays dense.
    """

    host: str
    error: str = ""
    record: Mapping[str, object] = {}
    work_file: bytes | None = None


def work_file(directory: Path, layer: str) -> Path:
    """structured-factorize's file of a layer (getWorkFile in WorkDirectory.h)."""
    name = re.sub(rb"^\.|[^A-Za-z0-9_.-]", lambda match: b"%%%02x" % match[0][0], layer.encode())
    return directory / f"{name.decode()}.safetensors"


def factorize_layer(job: Job, entry: dict, previous: bytes | None) -> Outcome:
    """The task: factorizes the layer of one entry of the plan file.

    `previous` is a work file of the layer from an earlier run, which is used if
    it is of the same weight and options.
    """
    host = socket.gethostname()
    try:
        with tempfile.TemporaryDirectory(prefix="structured-") as name:
            scratch = Path(name)
            module, plan, report = scratch / "m.mlir", scratch / "plan.json", scratch / "r.json"
            module.write_bytes(job.module)
            plan.write_text(json.dumps({"version": 1, "layers": [entry]}))
            path = work_file(scratch / "work", entry["layer"])
            path.parent.mkdir()
            if previous is not None:
                path.write_bytes(previous)
            tools.run("structured-opt", str(module),
                      *job.passes(plan, output=scratch / "factors", work_dir=path.parent,
                                  report=report),
                      "-o", os.devnull, environment={"OMP_NUM_THREADS": str(job.threads)})
            record = next(record for record in json.loads(report.read_text())
                          if record["layer"] == entry["layer"])
            keep = path.is_file() and not record.get("reused")
            return Outcome(host, record=record, work_file=path.read_bytes() if keep else None)
    except (StructuredError, OSError) as error:
        return Outcome(host, error=str(error))


class LocalWorkers:
    """`slots` processes of structured-opt at a time, on this machine."""

    def __init__(self, slots: int):
        self.slots = slots
        # A thread for each process; the computation is in structured-opt.
        self._threads = concurrent.futures.ThreadPoolExecutor(slots)

    def submit(self, job: Job, entry: dict, previous: bytes | None) -> concurrent.futures.Future:
        return self._threads.submit(factorize_layer, job, entry, previous)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


class RayWorkers:
    """Tasks of a Ray cluster, each with `threads` of its CPUs; without an address
    of a new one on this machine. A task whose machine is lost runs again elsewhere."""

    def __init__(self, address: str, threads: int):
        try:
            import ray
        except ImportError as error:
            raise StructuredError("--workers ray: the package ray is not installed; "
                                  "pip install '.[distributed]'") from error
        self._ray = ray
        options = {"address": address} if address else {
            "address": "local", "include_dashboard": False}
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise StructuredError(f"--workers ray:{address}: {error}") from error
        self._task = ray.remote(num_cpus=threads)(factorize_layer)
        self._job = None
        self.slots = max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)

    def submit(self, job: Job, entry: dict, previous: bytes | None) -> concurrent.futures.Future:
        if self._job is None:
            self._job = self._ray.put(job)
        return self._task.remote(self._job, entry, previous).future()

    def close(self) -> None:
        self._ray.shutdown()


def factorize_layers(job: Job, entries: Sequence[dict], directory: Path,
                     workers: LocalWorkers | RayWorkers, say: Callable[[str], None]) -> None:
    """Leaves a work file of each planned layer in `directory`.

    A failing layer does not stop the others; in the end StructuredError names
    the layers that failed, and the reason of the first.
    """
    directory.mkdir(parents=True, exist_ok=True)
    planned = [entry for entry in entries if entry["structure"] != "dense"]
    waiting, running, failures, finished = iter(planned), {}, [], 0
    while True:
        # No more than can run: each may hold a layer's bytes.
        while len(running) < workers.slots and (entry := next(waiting, None)):
            path = work_file(directory, entry["layer"])
            previous = path.read_bytes() if path.is_file() else None
            running[workers.submit(job, entry, previous)] = entry["layer"]
        if not running:
            break
        done, _ = concurrent.futures.wait(
            running, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in done:
            layer = running.pop(future)
            try:
                outcome = future.result()
            # Whatever the engine raises: the worker was lost, killed for memory, ...
            except Exception as error:  # pylint: disable=broad-exception-caught
                lines = str(error).splitlines() or [type(error).__name__]
                outcome = Outcome("?", error=f"the worker failed: {lines[0]}")
            finished += 1
            prefix = f"[{finished}/{len(planned)}] {layer} on {outcome.host}: "
            if outcome.error:
                failures.append(f"layer '{layer}' on {outcome.host}: {outcome.error}")
                say(prefix + "failed")
                continue
            if outcome.work_file is not None:
                write_bytes(work_file(directory, layer), outcome.work_file)
            record = outcome.record
            say(prefix + ("stays dense" if record["decision"] != "kept" else
                          f"error {record['relative_error']:.4f}"
                          + (" (reused)" if record["reused"] else f", {record['seconds']:.1f} s")))
    if failures:
        more = f" (and {len(failures) - 1} more layers failed)" if len(failures) > 1 else ""
        raise StructuredError(f"{failures[0]}{more}; finished layers are kept in {directory}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    return run_command("structured.distribute", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m structured.distribute",
                                     description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", type=Path, help="module with structured.linear ops")
    parser.add_argument("--plan", type=Path, required=True,
                        help="plan file, as structured-plan writes it")
    parser.add_argument("--weights", type=Path, action="append", required=True,
                        help="safetensors file; may be repeated; read by each worker")
    parser.add_argument("--output", type=Path, required=True, help="factors to write, safetensors")
    parser.add_argument("-o", dest="out", type=Path, required=True, help="module to write")
    parser.add_argument("--report", type=Path, help="JSON report to write")
    parser.add_argument("--work-dir", type=Path,
                        help="finished layers, kept; default: OUTPUT.work")
    parser.add_argument("--workers", type=workers_argument, default=1, metavar="N|ray[:ADDRESS]",
                        help="N processes here, Ray here, or a Ray cluster's workers")
    parser.add_argument("--threads", type=int,
                        help="of a worker; default: this machine's CPUs / N; with Ray 1")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                        help="of structured-factorize, such as iterations=50; may be repeated")
    return parser


def workers_argument(text: str) -> int | str:
    """A positive number, or "ray" or "ray:" and an address."""
    if text == "ray" or text.startswith("ray:"):
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is neither a positive number nor ray[:ADDRESS]")


def _factorize_options(texts: Sequence[str]) -> dict[str, str]:
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in RESERVED_OPTIONS:
            raise StructuredError(f"--option {text}: "
                                  + ("has an option of its own" if equals else "has no '='"))
        options[name] = value
    return options


def _read_plan(path: Path) -> list[dict]:
    """The layers of a plan file that structured-opt has accepted."""
    try:
        return json.loads(path.read_text())["layers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StructuredError(f"{path}: not a plan file: {error}") from error


def _run(options: argparse.Namespace) -> None:
    ray = isinstance(options.workers, str)
    threads = options.threads or (1 if ray else max(1, (os.cpu_count() or 1) // options.workers))
    if threads < 1:
        raise StructuredError(f"--threads {threads}: not positive")
    entries = _read_plan(options.plan)
    job = Job(options.model.read_bytes(), tuple(path.resolve() for path in options.weights),
              _factorize_options(options.option), threads)
    # Before any layer starts: does the plan fit the model?
    tools.run("structured-opt", str(options.model),
              tools.pass_argument("structured-plan", read=options.plan), "-o", os.devnull)

    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:7.1f} s] {text}", file=sys.stderr, flush=True)

    directory = options.work_dir or options.output.with_name(f"{options.output.name}.work")
    workers = (RayWorkers(options.workers.partition(":")[2], threads) if ray
               else LocalWorkers(options.workers))
    try:
        factorize_layers(job, entries, directory, workers, say)
    finally:
        workers.close()
    say("assemble")
    report = {"report": options.report} if options.report else {}
    temporary = options.out.with_name(f"{options.out.name}.tmp.{os.getpid()}")
    try:
        tools.run("structured-opt", str(options.model),
                  *job.passes(options.plan, output=options.output, work_dir=directory, **report),
                  "--mlir-print-debuginfo", "-o", str(temporary))
        os.replace(temporary, options.out)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
