# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, cuda
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""Entries that update their inputs, on a GPU."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import compile_module, open_module
import updating
from structured import runtime

half, directory = sys.argv[1:]
if half == "compile":
    compile_module(updating.MLIR, directory)
else:
    updating.check(runtime.Module.load(open_module(directory).directory / "model.so"))
    print("all inputs are updated")
