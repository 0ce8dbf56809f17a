# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: ptxas
# RUN: rm -rf %t && mkdir %t
# RUN: %python %s > %t/layers.mlir
# RUN: structured-compile %t/layers.mlir --target=cuda --costs=none --emit=cubin -o %t/layers.cubin --remarks > %t/remarks 2>&1
# RUN: %python %s fused > %t/fused.mlir
# RUN: structured-compile %t/fused.mlir --target=cuda --costs=none --blast-kernel=fused --emit=cubin -o %t/fused.cubin --remarks >> %t/remarks 2>&1
# RUN: %python %s whole > %t/whole.mlir
# RUN: structured-compile %t/whole.mlir --target=cuda --costs=none --blast-kernel=whole --emit=cubin -o %t/whole.cubin --remarks >> %t/remarks 2>&1
# RUN: %python %s mix > %t/mix.mlir
# RUN: structured-compile %t/mix.mlir --target=cuda --costs=none --blast-kernel=unfused --emit=cubin -o %t/mix.cubin --remarks >> %t/remarks 2>&1
# RUN: %python %s exchange > %t/exchange.mlir
# RUN: structured-compile %t/exchange.mlir --target=cuda --costs=none --blast-kernel=exchange --emit=cubin -o %t/exchange.cubin --remarks >> %t/remarks 2>&1
# RUN: %python %s attention > %t/attention.mlir
# RUN: structured-compile %t/attention.mlir --target=cuda --costs=none --emit=cubin -o %t/attention.cubin --remarks >> %t/remarks 2>&1
# RUN: FileCheck %s < %t/remarks
# RUN: grep -c "kernel 'blast_stages12_[0-9]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=FUSED
# RUN: grep -c "kernel 'blast_stages123_[0-9]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=WHOLE
# RUN: grep -c "kernel 'blast_stage2_[0-9]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=MIX
# RUN: grep -c "kernel 'blast_exchange_[0-9]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=EXCHANGE
# RUN: grep -c "kernel 'blast_decode_[0-9]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=DECODE
# RUN: grep -c "kernel 'bsr_matmul_[a-z0-9_]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=GBLR
# RUN: grep -c "kernel 'attention_[0-9]*': .*; 0 bytes spill stores, 0 bytes spill loads" %t/remarks | FileCheck %s --check-prefix=ATTENTION
# RUN: llvm-readobj --file-headers %t/layers.cubin | FileCheck %s --check-prefix=CUBIN
"""Every kind of kernel for BLAST and GBLR layers and for attention, assembled: none
spills registers.

One layer for each kind, by element type: (b_out, b_in, r, T), of blocks of 32 × 64
unless their sizes follow. Attention by the features of queries and of values.
"""
# CHECK-NOT: {{[1-9][0-9]*}} bytes spill
# CHECK-NOT: wgmma{{.*}}serial
# FUSED: {{^}}30{{$}}
# WHOLE: {{^}}10{{$}}
# MIX: {{^}}12{{$}}
# EXCHANGE: {{^}}14{{$}}
# DECODE: {{^}}20{{$}}
# GBLR: {{^}}8{{$}}
# ATTENTION: {{^}}24{{$}}
# CUBIN: Machine: {{.*}}(0xBE)

import sys

FUSED = [(1, 1, 64, 512), (2, 2, 1024, 4096), (2, 2, 1000, 300), (2, 1, 96, 512),
         (1, 2, 96, 512), (2, 2, 64, None), (4, 4, 64, 512), (4, 4, 1008, 4096),
         (4, 4, 1008, 1024), (3, 5, 88, 512), (8, 8, 1000, 4096), (8, 8, 1000, 300),
         (16, 16, 64, 512), (16, 16, 992, 4096), (16, 12, 96, None)]
WHOLE = [(4, 4, 1008, 1024, 1024, 1024), (4, 4, 264, 300, 264, 1032), (8, 8, 264, 300, 264, 520),
         (2, 2, 520, 300, 520, 1032), (3, 2, 456, 2100, 200, 520)]
MIX = [(2, 2, 1000, 512), (4, 4, 1008, 4096), (3, 5, 88, 512), (8, 8, 1000, 300), (16, 16, 64, 512),
       (16, 12, 96, None)]
EXCHANGE = [(16, 16, 992, 4096, 32, 256), (16, 16, 992, 1024, 32, 256), (16, 16, 1024, 4096, 32, 256),
            (8, 8, 1008, 4096, 32, 512), (16, 12, 96, 2100, 32, 64), (9, 15, 200, 777, 32, 200),
            (3, 5, 8, 300, 32, 136)]
DECODE = [(1, 1, 8, 1), (2, 2, 1024, 1), (16, 16, 1024, 1), (16, 16, 1024, 4), (3, 5, 88, 7),
          (16, 16, 1000, 16), (64, 48, 512, 9)]

#: Layers of one input, and the sizes of each.
SIBLINGS = [(3, 4, 1008, 1), (2, 4, 1008, 4), (3, 2, 304, 16)]

FEATURES = [(128, 128), (64, 64), (80, 24)]
#: What becomes of a score %s; `seen` is whether the query sees the key.
SCORES = {"scale": "%r = arith.mulf %s, %scale : f32",
          "causal": """%x = arith.mulf %s, %scale : f32
    %r = arith.select %seen, %x, %minus : f32""",
          "mask": """%m = tensor.extract %mask[%t, %l] : tensor<2048x2000xf32>
    %r = arith.addf %s, %m : f32""",
          "cap": "%r = math.tanh %s : f32"}


def attention(name, dtype, score, features, value_features):
    q, k, v, o = (f"tensor<{n}x16x{m}x{dtype}>" for n, m in [
        (2048, features), (2000, features), (2000, value_features), (2048, value_features)])
    maps = ", ".join(f"affine_map<(h, t, l, d, e) -> ({m})>"
                     for m in ("t, h, d", "l, h, d", "l, h, e", "t, h, e"))
    return f"""func.func @{name}(%q: {q}, %k: {k}, %v: {v}, %mask: tensor<2048x2000xf32>) -> {o} {{
  %scale = arith.constant 0.125 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : {o}
  %o = structured.attention indexing_maps = [{maps}] ins(%q, %k, %v : {q}, {k}, {v}) outs(%e : {o}) {{
  ^bb0(%s: f32, %h: index, %t: index, %l: index):
    %seen = arith.cmpi ule, %l, %t : index
    {SCORES[score]}
    structured.yield %r : f32
  }} -> {o}
  return %o : {o}
}}
"""


def layer(name, dtype, b_out, b_in, rank, tokens, rows=32, columns=64):
    t, m, n = "?" if tokens is None else tokens, rows * b_out, columns * b_in
    types = [f"{t}x{n}", f"{b_out}x{rows}x{rank}", f"{b_out}x{b_in}x{rank}", f"{b_in}x{rank}x{columns}",
             f"{t}x{m}"]
    x, u, s, vt, y = (f"tensor<{shape}x{dtype}>" for shape in types)
    size = "%t" if tokens is None else ""
    return f"""func.func @{name}(%x: {x}) -> {y} {{
  %u = structured.parameter "{name}.U" : {u}
  %s = structured.parameter "{name}.S" : {s}
  %vt = structured.parameter "{name}.Vt" : {vt}
  %zero = arith.constant 0.0 : {dtype}
  %c0 = arith.constant 0 : index
  %t = tensor.dim %x, %c0 : {x}
  %e = tensor.empty({size}) : {y}
  %y0 = linalg.fill ins(%zero : {dtype}) outs(%e : {y}) -> {y}
  %y = structured.blast.matmul ins(%x, %u, %s, %vt : {x}, {u}, {s}, {vt}) outs(%y0 : {y}) -> {y}
  return %y : {y}
}}
"""


def siblings(name, dtype, count, b, r, tokens):
    x, u, s, vt = (f"tensor<{shape}x{dtype}>" for shape in (
        f"{tokens}x{b * 1024}", f"{b}x1024x{r}", f"{b}x{b}x{r}", f"{b}x{r}x1024"))
    lines = [f"func.func @{name}(%x: {x}) -> ({', '.join([x] * count)}) {{",
             f"  %zero = arith.constant 0.0 : {dtype}"]
    for i in range(count):
        lines += [f'  %{factor}{i} = structured.parameter "{name}.{i}.{factor}" : {shape}'
                  for factor, shape in (("u", u), ("s", s), ("vt", vt))]
        lines += [f"  %e{i} = tensor.empty() : {x}",
                  f"  %z{i} = linalg.fill ins(%zero : {dtype}) outs(%e{i} : {x}) -> {x}",
                  f"  %y{i} = structured.blast.matmul ins(%x, %u{i}, %s{i}, %vt{i} : "
                  f"{x}, {u}, {s}, {vt}) outs(%z{i} : {x}) -> {x}"]
    results = ", ".join(f"%y{i}" for i in range(count))
    return "\n".join([*lines, f"  return {results} : {', '.join([x] * count)}", "}", ""])


kind = "".join(sys.argv[1:])
for dtype in ("bf16", "f16"):
    if kind == "attention":
        for score in SCORES:
            for features in FEATURES:
                print(attention(f"{dtype}_{score}_{features[0]}", dtype, score, *features))
        continue
    kinds = {"fused": FUSED, "whole": WHOLE, "mix": MIX, "exchange": EXCHANGE}
    for index, sizes in enumerate(kinds.get(kind, DECODE)):
        print(layer(f"{dtype}_{index}", dtype, *sizes))
    if kind:
        continue
    for index, sizes in enumerate(SIBLINGS):
        print(siblings(f"siblings_{dtype}_{index}", dtype, *sizes))
    # A product with a BSR matrix, and both of a layer in one kernel: the last
    # adds to zeros or to an argument.
    x, y = f"tensor<2048x72x{dtype}>", f"tensor<2048x200x{dtype}>"
    for init in ("%y0", "%zeros"):
        zeros = f"""  %zero = arith.constant 0.0 : {dtype}
  %empty = tensor.empty() : {y}
  %zeros = linalg.fill ins(%zero : {dtype}) outs(%empty : {y}) -> {y}"""
        print(f"""func.func @bsr_{dtype}_{init[1:]}(%x: {x}, %y0: {y}) -> {y} {{
  %v = structured.parameter "bsr" : tensor<3x128x64x{dtype}>
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[1, 0, 1]> : tensor<3xi32>
  %o = arith.constant dense<[1, 0]> : tensor<2xi32>
{zeros}
  %y = structured.bsr.matmul ins(%x, %v, %p, %c, %o : {x}, tensor<3x128x64x{dtype}>, tensor<3xi32>,
      tensor<3xi32>, tensor<2xi32>) outs({init} : {y}) -> {y}
  return %y : {y}
}}
func.func @gblr_{dtype}_{init[1:]}(%x: {x}, %y0: {y}) -> {y} {{
  %u = structured.parameter "gblr.U" : tensor<1600x{dtype}>
  %v = structured.parameter "gblr.V" : tensor<576x{dtype}>
{zeros}
  %y = structured.gblr.matmul layout = <out = 200, in = 72, components = [
      <rows 0 + 200, cols 0 + 72, rank 8>]>
      ins(%x, %u, %v : {x}, tensor<1600x{dtype}>, tensor<576x{dtype}>) outs({init} : {y}) -> {y}
  return %y : {y}
}}
""")
