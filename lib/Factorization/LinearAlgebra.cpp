//===- LinearAlgebra.cpp - BLAS and LAPACK on row-major matrices
//-------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinearAlgebra.h"

#include <cblas.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <string>

using namespace structured;

// LAPACK's Fortran interface; OpenBLAS does not always come with LAPACKE.
extern "C" {
void spotrf_(const char *uplo, const int *n, float *a, const int *lda,
             int *info);
void spotrs_(const char *uplo, const int *n, const int *nrhs, const float *a,
             const int *lda, float *b, const int *ldb, int *info);
void sgesdd_(const char *jobz, const int *m, const int *n, float *a,
             const int *lda, float *s, float *u, const int *ldu, float *vt,
             const int *ldvt, float *work, const int *lwork, int *iwork,
             int *info);
}

/// BLAS takes sizes as int; `checkMatrix` has refused larger matrices.
static int toInt(int64_t size) {
  assert(size <= std::numeric_limits<int>::max() && "too large for BLAS");
  return static_cast<int>(size);
}

SingleThreadedBlas::SingleThreadedBlas()
    : previous(openblas_get_num_threads()) {
  openblas_set_num_threads(1);
}

SingleThreadedBlas::~SingleThreadedBlas() {
  openblas_set_num_threads(previous);
}

void structured::multiply(int64_t m, int64_t n, int64_t k, float alpha,
                          Operand a, Operand b, float beta, float *c,
                          int64_t strideC) {
  cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
              b.transposed ? CblasTrans : CblasNoTrans, toInt(m), toInt(n),
              toInt(k), alpha, a.data, toInt(a.stride), b.data, toInt(b.stride),
              beta, c, toInt(strideC));
}

void structured::multiplyVector(int64_t m, int64_t n, Operand a, const float *x,
                                float *y, bool accumulate) {
  cblas_sgemv(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
              toInt(a.transposed ? n : m), toInt(a.transposed ? m : n), 1,
              a.data, toInt(a.stride), x, 1, accumulate ? 1 : 0, y, 1);
}

bool structured::factorizePositiveDefinite(float *a, int64_t r) {
  // LAPACK is column-major: its lower triangle is our upper one.
  int size = toInt(r), info = 0;
  spotrf_("L", &size, a, &size, &info);
  // A NaN may pass as a pivot; it spreads to the last one.
  return info == 0 && std::isfinite(a[r * r - 1]);
}

void structured::solveFactorized(const float *factor, int64_t r, float *b,
                                 int64_t rows) {
  // LAPACK sees the transposes, A·Xᵀ = Bᵀ.
  int size = toInt(r), numRhs = toInt(rows), info = 0;
  spotrs_("L", &size, &numRhs, factor, &size, b, &size, &info);
  assert(info == 0 && "spotrs refuses only malformed arguments");
}

void structured::substitute(const float *factor, int64_t r, float *b,
                            bool backward) {
  cblas_strsv(CblasRowMajor, CblasUpper, backward ? CblasNoTrans : CblasTrans,
              CblasNonUnit, toInt(r), factor, toInt(r), b, 1);
}

void structured::solveTriangular(const float *factor, int64_t n, float *b,
                                 int64_t rows) {
  cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasTrans, CblasNonUnit,
              toInt(rows), toInt(n), 1, factor, toInt(n), b, toInt(n));
}

bool structured::solvePositiveDefinite(float *a, int64_t r, float *b,
                                       int64_t rows) {
  if (!factorizePositiveDefinite(a, r))
    return false;
  solveFactorized(a, r, b, rows);
  return true;
}

double structured::dot(const float *a, const float *b, int64_t count) {
  // Eight partial sums let the loop be vectorised without reassociation.
  constexpr int64_t lanes = 8;
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      sums[lane] += static_cast<double>(a[i + lane]) * b[i + lane];
  for (; i < count; ++i)
    sums[0] += static_cast<double>(a[i]) * b[i];
  double sum = 0;
  for (double partial : sums)
    sum += partial;
  return sum;
}

Result<Svd> structured::computeSvd(const float *data, int64_t stride,
                                   int64_t rows, int64_t cols) {
  int64_t k = std::min(rows, cols);
  std::vector<float> copy(rows * cols);
  for (int64_t i = 0; i < rows; ++i)
    std::copy_n(data + i * stride, cols, copy.data() + i * cols);
  Svd svd{std::vector<float>(rows * k), std::vector<float>(k),
          std::vector<float>(k * cols)};
  // LAPACK is column-major: it decomposes Aᵀ, whose left factor is our Vt and
  // whose right factor is our U.
  int m = toInt(cols), n = toInt(rows), size = toInt(k), info = 0;
  std::vector<int> integers(8 * k);
  float workSize = 0;
  int query = -1;
  sgesdd_("S", &m, &n, copy.data(), &m, svd.s.data(), svd.vt.data(), &m,
          svd.u.data(), &size, &workSize, &query, integers.data(), &info);
  // The size comes back as a float: allow for its rounding.
  auto numWork = static_cast<int64_t>(workSize * 1.0001) + 1;
  std::vector<float> work(numWork);
  int workCount = toInt(numWork);
  sgesdd_("S", &m, &n, copy.data(), &m, svd.s.data(), svd.vt.data(), &m,
          svd.u.data(), &size, work.data(), &workCount, integers.data(), &info);
  if (info != 0)
    return Error{"the singular value decomposition did not converge"};
  return svd;
}

static std::string describe(int64_t rows, int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

Result<void> structured::checkMatrix(MatrixRef weight, int64_t bOut,
                                     int64_t bIn) {
  if (weight.rows < 1 || weight.cols < 1)
    return Error{"the matrix is empty: " + describe(weight.rows, weight.cols)};
  // BLAS counts in int, and LAPACK's workspace is a multiple of the size.
  constexpr int64_t maxSize = std::numeric_limits<int>::max() / 16;
  if (weight.rows > maxSize || weight.cols > maxSize)
    return Error{"the matrix is too large: " +
                 describe(weight.rows, weight.cols)};
  if (bOut < 1 || bIn < 1 || weight.rows % bOut != 0 || weight.cols % bIn != 0)
    return Error{describe(bOut, bIn) + " blocks do not divide the " +
                 describe(weight.rows, weight.cols) + " matrix"};
  for (int64_t i = 0; i < weight.rows * weight.cols; ++i)
    if (!std::isfinite(weight.data[i]))
      return Error{
          "the matrix has " +
          std::string(std::isnan(weight.data[i]) ? "a NaN" : "an infinity") +
          " at row " + std::to_string(i / weight.cols) + ", column " +
          std::to_string(i % weight.cols)};
  return {};
}

Result<void> structured::checkRank(int64_t rank, int64_t maximum,
                                   const char *maximumName) {
  if (rank < 1)
    return Error{"rank " + std::to_string(rank) + " is not positive"};
  if (rank > maximum)
    return Error{"rank " + std::to_string(rank) + " is above " +
                 std::to_string(maximum) + ", the " + maximumName +
                 ", at which the factors are exact"};
  return {};
}

int64_t structured::getRankForBudget(double total, double keep, double perRank,
                                     int64_t multiple, int64_t maximum) {
  // Not-a-number and negative budgets give 0.
  if (!(keep > 0) || maximum < 1)
    return 0;
  auto rank = static_cast<int64_t>(std::min(std::floor(keep * total / perRank),
                                            static_cast<double>(maximum)));
  if (multiple > 1 && rank >= multiple)
    rank -= rank % multiple;
  return rank;
}
