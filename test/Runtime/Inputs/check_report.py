# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks the report of structured-run --json in run.test."""

import json
import statistics
import sys

with open(sys.argv[1]) as file:
    report = json.load(file)
assert report["entry"] == "main" and report["threads"] == 1
assert report["inputs"] == [{"name": "x", "dtype": "f32", "shape": [2, 3]}]
assert report["outputs"] == [{"name": "y", "dtype": "f32", "shape": [2, 2],
                              "values": [5, 2, 2, 6.5]}]
assert report["warmup"] == 2 and report["repeat"] == 4
times = report["time_ms"]
assert len(times["all"]) == 4 and min(times["all"]) > 0
assert times["min"] == min(times["all"])
assert abs(times["median"] - statistics.median(times["all"])) < 1e-9
assert abs(times["mean"] - statistics.mean(times["all"])) < 1e-9
