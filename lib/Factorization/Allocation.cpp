//===- Allocation.cpp - A budget shared among layers ----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Allocation.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>
#include <numeric>
#include <string>
#include <tuple>

using namespace structured;

/// The choices on the lower convex hull, by ascending cost and falling loss.
static std::vector<size_t> getHull(const std::vector<Choice> &choices) {
  std::vector<size_t> order(choices.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(choices[a].cost, choices[a].loss, a) <
           std::tie(choices[b].cost, choices[b].loss, b);
  });
  auto getSaving = [&](size_t from, size_t to) {
    return (choices[from].loss - choices[to].loss) /
           static_cast<double>(choices[to].cost - choices[from].cost);
  };
  std::vector<size_t> hull;
  for (size_t choice : order) {
    if (!hull.empty() && choices[choice].loss >= choices[hull.back()].loss)
      continue;
    while (hull.size() >= 2 && getSaving(hull[hull.size() - 2], hull.back()) <=
                                   getSaving(hull.back(), choice))
      hull.pop_back();
    hull.push_back(choice);
  }
  return hull;
}

Result<std::vector<size_t>>
structured::allocateBudget(const std::vector<std::vector<Choice>> &layers,
                           int64_t budget) {
  struct Step {
    size_t layer, from, to;
    double saving; ///< of loss, per cost
  };
  std::vector<Step> steps;
  std::vector<size_t> chosen(layers.size());
  int64_t cost = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const std::vector<Choice> &choices = layers[layer];
    if (choices.empty())
      return Error{"layer " + std::to_string(layer) + " has no choice"};
    for (const Choice &choice : choices)
      if (choice.cost < 0 || !(choice.loss >= 0) || !std::isfinite(choice.loss))
        return Error{
            "layer " + std::to_string(layer) +
            " has a choice of negative cost or loss, or of a loss that "
            "is no number"};
    std::vector<size_t> hull = getHull(choices);
    chosen[layer] = hull.front();
    cost += choices[hull.front()].cost;
    for (size_t i = 1; i < hull.size(); ++i) {
      const Choice &from = choices[hull[i - 1]], &to = choices[hull[i]];
      steps.push_back(
          {layer, hull[i - 1], hull[i],
           (from.loss - to.loss) / static_cast<double>(to.cost - from.cost)});
    }
  }
  if (cost > budget)
    return Error{"the budget of " + std::to_string(budget) +
                 " is below the least possible cost, " + std::to_string(cost)};
  // Along a hull savings fall: the steps of a layer stay in order.
  std::sort(steps.begin(), steps.end(), [](const Step &a, const Step &b) {
    return std::tie(b.saving, a.layer, a.to) <
           std::tie(a.saving, b.layer, b.to);
  });
  for (const Step &step : steps) {
    int64_t extra =
        layers[step.layer][step.to].cost - layers[step.layer][step.from].cost;
    if (chosen[step.layer] != step.from || cost + extra > budget)
      continue;
    chosen[step.layer] = step.to;
    cost += extra;
  }
  return chosen;
}

void ErrorCurve::add(int64_t rank, double relativeError) {
  assert(rank > points.back().rank && "ranks must ascend");
  double logSquaredError =
      std::log(std::max(relativeError * relativeError, 1e-12));
  points.push_back(
      {rank, std::min(logSquaredError, points.back().logSquaredError)});
}

double ErrorCurve::getSquaredError(int64_t rank) const {
  assert(rank >= 0 && rank <= getLargestRank() && "outside of the curve");
  auto right = std::lower_bound(
      points.begin(), points.end(), rank,
      [](const Point &point, int64_t value) { return point.rank < value; });
  if (right->rank == rank)
    return std::exp(right->logSquaredError);
  auto left = std::prev(right);
  double share = static_cast<double>(rank - left->rank) /
                 static_cast<double>(right->rank - left->rank);
  return std::exp((1 - share) * left->logSquaredError +
                  share * right->logSquaredError);
}
