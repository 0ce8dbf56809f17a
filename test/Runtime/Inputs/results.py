# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""results.py: writes info.json for results.c."""

import json

X = {"name": "x", "dtype": "f32", "shape": [2, 3]}
UPDATED = [{"name": "sum", "dtype": "f32", "shape": [2, 3]},
           {"name": "count", "dtype": "f32", "shape": []}]
SHAPES = {"strided": [[3, 2]], "offset": [[4]], "broadcast": [[2, 2]],
          "input": [[2, 3]], "parameter": [[-1]], "constant": [[2]],
          "several": [[2], [4], [], [-1, -1]], "nothing": [], "wrong": [[5]],
          "update": [[], [3], [2, 3]], "accumulate": [[2, 3]]}
# By entry and output: the input that it updates.
UPDATES = {"update": {0: 2, 2: 1}, "accumulate": {0: 1}}

entries = [{"name": name, "symbol": name,
            "inputs": [X] + (UPDATED if name in UPDATES else []),
            "outputs": [{"dtype": "f32", "shape": shape} for shape in outputs],
            "parameters": [{"name": "p", "dtype": "f32", "shape": [2]}]}
           for name, outputs in SHAPES.items()]
for entry in entries:
    for output, updated in UPDATES.get(entry["name"], {}).items():
        entry["outputs"][output]["updates"] = updated
with open("info.json", "w") as file:
    json.dump({"abi_version": 1, "target": "cpu", "cpu": "", "features": [],
               "llvm": "", "entries": entries}, file)
