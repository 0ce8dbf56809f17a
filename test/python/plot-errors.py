# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t
# RUN: %python %s %t %src_root/benchmarks/factorization/plot_errors.py
"""The plots are written, reproducible, and refuse malformed results."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

SCRIPT = sys.argv.pop()
SCRATCH = Path(sys.argv.pop())


def plot(rows, directory):
    path = SCRATCH / "results.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return subprocess.run([sys.executable, SCRIPT, path, directory],
                          capture_output=True, text=True)


class PlotErrors(unittest.TestCase):
    rows = [{"structure": s, "b_out": b, "b_in": b, "keep": k, "relative_error_mean": 1 - k,
             "parameters": 1, "seconds": 1}
            for s, b in (("blast-als", 2), ("blast-als", 4), ("svd", 1))
            for k in (0.25, 0.5, 0.75)]

    def test_reproducible(self):
        for run in "ab":
            process = plot(self.rows, SCRATCH / run)
            self.assertEqual(process.returncode, 0, process.stderr)
        for figure in ("factorization-error.svg", "factorization-blocks.svg"):
            first = (SCRATCH / "a" / figure).read_bytes()
            self.assertEqual(first, (SCRATCH / "b" / figure).read_bytes())
        text = (SCRATCH / "a" / "factorization-error.svg").read_text()
        self.assertTrue("BLAST, alternating" in text and "low rank" in text)

    def test_refuses(self):
        for rows, message in (("{", "Expecting"), ([], "no measurements"),
                              ([{"structure": "blast"}], "an entry has no b_in"),
                              (self.rows[:3], "no measurements with 4 blocks")):
            process = plot(rows, SCRATCH / "refused")
            self.assertNotEqual(process.returncode, 0)
            self.assertIn(message, process.stderr)
        self.assertFalse((SCRATCH / "refused").exists())


unittest.main()
