"""Writes an ONNX file of a small convolutional classifier, batch 2:
x [2,3,9,8] -> 3x3 convolution "stem" (16 channels, stride 2, padded) -> relu ->
1x1 convolution "point" (24) -> relu -> mean -> "head" (20).

    convnet.py FILE
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
weights = {"stem.weight": random.standard_normal((16, 3, 3, 3)),
           "stem.bias": random.standard_normal(16),
           "point.weight": random.standard_normal((24, 16, 1, 1)),
           "point.bias": random.standard_normal(24),
           "head.weight": random.standard_normal((20, 24)), "head.bias": random.standard_normal(20)}
nodes = [helper.make_node("Conv", ["x", "stem.weight", "stem.bias"], ["a"], "stem/Conv",
                          strides=[2, 2], pads=[1, 1, 1, 1]),
         helper.make_node("Relu", ["a"], ["b"]),
         helper.make_node("Conv", ["b", "point.weight", "point.bias"], ["c"], "point/Conv"),
         helper.make_node("Relu", ["c"], ["d"]),
         helper.make_node("GlobalAveragePool", ["d"], ["e"]),
         helper.make_node("Flatten", ["e"], ["f"]),
         helper.make_node("Gemm", ["f", "head.weight", "head.bias"], ["y"], "head/Gemm", transB=1)]
graph = helper.make_graph(
    nodes, "convnet", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 9, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 20])],
    [numpy_helper.from_array(a.astype(np.float32), n) for n, a in weights.items()])
onnx.save(helper.make_model(graph, ir_version=8,
                            opset_imports=[helper.make_opsetid("", 17)]), sys.argv[1])
