//===- GblrNorm.h - Half-steps for GBLR in a weighted norm ------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_LIB_FACTORIZATION_GBLRNORM_H
#define STRUCTURED_LIB_FACTORIZATION_GBLRNORM_H

#include "GblrIntervals.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace structured::gblr {

/// The norm ‖A·C^½‖_F of m × n matrices, C positive definite. The best row
/// vector v on the columns J for a target t = C·(what v is to be), the vector
/// that lowers the squared error most, is v = C_JJ⁻¹·t_J, by tᵀ_J·C_JJ⁻¹·t_J.
///
/// For intervals of at most `kMaxShort` columns that is searched exactly: the
/// Cholesky factor of C on the first interval of a start has those of all
/// shorter ones in it, and forward substitution by it yields their gains as
/// running sums. Starts lie on a grid, so that there are at most about 400.
class Norm {
public:
  static constexpr int64_t kMaxShort = 64;

  Norm(std::vector<float> moments, int64_t n);

  const float *getMoments() const { return moments.data(); }
  float getDiagonal(int64_t col) const { return moments[col * n + col]; }

  /// C·v, [n], for v on the columns.
  void multiply(Interval cols, const std::vector<float> &v,
                std::vector<float> &result) const;

  /// A·C, [m, n], for A [m, n].
  void multiply(const std::vector<float> &matrix,
                std::vector<float> &result) const;

  /// vᵀ·C·v.
  double getSquaredNorm(Interval cols, const std::vector<float> &v) const;

  /// C_JJ⁻¹·t for t on the columns J in place of t; returns the gain
  /// tᵀ·C_JJ⁻¹·t.
  double solve(Interval cols, std::vector<float> &target) const;

  /// The interval J with the largest gain(J) − price·|J|, `minSize` to
  /// `maxSize` columns long, for the target t [n]. Tried are `current`, if it is
  /// not empty; unless that is long and the search nearby, the intervals of at
  /// most `kMaxShort` columns that start on the grid, close to its start or
  /// anywhere; and anywhere, if there is a `current`, the matrix's halves,
  /// quarters, … Empty if there is none of positive value.
  Interval findBestInterval(const std::vector<float> &target, Interval current,
                            bool anywhere, double price, int64_t minSize,
                            int64_t maxSize) const;

private:
  bool isShort(Interval cols) const {
    return cols.size <= length && cols.start % stride == 0;
  }
  /// The lower Cholesky factor of C on `length` columns from a start on the
  /// grid: column j's elements below the diagonal, and the reciprocals of the
  /// diagonal's.
  const float *getShortFactor(int64_t start) const {
    return shortFactors.data() + start / stride * shortSize;
  }
  /// C on the columns.
  std::vector<float> extract(Interval cols) const;
  /// The upper Cholesky factor of C on the columns, [size, size].
  std::shared_ptr<const std::vector<float>> getFactor(Interval cols) const;

  int64_t n, length, stride, shortSize;
  std::vector<float> moments;
  std::vector<float> shortFactors;
  /// Of long intervals; whatever is in it, the results are the same.
  struct Cache {
    std::map<std::array<int64_t, 2>, std::shared_ptr<const std::vector<float>>>
        factors;
    int64_t size = 0;
  };
  std::unique_ptr<Cache> cache = std::make_unique<Cache>();
};

} // namespace structured::gblr

#endif // STRUCTURED_LIB_FACTORIZATION_GBLRNORM_H
