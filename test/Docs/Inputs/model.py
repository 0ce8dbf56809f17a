# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes what the documents' examples start from, into a folder.

    model.py FOLDER

`MODEL.onnx`: y [32, 32] of x [32, 64] and attention_mask [32] by the layers
encoder.layer.0.up (64 to 128 features), encoder.layer.0.down (128 to 64) and
classifier (64 to 32); `MODEL`, what `structured import` makes of it, and from
there `model.mlir` and `weights.safetensors`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
random = np.random.default_rng(0)
weights, nodes, value = {}, [], "x"
for name, n, m in (("encoder.layer.0.up", 64, 128), ("encoder.layer.0.down", 128, 64),
                   ("classifier", 64, 32)):
    weights[f"{name}.weight"] = random.standard_normal((n, m)) / n**0.5
    nodes += [helper.make_node("MatMul", [value, f"{name}.weight"], [name], f"{name}/MatMul"),
              helper.make_node("Tanh", [name], [f"{name}.tanh"], f"{name}/Tanh")]
    value = f"{name}.tanh"
nodes += [helper.make_node("Cast", ["attention_mask"], ["number"], "cast", to=TensorProto.FLOAT),
          helper.make_node("Unsqueeze", ["number", "axis"], ["column"], "unsqueeze"),
          helper.make_node("Mul", [value, "column"], ["y"], "mask")]
graph = helper.make_graph(
    nodes, "model",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [32, 64]),
     helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [32])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [32, 32])],
    [numpy_helper.from_array(a.astype(np.float32), n) for n, a in weights.items()]
    + [numpy_helper.from_array(np.array([1]), "axis")])
onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
          folder / "MODEL.onnx")
subprocess.run([sys.executable, "-m", "structured", "import", folder / "MODEL.onnx",
                "-o", folder / "MODEL"], check=True)
for name in "model.mlir", "weights.safetensors":
    shutil.copy(folder / "MODEL" / name, folder)
