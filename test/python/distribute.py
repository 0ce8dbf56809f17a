# REQUIRES: python-numpy
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""Layers factorized by several workers: the bytes of one run; errors; resuming."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

from structured import distribute, tools

SCRATCH = Path(sys.argv.pop())
WORKERS = sys.argv.pop() if len(sys.argv) > 1 else "2"
LAYERS = 5
LINE = r"\[\d/4\] layer\.\d on \S+: error 0\.\d+, \d"


def opt(*arguments):
    subprocess.run([tools.find_tool("structured-opt"), *arguments], check=True,
                   stderr=subprocess.DEVNULL)


class Distribute(unittest.TestCase):
    def make(self, name, *arguments):
        """A model of its own directory with a plan: layer.4 stays dense."""
        self.directory = SCRATCH / name
        subprocess.run([sys.executable, Path(__file__).parent / "Inputs" / "stack.py",
                        self.directory, str(LAYERS), "64", *arguments], check=True)
        self.plan = tools.pass_argument("structured-plan", read=self.directory / "plan.json")
        opt(self.directory / "model.mlir", "-o", self.directory / "planned.mlir",
            tools.pass_argument("structured-plan", blocks=4, exclude="4$",
                                write=self.directory / "plan.json"))

    def distribute(self, name, *arguments, weights="weights.safetensors", workers=WORKERS):
        d = self.directory
        return subprocess.run(
            [sys.executable, "-m", "structured.distribute", d / "model.mlir",
             "--plan", d / "plan.json", "--weights", d / weights, "--work-dir", d / "work",
             "--output", d / f"{name}.safetensors", "-o", d / f"{name}.mlir",
             "--report", d / f"{name}.json", "--workers", workers, *arguments],
            capture_output=True, text=True)

    def check_fails(self, result, pattern):
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stderr.splitlines()[-1],
                         f"^structured.distribute: error: {pattern}$")
        left = {path.name for path in self.directory.iterdir()}
        self.assertLessEqual(left, {"model.mlir", "weights.safetensors", "plan.json",
                                    "planned.mlir", "work"})

    def test_same_bytes_as_one_run_and_resumes(self):
        self.make("same")
        d = self.directory
        opt(d / "model.mlir", self.plan, "--mlir-print-debuginfo", "-o", d / "single.mlir",
            tools.pass_argument("structured-factorize", weights=d / "weights.safetensors",
                                output=d / "single.safetensors", iterations=7))
        result = self.distribute("many", "--option", "iterations=7")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr, LINE)
        self.assertNotIn("(reused)", result.stderr)
        for suffix in (".safetensors", ".mlir"):
            self.assertEqual((d / f"many{suffix}").read_bytes(),
                             (d / f"single{suffix}").read_bytes(), suffix)
        # The workers did the work; the assembly found all of it.
        records = {r["layer"]: r for r in json.loads((d / "many.json").read_text())}
        self.assertEqual([records[f"layer.{k}"].get("reused") for k in range(LAYERS)],
                         [True] * 4 + [None])
        self.assertEqual(len(list((d / "work").iterdir())), 4)

        # One layer is lost, one is damaged: they are computed again.
        lost = distribute.work_file(d / "work", "layer.0")
        damaged = distribute.work_file(d / "work", "layer.2")
        content = damaged.read_bytes()
        lost.unlink()
        damaged.write_bytes(content[:-400] + bytes(400))
        result = self.distribute("again", "--option", "iterations=7")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr.count("(reused)"), 2, result.stderr)
        self.assertEqual(damaged.read_bytes(), content)
        self.assertEqual((d / "again.safetensors").read_bytes(),
                         (d / "many.safetensors").read_bytes())

        # Other options: nothing can be reused, and the result is another.
        result = self.distribute("other", "--option", "iterations=7", "--option", "seed=1")
        self.assertEqual((result.returncode, result.stderr.count("(reused)")), (0, 0))
        self.assertNotEqual((d / "other.safetensors").read_bytes(),
                            (d / "many.safetensors").read_bytes())

    def test_failing_layer_is_named_others_are_kept(self):
        self.make("nan", "nan")
        result = self.distribute("out", "--option", "iterations=3")
        self.check_fails(result, r"layer 'layer\.1' on \S+: .*the matrix has a NaN at row 3, "
                                 r"column 5; finished layers are kept in \S+/work")
        self.assertEqual(sorted(path.name for path in (self.directory / "work").iterdir()),
                         [f"layer.{k}.safetensors" for k in (0, 2, 3)])

    def test_missing_weights(self):
        self.make("missing")
        self.check_fails(self.distribute("out", weights="none.safetensors"),
                         r"layer 'layer\.\d' on \S+: .*none\.safetensors.*No such file.*"
                         r"\(and 3 more layers failed\); finished layers are kept in \S+/work")

    def test_bad_plan_starts_no_worker(self):
        self.make("plan")
        plan = json.loads((self.directory / "plan.json").read_text())
        plan["layers"][0]["layer"] = "unknown"
        (self.directory / "plan.json").write_text(json.dumps(plan))
        result = self.distribute("out")
        self.check_fails(result, ".*'unknown', which the model does not have")
        self.assertFalse((self.directory / "work").exists())
        (self.directory / "plan.json").write_text("{}")
        self.check_fails(self.distribute("out"), ".*plan.json: not a plan file: .*")

    def test_bad_options(self):
        self.make("options")
        self.check_fails(self.distribute("out", "--option", "output=x"), ".*option of its own")
        self.check_fails(self.distribute("out", "--option", "seed"), ".*has no '='")
        self.check_fails(self.distribute("out", "--option", "iteratons=2"), ".*iteratons.*")
        for workers in ("0", "-1", "raymond", ""):
            result = self.distribute("out", workers=workers)
            self.assertEqual(result.returncode, 2)
            self.assertIn("neither a positive number nor ray[:ADDRESS]", result.stderr)

    def test_work_file_names(self):
        self.make("names")
        d = self.directory
        # The tool's own names, for a name with everything in it.
        name = "../a b/ü.%._-~"
        text = (d / "model.mlir").read_text().replace('layer = "layer.0"', f'layer = "{name}"')
        (d / "model.mlir").write_text(text)
        opt(d / "model.mlir", "-o", d / "planned.mlir",
            tools.pass_argument("structured-plan", blocks=4),
            tools.pass_argument("structured-factorize", weights=d / "weights.safetensors",
                                output=d / "f", work_dir=d / "work", iterations=1))
        self.assertEqual({path.name for path in (d / "work").iterdir()},
                         {distribute.work_file(d, layer).name
                          for layer in (name, "layer.1", "layer.2", "layer.3", "layer.4")})


unittest.main()
