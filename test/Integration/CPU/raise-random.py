# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# RUN: %python %s 40 -- structured-opt

"""Raising recognises generated spellings of a layer and changes no numbers.

Each is a generic contraction of up to seven loops in random order: tokens
(some of dynamic size), output features and input features, any of which may
have size 1. The operands' dimensions stand in random order, the weight may be
the left operand, and lies behind a reshape and a generic that transposes it and
broadcasts it along some of the token dimensions. The first argument is the
number of spellings; the seeds are fixed.
"""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from raising import check_raising, tensor_type


def affine_map(loops, results):
    return f"affine_map<({', '.join(loops)}) -> ({', '.join(results)})>"


def iterators(kinds):
    return "[" + ", ".join(f'"{kind}"' for kind in kinds) + "]"


class Spelling:
    """One function @layer(x, y0) and the shapes to run it on."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.sizes, self.lines = {}, []
        tokens = self.loops("t", 0, 3, [1, 2, 3])
        outputs = self.loops("m", 0, 2, [1, 2, 3, 4])
        inputs = self.loops("n", 1, 2, [1, 2, 3, 4])
        self.dynamic = {t for t in tokens if self.rng.random() < 0.4}
        self.x = self.shuffled(tokens + inputs)
        self.y = self.shuffled(tokens + outputs)
        x_type, y_type = self.type(self.x), self.type(self.y)
        operands = [("%x", x_type, self.x),
                    self.weight(tokens, self.shuffled(outputs + inputs))]
        self.rng.shuffle(operands)
        loops = self.shuffled(tokens + outputs + inputs)
        maps = ", ".join(affine_map(loops, dims) for dims in
                         [operands[0][2], operands[1][2], self.y])
        kinds = ["reduction" if l in inputs else "parallel" for l in loops]
        self.lines.append(
            f"%y = linalg.generic {{indexing_maps = [{maps}], "
            f"iterator_types = {iterators(kinds)}}} "
            f"ins({operands[0][0]}, {operands[1][0]} : {operands[0][1]}, "
            f"{operands[1][1]}) outs(%y0 : {y_type}) {{\n"
            "^bb0(%a: f32, %b: f32, %c: f32):\n"
            "  %p = arith.mulf %a, %b : f32\n"
            "  %s = arith.addf %c, %p : f32\n"
            f"  linalg.yield %s : f32\n}} -> {y_type}")
        self.text = (f"func.func @layer(%x: {x_type}, %y0: {y_type}) -> {y_type}"
                     " {\n" + "\n".join(self.lines) +
                     f"\nreturn %y : {y_type}\n}}\n")
        self.shapes = [[self.sizes[d] for d in dims]
                       for dims in [self.x, self.y]]

    def loops(self, prefix, least, most, sizes):
        names = [f"{prefix}{i}" for i in range(self.rng.randint(least, most))]
        self.sizes.update((name, self.rng.choice(sizes)) for name in names)
        return names

    def shuffled(self, values):
        return self.rng.sample(values, len(values))

    def type(self, dims):
        return tensor_type(["?" if d in self.dynamic else self.sizes[d]
                            for d in dims], "f32")

    def weight(self, tokens, dims):
        """The weight's value, type and dimensions, moved from the parameter,
        whose dimensions are groups of the matrix's."""
        groups = []
        for dim in dims:
            if groups and self.rng.random() < 0.4:
                groups[-1].append(dim)
            else:
                groups.append([dim])
        stored = []
        for group in groups:
            stored.append(1)
            for dim in group:
                stored[-1] *= self.sizes[dim]
        stored_type, shape = tensor_type(stored, "f32"), self.type(dims)
        self.lines.append(f'%p0 = structured.parameter "w" : {stored_type}')
        value = "%p0"
        if stored_type != shape:
            self.lines.append(
                f"%p1 = tensor.expand_shape %p0 "
                f"{[[dims.index(d) for d in g] for g in groups]} output_shape "
                f"{[self.sizes[d] for d in dims]} : {stored_type} into {shape}")
            value = "%p1"
        moved = self.shuffled(
            dims + [t for t in tokens if self.rng.random() < 0.3])
        moved_type, extents = self.type(moved), []
        for dim in moved:
            if dim in self.dynamic:
                self.lines.append(
                    f"%i{dim} = arith.constant {self.x.index(dim)} : index\n"
                    f"%s{dim} = tensor.dim %x, %i{dim} : {self.type(self.x)}")
                extents.append(f"%s{dim}")
        self.lines.append(
            f"%e = tensor.empty({', '.join(extents)}) : {moved_type}\n"
            f"%w = linalg.generic {{indexing_maps = [{affine_map(moved, dims)}, "
            f"{affine_map(moved, moved)}], "
            f"iterator_types = {iterators(['parallel'] * len(moved))}}} "
            f"ins({value} : {shape}) outs(%e : {moved_type}) {{\n"
            "^bb0(%a: f32, %o: f32):\n  linalg.yield %a : f32\n"
            f"}} -> {moved_type}")
        return "%w", moved_type, moved


def main():
    separator = sys.argv.index("--")
    for seed in range(int(sys.argv[1])):
        spelling = Spelling(seed)
        check_raising(sys.argv[separator + 1:], f"seed {seed}", spelling.text,
                      spelling.shapes)


main()
