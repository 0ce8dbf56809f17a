# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy
# UNSUPPORTED: sanitizers
# RUN: %python %s %t
"""Entries that update their inputs, on the CPU."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "Inputs"))
import updating
from harness import Module
from structured import runtime

compiled = Module(updating.MLIR, sys.argv[1])
updating.check(runtime.Module.load(compiled.directory / "model.so"))
