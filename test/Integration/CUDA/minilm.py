# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, cuda, python-models || !compile-half
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""all-MiniLM-L6-v2 on a GPU against the CPU; the bound is that of decoder.py.

The weights are random, of the model's names and shapes: the trained ones take 90 MB.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import note_parameters, open_module
from harness import ROUNDOFF, Module, safetensors_entries
from models import compare, compile_cpu, expect, run


def make_weights(shapes):
    """Norms near 1 and biases near 0; matrices that keep the scale of their input."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in sorted(shapes.items()):
        numbers = rng.standard_normal(shape, np.float32)
        if len(shape) > 1:
            numbers /= np.sqrt(np.float32(shape[-1]))
        else:
            numbers = np.float32(name.endswith("weight")) + np.float32(0.1) * numbers
        weights[name] = numbers
    return weights


def compile_half(directory):
    from structured import minilm
    checkpoint = minilm.model_directory() / "model.safetensors"
    shapes = {name: entry["shape"] for name, entry, _ in safetensors_entries(checkpoint)
              if entry["dtype"] == "F32"}
    weights = make_weights(shapes)
    rng = np.random.default_rng(0)
    mask = np.ones((1, 128), np.int64)
    mask[0, 100:] = 0
    inputs = {"input_ids": rng.integers(1000, 30000, (1, 128)), "attention_mask": mask,
              "token_type_ids": np.zeros((1, 128), np.int64)}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        minilm.write_onnx(scratch / "model.onnx", batch=1, sequence=128, replacements=weights)
        subprocess.run([sys.executable, "-m", "structured", "import", scratch / "model.onnx",
                        "-o", scratch], check=True, stdout=subprocess.DEVNULL)
        raised, stored = scratch / "raised.mlir", scratch / "weights.safetensors"
        subprocess.run(["structured-opt", scratch / "model.mlir", "--structured-raise-linear",
                        "-o", raised], check=True, stderr=subprocess.DEVNULL)
        cpu = compile_cpu(raised, scratch, stored)
        results = run(cpu, "main", inputs, "f32")
        Module(raised.read_text(), directory, options=["--target=cuda", f"--weights={stored}"])
    note_parameters(directory, {name: (array, "f32") for name, array in weights.items()})
    expect(directory, "main", inputs, results, "f32")
    (directory / "shapes.json").write_text(json.dumps(shapes))


def run_half(directory):
    weights = make_weights(json.loads((directory / "shapes.json").read_text()))
    module = open_module(directory, {name: (array, "f32") for name, array in weights.items()})
    # Six blocks of six products.
    compare(module.directory / "model.so", "main", "f32", 36 * 4 * np.sqrt(1536) * ROUNDOFF["f32"])


{"compile": compile_half, "run": run_half}[sys.argv[1]](Path(sys.argv[2]))
