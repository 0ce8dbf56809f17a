# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-models, cuda
# RUN: %python %s %t | FileCheck %s --implicit-check-not=Traceback
# CHECK: MiniLM
# CHECK: decoder f32 prefill
# CHECK: all models agree
"""Whole models on a GPU against the same models on the CPU: all-MiniLM-L6-v2 and
a decoder layer with a cache.

In f32 the two differ by the order of their sums: relative to the root mean
square of the result, the random walk of one sum's longest k, 4 sqrt(k) 2^-24, as
often as the model has layers after each other. In bf16 tensors are rounded at
the same places; where sums differ, a rounding may go the other way, which is two
units of roundoff of one number in a later sum of many.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "CPU" / "Inputs"))
from harness import ROUNDOFF, from_bits, to_bits
from structured import llama, minilm

rng = np.random.default_rng(0)


def run(directory, target, source, weights, entry, inputs, dtype):
    """All outputs of an entry, in float64."""
    module, outputs = directory / f"{target}.so", directory / f"{target}-{entry}"
    if not module.exists():
        subprocess.run(["structured-compile", source, f"--target={target}", "--weights",
                        weights, "-o", module], check=True)
    arguments = []
    for name, array in inputs.items():
        np.save(directory / f"{name}.npy", array)
        arguments.append(f"--input={name}={directory / name}.npy")
    subprocess.run(["structured-run", module, f"--entry={entry}", *arguments,
                    f"--output-dir={outputs}"], check=True, stdout=subprocess.DEVNULL)
    return [from_bits(np.load(path), dtype) for path in sorted(outputs.glob("*.npy"))]


def compare(name, cpu, gpu, error):
    assert len(cpu) == len(gpu) > 0, name
    for x, y in zip(cpu, gpu):
        assert x.shape == y.shape and np.isfinite(y).all(), name
        scale = np.sqrt(np.mean(x**2))
        worst = np.max(np.abs(x - y)) / scale
        print(f"{name}: difference {worst:.1e}, {worst / error:.2f} of what is allowed")
        assert worst <= error, name


def check_minilm(directory):
    minilm.write_onnx(directory / "model.onnx", batch=1, sequence=128)
    python = [sys.executable, "-m", "structured"]
    subprocess.run([*python, "import", directory / "model.onnx", "-o", directory / "out"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["structured-opt", directory / "out/model.mlir", "--structured-raise-linear",
                    "-o", directory / "raised.mlir"], check=True, stderr=subprocess.DEVNULL)
    mask = np.ones((1, 128), np.int64)
    mask[0, 100:] = 0
    inputs = {"input_ids": rng.integers(1000, 30000, (1, 128)), "attention_mask": mask,
              "token_type_ids": np.zeros((1, 128), np.int64)}
    cpu, gpu = [run(directory, target, directory / "raised.mlir",
                    directory / "out/weights.safetensors", "main", inputs, "f32")
                for target in ("cpu", "cuda")]
    # Six blocks of six products.
    compare("MiniLM", cpu, gpu, 36 * 4 * np.sqrt(1536) * ROUNDOFF["f32"])


def check_decoder(directory, dtype):
    from safetensors.numpy import save_file
    config = llama.DecoderConfig(hidden=512, intermediate=1376, heads=8, kv_heads=2,
                                 length=96, prefill=19, dtype=dtype)
    llama.write_mlir(config, directory / "model.mlir")
    save_file(llama.make_weights(config), directory / "weights.safetensors")
    cache = [to_bits(rng.standard_normal((96, 2, 64)), dtype) for _ in range(2)]
    error = (7 * 4 * np.sqrt(1376) * ROUNDOFF["f32"] if dtype == "f32"
             else 8 * ROUNDOFF["bf16"])
    for entry, tokens, position in (("prefill", 19, 5), ("decode", 1, 24)):
        inputs = {"x": to_bits(rng.standard_normal((tokens, 512)), dtype),
                  "position": np.array([position]), "keys": cache[0], "values": cache[1]}
        cpu, gpu = [run(directory, target, directory / "model.mlir",
                        directory / "weights.safetensors", entry, inputs, dtype)
                    for target in ("cpu", "cuda")]
        compare(f"decoder {dtype} {entry}", cpu, gpu, error)
        # One token more, with the cache that is there now.
        cache = [to_bits(array, dtype) for array in cpu[1:]]


def main(directory):
    for name, check in (("minilm", check_minilm),
                        ("f32", lambda d: check_decoder(d, "f32")),
                        ("bf16", lambda d: check_decoder(d, "bf16"))):
        (directory / name).mkdir(parents=True, exist_ok=True)
        check(directory / name)
    print("all models agree")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
