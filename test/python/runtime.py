# REQUIRES: python-numpy
# RUN: clang -shared -fPIC -O1 %S/Inputs/module.c -o %t.so
# RUN: %python %s %t.so
"""The binding to the runtime, on a module written by hand."""

import sys
import unittest
from pathlib import Path

import numpy as np

from structured import runtime
from structured.errors import StructuredError

PATH = Path(sys.argv.pop())


class Runtime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.module = runtime.Module.load(PATH)
        cls.x = np.arange(6, dtype=np.float32).reshape(3, 2)
        cls.mask = np.array([[True, False], [False, False], [True, True]])

    def test_runs_by_position_and_by_name(self):
        n = np.int64(3)
        for scaled, flipped in (self.module(self.x, self.mask, n),
                                self.module(n=n, mask=self.mask, x=self.x),
                                self.module(self.x, n=n, mask=self.mask)):
            self.assertEqual((scaled.dtype, flipped.dtype), (np.float32, np.bool_))
            np.testing.assert_array_equal(scaled, 3 * self.x)
            np.testing.assert_array_equal(flipped, ~self.mask)

    def test_any_layout(self):
        columns = np.asfortranarray(self.x)
        scaled, _ = self.module(columns[::-1], self.mask, np.int64(2))
        np.testing.assert_array_equal(scaled, 2 * self.x[::-1])

    def test_empty(self):
        scaled, flipped = self.module(self.x[:0], self.mask[:0], np.int64(2))
        self.assertEqual((scaled.shape, flipped.shape), ((0, 2), (0, 2)))

    def test_half_precision_and_entries(self):
        x = np.array([1.5, -2], np.float16)
        y, = self.module(x, entry="half")
        np.testing.assert_array_equal(y, x[::-1])
        self.assertEqual(y.dtype, np.float16)
        self.assertEqual([e["name"] for e in self.module.info["entries"]], ["main", "half"])

    def test_outputs_outlive_the_module(self):
        module = runtime.Module.load(PATH)
        scaled, _ = module(self.x, self.mask, np.int64(1))
        del module
        np.testing.assert_array_equal(scaled, self.x)

    def test_threads(self):
        runtime.set_num_threads(2)
        self.assertEqual(runtime.get_num_threads(), 2)
        with self.assertRaises(StructuredError):
            runtime.set_num_threads(0)

    def check_fails(self, message, call):
        with self.assertRaisesRegex(StructuredError, message):
            call()

    def test_refuses(self):
        n, module = np.int64(1), self.module
        self.check_fails("mask", lambda: module(self.x, self.mask.astype(np.int8), n))
        self.check_fails("x", lambda: module(self.x.ravel(), self.mask, n))
        self.check_fails("takes the inputs x, mask, n; given 1 by position and by name: none",
                         lambda: module(self.x))
        self.check_fails("by name: x, mask", lambda: module(self.x, self.mask, x=n, mask=n))
        self.check_fails("nowhere", lambda: module(self.x, entry="nowhere"))
        self.check_fails("cannot pass an array of dtype complex64",
                         lambda: module(self.x.astype(np.complex64), self.mask, n))

    def test_load_refuses(self):
        self.check_fails("missing.so", lambda: runtime.Module.load("missing.so"))
        self.check_fails("runtime.py", lambda: runtime.Module.load(__file__))


unittest.main()
