# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t
# RUN: %python %S/Inputs/convnet.py %t/model.onnx
# RUN: %python -m structured import %t/model.onnx -o %t/imported
# RUN: %python %s %S/Inputs %t
"""A convolutional model from ONNX with the layers and biases of a checkpoint:
imported, compiled and run, against NumPy."""

import contextlib
import io
import sys
import unittest
from pathlib import Path

import numpy as np
import safetensors.numpy

DIRECTORY = Path(sys.argv.pop())
sys.path.insert(0, sys.argv.pop())
from published import blast_matrix, gblr_matrix, named, random_blast, random_gblr

from structured import runtime
from structured.driver import main


def command(*arguments):
    """Exit status, standard output and error of `structured checkpoint …`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["checkpoint", *map(str, arguments)])
    return status, out.getvalue(), err.getvalue()


class Model(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        random = np.random.default_rng(1)
        cls.random = random
        cls.taps = [random_gblr(random, 16, 3, 2, 1, 30.0) for _ in range(9)]
        cls.point = random_gblr(random, 24, 16, 5, 2, 30.0)
        cls.head = random_blast(random, 2, 3, 10, 8, 5)
        cls.biases = {f"{name}.bias": random.standard_normal(size).astype("f4")
                      for name, size in (("stem", 16), ("point", 24), ("head", 20))}
        tensors = (named("model.point.gaudi_module", cls.point) | named("model.head", cls.head)
                   | {f"model.{name}": bias for name, bias in cls.biases.items()}
                   | {"model.steps": np.array(3)})
        for i, tap in enumerate(cls.taps):
            tensors |= named(f"model.stem.gaudi_modules.{i}", tap)
        safetensors.numpy.save_file(tensors, DIRECTORY / "checkpoint.safetensors")
        cls.factors, cls.others = (DIRECTORY / f"{name}.safetensors" for name in ("f", "o"))
        assert command("import", DIRECTORY / "checkpoint.safetensors", "-o", cls.factors,
                       "--others", cls.others, "--rename", "^model[.]=", "--channels-first",
                       "--taps", 1)[0] == 0

    def expected(self, x):
        stem = np.empty((16, 3, 3, 3))
        for i, tap in enumerate(self.taps):
            stem[:, :, i // 3, i % 3] = gblr_matrix(tap, 30.0)
        x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        y = np.empty((2, 16, 5, 4))
        for h in range(5):
            for w in range(4):
                y[:, :, h, w] = np.einsum("ncij,ocij->no",
                                          x[:, :, 2 * h:2 * h + 3, 2 * w:2 * w + 3], stem)
        y = np.maximum(y + self.biases["stem.bias"][:, None, None], 0)
        y = np.einsum("nchw,oc->nohw", y, gblr_matrix(self.point, 30.0))
        y = np.maximum(y + self.biases["point.bias"][:, None, None], 0).mean(axis=(2, 3))
        return y @ blast_matrix(*(self.head[key] for key in "BCD")).T + self.biases["head.bias"]

    def test_compiled(self):
        out = DIRECTORY / "compiled"
        status, _, err = command("compile", DIRECTORY / "model.onnx", self.factors, "--others",
                                 self.others, "--im2col", "-o", out)
        self.assertEqual(status, 0, err)
        self.assertRegex(err, "warning: .*'steps' is no weight of the model\n$")
        self.assertEqual(sorted(file.name for file in out.iterdir()),
                         ["model.mlir", "model.safetensors", "model.so"])
        x = self.random.standard_normal((2, 3, 9, 8)).astype("f4")
        y, = runtime.Module.load(out / "model.so")(x=x)
        expected = self.expected(x)
        self.assertLess(np.abs(y - expected).max(), 1e-5 * np.abs(expected).max())
        # No dense weight is left.
        self.assertFalse({"stem.weight", "point.weight", "head.weight"} & set(
            safetensors.numpy.load_file(out / "model.safetensors")))

    def refused(self, message, *arguments):
        out = DIRECTORY / self.id()
        status, _, err = command("compile", DIRECTORY / "imported", *arguments, "-o", out)
        self.assertEqual(status, 1)
        self.assertRegex(err, message)
        self.assertEqual(list(out.iterdir()) if out.exists() else [], [])

    def test_convolution_without_im2col(self):
        self.refused("the model has no layer 'stem' of .*f.safetensors; .*--rename", self.factors)

    def test_columns_of_another_order(self):
        last = DIRECTORY / "last.safetensors"
        self.assertEqual(command("import", DIRECTORY / "checkpoint.safetensors", "-o", last,
                                 "--rename", "^model[.]=")[0], 0)
        self.refused(r"layer 'stem': the columns are not in the order of the model's kernel "
                     r"\[16, 3, 3, 3\]; import the checkpoint with --channels-first --taps 9",
                     last, "--im2col")

    def test_others_of_another_shape(self):
        others = DIRECTORY / "wrong.safetensors"
        safetensors.numpy.save_file({"stem.bias": np.zeros(17, "f4")}, others)
        self.refused(r"wrong.safetensors: 'stem.bias' is float32 \[17\], the model's float32 "
                     r"\[16\]", self.factors, "--others", others)

    def test_factors_of_another_shape(self):
        factors = DIRECTORY / "small.safetensors"
        safetensors.numpy.save_file({"head.U": np.zeros((2, 9, 5), "f4"),
                                     "head.S": np.zeros((2, 3, 5), "f4"),
                                     "head.Vt": np.zeros((3, 5, 8), "f4")}, factors)
        self.refused("layer 'head': factors .* do not make up a matrix of 20 x 24", factors)


unittest.main()
