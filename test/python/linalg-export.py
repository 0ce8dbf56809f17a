# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t && %python %s mlir-opt %t
"""Plain linalg: what is left in it, the weights' order and layout, errors."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import safetensors.numpy

from structured.errors import StructuredError
from structured.linalg_export import export_linalg

SCRATCH = Path(sys.argv.pop())
MLIR_OPT = shutil.which(sys.argv.pop())
RANDOM = np.random.default_rng(0)

MODEL = '''
func.func @main(%x: tensor<4x8xf32> {structured.name = "x"}, %free: tensor<12xf32>)
    -> tensor<4x12xf32> {
  %u = structured.parameter "fc.U" : tensor<3x4x5xf32>
  %s = structured.parameter "fc.S" : tensor<3x2x5xf32>
  %vt = structured.parameter "fc.Vt" permutation = [2, 1, 0] : tensor<2x5x4xf32>
  %e = tensor.empty() : tensor<4x12xf32>
  %y0 = linalg.broadcast ins(%free : tensor<12xf32>) outs(%e : tensor<4x12xf32>) dimensions = [0]
  %y = structured.blast.matmul {layer = "fc"}
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>, tensor<3x2x5xf32>,
                            tensor<2x5x4xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
'''


class LinalgExport(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.mlir, self.weights = self.directory / "in.mlir", self.directory / "w.safetensors"
        self.out = self.directory / "an out"
        self.mlir.write_text(MODEL)
        self.tensors = {name: RANDOM.standard_normal(shape).astype(np.float32) for name, shape in (
            ("fc.U", (3, 4, 5)), ("fc.S", (3, 2, 5)), ("fc.Vt", (4, 5, 2)), ("unused", (3,)))}
        self.save()

    def save(self):
        safetensors.numpy.save_file(self.tensors, self.weights)

    def check_fails(self, message, weights=None):
        with self.assertRaisesRegex(StructuredError, message) as raised:
            export_linalg(self.mlir, [self.weights] if weights is None else weights, self.out)
        self.assertNotIn("\n", str(raised.exception))
        self.assertEqual(list(self.out.iterdir()) if self.out.is_dir() else [], [])

    def test_weights_are_arguments(self):
        exported = export_linalg(self.mlir, [self.weights], self.out)
        self.assertEqual(exported.inputs, ["x", "arg1"])
        self.assertEqual(exported.parameters, ["fc.U", "fc.S", "fc.Vt"])
        text = exported.mlir.read_text()
        self.assertNotIn("structured", text)
        # Upstream's tool, which knows no dialect of ours, verifies it.
        subprocess.run([MLIR_OPT, exported.mlir, "-o", "/dev/null"], check=True)
        types = re.search(r"func.func @main\((.*?)\)", text).group(1)
        self.assertEqual(re.findall(r"tensor<(\w+)xf32>", types),
                         ["4x8", "12", "3x4x5", "3x2x5", "2x5x4"])
        stored = safetensors.numpy.load_file(exported.weights)
        self.assertEqual(set(stored), set(exported.parameters))
        np.testing.assert_array_equal(stored["fc.U"], self.tensors["fc.U"])
        # As the argument is laid out.
        np.testing.assert_array_equal(stored["fc.Vt"], self.tensors["fc.Vt"].transpose(2, 1, 0))
        self.assertEqual(json.loads((self.out / "model.json").read_text()),
                         {"entry": "main", "inputs": ["x", "arg1"],
                          "parameters": ["fc.U", "fc.S", "fc.Vt"]})

    def test_iree_parameters(self):
        exported = export_linalg(self.mlir, [self.weights], self.out, iree_parameters=True)
        text = exported.mlir.read_text()
        self.assertIn('#flow.parameter.named<"model"::"fc.Vt"> : tensor<2x5x4xf32>', text)
        self.assertIn("func.func @main(%arg0: tensor<4x8xf32>, %arg1: tensor<12xf32>)", text)

    def test_one_tensor_in_two_layouts(self):
        self.mlir.write_text('''
          func.func @main() -> (tensor<2x3xf32>, tensor<3x2xf32>) {
            %a = structured.parameter "w" : tensor<2x3xf32>
            %b = structured.parameter "w" permutation = [1, 0] : tensor<3x2xf32>
            return %a, %b : tensor<2x3xf32>, tensor<3x2xf32>
          }''')
        self.tensors["w"] = RANDOM.standard_normal((2, 3)).astype(np.float32)
        self.save()
        exported = export_linalg(self.mlir, [self.weights], self.out)
        first, second = (safetensors.numpy.load_file(exported.weights)[name]
                         for name in exported.parameters)
        np.testing.assert_array_equal(first, self.tensors["w"])
        np.testing.assert_array_equal(second, self.tensors["w"].T)

    def test_missing_weight(self):
        del self.tensors["fc.S"]
        self.save()
        self.check_fails("in.mlir: the parameter 'fc.S' is in none of the weights files")
        self.check_fails("in.mlir: the parameter 'fc.U' is in none of the weights files", [])

    def test_other_shape_or_type(self):
        self.tensors["fc.Vt"] = self.tensors["fc.Vt"].transpose(2, 1, 0).copy()
        self.save()
        self.check_fails(r"'fc.Vt' is float32 \[4, 5, 2\], in .* it is a tensor<2x5x4xf32>")
        self.tensors["fc.U"] = self.tensors["fc.U"].astype(np.float16)
        self.save()
        self.check_fails("'fc.U' is float16")

    def test_memrefs(self):
        self.mlir.write_text('''
          func.func @main(%x: memref<4x8xf32>, %w: memref<12x8xf32>, %y: memref<4x12xf32>) {
            structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>)
                outs(%y : memref<4x12xf32>)
            return
          }''')
        self.check_fails("in.mlir: structured.linear cannot be lowered to linalg")

    def test_several_functions(self):
        self.mlir.write_text("func.func @a() { return }\nfunc.func @b() { return }")
        self.check_fails("in.mlir: 2 public functions: one is needed")

    def test_not_mlir(self):
        self.mlir.write_text("no MLIR")
        self.check_fails("structured-opt: .*in.mlir:1:1: ")


unittest.main()
