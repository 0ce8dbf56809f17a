# REQUIRES: python-numpy
# RUN: %python %s
"""Rank correlation, errors and timings."""

import unittest

import numpy as np

from structured.evaluation import (cosines, max_error, ranks, relative_error,
                                   spearman, time_interleaved)


class Evaluation(unittest.TestCase):
    def test_ranks_share_ties(self):
        self.assertEqual(ranks(np.array([10, 30, 20, 30, 5])).tolist(), [2, 4.5, 3, 4.5, 1])

    def test_spearman(self):
        a = np.array([1.0, 2, 3, 4, 5])
        self.assertAlmostEqual(spearman(a, np.exp(a)), 1)
        self.assertAlmostEqual(spearman(a, -a**3), -1)
        # 1 - 6 * sum(d^2) / (n (n^2 - 1)), d = (1, -1, 0, 1, -1).
        self.assertAlmostEqual(spearman(a, np.array([2, 1, 3, 6, 4])),
                               1 - 6 * (1 + 1 + 0 + 1 + 1) / 120)
        self.assertTrue(np.isnan(spearman(a, np.ones(5))))

    def test_errors(self):
        a, b = np.array([[3.0, 4], [1, 0]]), np.array([[4.0, 3], [0, 2]])
        np.testing.assert_allclose(cosines(a, b), [24 / 25, 0])
        self.assertEqual(max_error(a, b), 2)
        self.assertAlmostEqual(relative_error(a, b), np.sqrt(7 / 29))
        self.assertTrue(np.isnan(max_error(np.array([np.nan]), np.zeros(1))))

    def test_interleaved(self):
        calls = []
        timings = time_interleaved({"a": lambda: calls.append("a"),
                                    "b": lambda: calls.append("b")}, 5, per_turn=3, pause=0)
        self.assertEqual("".join(calls), "aaaabbbb" + "aaabbb")
        self.assertLessEqual(timings["a"].minimum, timings["a"].median)


unittest.main()
