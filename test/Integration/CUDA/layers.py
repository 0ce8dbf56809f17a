# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# REQUIRES: python-numpy, cuda
# RUN: %if compile-half %{ %python %s compile %modules %}
# RUN: %if run-half %{ %python %s run %modules %}
"""The layers of ../CPU/layers.py on a GPU, with the same bounds."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from halves import check_layers
from layers import LAYERS

check_layers(LAYERS)
