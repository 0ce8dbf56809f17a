//===- BlockLowRank.cpp - Each block its own low-rank product
//----------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/BlockLowRank.h"

#include "LinearAlgebra.h"

#include <algorithm>
#include <optional>

using namespace structured;

int64_t structured::getBlockLowRankRank(int64_t m, int64_t n, int64_t bOut,
                                        int64_t bIn, double keep,
                                        int64_t multiple) {
  int64_t p = m / bOut, q = n / bIn;
  return getRankForBudget(static_cast<double>(p) * q, keep,
                          static_cast<double>(p + q), multiple, std::min(p, q));
}

Result<BlockLowRankFactors> structured::factorizeBlockLowRank(MatrixRef weight,
                                                              int64_t bOut,
                                                              int64_t bIn,
                                                              int64_t rank) {
  if (Result<void> checked = checkMatrix(weight, bOut, bIn); !checked)
    return Error{checked.error()};
  int64_t p = weight.rows / bOut, q = weight.cols / bIn;
  if (Result<void> checked =
          checkRank(rank, std::min(p, q), "smaller side of a block");
      !checked)
    return Error{checked.error()};

  BlockLowRankFactors factors;
  factors.bOut = bOut;
  factors.bIn = bIn;
  factors.p = p;
  factors.q = q;
  factors.r = rank;
  factors.u.resize(bOut * bIn * p * rank);
  factors.vt.resize(bOut * bIn * rank * q);
  SingleThreadedBlas singleThreaded;
  std::vector<std::optional<Error>> errors(bOut * bIn);
#pragma omp parallel for schedule(dynamic)
  for (int64_t block = 0; block < bOut * bIn; ++block) {
    int64_t i = block / bIn, j = block % bIn;
    Result<Svd> svd = computeSvd(weight.data + i * p * weight.cols + j * q,
                                 weight.cols, p, q);
    if (!svd) {
      errors[block] = Error{svd.error()};
      continue;
    }
    auto full = static_cast<int64_t>(svd->s.size());
    float *u = factors.u.data() + block * p * rank;
    for (int64_t row = 0; row < p; ++row)
      for (int64_t k = 0; k < rank; ++k)
        u[row * rank + k] = svd->u[row * full + k] * svd->s[k];
    std::copy_n(svd->vt.begin(), rank * q,
                factors.vt.begin() + block * rank * q);
  }
  for (const std::optional<Error> &error : errors)
    if (error)
      return *error;
  return factors;
}

std::vector<float> structured::reconstruct(const BlockLowRankFactors &factors) {
  int64_t p = factors.p, q = factors.q, r = factors.r;
  int64_t n = factors.bIn * q;
  std::vector<float> dense(factors.bOut * p * n);
  SingleThreadedBlas singleThreaded;
#pragma omp parallel for schedule(dynamic)
  for (int64_t block = 0; block < factors.bOut * factors.bIn; ++block) {
    int64_t i = block / factors.bIn, j = block % factors.bIn;
    multiply(p, q, r, 1, {factors.u.data() + block * p * r, r},
             {factors.vt.data() + block * r * q, q}, 0,
             dense.data() + i * p * n + j * q, n);
  }
  return dense;
}
