//===- BlockLowRankTest.cpp - Tests of block low rank
//-----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/BlockLowRank.h"

#include "TestMatrices.h"

#include <gtest/gtest.h>

#include <omp.h>

using namespace structured;

TEST(BlockLowRankTest, RankFromKeptFraction) {
  // 0.5·96·96 / 192 = 24 per block.
  EXPECT_EQ(getBlockLowRankRank(384, 384, 4, 4, 0.5), 24);
  EXPECT_EQ(getBlockLowRankRank(384, 384, 4, 4, 0.5, 16), 16);
  EXPECT_EQ(getBlockLowRankRank(1536, 384, 4, 2, 0.25), 32);
  EXPECT_EQ(getBlockLowRankRank(8, 8, 4, 4, 0.5), 0);
  EXPECT_EQ(getBlockLowRankRank(8, 8, 2, 2, 9), 4);
}

/// Each block is the optimum of its own: compared with the low-rank
/// factorisation of the block alone.
TEST(BlockLowRankTest, BlocksAreTruncatedSvds) {
  constexpr int64_t bOut = 3, bIn = 2, p = 14, q = 11, rank = 4;
  TestMatrix matrix = makeTrainedLike(bOut * p, bIn * q, 1);
  auto factors = factorizeBlockLowRank(matrix.ref(), bOut, bIn, rank);
  ASSERT_TRUE(factors) << factors.error();
  EXPECT_EQ(factors->getNumParameters(), bOut * bIn * rank * (p + q));
  std::vector<float> dense = reconstruct(*factors);
  for (int64_t i = 0; i < bOut; ++i)
    for (int64_t j = 0; j < bIn; ++j) {
      TestMatrix block{p, q, {}};
      std::vector<float> approximation;
      for (int64_t row = 0; row < p; ++row)
        for (int64_t col = 0; col < q; ++col) {
          int64_t index = (i * p + row) * bIn * q + j * q + col;
          block.values.push_back(matrix.values[index]);
          approximation.push_back(dense[index]);
        }
      auto best = factorizeLowRank(block.ref(), rank);
      EXPECT_NEAR(getRelativeError(block.ref(), approximation.data()),
                  getRelativeError(block.ref(), reconstruct(*best).data()),
                  1e-6);
    }
}

TEST(BlockLowRankTest, IndependentOfThreads) {
  TestMatrix matrix = makeNormalMatrix(60, 60, 2);
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  auto one = factorizeBlockLowRank(matrix.ref(), 3, 3, 5);
  omp_set_num_threads(2);
  auto two = factorizeBlockLowRank(matrix.ref(), 3, 3, 5);
  omp_set_num_threads(threads);
  EXPECT_EQ(one->u, two->u);
  EXPECT_EQ(one->vt, two->vt);
}

TEST(BlockLowRankTest, Refusals) {
  TestMatrix matrix = makeNormalMatrix(12, 8, 3);
  auto errorOf = [&](int64_t bOut, int64_t bIn, int64_t rank) {
    auto factors = factorizeBlockLowRank(matrix.ref(), bOut, bIn, rank);
    return factors ? std::string("(accepted)") : factors.error();
  };
  EXPECT_EQ(errorOf(3, 2, 4), "(accepted)");
  EXPECT_EQ(errorOf(5, 2, 1), "5 x 2 blocks do not divide the 12 x 8 matrix");
  EXPECT_EQ(errorOf(3, 2, 0), "rank 0 is not positive");
  EXPECT_EQ(errorOf(3, 2, 5), "rank 5 is above 4, the smaller side of a block, "
                              "at which the factors are exact");
  matrix.values[0] = INFINITY;
  EXPECT_EQ(errorOf(3, 2, 4), "the matrix has an infinity at row 0, column 0");
}
