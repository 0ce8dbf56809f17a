//===- InputMoments.cpp - Second moments of a layer's inputs --------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/InputMoments.h"

#include "LinearAlgebra.h"
#include "NormWeight.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace structured;

int64_t structured::getMinSamples(int64_t n) { return (n + 3) / 4; }

Result<void> structured::checkInputMoments(const InputMoments &moments,
                                           int64_t n) {
  MatrixRef c = moments.matrix;
  auto fail = [](const std::string &reason) {
    return Error{"second moments of the inputs: " + reason};
  };
  if (c.rows != n || c.cols != n)
    return fail("the matrix is " + std::to_string(c.rows) + " x " +
                std::to_string(c.cols) + ", not " + std::to_string(n) + " x " +
                std::to_string(n));
  if (moments.numSamples < getMinSamples(n))
    return fail(std::to_string(moments.numSamples) + " samples are too few; " +
                std::to_string(n) + " input features take at least " +
                std::to_string(getMinSamples(n)));
  if (Result<void> checked = checkMatrix(c, 1, 1); !checked)
    return fail(checked.error());
  bool isZero = true;
  for (int64_t i = 0; i < n; ++i) {
    if (c.data[i * n + i] < 0)
      return fail("the diagonal element " + std::to_string(i) + " is negative");
    isZero = isZero && c.data[i * n + i] == 0;
  }
  if (isZero)
    return fail("the matrix is zero");
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < i; ++j) {
      double scale =
          std::sqrt(static_cast<double>(c.data[i * n + i]) * c.data[j * n + j]);
      double difference =
          static_cast<double>(c.data[i * n + j]) - c.data[j * n + i];
      if (std::fabs(difference) > 1e-3 * scale)
        return fail("the matrix is not symmetric at row " + std::to_string(i) +
                    ", column " + std::to_string(j));
    }
  return {};
}

double structured::getOutputError(MatrixRef reference,
                                  const float *approximation,
                                  MatrixRef moments) {
  // Rows at a time, so that the products stay small.
  constexpr int64_t chunk = 64;
  int64_t n = reference.cols;
  int64_t numChunks = (reference.rows + chunk - 1) / chunk;
  std::vector<double> squared(numChunks), total(numChunks);
  SingleThreadedBlas singleThreaded;
#pragma omp parallel
  {
    std::vector<float> difference(chunk * n), product(chunk * n);
#pragma omp for schedule(dynamic)
    for (int64_t index = 0; index < numChunks; ++index) {
      int64_t first = index * chunk;
      int64_t rows = std::min(chunk, reference.rows - first);
      const float *weight = reference.data + first * n;
      auto getSquaredNorm = [&](const float *matrix) {
        multiply(rows, n, n, 1, {matrix, n}, {moments.data, n}, 0,
                 product.data(), n);
        return dot(product.data(), matrix, rows * n);
      };
      for (int64_t i = 0; i < rows * n; ++i)
        difference[i] = weight[i] - approximation[first * n + i];
      squared[index] = getSquaredNorm(difference.data());
      total[index] = getSquaredNorm(weight);
    }
  }
  double squaredSum = 0, totalSum = 0;
  for (int64_t index = 0; index < numChunks; ++index) {
    squaredSum += squared[index];
    totalSum += total[index];
  }
  // Rounding may take a vanishing error below zero.
  if (squaredSum <= 0)
    return 0;
  return totalSum > 0 ? std::sqrt(squaredSum / totalSum)
                      : std::numeric_limits<double>::infinity();
}

Result<void> structured::checkDamping(double damping) {
  if (!(damping >= 0) || !std::isfinite(damping))
    return Error{"the damping must be a number of at least 0, not " +
                 std::to_string(damping)};
  return {};
}

Result<NormWeight>
structured::getNormWeight(const std::optional<InputMoments> &inputMoments,
                          double damping) {
  NormWeight norm;
  if (!inputMoments)
    return norm;
  MatrixRef matrix = inputMoments->matrix;
  int64_t n = matrix.rows;
  double meanDiagonal = 0;
  for (int64_t i = 0; i < n; ++i)
    meanDiagonal += matrix.data[i * n + i];
  meanDiagonal /= static_cast<double>(n);
  norm.moments.resize(n * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      norm.moments[i * n + j] =
          0.5f * (matrix.data[i * n + j] + matrix.data[j * n + i]);
  for (int64_t i = 0; i < n; ++i)
    norm.moments[i * n + i] += static_cast<float>(damping * meanDiagonal);
  norm.whitening = norm.moments;
  if (!factorizePositiveDefinite(norm.whitening.data(), n))
    return Error{"second moments of the inputs: the matrix is not positive "
                 "definite with a damping of " +
                 std::to_string(damping)};
  for (int64_t i = 0; i < n; ++i)
    std::fill_n(norm.whitening.begin() + i * n, i, 0.0f);
  return norm;
}
