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

/// The converse: picks the choices so that the losses sum to at most `maxLoss`
/// and the costs to little. From the choices of the least loss, the step back
/// along a hull that saves most cost per loss and still fits is taken, over and
/// over; the result is optimal among hull points for the loss that it has, with
/// the same reservation.
///
/// Errors: those of the choices above; a bound that is negative, no number, or
/// below the sum of the least losses.
Result<std::vector<size_t>>
allocateLoss(const std::vector<std::vector<Choice>> &layers, double maxLoss);

/// An error curve through few measured points, as a function of a cost (of
/// parameters, say): the squared error between points is interpolated
/// log-linearly, as errors fall about exponentially with it, from 1 at cost 0.
/// Errors are made to fall monotonically; below 1e-12 they count as that.
class ErrorCurve {
public:
  /// Adds a measured relative error; costs must ascend from 1.
  void add(int64_t cost, double relativeError);

  /// The squared error at a cost up to the largest added.
  double getSquaredError(int64_t cost) const;

  int64_t getLargestCost() const { return points.back().cost; }

private:
  struct Point {
    int64_t cost;
    double logSquaredError;
  };
  std::vector<Point> points{{0, 0}};
};

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_ALLOCATION_H
