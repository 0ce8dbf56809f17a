# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# RUN: %python %s %src_root/test/Dialect/Structured/raise-attention %t -- structured-opt

"""Raising attention changes no numbers: every spelling of the raise-attention
tests is run as it is, and raised and lowered back, on random inputs, and the
results are compared. A linalg.softmax is decomposed by upstream's transform."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from raising import check_raising

DECOMPOSE = """
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %softmax = transform.structured.match ops{["linalg.softmax"]} in %module
        : (!transform.any_op) -> !transform.any_op
    %ops = transform.structured.decompose_interface %softmax
        : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
"""
# Has inputs that are not of floating point.
SKIPPED = {"masks"}
# Queries, keys and values: the result has the sizes of the first's.
SHAPES = {"dynamic": [[2, 3, 5, 16], [2, 3, 7, 16], [2, 3, 7, 16]]}


def main():
    separator = sys.argv.index("--")
    folder, opt = pathlib.Path(sys.argv[1]), sys.argv[separator + 1:]
    library = pathlib.Path(sys.argv[2] + ".mlir")
    library.write_text(DECOMPOSE)
    checked = 0
    for file in ["example.mlir", "spellings.mlir"]:
        text = (folder / file).read_text()
        aliases = "\n".join(re.findall(r"^#.*$", text, flags=re.M))
        for function in re.findall(r"^func\.func .*?^}$", text, flags=re.M | re.S):
            name = re.match(r"func\.func @(\w+)", function).group(1)
            if name in SKIPPED:
                continue
            check_raising(opt, file, f"{aliases}\n{function}\n", SHAPES.get(name),
                          passes=["--structured-raise-attention", "--structured-to-linalg"],
                          op="structured.attention",
                          before=[f"--transform-preload-library=transform-library-paths={library}",
                                  "--transform-interpreter"])
            checked += 1
    if checked < 16:
        sys.exit("fewer functions than the tests hold")


main()
