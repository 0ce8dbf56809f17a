# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole models on a GPU against the same models on the CPU. The first half runs the
CPU's, and leaves inputs and results for the second."""

import subprocess
from pathlib import Path

import numpy as np

from harness import from_bits, to_bits


def compile_cpu(mlir, directory, weights):
    """A module for the CPU, of files."""
    module = Path(directory) / "cpu.so"
    subprocess.run(["structured-compile", mlir, "--weights", weights, "-o", module], check=True)
    return module


def run(module, entry, inputs, dtype):
    """All outputs of an entry, in float64."""
    outputs = module.parent / f"{module.stem}-{entry}"
    arguments = []
    for name, array in inputs.items():
        path = module.parent / f"{name}.npy"
        np.save(path, array)
        arguments.append(f"--input={name}={path}")
    subprocess.run(["structured-run", module, f"--entry={entry}", *arguments,
                    f"--output-dir={outputs}"], check=True, stdout=subprocess.DEVNULL)
    return [from_bits(np.load(path), dtype) for path in sorted(outputs.glob("*.npy"))]


def expect(directory, entry, inputs, results, dtype):
    """Leaves them for the second half."""
    np.savez(Path(directory) / f"{entry}.npz", **inputs,
             **{f"result{i}": to_bits(result, dtype) for i, result in enumerate(results)})


def compare(module, entry, dtype, error):
    """Runs the entry; the largest difference of the results from those expected,
    relative to their root mean square, must be at most `error`."""
    with np.load(module.parent / f"{entry}.npz") as file:
        stored = dict(file)
    cpu = [from_bits(stored.pop(f"result{i}"), dtype)
           for i in range(sum(name.startswith("result") for name in stored))]
    gpu = run(module, entry, stored, dtype)
    assert len(cpu) == len(gpu) > 0, entry
    for x, y in zip(cpu, gpu):
        assert x.shape == y.shape and np.isfinite(y).all(), entry
        scale = np.sqrt(np.mean(x**2))
        worst = np.max(np.abs(x - y)) / scale
        print(f"{entry} {dtype}: difference {worst:.1e}, {worst / error:.2f} of what is allowed")
        assert worst <= error, entry
