# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""ONNX export: factors as nodes, compared with the dense matrices in float64."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from structured import runtime, tools
from structured.checkpoints.matrices import Blast, Gblr
from structured.errors import StructuredError
from structured.importer import import_onnx
from structured.onnx_export import export_onnx

SCRATCH = Path(sys.argv.pop())
RANDOM = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return RANDOM.standard_normal(shape).astype(dtype)


def blast(b_out, p, b_in, q, r, dtype=np.float32):
    return Blast(normal(b_out, p, r, dtype=dtype), normal(b_out, b_in, r, dtype=dtype),
                 normal(b_in, r, q, dtype=dtype))


def gblr(m, n, *components):
    """Components (row start, rows, column start, columns, rank)."""
    return Gblr.pack((m, n), [(row, column, normal(rank, rows), normal(rank, columns))
                              for row, rows, column, columns, rank in components], np.float32)


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


class OnnxExport(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.onnx, self.factors, self.out = (
            self.directory / name for name in ("model.onnx", "factors.safetensors", "out.onnx"))

    def save(self, nodes, x_shape, y_shape, weights, layers, opset=17, dtype=TensorProto.FLOAT,
             **options):
        graph = helper.make_graph(nodes, "graph", [value("x", x_shape, dtype)],
                                  [value("y", y_shape, dtype)],
                                  [numpy_helper.from_array(a, n) for n, a in weights.items()])
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", opset)]), self.onnx, **options)
        safetensors.numpy.save_file(
            {f"{name}.{end}": np.ascontiguousarray(array) for name, matrix in layers.items()
             for end, array in matrix.tensors().items()}, self.factors)

    def run_out(self, x):
        options = onnxruntime.SessionOptions()
        if x.dtype == np.float16:
            # The next level of onnxruntime 1.32 crashes on Transpose and MatMul in f16.
            options.graph_optimization_level = \
                onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        session = onnxruntime.InferenceSession(self.out, options,
                                               providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x})[0]

    def check_linear(self, matrix, x, *, nodes=None, weights=None, reference=None, transposed=True,
                     tolerance=2e-5, x_shape=None, **options):
        """Exports y = x Wᵀ and compares with float64, relative to the largest value."""
        dense = matrix.dense()
        m, n = dense.shape
        dtype = x.dtype
        # Noise as the dense weight: what is run must be the factors.
        stored = normal(n, m, dtype=dtype) if transposed else normal(m, n, dtype=dtype)
        nodes = nodes or [helper.make_node("MatMul", ["x", "fc.weight"], ["y"], "fc/MatMul")]
        x_shape = x_shape or list(x.shape)
        self.save(nodes, x_shape, [*x_shape[:-1], m], {"fc.weight": stored} | (weights or {}),
                  {"fc": matrix}, **options)
        result = export_onnx(self.onnx, self.factors, self.out)
        expected = x.astype(np.float64) @ dense.T
        expected = reference(expected) if reference else expected
        actual = self.run_out(x)
        self.assertEqual(actual.shape, expected.shape)
        error = abs(actual - expected).max() / abs(expected).max()
        self.assertLess(error, tolerance)
        return result

    def test_blast_on_inputs_of_each_rank(self):
        for lead in ((), (7,), (2, 3), (2, 3, 5)):
            matrix = blast(3, 4, 2, 6, 5)
            result = self.check_linear(matrix, normal(*lead, 12))
            self.assertEqual((result.blast, result.gblr, result.dense), (1, 0, 0))
        names = [t.name for t in onnx.load(self.out).graph.initializer]
        self.assertNotIn("fc.weight", names)
        onnx.checker.check_model(onnx.load(self.out), full_check=True)

    def test_dynamic_sizes(self):
        self.check_linear(blast(2, 4, 3, 4, 5), normal(3, 5, 12), x_shape=["batch", "tokens", 12])
        self.assertEqual(self.run_out(normal(1, 9, 12)).shape, (1, 9, 8))
        self.assertEqual(self.run_out(normal(0, 4, 12)).shape, (0, 4, 8))

    def test_low_rank_is_two_products(self):
        self.check_linear(blast(1, 9, 1, 12, 4), normal(3, 12))
        self.assertEqual([n.op_type for n in onnx.load(self.out).graph.node], ["MatMul"] * 2)

    def test_old_opset(self):
        self.check_linear(blast(2, 4, 3, 4, 5), normal(3, 12), opset=11)

    def test_half_precision(self):
        matrix = blast(2, 8, 2, 8, 4, dtype=np.float16)
        self.check_linear(matrix, normal(5, 16, dtype=np.float16), dtype=TensorProto.FLOAT16,
                          tolerance=5e-3)

    def test_transposed_weight(self):
        nodes = [helper.make_node("Transpose", ["fc.weight"], ["wt"], "t", perm=[1, 0]),
                 helper.make_node("MatMul", ["x", "wt"], ["y"], "fc/MatMul")]
        self.check_linear(blast(2, 6, 2, 6, 5), normal(2, 3, 12), nodes=nodes, transposed=False)
        self.assertNotIn("Transpose", [n.op_type for n in onnx.load(self.out).graph.node
                                       if n.name == "t"])

    def test_gemm(self):
        bias = normal(12)
        for trans_b in (0, 1):
            for alpha, beta in ((1.0, 1.0), (0.5, -2.0)):
                nodes = [helper.make_node("Gemm", ["x", "fc.weight", "b"], ["y"], "fc/Gemm",
                                          transB=trans_b, alpha=alpha, beta=beta)]
                self.check_linear(
                    blast(2, 6, 3, 4, 5), normal(5, 12), nodes=nodes, weights={"b": bias},
                    transposed=not trans_b,
                    reference=lambda y, a=alpha, b=beta: a * y + b * bias.astype(np.float64))
        nodes = [helper.make_node("Gemm", ["x", "fc.weight"], ["y"], "fc/Gemm")]
        self.check_linear(blast(2, 6, 3, 4, 5), normal(5, 12), nodes=nodes)

    def test_gblr(self):
        # 3·(24 + 32) < 24·32, with components that wrap around and overlap.
        small = gblr(24, 32, (20, 10, 30, 9, 2), (3, 5, 0, 32, 1))
        result = self.check_linear(small, normal(2, 5, 32))
        self.assertEqual((result.blast, result.gblr, result.dense), (0, 1, 0))
        large = gblr(24, 32, *((k, 6, 2 * k, 7, 1) for k in range(16)))
        result = self.check_linear(large, normal(5, 32))
        self.assertEqual((result.blast, result.gblr, result.dense), (0, 0, 1))

    def test_weight_of_several_products_and_of_a_gather(self):
        nodes = [helper.make_node("MatMul", ["x", "fc.weight"], ["h"], "one"),
                 helper.make_node("MatMul", ["h", "fc.weight"], ["i"], "two"),
                 helper.make_node("Gather", ["fc.weight", "index"], ["row"], "look up"),
                 helper.make_node("Add", ["i", "row"], ["y"], "add")]
        matrix, w, x = blast(2, 6, 3, 4, 5), normal(12, 12), normal(5, 12)
        self.save(nodes, [5, 12], [5, 12], {"fc.weight": w, "index": np.array(3)}, {"fc": matrix})
        self.assertEqual(export_onnx(self.onnx, self.factors, self.out).blast, 2)
        dense = matrix.dense().T
        expected = x.astype(np.float64) @ dense @ dense + w[3]
        self.assertLess(abs(self.run_out(x) - expected).max() / abs(expected).max(), 2e-5)

    def test_equals_our_module_and_can_be_imported_again(self):
        """Import, factorize, compile; export; import the export and compile that."""
        w, bias = normal(32, 64) / 6, normal(32)
        self.save([helper.make_node("Transpose", ["fc.weight"], ["wt"], "t", perm=[1, 0]),
                   helper.make_node("MatMul", ["x", "wt"], ["h"], "fc/MatMul"),
                   helper.make_node("Add", ["h", "fc.bias"], ["s"], "fc/Add"),
                   helper.make_node("Tanh", ["s"], ["y"], "tanh")],
                  [2, 5, 64], [2, 5, 32], {"fc.weight": w, "fc.bias": bias}, {})
        imported = import_onnx(self.onnx, self.directory / "import")
        blast_ir = self.directory / "blast.mlir"
        tools.run("structured-opt", str(imported.mlir), "--structured-raise-linear",
                  tools.pass_argument("structured-plan", keep=0.5, blocks=4),
                  tools.pass_argument("structured-factorize", weights=imported.weights,
                                      output=self.factors), "-o", str(blast_ir))
        self.assertEqual(export_onnx(self.onnx, self.factors, self.out).blast, 1)
        again = import_onnx(self.out, self.directory / "again")
        x = normal(2, 5, 64)
        expected = self.run_out(x)
        for name, mlir, weights in (("ours", blast_ir, [imported.weights, self.factors]),
                                    ("again", again.mlir, [again.weights])):
            module = self.directory / f"{name}.so"
            tools.run("structured-compile", str(mlir), *(f"--weights={w}" for w in weights),
                      "-o", str(module))
            actual = runtime.Module.load(module)(x=x)[0]
            np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6, err_msg=name)

    def test_external_data(self):
        self.check_linear(blast(2, 8, 2, 8, 4), normal(5, 16), save_as_external_data=True,
                          location="data.bin", size_threshold=0)

    def test_large_models_keep_their_tensors_beside_them(self):
        from structured import onnx_export
        limit, onnx_export.MAX_INLINE_BYTES = onnx_export.MAX_INLINE_BYTES, 1000
        try:
            self.check_linear(blast(2, 32, 2, 32, 8), normal(5, 64))
        finally:
            onnx_export.MAX_INLINE_BYTES = limit
        self.assertTrue((self.directory / "out.onnx.data").is_file())

    def check_fails(self, message):
        with self.assertRaisesRegex(StructuredError, message) as raised:
            export_onnx(self.onnx, self.factors, self.out)
        self.assertNotIn("\n", str(raised.exception))
        self.assertFalse(self.out.exists())

    def save_linear(self, matrix, weight=None, nodes=None, name="fc.weight"):
        weight = normal(12, 8) if weight is None else weight
        nodes = nodes or [helper.make_node("MatMul", ["x", name], ["y"], "fc/MatMul")]
        self.save(nodes, [5, weight.shape[0]], [5, weight.shape[1]],
                  {name: weight, "index": np.arange(5)}, {"fc": matrix})

    def test_layer_that_the_model_lacks(self):
        self.save_linear(blast(2, 4, 3, 4, 5), name="other.weight")
        self.check_fails("'fc.U': .*model.onnx has no weight 'fc.weight'")

    def test_other_shape(self):
        self.save_linear(blast(2, 4, 3, 4, 5), normal(12, 12))
        self.check_fails(r"node 'fc/MatMul': the factors of 'fc' make a matrix \[8, 12\], the "
                         r"weight is \[12, 12\]")

    def test_other_type(self):
        self.save_linear(blast(2, 4, 3, 4, 5, dtype=np.float16))
        self.check_fails(r"'fc.U' is float16, for a matrix; .* is float32 \[12, 8\]")

    def test_other_operator(self):
        self.save_linear(blast(2, 4, 3, 4, 5), nodes=[helper.make_node(
            "Einsum", ["x", "fc.weight"], ["y"], "fc/Einsum", equation="tn,nm->tm")])
        self.check_fails("node 'fc/Einsum': the weight 'fc.weight' is used by Einsum")

    def test_no_product(self):
        self.save_linear(blast(2, 4, 3, 4, 5), nodes=[
            helper.make_node("Gather", ["fc.weight", "index"], ["y"], "look up")])
        self.check_fails("no MatMul or Gemm uses the weight 'fc.weight' of the layer 'fc'")

    def test_not_factors(self):
        self.save_linear(blast(2, 4, 3, 4, 5))
        safetensors.numpy.save_file({"fc.weight": normal(8, 12)}, self.factors)
        self.check_fails("factors.safetensors: no factors")

    def test_command(self):
        self.save_linear(blast(2, 4, 3, 4, 5))
        command = [sys.executable, "-m", "structured", "export", "onnx", self.onnx, self.factors,
                   "-o", self.out]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertIn("1 products by BLAST factors, 0 by padded GBLR", result.stdout)
        self.assertTrue(self.out.is_file())
        self.factors.unlink()
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "^structured: error: .*factors.safetensors")


unittest.main()
