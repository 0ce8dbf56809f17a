# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""entries.py: writes info.json for entries.c (arena_bytes of `plus3` included)."""

import json

NAMES = ["plus1", "plus3", "attributes", "memory", "maps", "maps4", "strided", "input",
         "constant", "launch", "missing", "unloaded", "code", "much", "shared", "foreign",
         "shape", "map", "rank", "growing",
         "resident", "resident2", "queue", "scratch", "forgetful",
         "update", "halfway"]
entries = [{"name": name, "symbol": name,
            "inputs": [{"name": "x", "dtype": "f32", "shape": [-1, 4]}],
            "outputs": [{"name": "y", "dtype": "f32",
                         "shape": [4, -1] if name == "strided" else [-1, 4]}],
            "parameters": []} for name in NAMES]
entries[1]["arena_bytes"] = 3 << 20
for entry in entries[-2:]:
    entry["inputs"].append({"name": "sum", "dtype": "f32", "shape": [-1, 4]})
    entry["outputs"].insert(0, {"name": "total", "dtype": "f32", "shape": [-1, 4],
                                "updates": 1})
with open("info.json", "w") as file:
    json.dump({"abi_version": 1, "target": "cuda", "arch": "sm_90a", "cpu": "",
               "features": [], "llvm": "", "entries": entries}, file)
