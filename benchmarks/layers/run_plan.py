# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""structured-bench for several selections of layers, in a time that is given.

    run_plan.py compile OUT PLAN
    run_plan.py run OUT PLAN SECONDS

PLAN is a JSON file: a list of lists of structured-bench's arguments, the most useful
first. `run` measures all in one process, so that PyTorch is loaded once. If nothing
is heard of it for half a minute, or it fails, the next line goes on in a new one: a
kernel that hangs costs the layers of its line that were still to come. What was
measured is in OUT/measurements.json after each group of layers. The exit status is 1
if a line failed.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

#: A group of layers takes some seconds.
SILENCE_SECONDS = 30


def compile_plan(out: str, plan: list[list[str]]) -> int:
    from structured.bench.cli import main
    return max(main(["-o", out, "--compile-only", *line]) for line in plan)


def run_lines(out: str, plan: list[list[str]], first: int, deadline: float) -> None:
    """The child: from line `first` on. Ends at the first failure."""
    from structured.bench import cli
    try:
        from structured.bench import cuda
        cuda.machine, cuda.Pool = functools.cache(cuda.machine), functools.cache(cuda.Pool)
    except ImportError:
        pass  # no PyTorch: a plan for the CPU
    for index in range(first, len(plan)):
        arguments = ["-o", out, "--run-only", *plan[index]]
        sys.argv = ["structured-bench", *arguments]
        print(f"begin {index}", flush=True)
        begin = time.time()
        status = cli.main([*arguments, "--budget", str(deadline - begin)])
        print(f"end {index}: status {status}, {time.time() - begin:.1f} s, {' '.join(plan[index])}",
              flush=True)
        if status or time.time() > deadline:
            sys.exit(status)


def run_plan(out: str, path: str, seconds: float) -> int:
    """The parent: watches, and starts the child again."""
    plan, deadline = json.loads(Path(path).read_text()), time.time() + seconds
    status, line = 0, 0
    while line < len(plan) and time.time() < deadline:
        child = subprocess.Popen(
            [sys.executable, "-u", __file__, "lines", out, path, str(line), str(deadline)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        heard = time.time()

        def listen():
            nonlocal heard, line
            with open(Path(out) / "plan.log", "a") as log:
                for text in child.stdout:
                    heard = time.time()
                    log.write(text)
                    log.flush()
                    if text.startswith(("begin", "end")):
                        line = int(text.split()[1].rstrip(":"))
                    if text.startswith("end") or "rror" in text:
                        print(text.rstrip()[:300], flush=True)

        listener = threading.Thread(target=listen)
        listener.start()
        while child.poll() is None:
            time.sleep(0.1)
            if time.time() > min(heard, deadline) + SILENCE_SECONDS:
                print(f"nothing heard: {' '.join(plan[line])}", flush=True)
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        listener.join()
        if child.returncode == 0:
            break
        status, line = 1, line + 1
    print(f"{max(0, deadline - time.time()):.0f} of {seconds:g} s left")
    return status


def main() -> int:
    mode, out, path, *rest = sys.argv[1:]
    if mode == "run":
        return run_plan(out, path, float(rest[0]))
    plan = json.loads(Path(path).read_text())
    if mode == "compile":
        return compile_plan(out, plan)
    run_lines(out, plan, int(rest[0]), float(rest[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
