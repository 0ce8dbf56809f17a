"""Writes a stack of equal linear layers: model.mlir and weights.safetensors.

    stack.py DIR LAYERS SIZE [nan]    weights [SIZE, SIZE], F32, layers "layer.0", ...;
                                      with `nan`, the one of layer.1 has one
"""

import json
import sys
from pathlib import Path

import numpy as np

directory, count, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kind = f"tensor<{size}x{size}xf32>"
lines = [f"func.func @main(%x: {kind}, %init: {kind}) -> {kind} {{"]
header, length = {}, 4 * size * size
for k in range(count):
    header[f"layer.{k}.weight"] = {"dtype": "F32", "shape": [size, size],
                                   "data_offsets": [k * length, (k + 1) * length]}
    value = "%x" if k == 0 else f"%y{k - 1}"
    lines += [f'  %w{k} = structured.parameter "layer.{k}.weight" : {kind}',
              f'  %y{k} = structured.linear {{layer = "layer.{k}"}} '
              f"ins({value}, %w{k} : {kind}, {kind}) outs(%init : {kind}) -> {kind}"]
lines += [f"  return %y{count - 1} : {kind}", "}", ""]
directory.mkdir(parents=True, exist_ok=True)
(directory / "model.mlir").write_text("\n".join(lines))
text = json.dumps(header).encode()
with open(directory / "weights.safetensors", "wb") as file:
    file.write(len(text).to_bytes(8, "little") + text)
    for k in range(count):
        weight = np.random.default_rng(k).standard_normal((size, size), np.float32)
        if k == 1 and sys.argv[4:] == ["nan"]:
            weight[3, 5] = np.nan
        file.write(weight.tobytes())
