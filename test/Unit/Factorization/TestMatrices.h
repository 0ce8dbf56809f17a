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
#include "Structured/Factorization/Gblr.h"
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

/// Second moments of `samples` inputs whose features are correlated and of
/// scales from 1 to 10.
inline TestMatrix makeMoments(int64_t n, int64_t samples, uint64_t seed) {
  TestMatrix mixing = makeNormalMatrix(n, n, seed),
             source = makeNormalMatrix(samples, n, seed + 1);
  TestMatrix moments{n, n, std::vector<float>(n * n)};
  std::vector<double> sums(n * n), x(n);
  for (int64_t t = 0; t < samples; ++t) {
    for (int64_t i = 0; i < n; ++i) {
      x[i] = source.values[t * n + i];
      for (int64_t k = 0; k < i; k += 3)
        x[i] += 0.3 * mixing.values[i * n + k] * source.values[t * n + k];
      x[i] *= 1 + static_cast<double>(9 * i) / static_cast<double>(n);
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        sums[i * n + j] += x[i] * x[j];
  }
  for (int64_t i = 0; i < n * n; ++i)
    moments.values[i] =
        static_cast<float>(sums[i] / static_cast<double>(samples));
  return moments;
}

/// ‖(W − Ŵ) C^½‖_F / ‖W C^½‖_F by the definition, with C damped.
inline double getWeightedError(const TestMatrix &weight,
                               const std::vector<float> &approximation,
                               const TestMatrix &moments, double damping) {
  int64_t n = weight.cols;
  double mean = 0;
  for (int64_t i = 0; i < n; ++i)
    mean += moments.values[i * n + i] / static_cast<double>(n);
  auto getLoss = [&](auto getElement) {
    double loss = 0;
    for (int64_t row = 0; row < weight.rows; ++row)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          loss += getElement(row, i) * getElement(row, j) *
                  (moments.values[i * n + j] + (i == j ? damping * mean : 0));
    return loss;
  };
  double squared = getLoss([&](int64_t row, int64_t col) {
    return static_cast<double>(weight.values[row * n + col]) -
           approximation[row * n + col];
  });
  double total = getLoss([&](int64_t row, int64_t col) {
    return static_cast<double>(weight.values[row * n + col]);
  });
  return std::sqrt(squared / total);
}

/// Random factors with the given components.
inline GblrFactors makeGblr(int64_t m, int64_t n,
                            std::vector<GblrComponent> components,
                            uint64_t seed) {
  NormalGenerator normal(seed);
  GblrFactors factors;
  factors.m = m;
  factors.n = n;
  factors.components = std::move(components);
  for (const GblrComponent &c : factors.components) {
    for (float value : makeNormal(c.rank * c.rows, normal))
      factors.u.push_back(value);
    for (float value : makeNormal(c.rank * c.cols, normal))
      factors.v.push_back(value);
  }
  return factors;
}

} // namespace structured

#endif // STRUCTURED_TEST_UNIT_FACTORIZATION_TESTMATRICES_H
