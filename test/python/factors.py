# REQUIRES: python-numpy
# RUN: %python %s %t.safetensors
"""BLAST factors back to dense weights, block by block."""

import sys
import unittest
from pathlib import Path

import numpy as np
import safetensors.numpy

from structured.errors import StructuredError
from structured.factors import blast_matrix, dense_weights

PATH = Path(sys.argv.pop())
B_OUT, B_IN, P, Q, R = 2, 3, 4, 5, 6


class Factors(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(0)
        self.u, self.s, self.vt = (random.standard_normal(shape) for shape in (
            (B_OUT, P, R), (B_OUT, B_IN, R), (B_IN, R, Q)))

    def test_blocks(self):
        w = blast_matrix(self.u, self.s, self.vt)
        self.assertEqual(w.shape, (B_OUT * P, B_IN * Q))
        for i in range(B_OUT):
            for j in range(B_IN):
                np.testing.assert_allclose(w[i * P:(i + 1) * P, j * Q:(j + 1) * Q],
                                           self.u[i] @ np.diag(self.s[i, j]) @ self.vt[j])

    def test_file(self):
        safetensors.numpy.save_file({"fc.U": self.u, "fc.S": self.s, "fc.Vt": self.vt}, PATH)
        weights = dense_weights(PATH)
        self.assertEqual(list(weights), ["fc.weight"])
        np.testing.assert_array_equal(weights["fc.weight"],
                                      blast_matrix(self.u, self.s, self.vt))
        safetensors.numpy.save_file({"fc.U": self.u}, PATH)
        with self.assertRaisesRegex(StructuredError, "not a file of BLAST factors: 'fc.S'"):
            dense_weights(PATH)


unittest.main()
