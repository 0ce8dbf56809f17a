# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times of a decoder layer of Llama 2 7B on a GPU, dense and of BLAST layers.

    PYTHONPATH=python python benchmarks/cuda/decoder_layer.py -o build/decoder-layer

compiles a layer (structured.llama) with dense linear layers and with BLAST matrices
for one token with a cache and for --prefill tokens, runs all by turns in one process
as CUDA graphs, and prints a table. Without a GPU (or with --compile-only) it only
compiles; the directory can then be taken to a machine that has a GPU, PyTorch and the
runtime but no compiler, and run there with --run-only.

Weights are random, in bf16. Each result is first compared with that of the same layer
in PyTorch, in float32. Rivals: the dense layer in PyTorch, in bf16, eager ("torch")
and with --inductor through torch.compile, both in CUDA graphs; of several tokens also
one that is for the first tokens only and leaves out the rest of the cache ("causal"),
where ours take any position. All write the tokens into the cache that they are given. A
run reads more weights than the L2 cache has.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from blast_layers import has_gpu, measure, replay
from structured import llama
from structured.bench.layers import write_zeros
from structured.files import write_json, write_text
from structured.report import table

#: Relative Frobenius error of the hidden states and of the cache: some ten roundings
#: to bf16 one after the other, of layers whose results are partly added to others.
TOLERANCE = 2e-2
#: Where in the cache the one token is; more tokens are its first ones.
POSITION = 1500
ROTARY = ("rotary.cos", "rotary.sin")


def make_configs(options: argparse.Namespace) -> list[llama.DecoderConfig]:
    return [llama.DecoderConfig(blocks=blocks, dtype="bf16", prefill=options.prefill,
                                keep=options.keep) for blocks in [0, *options.blocks]]


def module_path(config: llama.DecoderConfig, options: argparse.Namespace) -> Path:
    return options.out / f"b{config.blocks}-keep{config.keep:g}-prefill{config.prefill}.so"


def compile_layers(configs: list[llama.DecoderConfig], options: argparse.Namespace) -> None:
    from safetensors import safe_open
    from structured.tools import find_tool
    for config in configs:
        target = module_path(config, options)
        if target.exists():
            continue
        source, weights = target.with_suffix(".mlir"), target.with_suffix(".in.safetensors")
        llama.write_mlir(config, source)
        rotary = {name: table.shape for name, table in llama.rotary_tables(config).items()}
        write_zeros(weights, llama.matrix_shapes(config) | llama.norm_shapes(config) | rotary,
                    f32=rotary)
        # Without a table no layer becomes dense.
        subprocess.run([find_tool("structured-compile"), source, "--target=cuda",
                        "--costs=none", "--weights", weights, "-o", target], check=True)
        weights.unlink()
        # Made again, with numbers in them, where the module runs.
        stored = target.with_suffix(".safetensors")
        with safe_open(stored, "np") as file:
            write_json(target.with_suffix(".json"), list(file.keys()))
        stored.unlink()
        print(target.name, file=sys.stderr)


class Reference:
    """The layer in PyTorch, with weights of a type. With `causal` it is for tokens that
    are the first ones, which see no other key of the cache."""

    def __init__(self, config: llama.DecoderConfig, weights: dict, dtype, causal=False):
        self.config, self.causal = config, causal
        self.weights = {name: value if name in ROTARY else value.to(dtype)
                        for name, value in weights.items()}

    def linear(self, name: str, x):
        import torch
        factors = [self.weights[n] for n in self.config.linear_shapes(name)]
        if self.config.blocks == 0:
            return torch.mm(x, factors[0].T)
        # In float32, as nobody times it.
        from structured.bench import cuda
        return cuda.reference(x, factors)

    def norm(self, name: str, x):
        import torch
        return torch.nn.functional.rms_norm(x, x.shape[-1:], self.weights[f"{name}.weight"],
                                            self.config.epsilon)

    def __call__(self, x, position, keys, values):
        """As the entries."""
        import torch
        c, tokens = self.config, len(x)
        at = position + torch.arange(tokens, device=x.device)
        cos, sin = (self.weights[name][at, None] for name in ROTARY)

        def rotate(x):
            a, b = x.float().view(tokens, -1, 2, c.head // 2).unbind(2)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)

        y = self.norm("input_norm", x)
        q = rotate(self.linear("attention.q", y))
        keys.index_copy_(0, at, rotate(self.linear("attention.k", y)))
        values.index_copy_(0, at, self.linear("attention.v", y).view(tokens, -1, c.head))
        attend = torch.nn.functional.scaled_dot_product_attention
        q, k, v = (t.transpose(0, 1)[None] for t in (q, keys, values))
        if self.causal:
            attended = attend(q, k[:, :, :tokens], v[:, :, :tokens], is_causal=True)
        else:
            seen = torch.arange(c.length, device=x.device) <= at[:, None]
            attended = attend(q, k, v, attn_mask=seen[None, None])
        x = x + self.linear("attention.o", attended[0].transpose(0, 1).reshape(tokens, -1))
        y = self.norm("post_norm", x)
        gate, up = self.linear("mlp.gate", y), self.linear("mlp.up", y)
        hidden = torch.nn.functional.silu(gate.float()).mul(up.float()).to(x.dtype)
        return x + self.linear("mlp.down", hidden), keys, values


def make_weights(config: llama.DecoderConfig) -> dict:
    """As structured.llama, on the GPU."""
    import torch
    generator = torch.Generator("cuda").manual_seed(0)
    normal = lambda shape: torch.randn(shape, generator=generator, device="cuda")
    weights = {name: normal(shape) * llama.count_terms(name, shape) ** -0.5
               for name, shape in llama.matrix_shapes(config).items()}
    weights |= {name: 1 + 0.1 * normal(shape)
                for name, shape in llama.norm_shapes(config).items()}
    weights = {name: value.to(torch.bfloat16) for name, value in weights.items()}
    return weights | {name: torch.from_numpy(table).cuda()
                      for name, table in llama.rotary_tables(config).items()}


def run_layers(configs: list[llama.DecoderConfig], options: argparse.Namespace) -> list[dict]:
    import torch
    from safetensors.torch import save_file
    from structured import runtime
    calls = {}
    generator = torch.Generator("cuda").manual_seed(1)
    normal = lambda *shape: torch.randn(shape, generator=generator, device="cuda").bfloat16()
    for config in configs:
        weights = make_weights(config)
        path = module_path(config, options)
        # Some are several, one below the other.
        names = json.loads(path.with_suffix(".json").read_text())
        stored = {name: torch.cat([weights[part] for part in name.split(";")]).cpu()
                  for name in names}
        save_file(stored, path.with_suffix(".safetensors"))
        module = runtime.Module.load(path)
        path.with_suffix(".safetensors").unlink()
        who = f"b = {config.blocks}" if config.blocks else "dense"
        for entry, tokens, first in (("decode", 1, POSITION), ("prefill", config.prefill, 0)):
            cache = (config.length, config.kv_heads, config.head)
            position = torch.tensor([first], device="cuda")
            inputs = (normal(tokens, config.hidden), position, normal(*cache), normal(*cache))
            expected = Reference(config, weights, torch.float32)(
                inputs[0].float(), position, *(t.float() for t in inputs[2:]))
            stream = torch.cuda.Stream()
            results = module.run_on_stream(*inputs, entry=entry, stream=stream.cuda_stream)
            stream.synchronize()
            errors = [((torch.from_dlpack(r).float() - e).norm() / e.norm()).item()
                      for r, e in zip(results, expected, strict=True)]
            if not max(errors) < TOLERANCE:
                raise SystemExit(f"{who}, {entry}: errors {errors}")
            graph = module.capture(*inputs, entry=entry)
            calls[tokens, who, "ours"] = (
                stream, lambda _, graph=graph, stream=stream:
                graph.launch(stream=stream.cuda_stream), 4)
            if config.blocks:
                continue
            rivals = {"torch": Reference(config, weights, torch.bfloat16)}
            if first == 0:
                rivals["torch, causal"] = Reference(config, weights, torch.bfloat16, causal=True)
            if options.inductor:
                rivals |= {who.replace("torch", "torch.compile"):
                           torch.compile(layer, dynamic=False) for who, layer in rivals.items()}
            for rival, function in rivals.items():
                run = replay(lambda _, f=function, inputs=inputs: f(*inputs), 1, stream)
                calls[tokens, who, rival] = stream, lambda _, run=run: run(0), 4
    records = []
    times = measure(calls, options.repeat)
    for (tokens, layer, who), seconds in sorted(times.items(), key=lambda item: item[0][0]):
        dense = min(value for (t, l, _), value in times.items() if (t, l) == (tokens, "dense"))
        records.append({"T": tokens, "layer": layer, "who": who, "us": seconds * 1e6,
                        "speedup": dense / seconds})
    return records


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("build/decoder-layer"))
    parser.add_argument("--blocks", type=int, nargs="*", default=[4, 16])
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--prefill", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--inductor", action="store_true", help="time torch.compile too")
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--run-only", action="store_true")
    options = parser.parse_args()
    configs = make_configs(options)
    for config in configs:
        try:
            config.check()
        except ValueError as error:
            parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.run_only:
        compile_layers(configs, options)
    if options.compile_only or (not options.run_only and not has_gpu()):
        return 0
    records = run_layers(configs, options)
    write_json(options.out / "results.json", records)
    text = table(["T", "layer", "", "µs", "× dense"],
                 [[r["T"], r["layer"], r["who"], f"{r['us']:.1f}", f"{r['speedup']:.2f}"]
                  for r in records])
    write_text(options.out / "results.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
