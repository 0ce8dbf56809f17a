# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the examples of a document, its fenced blocks, in their order in one folder.

    examples.py SOURCE_ROOT BUILD LLVM_TOOLS CC CXX DOCUMENT FOLDER

Without DOCUMENT, checks that each document has a test.

The folder holds what the test has put there. It looks like a clone whose build is
in `build` and whose Python packages are in `.venv`: these and the clone's folders
are linked into it where the test has not made its own. `structured` is on
PATH, as after `pip install .`, with `python`, `cc` and `c++`.

- ```sh: a shell runs the block, and fails with the first command that does. Before
  its output the block is printed, each line after "+ ".
- A block of any language after a line "`NAME`:" or "`NAME`, …:" is the file NAME.
  If an earlier command has written the file, it must have written this.
- ```c and ```json without a name: it is accepted as such.
- ```text is no example: output, a diagram, a command's general form.
- What is not run is listed below, with the reason.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

# Of a document, blocks that hold a text, and why they are not run. A test that
# is named runs the block, or the same on something smaller.
NOT_RUN = {
    "README.md": {
        "tools/dev/main-job": "installs packages, builds; test/python/mainjob.test runs the job",
        "tools/dev/test": "is the test run itself",
    },
    "CONTRIBUTING.md": {"check-structured": "is part of tools/dev/test"},
    "docs/Benchmark.md": {
        "structured.bench": "needs a GPU; test/python/bench.py",
        "decoder_layer.py": "needs a GPU and PyTorch; test/python/llama.py has the layer",
    },
    "docs/Calibration.md": {
        "compress minilm": "takes minutes; test/python/calibration.py",
        "benchmarks/minilm/calibration.py": "takes hours",
    },
    "docs/CostModel.md": {"structured.bench": "needs a GPU; test/python/bench.py"},
    "docs/Cpu.md": {"benchmarks/gblr/run.py": "takes minutes, measures times"},
    "docs/Exchange.md": {
        "torch.export.export": "needs PyTorch; test/python/torch-import.py",
        "jax.export.export": "needs JAX; test/python/jax-import.py",
    },
    "docs/Gblr.md": {"run-gblr.sh": "takes hours, needs a checkpoint"},
    "docs/GettingStarted.md": {
        "tools/dev/setup": "installs packages, builds; is part of tools/dev/test",
        "ninja -C build structured-opt": "test/GettingStarted/first-pass.py",
        "tools/dev/new-pass": "test/GettingStarted/first-pass.py",
        "--- a/include": "test/GettingStarted/first-pass.py",
        "--structured-mark-wide": "test/GettingStarted/first-pass.py",
    },
    "docs/Hopper.md": {
        "benchmarks/cuda/": "needs a GPU",
        "structured.bench": "needs a GPU; test/python/bench.py",
    },
    "docs/Install.md": {
        "cpack": "test/Install/packages.test",
        "pip ": "test/Install/wheel.test",
    },
    "docs/MainJob.md": {
        "tools/dev/main-job": "installs packages, builds; test/python/mainjob.test runs the job",
    },
    "docs/Runtime.md": {
        "--graph": "needs a GPU",
        "module.capture": "needs a GPU and PyTorch",
    },
    "docs/Scale.md": {"large_layer.py": "takes minutes; test/python/resume.py"},
    "docs/Testing.md": {
        "random-modules.py": "takes minutes; test/Integration/CPU/random-modules.py",
        "build-sanitize": "is part of tools/dev/test",
        "tools/dev/cuda-suite": "is part of tools/dev/test, but for the GPU",
    },
}

def blocks(path):
    """(file name or None, language, text) of each fenced block."""
    found, start = [], 0
    text = path.read_text()
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        name = re.search(r"^`([\w./-]+)`[:,].*\n\n\Z", text[start:match.start()], re.MULTILINE)
        found.append((name and name[1], *match.groups()))
        start = match.end()
    return found


def reason(document, text):
    """Why a block is not run, or None."""
    return next((why for part, why in NOT_RUN.get(document, {}).items() if part in text), None)


def check_documents(root):
    """Each document with examples has a test; each entry of the list a block."""
    faults = []
    documents = {str(path.relative_to(root)): blocks(path)
                 for path in (*root.glob("*.md"), *root.glob("docs/*.md"))}
    for document, found in documents.items():
        examples = [text for _, kind, text in found if kind != "text"]
        faults += [f"{document}: a block without a language: {text}"
                   for _, kind, text in found if not kind]
        test = root / "test/Docs" / (pathlib.Path(document).stem + ".test")
        if any(not reason(document, text) for text in examples) and not (
                test.exists() and f"%examples {document} " in test.read_text()):
            faults.append(f"{document}: its examples are not run by {test}")
    for document, entries in NOT_RUN.items():
        faults += [f"{document}: no block holds '{part}'" for part in entries
                   if not any(part in text for _, _, text in documents[document])]
        faults += [f"{document}: {name} is not there" for why in entries.values()
                   for name in re.findall(r"\btest/[\w./-]+", why) if not (root / name).exists()]
    sys.exit("\n".join(faults) or 0)


def link(path, target):
    if not os.path.lexists(path):
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target)


def run(root, build, llvm_tools, cc, cxx, document, folder):
    link(folder / "build", build)
    link(folder / ".venv", pathlib.Path(sys.executable).parents[1])
    for path in root.iterdir():
        if path.is_dir() and not path.name.startswith((".", "build")):
            link(folder / path.name, path)
    link(folder / ".bin/cc", cc)
    link(folder / ".bin/c++", cxx)
    link(folder / ".bin/mlir-opt-22", llvm_tools / "mlir-opt")
    structured = folder / ".bin/structured"
    structured.write_text(f'#!/bin/sh\nexec {sys.executable} -m structured "$@"\n')
    structured.chmod(0o755)
    path = os.pathsep.join([str(folder / ".bin"), str(folder / ".venv/bin"), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}

    ran = 0
    for name, kind, text in blocks(root / document):
        if kind == "text" or reason(document, text):
            continue
        ran += 1
        file = name and folder / name
        if name and file.exists():
            read = json.loads if file.suffix == ".json" else str
            assert read(file.read_text()) == read(text), f"{name} is not\n{text}"
        elif name:
            file.write_text(text)
            file.chmod(0o755)
        elif kind == "sh":
            print("".join(f"+ {line}\n" for line in text.splitlines()), end="", flush=True)
            subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], cwd=folder,
                           env=environment, check=True)
        elif kind == "c":
            subprocess.run([cc, "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-xc", "-"],
                           input=text, text=True, check=True)
        elif kind == "json":
            json.loads(text)
        else:
            sys.exit(f"{document}: nothing is known of how to run\n{text}")
    assert ran, f"{document}: no example"


if __name__ == "__main__":
    root, *tools = map(pathlib.Path, sys.argv[1:6])
    if len(sys.argv) > 6:
        run(root, *tools, sys.argv[6], pathlib.Path(sys.argv[7]))
    else:
        check_documents(root)
