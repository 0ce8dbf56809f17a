# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, sm90, python-torch || !run-half
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""Modules on PyTorch's streams and in its CUDA graphs; runs and graphs with kernels
whose blocks wait for each other, on two streams at the same time."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import compile_module, open_module
from layers import blast

half, directory = sys.argv[1:]
MANY = blast([64], 2, 2, 64, 32, 48, "bf16", zero_init=True)
FEW = blast([4], 2, 2, 512, 512, 512, "bf16", zero_init=True)
weights = MANY.weights() | FEW.weights()
if half == "compile":
    compile_module(MANY.mlir + FEW.mlir, directory, weights, ["--costs=none"])
    sys.exit()

import torch
from structured import runtime
from structured.errors import StructuredError

path = open_module(directory, weights).directory / "model.so"
module, other = runtime.Module.load(path), runtime.Module.load(path)
generator = torch.Generator("cuda").manual_seed(0)


def normal(layer):
    return torch.randn(layer.tokens[0], layer.n, device="cuda", generator=generator).bfloat16()


def check(layer, x, result):
    """The largest error of Y, Z and the result rounded to bf16 (halves.py)."""
    expected = x.double() @ torch.tensor(layer.dense(), device="cuda").T
    error = (torch.from_dlpack(result).double() - expected).abs().max()
    assert error < 12 * 2**-8 * expected.square().mean().sqrt(), (layer.name, error)


# A run as part of the caller's graph reads its input anew.
stream = torch.cuda.Stream()
x = normal(MANY)
with torch.cuda.stream(stream):
    run = lambda: module.run_on_stream(x, entry=MANY.name, stream=stream.cuda_stream)[0]
    check(MANY, x, run())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = run()
    x.copy_(normal(MANY))
    graph.replay()
    stream.synchronize()
check(MANY, x, result)

# Kernels whose blocks wait for each other are refused there.
x = normal(FEW)
with torch.cuda.stream(stream):
    run = lambda: module.run_on_stream(x, entry=FEW.name, stream=stream.cuda_stream)[0]
    check(FEW, x, run())
    refused = torch.cuda.CUDAGraph()
    refused.capture_begin()
    try:
        run()
        raise AssertionError("not refused")
    except StructuredError as error:
        assert "whose blocks wait for each other" in str(error), error
    finally:
        refused.capture_end()

# The runtime's graph and another module's runs take turns, whatever their streams.
streams = torch.cuda.Stream(), torch.cuda.Stream()
inputs = normal(FEW), normal(FEW)
graph = module.capture(inputs[0], entry=FEW.name)
torch.cuda.synchronize()
for _ in range(200):
    graph.launch(streams[0].cuda_stream)
    result, = other.run_on_stream(inputs[1], entry=FEW.name, stream=streams[1].cuda_stream)
torch.cuda.synchronize()
check(FEW, inputs[0], graph.outputs[0])
check(FEW, inputs[1], result)
print("passed")
