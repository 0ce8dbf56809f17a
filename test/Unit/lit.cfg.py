# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the GoogleTest programs, one lit test per test case."""

import os

import lit.formats

config.name = "Structured-Unit"
config.suffixes = []
config.test_exec_root = os.path.join(config.structured_obj_root, "test", "Unit")
config.test_source_root = config.test_exec_root
config.test_format = lit.formats.GoogleTest(".", "Tests")
config.environment["OMP_NUM_THREADS"] = "2"
