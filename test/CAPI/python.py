# UNSUPPORTED: sanitizers
# REQUIRES: python-numpy
# RUN: rm -rf %t && mkdir %t && cd %t && %python %s
"""The compiler's Python API: models, diagnostics, compilation, NumPy and DLPack."""

import gc
import re
import subprocess
import threading
import unittest
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors.numpy

from structured import compiler, runtime
from structured.compiler import CompilerError, Context, Diagnostic, Model, pass_text
from structured.errors import StructuredError
from structured.factors import dense_weights

LAYER = """
func.func @main(%x: tensor<?x8x{t}> {{structured.name = "tokens"}}, %y0: tensor<?x12x{t}>) -> tensor<?x12x{t}> {{
  %w = structured.parameter "fc.weight" : tensor<12x8x{t}>
  %y = structured.linear {{layer = "fc"}} ins(%x, %w : tensor<?x8x{t}>, tensor<12x8x{t}>)
      outs(%y0 : tensor<?x12x{t}>) -> tensor<?x12x{t}>
  return %y : tensor<?x12x{t}>
}}
"""
rng = np.random.default_rng(0)


class Tensor:
    """A tensor of another library, which has DLPack only."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Compiler(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Small integers: every sum is exact in f32 and in bf16's results.
        cls.w = rng.integers(-3, 4, (12, 8)).astype(np.float32)
        cls.x = rng.integers(-3, 4, (5, 8)).astype(np.float32)
        cls.y = cls.x @ cls.w.T
        cls.init = np.zeros_like(cls.y)

    def model(self, dtype="f32"):
        return Model.parse(LAYER.format(t=dtype), "layer.mlir")

    def test_version(self):
        self.assertRegex(compiler.version(), r"^\d+\.\d+\.\d+ \(LLVM 22\.1\.\d+\)$")

    def test_models(self):
        model = self.model()
        copy = model.clone()
        self.assertIs(copy.run("structured-expand-to-dense", "structured-to-linalg"), copy)
        self.assertIn("linalg.", str(copy))
        self.assertNotIn("linalg.", str(model))
        self.assertNotIn("layer.mlir", str(model))
        self.assertIn('"layer.mlir":4:', model.to_text(locations=True))
        Path("copy.mlir").write_text(str(model))
        self.assertEqual(str(Model.load("copy.mlir")), str(model))

    def test_bytecode(self):
        Path("in.mlir").write_text(str(self.model()))
        subprocess.run(["structured-opt", "in.mlir", "--emit-bytecode", "-o", "in.mlirbc"],
                       check=True)
        self.assertEqual(str(Model.parse(Path("in.mlirbc").read_bytes())), str(self.model()))

    def test_compile_and_run(self):
        model = self.model()
        before = str(model)
        path = model.compile("numpy.so", weights={"fc.weight": self.w})
        self.assertEqual((path, str(model)), (Path("numpy.so"), before))
        module = runtime.Module.load(path)
        np.testing.assert_array_equal(module(self.x, self.init)[0], self.y)
        # Inputs and outputs through DLPack.
        y, = module(Tensor(self.x), Tensor(self.init))
        np.testing.assert_array_equal(np.from_dlpack(Tensor(y)), self.y)

    def test_weights(self):
        columns = np.asfortranarray(self.w)
        for name, weights in {"dlpack": {"fc.weight": Tensor(self.w)},
                              "columns": {"fc.weight": columns, "b": np.int8([1]),
                                          "a": np.float64([2])}}.items():
            module = runtime.Module.load(self.model().compile(f"{name}.so", weights))
            np.testing.assert_array_equal(module(self.x, self.init)[0], self.y)
        safetensors.numpy.save_file({"fc.weight": self.w}, "w.safetensors")
        safetensors.numpy.save_file({"other": self.w}, "other.safetensors")
        for weights in (Path("w.safetensors"), "w.safetensors",
                        ["other.safetensors", Path("w.safetensors")]):
            module = runtime.Module.load(self.model().compile("files.so", weights))
            np.testing.assert_array_equal(module(self.x, self.init)[0], self.y)

    def test_bf16(self):
        bf16 = ml_dtypes.bfloat16
        path = self.model("bf16").compile("bf16.so", {"fc.weight": self.w.astype(bf16)})
        y, = runtime.Module.load(path)(self.x.astype(bf16), self.init.astype(bf16))
        self.assertEqual(y.dtype, bf16)
        np.testing.assert_array_equal(y.astype(np.float32), self.y.astype(bf16).astype(np.float32))

    def test_compress(self):
        """The whole way in one process, compared with the factors' product."""
        safetensors.numpy.save_file({"fc.weight": self.w}, "dense.safetensors")
        model = self.model().run(
            pass_text("structured-plan", keep=0.75, blocks=2),
            pass_text("structured-factorize", weights=Path("dense.safetensors"),
                      output=Path("factors.safetensors")))
        self.assertIn("structured.blast.matmul", str(model))
        path = model.compile("blast.so", ["dense.safetensors", "factors.safetensors"])
        y, = runtime.Module.load(path)(self.x, self.init)
        expected = self.x @ dense_weights(Path("factors.safetensors"))["fc.weight"].T
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())

    def test_emit(self):
        path = self.model().compile("layer.s", {"fc.weight": self.w}, emit="asm",
                                    parallel=False, tile_tokens=8)
        self.assertIn("structured_entry_main:", path.read_text())
        path = self.model().compile("layer.ptx", {"fc.weight": self.w}, emit="ptx",
                                    target="cuda", chip="sm_90a")
        self.assertIn(".target sm_90a", path.read_text())

    def fails(self, message, call):
        with self.assertRaisesRegex(StructuredError, message) as caught:
            call()
        return caught.exception

    def test_diagnostics(self):
        error = self.fails(r"^bad\.mlir:2:1: redefinition of SSA value '%a'$", lambda: Model.parse(
            "%a = arith.constant 1 : i32\n%a = arith.constant 2 : i32", "bad.mlir"))
        self.assertIsInstance(error, CompilerError)
        note = Diagnostic("note", "previously defined here", 'loc("bad.mlir":1:1)',
                          "bad.mlir", 1, 1)
        expected = Diagnostic("error", "redefinition of SSA value '%a'",
                              'loc("bad.mlir":2:1)', "bad.mlir", 2, 1, (note,))
        self.assertEqual(error.diagnostics, (expected,))
        self.assertEqual(str(expected),
                         "bad.mlir:2:1: error: redefinition of SSA value '%a'\n"
                         "bad.mlir:1:1: note: previously defined here")
        # Locations that are names, such as an importer's, and none.
        error = self.fails("^encoder/fc: .*has 1 operands, but", lambda: Model.parse(
            'func.func @f(%x: i32) { return %x : i32 loc("encoder/fc") }'))
        self.assertEqual((error.diagnostics[0].file, error.diagnostics[0].line), ("encoder/fc", 0))
        error = self.fails("'nothing' does not refer to a registered pass",
                           lambda: self.model().run("nothing"))
        self.assertEqual(error.diagnostics[0].location, "loc(unknown)")

    def test_remarks(self):
        model = self.model().run("structured-plan{keep=0.01 blocks=2}")
        remark, = model.diagnostics
        self.assertEqual((remark.severity, remark.file, remark.line), ("remark", "layer.mlir", 4))
        self.assertRegex(str(remark), r"^layer\.mlir:4:\d+: remark: .*")
        self.assertEqual(model.run("canonicalize").diagnostics, ())

    def test_failures_change_nothing(self):
        model = self.model()
        before, files = str(model), sorted(Path().iterdir())
        error = self.fails("nowhere.safetensors", lambda: model.run(
            "structured-plan{keep=0.5}", pass_text(
                "structured-factorize", weights="nowhere.safetensors", output="f.safetensors")))
        self.assertIn("error", [d.severity for d in error.diagnostics])
        compile = lambda *arguments, **options: lambda: model.compile(
            "no.so", *arguments, **options)
        self.fails("no tensor 'fc.weight'", compile({"other": self.w}))
        self.fails("nowhere.safetensors", compile("nowhere.safetensors"))
        self.fails(r"f32\[12, 8\] in the model, but F32\[8, 12\]", compile({"fc.weight": self.w.T}))
        self.fails("weight 'z' has dtype complex64", compile({"z": np.complex64([1])}))
        self.fails("there is no option 'tiles'; there are: ", compile(tiles=1))
        self.fails("option 'parallel': 'maybe' is none of true false", compile(parallel="maybe"))
        self.fails("'pentium17' is not a processor", compile({"fc.weight": self.w}, mcpu="pentium17"))
        self.fails("missing.mlir: No such file", lambda: Model.load("missing.mlir"))
        self.fails("none of ' { } is allowed", lambda: pass_text("cse", path="a}b"))
        self.assertEqual((str(model), sorted(Path().iterdir())), (before, files))

    def test_options_are_those_of_the_tool(self):
        """Each option of structured-compile is one here, but for its ways in and out."""
        text = subprocess.run(["structured-compile", "--help"], capture_output=True,
                              text=True, check=True).stdout
        tool = set(re.findall(r"^ +--?([a-z-]+)[= ]", text.split("Options of structured-compile")[1], re.M))
        error = self.fails("there is no option", lambda: self.model().compile("no.so", no=1))
        ours = set(str(error).split("there are: ")[1].split())
        self.assertEqual(tool - {"o", "remarks"}, ours)

    def test_threads_and_lifetimes(self):
        shared, texts = Context(), []

        def work(context):
            for _ in range(10):
                model = Model.parse(LAYER.format(t="f32"), context=context)
                texts.append(str(model.run("structured-to-linalg")))
                self.fails("1:", lambda: Model.parse("%", context=context))
        threads = [threading.Thread(target=work, args=(c,)) for c in (shared, shared, None)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(texts), len(set(texts))), (30, 1))
        model = Model.parse("module {}", context=shared)
        del shared, work, threads, thread
        gc.collect()
        self.assertEqual(str(model.run("cse")), "module {\n}\n")


unittest.main()
