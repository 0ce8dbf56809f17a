//===- GblrTest.cpp - Tests of GBLR factors -------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Gblr.h"

#include "Structured/Factorization/BlockLowRank.h"
#include "TestMatrices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include <omp.h>

using namespace structured;

namespace {

/// Random intervals, empty, full and around the end alike.
std::vector<GblrComponent> makeComponents(int64_t m, int64_t n, int64_t count,
                                          int64_t maxRank, uint64_t seed) {
  std::mt19937_64 engine(seed);
  auto draw = [&](int64_t limit) {
    return static_cast<int64_t>(engine() % limit);
  };
  std::vector<GblrComponent> components;
  for (int64_t k = 0; k < count; ++k)
    components.push_back(
        {draw(m), draw(m + 1), draw(n), draw(n + 1), draw(maxRank + 1)});
  return components;
}

/// The loop over the definition.
std::vector<float> reconstructNaively(const GblrFactors &f) {
  std::vector<double> dense(f.m * f.n);
  int64_t uOffset = 0, vOffset = 0;
  for (const GblrComponent &c : f.components) {
    for (int64_t k = 0; k < c.rank; ++k)
      for (int64_t i = 0; i < c.rows; ++i)
        for (int64_t j = 0; j < c.cols; ++j)
          dense[(c.rowStart + i) % f.m * f.n + (c.colStart + j) % f.n] +=
              static_cast<double>(f.u[uOffset + k * c.rows + i]) *
              f.v[vOffset + k * c.cols + j];
    uOffset += c.rank * c.rows;
    vOffset += c.rank * c.cols;
  }
  return {dense.begin(), dense.end()};
}

/// What every result keeps.
void expectSound(const TestMatrix &matrix, const GblrOptions &options,
                 const GblrResult &result) {
  auto checked = checkGblrFactors(result.factors);
  EXPECT_TRUE(checked) << checked.error();
  EXPECT_LE(result.factors.getNumParameters(), options.budget);
  for (const GblrComponent &c : result.factors.components) {
    EXPECT_GE(c.getNumParameters(),
              std::min(options.minComponentParameters, matrix.rows));
    EXPECT_LE(c.getNumParameters(), c.rows * c.cols + std::min(c.rows, c.cols));
  }
  std::vector<float> naive = reconstructNaively(result.factors);
  EXPECT_NEAR(getRelativeError(matrix.ref(), naive.data()),
              result.relativeError, 1e-6);
}

/// Factorises a matrix that is exact with `parameters` parameters, given
/// `slack` times as many.
double findPlanted(const TestMatrix &matrix, int64_t parameters, double slack,
                   int64_t minComponentParameters) {
  GblrOptions options;
  options.budget = static_cast<int64_t>(slack * parameters);
  options.minComponentParameters = minComponentParameters;
  auto result = factorizeGblr(matrix.ref(), options);
  EXPECT_TRUE(result) << result.error();
  if (!result)
    return INFINITY;
  expectSound(matrix, options, *result);
  return result->relativeError;
}

TestMatrix toMatrix(const GblrFactors &factors) {
  return {factors.m, factors.n, reconstructNaively(factors)};
}

} // namespace

TEST(GblrTest, ReconstructsRandomLayouts) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    int64_t m = 1 + static_cast<int64_t>(seed * 7 % 23);
    int64_t n = 1 + static_cast<int64_t>(seed * 5 % 19);
    GblrFactors factors =
        makeGblr(m, n, makeComponents(m, n, seed % 9, 3, seed), seed);
    ASSERT_TRUE(checkGblrFactors(factors));
    std::vector<float> expected = reconstructNaively(factors);
    std::vector<float> dense = reconstruct(factors);
    ASSERT_EQ(dense.size(), expected.size());
    for (size_t i = 0; i < dense.size(); ++i)
      ASSERT_NEAR(dense[i], expected[i], 1e-4) << "seed " << seed;
    int64_t parameters = 0;
    for (const GblrComponent &c : factors.components)
      parameters += c.rank * (c.rows + c.cols);
    EXPECT_EQ(factors.getNumParameters(), parameters);
  }
}

TEST(GblrTest, ChecksFactors) {
  auto errorOf = [](GblrComponent component, int64_t missing = 0) {
    GblrFactors factors{12, 8, {component}, {}, {}};
    factors.u.resize(
        std::max<int64_t>(component.rank * component.rows - missing, 0));
    factors.v.resize(std::max<int64_t>(component.rank * component.cols, 0));
    auto checked = checkGblrFactors(factors);
    return checked ? std::string("(accepted)") : checked.error();
  };
  EXPECT_EQ(errorOf({10, 4, 7, 3, 2}), "(accepted)");
  EXPECT_EQ(errorOf({0, 0, 0, 0, 0}), "(accepted)");
  std::string rows = "component 0: its rows do not lie in the matrix's period";
  EXPECT_EQ(errorOf({12, 1, 0, 1, 1}), rows);
  EXPECT_EQ(errorOf({-1, 1, 0, 1, 1}), rows);
  EXPECT_EQ(errorOf({0, 13, 0, 1, 1}), rows);
  EXPECT_EQ(errorOf({0, 1, 8, 1, 1}),
            "component 0: its columns do not lie in the matrix's period");
  EXPECT_EQ(errorOf({0, 1, 0, 1, -1}), "component 0: its rank is negative");
  EXPECT_EQ(errorOf({0, 4, 0, 3, 2}, 1),
            "the components ask for 8 numbers in U and 6 in V, there are 7 and "
            "6");
}

//===----------------------------------------------------------------------===//
// Planted structure is found
//===----------------------------------------------------------------------===//

TEST(GblrTest, FindsPlantedGblr) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::mt19937_64 engine(seed);
    auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(engine() % (high - low + 1));
    };
    std::vector<GblrComponent> components;
    for (int k = 0; k < 6; ++k)
      components.push_back(
          {draw(0, 95), draw(16, 48), draw(0, 79), draw(16, 40), draw(1, 2)});
    GblrFactors planted = makeGblr(96, 80, components, seed);
    EXPECT_LE(
        findPlanted(toMatrix(planted), planted.getNumParameters(), 1.5, 16),
        1e-3)
        << "seed " << seed;
  }
}

/// Intervals of rows and columns that wrap around, alone in the matrix.
TEST(GblrTest, FindsPeriodicIntervals) {
  GblrFactors planted = makeGblr(64, 48, {{50, 30, 40, 20, 1}}, 1);
  TestMatrix matrix = toMatrix(planted);
  GblrOptions options;
  options.budget = planted.getNumParameters();
  auto result = factorizeGblr(matrix.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_LE(result->relativeError, 1e-5);
  ASSERT_EQ(result->factors.components.size(), 1u);
  const GblrComponent &found = result->factors.components[0];
  EXPECT_EQ(found.rowStart, 50);
  EXPECT_EQ(found.rows, 30);
  EXPECT_EQ(found.colStart, 40);
  EXPECT_EQ(found.cols, 20);
  EXPECT_EQ(found.rank, 1);
}

/// Dense blocks: one strip of 1 × 24 for each row of a block, 25 parameters.
TEST(GblrTest, FindsPlantedBlockSparse) {
  TestMatrix matrix = makeNormalMatrix(96, 96, 2);
  auto isDense = [](int64_t i, int64_t j) { return (i * 3 + j) % 4 == 0; };
  for (int64_t row = 0; row < 96; ++row)
    for (int64_t col = 0; col < 96; ++col)
      if (!isDense(row / 24, col / 24))
        matrix.values[row * 96 + col] = 0;
  EXPECT_LE(findPlanted(matrix, 96 * 25, 1, 16), 1e-3);
}

TEST(GblrTest, FindsPlantedBlockLowRank) {
  BlockLowRankFactors planted;
  NormalGenerator normal(3);
  planted.bOut = planted.bIn = 4;
  planted.p = 24;
  planted.q = 20;
  planted.r = 3;
  planted.u = makeNormal(16 * 24 * 3, normal);
  planted.vt = makeNormal(16 * 20 * 3, normal);
  TestMatrix matrix{96, 80, reconstruct(planted)};
  EXPECT_LE(findPlanted(matrix, planted.getNumParameters(), 1, 32), 1e-3);
}

TEST(GblrTest, FindsPlantedBand) {
  TestMatrix matrix = makeNormalMatrix(128, 128, 4);
  int64_t parameters = 128;
  for (int64_t row = 0; row < 128; ++row)
    for (int64_t col = 0; col < 128; ++col)
      if (std::abs(row - col) > 16)
        matrix.values[row * 128 + col] = 0;
      else
        ++parameters;
  EXPECT_LE(findPlanted(matrix, parameters, 1, 16), 1e-3);
}

//===----------------------------------------------------------------------===//
// Quality
//===----------------------------------------------------------------------===//

/// At the parameters of each rival no worse; on a slowly decaying spectrum
/// without structure better than all.
TEST(GblrTest, NeverWorseThanLowRankAndBlockLowRank) {
  for (bool trained : {true, false}) {
    TestMatrix matrix =
        trained ? makeTrainedLike(96, 64, 5) : makeNormalMatrix(96, 64, 5);
    for (double keep : {0.25, 0.5, 0.75})
      for (int64_t blocks : {1, 2, 4}) {
        auto rival = factorizeBlockLowRank(
            matrix.ref(), blocks, blocks,
            getBlockLowRankRank(96, 64, blocks, blocks, keep));
        ASSERT_TRUE(rival) << rival.error();
        GblrOptions options;
        options.budget = rival->getNumParameters();
        options.maxIterations = 2;
        auto result = factorizeGblr(matrix.ref(), options);
        ASSERT_TRUE(result) << result.error();
        expectSound(matrix, options, *result);
        EXPECT_LE(result->relativeError,
                  getRelativeError(matrix.ref(), reconstruct(*rival).data()) +
                      1e-6)
            << keep << " " << blocks;
      }
  }
}

TEST(GblrTest, GreedyBeatsEnergyRunsAndLowRank) {
  TestMatrix matrix = makeTrainedLike(128, 96, 6);
  GblrOptions options;
  options.budget = getGblrBudget(128, 96, 0.5);
  auto greedy = factorizeGblr(matrix.ref(), options);
  ASSERT_TRUE(greedy) << greedy.error();
  options.method = GblrMethod::EnergyRuns;
  auto runs = factorizeGblr(matrix.ref(), options);
  ASSERT_TRUE(runs) << runs.error();
  expectSound(matrix, options, *runs);
  auto svd = factorizeLowRank(matrix.ref(), options.budget / (128 + 96));
  double svdError = getRelativeError(matrix.ref(), reconstruct(*svd).data());
  // The baseline's threshold of 0 is the truncated SVD by power iteration.
  EXPECT_LE(runs->relativeError, 1.05 * svdError);
  EXPECT_LE(greedy->relativeError, 0.95 * svdError);
  EXPECT_LT(greedy->relativeError, runs->relativeError);
}

TEST(GblrTest, IndependentOfThreads) {
  TestMatrix matrix = makeTrainedLike(72, 56, 7);
  GblrOptions options;
  options.budget = getGblrBudget(72, 56, 0.4);
  for (GblrMethod method : {GblrMethod::EnergyRuns, GblrMethod::Greedy}) {
    options.method = method;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    auto one = factorizeGblr(matrix.ref(), options);
    omp_set_num_threads(3);
    auto three = factorizeGblr(matrix.ref(), options);
    omp_set_num_threads(threads);
    ASSERT_TRUE(one && three);
    EXPECT_EQ(one->factors.u, three->factors.u);
    EXPECT_EQ(one->factors.v, three->factors.v);
    EXPECT_EQ(one->relativeError, three->relativeError);
  }
}

TEST(GblrTest, ReportsProgress) {
  TestMatrix matrix = makeTrainedLike(48, 40, 8);
  GblrOptions options;
  options.budget = getGblrBudget(48, 40, 0.5);
  for (GblrMethod method : {GblrMethod::EnergyRuns, GblrMethod::Greedy}) {
    options.method = method;
    int64_t calls = 0;
    double lowest = 2;
    auto result = factorizeGblr(matrix.ref(), options,
                                [&](int64_t iteration, double error) {
                                  EXPECT_EQ(iteration, ++calls);
                                  EXPECT_LE(error, lowest);
                                  lowest = error;
                                });
    ASSERT_TRUE(result) << result.error();
    EXPECT_GE(calls, 2);
    EXPECT_NEAR(lowest, result->relativeError, 1e-4);
  }
}

//===----------------------------------------------------------------------===//
// Edges and refusals
//===----------------------------------------------------------------------===//

TEST(GblrTest, OddShapes) {
  for (auto [rows, cols] :
       {std::pair<int64_t, int64_t>{1, 40}, {40, 1}, {2, 2}, {3, 50}, {17, 13}})
    for (int64_t smallest : {1, 32}) {
      TestMatrix matrix = makeNormalMatrix(rows, cols, 9);
      for (GblrMethod method : {GblrMethod::EnergyRuns, GblrMethod::Greedy}) {
        GblrOptions options;
        options.method = method;
        options.minComponentParameters = smallest;
        options.budget = rows * cols - 1;
        auto result = factorizeGblr(matrix.ref(), options);
        if (options.budget <
            std::min<int64_t>(std::max<int64_t>(smallest, 2), rows + cols)) {
          EXPECT_FALSE(result);
          continue;
        }
        ASSERT_TRUE(result) << result.error();
        EXPECT_TRUE(checkGblrFactors(result->factors));
        EXPECT_LE(result->factors.getNumParameters(), options.budget);
        EXPECT_LT(result->relativeError, 1);
      }
    }
}

TEST(GblrTest, ZeroMatrix) {
  TestMatrix matrix{20, 30, std::vector<float>(600)};
  GblrOptions options;
  options.budget = 300;
  auto result = factorizeGblr(matrix.ref(), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->factors.getNumParameters(), 0);
  EXPECT_EQ(result->relativeError, 0);
  EXPECT_EQ(reconstruct(result->factors), matrix.values);
}

TEST(GblrTest, Refusals) {
  TestMatrix matrix = makeNormalMatrix(12, 8, 10);
  GblrOptions options;
  options.budget = 48;
  auto errorOf = [&] {
    auto result = factorizeGblr(matrix.ref(), options);
    return result ? std::string("(accepted)") : result.error();
  };
  EXPECT_EQ(errorOf(), "(accepted)");
  options.budget = 19;
  EXPECT_EQ(errorOf(), "a budget of 19 parameters is too small: the smallest "
                       "component has 20");
  options.budget = 96;
  EXPECT_EQ(errorOf(), "a budget of 96 parameters is too large: the dense "
                       "matrix has 96");
  options.budget = 48;
  options.minComponentParameters = 0;
  EXPECT_EQ(errorOf(), "the smallest component must have at least 1 parameter, "
                       "not 0");
  options.minComponentParameters = 32;
  options.maxIterations = -1;
  EXPECT_EQ(errorOf(), "-1 iterations are too few");
  options.maxIterations = 6;
  float kept = std::exchange(matrix.values[9], INFINITY);
  EXPECT_EQ(errorOf(), "the matrix has an infinity at row 1, column 1");
  matrix.values[9] = std::nanf("");
  EXPECT_EQ(errorOf(), "the matrix has a NaN at row 1, column 1");
  matrix.values[9] = kept;
  auto empty = factorizeGblr({matrix.values.data(), 0, 8}, options);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error(), "the matrix is empty: 0 x 8");
}

TEST(GblrTest, BudgetsAndNames) {
  EXPECT_EQ(getGblrBudget(384, 384, 0.5), 73728);
  EXPECT_EQ(getGblrBudget(3, 5, 0.5), 7);
  EXPECT_EQ(getGblrBudget(3, 5, NAN), 0);
  EXPECT_EQ(getGblrBudget(3, 5, -1), 0);
  EXPECT_EQ(getGblrBudget(3, 5, 9), 15);
  for (GblrMethod method : {GblrMethod::EnergyRuns, GblrMethod::Greedy})
    EXPECT_EQ(parseGblrMethod(getGblrMethodName(method)), method);
  EXPECT_EQ(parseGblrMethod("olb"), std::nullopt);
}
