"""Writes an ONNX file: y [T,64] = relu(x [T,64] A + a) B, T = 32.

    mlp.py FILE [nan]    with `nan`, B has one
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
weights = {"first.weight": random.standard_normal((64, 128)) / 8,
           "first.bias": random.standard_normal(128),
           "second.weight": random.standard_normal((128, 64)) / 11}
if sys.argv[2:] == ["nan"]:
    weights["second.weight"][3, 5] = np.nan
nodes = [helper.make_node("MatMul", ["x", "first.weight"], ["h"], "first/MatMul"),
         helper.make_node("Add", ["h", "first.bias"], ["s"], "first/Add"),
         helper.make_node("Relu", ["s"], ["r"], "relu"),
         helper.make_node("MatMul", ["r", "second.weight"], ["y"], "second/MatMul")]
graph = helper.make_graph(
    nodes, "mlp",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [32, 64])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [32, 64])],
    [numpy_helper.from_array(a.astype(np.float32), n) for n, a in weights.items()])
onnx.save(helper.make_model(graph, ir_version=8,
                            opset_imports=[helper.make_opsetid("", 17)]), sys.argv[1])
