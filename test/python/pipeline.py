# REQUIRES: python-numpy
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""Steps run once, again when what they were made from changed; tools' errors."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

from structured import pipeline, tools
from structured.errors import StructuredError

SCRATCH = Path(sys.argv.pop())


class Pipeline(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.workspace = pipeline.Workspace(self.directory)
        self.input = self.directory / "input"
        self.output = self.directory / "step" / "output"
        self.input.write_text("1")
        self.runs = 0

    def step(self, arguments=(), fails=False):
        def action():
            self.runs += 1
            self.output.write_text("half" if fails else "whole")
            if fails:
                raise KeyboardInterrupt
        self.workspace._step("step", [self.input], [self.output], [], action, arguments)

    def check_runs(self, count, **options):
        self.step(**options)
        self.assertEqual((self.runs, self.output.read_text()), (count, "whole"))

    def test_steps_run_when_needed(self):
        self.check_runs(1)
        self.check_runs(1)
        self.check_runs(2, arguments=["--keep=0.5"])
        self.check_runs(2, arguments=["--keep=0.5"])
        self.output.unlink()
        self.check_runs(3, arguments=["--keep=0.5"])
        self.input.write_text("12")
        self.check_runs(4, arguments=["--keep=0.5"])

    def test_interrupted_step_runs_again(self):
        self.check_runs(1)
        self.input.write_text("12")
        with self.assertRaises(KeyboardInterrupt):
            self.step(fails=True)
        self.check_runs(3)

    def test_missing_input(self):
        self.input.unlink()
        with self.assertRaisesRegex(StructuredError, "input: No such file"):
            self.step()
        self.assertEqual(self.runs, 0)

    def tool(self, script):
        """A build directory whose bin/tool is the script."""
        path = self.directory / "bin" / "tool"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        os.environ["STRUCTURED_BUILD_DIR"] = str(self.directory)

    def test_tool_errors(self):
        for script, message in (("echo a note >&2; echo 'x:1: error: bad layer' >&2; exit 1",
                                 "tool: x:1: error: bad layer"),
                                ("""echo '<unknown>:0: error: loc("a/b"): bad' >&2; exit 1""",
                                 "^tool: a/b: bad$"),
                                ("echo last words >&2; exit 3", "tool: last words"),
                                ("exit 3", "tool: exit status 3"),
                                ("kill -SEGV $$", r"tool: crashed \(signal 11\)")):
            self.tool(script)
            with self.assertRaisesRegex(StructuredError, message):
                tools.run("tool")
        with self.assertRaisesRegex(StructuredError, "no-such-tool: not found"):
            tools.run("no-such-tool")

    def test_pass_options(self):
        self.assertEqual(tools.pass_argument("structured-plan", keep=0.5, work_dir="a b"),
                         "--structured-plan=keep='0.5' work-dir='a b'")
        with self.assertRaisesRegex(StructuredError, "layers: none of ' is allowed: a'b"):
            tools.pass_argument("structured-plan", layers="a'b")
        with self.assertRaisesRegex(StructuredError, "weights: none of ' , is allowed: a,b"):
            tools.pass_argument("structured-plan", weights=Path("a,b"))


unittest.main()
