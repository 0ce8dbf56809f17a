# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Runs a function of a module on random inputs, as it is or after passes, and
compares the results."""

import pathlib
import random
import re
import shutil
import subprocess
import sys

LOWER = [
    "--convert-elementwise-to-linalg",
    "--one-shot-bufferize=bufferize-function-boundaries "
    "function-boundary-type-conversion=identity-layout-map"
] + ("--convert-linalg-to-loops --lower-affine --convert-scf-to-cf "
         "--structured-expand-shape-to-reinterpret-cast --expand-strided-metadata --lower-affine --convert-math-to-llvm "
         "--convert-arith-to-llvm --finalize-memref-to-llvm "
         "--convert-func-to-llvm --convert-cf-to-llvm --convert-index-to-llvm "
         "--reconcile-unrealized-casts").split()
RAISE = ["--structured-raise-linear", "--structured-to-linalg"]
TOLERANCE = {"f32": 2e-5, "f16": 5e-3, "bf16": 2e-2}
# Sizes of dynamic dimensions, by position.
DYNAMIC = [2, 3, 5]


def literal(shape, rng):
    if not shape:
        return f"{rng.uniform(-1, 1):.6f}"
    return "[" + ", ".join(literal(shape[1:], rng)
                           for _ in range(shape[0])) + "]"


def parse_type(text):
    *sizes, element = re.fullmatch(r"tensor<(.*)>", text).group(1).split("x")
    return sizes, element


def tensor_type(shape, element):
    return "tensor<" + "".join(f"{s}x" for s in shape) + element + ">"


def with_driver(module, shapes=None):
    """The module with its weights filled in and a function @run that calls its
    first function on random inputs, of the given shapes if the types do not
    tell them, and prints the result. Also the function's name and its result's
    element type."""
    rng = random.Random(7)
    module = re.sub(r"^//.*\n", "", module, flags=re.M)

    def constant(match):
        sizes, _ = parse_type(match.group(1))
        return (f"arith.constant dense<{literal([int(s) for s in sizes], rng)}>"
                f" : {match.group(1)}")

    module = re.sub(r'structured\.parameter "[^"]*"\s*:\s*(tensor<[^>]*>)',
                    constant, module)
    name, arguments, result = re.search(
        r"func\.func @(\w+)\((.*?)\)\s*->\s*(tensor<[^>]*>)", module,
        re.S).groups()
    lines, operands, types = [], [], []
    for i, text in enumerate(re.findall(r"tensor<[^>]*>", arguments)):
        sizes, element = parse_type(text)
        shape = shapes[i] if shapes else [
            DYNAMIC[d] if s == "?" else int(s) for d, s in enumerate(sizes)]
        static = tensor_type(shape, element)
        lines.append(f"%c{i} = arith.constant dense<{literal(shape, rng)}> : {static}")
        # A copy, for constants may not be written to.
        lines.append(f"%a{i} = bufferization.alloc_tensor() copy(%c{i}) : {static}")
        if static == text:
            operands.append(f"%a{i}")
        else:
            lines.append(f"%x{i} = tensor.cast %a{i} : {static} to {text}")
            operands.append(f"%x{i}")
        types.append(text)
    lines.append(f"%y = func.call @{name}({', '.join(operands)}) : "
                 f"({', '.join(types)}) -> {result}")
    sizes, element = parse_type(result)
    value, printed = "%y", tensor_type(sizes, "f32")
    if element != "f32":
        identity = ", ".join(f"d{d}" for d in range(len(sizes)))
        iterators = ", ".join(['"parallel"'] * len(sizes))
        lines.append(
            f"%e = tensor.empty() : {printed}\n"
            f"%w = linalg.generic {{indexing_maps = [affine_map<({identity}) -> ({identity})>, "
            f"affine_map<({identity}) -> ({identity})>], iterator_types = [{iterators}]}} "
            f"ins(%y : {result}) outs(%e : {printed}) {{\n"
            f"^bb0(%a: {element}, %o: f32):\n  %b = arith.extf %a : {element} to f32\n"
            f"  linalg.yield %b : f32\n}} -> {printed}")
        value = "%w"
    buffer = printed.replace("tensor", "memref")
    lines.append(f"%m = bufferization.to_buffer {value} : {printed} to {buffer}")
    lines.append(f"%u = memref.cast %m : {buffer} to memref<*xf32>")
    lines.append("func.call @printMemrefF32(%u) : (memref<*xf32>) -> ()")
    driver = ("func.func private @printMemrefF32(memref<*xf32>) "
              "attributes {llvm.emit_c_interface}\n"
              "func.func @run() {\n" + "\n".join(lines) + "\nreturn\n}\n")
    resources = module.find("{-#")
    body = module if resources < 0 else module[:resources]
    tail = "" if resources < 0 else module[resources:]
    inner = re.search(r"^module \{$(.*)^\}$", body, re.S | re.M)
    if inner:
        body = body[:inner.end() - 1] + driver + "}\n"
    else:
        body += driver
    return name, element, body + tail


def run(command, text):
    process = subprocess.run(command, input=text, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{process.stderr}")
    return process.stdout


def find_runner():
    runner = shutil.which("mlir-runner")
    if not runner:
        sys.exit("mlir-runner is not on the PATH")
    libraries = pathlib.Path(runner).resolve().parent.parent / "lib"
    return [runner, "-e", "run", "-entry-point-result=void"] + [
        f"-shared-libs={libraries / name}" for name in
        ["libmlir_runner_utils.so", "libmlir_c_runner_utils.so",
         "libmlir_float16_utils.so"]]


def execute(opt, passes, module):
    """The sizes of the result, as text, and its elements."""
    lowered = run([*opt, *passes, *LOWER], module)
    output = run(find_runner(), lowered)
    shape = re.search(r"sizes = \[([^\]]*)\]", output).group(1)
    data = output[output.index("data =") + len("data ="):]
    return shape, [float(x) for x in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?|nan|inf", data)]


def check_raising(opt, label, text, shapes=None, passes=RAISE,
                  op="structured.linear", before=()):
    """Exits with a message unless the first pass raises the text's function to
    `op` and it computes the same after `passes` as it does before, which is
    after the passes `before`."""
    name, element, module = with_driver(text, shapes)
    label = f"{label}: @{name}"
    if op not in run([*opt, passes[0]], module):
        sys.exit(f"{label}: not raised\n{text}")
    shape, expected = execute(opt, before, module)
    raised_shape, actual = execute(opt, passes, module)
    scale = max(abs(x) for x in expected)
    error = max(abs(a - b) for a, b in zip(expected, actual)) / scale
    if (shape != raised_shape or len(expected) != len(actual)
            or not error <= TOLERANCE[element]):
        sys.exit(f"{label}: sizes [{shape}] and [{raised_shape}], relative "
                 f"error {error:.2e}\n{text}")
    # What a wrong order of the elements would give is far outside.
    spread = max((abs(a - b) for a, b in zip(expected, expected[1:])),
                 default=scale)
    if spread < 0.1 * scale:
        sys.exit(f"{label}: the results are too much alike to tell them apart")
    print(f"{label}: relative error {error:.2e}")
