# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the stock mlir-opt with our plugin on a command line of structured-opt.

Usage: upstream_opt.py MLIR_OPT PLUGIN SOURCE_ROOT ARGUMENT...

mlir-opt reads its options before it loads a plugin, so it knows the plugin's
passes in --pass-pipeline alone. Options that name passes or pipelines, ours and
upstream's, are put into one, in their order; the rest stays as it is.
"""

import os
import pathlib
import re
import subprocess
import sys

mlir_opt, plugin, source_root, *arguments = sys.argv[1:]
command = [mlir_opt, "--load-dialect-plugin=" + plugin, "--load-pass-plugin=" + plugin]

listing = subprocess.run([*command, "--list-passes"], check=True, text=True,
                         capture_output=True).stdout
passes = set(re.findall(r"^  --([\w-]+)", listing, re.MULTILINE))
on_functions = {
    name for td in pathlib.Path(source_root, "include/Structured").rglob("Passes.td")
    for name in re.findall(r':\s*Pass<"([\w-]+)",\s*"::mlir::func::FuncOp">', td.read_text())}

pipeline, others = [], []
for argument in arguments:
    name, _, options = argument.lstrip("-").partition("=")
    if not argument.startswith("-") or name not in passes and not name.startswith("structured-"):
        others.append(argument)
        continue
    element = name + ("{" + options + "}" if options else "")
    pipeline.append(f"func.func({element})" if name in on_functions else element)
if pipeline:
    others.append(f"--pass-pipeline=builtin.module({','.join(pipeline)})")
os.execv(mlir_opt, [*command, *others])
