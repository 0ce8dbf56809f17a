# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorises a Llama-7B-sized layer: time, peak memory, kill and resume.

    PYTHONPATH=python python benchmarks/scale/large_layer.py DIR --results FILE.json

The model has two layers, a small one ("small") and the large one ("large"), with
generated bf16 weights. structured-opt --structured-factorize is

1. killed (SIGKILL) when it has begun the large layer,
2. run again to the end: the small layer must be taken from the work directory,
3. run once more: both layers must be, and the factors be the same bytes.

For each run the results hold wall and CPU seconds and the peak resident set of
the process (getrusage of the child), and for the second the layers' errors.
docs/Scale.md shows them. Needs numpy and ml_dtypes.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np

from structured import tools

#: Rows of a weight that are generated and written at a time.
CHUNK = 256
SMALL = (512, 512, 4, 48)


def write_weight(file, rows: int, cols: int, seed: int) -> None:
    """Appends a bf16 matrix with a spectrum like a trained weight's to `file`.

    It is 0.02·(signal + noise): the noise is standard normal; the signal has the
    same norm and rank min(rows, cols)/4, and its k-th singular value falls about
    like k^-1/2. At most CHUNK rows are in memory.
    """
    random = np.random.default_rng(seed)
    rank = min(rows, cols) // 4
    decay = np.arange(1, rank + 1, dtype=np.float32) ** np.float32(-0.5)
    # Rows of independent normals are nearly orthogonal when they are long.
    right = random.standard_normal((rank, cols), np.float32) * decay[:, None]
    right /= np.linalg.norm(decay)
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        chunk = random.standard_normal((count, rank), np.float32) @ right
        chunk += random.standard_normal((count, cols), np.float32)
        chunk *= np.float32(0.02)
        file.write(chunk.astype(ml_dtypes.bfloat16).tobytes())


def write_model(directory: Path, layers: dict[str, tuple[int, int, int, int]]) -> None:
    """Writes model.mlir and model.safetensors; layers: rows, cols, blocks, rank."""
    header, offset, lines = {}, 0, []
    for name, (rows, cols, blocks, rank) in layers.items():
        end = offset + 2 * rows * cols
        header[f"{name}.weight"] = {"dtype": "BF16", "shape": [rows, cols],
                                    "data_offsets": [offset, end]}
        offset = end
        x, w, y = f"tensor<1x{cols}xbf16>", f"tensor<{rows}x{cols}xbf16>", f"tensor<1x{rows}xbf16>"
        lines.append(f"""\
func.func @{name}(%x: {x}, %init: {y}) -> {y} {{
  %w = structured.parameter "{name}.weight" : {w}
  %y = structured.linear {{layer = "{name}",
      plan = #structured.plan<blast, blocks = {blocks} : {blocks}, rank = {rank}>}}
      ins(%x, %w : {x}, {w}) outs(%init : {y}) -> {y}
  return %y : {y}
}}
""")
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(directory / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for seed, (rows, cols, _, _) in enumerate(layers.values()):
            write_weight(file, rows, cols, seed)
    (directory / "model.mlir").write_text("\n".join(lines))


def factorize(directory: Path, output: str, iterations: int, kill: bool = False) -> dict:
    """Runs the pass; with `kill`, until ten seconds after the small layer."""
    arguments = [
        str(directory / "model.mlir"), "-o", os.devnull,
        tools.pass_argument(
            "structured-factorize", weights=directory / "model.safetensors",
            output=directory / output, work_dir=directory / "work", iterations=iterations,
            report=directory / f"{output}.json", progress="true")]
    start = time.monotonic()
    process = subprocess.Popen([tools.find_tool("structured-opt"), *arguments],
                               stderr=subprocess.PIPE, text=True)
    log = ""
    for line in process.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        log += line
        if kill and "] small:" in line:
            time.sleep(10)
            os.kill(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expected = -signal.SIGKILL if kill else 0
    if process.returncode != expected:
        sys.exit(f"structured-opt: exit status {process.returncode}, expected {expected}")
    result = {"seconds": round(time.monotonic() - start, 1),
              "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
              "peak_rss_mib": round(usage.ru_maxrss / 1024),
              "reused": re.findall(r"\] (\w+): .*\(reused\)", log)}
    if not kill:
        result["layers"] = json.loads((directory / f"{output}.json").read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("directory", type=Path, help="scratch directory, must not exist")
    parser.add_argument("--shape", type=int, nargs=2, default=[11008, 4096])
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--rank", type=int, default=1488)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--results", type=Path, help="JSON file to write")
    options = parser.parse_args()
    options.directory.mkdir(parents=True)
    write_model(options.directory,
                {"small": SMALL, "large": (*options.shape, options.blocks, options.rank)})

    def expect(condition: bool, message: str) -> None:
        if not condition:
            sys.exit(f"large_layer.py: {message}")

    killed = factorize(options.directory, "factors", options.iterations, kill=True)
    expect(not (options.directory / "factors").exists(), "a killed run left factors")
    resumed = factorize(options.directory, "factors", options.iterations)
    expect(resumed["reused"] == ["small"], f"reused {resumed['reused']}, not the small layer")
    again = factorize(options.directory, "again", options.iterations)
    expect(again["reused"] == ["small", "large"], f"reused {again['reused']}, not both")
    expect((options.directory / "factors").read_bytes()
           == (options.directory / "again").read_bytes(), "the factors differ")

    results = {"shape": options.shape, "blocks": options.blocks, "rank": options.rank,
               "dtype": "bf16", "iterations": options.iterations, "cores": os.cpu_count(),
               "load_average_at_end": [round(load, 1) for load in os.getloadavg()],
               "killed": killed, "resumed": resumed, "again": again}
    text = json.dumps(results, indent=2) + "\n"
    if options.results:
        options.results.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
