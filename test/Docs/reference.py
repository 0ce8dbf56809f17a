# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# RUN: %python %s %src_root %obj_root/docs
"""The generated reference holds every op and pass, with what the house asks of each.

Usage: reference.py SOURCE_ROOT REFERENCE
"""

import pathlib
import re
import sys

root, reference = map(pathlib.Path, sys.argv[1:])
faults = []


def entries(name, heading):
    """{title: text} of the entries of one file of the reference."""
    parts = re.split(heading, (reference / name).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


passes = {**entries("Passes/StructuredPasses.md", r"^### `-([\w-]+)`$"),
          **entries("Passes/StructuredConversionPasses.md", r"^### `-([\w-]+)`$")}
declared = {name for td in (root / "include/Structured").rglob("Passes.td")
            for name in re.findall(r': *Pass<"([\w-]+)"', re.sub(r"\n *:", ":", td.read_text()))}
assert declared
faults += [f"{name}: not in the reference" for name in declared - passes.keys()]
for name, text in passes.items():
    if not re.search(r"^_\w.*_$", text, re.MULTILINE):
        faults.append(f"{name}: no summary")
    tests = [root / test for test in re.findall(r"\btest/[\w/.-]+\.(?:mlir|test|py)", text)]
    faults += [f"{name}: {test} is not there" for test in tests if not test.exists()]
    if not any(name in test.read_text() for test in tests if test.exists()):
        faults.append(f"{name}: no test that runs its example is named")

ops = entries("Dialects/StructuredDialect.md", r"^### `structured\.([\w.]+)` \(.*\)$")
declared = set(re.findall(r'\bStructured_\w*Op<"([\w.]+)"',
                          "".join(p.read_text() for p in (root / "include").rglob("*.td"))))
faults += [f"{name}: not in the reference" for name in declared - ops.keys()]
for name, text in ops.items():
    for part in ("Syntax:", "```mlir", "(C1)"):
        if part not in text:
            faults.append(f"structured.{name}: no {part}")

interfaces = (reference / "Dialects/StructuredInterfaces.md").read_text()
for method in ("getLayerFactors", "getParameterCount", "expandToDense"):
    if method not in interfaces:
        faults.append(f"{method}: not in the reference")
sys.exit("\n".join(sorted(faults)) or 0)
