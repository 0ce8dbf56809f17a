# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The two halves of a test on a GPU: `compile` needs the compiler, `run` the GPU,
and what the first leaves in a directory is all that the second needs. They may
be on two machines (tools/dev/cuda-suite).

A module's weights do not travel: both halves make them, from the same seed. The
first one notes how the numbers that the compiled code wants follow from them.
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "CPU"), str(HERE.parents[1] / "CPU" / "Inputs")]
from harness import ROUNDOFF, Module, check, from_bits, safetensors_entries, to_bits
from layers import tensor
from structured import runtime


def compile_module(mlir, directory, weights=None, options=()):
    """The first half: a module for CUDA, and how its parameters follow from the
    weights, {name: (array, dtype)}."""
    module = Module(mlir, directory, weights, ["--target=cuda", *options])
    # A module without parameters has no file of them.
    if (module.directory / "model.safetensors").exists():
        note_parameters(module.directory, weights or {})


def open_module(directory, weights=None):
    """The second half: the module, with its parameters made again."""
    if (Path(directory) / "parameters.json").exists():
        write_parameters(Path(directory), weights or {})
    return Module.compiled(directory)


def note_parameters(directory, weights):
    """Replaces the module's parameters by a note of where each comes from: a weight
    whose dimensions are permuted, or a file with what is nothing of the kind."""
    arrays = {name: to_bits(*weight) for name, weight in weights.items()}
    stored = directory / "model.safetensors"
    tensors = list(safetensors_entries(stored))
    notes, rest = [], bytearray()
    for name, entry, data in tensors:
        found = find(data, arrays)
        if found is None:
            rest += data
            found = {"bytes": len(data)}
        notes.append({"name": name, "dtype": entry["dtype"], "shape": entry["shape"], **found})
    (directory / "parameters.json").write_text(json.dumps(notes))
    (directory / "parameters.bin").write_bytes(rest)
    write_parameters(directory, weights)
    assert ([(name, data) for name, _, data in safetensors_entries(stored)]
            == [(name, data) for name, _, data in tensors])
    for name in ("model.safetensors", "weights.safetensors"):
        (directory / name).unlink(missing_ok=True)


def find(data, arrays):
    """The weight, and the order of its dimensions, that has these bytes."""
    for name, array in arrays.items():
        if array.nbytes == len(data) > 0:
            for order in itertools.permutations(range(array.ndim)):
                if array.transpose(order).tobytes() == data:
                    return {"weight": name, "order": order}
    return None


def write_parameters(directory, weights):
    """Undoes `note_parameters`."""
    rest, parts, header, offset = (directory / "parameters.bin").read_bytes(), [], {}, 0
    for note in json.loads((directory / "parameters.json").read_text()):
        if "weight" in note:
            part = to_bits(*weights[note["weight"]]).transpose(note["order"]).tobytes()
        else:
            part, rest = rest[:note["bytes"]], rest[note["bytes"]:]
        header[note["name"]] = {"dtype": note["dtype"], "shape": note["shape"],
                                "data_offsets": [offset, offset + len(part)]}
        offset += len(part)
        parts.append(part)
    text = json.dumps(header).encode()
    (directory / "model.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + b"".join(parts))


class Siblings:
    """BLAST layers of ../../CPU/layers.py, of the same sizes and without an init, as an
    entry of one input with a result of each."""

    def __init__(self, layers):
        first, self.layers = layers[0], layers
        self.kind, self.dtype = "blast", first.dtype
        self.name = f"siblings{len(layers)}_{first.name}"
        x, y = (tensor((first.tokens[0], size), first.dtype) for size in (first.n, first.m))
        lines = [f"%zero = arith.constant 0.0 : {first.dtype}"]
        for i, layer in enumerate(layers):
            layer.name = f"{self.name}_{i}"
            types = [tensor(factor.shape, first.dtype) for factor in layer.factors]
            lines += [f'%f{i}{j} = structured.parameter "{layer.name}.{j}" : {type}'
                      for j, type in enumerate(types)]
            lines += [f"%e{i} = tensor.empty() : {y}",
                      f"%z{i} = linalg.fill ins(%zero : {first.dtype}) outs(%e{i} : {y}) -> {y}",
                      f"%y{i} = structured.blast.matmul ins(%x, %f{i}0, %f{i}1, %f{i}2 : "
                      f"{x}, {', '.join(types)}) outs(%z{i} : {y}) -> {y}"]
        results = ", ".join(f"%y{i}" for i in range(len(layers)))
        types = ", ".join([y] * len(layers))
        self.mlir = "\n  ".join([f"func.func @{self.name}(%x: {x}) -> ({types}) {{", *lines,
                                 f"return {results} : {types}"]) + "\n}\n"

    def weights(self):
        return {name: weight for layer in self.layers for name, weight in layer.weights().items()}

    def check(self, module, label, more=0.0):
        first, path = self.layers[0], module.directory / "x.npy"
        bits = to_bits(np.random.default_rng(6).standard_normal((first.tokens[0], first.n)),
                       self.dtype)
        x = from_bits(bits, self.dtype)
        np.save(path, bits)
        outputs = module.directory / self.name
        subprocess.run(["structured-run", module.directory / "model.so", f"--entry={self.name}",
                        f"--input=input0={path}", f"--output-dir={outputs}",
                        *module.run_options], check=True, stdout=subprocess.DEVNULL)
        for i, layer in enumerate(self.layers):
            result = from_bits(np.load(outputs / f"output{i}.npy"), self.dtype)
            check(f"{layer.name}{label}", result, x @ layer.dense().T, self.dtype,
                  layer.sum_error() + more)


def check_layers(layers, options=(), run_options=()):
    """A test of layers made by ../../CPU/layers.py, compiled and run with these
    options. The program's arguments are the half and the directory.

    Between the stages of a BLAST layer Y and Z are rounded to the factors' type, of
    a GBLR layer on tensor cores Y. A result sums many such errors with random signs:
    relative to its root mean square their sum has a standard deviation of about half
    a unit of roundoff. Of the ten thousands of elements compared here the largest, in
    tokens of larger numbers than the mean, reach six units; ten are allowed.
    """
    half, directory = sys.argv[1:]
    weights = {}
    for layer in layers:
        weights.update(layer.weights())
    if half == "compile":
        compile_module("".join(layer.mlir for layer in layers), directory, weights,
                       ["--costs=none", *options])
        return
    module = open_module(directory, weights)
    module.run_options = run_options
    for layer in layers:
        rounds = layer.kind == "blast" or getattr(layer, "on_tensor_cores", False)
        is_narrow = rounds and layer.dtype != "f32"
        layer.check(module, "", more=10 * ROUNDOFF[layer.dtype] if is_narrow else 0)
    print(f"{len(layers)} layers agree")


def check_runs(entry, shape, runs):
    """A further test of an entry of one f16 input: the same input gives the same bits
    in many runs, three inputs by turns."""
    half, directory = sys.argv[1:]
    if half == "compile":
        return
    module = runtime.Module.load(Path(directory) / "model.so")
    generator = np.random.default_rng(5)
    inputs = [generator.standard_normal(shape).astype(np.float16) for _ in range(3)]
    first = [module(x, entry=entry)[0].copy() for x in inputs]
    for run in range(runs):
        result, = module(inputs[run % 3], entry=entry)
        assert result.tobytes() == first[run % 3].tobytes(), run
    print("all runs agree")
