# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""ONNX import: names kept, weights lifted, clear errors, no half-written files."""

import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from structured import minilm, tools
from structured.errors import StructuredError
from structured.importer import ImportedModel, import_onnx

SCRATCH = Path(sys.argv.pop())
RANDOM = np.random.default_rng(0)


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(path, nodes, inputs, outputs, weights, **options):
    """Writes an opset-17 ONNX model with the weights as initialisers."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs,
                              [numpy_helper.from_array(a, n) for n, a in weights.items()])
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid("", 17)]), path, **options)


def weight(*shape, dtype=np.float32):
    return RANDOM.standard_normal(shape).astype(dtype)


def save_linear(path, w=None, name="W", node="layer/MatMul", **options):
    """y [2,8] = x [2,8] W [8,8]."""
    w = weight(8, 8) if w is None else w
    save(path, [helper.make_node("MatMul", ["x", name], ["y"], node)],
         [value("x", [2, 8])], [value("y", [2, 8])], {name: w}, **options)
    return w


class Importer(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.onnx = self.directory / "model.onnx"
        self.out = self.directory / "an out"  # the space is deliberate

    def check_fails(self, message, path=None):
        with self.assertRaisesRegex(StructuredError, message) as raised:
            import_onnx(path or self.onnx, self.out)
        self.assertNotIn("\n", str(raised.exception))
        self.assertEqual(list(self.out.iterdir()) if self.out.is_dir() else [], [])

    def verify(self, model):
        """The IR verifies, and what is left for it to take are its inputs."""
        subprocess.run([tools.find_tool("structured-opt"), model.mlir, "-o", "/dev/null"],
                       check=True)
        text = model.mlir.read_text()
        self.assertEqual(text.count("structured.name ="), len(model.inputs))
        self.assertEqual(text.count("structured.parameter "), len(model.parameters))

    def test_minilm(self):
        minilm.write_onnx(self.onnx, sequence=16)
        model = import_onnx(self.onnx, self.out)
        self.assertEqual([i["name"] for i in model.inputs],
                         ["input_ids", "attention_mask", "token_type_ids"])
        self.assertEqual(model.outputs, [{"name": "last_hidden_state", "dtype": "float32",
                                          "shape": [1, 16, 384]}])
        checkpoint = safetensors.numpy.load_file(
            minilm.model_directory() / "model.safetensors")
        stored = safetensors.numpy.load_file(model.weights)
        unused = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
        self.assertEqual(set(stored), set(checkpoint) - unused)
        self.assertEqual(set(stored), set(model.parameters))
        for name, array in stored.items():
            np.testing.assert_array_equal(array, checkpoint[name])
        self.verify(model)
        text = model.mlir.read_text()
        self.assertLess(len(text), 400_000)  # no weight in it
        for name in model.parameters:
            self.assertTrue(f'structured.parameter "{name}"' in text, name)
        self.assertEqual(sorted(f.name for f in self.out.iterdir()),
                         ["model.json", "model.mlir", "weights.safetensors"])

    def test_small_and_integer_initialisers_stay(self):
        save(self.onnx, [helper.make_node("MatMul", ["x", "W"], ["h"], "a"),
                         helper.make_node("Add", ["h", "b"], ["s"], "b"),
                         helper.make_node("Reshape", ["s", "shape"], ["y"], "c")],
             [value("x", [2, 8])], [value("y", [8, 2])],
             {"W": weight(8, 8), "b": weight(8), "shape": np.array([8, 2])})
        model = import_onnx(self.onnx, self.out)
        self.assertEqual(model.parameters, ["W"])
        self.verify(model)

    def test_numbered_weight_takes_its_layers_name(self):
        save_linear(self.onnx, name="onnx::MatMul_12", node="/encoder/layer.0/query/MatMul")
        model = import_onnx(self.onnx, self.out)
        self.assertEqual(model.parameters, ["encoder.layer.0.query.weight"])

    def test_constant_nodes_are_weights(self):
        w = weight(8, 8)
        constant = helper.make_node("Constant", [], ["W"], value=numpy_helper.from_array(w))
        save(self.onnx, [constant, helper.make_node("MatMul", ["x", "W"], ["y"], "a")],
             [value("x", ["batch", 8])], [value("y", ["batch", 8])], {})
        model = import_onnx(self.onnx, self.out)
        self.assertEqual(model.inputs[0]["shape"], [-1, 8])
        np.testing.assert_array_equal(safetensors.numpy.load_file(model.weights)["W"], w)
        self.verify(model)

    def test_initialisers_listed_as_inputs(self):
        w = weight(8, 8)
        save(self.onnx, [helper.make_node("MatMul", ["x", "W"], ["y"], "a")],
             [value("W", [8, 8]), value("x", [2, 8])], [value("y", [2, 8])], {"W": w})
        model = import_onnx(self.onnx, self.out)
        self.assertEqual([i["name"] for i in model.inputs], ["x"])
        self.assertEqual(model.parameters, ["W"])

    def test_half_precision(self):
        w = weight(8, 8, dtype=np.float16)
        save(self.onnx, [helper.make_node("MatMul", ["x", "W"], ["y"], "a")],
             [value("x", [2, 8], TensorProto.FLOAT16)],
             [value("y", [2, 8], TensorProto.FLOAT16)], {"W": w})
        model = import_onnx(self.onnx, self.out)
        np.testing.assert_array_equal(safetensors.numpy.load_file(model.weights)["W"], w)

    def test_external_data(self):
        w = save_linear(self.onnx, save_as_external_data=True, location="data.bin",
                        size_threshold=0)
        model = import_onnx(self.onnx, self.out)
        np.testing.assert_array_equal(safetensors.numpy.load_file(model.weights)["W"], w)

    def test_external_data_missing_or_short(self):
        save_linear(self.onnx, save_as_external_data=True, location="data.bin",
                    size_threshold=0)
        data = self.directory / "data.bin"
        data.write_bytes(data.read_bytes()[:100])
        self.check_fails("model.onnx: initialiser 'W': cannot read its external data")
        data.unlink()
        self.check_fails("model.onnx: initialiser 'W': cannot read its external data")

    def test_not_onnx(self):
        self.onnx.write_text("This is no protocol buffer.\n" * 9)
        self.check_fails("model.onnx: not an ONNX")
        self.onnx.write_bytes(b"")
        self.check_fails("model.onnx: not an ONNX")
        self.check_fails("missing.onnx: No such file", self.directory / "missing.onnx")

    def test_truncated(self):
        save_linear(self.onnx)
        self.onnx.write_bytes(self.onnx.read_bytes()[:-60])
        self.check_fails("model.onnx: not an ONNX")

    def test_missing_weight(self):
        save(self.onnx, [helper.make_node("MatMul", ["x", "W"], ["y"], "layer/MatMul")],
             [value("x", [2, 8])], [value("y", [2, 8])], {})
        self.check_fails("model.onnx: invalid ONNX model: .*W")

    def test_wrong_shape(self):
        save_linear(self.onnx, weight(7, 8))
        self.check_fails("model.onnx: invalid ONNX model: .*MatMul")

    def test_unsupported_operator(self):
        save(self.onnx, [helper.make_node("StringNormalizer", ["x"], ["y"], "words/lower")],
             [value("x", [3], TensorProto.STRING)], [value("y", [3], TensorProto.STRING)], {})
        self.check_fails("node 'words/lower': operator StringNormalizer is not supported")

    def test_unwritable_directory(self):
        save_linear(self.onnx)
        self.out.write_text("a file, no directory")
        self.check_fails("an out: cannot write")

    def test_full_disk(self):
        # A limit on the file size stands in for a full disk: write(2) fails.
        save(self.onnx, [helper.make_node("MatMul", ["x", "W"], ["y"], "a")],
             [value("x", [2, 512])], [value("y", [2, 512])], {"W": weight(512, 512)})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            self.check_fails("an out: cannot write: File too large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def test_load_rejects(self):
        with self.assertRaisesRegex(StructuredError, "model.json: No such file"):
            ImportedModel.load(self.directory)
        (self.directory / "model.json").write_text('{"inputs": []}')
        with self.assertRaisesRegex(StructuredError, "model.json: not a model description"):
            ImportedModel.load(self.directory)


unittest.main()
