//===- AllocationTest.cpp - Tests of sharing a budget ---------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Allocation.h"
#include "Structured/Factorization/Random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace structured;

static int64_t getCost(const std::vector<std::vector<Choice>> &layers,
                       const std::vector<size_t> &chosen) {
  int64_t cost = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer)
    cost += layers[layer][chosen[layer]].cost;
  return cost;
}

static double getLoss(const std::vector<std::vector<Choice>> &layers,
                      const std::vector<size_t> &chosen) {
  double loss = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer)
    loss += layers[layer][chosen[layer]].loss;
  return loss;
}

TEST(AllocationTest, SpendsWhereItSavesMost) {
  // The second layer saves 9 for 10, the first 1 for 10.
  std::vector<std::vector<Choice>> layers = {{{10, 2}, {20, 1}},
                                             {{10, 10}, {20, 1}}};
  EXPECT_EQ(*allocateBudget(layers, 30), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(*allocateBudget(layers, 29), (std::vector<size_t>{0, 0}));
  EXPECT_EQ(*allocateBudget(layers, 1000), (std::vector<size_t>{1, 1}));
}

TEST(AllocationTest, LeavesOutDominatedAndConcaveChoices) {
  // Choice 1 costs more than choice 2 and loses more, 3 lies above the hull.
  std::vector<std::vector<Choice>> layers = {
      {{0, 10}, {6, 9}, {5, 4}, {9, 3.9}, {10, 0}}};
  EXPECT_EQ(*allocateBudget(layers, 9), (std::vector<size_t>{2}));
  EXPECT_EQ(*allocateBudget(layers, 10), (std::vector<size_t>{4}));
}

TEST(AllocationTest, WithinOneStepOfTheBestOfAll) {
  NormalGenerator normal(1);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<std::vector<Choice>> layers(5);
    double largestStep = 0;
    for (std::vector<Choice> &choices : layers) {
      double scale = 1 + std::fabs(normal()), rate = 1 + std::fabs(normal());
      for (int64_t cost = 1; cost <= 6; ++cost)
        choices.push_back({cost, scale * std::exp(-rate * cost)});
      largestStep =
          std::max(largestStep, choices.front().loss - choices.back().loss);
    }
    int64_t budget = 8 + trial % 20;
    double best = std::numeric_limits<double>::infinity();
    for (int64_t code = 0; code < 6 * 6 * 6 * 6 * 6; ++code) {
      std::vector<size_t> chosen;
      for (int64_t rest = code; chosen.size() < 5; rest /= 6)
        chosen.push_back(rest % 6);
      if (getCost(layers, chosen) <= budget)
        best = std::min(best, getLoss(layers, chosen));
    }
    Result<std::vector<size_t>> found = allocateBudget(layers, budget);
    ASSERT_TRUE(found);
    EXPECT_LE(getCost(layers, *found), budget);
    // All steps cost 1 and the losses are convex: the greedy choice is optimal.
    EXPECT_NEAR(getLoss(layers, *found), best, 1e-12);
  }
}

TEST(AllocationTest, Errors) {
  EXPECT_NE(allocateBudget({{}}, 1).error().find("layer 0 has no choice"),
            std::string::npos);
  EXPECT_NE(allocateBudget({{{1, 1}}, {{-1, 1}}}, 9).error().find("layer 1"),
            std::string::npos);
  EXPECT_NE(allocateBudget({{{1, std::nan("")}}}, 9).error().find("no number"),
            std::string::npos);
  EXPECT_EQ(allocateBudget({{{3, 1}}, {{4, 1}}}, 6).error(),
            "the budget of 6 is below the least possible cost, 7");
  EXPECT_TRUE(allocateBudget({}, 0));
}

TEST(AllocateLossTest, GivesUpWhereItSavesMost) {
  // Going back, the first layer loses 1 for 10, the second 9 for 10.
  std::vector<std::vector<Choice>> layers = {{{10, 2}, {20, 1}},
                                             {{10, 10}, {20, 1}}};
  EXPECT_EQ(*allocateLoss(layers, 2), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(*allocateLoss(layers, 3), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(*allocateLoss(layers, 11.5), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(*allocateLoss(layers, 12), (std::vector<size_t>{0, 0}));
  // A step that does not fit does not keep a smaller one from being taken.
  layers = {{{0, 5}, {50, 0}}, {{0, 1}, {1, 0}}};
  EXPECT_EQ(*allocateLoss(layers, 2), (std::vector<size_t>{1, 0}));
}

TEST(AllocateLossTest, LeavesOutDominatedAndConcaveChoices) {
  std::vector<std::vector<Choice>> layers = {
      {{0, 10}, {6, 9}, {5, 4}, {9, 3.9}, {10, 0}}};
  EXPECT_EQ(*allocateLoss(layers, 3.95), (std::vector<size_t>{4}));
  EXPECT_EQ(*allocateLoss(layers, 4), (std::vector<size_t>{2}));
  EXPECT_EQ(*allocateLoss(layers, 9), (std::vector<size_t>{2}));
  EXPECT_EQ(*allocateLoss(layers, 10), (std::vector<size_t>{0}));
}

TEST(AllocateLossTest, WithinOneStepOfTheBestOfAll) {
  NormalGenerator normal(2);
  for (int trial = 0; trial < 20; ++trial) {
    // Convex losses of costs of different steps: every choice is on a hull.
    std::vector<std::vector<Choice>> layers(5);
    double least = 0, most = 0;
    int64_t largestStep = 0;
    for (std::vector<Choice> &choices : layers) {
      double scale = 1 + std::fabs(normal()), rate = 1 + std::fabs(normal());
      auto step = static_cast<int64_t>(1 + 3 * std::fabs(normal()));
      largestStep = std::max(largestStep, step);
      for (int64_t k = 1; k <= 6; ++k)
        choices.push_back({step * k, scale * std::exp(-rate * k)});
      least += choices.back().loss;
      most += choices.front().loss;
    }
    double bound = least * std::pow(most / least, (trial + 0.5) / 20);
    Result<std::vector<size_t>> found = allocateLoss(layers, bound);
    ASSERT_TRUE(found);
    EXPECT_LE(getLoss(layers, *found), bound);
    int64_t cheapest = std::numeric_limits<int64_t>::max();
    for (int64_t code = 0; code < 6 * 6 * 6 * 6 * 6; ++code) {
      std::vector<size_t> chosen;
      for (int64_t rest = code; chosen.size() < 5; rest /= 6)
        chosen.push_back(rest % 6);
      if (getLoss(layers, chosen) <= bound)
        cheapest = std::min(cheapest, getCost(layers, chosen));
    }
    // What the bound leaves unused is less than a step.
    EXPECT_LT(getCost(layers, *found), cheapest + largestStep);
  }
}

TEST(AllocateLossTest, MirrorsTheBudget) {
  // Equal steps and convex losses: the budget that a bound takes loses no more
  // than it, one less would.
  NormalGenerator normal(3);
  std::vector<std::vector<Choice>> layers(8);
  for (std::vector<Choice> &choices : layers) {
    double scale = 1 + std::fabs(normal()), rate = 1 + std::fabs(normal());
    for (int64_t cost = 0; cost <= 9; ++cost)
      choices.push_back({cost, scale * std::exp(-rate * cost)});
  }
  for (double bound : {0.01, 0.1, 1.0, 5.0}) {
    Result<std::vector<size_t>> found = allocateLoss(layers, bound);
    ASSERT_TRUE(found);
    int64_t cost = getCost(layers, *found);
    EXPECT_LE(getLoss(layers, *allocateBudget(layers, cost)), bound + 1e-12);
    EXPECT_GT(getLoss(layers, *allocateBudget(layers, cost - 1)), bound);
  }
}

TEST(AllocateLossTest, Errors) {
  EXPECT_NE(allocateLoss({{}}, 1).error().find("layer 0 has no choice"),
            std::string::npos);
  EXPECT_EQ(allocateLoss({{{3, 1}}, {{4, 0.25}, {2, 3}}}, 1).error(),
            "the bound of the loss, 1, is below the least possible loss, 1.25");
  EXPECT_EQ(allocateLoss({{{3, 1}}}, -1).error(),
            "the bound of the loss must be a number of at least 0");
  EXPECT_EQ(allocateLoss({{{3, 1}}}, std::nan("")).error(),
            "the bound of the loss must be a number of at least 0");
  EXPECT_TRUE(allocateLoss({{{3, 1}}, {{4, 0.25}, {2, 3}}}, 1.25));
  EXPECT_TRUE(allocateLoss({}, 0));
}

TEST(ErrorCurveTest, InterpolatesLogarithms) {
  ErrorCurve curve;
  curve.add(10, 0.1);
  curve.add(30, 0.01);
  EXPECT_EQ(curve.getLargestCost(), 30);
  EXPECT_NEAR(curve.getSquaredError(0), 1, 1e-12);
  EXPECT_NEAR(curve.getSquaredError(5), 0.1, 1e-9);
  EXPECT_NEAR(curve.getSquaredError(10), 1e-2, 1e-12);
  EXPECT_NEAR(curve.getSquaredError(20), 1e-3, 1e-9);
  EXPECT_NEAR(curve.getSquaredError(30), 1e-4, 1e-12);
}

TEST(ErrorCurveTest, FallsMonotonically) {
  ErrorCurve curve;
  curve.add(4, 0.3);
  curve.add(8, 0.4);
  curve.add(9, 0);
  EXPECT_NEAR(curve.getSquaredError(8), 0.09, 1e-12);
  EXPECT_NEAR(curve.getSquaredError(9), 1e-12, 1e-15);
}
