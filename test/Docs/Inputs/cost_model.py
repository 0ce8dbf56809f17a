# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes model.mlir, a BLAST layer that does not pay for 64 tokens, and
factors.safetensors (bf16 zeros) into a folder.

    cost_model.py FOLDER
"""

import json
import math
import sys
from pathlib import Path

FACTORS = {"u": (16, 128, 96), "s": (16, 16, 96), "vt": (16, 96, 128)}
folder = Path(sys.argv[1])
kinds = {name: f"tensor<{'x'.join(map(str, shape))}xbf16>" for name, shape in FACTORS.items()}
x = "tensor<64x2048xbf16>"
lines = [f"func.func @main(%x: {x}, %y0: {x}) -> {x} {{"]
lines += [f'  %{name} = structured.parameter "fc.{name}" : {kind}' for name, kind in kinds.items()]
lines += [f"  %y = structured.blast.matmul ins(%x, %u, %s, %vt : {x}, {', '.join(kinds.values())})",
          f"      outs(%y0 : {x}) -> {x}", f"  return %y : {x}", "}", ""]
(folder / "model.mlir").write_text("\n".join(lines))
header, end = {}, 0
for name, shape in FACTORS.items():
    start, end = end, end + 2 * math.prod(shape)
    header[f"fc.{name}"] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
text = json.dumps(header).encode()
(folder / "factors.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))
