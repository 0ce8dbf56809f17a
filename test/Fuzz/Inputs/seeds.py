# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes an input of the fuzz targets to the standard output: the one of that name."""

import json
import struct
import sys
from pathlib import Path

WEIGHTS = {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
           "b": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]}}


def dump(document):
    return json.dumps(document).encode()


def entry(**numbers):
    return {"layer": "fc", "shape": [32, 16], "structure": "blast", "b_out": 2, "b_in": 2,
            "rank": 4, **numbers}


def plan(*layers):
    return dump({"version": 1, "layers": layers, "allocation": {"budget": "parameters"}})


def header():
    return dump({**WEIGHTS, "__metadata__": {"key": "value"}}) + b"\0" + bytes(32)


def module(info):
    weights = dump(WEIGHTS)
    return (Path(info).read_bytes() + b"\0" + struct.pack("<Q", len(weights)) + weights
            + bytes(32))


SEEDS = {
    "header": header,
    "module": module,
    "plan": lambda: plan(entry(), {"layer": "out", "shape": [2, 3], "structure": "gblr",
                                   "budget": 4},
                         {"layer": "d", "shape": [2, 2], "structure": "dense", "reason": "x"}),
    "curves": lambda: dump({"version": 1, "layers": [
        {"layer": "fc", "shape": [32, 16], "curves": [
            {"structure": "blast", "b_out": 2, "b_in": 2, "points": [[104, 0.8], [416, 0.1]]},
            {"structure": "gblr", "points": []}]}]}),
    "deep": lambda: b"[" * 100_000,
    "large": lambda: plan(entry(shape=[2**63 - 1, 16])),
}

sys.stdout.buffer.write(SEEDS[sys.argv[1]](*sys.argv[2:]))
