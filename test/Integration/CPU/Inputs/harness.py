# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles MLIR with structured-compile, runs it with structured-run, and
compares with float64 references. Only NumPy is needed.

Tensors of f16 and bf16 are handled as float64 arrays of representable numbers,
so that a reference in float64 has no error of its own.
"""

import json
import struct
import subprocess
from pathlib import Path

import numpy as np

#: Unit roundoff: half the distance from 1 to the next number.
ROUNDOFF = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}


def to_bits(array, dtype):
    """The array as what is stored: bf16 as uint16."""
    if dtype == "bf16":
        bits = np.asarray(array, np.float32).view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.asarray(array).astype(
        {"f64": np.float64, "f32": np.float32, "f16": np.float16,
         "i64": np.int64, "i32": np.int32, "i1": np.bool_}[dtype])


def from_bits(array, dtype):
    """The inverse of to_bits, in float64 (integers as they are)."""
    if dtype == "bf16":
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64) if dtype.startswith("f") else array


def round_to(array, dtype):
    """float64 numbers rounded to those of `dtype`."""
    return from_bits(to_bits(array, dtype), dtype)


def write_safetensors(path, tensors):
    """tensors: {name: (array, dtype)}."""
    header, data, offset = {}, [], 0
    for name, (array, dtype) in tensors.items():
        raw = to_bits(array, dtype).tobytes()
        header[name] = {"dtype": "BOOL" if dtype == "i1" else dtype.upper(),
                        "shape": list(np.shape(array)),
                        "data_offsets": [offset, offset + len(raw)]}
        data.append(raw)
        offset += len(raw)
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def safetensors_entries(path):
    """Name, header entry and bytes of each tensor, in the order of the bytes."""
    data = Path(path).read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:size])
    header.pop("__metadata__", None)
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        yield name, entry, data[size + begin:size + end]


def read_safetensors(path):
    """The floating-point tensors, {name: array}."""
    tensors = {}
    for name, entry, data in safetensors_entries(path):
        dtype = entry["dtype"].lower()
        if dtype in ROUNDOFF:
            bits = np.frombuffer(data, np.uint16 if dtype == "bf16" else
                                 f"f{int(dtype[1:]) // 8}")
            tensors[name] = from_bits(bits, dtype).reshape(entry["shape"])
    return tensors


class Module:
    """A compiled module with named entries."""

    #: Further options of structured-run.
    run_options = ()

    def __init__(self, mlir, directory, weights=None, options=()):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        source = self.directory / "model.mlir"
        source.write_text(mlir)
        arguments = ["structured-compile", source, "-o", self.directory / "model.so", *options]
        if weights:
            write_safetensors(self.directory / "weights.safetensors", weights)
            arguments.append(f"--weights={self.directory / 'weights.safetensors'}")
        subprocess.run([str(a) for a in arguments], check=True)

    @classmethod
    def compiled(cls, directory):
        """The module that was compiled into a directory."""
        module = cls.__new__(cls)
        module.directory = Path(directory)
        return module

    def run(self, entry, inputs, dtype, threads=2):
        """inputs: [(array, dtype)]; the one output, of `dtype`, in float64."""
        arguments = ["structured-run", self.directory / "model.so", f"--entry={entry}",
                     f"--threads={threads}", f"--output={self.directory / 'output.npy'}",
                     *self.run_options]
        for index, (array, input_dtype) in enumerate(inputs):
            path = self.directory / f"input{index}.npy"
            np.save(path, to_bits(array, input_dtype))
            arguments.append(f"--input=input{index}={path}")
        subprocess.run([str(a) for a in arguments], check=True, stdout=subprocess.DEVNULL)
        return from_bits(np.load(self.directory / "output.npy"), dtype)


def check(name, result, reference, dtype, sum_error):
    """Fails unless each element of `result` is the reference rounded to `dtype`,
    but for sums in f32 whose error relative to the root mean square of the
    reference is at most `sum_error`.
    """
    assert result.shape == reference.shape, (name, result.shape, reference.shape)
    scale = np.sqrt(np.mean(reference**2)) if reference.size else 0.0
    allowed = sum_error * scale + ROUNDOFF[dtype] * np.abs(reference) * (1 + sum_error)
    error = np.abs(result - reference)
    worst = np.max(error / np.maximum(allowed, 1e-300), initial=0.0)
    print(f"{name}: error {np.max(error, initial=0.0) / max(scale, 1e-300):.1e}, "
          f"{worst:.2f} of what is allowed")
    assert np.all(np.isfinite(result)) and worst <= 1.0, name


def gblr_matrix(u, v, components, m, n):
    """W [m, n] of packed factors and (row, rows, col, cols, rank) of each component."""
    w = np.zeros((m, n))
    for row, rows, col, cols, rank in components:
        uk, u = u[:rank * rows].reshape(rank, rows), u[rank * rows:]
        vk, v = v[:rank * cols].reshape(rank, cols), v[rank * cols:]
        # No index occurs twice in an interval: += on fancy indices is safe.
        w[np.ix_((row + np.arange(rows)) % m, (col + np.arange(cols)) % n)] += uk.T @ vk
    return w
