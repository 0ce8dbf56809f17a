# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times of attention on a GPU: by the kernel for Hopper, without it, and by PyTorch.

    PYTHONPATH=python python benchmarks/cuda/attention.py -o build/attention

compiles attention of several sizes (T queries, L keys, heads, features of each), causal
with any first position ("causal"), with all keys ("all") and with a mask that is added
("mask"), runs all by turns in one process as CUDA graphs, and prints a table. Without a
GPU (or with --compile-only) it only compiles; the directory can then be taken to a
machine that has a GPU, PyTorch and the runtime but no compiler, and run there with
--run-only.

Each result is first compared with float64. Rivals: PyTorch's scaled_dot_product_attention
by cuDNN and by its flash attention; where it is causal the first query sees one key, which
is what `is_causal` says. "products": ours compiled for a GPU without the kernel, as two
products by cuBLASLt and a kernel for the softmax.
"""

import argparse
import math
import subprocess
import sys
from pathlib import Path

from blast_layers import has_gpu, measure, replay
from structured.files import write_json, write_text
from structured.report import table

#: Relative Frobenius error: the weights and the result are rounded to bf16.
TOLERANCE = 4e-3
#: kind, T, L, heads, features
CASES = [("causal", 512, 512, 32, 128), ("causal", 1024, 2048, 32, 128),
         ("causal", 2048, 2048, 32, 128), ("causal", 4096, 4096, 16, 128),
         ("causal", 2048, 2048, 32, 64),
         ("all", 64, 2048, 32, 128), ("all", 128, 512, 32, 128), ("all", 128, 2048, 8, 128),
         ("all", 256, 8192, 8, 128), ("all", 512, 2048, 8, 128), ("all", 512, 2048, 32, 128),
         ("all", 512, 8192, 32, 128), ("all", 1024, 1024, 32, 64),
         ("all", 2048, 2048, 32, 128), ("all", 4096, 4096, 16, 128),
         ("mask", 128, 2048, 32, 128), ("mask", 1024, 2048, 32, 128),
         ("mask", 2048, 2048, 32, 128)]
#: Ways of ours, with the GPU that they are compiled for.
CHIPS = {"kernel": "sm_90a", "products": "sm_90"}


def model(kind: str, t: int, l: int, heads: int, features: int) -> str:
    q, k = (f"tensor<{n}x{heads}x{features}xbf16>" for n in (t, l))
    mask = f"tensor<{t}x{l}xbf16>"
    argument = {"causal": ", %position: tensor<1xi64>", "mask": f", %mask: {mask}"}.get(kind, "")
    score = {"causal": """
    %first = tensor.extract %position[%zero] : tensor<1xi64>
    %base = arith.index_cast %first : i64 to index
    %at = arith.addi %base, %t : index
    %seen = arith.cmpi ule, %l, %at : index
    %r = arith.select %seen, %scaled, %minus : f32""",
             "mask": f"""
    %m = tensor.extract %mask[%t, %l] : {mask}
    %w = arith.extf %m : bf16 to f32
    %r = arith.addf %scaled, %w : f32"""}.get(kind, "")
    maps = ", ".join(f"affine_map<(h, t, l, d, e) -> ({m})>"
                     for m in ("t, h, d", "l, h, d", "l, h, e", "t, h, e"))
    return f"""func.func @main(%q: {q}, %k: {k}, %v: {k}{argument}) -> {q} {{
  %zero = arith.constant 0 : index
  %scale = arith.constant {features ** -0.5:.9e} : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : {q}
  %o = structured.attention indexing_maps = [{maps}]
      ins(%q, %k, %v : {q}, {k}, {k}) outs(%e : {q}) {{
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %scaled = arith.mulf %score, %scale : f32{score}
    structured.yield {'%r' if score else '%scaled'} : f32
  }} -> {q}
  return %o : {q}
}}
"""


def module_path(case: tuple, who: str, options: argparse.Namespace) -> Path:
    return options.out / f"{'-'.join(map(str, case))}-{who}.so"


def compile_cases(options: argparse.Namespace) -> None:
    from structured.tools import find_tool
    for case in CASES:
        for who, chip in CHIPS.items():
            target = module_path(case, who, options)
            if target.exists():
                continue
            source = target.with_suffix(".mlir")
            write_text(source, model(*case))
            subprocess.run([find_tool("structured-compile"), source, "--target=cuda",
                            "--costs=none", f"--chip={chip}", "-o", target], check=True)
            print(target.name, file=sys.stderr)


def run_case(case: tuple, options: argparse.Namespace) -> dict[str, float]:
    """Seconds by who computes it."""
    import torch
    from structured import runtime
    from torch.nn.attention import SDPBackend, sdpa_kernel
    kind, t, l, heads, features = case
    generator = torch.Generator("cuda").manual_seed(0)
    normal = lambda *shape: torch.randn(shape, generator=generator, device="cuda")
    q = normal(t, heads, features).bfloat16()
    k, v = (normal(l, heads, features).bfloat16() for _ in range(2))
    inputs = [q, k, v]
    scores = torch.einsum("thd,lhd->htl", q.double(), k.double()) * features ** -0.5
    if kind == "causal":
        inputs.append(torch.zeros(1, dtype=torch.int64, device="cuda"))
        seen = torch.ones(t, l, dtype=torch.bool, device="cuda").tril()
        scores = scores.masked_fill(~seen, -math.inf)
    if kind == "mask":
        inputs.append(normal(t, l).bfloat16())
        scores = scores + inputs[-1].double()
    expected = torch.einsum("htl,lhe->the", torch.softmax(scores, -1), v.double())
    del scores
    stream, calls = torch.cuda.Stream(), {}
    for who in CHIPS:
        module = runtime.Module.load(module_path(case, who, options))
        result, = module.run_on_stream(*inputs, stream=stream.cuda_stream)
        stream.synchronize()
        error = (torch.from_dlpack(result).double() - expected).norm() / expected.norm()
        if not error < TOLERANCE:
            raise SystemExit(f"{case}, {who}: error {error}")
        graph = module.capture(*inputs)
        calls[who] = (stream, lambda _, graph=graph: graph.launch(stream=stream.cuda_stream), 4)

    operands = [x.transpose(0, 1)[None] for x in (q, k, v)]
    extra = {"mask": {"attn_mask": inputs[-1]}, "causal": {"is_causal": True}}
    if kind == "causal":
        operands[1:] = [x[:, :, :t] for x in operands[1:]]

    def rival(backend):
        with sdpa_kernel(backend):
            return torch.nn.functional.scaled_dot_product_attention(
                *operands, **extra.get(kind, {}))

    backends = {"cuDNN": SDPBackend.CUDNN_ATTENTION}
    if kind != "mask":
        backends["flash"] = SDPBackend.FLASH_ATTENTION
    for who, backend in backends.items():
        run = replay(lambda _, backend=backend: rival(backend), 1, stream)
        calls[who] = stream, lambda _, run=run: run(0), 4
    return measure(calls, options.repeat)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("build/attention"))
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--run-only", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.run_only:
        compile_cases(options)
    if options.compile_only or (not options.run_only and not has_gpu()):
        return 0
    import torch
    records = [{"kind": kind, "T": t, "L": l, "heads": heads, "features": features, "who": who,
                "us": seconds * 1e6, "gpu": torch.cuda.get_device_name(),
                "torch": torch.__version__}
               for kind, t, l, heads, features in CASES
               for who, seconds in run_case((kind, t, l, heads, features), options).items()]
    write_json(options.out / "results.json", records)
    rows = {}
    for r in records:
        row = rows.setdefault((r["kind"], r["T"], r["L"], r["heads"], r["features"]), {})
        row[r["who"]] = f"{r['us']:.1f}"
    names = [*CHIPS, "cuDNN", "flash"]
    text = table(["", "T", "L", "heads", "features", *names],
                 [[*case, *(row.get(name, "") for name in names)] for case, row in rows.items()])
    write_text(options.out / "results.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
