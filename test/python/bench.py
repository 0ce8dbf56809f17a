# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t
# RUN: %python %s %t
# RUN: structured-opt %t/layer.mlir --structured-expand-unprofitable="costs=%t/costs.json" -o /dev/null
"""structured-bench: a tiny grid on the CPU, from modules to the table of costs;
modules for CUDA; what it goes on from; bad input. No times are looked at."""

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

from structured.bench import costs
from structured.bench.cli import main
from structured.bench.history import History
from structured.bench.layers import Layer, grid, groups, ir, parameters

SCRATCH = Path(sys.argv.pop())
LAYERS = Path(__file__).parents[2] / "benchmarks" / "layers"
CPU = ["--target", "cpu", "--select", "T=1,3", "size=96x64", "b=2,4", "keep=0.5", "--turns", "1"]


def bench(*arguments):
    """Exit status, standard output and error."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        status = main([str(argument) for argument in arguments])
    return status, out.getvalue(), error.getvalue()


class Grid(unittest.TestCase):
    def test_default(self):
        layers = grid({})
        self.assertEqual(len(layers), 5 * 8 * (1 + 4 * 4))
        self.assertEqual(len(list(groups(layers))), 5 * 8)
        self.assertTrue(all(group[0].b == 0 for group in groups(layers)))

    def test_counts(self):
        layer = Layer.blast(16, 4096, 4096, 4, 0.5)
        self.assertEqual(layer.r, 1008)
        self.assertEqual(layer.parameters, 1008 * (4096 + 4096 + 16))
        self.assertEqual(layer.operations, 2 * 16 * layer.parameters)
        self.assertEqual(layer.bytes(2), 2 * (layer.parameters + 16 * 8192))
        self.assertEqual(layer.intermediate_bytes(2), 2 * 2 * 16 * 1008 * 8)
        self.assertEqual(Layer.dense(1, 8, 6).parameters, 48)
        # Blocks that do not divide a size are left out.
        self.assertEqual([x.b for x in grid({"T": {"1"}, "size": {"6x9"}, "b": {"2", "3"},
                                             "keep": {"0.5"}})], [0, 3])

    def test_ir(self):
        layer = Layer(7, 96, 64, 2, 16, 0.5)
        self.assertNotIn("structured.parameter", ir(Layer(17, 96, 64, 2, 16, 0.5), "cuda"))
        self.assertEqual(ir(layer, "cpu").count("structured.parameter"), 3)
        (SCRATCH / "layer.mlir").write_text(ir(layer, "cpu"))

    def test_series(self):
        # Sets of factors that fill the cache take turns, the same number of times each.
        layer = Layer.blast(16, 4096, 4096, 4, 0.5)
        self.assertEqual(layer.series("cuda"), (10, 5))
        self.assertEqual(Layer.blast(1, 512, 256, 4, 0.5).series("cuda"), (32, 32))
        self.assertEqual(Layer.blast(1, 8192, 8192, 4, 0.75).series("cuda"), (8, 2))
        for other in (Layer.dense(1, 512, 256), Layer.blast(17, 512, 256, 4, 0.5)):
            self.assertIsNone(other.series("cuda"))
        self.assertIsNone(layer.series("cpu"))
        text = ir(layer, "cuda")
        self.assertEqual(text.count("structured.parameter"), 15)
        self.assertEqual(text.count("structured.blast.matmul"), 10)
        self.assertEqual(list(parameters(layer, "cuda"))[-3:], ["U4", "S4", "Vt4"])


class Run(unittest.TestCase):
    def test_cpu(self):
        out = SCRATCH / "cpu"
        status, text, error = bench("-o", out, *CPU, "--plots", out / "plots",
                                    "--write-costs", SCRATCH / "costs.json")
        self.assertEqual(status, 0, error)
        self.assertIn("compiled 6 of 6", error)
        measured = json.loads((out / "measurements.json").read_text())
        names = {(r["tokens"], r["b"], r["who"]) for r in measured["measurements"]}
        self.assertEqual(names, {(t, b, "ours") for t in (1, 3) for b in (0, 2, 4)}
                         | {(t, 0, "numpy") for t in (1, 3)})
        for record in measured["measurements"]:
            self.assertGreater(record["us"], 0)
            self.assertLess(record["error"], 1e-5)
            dense = min(r["us"] for r in measured["measurements"]
                        if r["b"] == 0 and r["tokens"] == record["tokens"])
            self.assertEqual(record["dense_us"], dense)
        self.assertEqual(len(measured["runs"]), 1)
        self.assertEqual((out / "measurements.md").read_text().count("| ours "), 6)
        plot, = (out / "plots").iterdir()
        self.assertIn("times as fast as dense", plot.read_text())
        table = json.loads((SCRATCH / "costs.json").read_text())
        self.assertEqual(set(table["implementations"]), {"dense", "blast"})
        self.assertEqual(table["tokens"], [1, 3])
        self.assertEqual(len(table["implementations"]["blast"]["layers"]), 2)

        # Choices by a table of the very measurements lose nothing but its tolerance.
        status, text, error = bench("-o", out, *CPU, "--report-only",
                                    "--check-costs", SCRATCH / "costs.json")
        self.assertEqual(status, 0, error)
        self.assertRegex(text, r"4 choices with '.*' on .*: [34] within 2 % of the fastest; [0-4] dense")
        # Where BLAST is said to be slow all layers are dense.
        for name, times in table["implementations"].items():
            for layer in times["layers"]:
                layer["seconds"] = [1e-6 if name == "dense" else 1] * 2
        (SCRATCH / "slow.json").write_text(json.dumps(table))
        status, text, error = bench("-o", out, *CPU, "--report-only",
                                    "--check-costs", SCRATCH / "slow.json")
        self.assertEqual(status, 0, error)
        self.assertIn("of the fastest; 4 dense", text)

        # All was measured; then a layer is added, and what is not ours is not
        # measured again.
        before = (out / "measurements.json").read_text()
        status, text, error = bench("-o", out, *CPU)
        self.assertEqual((status, text, error), (0, "", ""))
        self.assertEqual(json.loads(before)["measurements"],
                         json.loads((out / "measurements.json").read_text())["measurements"])
        more = [a.replace("b=2,4", "b=2,8") for a in CPU]
        status, text, error = bench("-o", out, *more, "--rivals")
        self.assertEqual(status, 0, error)
        history = History(out / "measurements.json")
        self.assertEqual(len(history.measurements), 10)
        self.assertEqual({r["run"] for r in history.measurements}, {0, 1})
        self.assertEqual({(r["b"], r["who"]) for r in history.measurements if r["run"] == 1},
                         {(0, "ours"), (8, "ours")})

        # A budget that is spent: nothing is measured, what was stays.
        status, text, error = bench("-o", out, *CPU, "--again", "--budget", "-1")
        self.assertEqual(status, 0)
        self.assertIn("the budget of -1 s does not suffice for T3-96x64-b0-r0", error)
        self.assertEqual(history.measurements, History(out / "measurements.json").measurements)

        # A wrong result is an error, and no time of it is kept.
        modules = json.loads((out / "cpu" / "modules.json").read_text())
        weights = out / "cpu" / "T1-96x64-b2-r16.safetensors"
        data = bytearray(weights.read_bytes())
        data[-64:] = bytes(64)
        weights.write_bytes(data)
        status, text, error = bench("-o", out, "--run-only", *CPU, "--again")
        self.assertEqual(status, 1)
        self.assertIn("error: T1-96x64-b2-r16, ours: relative error", error)
        wrong, = [r for r in json.loads((out / "measurements.json").read_text())["measurements"]
                  if "wrong" in r]
        self.assertNotIn("us", wrong)
        self.assertEqual(modules, json.loads((out / "cpu" / "modules.json").read_text()))

    def test_cuda_compiles(self):
        out = SCRATCH / "cuda"
        select = ["--select", "T=1,512", "size=512x256", "b=2", "keep=0.5"]
        select += ["--kernels", "library", "fused"]
        status, _, error = bench("-o", out, "--compile-only", *select)
        self.assertEqual(status, 0, error)
        index = json.loads((out / "cuda" / "modules.json").read_text())
        self.assertEqual(index["T512-512x256-b2-r80"]["kernels"], ["blast_stages12"])
        # For few tokens the factors of a series are parameters, which are written
        # where it runs.
        self.assertEqual(index["T1-512x256-b2-r80"]["kernels"], ["blast_decode"])
        self.assertEqual(list((out / "cuda").glob("*.safetensors")), [])
        self.assertNotIn("blast_stages12", index["T512-512x256-b2-r80-library"]["kernels"])
        # What the compiler chooses itself is there once.
        self.assertEqual(len(list((out / "cuda").glob("*.so"))), 7)
        self.assertFalse((out / "cuda" / "T512-512x256-b2-r80-fused.so").exists())
        # Nothing is compiled twice; what another compiler has made is.
        self.assertEqual(bench("-o", out, "--compile-only", *select)[2], "")
        index["T1-512x256-b0-r0"]["hash"] = "other"
        (out / "cuda" / "modules.json").write_text(json.dumps(index))
        self.assertIn("compiled 1 of 1", bench("-o", out, "--compile-only", *select)[2])

    def test_refuses(self):
        def fails(text, *arguments):
            status, _, error = bench("-o", SCRATCH / "refused", *arguments)
            self.assertEqual(status, 1)
            self.assertIn(text, error)
        fails("'T' is not KEY=VALUE", "--select", "T")
        fails("rank: not one of T, size, b, keep", "--select", "rank=3")
        fails("'64' is not MxN", "--select", "size=64")
        fails("invalid literal", "--select", "T=many")
        fails("must be positive", "--select", "T=0")
        fails("keep must lie between 0 and 1", "--select", "keep=1.5")
        fails("numpy: not one of torch.mm", "--rivals", "numpy")
        fails("must be positive", "--turns", "0")
        fails("T1-4096x4096-b0-r0.so: not compiled yet", "--run-only", *CPU[:2],
              "--select", "T=1", "size=4096x4096")
        fails("no measurements", "--report-only", "--plots", SCRATCH / "refused" / "plots")
        fails("name one --device of: ", "--report-only", "--write-costs", SCRATCH / "no.json")
        fails("--check-costs: name one --device", "--report-only", "--check-costs", "h200")
        fails("no measurements of BLAST layers on 'a card'", "--report-only", "--check-costs",
              "h200", "--device", "a card")
        fails("no measurements on 'a card'", "--report-only", "--write-costs",
              SCRATCH / "no.json", "--device", "a card")
        path = SCRATCH / "refused" / "measurements.json"
        for text, reason in (("{", "not a file of measurements"), ('{"version": 2}', "version 2"),
                             ('{"version": 1, "runs": [], "measurements": [{"run": 0}]}',
                              "a measurement of run 0, which is not there")):
            path.write_text(text)
            fails(reason, "--report-only")


class Plan(unittest.TestCase):
    """benchmarks/layers/run_plan.py: a line that fails does not keep the others."""

    def test_cpu(self):
        out, plan = SCRATCH / "plan", SCRATCH / "plan.json"
        line = lambda t: ["--target", "cpu", "--turns", "1", "--select", f"T={t}", "size=64x32",
                          "b=2", "keep=0.5"]
        plan.write_text(json.dumps([line(1), line(3), line(5)]))
        script = LAYERS / "run_plan.py"
        run = lambda *arguments: subprocess.run(
            [sys.executable, script, *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(run("compile", out, plan).returncode, 0)
        (out / "cpu" / "T3-64x32-b2-r16.so").unlink()
        process = run("run", out, plan, 60)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("T3-64x32-b2-r16.so: not compiled yet", process.stdout)
        self.assertEqual([text.split(",")[0] for text in process.stdout.splitlines()
                          if text.startswith("end")],
                         ["end 0: status 0", "end 1: status 1", "end 2: status 0"])
        tokens = {r["tokens"] for r in History(out / "measurements.json").measurements}
        self.assertEqual(tokens, {1, 5})


class ChangedChoice(unittest.TestCase):
    """What was measured of one choice of the compiler stays where it chooses another."""

    def test_history(self):
        history = History(SCRATCH / "choice.json")
        layer = Layer.blast(64, 512, 256, 2, 0.5)

        def measure(device, us, kernels, dense=1.0):
            history.begin({"machine": {"device": device}, "target": "cuda", "date": "2026-01-01"})
            history.add([{"tokens": 64, "m": 512, "n": 256, "b": 0, "r": 0, "keep": 1.0,
                          "who": "ours", "us": dense, "dense_us": dense, "kernels": []},
                         {"tokens": 64, "m": 512, "n": 256, "b": 2, "r": layer.r, "keep": 0.5,
                          "who": "ours", "us": us, "dense_us": dense, "kernels": kernels}])

        def names(device):
            return {(r["who"], r["us"]) for r in history.measurements
                    if r["b"] and history.runs[r["run"]]["machine"]["device"] == device}

        measure("one", 7.0, ["blast_stages12", "elementwise"])
        measure("two", 6.0, ["blast_stages12"])
        measure("one", 8.0, ["blast_stage2"])
        self.assertEqual(names("one"), {("ours", 8.0), ("ours:fused", 7.0)})
        self.assertEqual(names("two"), {("ours", 6.0)})
        # The same kernels again; back to the first ones.
        measure("one", 9.0, ["blast_stage2"])
        self.assertEqual(names("one"), {("ours", 9.0), ("ours:fused", 7.0)})
        measure("one", 5.0, ["blast_stages12"], dense=2.0)
        self.assertEqual(names("one"), {("ours", 5.0), ("ours:unfused", 9.0)})
        costs.write_costs(history, "one", SCRATCH / "choice-costs.json")
        table = json.loads((SCRATCH / "choice-costs.json").read_text())["implementations"]
        # All on one clock: where the dense layer took half as long, so did the others.
        self.assertEqual({name: times["layers"][0]["seconds"] for name, times in table.items()},
                         {"dense": [2e-6], "blast_stages12": [5e-6], "blast_stage2": [18e-6]})
        self.assertEqual(table["blast_stage2"]["multiple"], 8)


class Costs(unittest.TestCase):
    def test_fit(self):
        features = np.array([[1, 10, 5], [1, 200, 7], [1, 20, 300], [1, 400, 500]], float)
        fitted = costs.fit(features, features @ [2, 0.5, 0.25])
        np.testing.assert_allclose(fitted, [2, 0.5, 0.25], rtol=1e-9)
        # A coefficient that would be negative is 0.
        fitted = costs.fit(features, features @ [200, 0.5, -0.25])
        self.assertEqual(fitted[2], 0)
        self.assertTrue((fitted >= 0).all())

    def test_leave_out(self):
        # Times that a roofline gives exactly are estimated exactly, whatever is left out.
        rooflines = {"dense": (1e-6, 0, 1e-12), "blast_x": (3e-6, 0, 1e-12)}
        tokens, times, implementations = [1, 64, 1024], {}, {}
        for name, coefficients in rooflines.items():
            lines = []
            for size in (512, 1024, 2048):
                for layer in ([Layer.dense(1, size, size)] if name == "dense" else
                              [Layer.blast(1, size, size, b, keep)
                               for b in (2, 4, 8) for keep in (0.1, 0.25, 0.5)]):
                    layers = [dataclasses.replace(layer, tokens=t) for t in tokens]
                    seconds = [float(np.dot(coefficients, (1, x.operations,
                                                           costs.moved_bytes(x, 2))))
                               for x in layers]
                    times |= zip(layers, seconds)
                    lines.append({"m": size, "n": size, "b": layer.b, "r": layer.r,
                                  "seconds": seconds})
            keys = ("overhead", "seconds_per_operation", "seconds_per_byte")
            implementations[name] = dict(zip(keys, coefficients)) | {"layers": lines}
        path = SCRATCH / "roofline.json"
        path.write_text(json.dumps({
            "version": 1, "device": "a card", "target": "cuda", "element_bytes": 2,
            "tokens": tokens, "implementations": implementations}))
        process = subprocess.run([sys.executable, LAYERS / "leave_out.py", path],
                                 capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in process.stdout.splitlines()]
        for name, count in (("nothing", 81), ("size", 81), ("b", 81), ("kept", 81), ("T", 27)):
            self.assertIn([name, "0.0", "0.0", str(count), "0"], [row[:5] for row in rows])
        for t in tokens:
            pays = sum(seconds <= 1.02 * times[Layer.dense(t, layer.m, layer.n)]
                       for layer, seconds in times.items() if layer.b and layer.tokens == t)
            self.assertIn([str(t), str(pays), str(27 - pays)], rows)


unittest.main()
