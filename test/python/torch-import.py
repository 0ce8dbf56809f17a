# REQUIRES: python-models, python-torch
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""torch.export import: names, numbers against PyTorch, errors."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

from structured import runtime, tools
from structured.errors import StructuredError
from structured.importer import import_model
from structured.torch_import import import_torch

SCRATCH = Path(sys.argv.pop())


class Encoder(torch.nn.Module):
    """What exporters meet: tied and unused tensors, buffers of all kinds, constants."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(50, 16)
        self.fc = torch.nn.Linear(16, 32)
        self.layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True,
                                                      activation="gelu")
        self.down = torch.nn.Linear(32, 16, bias=False)
        self.norm = torch.nn.BatchNorm1d(5)
        self.unused = torch.nn.Linear(3, 3)
        self.register_buffer("positions", torch.randn(5, 16), persistent=False)
        self.register_buffer("index", torch.arange(5))

    def forward(self, ids):
        x = self.embedding(ids) + self.positions[self.index] + torch.tensor([0.5] * 16)
        x = self.down(torch.relu(self.fc(self.layer(x))))
        return self.norm(x), torch.nn.functional.linear(x, self.embedding.weight)


class TorchImport(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.out = self.directory / "an out"

    def check_fails(self, message, program):
        with self.assertRaisesRegex(StructuredError, message) as raised:
            import_model(program, self.out) if isinstance(program, Path) \
                else import_torch(program, self.out)
        self.assertNotIn("\n", str(raised.exception))
        self.assertEqual(list(self.out.iterdir()) if self.out.is_dir() else [], [])

    def test_encoder_from_a_file(self):
        module = Encoder().eval()
        ids = torch.randint(0, 50, (2, 5))
        program = torch.export.export(
            module, (ids,), dynamic_shapes={"ids": {0: torch.export.Dim("batch")}})
        path = self.directory / "encoder.pt2"
        torch.export.save(program, path)
        model = import_model(path, self.out)
        self.assertEqual(model.inputs, [{"name": "ids", "dtype": "int64", "shape": [-1, 5]}])
        self.assertEqual([o["shape"] for o in model.outputs], [[-1, 5, 16], [-1, 5, 50]])
        stored = safetensors.numpy.load_file(model.weights)
        self.assertEqual(set(stored), set(model.parameters))
        used = {name for name in module.state_dict()
                if not name.startswith("unused") and "num_batches" not in name}
        self.assertLessEqual(used | {"positions"}, set(stored))
        self.assertFalse([name for name in stored if name.startswith("unused")])
        np.testing.assert_array_equal(stored["fc.weight"], module.fc.weight.detach().numpy())
        raised = self.directory / "raised.mlir"
        subprocess.run([tools.find_tool("structured-opt"), model.mlir,
                        "--structured-raise-linear", "-o", raised], check=True)
        for layer in ("fc", "down", "layer.self_attn.in_proj_weight", "layer.linear1"):
            self.assertIn(f'structured.linear {{layer = "{layer}"}}', raised.read_text())
        compiled = self.directory / "model.so"
        tools.run("structured-compile", str(raised), f"--weights={model.weights}", "-o",
                  str(compiled))
        module_ = runtime.Module.load(compiled)
        for batch in (2, 3):
            ids = torch.randint(0, 50, (batch, 5))
            for actual, expected in zip(module_(ids=ids.numpy()), module(ids)):
                np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=0, atol=5e-6)

    def test_logical_operators_of_masks(self):
        class Mask(torch.nn.Module):
            def forward(self, a, b):
                scalar = torch.full((), True)
                return scalar & a, (scalar ^ a) | b

        inputs = torch.tensor([True, True, False, False]), torch.tensor([True, False] * 2)
        model = import_torch(torch.export.export(Mask(), inputs), self.out)
        compiled = self.directory / "mask.so"
        tools.run("structured-compile", str(model.mlir), f"--weights={model.weights}", "-o",
                  str(compiled))
        both, either = runtime.Module.load(compiled)(*(i.numpy() for i in inputs))
        np.testing.assert_array_equal(both, [True, True, False, False])
        np.testing.assert_array_equal(either, [True, False, True, True])

    def test_half_precision(self):
        for dtype, name in ((torch.bfloat16, "bfloat16"), (torch.float16, "float16")):
            linear = torch.nn.Linear(16, 16).to(dtype).eval()
            program = torch.export.export(linear, (torch.zeros(2, 16, dtype=dtype),))
            model = import_torch(program, self.directory / name)
            self.assertEqual(model.inputs[0]["dtype"], name)
            with safetensors.safe_open(model.weights, "pt") as file:
                self.assertTrue(torch.equal(file.get_tensor("weight"), linear.weight))

    def test_side_effects(self):
        program = torch.export.export(Encoder().train(), (torch.zeros(2, 5, dtype=torch.long),))
        self.check_fails("changes 'norm.running_mean'", program)

    def test_inputs_that_are_no_tensors(self):
        class Scale(torch.nn.Module):
            def forward(self, x, factor):
                return x * factor

        program = torch.export.export(Scale(), (torch.ones(3), 2.0))
        self.check_fails("'factor' is .*, not a tensor", program)

    def test_unsupported_operator(self):
        class Dropout(torch.nn.Module):
            def forward(self, x):
                return torch.nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)

        program = torch.export.export(Dropout(), (torch.ones(2, 5, 8),))
        self.check_fails("operator torch.aten.scaled_dot_product_attention is not supported",
                         program)

    def test_not_a_program(self):
        path = self.directory / "no.pt2"
        self.check_fails("no.pt2: ", path)
        path.write_text("no archive")
        self.check_fails("no.pt2: not a torch.export program", path)
        self.check_fails("not a torch.export.ExportedProgram: Linear", torch.nn.Linear(2, 2))


unittest.main()
