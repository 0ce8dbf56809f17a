//===- Allocation.h - A budget shared among layers --------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_ALLOCATION_H
#define STRUCTURED_FACTORIZATION_ALLOCATION_H

#include "Structured/Weights/Result.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace structured {

/// Something a layer may become: what it costs (parameters, or multiply-adds)
/// and what it loses (a squared error, say).
struct Choice {
  int64_t cost;
  double loss;
};

/// Picks one choice of each layer, by its index, so that the costs sum to at
/// most `budget` and the losses to little.
///
/// Of each layer only the choices on the lower convex hull of loss over cost
/// are taken. From the cheapest ones, the step along a hull that saves most
/// loss per cost and still fits is taken, over and over (Shoham and Gersho,
/// "Efficient bit allocation for an arbitrary set of quantizers", 1988). The
/// result is optimal among hull points for the cost that it uses, unless steps
/// were left out at the end because they did not fit.
///
/// Errors: a layer without choices, a negative cost, a loss that is negative or
/// no number, a budget below the sum of the cheapest choices.
Result<std::vector<size_t>>
allocateBudget(const std::vector<std::vector<Choice>> &layers, int64_t budget);

/// An error curve through few measured points, as a function of rank: the
/// squared error between points is interpolated log-linearly, as errors fall
/// about exponentially with rank, from 1 at rank 0. Errors are made to fall
/// monotonically; below 1e-12 they count as that.
class ErrorCurve {
public:
  /// Adds a measured relative error; ranks must ascend from 1.
  void add(int64_t rank, double relativeError);

  /// The squared error at a rank up to the largest added.
  double getSquaredError(int64_t rank) const;

  int64_t getLargestRank() const { return points.back().rank; }

private:
  struct Point {
    int64_t rank;
    double logSquaredError;
  };
  std::vector<Point> points{{0, 0}};
};

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_ALLOCATION_H
