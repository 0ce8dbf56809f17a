# REQUIRES: python-numpy
# RUN: %python %s
"""Tables and totals of the compression report."""

import unittest

from structured import report

LAYERS = [
    {"layer": "a", "shape": [8, 4], "structure": "blast", "b_out": 2, "b_in": 1, "rank": 1,
     "parameters": 14, "dense_parameters": 32, "multiply_adds": 14,
     "paper_multiply_adds": 14,
     "relative_error": 0.25, "seconds": 1.0, "decision": "kept", "reason": ""},
    {"layer": "b", "shape": [2, 4], "structure": "dense", "parameters": 8,
     "dense_parameters": 8, "multiply_adds": 8, "paper_multiply_adds": 8, "relative_error": 0.0,
     "decision": "dense", "reason": "fewer than 10 parameters"},
]
GBLR = {"layer": "g", "shape": [8, 4], "structure": "gblr", "budget": 20, "components": 3,
        "rank": 4, "parameters": 20, "dense_parameters": 32, "multiply_adds": 20,
        "paper_multiply_adds": 16, "relative_error": 0.125, "decision": "kept", "reason": ""}


class Report(unittest.TestCase):
    def test_totals(self):
        sums = report.totals(LAYERS, 100)
        self.assertEqual(sums, {
            "linear_layers": 2, "factorized_layers": 1,
            "linear_parameters_dense": 40, "linear_parameters": 22,
            "model_parameters_dense": 100, "model_parameters": 82,
            "multiply_adds_dense": 40, "multiply_adds": 22,
            "paper_multiply_adds_dense": 40, "paper_multiply_adds": 22})
        dense = report.dense_totals(sums)
        self.assertEqual((dense["linear_parameters"], dense["model_parameters"],
                          dense["multiply_adds"], dense["factorized_layers"]), (40, 100, 40, 0))

    def test_shared_weight_counts_once(self):
        sums = report.totals([*LAYERS, LAYERS[0] | {"layer": "a#2"}], 100)
        self.assertEqual((sums["linear_layers"], sums["linear_parameters_dense"],
                          sums["linear_parameters"], sums["model_parameters"],
                          sums["multiply_adds"]), (3, 40, 22, 82, 36))

    def test_mixed_structures(self):
        sums = report.totals([*LAYERS, GBLR], 100)
        self.assertEqual((sums["linear_parameters"], sums["multiply_adds"],
                          sums["paper_multiply_adds"], sums["factorized_layers"]),
                         (42, 42, 38, 2))
        # A weight with two budgets has two sets of factors, with one budget one.
        for budget, parameters in ((20, 20), (16, 40)):
            other = GBLR | {"layer": "g#2", "budget": budget}
            self.assertEqual(report.totals([GBLR, other], 100)["linear_parameters"], parameters)

    def test_tokens(self):
        tokens = [layer | {"tokens": count} for layer, count in zip([*LAYERS, GBLR], (10, 1, 2))]
        sums = report.totals(tokens, 100)
        self.assertEqual((sums["call_multiply_adds"], sums["call_multiply_adds_dense"]),
                         (10 * 14 + 8 + 2 * 20, 10 * 32 + 8 + 2 * 32))
        self.assertIn("| linear multiply-adds per call  |", report.totals_table(sums))
        self.assertEqual(report.dense_totals(sums)["call_multiply_adds"], 392)
        self.assertNotIn("call_multiply_adds", report.totals([*tokens, LAYERS[0]], 100))

    def test_layer_table(self):
        rows = [[cell.strip() for cell in line.strip("| ").split("|")]
                for line in report.layer_table([*LAYERS, GBLR]).splitlines()[2:]]
        self.assertEqual(rows, [
            ["a", "8×4", "blast 2×1", "1", "14", "43.8 %", "14", "43.8 %", "0.2500", "kept"],
            ["b", "2×4", "dense", "", "8", "100.0 %", "8", "100.0 %", "",
             "dense: fewer than 10 parameters"],
            ["g", "8×4", "gblr 3 components", "4", "20", "62.5 %", "20", "50.0 %", "0.1250",
             "kept"]])

    def test_table_aligns(self):
        self.assertEqual(report.table(["name", "n"], [["x", "1,200"], ["long name", "3"]]),
                         "| name      |     n |\n"
                         "| --------- | ----: |\n"
                         "| x         | 1,200 |\n"
                         "| long name |     3 |")


unittest.main()
