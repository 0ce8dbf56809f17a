//===- GblrSolution.h - A sum of rank-1 units -------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_LIB_FACTORIZATION_GBLRSOLUTION_H
#define STRUCTURED_LIB_FACTORIZATION_GBLRSOLUTION_H

#include "GblrIntervals.h"
#include "GblrNorm.h"
#include "LinearAlgebra.h"
#include "Structured/Factorization/Gblr.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace structured::gblr {

/// 0 … count − 1 in order of falling `getValue(index)`, ties in order of index.
template <typename GetValue>
std::vector<size_t> orderByFalling(size_t count, GetValue getValue) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    auto valueA = getValue(a), valueB = getValue(b);
    return valueA != valueB ? valueA > valueB : a < b;
  });
  return order;
}

/// The fewest parameters that a component can have.
int64_t getSmallestComponent(MatrixRef weight, const GblrOptions &options);

/// The largest rank of a component on a tile of rows × cols: it costs no more
/// than the tile as strips.
int64_t getLargestRank(int64_t rows, int64_t cols);

/// The rank-1 matrix u·vᵀ on an interval of rows and one of columns.
struct Unit {
  Interval rows, cols;
  std::vector<float> u, v;
  /// By how much it lowered the squared error when it was last fitted.
  double gain = 0;

  int64_t getCost() const { return rows.size + cols.size; }
};

/// What becomes of the intervals of a unit that is fitted: they stay, their
/// ends move by one element, or they are the best in their neighbourhood or
/// anywhere.
enum class IntervalUpdate { None, MoveEnds, Nearby, Anywhere };

/// A sum of units and the residual that it leaves. Losses and gains are squares
/// of `norm`, of the Frobenius norm if it is null.
class Solution {
public:
  Solution(MatrixRef weight, const GblrOptions &options,
           const Norm *norm = nullptr)
      : weight(weight), norm(norm), budget(options.budget),
        smallest(getSmallestComponent(weight, options)),
        residual(weight.data, weight.data + weight.rows * weight.cols) {
    updateGradient();
  }

  int64_t getRemaining() const { return budget - parameters; }
  bool isFull() const { return getRemaining() < smallest; }
  double getLoss() const {
    return dot(residual.data(), getGradient().data(),
               static_cast<int64_t>(residual.size()));
  }

  void add(Unit unit) {
    applyToResidual(unit, -1);
    parameters += unit.getCost();
    units.push_back(std::move(unit));
  }

  /// Fits every unit in turn. Those that do not pay are dropped, unless the
  /// intervals stay.
  void refit(double price, IntervalUpdate update);

  /// Improves all u at once and all v at once in turn, the intervals fixed,
  /// each by conjugate gradients, preconditioned, and extrapolated as BLAST's
  /// factors are. In a weighted norm units that do not overlap are coupled too,
  /// and fitting one after the other converges slowly.
  void solveJointly(int64_t rounds);

  /// Adds units of positive score; the number of those added.
  int64_t pursue(double price);

  /// Pursues at falling prices until the budget is full, the residual is at
  /// most `target` or the price is below `lowestPrice`. The last price.
  double fill(double price, double lowestPrice, double target);

  /// Adds, while the budget lasts, leading singular pairs of the residual cut
  /// to the longest runs of energies above `threshold` times their mean.
  void addEnergyRuns(double threshold);

  /// Replaces groups of units of the same intervals that cost more than their
  /// tile as strips by the strips. True if there were any.
  bool cutExpensiveTiles();

  /// The lowest gain per parameter.
  double getMarginalPrice() const;

  GblrFactors getFactors() const;

  std::vector<Unit> units;

private:
  /// residual += sign · unit.
  void applyToResidual(const Unit &unit, float sign);

  /// residual · C, or the residual in the Frobenius norm: minus half of the
  /// loss's derivative by Ŵ.
  const std::vector<float> &getGradient() const {
    return norm ? gradient : residual;
  }
  void updateGradient();
  /// The residual anew, without what rounding has summed up to.
  void updateResidual();

  /// gradient · v on the unit's columns, for the given rows, and zeros for the
  /// others; gradientᵀ · u on its rows, for the given columns.
  void multiplyRows(const Unit &unit, Interval rows,
                    std::vector<float> &result) const;
  void multiplyCols(const Unit &unit, Interval cols,
                    std::vector<float> &result) const;

  /// Improves a unit that is not part of the residual by half-steps from its v.
  /// False if it vanishes or its score is not positive.
  bool fit(Unit &unit, double price, int64_t maxCost, int64_t steps,
           IntervalUpdate update) const;

  /// The values on the columns that lower the loss most for a target
  /// (a row of the gradient, or a sum of rows) on them, and by how much.
  double solveCols(Interval cols, std::vector<float> &target) const;

  /// Scales v to norm 1; false if it is zero.
  bool normalizeCols(Unit &unit) const;

  /// Of one factor of all units, u or v.
  void solveJointly(std::vector<float> Unit::*factor, int64_t steps);

  /// Starts of `pursue`: v of the leading pair of a window; the best run of a
  /// row, of a column, which is empty if none pays.
  Unit seedWindow(Interval rows, Interval cols) const;
  Unit seedRow(int64_t row, double price) const;
  Unit seedCol(int64_t col, double price) const;
  std::vector<Unit> findCandidates(double price) const;

  MatrixRef weight;
  const Norm *norm;
  int64_t budget, smallest;
  int64_t parameters = 0;
  std::vector<float> residual;
  std::vector<float> gradient; ///< residual · C; empty without a norm
};

} // namespace structured::gblr

#endif // STRUCTURED_LIB_FACTORIZATION_GBLRSOLUTION_H
