# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t
# RUN: %python %S/Inputs/mlp.py %t/mlp.onnx
# RUN: %python %s %t
"""Second moments from the compiled model equal NumPy's; bad calibration sets."""

import contextlib
import io
import json
import sys
import unittest
from pathlib import Path

import numpy as np
import onnx
import safetensors
import safetensors.numpy
from onnx import numpy_helper

from structured import calibration, driver, runtime
from structured.errors import StructuredError
from structured.pipeline import Workspace

SCRATCH = Path(sys.argv.pop())


class Calibration(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace(SCRATCH / "job")
        cls.model = cls.workspace.import_model(SCRATCH / "mlp.onnx")
        random = np.random.default_rng(1)
        cls.x = (random.standard_normal((160, 64)) + 0.5).astype(np.float32)

    def write(self, **arrays):
        path = SCRATCH / "inputs.npz"
        np.savez(path, **arrays)
        return path

    def refuse(self, message, **arrays):
        path = self.write(**arrays)
        with self.assertRaisesRegex(StructuredError, message):
            self.workspace.moments(self.model, path)

    def test_moments_are_numpys(self):
        path = self.workspace.moments(self.model, self.write(x=self.x))
        moments = safetensors.numpy.load_file(path)
        weights = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64)
                   for tensor in onnx.load(SCRATCH / "mlp.onnx").graph.initializer}
        second = np.maximum(self.x @ weights["first.weight"] + weights["first.bias"], 0)
        for layer, x in (("first", self.x.astype(np.float64)), ("second", second)):
            np.testing.assert_allclose(moments[f"{layer}.moment"], x.T @ x / 160,
                                       rtol=1e-4, atol=1e-5)
        with safetensors.safe_open(path, "np") as file:
            self.assertEqual(file.metadata(), {"samples": "160"})
        stamp = path.stat().st_mtime_ns
        self.workspace.moments(self.model, SCRATCH / "inputs.npz")
        self.assertEqual(path.stat().st_mtime_ns, stamp)

    def test_refusals(self):
        nan = self.x.copy()
        nan[5, 6] = np.nan
        self.refuse("'x' has a NaN or infinity", x=nan)
        self.refuse("the calibration set is empty", x=self.x[:0])
        self.refuse(r"'x' is float32 \[33, 64\], the model takes", x=self.x[:33])
        self.refuse(r"'x' is float64 \[32, 64\]", x=self.x[:32].astype(np.float64))
        self.refuse("inputs.npz: ", y=self.x)
        self.refuse("layer 'first': its inputs have a NaN or are too large in calibration "
                    "call 1", x=np.concatenate([self.x[:32], np.full((32, 64), 3e38, "f4")]))
        self.assertFalse(list((SCRATCH / "job" / "calibration").glob("*.tmp*")))

    def test_sentences(self):
        path = SCRATCH / "sentences.txt"
        path.write_text("One.\n\n  Two.  \n")
        self.assertEqual(calibration.read_sentences(path), ["One.", "Two."])
        path.write_text("\n \n")
        with self.assertRaisesRegex(StructuredError, "set is empty: no line has text"):
            calibration.read_sentences(path)
        with self.assertRaisesRegex(StructuredError, "cannot read"):
            calibration.read_sentences(SCRATCH / "none.txt")

    def test_masked_tokens_do_not_count(self):
        manifest = SCRATCH / "manifest.json"
        manifest.write_text(json.dumps({"version": 1, "mask": "m", "moments": [
            {"result": 0, "layers": ["a", "b"], "features": 2, "tokens": 3}]}))
        output = SCRATCH / "moments.safetensors"
        calls = [{"m": np.array([1, 1, 0])}, {"m": np.array([1, 0, 0])}]
        count = calibration.collect(lambda m: [np.full((2, 2), m.sum(), "f4")], manifest,
                                    iter(calls), output)
        self.assertEqual(count, 3)
        moments = safetensors.numpy.load_file(output)
        for layer in "ab":
            np.testing.assert_array_equal(moments[f"{layer}.moment"], np.ones((2, 2)))
        for calls in ([], [{"m": np.zeros(3)}]):
            with self.assertRaisesRegex(StructuredError, "empty: no token counts"):
                calibration.collect(lambda m: [np.zeros((2, 2))], manifest, iter(calls), output)

    def test_compress(self):
        inputs = self.write(x=self.x)
        out = SCRATCH / "compress"
        arguments = ["compress", str(SCRATCH / "mlp.onnx"), "-o", str(out), "--blocks", "2",
                     "--repeat", "1", "--calibrate", str(inputs)]
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(driver.main([*arguments, "--allocate", "global"]), 0)
        layers = json.loads((out / "report.json").read_text())["layers"]
        self.assertLessEqual(sum(layer["parameters"] for layer in layers), 0.5 * 16384)
        for layer in layers:
            self.assertLess(layer.get("output_error", 0), layer["relative_error"] or 1)
        # The second layer's outputs are the model's: an error of them is an error of
        # the model, as far as the samples it is measured on are those it is made for.
        importance = json.loads((out / "calibration/keep-0.5-blocks-2/importance.json")
                                .read_text())
        self.assertEqual(list(importance), ["first", "second"])
        self.assertAlmostEqual(importance["second"], 1, delta=0.05)
        self.assertTrue(0 < importance["first"] < 5, importance)
        # 32 tokens suffice for 128 features; an empty set does not.
        self.write(x=self.x[:0])
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(driver.main(arguments), 1)
        self.assertIn("the calibration set is empty", errors.getvalue())

    def compress(self, inputs, out, *arguments):
        """Runs the driver with the calibration inputs; status, standard error, report."""
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()) as errors:
            status = driver.main(["compress", str(SCRATCH / "mlp.onnx"), "-o", str(out),
                                  "--repeat", "1", "--calibrate", str(inputs),
                                  *arguments])
        report = json.loads((out / "report.json").read_text()) if status == 0 else None
        return status, errors.getvalue(), report

    def gblr_weights(self, factors):
        """The matrices [out, in] of the layers by their components, in float64."""
        tensors = safetensors.numpy.load_file(factors)
        result = {}
        for layer, (m, n) in (("first", (128, 64)), ("second", (64, 128))):
            dense, u, v = (np.zeros((m, n)), tensors[f"{layer}.gblr.U"].astype(np.float64),
                           tensors[f"{layer}.gblr.V"].astype(np.float64))
            for row, rows, col, cols, rank in tensors[f"{layer}.gblr.components"]:
                dense[np.ix_((row + np.arange(rows)) % m, (col + np.arange(cols)) % n)] += \
                    u[:rank * rows].reshape(rank, rows).T @ v[:rank * cols].reshape(rank, cols)
                u, v = u[rank * rows:], v[rank * cols:]
            self.assertEqual(u.size + v.size, 0)
            result[layer] = dense
        return result

    def test_gblr(self):
        inputs = self.write(x=self.x)
        reports, weights = {}, {}
        for name, calibrate in (("calibrated", ["--calibrate", str(inputs)]), ("free", [])):
            out = SCRATCH / f"gblr-{name}"
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(driver.main(
                    ["compress", str(SCRATCH / "mlp.onnx"), "-o", str(out), "--repeat", "1",
                     "--structure", "gblr", *calibrate]), 0)
            reports[name] = {layer["layer"]: layer for layer in
                             json.loads((out / "report.json").read_text())["layers"]}
            weights[name] = self.gblr_weights(out / "compressed" / "factors.safetensors")
        original = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64)
                    for tensor in onnx.load(SCRATCH / "mlp.onnx").graph.initializer}
        x = self.x.astype(np.float64)
        hidden = np.maximum(x @ original["first.weight"] + original["first.bias"], 0)
        for layer, samples in (("first", x), ("second", hidden)):
            w = original[f"{layer}.weight"].T
            errors = {name: np.linalg.norm((w - ws[layer]) @ samples.T)
                      / np.linalg.norm(w @ samples.T) for name, ws in weights.items()}
            report = reports["calibrated"][layer]
            self.assertEqual(report["structure"], "gblr")
            self.assertLessEqual(report["parameters"], 4096)
            self.assertAlmostEqual(report["output_error"], errors["calibrated"], places=4)
            self.assertNotIn("output_error", reports["free"][layer])
            self.assertLess(errors["calibrated"], 0.97 * errors["free"])
            self.assertLess(reports["free"][layer]["relative_error"], report["relative_error"])
        # The compiled model computes with these factors.
        module = runtime.Module.load(SCRATCH / "gblr-calibrated" / "compressed" / "model.so")
        hidden = np.maximum(self.x[:32] @ weights["calibrated"]["first"].T
                            + original["first.bias"], 0)
        np.testing.assert_allclose(module(x=self.x[:32])[0],
                                   hidden @ weights["calibrated"]["second"].T,
                                   rtol=1e-4, atol=1e-4)

    def output_error(self, out, directory):
        """The error over all calibration inputs of a compiled model, from its runs."""
        results = []
        for path in (out / "dense", Path(directory)):
            module = runtime.Module.load(path / "model.so")
            results.append(np.concatenate(
                [module(x=x)[0] for x in self.x.reshape(-1, 32, 64)]).astype(np.float64))
        return np.linalg.norm(results[1] - results[0]) / np.linalg.norm(results[0])

    def test_search(self):
        inputs, out = self.write(x=self.x), SCRATCH / "search"
        arguments = ["--max-output-error", "0.3", "--candidate-structures", "blast", "gblr",
                     "--candidate-blocks", "1", "2"]
        status, log, report = self.compress(inputs, out, *arguments)
        self.assertEqual(status, 0, log)
        self.assertIn("search 5/5: keep", log)
        self.assertEqual(log.count("error curves (blast-gblr-1-2-calibrated)\n"), 1, log)
        tried = report["search"]["tried"]
        self.assertEqual(len(tried), 5)
        for trial in tried:
            self.assertAlmostEqual(trial["output_error"],
                                   self.output_error(out, trial["directory"]), places=5)
        # The smallest of those within the bound, and the interval was halved.
        within = [trial for trial in tried if trial["output_error"] <= 0.3]
        above = [trial for trial in tried if trial["output_error"] > 0.3]
        best = min(within, key=lambda trial: trial["keep"])
        self.assertEqual(report["directory"], best["directory"])
        self.assertLess(max(trial["keep"] for trial in above), best["keep"])
        self.assertLess(best["keep"] - max(trial["keep"] for trial in above), 1 / 32 + 1e-4)
        parameters = sum(layer["parameters"] for layer in report["layers"])
        self.assertLessEqual(parameters, best["keep"] * 16384)
        self.assertLess(parameters, 16384)
        # Again, nothing is done twice; a lower bound takes what has been done.
        status, log, _ = self.compress(inputs, out, *arguments)
        self.assertEqual(status, 0)
        steps = [line for line in log.splitlines() if "search " not in line.split("]")[1][:8]
                 and "run and compare" not in line]
        self.assertTrue(len(steps) > 15 and all(s.endswith("up to date") for s in steps), steps)
        status, log, report = self.compress(inputs, out, *arguments[2:], "--max-output-error", "0.2")
        self.assertEqual(status, 0, log)
        self.assertIn(f"factorize (search/keep-{tried[0]['keep']:g}): up to date", log)
        self.assertGreater(report["search"]["tried"][-1]["keep"], tried[-1]["keep"])
        # What cannot be reached is an error and leaves no report of it.
        status, log, _ = self.compress(inputs, SCRATCH / "unreachable", "--max-output-error", "1e-9",
                                       "--candidate-blocks", "1", "2")
        self.assertEqual(status, 1)
        self.assertRegex(log, "error: no compression found with an output error of at most 1e-09: "
                              "keeping 0.9[0-9]*, it is 0.0")
        self.assertFalse((SCRATCH / "unreachable" / "report.json").exists())


unittest.main()
