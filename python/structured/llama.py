# Part of the Structured project, under the Apache License v2.0 with LLVM
# Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A decoder layer of Llama's shape with random weights, as MLIR and safetensors.

RMS norm, attention with rotary embeddings, grouped heads and a cache of keys and
values, RMS norm, SwiGLU, and residuals (Touvron et al., arXiv 2302.13971 and
2307.09288). For tests and benchmarks of models with a cache:

    python -m structured.llama out --hidden 4096 --dtype bf16

writes out/model.mlir, with an entry `prefill` for several tokens and an entry
`decode` for one, and out/weights.safetensors. With --blocks the linear layers are
BLAST matrices (Lee et al., arXiv 2410.21262). The entries take

    x         [T, hidden]               the tokens' hidden states
    position  [1] i64                   the place of the first of them
    keys      [length, kv_heads, head]  the cache
    values    [length, kv_heads, head]

and return the new hidden states and the cache with the tokens' keys and values,
which they write into the memory of the given one. `position + T` may be `length`
at most.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from .bench.layers import Layer
from .errors import StructuredError
from .files import LazyTensor, staged_directory, write_safetensors, write_text


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """Sizes of a decoder layer; those of Llama 2 7B unless said otherwise."""

    hidden: int = 4096
    intermediate: int = 11008
    heads: int = 32
    kv_heads: int = 32
    length: int = 2048
    prefill: int = 128
    dtype: str = "f32"
    epsilon: float = 1e-5
    theta: float = 10000.0
    #: Block rows and columns of BLAST matrices; 0: the layers are dense.
    blocks: int = 0
    #: The fraction of a layer's parameters that its BLAST matrix has.
    keep: float = 0.5

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    @property
    def linear_sizes(self) -> dict[str, tuple[int, int]]:
        """Output and input features of each linear layer."""
        kv = self.kv_heads * self.head
        return {"attention.q": (self.hidden, self.hidden),
                "attention.k": (kv, self.hidden), "attention.v": (kv, self.hidden),
                "attention.o": (self.hidden, self.hidden),
                "mlp.gate": (self.intermediate, self.hidden),
                "mlp.up": (self.intermediate, self.hidden),
                "mlp.down": (self.hidden, self.intermediate)}

    def linear_shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """The parameters of a linear layer, with a rank as structured-bench's."""
        m, n = self.linear_sizes[name]
        if self.blocks == 0:
            return {name + ".weight": (m, n)}
        layer = Layer.blast(1, m, n, self.blocks, self.keep)
        return {f"{name}.{factor}": shape for factor, shape in layer.shapes.items()}

    def check(self) -> None:
        """ValueError if the sizes do not fit together."""
        if self.dtype not in ("f32", "bf16", "f16"):
            raise ValueError(f"dtype is {self.dtype}, not f32, f16 or bf16")
        if self.hidden % self.heads or self.head % 2:
            raise ValueError(f"{self.heads} heads do not divide hidden = "
                             f"{self.hidden} into even parts")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.kv_heads} kv_heads do not divide "
                             f"{self.heads} heads")
        if self.blocks < 0 or not 0 < self.keep <= 1:
            raise ValueError(f"blocks = {self.blocks} is negative, or keep = {self.keep} "
                             "is not in (0, 1]")
        if self.blocks and any(size % self.blocks for sizes in self.linear_sizes.values()
                               for size in sizes):
            raise ValueError(f"{self.blocks} blocks do not divide the layers' sizes")
        if not 0 < self.prefill <= self.length:
            raise ValueError(f"prefill = {self.prefill} is not in 1 … length = "
                             f"{self.length}")


class _Function:
    """Text of one entry."""

    def __init__(self, config: DecoderConfig, name: str, tokens: int):
        self.config, self.name, self.tokens = config, name, tokens
        self.lines: list[str] = []
        self.count = 0

    def value(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return f"%v{self.count}"

    def type(self, *shape: int, dtype: str | None = None) -> str:
        return f"tensor<{'x'.join(map(str, shape))}x{dtype or self.config.dtype}>"

    def parameter(self, name: str, *shape: int, dtype: str | None = None) -> str:
        return self.value(f'structured.parameter "{name}" : '
                          + self.type(*shape, dtype=dtype))

    def empty(self, type: str) -> str:
        return self.value(f"tensor.empty() : {type}")

    def filled(self, number: str, type: str) -> str:
        dtype = type[:-1].split("x")[-1]
        scalar = self.value(f"arith.constant {number} : {dtype}")
        empty = self.empty(type)
        return self.value(f"linalg.fill ins({scalar} : {dtype}) "
                          f"outs({empty} : {type}) -> {type}")

    def generic(self, dims: str, reduced: str, inputs: list[tuple[str, str, str]],
                out: tuple[str, str, str], body: list[str], result: str) -> str:
        """A linalg.generic over loops `dims`, e.g. "t m"; operands are (value,
        type, indices). Its block has %a, %b, … and %out."""
        loops = ", ".join(dims.split())
        maps = [f"affine_map<({loops}) -> ({', '.join(indices.split())})>"
                for _, _, indices in inputs + [out]]
        kinds = ", ".join('"reduction"' if d in reduced.split() else '"parallel"'
                          for d in dims.split())
        names = ["%" + "abcdef"[i] for i in range(len(inputs))] + ["%out"]
        dtypes = [t[:-1].split("x")[-1] for _, t, _ in inputs + [out]]
        ins = ""
        if inputs:
            ins = (f"ins({', '.join(v for v, _, _ in inputs)} : "
                   f"{', '.join(t for _, t, _ in inputs)}) ")
        block = ", ".join(f"{n}: {d}" for n, d in zip(names, dtypes))
        return self.value("\n    ".join(
            [f"linalg.generic {{indexing_maps = [{', '.join(maps)}], "
             f"iterator_types = [{kinds}]}}",
             f"{ins}outs({out[0]} : {out[1]}) {{", f"^bb0({block}):"]
            + body + [f"linalg.yield {result} : {dtypes[-1]}",
                      f"}} -> {out[1]}"]))

    def widen(self, name: str) -> tuple[list[str], str]:
        """Code for `name`, an element, in f32."""
        if self.config.dtype == "f32":
            return [], name
        return [f"{name}w = arith.extf {name} : {self.config.dtype} to f32"], name + "w"

    def narrow(self, name: str) -> tuple[list[str], str]:
        """Code for the f32 `name` in the model's type."""
        if self.config.dtype == "f32":
            return [], name
        return [f"{name}n = arith.truncf {name} : f32 to {self.config.dtype}"], name + "n"

    def rms_norm(self, name: str, x: str) -> str:
        c, t = self.config, self.tokens
        rows, row = self.type(t, c.hidden), self.type(t, dtype="f32")
        wide, a = self.widen("%a")
        sums = self.generic("t m", "m", [(x, rows, "t m")],
                            (self.filled("0.0", row), row, "t"),
                            wide + [f"%s = arith.mulf {a}, {a} : f32",
                                    "%r = arith.addf %s, %out : f32"], "%r")
        weight = self.parameter(name + ".weight", c.hidden)
        wide_b, b = self.widen("%b")
        narrow, result = self.narrow("%r")
        return self.generic(
            "t m", "", [(x, rows, "t m"), (weight, self.type(c.hidden), "m"),
                        (sums, row, "t")],
            (self.empty(rows), rows, "t m"),
            wide + wide_b
            + [f"%n = arith.constant {float(c.hidden)} : f32",
               f"%e = arith.constant {c.epsilon:.8e} : f32",
               "%mean = arith.divf %c, %n : f32",
               "%shifted = arith.addf %mean, %e : f32",
               "%scale = math.rsqrt %shifted : f32",
               f"%y = arith.mulf {a}, %scale : f32",
               f"%r = arith.mulf %y, {b} : f32"] + narrow, result)

    def linear(self, name: str, x: str) -> str:
        out, inputs = self.config.linear_sizes[name]
        result = self.type(self.tokens, out)
        shapes = self.config.linear_shapes(name)
        operands = [x] + [self.parameter(n, *shape) for n, shape in shapes.items()]
        types = [self.type(self.tokens, inputs)] + [self.type(*s) for s in shapes.values()]
        init = self.filled("0.0", result)
        op = "blast.matmul" if self.config.blocks else "linear"
        return self.value(f"structured.{op} ins({', '.join(operands)} : {', '.join(types)}) "
                          f"outs({init} : {result}) -> {result}")

    def add(self, x: str, y: str) -> str:
        type = self.type(self.tokens, self.config.hidden)
        return self.generic("t m", "", [(x, type, "t m"), (y, type, "t m")],
                            (self.empty(type), type, "t m"),
                            [f"%r = arith.addf %a, %b : {self.config.dtype}"], "%r")

    def split(self, x: str, *shape: int) -> str:
        """[T, features] as [T, *shape]."""
        features = int(np.prod(shape))
        dims = ", ".join(str(1 + i) for i in range(len(shape)))
        sizes = ", ".join(map(str, (self.tokens, *shape)))
        return self.value(f"tensor.expand_shape {x} [[0], [{dims}]] "
                          f"output_shape [{sizes}] : "
                          f"{self.type(self.tokens, features)} into "
                          f"{self.type(self.tokens, *shape)}")

    def join(self, x: str, *shape: int) -> str:
        features = int(np.prod(shape))
        dims = ", ".join(str(1 + i) for i in range(len(shape)))
        return self.value(f"tensor.collapse_shape {x} [[0], [{dims}]] : "
                          f"{self.type(self.tokens, *shape)} into "
                          f"{self.type(self.tokens, features)}")

    def rotate(self, x: str, heads: int) -> str:
        """Rotary embeddings: each head's first half with its second."""
        c, t, half = self.config, self.tokens, self.config.head // 2
        type = self.type(t, heads, 2, half)
        table = self.type(c.length, half, dtype="f32")
        halves = self.split(x, heads, 2, half)
        tables = [self.parameter("rotary." + n, c.length, half, dtype="f32")
                  for n in ("cos", "sin")]
        wide, a = self.widen("%a")
        wide_o, other = self.widen("%o")
        narrow, result = self.narrow("%r")
        body = ["%i = linalg.index 0 : index", "%h = linalg.index 1 : index",
                "%s = linalg.index 2 : index", "%d = linalg.index 3 : index",
                "%zero = arith.constant 0 : index", "%one = arith.constant 1 : index",
                "%first = tensor.extract %position[%zero] : tensor<1xi64>",
                "%base = arith.index_cast %first : i64 to index",
                "%at = arith.addi %base, %i : index",
                f"%cos = tensor.extract {tables[0]}[%at, %d] : {table}",
                f"%sin = tensor.extract {tables[1]}[%at, %d] : {table}",
                "%s1 = arith.subi %one, %s : index",
                f"%o = tensor.extract {halves}[%i, %h, %s1, %d] : {type}"]
        body += wide + wide_o
        body += [f"%p = arith.mulf {a}, %cos : f32",
                 f"%q = arith.mulf {other}, %sin : f32",
                 "%isfirst = arith.cmpi eq, %s, %zero : index",
                 "%minus = arith.subf %p, %q : f32",
                 "%plus = arith.addf %p, %q : f32",
                 "%r = arith.select %isfirst, %minus, %plus : f32"]
        rotated = self.generic("t h s d", "", [(halves, type, "t h s d")],
                               (self.empty(type), type, "t h s d"),
                               body + narrow, result)
        return self.join(rotated, heads, 2, half)

    def cached(self, cache: str, x: str) -> str:
        """The cache with the tokens' x at their places, which are kept inside."""
        c, t = self.config, self.tokens
        tokens = self.split(x, c.kv_heads, c.head)
        zero = self.value("arith.constant 0 : index")
        largest = self.value(f"arith.constant {c.length - t} : index")
        first = self.value(f"tensor.extract %position[{zero}] : tensor<1xi64>")
        base = self.value(f"arith.index_cast {first} : i64 to index")
        at_least = self.value(f"arith.maxsi {base}, {zero} : index")
        place = self.value(f"arith.minsi {at_least}, {largest} : index")
        return self.value(
            f"tensor.insert_slice {tokens} into {cache}[{place}, 0, 0] "
            f"[{t}, {c.kv_heads}, {c.head}] [1, 1, 1] : "
            f"{self.type(t, c.kv_heads, c.head)} into "
            f"{self.type(c.length, c.kv_heads, c.head)}")

    def contract(self, x: tuple[str, str, str], y: tuple[str, str, str],
                 out: tuple[str, str], dims: str) -> str:
        """Sums in f32."""
        maps = [f"affine_map<({', '.join(dims.split())}) -> "
                f"({', '.join(i.split())})>" for i in (x[2], y[2], out[1])]
        init = self.filled("0.0", out[0])
        return self.value(f"linalg.contract indexing_maps = [{', '.join(maps)}] "
                          f"ins({x[0]}, {y[0]} : {x[1]}, {y[1]}) "
                          f"outs({init} : {out[0]}) -> {out[0]}")

    def attention(self, q: str, keys: str, values: str) -> str:
        c, t = self.config, self.tokens
        groups = c.heads // c.kv_heads
        cache = self.type(c.length, c.kv_heads, c.head)
        scores_type = self.type(c.kv_heads, groups, t, c.length, dtype="f32")
        q_type = self.type(t, c.kv_heads, groups, c.head)
        q = self.split(q, c.kv_heads, groups, c.head)
        scores = self.contract((q, q_type, "t k g d"), (keys, cache, "l k d"),
                               (scores_type, "k g t l"), "t k g l d")
        masked = self.generic(
            "k g t l", "", [(scores, scores_type, "k g t l")],
            (self.empty(scores_type), scores_type, "k g t l"),
            ["%t = linalg.index 2 : index", "%l = linalg.index 3 : index",
             "%zero = arith.constant 0 : index",
             "%first = tensor.extract %position[%zero] : tensor<1xi64>",
             "%base = arith.index_cast %first : i64 to index",
             "%at = arith.addi %base, %t : index",
             "%seen = arith.cmpi ule, %l, %at : index",
             f"%scale = arith.constant {c.head ** -0.5:.8e} : f32",
             "%minus = arith.constant 0xFF800000 : f32",
             "%scaled = arith.mulf %a, %scale : f32",
             "%r = arith.select %seen, %scaled, %minus : f32"], "%r")
        row = self.type(c.kv_heads, groups, t, dtype="f32")
        largest = self.generic("k g t l", "l", [(masked, scores_type, "k g t l")],
                               (self.filled("0xFF800000", row), row, "k g t"),
                               ["%r = arith.maximumf %a, %out : f32"], "%r")
        exponents = self.generic(
            "k g t l", "", [(masked, scores_type, "k g t l"), (largest, row, "k g t")],
            (self.empty(scores_type), scores_type, "k g t l"),
            ["%y = arith.subf %a, %b : f32", "%r = math.exp %y : f32"], "%r")
        sums = self.generic("k g t l", "l", [(exponents, scores_type, "k g t l")],
                            (self.filled("0.0", row), row, "k g t"),
                            ["%r = arith.addf %a, %out : f32"], "%r")
        weights_type = self.type(c.kv_heads, groups, t, c.length)
        narrow, result = self.narrow("%r")
        weights = self.generic(
            "k g t l", "", [(exponents, scores_type, "k g t l"), (sums, row, "k g t")],
            (self.empty(weights_type), weights_type, "k g t l"),
            ["%r = arith.divf %a, %b : f32"] + narrow, result)
        mixed = self.contract((weights, weights_type, "k g t l"),
                              (values, cache, "l k d"), (q_type, "t k g d"),
                              "t k g d l")
        return self.join(mixed, c.kv_heads, groups, c.head)

    def swiglu(self, gate: str, up: str) -> str:
        type = self.type(self.tokens, self.config.intermediate)
        wide_a, a = self.widen("%a")
        wide_b, b = self.widen("%b")
        narrow, result = self.narrow("%r")
        return self.generic(
            "t m", "", [(gate, type, "t m"), (up, type, "t m")],
            (self.empty(type), type, "t m"),
            wide_a + wide_b
            + ["%one = arith.constant 1.0 : f32", f"%minus = arith.negf {a} : f32",
               "%exp = math.exp %minus : f32", "%den = arith.addf %exp, %one : f32",
               f"%silu = arith.divf {a}, %den : f32",
               f"%r = arith.mulf %silu, {b} : f32"] + narrow, result)

    def build(self) -> str:
        c, t = self.config, self.tokens
        x = self.rms_norm("input_norm", "%x")
        q = self.rotate(self.linear("attention.q", x), c.heads)
        k = self.rotate(self.linear("attention.k", x), c.kv_heads)
        keys = self.cached("%keys", k)
        values = self.cached("%values", self.linear("attention.v", x))
        attended = self.attention(q, keys, values)
        x = self.add("%x", self.linear("attention.o", attended))
        y = self.rms_norm("post_norm", x)
        gate, up = (self.linear(name, y) for name in ("mlp.gate", "mlp.up"))
        x = self.add(x, self.linear("mlp.down", self.swiglu(gate, up)))
        rows = self.type(t, c.hidden)
        cache = self.type(c.length, c.kv_heads, c.head)
        inputs = [("x", rows, ""), ("position", "tensor<1xi64>", ""),
                  ("keys", cache, ", structured.updated_by = 1 : i64"),
                  ("values", cache, ", structured.updated_by = 2 : i64")]
        arguments = ", ".join(f'%{n}: {type} {{structured.name = "{n}"{updated}}}'
                              for n, type, updated in inputs)
        return "\n".join(
            [f"func.func @{self.name}({arguments}) -> ({rows}, {cache}, {cache}) {{"]
            + self.lines
            + [f"  return {x}, {keys}, {values} : {rows}, {cache}, {cache}", "}"])


def write_mlir(config: DecoderConfig, path: Path) -> None:
    """Writes the entries `prefill` and `decode`."""
    config.check()
    write_text(path, "\n\n".join([
        _Function(config, "prefill", config.prefill).build(),
        _Function(config, "decode", 1).build()]) + "\n")


def matrix_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Of all parameters of the linear layers."""
    return {name: shape for layer in config.linear_sizes
            for name, shape in config.linear_shapes(layer).items()}


def norm_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    return {name + ".weight": (config.hidden,) for name in ("input_norm", "post_norm")}


def rotary_tables(config: DecoderConfig) -> dict[str, np.ndarray]:
    """[length, head / 2], f32."""
    half = config.head // 2
    angles = np.outer(np.arange(config.length),
                      config.theta ** (-np.arange(half) / half))
    return {"rotary.cos": np.cos(angles).astype(np.float32),
            "rotary.sin": np.sin(angles).astype(np.float32)}


def count_terms(name: str, shape: tuple[int, ...]) -> int:
    """How many of a matrix's products are summed: of S one for each block column."""
    return shape[1] if name.endswith(".S") else shape[-1]


def make_weights(config: DecoderConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights by name: norms near 1, matrices of the scale that keeps the
    scale of their input. bf16 arrays are of ml_dtypes.bfloat16."""
    config.check()
    rng = np.random.default_rng(seed)
    if config.dtype == "bf16":
        import ml_dtypes
        dtype = ml_dtypes.bfloat16
    else:
        dtype = {"f32": np.float32, "f16": np.float16}[config.dtype]
    weights = {name: (rng.standard_normal(shape, dtype=np.float32)
                      / np.sqrt(np.float32(count_terms(name, shape)))).astype(dtype)
               for name, shape in matrix_shapes(config).items()}
    weights |= {name: (1 + 0.1 * rng.standard_normal(shape)).astype(dtype)
                for name, shape in norm_shapes(config).items()}
    return weights | rotary_tables(config)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m structured.llama",
        description="Write a decoder layer of Llama's shape with random weights.")
    parser.add_argument("output", type=Path, help="directory")
    parser.add_argument("--seed", type=int, default=0)
    for field in dataclasses.fields(DecoderConfig):
        parser.add_argument("--" + field.name.replace("_", "-"), type=type(field.default),
                            default=field.default, help=f"default {field.default}")
    arguments = vars(parser.parse_args())
    output, seed = arguments.pop("output"), arguments.pop("seed")
    config = DecoderConfig(**arguments)
    try:
        config.check()
    except ValueError as error:
        parser.error(str(error))
    try:
        with staged_directory(output) as directory:
            write_mlir(config, directory / "model.mlir")
            tensors = [LazyTensor(name, array.dtype, array.shape, lambda array=array: array)
                       for name, array in make_weights(config, seed).items()]
            write_safetensors(directory / "weights.safetensors", tensors)
    except (OSError, StructuredError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
