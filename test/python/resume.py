# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t && %python %S/Inputs/mlp.py %t/mlp.onnx
# RUN: %python %s %t
"""A compression killed with SIGKILL goes on where it stopped, same result."""

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

SCRATCH = Path(sys.argv.pop())


def command(job):
    return [sys.executable, "-m", "structured", "compress", SCRATCH / "mlp.onnx", "-o",
            SCRATCH / job, "--blocks", "2", "--iterations", "20000", "--repeat", "1"]


class Resume(unittest.TestCase):
    def test_killed_after_the_first_layer(self):
        process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        for line in process.stderr:
            if line.startswith("[1/2] first"):
                os.killpg(process.pid, signal.SIGKILL)
        process.stderr.close()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        compressed = SCRATCH / "killed" / "compressed"
        for name in ("factors.safetensors", "layers.json", "model.mlir", "model.so"):
            self.assertFalse((compressed / name).exists(), name)

        log = subprocess.run(command("killed"), capture_output=True, text=True, check=True).stderr
        self.assertIn("import mlp.onnx: up to date", log)
        self.assertRegex(log, r"\[1/2\] first: .*\(reused\)")
        self.assertNotRegex(log, r"\[2/2\] second: .*\(reused\)")

        subprocess.run(command("whole"), capture_output=True, check=True)
        for name in ("factors.safetensors", "model.so", "model.safetensors"):
            self.assertEqual((compressed / name).read_bytes(),
                             (SCRATCH / "whole" / "compressed" / name).read_bytes(), name)


unittest.main()
