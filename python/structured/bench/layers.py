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
from typing import Collection, Iterable, Iterator, Sequence

from ..errors import StructuredError
from ..files import write_json, write_text
from ..tools import first_error, find_tool

TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 8192)
BLOCKS = (2, 4, 8, 16)
KEEP = (0.1, 0.25, 0.5, 0.75)
#: m×n: output by input features.
SIZES = ((4096, 4096), (11008, 4096), (8192, 8192), (2048, 2048), (3072, 768))

#: Ways of computing BLAST on a GPU, beside the compiler's choice, and their kernels.
KERNELS = {"decode": "blast_decode", "whole": "blast_stages123", "exchange": "blast_exchange",
           "fused": "blast_stages12", "unfused": "blast_stage2", "library": ""}

#: Element type and its bytes.
DTYPES = {"cuda": ("bf16", 2), "cpu": ("f32", 4)}

#: BLAST layers of at most so many tokens are measured in series on a GPU.
FEW_TOKENS = 16
#: The factors of a series take so much, if these are not too many sets of them: one
#: and a half times the L2 cache of an H100 or H200.
SERIES_BYTES = 75 << 20
MOST_SETS = 32
#: The calls of a series, at least.
LEAST_CALLS = 8


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

    def series(self, target: str) -> tuple[int, int] | None:
        """How many calls the layer's module makes, and with how many sets of factors
        by turns; None: one call, whose factors are inputs. See `ir`."""
        if target != "cuda" or self.b == 0 or self.tokens > FEW_TOKENS:
            return None
        sets = math.ceil(SERIES_BYTES / self.bytes(DTYPES[target][1]))
        sets = min(MOST_SETS, max(2, sets))
        return sets * math.ceil(LEAST_CALLS / sets), sets

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


def blast_kernels(kernels: Iterable[str]) -> str:
    """Those of BLAST layers among a module's kernels; empty: products of the library."""
    return "+".join(sorted(name for name in kernels if name.startswith("blast_")))


def ir(layer: Layer, target: str, series: tuple[int, int] | None = None) -> str:
    """The IR of one layer; of a series of calls (`Layer.series`) if one is given.

    For CUDA the factors are inputs: one module runs with any number of weights,
    which need not go through files. For the CPU they are parameters, since their
    order in memory is chosen by the compiler.

    BLAST layers for few tokens run in a CUDA graph of the runtime's only, which
    holds one run of a module. So their modules make a series of calls, each on an
    input of its own, and the factors are parameters, as in a model: their kernels
    begin to read those before the kernel in front of them has ended.
    """
    series = series or layer.series(target)
    calls, sets = series or (1, 1)
    dtype, _ = DTYPES[target]
    t, m, n = layer.tokens, layer.m, layer.n
    x, y = f"tensor<{t}x{n}x{dtype}>", f"tensor<{t}x{m}x{dtype}>"
    types = {name: f"tensor<{'x'.join(map(str, shape))}x{dtype}>"
             for name, shape in parameters(layer, target, series).items()}
    indices = list(range(calls)) if series else [""]
    arguments = [f'%x{i}: {x} {{structured.name = "x{i}"}}' for i in indices]
    body = []
    for name, type_ in types.items():
        if target == "cuda" and not series:
            arguments.append(f'%{name}: {type_} {{structured.name = "{name}"}}')
        else:
            body.append(f'  %{name} = structured.parameter "{name}" : {type_}')
    op = "linear" if layer.b == 0 else "blast.matmul"
    body += [f"  %zero = arith.constant 0.0 : {dtype}", f"  %empty = tensor.empty() : {y}",
             f"  %init = linalg.fill ins(%zero : {dtype}) outs(%empty : {y}) -> {y}"]
    for i in indices:
        names = [f"{name}{i % sets if series else ''}" for name in layer.shapes]
        operands = ", ".join([f"%x{i}", *(f"%{name}" for name in names)])
        operand_types = ", ".join([x, *(types[name] for name in names)])
        body.append(f"  %y{i} = structured.{op} ins({operands} : {operand_types}) "
                    f"outs(%init : {y}) -> {y}")
    results = ", ".join(f"%y{i}" for i in indices)
    result_types = ", ".join([y] * calls)
    return "\n".join([f"func.func @main({', '.join(arguments)}) -> ({result_types}) {{", *body,
                      f"  return {results} : {result_types}", "}"]) + "\n"


def parameters(layer: Layer, target: str,
               series: tuple[int, int] | None = None) -> dict[str, tuple[int, ...]]:
    """The factors in a layer's module with their shapes: U, S and Vt, of a series U0,
    S0, Vt0, U1 and so on."""
    series = series or layer.series(target)
    if series is None:
        return layer.shapes
    return {f"{name}{i}": shape for i in range(series[1])
            for name, shape in layer.shapes.items()}


def write_zeros(path: Path, shapes: dict[str, tuple[int, ...]],
                f32: Collection[str] = ()) -> None:
    """A safetensors file of zeros, which take no space on the disk: bf16, or f32 for
    these names."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        dtype, size = ("F32", 4) if name in f32 else ("BF16", 2)
        end = offset + size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)


@functools.cache
def _compiler_hash() -> str:
    return hashlib.sha256(Path(find_tool("structured-compile")).read_bytes()).hexdigest()


class Modules:
    """The compiled modules in a directory, and `modules.json`, which says of each
    what it was made from ("hash") and the kernels that it has ("kernels").

    A layer's module may be compiled with one way of computing BLAST
    (structured-compile --blast-kernel) other than "auto". One that has the kernels of
    another is not kept."""

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

    def distinct(self, wanted: Sequence[tuple[Layer, str]]) -> list[tuple[Layer, str]]:
        """Those of `wanted` that have other kernels than all before them, as far as they
        are known."""
        result = {}
        for layer, kernel in wanted:
            known = self.index.get(self.name(layer, kernel))
            key = (layer, *known["kernels"]) if known else (layer, kernel, None)
            result.setdefault(key, (layer, kernel))
        return list(result.values())

    def compile(self, wanted: Sequence[tuple[Layer, str]], jobs: int, weights=None) -> None:
        """Compiles what is missing, or was made by another compiler or of other IR,
        several at a time. `weights` writes a layer's parameters to a path."""
        missing, kept = {}, set(self.distinct(wanted))
        for layer, kernel in wanted:
            text = ir(layer, self.target)
            digest = hashlib.sha256((_compiler_hash() + kernel + text).encode()).hexdigest()[:16]
            known = self.index.get(self.name(layer, kernel), {}).get("hash")
            if known != digest or ((layer, kernel) in kept
                                   and not self.path(layer, kernel).exists()):
                missing[layer, kernel] = text, digest
        if missing:
            self._compile_missing(missing, jobs, weights)
        for layer, kernel in set(wanted) - set(self.distinct(wanted)):
            self.path(layer, kernel).unlink(missing_ok=True)

    def _compile_missing(self, missing: dict, jobs: int, weights) -> None:
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
        is_series = layer.series(self.target) is not None
        if is_series:
            write_zeros(stored, parameters(layer, self.target))
        elif weights:
            weights(layer, stored)
        if stored.exists():
            command += ["--weights", stored]
        process = subprocess.run(command, capture_output=True, text=True)
        stored.unlink(missing_ok=True)
        source.unlink()
        if is_series:
            # Made again, with numbers in it, where the module runs.
            module.with_suffix(".safetensors").unlink(missing_ok=True)
        if process.returncode != 0:
            raise StructuredError(f"{layer.name}: {first_error(process.stderr)}")
        names = re.findall(r"kernel '(\w+?)(?:_\d+)?':", process.stderr)
        return sorted(set(names))
