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
#include <sstream>
#include <string>
#include <tuple>

using namespace structured;

static std::string toText(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

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

namespace {
/// A step along a layer's hull.
struct Step {
  size_t layer, from, to;
  double saving; ///< of loss, per cost
};

struct Hulls {
  /// Of each layer, the indices of the cheapest choice and of that of the least
  /// loss.
  std::vector<size_t> cheapest, best;
  /// Those that save most come first. Along a hull savings fall: the steps of a
  /// layer are in order.
  std::vector<Step> steps;
};
} // namespace

/// The steps along the hulls of all layers; or what is wrong with the choices.
static Result<Hulls> getHulls(const std::vector<std::vector<Choice>> &layers) {
  Hulls hulls;
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
    hulls.cheapest.push_back(hull.front());
    hulls.best.push_back(hull.back());
    for (size_t i = 1; i < hull.size(); ++i) {
      const Choice &from = choices[hull[i - 1]], &to = choices[hull[i]];
      hulls.steps.push_back(
          {layer, hull[i - 1], hull[i],
           (from.loss - to.loss) / static_cast<double>(to.cost - from.cost)});
    }
  }
  std::sort(hulls.steps.begin(), hulls.steps.end(),
            [](const Step &a, const Step &b) {
              return std::tie(b.saving, a.layer, a.to) <
                     std::tie(a.saving, b.layer, b.to);
            });
  return hulls;
}

Result<std::vector<size_t>>
structured::allocateBudget(const std::vector<std::vector<Choice>> &layers,
                           int64_t budget) {
  Result<Hulls> hulls = getHulls(layers);
  if (!hulls)
    return Error{hulls.error()};
  std::vector<size_t> chosen = hulls->cheapest;
  int64_t cost = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer)
    cost += layers[layer][chosen[layer]].cost;
  if (cost > budget)
    return Error{"the budget of " + std::to_string(budget) +
                 " is below the least possible cost, " + std::to_string(cost)};
  for (const Step &step : hulls->steps) {
    int64_t extra =
        layers[step.layer][step.to].cost - layers[step.layer][step.from].cost;
    if (chosen[step.layer] != step.from || cost + extra > budget)
      continue;
    chosen[step.layer] = step.to;
    cost += extra;
  }
  return chosen;
}

Result<std::vector<size_t>>
structured::allocateLoss(const std::vector<std::vector<Choice>> &layers,
                         double maxLoss) {
  Result<Hulls> hulls = getHulls(layers);
  if (!hulls)
    return Error{hulls.error()};
  if (!(maxLoss >= 0) || !std::isfinite(maxLoss))
    return Error{"the bound of the loss must be a number of at least 0"};
  std::vector<size_t> chosen = hulls->best;
  double loss = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer)
    loss += layers[layer][chosen[layer]].loss;
  if (loss > maxLoss)
    return Error{"the bound of the loss, " + toText(maxLoss) +
                 ", is below the least possible loss, " + toText(loss)};
  for (auto step = hulls->steps.rbegin(); step != hulls->steps.rend(); ++step) {
    double extra = layers[step->layer][step->from].loss -
                   layers[step->layer][step->to].loss;
    if (chosen[step->layer] != step->to || loss + extra > maxLoss)
      continue;
    chosen[step->layer] = step->from;
    loss += extra;
  }
  return chosen;
}

void ErrorCurve::add(int64_t cost, double relativeError) {
  assert(cost > points.back().cost && "costs must ascend");
  double logSquaredError =
      std::log(std::max(relativeError * relativeError, 1e-12));
  points.push_back(
      {cost, std::min(logSquaredError, points.back().logSquaredError)});
}

double ErrorCurve::getSquaredError(int64_t cost) const {
  assert(cost >= 0 && cost <= getLargestCost() && "outside of the curve");
  auto right = std::lower_bound(
      points.begin(), points.end(), cost,
      [](const Point &point, int64_t value) { return point.cost < value; });
  if (right->cost == cost)
    return std::exp(right->logSquaredError);
  auto left = std::prev(right);
  double share = static_cast<double>(cost - left->cost) /
                 static_cast<double>(right->cost - left->cost);
  return std::exp((1 - share) * left->logSquaredError +
                  share * right->logSquaredError);
}
