# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""StableHLO import: arguments and constants that become weights, numbers, errors."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import safetensors.numpy

from structured import runtime, tools
from structured.errors import StructuredError
from structured.importer import ImportedModel, import_model

SCRATCH = Path(sys.argv.pop())
RANDOM = np.random.default_rng(0)

# As JAX writes it: parameters first, named by their path; attributes of its own.
MLP = '''
#bias = loc("params['fc']['bias']")
#kernel = loc("params['fc']['kernel']")
#out = loc("params['out']['kernel']")
#x = loc("x")
module @jit_f attributes {mhlo.num_partitions = 1 : i32} {
  func.func public @main(%bias: tensor<12xf32> loc(#bias), %k: tensor<8x12xf32> loc(#kernel),
      %o: tensor<12x4xf32> loc(#out), %x: tensor<3x8xf32> {jax.arg_info = "x"} loc(#x))
      -> (tensor<3x4xf32> {jax.result_info = "result"}) {
    %0 = stablehlo.dot_general %x, %k, contracting_dims = [1] x [0]
        : (tensor<3x8xf32>, tensor<8x12xf32>) -> tensor<3x12xf32>
    %1 = stablehlo.broadcast_in_dim %bias, dims = [1] : (tensor<12xf32>) -> tensor<3x12xf32>
    %2 = stablehlo.add %0, %1 : tensor<3x12xf32>
    %3 = func.call @act(%2) : (tensor<3x12xf32>) -> tensor<3x12xf32>
    %4 = stablehlo.dot_general %3, %o, contracting_dims = [1] x [0]
        : (tensor<3x12xf32>, tensor<12x4xf32>) -> tensor<3x4xf32>
    return %4 : tensor<3x4xf32>
  }
  func.func private @act(%a: tensor<3x12xf32>) -> tensor<3x12xf32> {
    %0 = chlo.erf %a : tensor<3x12xf32> -> tensor<3x12xf32>
    %1 = stablehlo.tanh %0 : tensor<3x12xf32>
    return %1 : tensor<3x12xf32>
  }
}
'''
WEIGHTS = {"fc.bias": RANDOM.standard_normal(12).astype(np.float32),
           "fc.kernel": RANDOM.standard_normal((8, 12)).astype(np.float32),
           "out.kernel": RANDOM.standard_normal((12, 4)).astype(np.float32)}


def mlp(x):
    from math import erf
    w = {name: array.astype(np.float64) for name, array in WEIGHTS.items()}
    h = np.vectorize(erf)(x @ w["fc.kernel"] + w["fc.bias"])
    return np.tanh(h) @ w["out.kernel"]


class StableHlo(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.path = self.directory / "model.mlir"
        self.out = self.directory / "an out"
        self.weights = self.directory / "weights.safetensors"
        self.path.write_text(MLP)
        safetensors.numpy.save_file(WEIGHTS, self.weights)

    def check_fails(self, message, weights=None):
        with self.assertRaisesRegex(StructuredError, message) as raised:
            import_model(self.path, self.out, weights)
        self.assertNotIn("\n", str(raised.exception))
        self.assertEqual(list(self.out.iterdir()) if self.out.is_dir() else [], [])

    def check_mlp(self, model: ImportedModel):
        self.assertEqual(model.inputs, [{"name": "x", "dtype": "float32", "shape": [3, 8]}])
        self.assertEqual(model.parameters,
                         ["params.fc.bias", "params.fc.kernel", "params.out.kernel"])
        raised = self.directory / "raised.mlir"
        subprocess.run([tools.find_tool("structured-opt"), model.mlir,
                        "--structured-raise-linear", "-o", raised], check=True)
        text = raised.read_text()
        for layer in ("params.fc.kernel", "params.out.kernel"):
            self.assertIn(f'structured.linear {{layer = "{layer}"}}', text)
        module = self.directory / "model.so"
        tools.run("structured-compile", str(raised), f"--weights={model.weights}",
                  "-o", str(module))
        x = RANDOM.standard_normal((3, 8)).astype(np.float32)
        np.testing.assert_allclose(runtime.Module.load(module)(x=x)[0], mlp(x), rtol=0, atol=2e-5)

    def test_arguments_in_a_safetensors_file(self):
        self.check_mlp(import_model(self.path, self.out, self.weights))

    def test_portable_artifact_and_npz(self):
        from torch_mlir import ir
        from torch_mlir._mlir_libs import _stablehlo
        artifact = _stablehlo.serialize_portable_artifact_str(
            MLP.replace("chlo.erf %a : tensor<3x12xf32> -> tensor<3x12xf32>",
                        "stablehlo.tanh %a : tensor<3x12xf32>"), "1.9.0")
        self.path = self.directory / "model.stablehlo"
        self.path.write_bytes(artifact)
        npz = self.directory / "weights.npz"
        np.savez(npz, **{f"params/{name.replace('.', '/')}": array
                         for name, array in WEIGHTS.items()})
        model = import_model(self.path, self.out, npz)
        self.assertEqual(len(model.parameters), 3)
        stored = safetensors.numpy.load_file(model.weights)
        np.testing.assert_array_equal(stored["params.fc.kernel"], WEIGHTS["fc.kernel"])

    def test_large_constants_are_weights(self):
        kernel = RANDOM.standard_normal((8, 4)).astype(np.float32)
        text = ", ".join("[" + ", ".join(map(repr, row.tolist())) + "]" for row in kernel)
        self.path.write_text(f'''
          func.func public @predict(%x: tensor<3x8xf32>) -> tensor<3x4xf32> {{
            %w = stablehlo.constant dense<[{text}]> : tensor<8x4xf32>
            %b = stablehlo.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
            %s = stablehlo.constant dense<0.5> : tensor<3x4xf32>
            %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0]
                : (tensor<3x8xf32>, tensor<8x4xf32>) -> tensor<3x4xf32>
            %1 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<4xf32>) -> tensor<3x4xf32>
            %2 = stablehlo.add %0, %1 : tensor<3x4xf32>
            %3 = stablehlo.multiply %2, %s : tensor<3x4xf32>
            return %3 : tensor<3x4xf32>
          }}''')
        model = import_model(self.path, self.out)
        self.assertEqual(model.parameters, ["constant0"])
        self.assertEqual([i["name"] for i in model.inputs], ["arg0"])
        np.testing.assert_array_equal(
            safetensors.numpy.load_file(model.weights)["constant0"], kernel)

    def test_without_weights_all_arguments_are_inputs(self):
        model = import_model(self.path, self.out)
        self.assertEqual([i["name"] for i in model.inputs],
                         ["params.fc.bias", "params.fc.kernel", "params.out.kernel", "x"])

    def test_argument_that_is_updated(self):
        self.path.write_text("""
func.func public @main(%x: tensor<2x3xf32>, %at: tensor<i32>, %w: tensor<3xf32>,
                       %cache: tensor<9x3xf32> {tf.aliasing_output = 1 : i32})
    -> (tensor<9x3xf32>, tensor<9x3xf32>) {
  %zero = stablehlo.constant dense<0> : tensor<i32>
  %0 = stablehlo.dynamic_update_slice %cache, %x, %at, %zero
      : (tensor<9x3xf32>, tensor<2x3xf32>, tensor<i32>, tensor<i32>) -> tensor<9x3xf32>
  %1 = stablehlo.add %0, %0 : tensor<9x3xf32>
  return %1, %0 : tensor<9x3xf32>, tensor<9x3xf32>
}""")
        safetensors.numpy.save_file({"arg2": np.ones(3, np.float32)}, self.weights)
        model = import_model(self.path, self.out, self.weights)
        raised, module = self.directory / "raised.mlir", self.directory / "model.so"
        tools.run("structured-opt", str(model.mlir), "--structured-raise-linear", "-o", str(raised))
        tools.run("structured-compile", str(raised), f"--weights={model.weights}",
                  "-o", str(module))
        x, cache = (RANDOM.standard_normal(s).astype(np.float32) for s in ((2, 3), (9, 3)))
        expected = cache.copy()
        expected[7:] = x
        # A place beyond the last one is the last one.
        twice, updated = runtime.Module.load(module)(x, np.array(8, np.int32), cache)
        self.assertIs(updated, cache)
        np.testing.assert_array_equal(cache, expected)
        np.testing.assert_array_equal(twice, 2 * expected)

    def test_weights_that_do_not_fit(self):
        for weights, message in (
                ({"head": np.zeros(3, np.float32)}, "'head' fits none of the arguments"),
                ({"kernel": np.zeros((8, 12), np.float32)},
                 r"'kernel' fits params.fc.kernel, params.out.kernel of the arguments"),
                ({"fc.kernel": np.zeros((12, 8), np.float32)},
                 r"'params.fc.kernel' is float32 \[12, 8\], the argument float32 \[8, 12\]"),
                ({"fc.kernel": np.zeros((8, 12))}, "is float64")):
            safetensors.numpy.save_file(weights, self.weights)
            self.check_fails(message, self.weights)
        np.savez(self.directory / "w.npz", **{"fc/bias": np.zeros(12, np.float32),
                                              "fc.bias": np.zeros(12, np.float32)})
        self.check_fails("two tensors for the argument 'params.fc.bias'",
                         self.directory / "w.npz")

    def test_not_stablehlo(self):
        self.path.write_text("no MLIR")
        self.check_fails("model.mlir: not a StableHLO module: ")
        self.path.write_bytes(b"ML\xefR\x0dStableHLO_v1.9.0\x00" + bytes(50))
        self.check_fails("model.mlir: not a StableHLO module: ")
        self.path = self.directory / "missing.mlir"
        self.check_fails("missing.mlir: No such file")

    def test_dynamic_shapes(self):
        self.path.write_text('''func.func public @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
          return %x : tensor<?x8xf32> }''')
        self.check_fails("'arg0' is a tensor<.x8xf32>: export the model with static shapes")

    def test_several_entries(self):
        self.path.write_text('''
          func.func public @a(%x: tensor<8xf32>) -> tensor<8xf32> { return %x : tensor<8xf32> }
          func.func public @b(%x: tensor<8xf32>) -> tensor<8xf32> { return %x : tensor<8xf32> }''')
        self.check_fails("no function 'main', and 2 public functions")

    def test_op_that_does_not_lower(self):
        self.path.write_text('''
          func.func public @main(%x: tensor<8xf32>) -> tensor<8xf32> {
            %0 = stablehlo.custom_call @library(%x)
                : (tensor<8xf32>) -> tensor<8xf32> loc("layer/call")
            return %0 : tensor<8xf32>
          }''')
        self.check_fails("layer/call: stablehlo.custom_call does not lower")

    def test_unsupported_type(self):
        self.path.write_text('''
          func.func public @main(%x: tensor<8xcomplex<f32>>) -> tensor<8xcomplex<f32>> {
            return %x : tensor<8xcomplex<f32>>
          }''')
        self.check_fails("'arg0' is a tensor<8xcomplex<f32>>, not a tensor of a supported type")


unittest.main()
