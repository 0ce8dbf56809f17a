# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, cuda
# RUN: %if compile-half %{ %python %s f32 compile %modules-f32 %}
# RUN: %if run-half %{ %python %s f32 run %modules-f32 %}
# RUN: %if compile-half %{ %python %s bf16 compile %modules-bf16 %}
# RUN: %if run-half %{ %python %s bf16 run %modules-bf16 %}
"""A decoder layer with a cache on a GPU, against the CPU: several tokens, then one.
In bf16 attention of several is one kernel, if the GPU has it.

In f32 the two differ by the order of their sums: relative to the root mean
square of the result, the random walk of one sum's longest k, 4 sqrt(k) 2^-24, as
often as the model has layers after each other. In bf16 tensors are rounded at
the same places; where sums differ, a rounding may go the other way, which is two
units of roundoff of one number in a later sum of many.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import compile_module, open_module
from harness import ROUNDOFF, to_bits, write_safetensors
from models import compare, compile_cpu, expect, run
from structured import llama

dtype, half, directory = sys.argv[1:]
config = llama.DecoderConfig(hidden=512, intermediate=1376, heads=8, kv_heads=2, length=2048,
                             prefill=70, dtype=dtype)
rng = np.random.default_rng(0)
# Rounded when they are written: NumPy has no bf16.
weights = {name: (array, "f32" if name.startswith("rotary") else dtype) for name, array in
           llama.make_weights(dataclasses.replace(config, dtype="f32")).items()}

directory = Path(directory)
if half == "compile":
    with tempfile.TemporaryDirectory() as scratch:
        mlir, stored = Path(scratch) / "decoder.mlir", Path(scratch) / "decoder.safetensors"
        llama.write_mlir(config, mlir)
        write_safetensors(stored, weights)
        compile_module(mlir.read_text(), directory, weights)
        cpu = compile_cpu(mlir, scratch, stored)
        cache = [to_bits(rng.standard_normal((config.length, 2, 64)), dtype) for _ in range(2)]
        for entry, tokens, position in (("prefill", 70, 5), ("decode", 1, 75)):
            inputs = {"x": to_bits(rng.standard_normal((tokens, 512)), dtype),
                      "position": np.array([position]), "keys": cache[0], "values": cache[1]}
            results = run(cpu, entry, inputs, dtype)
            expect(directory, entry, inputs, results, dtype)
            # One token more, with the cache that is there now.
            cache = [to_bits(array, dtype) for array in results[1:]]
else:
    module = open_module(directory, weights).directory / "model.so"
    error = (7 * 4 * np.sqrt(1376) * ROUNDOFF["f32"] if dtype == "f32"
             else 8 * ROUNDOFF["bf16"])
    for entry in ("prefill", "decode"):
        compare(module, entry, dtype, error)
