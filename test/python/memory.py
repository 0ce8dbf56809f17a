# REQUIRES: python-numpy
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""Peak memory of structured-factorize does not grow with the number of layers.

A 1024 x 1024 layer takes 4 MiB of weights and as much of work file. Between two
and eight layers, one copy of either left in memory would be 24 MiB; allowed are
12 MiB, for what differs between two runs.
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from structured import tools

SCRATCH = Path(sys.argv.pop())


def peak_mib(layers):
    """The peak resident set, in MiB, of structured-opt on that many layers."""
    directory = SCRATCH / str(layers)
    subprocess.run([sys.executable, Path(__file__).parent / "Inputs" / "stack.py", directory,
                    str(layers), "1024"], check=True)
    process = subprocess.Popen(
        [tools.find_tool("structured-opt"), directory / "model.mlir", "-o", os.devnull,
         "--structured-plan=blocks=16",
         tools.pass_argument("structured-factorize", weights=directory / "weights.safetensors",
                             output=directory / "factors", iterations=1)],
        stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    assert (directory / "factors").stat().st_size > layers * 1.5 * 2**20
    return usage.ru_maxrss / 1024


class Memory(unittest.TestCase):
    def test_peak_does_not_grow_with_the_layers(self):
        few, many = peak_mib(2), peak_mib(8)
        self.assertLess(many - few, 12)


unittest.main()
