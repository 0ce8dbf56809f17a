# REQUIRES: python-models, python-iree
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""Plain linalg in IREE: compiled for and run on the CPU, compared with our module
and with the dense matrices in float64."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import iree.compiler
import iree.runtime
import numpy as np
import safetensors.numpy

from structured import runtime, tools
from structured.checkpoints import layouts
from structured.checkpoints.store import Store
from structured.importer import import_onnx
from structured.linalg_export import IREE_SCOPE, ExportedLinalg, export_linalg

SCRATCH = Path(sys.argv.pop())
MLP = Path(__file__).parent / "Inputs/mlp.py"


def run_iree(exported: ExportedLinalg, x: np.ndarray, parameters: bool) -> np.ndarray:
    """The output of the module, its weights as arguments or as IREE's parameters."""
    code = iree.compiler.compile_file(str(exported.mlir), target_backends=["llvm-cpu"],
                                      extra_args=["--iree-llvmcpu-target-cpu=host"])
    config = iree.runtime.Config("local-sync")
    modules = []
    arguments = [x]
    if parameters:
        index = iree.runtime.ParameterIndex()
        index.load(str(exported.weights))
        modules.append(iree.runtime.create_io_parameters_module(
            config.vm_instance, index.create_provider(IREE_SCOPE)))
    else:
        weights = safetensors.numpy.load_file(exported.weights)
        arguments += [weights[name] for name in exported.parameters]
    modules.append(iree.runtime.VmModule.copy_buffer(config.vm_instance, code))
    context = iree.runtime.load_vm_modules(*modules, config=config)
    return context[-1].main(*arguments).to_host()


class Iree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        subprocess.run([sys.executable, MLP, cls.directory / "mlp.onnx"], check=True)
        cls.model = import_onnx(cls.directory / "mlp.onnx", cls.directory / "import")
        cls.x = np.random.default_rng(1).standard_normal((32, 64)).astype(np.float32)

    def reference(self, matrices):
        """y = relu(x A + a) B in float64; weights are [n,m] in the model."""
        bias = safetensors.numpy.load_file(self.model.weights)["first.bias"]
        h = self.x.astype(np.float64) @ matrices["first"].T + bias
        return np.maximum(h, 0) @ matrices["second"].T

    def check(self, structure):
        factors = self.directory / f"{structure}.safetensors"
        mlir = self.directory / f"{structure}.mlir"
        tools.run("structured-opt", str(self.model.mlir), "--structured-raise-linear",
                  tools.pass_argument("structured-plan", keep=0.5, blocks=4, structure=structure),
                  tools.pass_argument("structured-factorize", weights=self.model.weights,
                                      output=factors), "-o", str(mlir))
        module = self.directory / f"module-{structure}.so"
        files = [self.model.weights, factors]
        tools.run("structured-compile", str(mlir), *(f"--weights={f}" for f in files), "-o",
                  str(module))
        ours = runtime.Module.load(module)(x=self.x)[0]
        store = Store.open([factors])
        read = layouts.read_blast if structure == "blast" else layouts.read_gblr
        shapes = {"first": (128, 64), "second": (64, 128)}
        expected = self.reference({
            name: read(store, name, *([shape] if structure == "gblr" else [])).dense()
            for name, shape in shapes.items()})
        scale = abs(expected).max()
        for parameters in (False, True):
            exported = export_linalg(mlir, files, self.directory / f"{structure}-{parameters}",
                                     iree_parameters=parameters)
            actual = run_iree(exported, self.x, parameters)
            self.assertLess(abs(actual - expected).max() / scale, 1e-5)
            self.assertLess(abs(actual - ours).max() / scale, 1e-5)

    def test_blast(self):
        self.check("blast")

    def test_gblr(self):
        self.check("gblr")


unittest.main()
