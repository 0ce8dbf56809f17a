# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""native_features.py INFO OUTPUT: copies the module description INFO with the
features that `clang -march=native -###`, read from standard input, turns on and
without entries."""

import json
import re
import sys

with open(sys.argv[1]) as file:
    info = json.load(file)
info["entries"] = []
info["features"] = re.findall(r'"-target-feature" "\+([^"]+)"', sys.stdin.read())
assert "sse2" in info["features"]
with open(sys.argv[2], "w") as file:
    json.dump(info, file)
