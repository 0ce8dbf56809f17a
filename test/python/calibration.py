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

from structured import calibration, driver
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


unittest.main()
