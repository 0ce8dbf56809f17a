# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Does in a copy of the project what docs/GettingStarted.md says of a first pass,
# and starts one among the conversions too. Of the build, only what a new pass
# changes is made anew: the files from Passes.td, the new sources, structured-opt's
# own. The rest is linked from the archives of the build under test.
#
# UNSUPPORTED: verify-roundtrip
# RUN: rm -rf %t && %python %s %src_root %obj_root %t
"""Usage: first-pass.py SOURCE_ROOT BUILD EMPTY_FOLDER"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

source, build, copy = map(pathlib.Path, sys.argv[1:])
# For git apply: the copy lies in no repository.
os.environ["GIT_CEILING_DIRECTORIES"] = str(copy.parent)
ROOMS = {"Dialect/Structured/Transforms": "Transforms", "Conversion": "Conversion"}


def shell(command, cwd=copy, **options):
    print("+", command, flush=True)
    return subprocess.run(command, shell=True, cwd=cwd, text=True, **options)


def make():
    """`ninja -C build structured-opt`, with the unchanged objects taken from `build`."""
    objects = {
        room: [f"lib/{room}/CMakeFiles/obj.Structured{library}.dir/{path.name}.o"
               for path in (copy / "lib" / room).glob("*.cpp")
               if not (source / "lib" / room / path.name).exists()]
        for room, library in ROOMS.items()}
    main = "tools/structured-opt/CMakeFiles/structured-opt.dir/structured-opt.cpp.o"
    shell(" ".join(["ninja -C build", main, *sum(objects.values(), [])]), check=True)
    for archive in (build / "lib").glob("*.a"):
        shutil.copy(archive, copy / "build/lib")
    for room, library in ROOMS.items():
        shell(" ".join([f"llvm-ar r lib/libStructured{library}.a", *objects[room]]),
              cwd=copy / "build", check=True)
    link = subprocess.run(["ninja", "-C", "build", "-t", "commands", "structured-opt"], cwd=copy,
                          check=True, text=True, capture_output=True).stdout.splitlines()[-1]
    shell(link, cwd=copy / "build", check=True)


text = (source / "docs/GettingStarted.md").read_text()
section = text.split("\n## A pass of your own\n")[1].split("\n## ")[0]
blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
assert [kind for kind, _ in blocks] == ["sh", "sh", "diff", "sh"], blocks
(_, start), (_, test), (_, diff), (_, by_hand) = blocks
build_line, lit_line = test.splitlines()
assert build_line == "ninja -C build structured-opt", build_line

shutil.copytree(source, copy, ignore=lambda folder, names: [
    name for name in names if name.startswith((".", "build")) and pathlib.Path(folder) == source
    or name == "__pycache__"])

# The pass as the script starts it.
listed = shell(start, check=True, capture_output=True).stdout.split()
for name in listed:
    assert f"`{name}`" in section, name
assert len(listed) == 4, listed
shell('tools/dev/new-pass first-conversion "start a conversion" --conversion', check=True)
shell(f"cmake --preset default -DPython3_EXECUTABLE={sys.executable}", check=True,
      stdout=subprocess.DEVNULL)
(copy / "build/bin").mkdir(exist_ok=True)
(copy / "build/lib").mkdir(exist_ok=True)
make()
shell(lit_line, check=True)
shell(lit_line.replace("mark-wide", "FirstConversion"), check=True)

# The pass as the document changes it. Before it is built, its test must fail.
shell("git apply -", input=diff, check=True)
assert shell(lit_line, capture_output=True).returncode == 1
make()
shell(lit_line, check=True)
(copy / "layer.mlir").write_text(re.search(r"^```mlir\n(.*?)^```$", text, re.M | re.S)[1])
shown = shell(by_hand, check=True, capture_output=True).stdout
expected = re.search(r"`(structured.linear {.*?})`", section)[1]
assert expected in shown and "mark_wide" in expected, (expected, shown)

# Its entry in the reference.
shell("ninja -C build mlir-doc", check=True, stdout=subprocess.DEVNULL)
reference = (copy / "build/docs/Passes/StructuredPasses.md").read_text()
entry = reference.split("### `-structured-mark-wide`\n")[1].split("\n### ")[0]
assert "_Mark layers with more output than input features_" in entry, entry
assert "-factor : Output features for each input feature" in entry, entry

# What the script refuses, it refuses before it writes.
before = {path: path.read_bytes() for path in copy.rglob("*")
          if path.is_file() and "build" not in path.relative_to(copy).parts}
for arguments, reason in (
        ("Wide x", "error: 'Wide' is no name of small letters, digits and dashes"),
        ("plan x", "error: structured-plan is there already, in include/"),
        ("mark-wide x", "error: structured-mark-wide is there already, in include/"),
        ("to-cpu x", "error: structured-to-cpu is there already, in lib/Pipelines/Cpu.cpp"),
        ("json-file x", "JsonFile.cpp is there already"),
        ("other 'a \"word\"'", "error: the summary must be one line without quotes")):
    run = shell("tools/dev/new-pass " + arguments, capture_output=True)
    assert run.returncode != 0 and reason in run.stderr, (arguments, run)
for path, content in before.items():
    assert path.read_bytes() == content, path
