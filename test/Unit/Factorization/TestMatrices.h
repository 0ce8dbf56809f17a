//===- TestMatrices.h - Matrices to factorise -----------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_TEST_UNIT_FACTORIZATION_TESTMATRICES_H
#define STRUCTURED_TEST_UNIT_FACTORIZATION_TESTMATRICES_H

#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/Random.h"

#include <cmath>
#include <cstdint>
#include <vector>

namespace structured {

struct TestMatrix {
  int64_t rows, cols;
  std::vector<float> values;
  MatrixRef ref() const { return {values.data(), rows, cols}; }
};

inline std::vector<float> makeNormal(size_t count, NormalGenerator &normal) {
  std::vector<float> values(count);
  for (float &value : values)
    value = normal();
  return values;
}

inline TestMatrix makeNormalMatrix(int64_t rows, int64_t cols, uint64_t seed) {
  NormalGenerator normal(seed);
  return {rows, cols, makeNormal(rows * cols, normal)};
}

/// Random BLAST factors.
inline BlastFactors makeFactors(int64_t bOut, int64_t bIn, int64_t p, int64_t q,
                                int64_t r, uint64_t seed) {
  NormalGenerator normal(seed);
  BlastFactors factors;
  factors.bOut = bOut;
  factors.bIn = bIn;
  factors.p = p;
  factors.q = q;
  factors.r = r;
  factors.u = makeNormal(bOut * p * r, normal);
  factors.s = makeNormal(bOut * bIn * r, normal);
  factors.vt = makeNormal(bIn * r * q, normal);
  return factors;
}

/// A matrix with orthogonal-ish factors and the slowly decaying spectrum
/// σ_k = (k + 1)^-0.5 of trained weights.
inline TestMatrix makeTrainedLike(int64_t rows, int64_t cols, uint64_t seed) {
  int64_t k = std::min(rows, cols);
  BlastFactors factors = makeFactors(1, 1, rows, cols, k, seed);
  for (int64_t i = 0; i < k; ++i)
    factors.s[i] = 1 / std::sqrt(static_cast<float>(i + 1));
  return {rows, cols, reconstruct(factors)};
}

/// The triple loop over the definition W_ij = U_i · diag(s_ij) · Vt_j.
inline std::vector<float> reconstructNaively(const BlastFactors &f) {
  std::vector<float> dense(f.getNumRows() * f.getNumCols());
  for (int64_t row = 0; row < f.getNumRows(); ++row)
    for (int64_t col = 0; col < f.getNumCols(); ++col) {
      int64_t i = row / f.p, j = col / f.q;
      double sum = 0;
      for (int64_t k = 0; k < f.r; ++k)
        sum += static_cast<double>(f.u[(i * f.p + row % f.p) * f.r + k]) *
               f.s[(i * f.bIn + j) * f.r + k] *
               f.vt[(j * f.r + k) * f.q + col % f.q];
      dense[row * f.getNumCols() + col] = static_cast<float>(sum);
    }
  return dense;
}

} // namespace structured

#endif // STRUCTURED_TEST_UNIT_FACTORIZATION_TESTMATRICES_H
