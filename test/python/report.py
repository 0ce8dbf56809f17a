# REQUIRES: python-numpy
# RUN: %python %s
"""Tables and totals of the compression report."""

import unittest

from structured import report

LAYERS = [
    {"layer": "a", "shape": [8, 4], "structure": "blast", "b_out": 2, "b_in": 1, "rank": 1,
     "parameters": 14, "dense_parameters": 32, "multiply_adds": 14,
     "relative_error": 0.25, "seconds": 1.0, "decision": "kept", "reason": ""},
    {"layer": "b", "shape": [2, 4], "structure": "dense", "parameters": 8,
     "dense_parameters": 8, "multiply_adds": 8, "relative_error": 0.0,
     "decision": "dense", "reason": "fewer than 10 parameters"},
]


class Report(unittest.TestCase):
    def test_totals(self):
        sums = report.totals(LAYERS, 100)
        self.assertEqual(sums, {
            "linear_layers": 2, "factorized_layers": 1,
            "linear_parameters_dense": 40, "linear_parameters": 22,
            "model_parameters_dense": 100, "model_parameters": 82,
            "multiply_adds_dense": 40, "multiply_adds": 22})
        dense = report.dense_totals(sums)
        self.assertEqual((dense["linear_parameters"], dense["model_parameters"],
                          dense["multiply_adds"], dense["factorized_layers"]), (40, 100, 40, 0))

    def test_shared_weight_counts_once(self):
        sums = report.totals([*LAYERS, LAYERS[0] | {"layer": "a#2"}], 100)
        self.assertEqual((sums["linear_layers"], sums["linear_parameters_dense"],
                          sums["linear_parameters"], sums["model_parameters"],
                          sums["multiply_adds"]), (3, 40, 22, 82, 36))

    def test_layer_table(self):
        self.assertEqual(report.layer_table(LAYERS).splitlines()[2:], [
            "| a     | 8×4   | blast 2×1 |    1 |         14 |            14 |         0.2500"
            " | kept                            |",
            "| b     | 2×4   | dense     |      |          8 |             8 |               "
            " | dense: fewer than 10 parameters |"])

    def test_table_aligns(self):
        self.assertEqual(report.table(["name", "n"], [["x", "1,200"], ["long name", "3"]]),
                         "| name      |     n |\n"
                         "| --------- | ----: |\n"
                         "| x         | 1,200 |\n"
                         "| long name |     3 |")


unittest.main()
