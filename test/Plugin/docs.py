# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# RUN: rm -rf %t && mkdir %t && ln -s %obj_root %t/build
# RUN: %python %s %src_root/docs %t %llvm_tools_dir | FileCheck %s
"""Runs the examples of docs/UpstreamTools.md, in their order.

Usage: docs.py DOCS FOLDER LLVM_TOOLS
"""

import pathlib
import re
import subprocess
import sys

docs, folder, llvm_tools = map(pathlib.Path, sys.argv[1:])


def blocks(name):
    return re.findall(r"(?:^`([\w.]+)`:\n\n)?^```(\w*)\n(.*?)^```$", (docs / name).read_text(),
                      re.MULTILINE | re.DOTALL)


layer = next(text for name, _, text in blocks("GettingStarted.md") if name == "layer.mlir")
(folder / "layer.mlir").write_text(layer)
for name, _, text in blocks("UpstreamTools.md"):
    if name:
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
        continue
    print("+", text, flush=True)
    command = text.replace("mlir-opt-22", str(llvm_tools / "mlir-opt"))
    subprocess.run(command, shell=True, cwd=folder, check=True)

# CHECK: + {{.*}} --show-dialects
# CHECK: {{[:,]structured(,|$)}}
# CHECK: + {{.*}}--load-pass-plugin
# CHECK: structured.linear {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 3>}
# CHECK: + {{.*}}--load-pass-plugin
# CHECK: llvm.func @main
# CHECK-NOT: structured.linear
# CHECK: + {{.*}}structured-reduce
# CHECK: module {
# CHECK-NEXT: func.func @product
# CHECK: linalg.matmul
# CHECK-NOT: func.func
