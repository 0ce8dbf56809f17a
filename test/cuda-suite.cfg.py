# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit configuration of the second half of the tests on a CUDA device, which
tools/dev/cuda-suite copies to where they run, as lit.cfg.py: no compiler, no LLVM.
Features as in lit.cfg.py."""

import importlib.util
import os
import shlex
import sys

import lit.formats

root = os.path.dirname(os.path.abspath(__file__))
config.name = "Structured-CUDA"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".test", ".py"]
# ../CPU is where the layers and the references are.
config.excludes = ["CPU", "Inputs", "lit.cfg.py"]
config.test_source_root = os.path.join(root, "test")
config.test_exec_root = os.path.join(root, "out")

environment = config.environment
environment["PATH"] = os.path.join(root, "bin") + os.pathsep + os.environ["PATH"]
environment["LD_LIBRARY_PATH"] = os.pathsep.join(
    [os.path.join(root, "lib"), os.environ.get("LD_LIBRARY_PATH", "")])
environment["PYTHONPATH"] = os.path.join(root, "python")
environment["STRUCTURED_BUILD_DIR"] = root
environment["OMP_NUM_THREADS"] = "2"
config.substitutions += [("%python", shlex.quote(sys.executable)),
                         ("%modules", os.path.join(root, "modules", "%basename_t"))]

sys.path.insert(0, os.path.join(config.test_source_root, "Inputs"))
import cuda_features

config.available_features.update({"run-half"} | cuda_features.detect())
for package in ("numpy", "torch"):
    if importlib.util.find_spec(package):
        config.available_features.add(f"python-{package}")
