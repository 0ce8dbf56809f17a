# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layers that are measured: shapes, what they cost, their IR, their modules."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Sequence

from ..errors import StructuredError
from ..files import write_json, write_text
from ..tools import first_error, find_tool

TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 8192)
BLOCKS = (2, 4, 8, 16)
KEEP = (0.1, 0.25, 0.5, 0.75)
#: m×n: output by input features.
SIZES = ((4096, 4096), (11008, 4096), (8192, 8192), (2048, 2048), (3072, 768))

#: Ways of computing BLAST on a GPU, beside the compiler's choice.
KERNELS = ("decode", "fused", "unfused", "library")

#: Element type and its bytes.
DTYPES = {"cuda": ("bf16", 2), "cpu": ("f32", 4)}


@dataclasses.dataclass(frozen=True, order=True)
class Layer:
    """A layer of `tokens` tokens: X [T, n] to [T, m]. `b` blocks along both sides
    and rank `r`; b = 0: dense, and then `keep` is 1. Low rank is b = 1."""

    tokens: int
    m: int
    n: int
    b: int
    r: int
    keep: float

    @classmethod
    def dense(cls, tokens: int, m: int, n: int) -> "Layer":
        return cls(tokens, m, n, 0, 0, 1.0)

    @classmethod
    def blast(cls, tokens: int, m: int, n: int, b: int, keep: float) -> "Layer":
        """The rank is what keeps this fraction of the parameters, a multiple of 16."""
        exact = keep * m * n / (m + n + b * b)
        return cls(tokens, m, n, b, max(16, int(exact) // 16 * 16), keep)

    @property
    def name(self) -> str:
        return f"T{self.tokens}-{self.m}x{self.n}-b{self.b}-r{self.r}"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The factors' shapes."""
        if self.b == 0:
            return {"W": (self.m, self.n)}
        b, r = self.b, self.r
        return {"U": (b, self.m // b, r), "S": (b, b, r), "Vt": (b, r, self.n // b)}

    @property
    def parameters(self) -> int:
        return sum(map(math.prod, self.shapes.values()))

    @property
    def operations(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.tokens * self.parameters

    def bytes(self, width: int) -> int:
        """Factors, input and result, each once."""
        return width * (self.parameters + self.tokens * (self.m + self.n))

    def intermediate_bytes(self, width: int) -> int:
        """Y and Z, written and read once, as they are where nothing is fused."""
        return width * 4 * self.tokens * self.b * self.r


def grid(select: dict[str, set[str]]) -> list[Layer]:
    """The layers to measure, dense ones first in each group of one T and one size;
    groups in order of importance. `select` restricts T, size (MxN), b and keep to
    values, of which some may lie outside of the default grid."""
    unknown = set(select) - {"T", "size", "b", "keep"}
    if unknown:
        raise StructuredError(f"--select: {', '.join(sorted(unknown))}: not one of T, size, b, keep")

    def values(key, defaults, parse):
        if key not in select:
            return defaults
        try:
            chosen = [parse(text) for text in select[key]]
        except ValueError as error:
            raise StructuredError(f"--select: {key}: {error}") from error
        order = {value: index for index, value in enumerate(defaults)}
        return sorted(chosen, key=lambda value: (order.get(value, len(order)), value))

    def size(text):
        m, separator, n = text.partition("x")
        if not separator:
            raise ValueError(f"'{text}' is not MxN")
        return int(m), int(n)

    sizes, blocks = values("size", SIZES, size), values("b", BLOCKS, int)
    keep, tokens = values("keep", KEEP, float), values("T", TOKENS, int)
    if min([*tokens, *blocks, *itertools.chain(*sizes)], default=1) < 1:
        raise StructuredError("--select: T, b and sizes must be positive")
    if not all(0 < fraction < 1 for fraction in keep):
        raise StructuredError("--select: keep must lie between 0 and 1")
    # Many tokens, one token and what lies between, before what is at the ends.
    importance = [4096, 1024, 1, 16, 256, 64, 4, 8192]
    tokens = sorted(tokens, key=lambda t: importance.index(t) if t in importance else 0)
    layers = []
    for (m, n), t in itertools.product(sizes, tokens):
        layers.append(Layer.dense(t, m, n))
        layers += [Layer.blast(t, m, n, b, fraction) for fraction in keep for b in blocks
                   if m % b == 0 and n % b == 0]
    return layers


def groups(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    """Those of one size and one number of tokens, which are measured by turns."""
    for _, group in itertools.groupby(layers, key=lambda x: (x.tokens, x.m, x.n)):
        yield list(group)


def with_kernels(layers: Sequence[Layer], kernels: Sequence[str]) -> list[tuple[Layer, str]]:
    """The layers as they are compiled, and BLAST layers with each of `kernels` too."""
    return ([(layer, "auto") for layer in layers]
            + [(layer, kernel) for kernel in kernels for layer in layers if layer.b])


def ours_name(kernel: str) -> str:
    """What a module of ours is called among the measured."""
    return "ours" if kernel == "auto" else f"ours:{kernel}"


def kernel_of(who: str) -> str | None:
    """The inverse; None for others."""
    name, _, kernel = who.partition(":")
    return (kernel or "auto") if name == "ours" else None


def ir(layer: Layer, target: str) -> str:
    """The IR of one layer.

    For CUDA the factors are inputs: one module runs with any number of weights,
    which need not go through files. For the CPU they are parameters, since their
    order in memory is chosen by the compiler.
    """
    dtype, _ = DTYPES[target]
    t, m, n = layer.tokens, layer.m, layer.n
    x, y = f"tensor<{t}x{n}x{dtype}>", f"tensor<{t}x{m}x{dtype}>"
    types = {name: f"tensor<{'x'.join(map(str, shape))}x{dtype}>"
             for name, shape in layer.shapes.items()}
    arguments = [f'%x: {x} {{structured.name = "x"}}']
    body = []
    for name, type_ in types.items():
        if target == "cuda":
            arguments.append(f'%{name}: {type_} {{structured.name = "{name}"}}')
        else:
            body.append(f'  %{name} = structured.parameter "{name}" : {type_}')
    op = "linear" if layer.b == 0 else "blast.matmul"
    operands = ", ".join(["%x", *(f"%{name}" for name in types)])
    body += [f"  %zero = arith.constant 0.0 : {dtype}", f"  %empty = tensor.empty() : {y}",
             f"  %init = linalg.fill ins(%zero : {dtype}) outs(%empty : {y}) -> {y}",
             f"  %y = structured.{op} ins({operands} : {', '.join([x, *types.values()])}) "
             f"outs(%init : {y}) -> {y}",
             f"  return %y : {y}"]
    return "\n".join([f"func.func @main({', '.join(arguments)}) -> {y} {{", *body, "}"]) + "\n"


@functools.cache
def _compiler_hash() -> str:
    return hashlib.sha256(Path(find_tool("structured-compile")).read_bytes()).hexdigest()


class Modules:
    """The compiled modules in a directory, and `modules.json`, which says of each
    what it was made from ("hash") and the kernels that it has ("kernels").

    A layer's module may be compiled with one way of computing BLAST
    (structured-compile --blast-kernel) other than "auto"."""

    def __init__(self, directory: Path, target: str):
        self.directory, self.target = directory, target
        self.index_path = directory / "modules.json"
        try:
            self.index = json.loads(self.index_path.read_text())
        except FileNotFoundError:
            self.index = {}
        except ValueError as error:
            raise StructuredError(f"{self.index_path}: {error}") from error

    @staticmethod
    def name(layer: Layer, kernel: str) -> str:
        return layer.name if kernel == "auto" else f"{layer.name}-{kernel}"

    def path(self, layer: Layer, kernel: str = "auto") -> Path:
        return self.directory / f"{self.name(layer, kernel)}.so"

    def kernels(self, layer: Layer, kernel: str = "auto") -> list[str]:
        """Names of the layer's kernels on a GPU, without numbers."""
        return self.index[self.name(layer, kernel)]["kernels"]

    def hash(self, layer: Layer, kernel: str = "auto") -> str:
        if (self.name(layer, kernel) not in self.index
                or not self.path(layer, kernel).exists()):
            raise StructuredError(f"{self.path(layer, kernel)}: not compiled yet")
        return self.index[self.name(layer, kernel)]["hash"]

    def compile(self, wanted: Sequence[tuple[Layer, str]], jobs: int, weights=None) -> None:
        """Compiles what is missing, or was made by another compiler or of other IR,
        several at a time. `weights` writes a layer's parameters to a path."""
        missing = {}
        for layer, kernel in wanted:
            text = ir(layer, self.target)
            digest = hashlib.sha256((_compiler_hash() + kernel + text).encode()).hexdigest()[:16]
            known = self.index.get(self.name(layer, kernel), {}).get("hash")
            if known != digest or not self.path(layer, kernel).exists():
                missing[layer, kernel] = text, digest
        if not missing:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            futures = {pool.submit(self._compile, layer, kernel, text, weights):
                       (self.name(layer, kernel), digest)
                       for (layer, kernel), (text, digest) in missing.items()}
            try:
                for count, future in enumerate(concurrent.futures.as_completed(futures), 1):
                    name, digest = futures[future]
                    self.index[name] = {"hash": digest, "kernels": future.result()}
                    if count % 20 == 0 or count == len(futures):
                        write_json(self.index_path, self.index)
                        print(f"compiled {count} of {len(futures)}", file=sys.stderr, flush=True)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _compile(self, layer: Layer, kernel: str, text: str, weights) -> list[str]:
        module = self.path(layer, kernel)
        source = module.with_suffix(".mlir")
        write_text(source, text)
        # As it is: dense layers are measured by themselves.
        command = [find_tool("structured-compile"), source, f"--target={self.target}", "--remarks",
                   "--costs=none", "-o", module]
        if self.target == "cuda":
            command.append(f"--blast-kernel={kernel}")
        stored = module.with_suffix(".in.safetensors")
        if weights:
            weights(layer, stored)
            command += ["--weights", stored]
        process = subprocess.run(command, capture_output=True, text=True)
        stored.unlink(missing_ok=True)
        source.unlink()
        if process.returncode != 0:
            raise StructuredError(f"{layer.name}: {first_error(process.stderr)}")
        names = re.findall(r"kernel '(\w+?)(?:_\d+)?':", process.stderr)
        return sorted(set(names))
