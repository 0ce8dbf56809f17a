# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# RUN: %python %s %src_root/test/Dialect/Structured/raise-linear -- structured-opt

"""Raising changes no numbers: every import sample and every spelling of the
raise-linear tests is run as it is, and raised and lowered back, on random
weights and inputs, and the results are compared.

Sums are formed in another order at most, so f32 results agree to 2e-5 of the
largest one (six digits are printed); f16 and bf16 ones to a few units in the
last place, as the layer rounds once where the original may round each term.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from raising import check_raising

# Input shapes of functions whose types do not tell them.
SHAPES = {"@partly_dynamic_types": [[4, 8], [4, 12]]}


def modules(folder):
    for path in sorted((folder / "samples").glob("*.mlir")):
        yield path.name, path.read_text()
    for name in ["example.mlir", "spellings.mlir", "convolutions.mlir"]:
        for text in re.split(r"^// -----$", (folder / name).read_text(),
                             flags=re.M):
            yield name, text


def main():
    separator = sys.argv.index("--")
    folder, opt = pathlib.Path(sys.argv[1]), sys.argv[separator + 1:]
    checked = 0
    for file, text in modules(folder):
        shapes = next((s for name, s in SHAPES.items() if f"{name}(" in text),
                      None)
        check_raising(opt, file, text, shapes)
        checked += 1
    if checked < 60:
        sys.exit("fewer functions than the tests hold")


main()
