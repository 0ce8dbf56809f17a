# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# RUN: rm -rf %t && %python %s %t
"""structured-compile: what it writes, and that bad input gives an error that
names the culprit and leaves no file behind and none changed."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
from harness import write_safetensors

directory = Path(sys.argv[1])
directory.mkdir(parents=True)
model, weights, module = (directory / n for n in ("model.mlir", "w.safetensors", "out.so"))

MODEL = """
func.func @main(%x: tensor<?x3xf32> {structured.name = "tokens"}, %y0: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = structured.parameter "layer.weight" : tensor<2x3xf32>
  %y = structured.linear ins(%x, %w : tensor<?x3xf32>, tensor<2x3xf32>)
      outs(%y0 : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
"""
# Its weight is the product of U [2, 1, 2], S [2, 1, 2] and Vt [1, 2, 3].
PRODUCT = MODEL.replace('"layer.weight"',
                        '"w" product = <"u", "s", "vt", blocks = 2 : 1, rank = 2>')
W = np.arange(6).reshape(2, 3)
FACTORS = {"u": (np.ones((2, 1, 2)), "f32"), "s": (np.ones((2, 1, 2)), "f32"),
           "vt": (W.reshape(1, 2, 3), "f32")}
# "a" [1, 3] above that product.
CONCATENATION = MODEL.replace("2xf32", "3xf32").replace("tensor<2x3", "tensor<3x3").replace(
    '"layer.weight"', '"a;p" concatenation = <dim = 0, parts = [<"a", size = 1>, '
    '<"p", size = 2, product = <"u", "s", "vt", blocks = 2 : 1, rank = 2>>]>')
# "a" [3, 1] beside "b" [3, 2], both transposed.
BESIDE = MODEL.replace("2xf32", "3xf32").replace("tensor<2x3", "tensor<3x3").replace(
    '"layer.weight"', '"a,b" permutation = [1, 0] concatenation = <dim = 1, parts = '
    '[<"a", size = 1>, <"b", size = 2>]>')
A = np.array([[7, 8, 9]])


def compile(*options, source=MODEL, output=module, tensors=None):
    model.write_text(source)
    write_safetensors(weights, tensors or {"layer.weight": (W, "f32"), "unused": (W, "f32")})
    return subprocess.run(["structured-compile", model, "-o", output, *options],
                          capture_output=True, text=True)


def files():
    return sorted(p.name for p in directory.iterdir())


def fails(text, *options, **arguments):
    before = {p: p.read_bytes() for p in (module, module.with_suffix(".safetensors")) if p.exists()}
    result = compile(*options, **arguments)
    assert result.returncode == 1, result
    assert text in result.stderr, (text, result.stderr)
    expected = {model.name, weights.name, *(p.name for p in before)}
    assert set(files()) == expected, files()
    assert all(p.read_bytes() == data for p, data in before.items())


# Nothing is written on failure, neither the first time ...
def test_bad_input():
    ok = f"--weights={weights}"
    fails("no tensor 'layer.weight'", ok, tensors={"other": (W, "f32")})
    fails("parameter 'layer.weight' of 'main' is f32[2, 3] in the model, but F32[3, 2] in the weights",
          ok, tensors={"layer.weight": (W.T, "f32")})
    fails("but F16[2, 3] in the weights", ok, tensors={"layer.weight": (W, "f16")})
    fails("no tensor 's'", ok, source=PRODUCT,
          tensors={name: FACTORS[name] for name in ("u", "vt")})
    fails("parameter 'vt' of 'main' is f32[1, 2, 3] in the model, but F32[2, 3] in the weights",
          ok, source=PRODUCT, tensors=FACTORS | {"vt": (W, "f32")})
    fails("but BF16[2, 1, 2] in the weights", ok, source=PRODUCT,
          tensors=FACTORS | {"u": (np.ones((2, 1, 2)), "bf16")})
    fails("no tensor 'a'", ok, source=CONCATENATION, tensors=FACTORS)
    fails("parameter 'a' of 'main' is f32[1, 3] in the model, but F32[3, 1] in the weights",
          ok, source=CONCATENATION, tensors=FACTORS | {"a": (A.T, "f32")})
    fails("parameter 'u' of 'main' is f32[2, 1, 2] in the model, but F32[1, 2, 2] in the weights",
          ok, source=CONCATENATION,
          tensors=FACTORS | {"a": (A, "f32"), "u": (np.ones((1, 2, 2)), "f32")})
    fails("cost table: 'h2000' is neither one of", ok, "--costs=h2000")
    fails("must not be negative", ok, "--costs=h200", "--tokens=-1")
    fails("nowhere.safetensors", "--weights=nowhere.safetensors")
    fails("both", ok, ok)
    fails("'pentium17' is not a processor of x86_64", ok, "--mcpu=pentium17")
    fails("OpenMP library 'nowhere.so' not found", ok, "--omp-library=nowhere.so")
    fails("no public function to compile", ok, source="func.func private @f()")
    fails("expected non-function type", ok, source="func.func @main( {\n}\n} {")
    fails("has the type 'complex<f32>'", ok,
          source="func.func @main(%x: complex<f32>) { return }")
    fails("input 'input0' has the type 'tensor<2xi5>'", ok,
          source="func.func @main(%x: tensor<2xi5>) { return }")
    fails("holds the model's: choose another output", ok, output=weights.with_suffix(".so"))
    fails("a module cannot be written to standard output", ok, output="-")
    fails("missing/out.so': No such file", ok, output=directory / "missing" / "out.so")


test_bad_input()
result = compile(f"--weights={weights}")
assert result.returncode == 0 and result.stderr == "", result
assert files() == ["model.mlir", "out.safetensors", "out.so", "w.safetensors"], files()
# ... nor later, when there are files of an earlier run.
test_bad_input()


def read_stored():
    """The one tensor of the module's weights: its name and its numbers."""
    stored = module.with_suffix(".safetensors").read_bytes()
    length = int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8:8 + length])
    header.pop("__metadata__", None)
    [(name, entry)] = header.items()
    return name, np.frombuffer(stored[8 + length:], np.float32).reshape(entry["shape"])


# Only what the model uses is stored, permuted.
name, numbers = read_stored()
assert name == "layer.weight#perm10" and np.array_equal(numbers, W.T), (name, numbers)

# The parts of a concatenation are one tensor, in the order that is wanted.
for source, tensors, expected_name, expected in [
        (CONCATENATION, FACTORS | {"a": (A, "f32")}, "a;p#perm10",
         np.concatenate([A, np.tile(W.sum(0), (2, 1))]).T),
        (BESIDE, {"a": (A.T, "f32"), "b": (W.T, "f32")}, "a,b", np.concatenate([A.T, W.T], 1))]:
    result = compile(f"--weights={weights}", source=source, tensors=tensors)
    assert result.returncode == 0 and result.stderr == "", result
    name, numbers = read_stored()
    assert name == expected_name and np.array_equal(numbers, expected), (name, numbers)
assert compile(f"--weights={weights}").returncode == 0

# The module's description of itself.
info = module.read_bytes()
start = info.index(b'{"abi_version"')
info = json.loads(info[start:info.index(b"\0", start)])
assert info["abi_version"] == 1 and info["target"] == "cpu", info
assert isinstance(info["features"], list) and info["llvm"].startswith("22."), info
assert info["entries"] == [{
    "name": "main", "symbol": "structured_entry_main",
    "inputs": [{"name": "tokens", "dtype": "f32", "shape": [-1, 3]},
               {"name": "input1", "dtype": "f32", "shape": [-1, 2]}],
    "outputs": [{"dtype": "f32", "shape": [-1, 2]}],
    "parameters": [{"name": "layer.weight#perm10", "dtype": "f32", "shape": [3, 2]}]}], info

# Only the interface is visible, and libomp is the one library needed.
dynamic = subprocess.run(["llvm-readelf", "--dyn-syms", "--dynamic", module], check=True,
                         capture_output=True, text=True).stdout
symbols = {line.split()[-1] for line in dynamic.splitlines()
           if " DEFAULT " in line and " UND " not in line}
assert symbols == {"structured_entry_main", "structured_module_info"}, symbols
needed = [line for line in dynamic.splitlines() if "NEEDED" in line]
assert len(needed) == 1 and "libomp.so.5" in needed[0], needed

# Other forms, on standard output and in files.
for kind, text in [("tensors", "linalg.contract"), ("mlir", "llvm.func @_mlir_ciface_main"),
                   ("llvm", "define void @structured_entry_main"), ("asm", "structured_entry_main:")]:
    result = compile(f"--emit={kind}", output="-")
    assert result.returncode == 0 and text in result.stdout, (kind, result.stderr)
assert compile("--emit=obj", output=directory / "model.o").returncode == 0
assert (directory / "model.o").read_bytes()[:4] == b"\x7fELF"
# For a processor with another width of vectors.
result = compile("--emit=asm", "--mcpu=haswell", "--parallel=false", output="-")
assert "%ymm" in result.stdout and "%zmm" not in result.stdout and "__kmpc" not in result.stdout

# A device is written to, not replaced; a full disk is an error.
assert compile("--emit=llvm", output="/dev/null").returncode == 0
assert not Path("/dev/null").is_file()


def limit_file_size():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


for options in (["--emit=llvm"], [f"--weights={weights}"]):
    compile_full = ["structured-compile", model, "-o", directory / "full.so", *options]
    result = subprocess.run(compile_full, capture_output=True, text=True,
                            preexec_fn=limit_file_size)
    assert result.returncode == 1 and "full.so" in result.stderr, result
    assert not [name for name in files() if name.startswith("full")], files()
