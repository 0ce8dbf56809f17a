# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A module whose entries update their inputs, and what they should do to them."""

import numpy as np

LENGTH, TOKENS, HEADS, HEAD = 19, 3, 2, 8
CACHE = f"tensor<{LENGTH}x{HEADS}x{HEAD}xf32>"
NEW = f"tensor<{TOKENS}x{HEADS}x{HEAD}xf32>"
HALVES = f"tensor<{TOKENS}x{HEADS}x2x{HEAD // 2}xf32>"
MAP = "affine_map<(a, b, c, d) -> (a, b, c, d)>"
PLACE = f"""
  %zero = arith.constant 0 : index
  %largest = arith.constant {LENGTH - TOKENS} : index
  %first = tensor.extract %position[%zero] : tensor<1xi64>
  %given = arith.index_cast %first : i64 to index
  %at_least = arith.maxsi %given, %zero : index
  %place = arith.minsi %at_least, %largest : index"""
INSERT = (f"tensor.insert_slice %new into %cache[%place, 0, 0] [{TOKENS}, {HEADS}, {HEAD}] "
          f"[1, 1, 1] : {NEW} into {CACHE}")

MLIR = f"""
// The tokens' rows take the place of others.
func.func @insert(%new: {NEW}, %position: tensor<1xi64>, %cache: {CACHE} {{structured.updated_by = 0 : i64}})
    -> {CACHE} {{{PLACE}
  %r = {INSERT}
  return %r : {CACHE}
}}

// They are computed there, by an op with other dimensions; then the position is advanced.
func.func @compute(%x: {HALVES}, %position: tensor<1xi64> {{structured.updated_by = 1 : i64}},
                   %cache: {CACHE} {{structured.updated_by = 0 : i64}}) -> ({CACHE}, tensor<1xi64>) {{
  %e = tensor.empty() : {HALVES}
  %y = linalg.generic {{indexing_maps = [{MAP}, {MAP}],
                        iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
      ins(%x : {HALVES}) outs(%e : {HALVES}) {{
  ^bb0(%a: f32, %out: f32):
    %half = linalg.index 2 : index
    %i = arith.index_cast %half : index to i64
    %f = arith.sitofp %i : i64 to f32
    %s = arith.subf %f, %a : f32
    linalg.yield %s : f32
  }} -> {HALVES}
  %new = tensor.collapse_shape %y [[0], [1], [2, 3]] : {HALVES} into {NEW}{PLACE}
  %r = {INSERT}
  %tokens = arith.constant dense<{TOKENS}> : tensor<1xi64>
  %next = linalg.add ins(%position, %tokens : tensor<1xi64>, tensor<1xi64>)
      outs(%position : tensor<1xi64>) -> tensor<1xi64>
  return %r, %next : {CACHE}, tensor<1xi64>
}}

// What was there is needed after that, and is returned, too.
func.func @keep(%new: {NEW}, %position: tensor<1xi64>, %cache: {CACHE} {{structured.updated_by = 1 : i64}})
    -> ({CACHE}, {CACHE}, {CACHE}, {CACHE}) {{{PLACE}
  %r = {INSERT}
  %e = tensor.empty() : {CACHE}
  %d = linalg.sub ins(%r, %cache : {CACHE}, {CACHE}) outs(%e : {CACHE}) -> {CACHE}
  return %cache, %r, %r, %d : {CACHE}, {CACHE}, {CACHE}, {CACHE}
}}

func.func @swap(%a: {NEW} {{structured.updated_by = 0 : i64}}, %b: {NEW} {{structured.updated_by = 1 : i64}})
    -> ({NEW}, {NEW}) {{
  return %b, %a : {NEW}, {NEW}
}}

// Every element is read and written.
func.func @add(%a: {NEW} {{structured.updated_by = 0 : i64}}, %b: {NEW}) -> {NEW} {{
  %r = linalg.add ins(%a, %b : {NEW}, {NEW}) outs(%a : {NEW}) -> {NEW}
  return %r : {NEW}
}}

func.func @unchanged(%a: {NEW} {{structured.updated_by = 1 : i64}}) -> (tensor<f32>, {NEW}) {{
  %one = arith.constant dense<1.0> : tensor<f32>
  return %one, %a : tensor<f32>, {NEW}
}}
"""


def check(module):
    """Runs the entries of the compiled MLIR, a structured.runtime.Module, on arrays."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
    for position in (0, 7, LENGTH - TOKENS, -5, LENGTH):
        place = min(max(position, 0), LENGTH - TOKENS)
        rows = slice(place, place + TOKENS)
        new, old = normal(TOKENS, HEADS, HEAD), normal(LENGTH, HEADS, HEAD)
        expected = old.copy()
        expected[rows] = new

        cache = old.copy()
        result, = module(new, np.array([position]), cache, entry="insert")
        assert result is cache
        np.testing.assert_array_equal(cache, expected)

        cache = old.copy()
        was, result, copy, difference = module(new, np.array([position]), cache, entry="keep")
        assert result is cache and not np.shares_memory(copy, cache)
        for array, reference in ((was, old), (cache, expected), (copy, expected),
                                 (difference, expected - old)):
            np.testing.assert_array_equal(array, reference)

        x, cache, at = normal(TOKENS, HEADS, 2, HEAD // 2), old.copy(), np.array([position])
        result, advanced = module(x, at, cache, entry="compute")
        assert result is cache and advanced is at and at == [position + TOKENS]
        expected[rows] = (np.arange(2, dtype=np.float32)[:, None] - x).reshape(new.shape)
        np.testing.assert_array_equal(cache, expected)

    a, b = normal(TOKENS, HEADS, HEAD), normal(TOKENS, HEADS, HEAD)
    old_a, old_b = a.copy(), b.copy()
    first, second = module(a, b, entry="swap")
    assert first is a and second is b
    np.testing.assert_array_equal(a, old_b)
    np.testing.assert_array_equal(b, old_a)
    for times in range(1, 3):
        module(a, b, entry="add")
        expected = old_b + old_a if times == 1 else expected + old_a
        np.testing.assert_array_equal(a, expected)
    np.testing.assert_array_equal(b, old_a)
    one, same = module(a, entry="unchanged")
    assert one == 1 and same is a
    np.testing.assert_array_equal(a, expected)
