//===- CalibratedBlastTest.cpp - Tests of BLAST in a weighted norm --------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/WorkDirectory.h"
#include "TestMatrices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include <omp.h>

using namespace structured;

namespace {
struct CalibratedBlastTest : testing::Test {
  TestMatrix weight = makeTrainedLike(48, 64, 1);
  TestMatrix moments = makeMoments(64, 500, 2);
  BlastOptions options;

  CalibratedBlastTest() {
    options.bOut = 3;
    options.bIn = 4;
    options.rank = 12;
    options.maxIterations = 60;
    options.inputMoments = InputMoments{moments.ref(), 500};
  }
};
} // namespace

TEST_F(CalibratedBlastTest, IdentityIsDataFree) {
  TestMatrix identity{64, 64, std::vector<float>(64 * 64)};
  for (int64_t i = 0; i < 64; ++i)
    identity.values[i * 65] = 1;
  options.inputMoments = InputMoments{identity.ref(), 64};
  options.maxIterations = 8;
  Result<BlastResult> calibrated = factorizeBlast(weight.ref(), options);
  ASSERT_TRUE(calibrated) << calibrated.error();
  options.inputMoments.reset();
  Result<BlastResult> dataFree = factorizeBlast(weight.ref(), options);
  ASSERT_TRUE(dataFree);
  EXPECT_FALSE(dataFree->outputError);
  EXPECT_NEAR(*calibrated->outputError, calibrated->relativeError, 1e-6);
  EXPECT_NEAR(calibrated->relativeError, dataFree->relativeError, 1e-5);
  std::vector<float> a = reconstruct(calibrated->factors),
                     b = reconstruct(dataFree->factors);
  EXPECT_LT(getRelativeError({a.data(), 48, 64}, b.data()), 1e-3);
}

// The errors that the updates keep track of are those of the factors, and no
// iteration without extrapolation increases them.
TEST_F(CalibratedBlastTest, ReportedErrorsAreTrue) {
  double previous = std::numeric_limits<double>::infinity();
  for (int64_t iterations : {1, 2, 3, 5, 10, 20}) {
    options.maxIterations = iterations;
    double reported = 0;
    Result<BlastResult> result =
        factorizeBlast(weight.ref(), options,
                       [&](int64_t, double error) { reported = error; });
    ASSERT_TRUE(result) << result.error();
    std::vector<float> dense = reconstruct(result->factors);
    double error = getWeightedError(weight, dense, moments, options.damping);
    EXPECT_NEAR(reported, error, 2e-4 * error) << iterations;
    EXPECT_LE(error, previous * 1.0001) << iterations;
    EXPECT_NEAR(*result->outputError,
                getWeightedError(weight, dense, moments, 0), 1e-5);
    previous = error;
  }
}

TEST_F(CalibratedBlastTest, BeatsDataFreeAndWhitenedSvd) {
  Result<BlastResult> calibrated = factorizeBlast(weight.ref(), options);
  ASSERT_TRUE(calibrated) << calibrated.error();
  auto getError = [&](const BlastFactors &factors) {
    return getWeightedError(weight, reconstruct(factors), moments,
                            options.damping);
  };
  double error = getError(calibrated->factors);

  BlastOptions other = options;
  other.inputMoments.reset();
  other.maxIterations = 300;
  Result<BlastResult> dataFree = factorizeBlast(weight.ref(), other);
  ASSERT_TRUE(dataFree);
  EXPECT_LT(error, 0.9 * getError(dataFree->factors));
  EXPECT_GT(calibrated->relativeError, dataFree->relativeError);

  other = options;
  other.bOut = other.bIn = 1;
  Result<BlastResult> svd = factorizeBlast(weight.ref(), other);
  ASSERT_TRUE(svd);
  ASSERT_LE(svd->factors.getNumParameters(),
            calibrated->factors.getNumParameters());
  EXPECT_LT(error, 0.97 * getError(svd->factors));
}

TEST_F(CalibratedBlastTest, FindsPlantedFactors) {
  TestMatrix planted{48, 64, reconstruct(makeFactors(3, 4, 16, 16, 6, 5))};
  options.rank = 10;
  options.maxIterations = 500;
  Result<BlastResult> result = factorizeBlast(planted.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_LT(*result->outputError, 1e-2);
}

// Eckart–Young in the norm ‖·L‖_F, where the damped moments are L·Lᵀ.
TEST_F(CalibratedBlastTest, WhitenedSvdIsOptimal) {
  int64_t n = 64;
  double mean = 0;
  for (int64_t i = 0; i < n; ++i)
    mean += moments.values[i * n + i] / static_cast<double>(n);
  std::vector<double> l(n * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double value =
          moments.values[i * n + j] + (i == j ? options.damping * mean : 0);
      for (int64_t k = 0; k < j; ++k)
        value -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i == j ? std::sqrt(value) : value / l[j * n + j];
    }
  TestMatrix whitened{48, n, std::vector<float>(48 * n)};
  for (int64_t row = 0; row < 48; ++row)
    for (int64_t col = 0; col < n; ++col) {
      double sum = 0;
      for (int64_t k = 0; k < n; ++k)
        sum += weight.values[row * n + k] * l[k * n + col];
      whitened.values[row * n + col] = static_cast<float>(sum);
    }
  Result<BlastFactors> svd = factorizeLowRank(whitened.ref(), 48);
  ASSERT_TRUE(svd);

  options.bOut = options.bIn = 1;
  for (int64_t rank : {1, 12, 30}) {
    double rest = 0, total = 0;
    for (int64_t k = 0; k < 48; ++k) {
      double squared = static_cast<double>(svd->s[k]) * svd->s[k];
      total += squared;
      rest += k < rank ? 0 : squared;
    }
    options.rank = rank;
    Result<BlastResult> result = factorizeBlast(weight.ref(), options);
    ASSERT_TRUE(result) << result.error();
    EXPECT_NEAR(getWeightedError(weight, reconstruct(result->factors), moments,
                                 options.damping),
                std::sqrt(rest / total), 1e-4);
  }
}

TEST_F(CalibratedBlastTest, FewSamplesAreDamped) {
  TestMatrix few = makeMoments(64, 16, 3);
  options.inputMoments = InputMoments{few.ref(), 16};
  Result<BlastResult> result = factorizeBlast(weight.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_LT(*result->outputError, 0.2);
  options.damping = 0;
  result = factorizeBlast(weight.ref(), options);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().find("not positive definite"), std::string::npos);
}

TEST_F(CalibratedBlastTest, SameOnAnyNumberOfThreads) {
  int previous = omp_get_max_threads();
  omp_set_num_threads(1);
  Result<BlastResult> one = factorizeBlast(weight.ref(), options);
  omp_set_num_threads(3);
  Result<BlastResult> three = factorizeBlast(weight.ref(), options);
  omp_set_num_threads(previous);
  ASSERT_TRUE(one && three);
  EXPECT_EQ(one->factors.u, three->factors.u);
  EXPECT_EQ(one->factors.s, three->factors.s);
  EXPECT_EQ(one->factors.vt, three->factors.vt);
  EXPECT_EQ(one->outputError, three->outputError);
}

TEST_F(CalibratedBlastTest, Errors) {
  auto getMessage = [&] {
    Result<void> checked = checkBlast(weight.ref(), options);
    return checked ? std::string("no error") : checked.error();
  };
  EXPECT_EQ(getMessage(), "no error");
  options.inputMoments->numSamples = 15;
  EXPECT_EQ(getMessage(), "second moments of the inputs: 15 samples are too "
                          "few; 64 input features take at least 16");
  options.inputMoments->numSamples = 0;
  EXPECT_NE(getMessage().find("0 samples are too few"), std::string::npos);
  options.inputMoments->numSamples = 16;
  EXPECT_EQ(getMessage(), "no error");

  options.damping = -1;
  EXPECT_NE(getMessage().find("damping"), std::string::npos);
  options.damping = std::nan("");
  EXPECT_NE(getMessage().find("damping"), std::string::npos);
  options.damping = 0.01;

  options.method = BlastMethod::PreconditionedGradient;
  EXPECT_NE(getMessage().find("only alternating"), std::string::npos);
  options.method = BlastMethod::AlternatingLeastSquares;

  options.inputMoments->matrix.rows = 63;
  EXPECT_EQ(getMessage(),
            "second moments of the inputs: the matrix is 63 x 64, "
            "not 64 x 64");
  options.inputMoments->matrix.rows = 64;

  auto getMessageWith = [&](int64_t row, int64_t col, float value) {
    float &element = moments.values[row * 64 + col];
    float previous = element;
    element = value;
    std::string message = getMessage();
    element = previous;
    return message;
  };
  EXPECT_EQ(getMessageWith(2, 3, std::nanf("")),
            "second moments of the inputs: the matrix has a NaN at row 2, "
            "column 3");
  EXPECT_NE(getMessageWith(0, 0, std::numeric_limits<float>::infinity())
                .find("an infinity at row 0"),
            std::string::npos);
  EXPECT_NE(getMessageWith(1, 1, -1).find("diagonal element 1 is negative"),
            std::string::npos);
  EXPECT_NE(getMessageWith(9, 4, 50).find("not symmetric at row 9, column 4"),
            std::string::npos);
  std::fill(moments.values.begin(), moments.values.end(), 0.0f);
  EXPECT_NE(getMessage().find("the matrix is zero"), std::string::npos);
}

TEST_F(CalibratedBlastTest, WorkFilesBelongToTheMoments) {
  std::filesystem::path directory =
      std::filesystem::path(testing::TempDir()) / "calibrated-blast-test";
  std::filesystem::remove_all(directory);
  auto run = [&] {
    return factorizeToDirectory(directory.string(), "fc", weight.ref(),
                                options);
  };
  Result<LayerResult> first = run(), second = run();
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->reused);
  EXPECT_TRUE(second->reused);
  EXPECT_EQ(first->factors.u, second->factors.u);
  EXPECT_EQ(first->outputError, second->outputError);

  moments.values[0] *= 2;
  EXPECT_FALSE(run()->reused);
  EXPECT_TRUE(run()->reused);
  options.damping = 0.02;
  EXPECT_FALSE(run()->reused);
  options.inputMoments.reset();
  Result<LayerResult> dataFree = run();
  ASSERT_TRUE(dataFree);
  EXPECT_FALSE(dataFree->reused);
  EXPECT_FALSE(dataFree->outputError);
  std::filesystem::remove_all(directory);
}
