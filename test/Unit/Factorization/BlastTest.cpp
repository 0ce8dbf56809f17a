//===- BlastTest.cpp - Tests of the BLAST factorisation ------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestMatrices.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include <omp.h>

using namespace structured;

//===----------------------------------------------------------------------===//
// Ranks, factors, errors
//===----------------------------------------------------------------------===//

TEST(BlastRankTest, FromKeptFraction) {
  // 0.5·4096² / (8192 + 256) = 992.97.
  EXPECT_EQ(getBlastRank(4096, 4096, 16, 16, 0.5), 992);
  EXPECT_EQ(getBlastRank(4096, 4096, 4, 4, 0.5), 1008);
  EXPECT_EQ(getBlastRank(4096, 4096, 4, 4, 0.5, 1), 1022);
  // 0.5·384² / (768 + 16) = 94.04.
  EXPECT_EQ(getBlastRank(384, 384, 4, 4, 0.5), 80);
  EXPECT_EQ(getBlastRank(384, 384, 4, 4, 0.5, 1), 94);
  // 0.5·1536·384 / (1920 + 8) = 152.97, whichever side is longer.
  EXPECT_EQ(getBlastRank(1536, 384, 4, 2, 0.5, 1), 152);
  EXPECT_EQ(getBlastRank(384, 1536, 2, 4, 0.5, 1), 152);
  // Below the multiple nothing is rounded.
  EXPECT_EQ(getBlastRank(64, 64, 4, 4, 0.25), 7);
  EXPECT_EQ(getBlastRank(64, 64, 4, 4, 0.01), 0);
  EXPECT_EQ(getBlastRank(64, 32, 1, 1, 100), 32);
  EXPECT_EQ(getBlastRank(64, 64, 4, 4, 0), 0);
  EXPECT_EQ(getBlastRank(64, 64, 4, 4, -1), 0);
  EXPECT_EQ(getBlastRank(64, 64, 4, 4, std::nan("")), 0);
}

TEST(BlastRankTest, StaysWithinBudget) {
  for (double keep : {0.1, 0.25, 0.5, 0.75, 0.9})
    for (int64_t b : {1, 2, 3, 4, 6, 8, 12, 16}) {
      BlastFactors factors;
      factors.bOut = factors.bIn = b;
      factors.p = 1536 / b;
      factors.q = 384 / b;
      factors.r = getBlastRank(1536, 384, b, b, keep, 1);
      EXPECT_LE(factors.getNumParameters(), keep * 1536 * 384);
      ++factors.r;
      EXPECT_GT(factors.getNumParameters(), keep * 1536 * 384);
    }
}

TEST(BlastTest, MethodNames) {
  EXPECT_EQ(parseBlastMethod("als"), BlastMethod::AlternatingLeastSquares);
  EXPECT_EQ(parseBlastMethod("gradient"), BlastMethod::PreconditionedGradient);
  EXPECT_EQ(parseBlastMethod("magic"), std::nullopt);
}

TEST(BlastTest, ReconstructIsTheDefinition) {
  BlastFactors factors = makeFactors(3, 5, 7, 4, 6, 1);
  std::vector<float> expected = reconstructNaively(factors);
  std::vector<float> actual = reconstruct(factors);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], 1e-5) << i;
  EXPECT_EQ(factors.getNumParameters(), 6 * (21 + 20 + 15));
}

TEST(BlastTest, RelativeError) {
  const float reference[] = {3, 0, 0, 4}, close[] = {3, 0, 0, 3}, zero[4] = {};
  EXPECT_EQ(getRelativeError({reference, 2, 2}, reference), 0);
  EXPECT_DOUBLE_EQ(getRelativeError({reference, 2, 2}, close), 0.2);
  EXPECT_EQ(getRelativeError({zero, 2, 2}, zero), 0);
  EXPECT_EQ(getRelativeError({zero, 2, 2}, close),
            std::numeric_limits<double>::infinity());
  // In single precision 2^24 + 1 is 2^24: the small elements would be lost.
  std::vector<float> large(5000, 1), other(5000, 2);
  large[0] = other[0] = 4096 * 1024.0f;
  double norm = std::hypot(4096 * 1024.0, std::sqrt(4999.0));
  EXPECT_NEAR(getRelativeError({large.data(), 1, 5000}, other.data()) * norm,
              std::sqrt(4999.0), 1e-9);
}

//===----------------------------------------------------------------------===//
// Low rank
//===----------------------------------------------------------------------===//

/// A diagonal matrix between two rotations has known singular values; the error
/// of rank k is the norm of those left out.
TEST(LowRankTest, EckartYoung) {
  constexpr int64_t rows = 50, cols = 30;
  BlastFactors basis =
      *factorizeLowRank(makeNormalMatrix(rows, cols, 3).ref(), cols);
  std::vector<float> sigma(cols);
  for (int64_t k = 0; k < cols; ++k)
    sigma[k] = std::pow(0.8f, static_cast<float>(k));
  basis.s = sigma;
  TestMatrix matrix{rows, cols, reconstruct(basis)};
  double total = 0;
  for (float s : sigma)
    total += static_cast<double>(s) * s;
  for (int64_t rank : {1, 2, 7, 29}) {
    auto factors = factorizeLowRank(matrix.ref(), rank);
    ASSERT_TRUE(factors) << factors.error();
    double left = 0;
    for (int64_t k = rank; k < cols; ++k)
      left += static_cast<double>(sigma[k]) * sigma[k];
    EXPECT_NEAR(getRelativeError(matrix.ref(), reconstruct(*factors).data()),
                std::sqrt(left / total), 1e-5);
    for (int64_t k = 0; k < rank; ++k)
      EXPECT_NEAR(factors->s[k], sigma[k], 1e-5);
  }
}

TEST(LowRankTest, FullRankIsExactForEveryShape) {
  for (auto [rows, cols] : {std::pair<int64_t, int64_t>{1, 1},
                            {1, 9},
                            {9, 1},
                            {17, 31},
                            {31, 17}}) {
    TestMatrix matrix = makeNormalMatrix(rows, cols, 5);
    auto factors = factorizeLowRank(matrix.ref(), std::min(rows, cols));
    ASSERT_TRUE(factors) << factors.error();
    EXPECT_LT(getRelativeError(matrix.ref(), reconstruct(*factors).data()),
              2e-6);
  }
}

//===----------------------------------------------------------------------===//
// BLAST
//===----------------------------------------------------------------------===//

static BlastResult mustFactorize(const TestMatrix &matrix, int64_t bOut,
                                 int64_t bIn, int64_t rank, BlastMethod method,
                                 int64_t iterations) {
  BlastOptions options;
  options.bOut = bOut;
  options.bIn = bIn;
  options.rank = rank;
  options.method = method;
  options.maxIterations = iterations;
  auto result = factorizeBlast(matrix.ref(), options);
  EXPECT_TRUE(result) << result.error();
  return result ? std::move(*result) : BlastResult();
}

class BlastMethodTest : public ::testing::TestWithParam<BlastMethod> {};

INSTANTIATE_TEST_SUITE_P(
    , BlastMethodTest,
    ::testing::Values(BlastMethod::PreconditionedGradient,
                      BlastMethod::AlternatingLeastSquares),
    [](const auto &info) {
      return std::string(getBlastMethodName(info.param));
    });

/// Shapes, and that the reported error is that of the returned factors by the
/// definition: a wrong layout with b_out ≠ b_in or p ≠ q would show.
TEST_P(BlastMethodTest, OddShapes) {
  struct Case {
    int64_t m, n, bOut, bIn, rank;
  };
  for (auto [m, n, bOut, bIn, rank] : {Case{39, 35, 3, 5, 9},
                                       {35, 39, 5, 3, 9},
                                       {66, 14, 6, 1, 5},
                                       {14, 66, 1, 6, 5},
                                       {13, 7, 13, 7, 3},
                                       {21, 22, 1, 1, 4},
                                       {40, 40, 8, 8, 20}}) {
    TestMatrix matrix = makeTrainedLike(m, n, 7);
    BlastResult result = mustFactorize(matrix, bOut, bIn, rank, GetParam(), 60);
    const BlastFactors &f = result.factors;
    EXPECT_EQ(f.p * bOut, m);
    EXPECT_EQ(f.q * bIn, n);
    EXPECT_EQ(f.r, rank);
    EXPECT_EQ(static_cast<int64_t>(f.u.size()), m * rank);
    EXPECT_EQ(static_cast<int64_t>(f.s.size()), bOut * bIn * rank);
    EXPECT_EQ(static_cast<int64_t>(f.vt.size()), n * rank);
    EXPECT_NEAR(result.relativeError,
                getRelativeError(matrix.ref(), reconstructNaively(f).data()),
                1e-5);
    // The truncated SVD of the same rank is a BLAST too: alternating least
    // squares starts there, the gradient method has to find the way.
    auto svd = factorizeLowRank(matrix.ref(), rank);
    double svdError = getRelativeError(matrix.ref(), reconstruct(*svd).data());
    bool isGradient = GetParam() == BlastMethod::PreconditionedGradient;
    EXPECT_LE(result.relativeError, svdError + (isGradient ? 0.1 : 1e-6))
        << m << "x" << n << " " << bOut << "x" << bIn;
  }
}

TEST_P(BlastMethodTest, ErrorFallsWithRank) {
  TestMatrix matrix = makeTrainedLike(48, 60, 11);
  double previous = 1;
  for (int64_t rank : {4, 8, 16, 32}) {
    BlastResult result = mustFactorize(matrix, 4, 3, rank, GetParam(), 80);
    EXPECT_LT(result.relativeError, 0.95 * previous) << rank;
    previous = result.relativeError;
  }
}

TEST_P(BlastMethodTest, IndependentOfThreads) {
  TestMatrix matrix = makeTrainedLike(120, 90, 13);
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  BlastResult one = mustFactorize(matrix, 4, 3, 20, GetParam(), 25);
  omp_set_num_threads(2);
  BlastResult two = mustFactorize(matrix, 4, 3, 20, GetParam(), 25);
  omp_set_num_threads(threads);
  EXPECT_EQ(one.factors.u, two.factors.u);
  EXPECT_EQ(one.factors.s, two.factors.s);
  EXPECT_EQ(one.factors.vt, two.factors.vt);
  EXPECT_EQ(one.relativeError, two.relativeError);
}

TEST_P(BlastMethodTest, SeedDecides) {
  TestMatrix matrix = makeTrainedLike(24, 24, 17);
  BlastOptions options;
  options.bOut = options.bIn = 2;
  options.rank = 6;
  options.maxIterations = 5;
  options.method = GetParam();
  auto first = factorizeBlast(matrix.ref(), options);
  auto again = factorizeBlast(matrix.ref(), options);
  options.seed = 1;
  auto other = factorizeBlast(matrix.ref(), options);
  EXPECT_EQ(first->factors.s, again->factors.s);
  EXPECT_NE(first->factors.s, other->factors.s);
}

TEST_P(BlastMethodTest, Progress) {
  TestMatrix matrix = makeTrainedLike(24, 24, 19);
  BlastOptions options;
  options.bOut = options.bIn = 2;
  options.rank = 6;
  options.maxIterations = 40;
  options.method = GetParam();
  std::vector<int64_t> iterations;
  std::vector<double> errors;
  auto result = factorizeBlast(matrix.ref(), options,
                               [&](int64_t iteration, double error) {
                                 iterations.push_back(iteration);
                                 errors.push_back(error);
                               });
  ASSERT_TRUE(result);
  ASSERT_EQ(static_cast<int64_t>(iterations.size()), result->iterations);
  std::vector<int64_t> expected(iterations.size());
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(iterations, expected);
  for (size_t i = 1; i < errors.size(); ++i)
    EXPECT_LE(errors[i], errors[i - 1]);
  EXPECT_NEAR(errors.back(), result->relativeError, 1e-4);
}

/// Weights of any scale, up to what single precision can square.
TEST_P(BlastMethodTest, ScaleDoesNotMatter) {
  TestMatrix matrix = makeTrainedLike(24, 36, 23);
  double expected =
      mustFactorize(matrix, 2, 3, 8, GetParam(), 50).relativeError;
  for (float scale : {1e-6f, 1e6f}) {
    TestMatrix scaled = matrix;
    for (float &value : scaled.values)
      value *= scale;
    EXPECT_NEAR(mustFactorize(scaled, 2, 3, 8, GetParam(), 50).relativeError,
                expected, 2e-3)
        << scale;
  }
}

TEST_P(BlastMethodTest, ZeroMatrix) {
  TestMatrix zero{6, 4, std::vector<float>(24)};
  BlastResult result = mustFactorize(zero, 2, 2, 2, GetParam(), 5);
  EXPECT_EQ(result.relativeError, 0);
  EXPECT_EQ(reconstruct(result.factors), zero.values);
}

/// One row block and one column block of zeros, as in pruned models.
TEST_P(BlastMethodTest, ZeroBlocks) {
  TestMatrix matrix = makeTrainedLike(24, 24, 29);
  for (int64_t row = 0; row < 24; ++row)
    for (int64_t col = 0; col < 24; ++col)
      if (row < 6 || col >= 18)
        matrix.values[row * 24 + col] = 0;
  BlastResult result = mustFactorize(matrix, 4, 4, 9, GetParam(), 100);
  EXPECT_LT(result.relativeError, 0.3);
}

TEST_P(BlastMethodTest, Refusals) {
  TestMatrix matrix = makeNormalMatrix(12, 8, 31);
  BlastOptions options;
  options.bOut = 3;
  options.bIn = 2;
  options.rank = 4;
  options.method = GetParam();
  auto errorOf = [](MatrixRef weight, const BlastOptions &options) {
    auto result = factorizeBlast(weight, options);
    return result ? std::string("(accepted)") : result.error();
  };
  EXPECT_EQ(errorOf(matrix.ref(), options), "(accepted)");

  BlastOptions bad = options;
  bad.bOut = 5;
  EXPECT_EQ(errorOf(matrix.ref(), bad),
            "5 x 2 blocks do not divide the 12 x 8 matrix");
  bad = options;
  bad.bIn = 3;
  EXPECT_EQ(errorOf(matrix.ref(), bad),
            "3 x 3 blocks do not divide the 12 x 8 matrix");
  bad.bIn = 0;
  EXPECT_EQ(errorOf(matrix.ref(), bad),
            "3 x 0 blocks do not divide the 12 x 8 matrix");
  bad = options;
  bad.rank = 0;
  EXPECT_EQ(errorOf(matrix.ref(), bad), "rank 0 is not positive");
  bad.rank = 9;
  EXPECT_EQ(errorOf(matrix.ref(), bad),
            "rank 9 is above 8, the smaller side of the matrix, at which the "
            "factors are exact");
  bad = options;
  bad.maxIterations = 0;
  EXPECT_EQ(errorOf(matrix.ref(), bad), "0 iterations are too few");
  EXPECT_EQ(errorOf({nullptr, 0, 8}, options), "the matrix is empty: 0 x 8");
  matrix.values[2 * 8 + 5] = std::nanf("");
  EXPECT_EQ(errorOf(matrix.ref(), options),
            "the matrix has a NaN at row 2, column 5");
  matrix.values[2 * 8 + 5] = -INFINITY;
  EXPECT_EQ(errorOf(matrix.ref(), options),
            "the matrix has an infinity at row 2, column 5");
}

/// Relative error of ALS on a matrix made from random factors of rank
/// `planted`.
static double recover(int64_t bOut, int64_t bIn, int64_t p, int64_t q,
                      int64_t planted, int64_t rank, uint64_t seed) {
  BlastFactors factors = makeFactors(bOut, bIn, p, q, planted, seed);
  TestMatrix matrix{factors.getNumRows(), factors.getNumCols(),
                    reconstruct(factors)};
  return mustFactorize(matrix, bOut, bIn, rank,
                       BlastMethod::AlternatingLeastSquares, 2000)
      .relativeError;
}

/// A matrix that has BLAST factors is recovered. The problem is not convex: at
/// the very rank of the planted factors an alternating method can end with two
/// components in the place of one, so only the well-posed shapes (p and q well
/// above r, one or many blocks) are asked for exactly.
TEST(BlastAlsTest, RecoversPlantedFactors) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    EXPECT_LE(recover(4, 4, 64, 64, 8, 8, seed), 1e-3) << seed;
    EXPECT_LE(recover(1, 4, 50, 17, 8, 8, seed), 1e-3) << seed;
    EXPECT_LE(recover(4, 1, 17, 50, 8, 8, seed), 1e-3) << seed;
  }
}

/// With half as much rank again the others are recovered, too, up to what
/// single precision leaves of Gram matrices that are nearly singular.
TEST(BlastAlsTest, RecoversPlantedFactorsWithSpareRank) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    EXPECT_LE(recover(4, 6, 40, 50, 6, 9, seed), 1e-2) << seed;
    EXPECT_LE(recover(6, 4, 51, 33, 6, 9, seed), 1e-2) << seed;
    EXPECT_LE(recover(2, 3, 60, 50, 12, 18, seed), 1e-2) << seed;
  }
}

TEST(BlastAlsTest, OneBlockIsTheSvd) {
  TestMatrix matrix = makeTrainedLike(40, 30, 41);
  BlastResult result =
      mustFactorize(matrix, 1, 1, 10, BlastMethod::AlternatingLeastSquares, 10);
  auto svd = factorizeLowRank(matrix.ref(), 10);
  EXPECT_EQ(result.factors.u, svd->u);
  EXPECT_EQ(result.relativeError,
            getRelativeError(matrix.ref(), reconstruct(*svd).data()));
}

TEST(BlastAlsTest, NeverBehindTheGradient) {
  TestMatrix matrix = makeTrainedLike(192, 192, 43);
  for (int64_t blocks : {2, 4, 8})
    for (int64_t iterations : {10, 30, 100, 300}) {
      int64_t rank = getBlastRank(192, 192, blocks, blocks, 0.5, 1);
      double gradient =
          mustFactorize(matrix, blocks, blocks, rank,
                        BlastMethod::PreconditionedGradient, iterations)
              .relativeError;
      double als =
          mustFactorize(matrix, blocks, blocks, rank,
                        BlastMethod::AlternatingLeastSquares, iterations)
              .relativeError;
      EXPECT_LE(als, gradient) << blocks << " blocks, " << iterations;
    }
}

TEST(BlastAlsTest, StopsWhenConverged) {
  TestMatrix matrix = makeTrainedLike(32, 32, 47);
  BlastResult result = mustFactorize(
      matrix, 2, 2, 8, BlastMethod::AlternatingLeastSquares, 100000);
  EXPECT_LT(result.iterations, 5000);
}
