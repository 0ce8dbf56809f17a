# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t
# RUN: %python %s %src_root/test/python/Inputs %t -- structured-opt structured-compile structured-run
"""Linear layers and convolutions of published checkpoints, imported, substituted,
compiled and run, against NumPy on the matrices of the papers' definitions.

Sums have at most a few hundred terms of size 1 in f32, in three stages: the
results agree to 1e-5 of the largest one.
"""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy

separator = sys.argv.index("--")
*OPT, COMPILE, RUN = sys.argv[separator + 1:]
DIRECTORY = Path(sys.argv[separator - 1])
sys.path.insert(0, sys.argv[separator - 2])
from published import blast_matrix, gblr_matrix, named, random_blast, random_gblr

from structured.checkpoints import build
from structured.driver import main

random = np.random.default_rng(0)
SIGMA = 30.0

IM2COL = Path(build.__file__).parent / "im2col.mlir"


def linear_mlir(tokens, m, n):
    return f"""
  func.func @main(%x: tensor<{tokens}x{n}xf32> {{structured.name = "x"}}) -> tensor<{tokens}x{m}xf32> {{
    %w = structured.parameter "layer.weight" : tensor<{m}x{n}xf32>
    %bias = structured.parameter "layer.bias" : tensor<{m}xf32>
    %e = tensor.empty() : tensor<{tokens}x{m}xf32>
    %b = linalg.broadcast ins(%bias : tensor<{m}xf32>) outs(%e : tensor<{tokens}x{m}xf32>) dimensions = [0]
    %y = linalg.matmul indexing_maps = [
        affine_map<(t, o, i) -> (t, i)>, affine_map<(t, o, i) -> (o, i)>,
        affine_map<(t, o, i) -> (t, o)>]
        ins(%x, %w : tensor<{tokens}x{n}xf32>, tensor<{m}x{n}xf32>)
        outs(%b : tensor<{tokens}x{m}xf32>) -> tensor<{tokens}x{m}xf32>
    return %y : tensor<{tokens}x{m}xf32>
  }}
"""


def convolution_mlir(x, kernel, y, strides, op="conv_2d_nhwc_hwcf", others=(0, 1, 2)):
    """`others` are y's dimensions but the channels'."""
    def tensor(shape):
        return f"tensor<{'x'.join(map(str, shape))}xf32>"
    bias = tensor([size for i, size in enumerate(y) if i not in others])
    return f"""
  func.func @main(%x: {tensor(x)} {{structured.name = "x"}}) -> {tensor(y)} {{
    %k = structured.parameter "layer.weight" : {tensor(kernel)}
    %bias = structured.parameter "layer.bias" : {bias}
    %e = tensor.empty() : {tensor(y)}
    %b = linalg.broadcast ins(%bias : {bias}) outs(%e : {tensor(y)}) dimensions = {list(others)}
    %y = linalg.{op} {{dilations = dense<1> : vector<2xi64>, strides = dense<{strides}> : vector<2xi64>}}
        ins(%x, %k : {tensor(x)}, {tensor(kernel)}) outs(%b : {tensor(y)}) -> {tensor(y)}
    return %y : {tensor(y)}
  }}
"""


def convolution(x, weight, strides):
    """x [N,H,W,ic], weight [oc,ic,k1,k2]."""
    _, _, k1, k2 = weight.shape
    height, width = (x.shape[1] - k1) // strides[0] + 1, (x.shape[2] - k2) // strides[1] + 1
    y = np.zeros((len(x), height, width, len(weight)))
    for h in range(height):
        for w in range(width):
            window = x[:, h * strides[0]:h * strides[0] + k1, w * strides[1]:w * strides[1] + k2]
            y[:, h, w] = np.einsum("nabi,oiab->no", window, weight)
    return y


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}:\n{done.stderr}"


def check(name, body, tensors, x, expected, op, im2col=False, channels_first=False):
    """Compiles `body` with the imported factors of `tensors` and compares.

    x and `expected` have their channels last.
    """
    folder = DIRECTORY / name
    folder.mkdir()
    bias = random.standard_normal(expected.shape[-1]).astype(np.float32)
    safetensors.numpy.save_file(tensors | {"layer.bias": bias}, folder / "checkpoint.safetensors")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["checkpoint", "import", str(folder / "checkpoint.safetensors"), "-o",
                     str(folder / "factors.safetensors"), "--others",
                     str(folder / "others.safetensors"),
                     *(["--channels-first", "--taps=6"] if channels_first else [])]) == 0
    (folder / "model.mlir").write_text(body)
    lowering = [f"--transform-preload-library=transform-library-paths={IM2COL}",
                "--transform-interpreter"] if im2col else []
    run(*OPT, folder / "model.mlir", *lowering, "--structured-raise-linear",
        f"--structured-substitute=factors={folder / 'factors.safetensors'}", "--canonicalize",
        "-o", folder / "structured.mlir")
    text = (folder / "structured.mlir").read_text()
    assert op in text and "structured.linear" not in text and "layer.weight" not in text, text
    np.save(folder / "x.npy", np.moveaxis(x, -1, 1) if channels_first else x)
    run(COMPILE, folder / "structured.mlir", "--weights", folder / "factors.safetensors",
        "--weights", folder / "others.safetensors", "-o", folder / "model.so")
    run(RUN, folder / "model.so", "--input", f"x={folder / 'x.npy'}", "--output",
        folder / "y.npy")
    result, expected = np.load(folder / "y.npy"), expected + bias
    if channels_first:
        result = np.moveaxis(result, 1, -1)
    error = np.abs(result - expected).max() / np.abs(expected).max()
    assert result.shape == expected.shape and error < 1e-5, (name, error)
    print(f"{name}: largest error {error:.1e}")


def x_of(*shape):
    return random.standard_normal(shape).astype(np.float32)


def test_linear():
    bcd, x = random_blast(random, 3, 2, 8, 20, 6), x_of(5, 40)
    check("linear-blast", linear_mlir(5, 24, 40), named("layer", bcd), x,
          x @ blast_matrix(bcd["B"], bcd["C"], bcd["D"]).T, "structured.blast.matmul")
    module = random_gblr(random, 24, 40, 9, 2, SIGMA)
    check("linear-gblr", linear_mlir(5, 24, 40), named("layer", module), x,
          x @ gblr_matrix(module, SIGMA).T, "structured.gblr.matmul")


def test_pointwise_convolution():
    x, shapes = x_of(2, 5, 4, 40), ((2, 5, 4, 40), (1, 1, 40, 24), (2, 5, 4, 24), [1, 1])
    module = random_gblr(random, 24, 40, 9, 1, SIGMA)
    check("pointwise-taps", convolution_mlir(*shapes), named("layer.gaudi_modules.0", module), x,
          x @ gblr_matrix(module, SIGMA).T, "structured.gblr.matmul")
    bcd = random_blast(random, 3, 2, 8, 20, 6)
    check("pointwise-blast", convolution_mlir(*shapes), named("layer", bcd), x,
          x @ blast_matrix(bcd["B"], bcd["C"], bcd["D"]).T, "structured.blast.matmul")


def test_convolution():
    ic, oc, k1, k2, strides = 8, 12, 3, 2, [2, 1]
    x = x_of(2, 7, 6, ic)
    last = convolution_mlir((2, 7, 6, ic), (k1, k2, ic, oc), (2, 3, 5, oc), strides)
    first = convolution_mlir((2, ic, 7, 6), (oc, ic, k1, k2), (2, oc, 3, 5), strides,
                             "conv_2d_nchw_fchw", (0, 2, 3))
    integrated = random_gblr(random, oc, k1 * k2 * ic, 6, 2, SIGMA)
    weight = gblr_matrix(integrated, SIGMA).reshape(oc, k1, k2, ic).transpose(0, 3, 1, 2)
    for name, body in (("last", last), ("first", first)):
        check(f"integrated-channels-{name}", body, named("layer.gaudi_module", integrated), x,
              convolution(x, weight, strides), "structured.gblr.matmul", im2col=True,
              channels_first=name == "first")
    modules = [random_gblr(random, oc, ic, 3, 1, SIGMA) for _ in range(k1 * k2)]
    taps, weight = {}, np.empty((oc, ic, k1, k2))
    for i, module in enumerate(modules):
        weight[:, :, i // k2, i % k2] = gblr_matrix(module, SIGMA)
        taps |= named(f"layer.gaudi_modules.{i}", module)
    for name, body in (("last", last), ("first", first)):
        check(f"taps-channels-{name}", body, taps, x, convolution(x, weight, strides),
              "structured.gblr.matmul", im2col=True, channels_first=name == "first")


test_linear()
test_pointwise_convolution()
test_convolution()
