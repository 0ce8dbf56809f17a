//===- CalibratedGblrTest.cpp - Tests of GBLR in a weighted norm ----------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GblrNorm.h"
#include "Structured/Factorization/WorkDirectory.h"
#include "TestMatrices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

#include <omp.h>

using namespace structured;

namespace {
/// x of A·x = b by Gaussian elimination with pivoting; A [n, n].
std::vector<double> solveDense(std::vector<double> a, std::vector<double> b) {
  size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i)
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k]))
        pivot = i;
    for (size_t j = 0; j < n; ++j)
      std::swap(a[k * n + j], a[pivot * n + j]);
    std::swap(b[k], b[pivot]);
    for (size_t i = k + 1; i < n; ++i) {
      double scale = a[i * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j)
        a[i * n + j] -= scale * a[k * n + j];
      b[i] -= scale * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j)
      b[k] -= a[k * n + j] * b[j];
    b[k] /= a[k * n + k];
  }
  return b;
}

/// The lowest damped weighted error over one factor of `factors`, u or v, the
/// other and the intervals fixed: by the normal equations, all unknowns at
/// once.
double getOptimalError(const TestMatrix &weight, GblrFactors factors,
                       std::vector<float> GblrFactors::*factor,
                       const TestMatrix &moments, double damping) {
  int64_t m = weight.rows, n = weight.cols;
  std::vector<float> &unknowns = factors.*factor;
  size_t count = unknowns.size();
  double mean = 0;
  for (int64_t i = 0; i < n; ++i)
    mean += moments.values[i * (n + 1)] / static_cast<double>(n);
  // Of each unknown the matrix that it is multiplied by, and that times C.
  std::vector<std::vector<float>> bases;
  std::vector<std::vector<double>> weighted;
  for (size_t k = 0; k < count; ++k) {
    std::fill(unknowns.begin(), unknowns.end(), 0.0f);
    unknowns[k] = 1;
    bases.push_back(reconstruct(factors));
    std::vector<double> product(m * n);
    for (int64_t row = 0; row < m; ++row)
      for (int64_t i = 0; i < n; ++i)
        if (double value = bases[k][row * n + i]; value != 0)
          for (int64_t j = 0; j < n; ++j)
            product[row * n + j] += value * (moments.values[i * n + j] +
                                             (i == j ? damping * mean : 0));
    weighted.push_back(std::move(product));
  }
  auto multiply = [&](size_t k, const std::vector<float> &matrix) {
    double sum = 0;
    for (int64_t i = 0; i < m * n; ++i)
      sum += weighted[k][i] * matrix[i];
    return sum;
  };
  std::vector<double> gram(count * count), target(count);
  for (size_t k = 0; k < count; ++k) {
    for (size_t l = 0; l < count; ++l)
      gram[k * count + l] = multiply(k, bases[l]);
    gram[k * (count + 1)] *= 1 + 1e-12;
    target[k] = multiply(k, weight.values);
  }
  std::vector<double> solution = solveDense(gram, target);
  std::copy(solution.begin(), solution.end(), unknowns.begin());
  return getWeightedError(weight, reconstruct(factors), moments, damping);
}

struct CalibratedGblrTest : testing::Test {
  TestMatrix weight = makeTrainedLike(48, 64, 1);
  TestMatrix moments = makeMoments(64, 500, 2);
  GblrOptions options;

  CalibratedGblrTest() {
    options.budget = getGblrBudget(48, 64, 0.5);
    options.inputMoments = InputMoments{moments.ref(), 500};
  }

  double getError(const std::vector<float> &approximation) {
    return getWeightedError(weight, approximation, moments, options.damping);
  }
};
} // namespace

// Against all intervals, each with a dense solution in double.
TEST(GblrNormTest, FindsTheBestInterval) {
  // Of ring size 24, so that intervals wrap around, and all starts are tried
  // nearby; of 80, anywhere, longer than the short ones.
  struct Case {
    int64_t n, minSize, maxSize;
  };
  for (Case c : {Case{24, 1, 24}, {24, 5, 9}, {80, 66, 80}}) {
    int64_t n = c.n, minSize = c.minSize, maxSize = c.maxSize;
    TestMatrix moments = makeMoments(n, 3 * n, 5);
    gblr::Norm norm(moments.values, n);
    NormalGenerator normal(6);
    for (double price : {0.01, 0.3, 2.0, 100.0}) {
      std::vector<float> target = makeNormal(n, normal);
      for (int64_t i = 0; i < n; ++i)
        target[i] *=
            std::sqrt(moments.values[i * (n + 1)]) * (i % 8 < 4 ? 1.0f : 0.1f);
      double best = 0;
      auto getValue = [&](gblr::Interval cols) {
        std::vector<double> a, b;
        for (int64_t i = 0; i < cols.size; ++i) {
          int64_t row = (cols.start + i) % n;
          b.push_back(target[row]);
          for (int64_t j = 0; j < cols.size; ++j)
            a.push_back(moments.values[row * n + (cols.start + j) % n]);
        }
        std::vector<double> x = solveDense(a, b);
        double gain = 0;
        for (size_t i = 0; i < x.size(); ++i)
          gain += x[i] * b[i];
        std::vector<float> part = gblr::cut(target, cols);
        double found = norm.solve(cols, part);
        EXPECT_NEAR(found, gain, 1e-3 * gain);
        for (size_t i = 0; i < x.size(); ++i)
          EXPECT_NEAR(part[i], x[i], 1e-2 * std::fabs(x[i]) + 1e-2);
        return gain - price * static_cast<double>(cols.size);
      };
      gblr::Interval current{n / 3, n <= 24 ? minSize : 70};
      for (int64_t size = minSize; size <= maxSize; ++size)
        for (int64_t start = 0; start < n; ++start) {
          // Of long intervals, those that are tried.
          if (n > 24 && size != 80 && !(size == 70 && start == current.start))
            continue;
          if (n <= 24 && (start - current.start + n + 8) % n > 16)
            continue;
          best = std::max(best, getValue({start, size}));
        }
      gblr::Interval found = norm.findBestInterval(
          target, current, /*anywhere=*/n > 24, price, minSize, maxSize);
      if (best <= 0) {
        EXPECT_EQ(found.size, 0);
        continue;
      }
      ASSERT_GE(found.size, minSize);
      ASSERT_LE(found.size, maxSize);
      EXPECT_NEAR(getValue(found), best, 1e-3 * best) << n << " " << price;
    }
  }
}

TEST_F(CalibratedGblrTest, FindsPlantedGblr) {
  TestMatrix moments = makeMoments(80, 400, 7);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    std::mt19937_64 engine(seed);
    auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(engine() % (high - low + 1));
    };
    std::vector<GblrComponent> components;
    for (int k = 0; k < 6; ++k)
      components.push_back(
          {draw(0, 95), draw(16, 48), draw(0, 79), draw(16, 40), draw(1, 2)});
    GblrFactors planted = makeGblr(96, 80, components, seed);
    TestMatrix matrix{96, 80, reconstruct(planted)};
    options.budget = planted.getNumParameters() * 3 / 2;
    options.minComponentParameters = 16;
    options.inputMoments = InputMoments{moments.ref(), 400};
    auto result = factorizeGblr(matrix.ref(), options);
    ASSERT_TRUE(result) << result.error();
    EXPECT_LE(*result->outputError, 1e-3) << "seed " << seed;
    EXPECT_LE(result->factors.getNumParameters(), options.budget);
  }
}

TEST_F(CalibratedGblrTest, BeatsDataFreeAndWhitenedSvd) {
  for (auto [seed, keep] :
       {std::pair<uint64_t, double>{1, 0.25}, {2, 0.5}, {3, 0.75}}) {
    weight = makeTrainedLike(48, 64, seed);
    options.budget = getGblrBudget(48, 64, keep);
    double reported = 0;
    auto calibrated =
        factorizeGblr(weight.ref(), options,
                      [&](int64_t, double error) { reported = error; });
    ASSERT_TRUE(calibrated) << calibrated.error();
    EXPECT_TRUE(checkGblrFactors(calibrated->factors));
    EXPECT_LE(calibrated->factors.getNumParameters(), options.budget);
    for (const GblrComponent &c : calibrated->factors.components) {
      EXPECT_GE(c.getNumParameters(), options.minComponentParameters);
      EXPECT_LE(c.getNumParameters(),
                c.rows * c.cols + std::min(c.rows, c.cols));
    }
    std::vector<float> dense = reconstruct(calibrated->factors);
    double error = getError(dense);
    EXPECT_NEAR(reported, error, 1e-3 * error);
    EXPECT_NEAR(*calibrated->outputError,
                getWeightedError(weight, dense, moments, 0), 1e-5);

    GblrOptions other = options;
    other.inputMoments.reset();
    auto dataFree = factorizeGblr(weight.ref(), other);
    ASSERT_TRUE(dataFree);
    EXPECT_FALSE(dataFree->outputError);
    EXPECT_LT(error, 0.9 * getError(reconstruct(dataFree->factors))) << keep;
    EXPECT_GT(calibrated->relativeError, dataFree->relativeError);

    BlastOptions svdOptions;
    svdOptions.bOut = svdOptions.bIn = 1;
    svdOptions.rank = options.budget / (48 + 64);
    svdOptions.inputMoments = options.inputMoments;
    auto svd = factorizeBlast(weight.ref(), svdOptions);
    ASSERT_TRUE(svd);
    EXPECT_LT(error, 0.97 * getError(reconstruct(svd->factors))) << keep;
  }
}

// Where whitened low rank is exact there is nothing to gain on it.
TEST_F(CalibratedGblrTest, NeverWorseThanWhitenedSvd) {
  weight = {48, 64, reconstruct(makeFactors(1, 1, 48, 64, 6, 9))};
  options.budget = 6 * (48 + 64);
  auto result = factorizeGblr(weight.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_LE(*result->outputError, 1e-4);
}

TEST_F(CalibratedGblrTest, IdentityIsDataFree) {
  TestMatrix identity{64, 64, std::vector<float>(64 * 64)};
  for (int64_t i = 0; i < 64; ++i)
    identity.values[i * 65] = 1;
  options.inputMoments = InputMoments{identity.ref(), 64};
  auto calibrated = factorizeGblr(weight.ref(), options);
  ASSERT_TRUE(calibrated) << calibrated.error();
  EXPECT_NEAR(*calibrated->outputError, calibrated->relativeError, 1e-6);
  options.inputMoments.reset();
  auto dataFree = factorizeGblr(weight.ref(), options);
  ASSERT_TRUE(dataFree);
  EXPECT_LE(calibrated->relativeError, dataFree->relativeError + 1e-6);
  EXPECT_GE(calibrated->relativeError, 0.9 * dataFree->relativeError);
}

// No other u, and no other v, in the same intervals makes the error much
// smaller.
TEST_F(CalibratedGblrTest, FactorsSolveTheNormalEquations) {
  weight = makeTrainedLike(24, 32, 4);
  moments = makeMoments(32, 200, 5);
  options.budget = getGblrBudget(24, 32, 0.4);
  options.minComponentParameters = 12;
  options.inputMoments = InputMoments{moments.ref(), 200};
  auto result = factorizeGblr(weight.ref(), options);
  ASSERT_TRUE(result) << result.error();
  ASSERT_GT(result->factors.components.size(), 2u);
  double error = getError(reconstruct(result->factors));
  for (auto factor : {&GblrFactors::u, &GblrFactors::v}) {
    double optimum = getOptimalError(weight, result->factors, factor, moments,
                                     options.damping);
    EXPECT_LE(error, 1.005 * optimum);
    EXPECT_GE(error, 0.999 * optimum);
  }
}

TEST_F(CalibratedGblrTest, FewSamplesAreDamped) {
  TestMatrix few = makeMoments(64, 16, 3);
  options.inputMoments = InputMoments{few.ref(), 16};
  auto result = factorizeGblr(weight.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_LT(*result->outputError, 0.2);
  options.damping = 0;
  result = factorizeGblr(weight.ref(), options);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().find("not positive definite"), std::string::npos);
}

TEST_F(CalibratedGblrTest, OddShapes) {
  for (auto [rows, cols] : {std::pair<int64_t, int64_t>{1, 40},
                            {40, 1},
                            {2, 2},
                            {3, 50},
                            {17, 13},
                            {10, 400}})
    for (int64_t smallest : {1, 32}) {
      TestMatrix matrix = makeNormalMatrix(rows, cols, 9);
      TestMatrix moments = makeMoments(cols, cols + 2, 10);
      options.inputMoments = InputMoments{moments.ref(), cols + 2};
      options.minComponentParameters = smallest;
      options.budget = rows * cols - 1;
      options.maxIterations = 3;
      if (options.budget <
          std::min<int64_t>(std::max<int64_t>(smallest, 2), rows + cols))
        continue;
      auto result = factorizeGblr(matrix.ref(), options);
      ASSERT_TRUE(result) << result.error();
      EXPECT_TRUE(checkGblrFactors(result->factors));
      EXPECT_LE(result->factors.getNumParameters(), options.budget);
      EXPECT_LT(*result->outputError, 1) << rows << " x " << cols;
    }
}

TEST_F(CalibratedGblrTest, ZeroMatrix) {
  TestMatrix zero{48, 64, std::vector<float>(48 * 64)};
  auto result = factorizeGblr(zero.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->factors.getNumParameters(), 0);
  EXPECT_EQ(result->outputError, 0);
}

TEST_F(CalibratedGblrTest, SameOnAnyNumberOfThreads) {
  int previous = omp_get_max_threads();
  options.maxIterations = 3;
  omp_set_num_threads(1);
  auto one = factorizeGblr(weight.ref(), options);
  omp_set_num_threads(3);
  auto three = factorizeGblr(weight.ref(), options);
  omp_set_num_threads(previous);
  ASSERT_TRUE(one && three);
  EXPECT_EQ(one->factors.u, three->factors.u);
  EXPECT_EQ(one->factors.v, three->factors.v);
  EXPECT_EQ(one->outputError, three->outputError);
}

TEST_F(CalibratedGblrTest, Errors) {
  auto getMessage = [&] {
    auto checked = checkGblr(weight.ref(), options);
    return checked ? std::string("no error") : checked.error();
  };
  EXPECT_EQ(getMessage(), "no error");
  options.inputMoments->numSamples = 15;
  EXPECT_EQ(getMessage(), "second moments of the inputs: 15 samples are too "
                          "few; 64 input features take at least 16");
  options.inputMoments->numSamples = 500;
  for (double damping : {-1.0, std::nan("")}) {
    options.damping = damping;
    EXPECT_NE(getMessage().find("the damping must be"), std::string::npos);
  }
  options.damping = 0.01;
  options.method = GblrMethod::EnergyRuns;
  EXPECT_EQ(getMessage(),
            "only the greedy method takes second moments of the inputs");
  options.method = GblrMethod::Greedy;
  options.inputMoments->matrix.cols = 63;
  EXPECT_EQ(getMessage(), "second moments of the inputs: the matrix is 64 x "
                          "63, not 64 x 64");
  options.inputMoments->matrix.cols = 64;
  moments.values[2 * 64 + 3] = std::nanf("");
  EXPECT_EQ(getMessage(), "second moments of the inputs: the matrix has a NaN "
                          "at row 2, column 3");
  EXPECT_FALSE(factorizeGblr(weight.ref(), options));
}

TEST_F(CalibratedGblrTest, WorkFilesBelongToTheMoments) {
  std::filesystem::path directory =
      std::filesystem::path(testing::TempDir()) / "calibrated-gblr-test";
  std::filesystem::remove_all(directory);
  options.maxIterations = 1;
  auto run = [&] {
    return factorizeToDirectory(directory.string(), "fc", weight.ref(),
                                options);
  };
  Result<GblrLayerResult> first = run(), second = run();
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->reused);
  EXPECT_TRUE(second->reused);
  EXPECT_EQ(first->factors.u, second->factors.u);
  ASSERT_TRUE(first->outputError);
  EXPECT_EQ(first->outputError, second->outputError);

  moments.values[0] *= 2;
  EXPECT_FALSE(run()->reused);
  EXPECT_TRUE(run()->reused);
  options.damping = 0.02;
  EXPECT_FALSE(run()->reused);
  options.inputMoments.reset();
  Result<GblrLayerResult> dataFree = run();
  ASSERT_TRUE(dataFree);
  EXPECT_FALSE(dataFree->reused);
  EXPECT_FALSE(dataFree->outputError);
  std::filesystem::remove_all(directory);
}
