//===- GblrSolution.cpp - A sum of rank-1 units ---------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A solution is a list of rank-1 units and the residual W − Ŵ. With everything
// else fixed, a unit u·vᵀ on rows I and columns J is best improved in two exact
// half-steps. With R the residual plus the unit, and v of norm 1, the best u on
// any row is a = R[:, J]·v, and it lowers the squared error by Σ_I a_i²; so the
// interval of rows that minimises
//
//     ‖W − Ŵ‖_F² + λ·(parameters)
//
// is the one of the largest Σ_I (a_i² − λ): the maximum-sum subarray, here on a
// ring and between two lengths. The same holds for the columns. A unit whose
// λ-score, Σ a_i² − λ(|I| + |J|), is not positive does not pay and is dropped.
// New units come from the leading singular pairs of windows of the residual and
// from single rows and columns, improved in the same way. λ falls until the
// budget is spent. Units of the same intervals make up one component in the
// end.
//
// In the norm ‖·C^½‖_F, R·C takes the place of R in the products: with v of
// vᵀCv = 1, a = (R·C)[:, J]·v as before. For the columns, with u of norm 1 and
// t = uᵀ·(R·C), v = C_JJ⁻¹·t_J lowers the squared error by t_Jᵀ·C_JJ⁻¹·t_J;
// `Norm` finds the J where that is worth most. And as C couples all units of a
// row, all u, and all v, are also improved together.
//
//===----------------------------------------------------------------------===//

#include "GblrSolution.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

using namespace structured;
using namespace structured::gblr;

int64_t gblr::getSmallestComponent(MatrixRef weight,
                                   const GblrOptions &options) {
  return std::clamp<int64_t>(options.minComponentParameters, 2,
                             weight.rows + weight.cols);
}

int64_t gblr::getLargestRank(int64_t rows, int64_t cols) {
  return (rows * cols + std::min(rows, cols)) / (rows + cols);
}

/// Whether a unit that does not pay its price is dropped.
static bool mustPay(IntervalUpdate update) {
  return update == IntervalUpdate::Nearby || update == IntervalUpdate::Anywhere;
}

void Solution::updateGradient() {
  if (norm)
    norm->multiply(residual, gradient);
}

/// dense += sign · unit.
static void addUnit(const Unit &unit, float sign, MatrixRef shape,
                    std::vector<float> &dense) {
  int64_t n = shape.cols;
  forEachPart(unit.rows, shape.rows,
              [&](int64_t row, int64_t rows, int64_t uOffset) {
                for (int64_t i = 0; i < rows; ++i) {
                  float scale = sign * unit.u[uOffset + i];
                  float *line = dense.data() + (row + i) * n;
                  forEachPart(unit.cols, n,
                              [&](int64_t col, int64_t cols, int64_t vOffset) {
                                const float *v = unit.v.data() + vOffset;
                                for (int64_t j = 0; j < cols; ++j)
                                  line[col + j] += scale * v[j];
                              });
                }
              });
}

void Solution::applyToResidual(const Unit &unit, float sign) {
  int64_t n = weight.cols;
  addUnit(unit, sign, weight, residual);
  if (!norm)
    return;
  std::vector<float> product;
  norm->multiply(unit.cols, unit.v, product);
  forEachPart(unit.rows, weight.rows,
              [&](int64_t row, int64_t rows, int64_t offset) {
                for (int64_t i = 0; i < rows; ++i) {
                  float scale = sign * unit.u[offset + i];
                  float *line = gradient.data() + (row + i) * n;
                  for (int64_t j = 0; j < n; ++j)
                    line[j] += scale * product[j];
                }
              });
}

void Solution::multiplyRows(const Unit &unit, Interval rows,
                            std::vector<float> &result) const {
  int64_t n = weight.cols;
  result.assign(weight.rows, 0);
  forEachPart(rows, weight.rows, [&](int64_t row, int64_t count, int64_t) {
    forEachPart(unit.cols, n, [&](int64_t col, int64_t cols, int64_t offset) {
      multiplyVector(count, cols, {getGradient().data() + row * n + col, n},
                     unit.v.data() + offset, result.data() + row,
                     /*accumulate=*/true);
    });
  });
}

void Solution::multiplyCols(const Unit &unit, Interval cols,
                            std::vector<float> &result) const {
  int64_t n = weight.cols;
  result.assign(n, 0);
  forEachPart(cols, n, [&](int64_t col, int64_t count, int64_t) {
    forEachPart(
        unit.rows, weight.rows, [&](int64_t row, int64_t rows, int64_t offset) {
          multiplyVector(count, rows,
                         {getGradient().data() + row * n + col, n, true},
                         unit.u.data() + offset, result.data() + col,
                         /*accumulate=*/true);
        });
  });
}

/// Scales to norm 1; false if the vector is zero.
static bool normalize(std::vector<float> &values) {
  double norm = std::sqrt(
      dot(values.data(), values.data(), static_cast<int64_t>(values.size())));
  if (!(norm > 1e-30))
    return false;
  for (float &value : values)
    value = static_cast<float>(value / norm);
  return true;
}

double Solution::solveCols(Interval cols, std::vector<float> &target) const {
  return norm ? norm->solve(cols, target)
              : dot(target.data(), target.data(), cols.size);
}

bool Solution::normalizeCols(Unit &unit) const {
  if (!norm)
    return normalize(unit.v);
  double squared = norm->getSquaredNorm(unit.cols, unit.v);
  if (!(squared > 1e-60))
    return false;
  for (float &value : unit.v)
    value = static_cast<float>(value / std::sqrt(squared));
  return true;
}

bool Solution::fit(Unit &unit, double price, int64_t maxCost, int64_t steps,
                   IntervalUpdate update) const {
  std::vector<float> values;
  auto choose = [&](Interval current, Interval scope, int64_t otherSize) {
    if (update == IntervalUpdate::None)
      return current;
    std::vector<double> energies = getEnergies(values);
    int64_t minSize = std::max<int64_t>(smallest - otherSize, 1);
    int64_t maxSize =
        std::min(maxCost - otherSize, static_cast<int64_t>(energies.size()));
    if (update == IntervalUpdate::MoveEnds)
      return moveEnds(current, energies, price, minSize, maxSize);
    return findBestInterval(energies, scope, price, minSize, maxSize);
  };
  // The elements that the choice looks at.
  auto getScope = [update](Interval current, int64_t period) {
    if (update == IntervalUpdate::None)
      return current;
    return update == IntervalUpdate::Anywhere ? Interval{0, period}
                                              : widen(current, period);
  };
  for (int64_t step = 0; step < steps; ++step) {
    if (!normalizeCols(unit))
      return false;
    Interval scope = getScope(unit.rows, weight.rows);
    multiplyRows(unit, scope, values);
    unit.rows = choose(unit.rows, scope, unit.cols.size);
    unit.u = cut(values, unit.rows);
    if (unit.rows.size == 0 || !normalize(unit.u))
      return false;
    scope = getScope(unit.cols, weight.cols);
    multiplyCols(unit, scope, values);
    if (norm && update != IntervalUpdate::None)
      unit.cols = norm->findBestInterval(
          values, unit.cols, update == IntervalUpdate::Anywhere, price,
          smallest - unit.rows.size, maxCost - unit.rows.size);
    else
      unit.cols = choose(unit.cols, scope, unit.rows.size);
    unit.v = cut(values, unit.cols);
    if (unit.cols.size == 0)
      return false;
    unit.gain = solveCols(unit.cols, unit.v);
  }
  return !mustPay(update) ||
         unit.gain > price * static_cast<double>(unit.getCost());
}

void Solution::refit(double price, IntervalUpdate update) {
  size_t kept = 0;
  for (size_t k = 0; k < units.size(); ++k) {
    Unit &unit = units[k];
    applyToResidual(unit, 1);
    parameters -= unit.getCost();
    Unit fitted = unit;
    bool pays = fit(fitted, price, getRemaining(), 1, update);
    if (!pays && !mustPay(update)) {
      fitted = std::move(unit);
      pays = true;
    }
    if (!pays)
      continue;
    applyToResidual(fitted, -1);
    parameters += fitted.getCost();
    units[kept++] = std::move(fitted);
  }
  units.resize(kept);
}

void Solution::updateResidual() {
  std::copy_n(weight.data, residual.size(), residual.begin());
  for (const Unit &unit : units)
    addUnit(unit, -1, weight, residual);
  updateGradient();
}

void Solution::solveJointly(std::vector<float> Unit::*factor, int64_t steps) {
  bool isU = factor == &Unit::u;
  // The other factors of norm 1.
  for (Unit &unit : units) {
    std::vector<float> &other = isU ? unit.v : unit.u;
    double squared = isU && norm ? norm->getSquaredNorm(unit.cols, other)
                                 : dot(other.data(), other.data(),
                                       static_cast<int64_t>(other.size()));
    if (squared > 1e-60) {
      double scale = std::sqrt(squared);
      for (float &value : other)
        value = static_cast<float>(value / scale);
      for (float &value : unit.*factor)
        value = static_cast<float>(value * scale);
    }
  }
  updateResidual();

  std::vector<Unit> direction = units;
  std::vector<std::vector<float>> target(units.size());
  std::vector<float> values, change(residual.size()), product;
  double previous = 0;
  for (int64_t step = 0; step < steps; ++step) {
    // Minus half of the derivatives, and times the inverse of the diagonal
    // blocks, which are I for u and C on the unit's columns for v.
    std::vector<std::vector<float>> scaled(units.size());
    double current = 0;
    for (size_t k = 0; k < units.size(); ++k) {
      const Unit &unit = units[k];
      if (isU)
        multiplyRows(unit, unit.rows, values);
      else
        multiplyCols(unit, unit.cols, values);
      target[k] = cut(values, isU ? unit.rows : unit.cols);
      scaled[k] = target[k];
      current += isU ? dot(scaled[k].data(), scaled[k].data(), unit.rows.size)
                     : solveCols(unit.cols, scaled[k]);
    }
    if (!(current > 0))
      return;
    double slope = 0;
    std::fill(change.begin(), change.end(), 0.0f);
    for (size_t k = 0; k < units.size(); ++k) {
      std::vector<float> &along = direction[k].*factor;
      const std::vector<float> &other = isU ? units[k].v : units[k].u;
      (isU ? direction[k].v : direction[k].u) = other;
      for (size_t i = 0; i < along.size(); ++i)
        along[i] =
            scaled[k][i] +
            (step == 0 ? 0 : static_cast<float>(current / previous)) * along[i];
      slope += dot(along.data(), target[k].data(),
                   static_cast<int64_t>(along.size()));
      addUnit(direction[k], 1, weight, change);
    }
    previous = current;
    if (norm)
      norm->multiply(change, product);
    const std::vector<float> &weighted = norm ? product : change;
    double curvature = dot(change.data(), weighted.data(),
                           static_cast<int64_t>(change.size()));
    if (!(curvature > 0) || !(slope > 0))
      return;
    auto length = static_cast<float>(slope / curvature);
    for (size_t k = 0; k < units.size(); ++k)
      for (size_t i = 0; i < (units[k].*factor).size(); ++i)
        (units[k].*factor)[i] += length * (direction[k].*factor)[i];
    for (size_t i = 0; i < residual.size(); ++i)
      residual[i] -= length * change[i];
    if (norm)
      for (size_t i = 0; i < gradient.size(); ++i)
        gradient[i] -= length * product[i];
  }
}

void Solution::solveJointly(int64_t rounds) {
  constexpr int64_t steps = 6;
  std::vector<Unit> best = units;
  double lowest = std::numeric_limits<double>::infinity();
  int64_t roundsSinceRestart = 0;
  auto restore = [&] {
    units = best;
    updateResidual();
  };
  for (int64_t round = 0; round < rounds; ++round) {
    solveJointly(&Unit::u, steps);
    solveJointly(&Unit::v, steps);
    double loss = getLoss();
    if (!(loss < lowest)) {
      restore();
      // Only rounding makes rounds without extrapolation increase the loss.
      if (roundsSinceRestart <= 1)
        return;
      roundsSinceRestart = 0;
      continue;
    }
    ++roundsSinceRestart;
    lowest = loss;
    std::swap(best, units);
    if (round + 1 == rounds)
      break;
    // `units` are now those of the round before; u is the first to be solved
    // for again. Nesterov's weights.
    auto momentum = static_cast<float>(roundsSinceRestart - 1) /
                    static_cast<float>(roundsSinceRestart + 2);
    for (size_t k = 0; k < units.size(); ++k) {
      units[k].u = best[k].u;
      for (size_t i = 0; i < units[k].v.size(); ++i)
        units[k].v[i] =
            best[k].v[i] + momentum * (best[k].v[i] - units[k].v[i]);
    }
  }
  restore();
}

Unit Solution::seedWindow(Interval rows, Interval cols) const {
  int64_t n = weight.cols;
  // From the row of the largest norm.
  const float *data = getGradient().data() + rows.start * n + cols.start;
  int64_t largest = 0;
  double largestNorm = -1;
  for (int64_t i = 0; i < rows.size; ++i)
    if (double norm = dot(data + i * n, data + i * n, cols.size);
        norm > largestNorm) {
      largestNorm = norm;
      largest = i;
    }
  Unit unit;
  unit.rows = rows;
  unit.cols = cols;
  unit.v.assign(data + largest * n, data + largest * n + cols.size);
  unit.u.resize(rows.size);
  if (norm)
    norm->solve(cols, unit.v);
  for (int64_t step = 0; step < 4 && normalizeCols(unit); ++step) {
    multiplyVector(rows.size, cols.size, {data, n}, unit.v.data(),
                   unit.u.data(), /*accumulate=*/false);
    multiplyVector(cols.size, rows.size, {data, n, true}, unit.u.data(),
                   unit.v.data(), /*accumulate=*/false);
    if (norm)
      norm->solve(cols, unit.v);
  }
  return unit;
}

Unit Solution::seedRow(int64_t row, double price) const {
  int64_t n = weight.cols;
  auto line = getGradient().begin() + row * n;
  std::vector<float> values(line, line + n);
  Unit unit{{row, 1}, {}, {1}, {}, 0};
  unit.cols = norm
                  ? norm->findBestInterval(values, {}, /*anywhere=*/true, price,
                                           smallest - 1, getRemaining() - 1)
                  : findBestInterval(getEnergies(values), {0, n}, price,
                                     smallest - 1, getRemaining() - 1);
  if (unit.cols.size > 0) {
    unit.v = cut(values, unit.cols);
    unit.gain = solveCols(unit.cols, unit.v);
  }
  return unit;
}

Unit Solution::seedCol(int64_t col, double price) const {
  int64_t m = weight.rows;
  double scale = norm ? 1 / std::sqrt(norm->getDiagonal(col)) : 1;
  std::vector<float> values(m);
  for (int64_t i = 0; i < m; ++i)
    values[i] =
        static_cast<float>(scale * getGradient()[i * weight.cols + col]);
  Unit unit{{}, {col, 1}, {}, {static_cast<float>(scale)}, 0};
  unit.rows = findBestInterval(getEnergies(values), {0, m}, price, smallest - 1,
                               getRemaining() - 1);
  if (unit.rows.size > 0) {
    unit.u = cut(values, unit.rows);
    unit.gain = dot(unit.u.data(), unit.u.data(), unit.rows.size);
  }
  return unit;
}

std::vector<Unit> Solution::findCandidates(double price) const {
  int64_t m = weight.rows, n = weight.cols;
  std::vector<Unit> candidates;
  auto consider = [&](Unit unit, int64_t steps) {
    if (fit(unit, price, getRemaining(), steps, IntervalUpdate::Anywhere))
      candidates.push_back(std::move(unit));
  };
  for (int64_t count : {1, 2, 4, 8}) {
    if (count > m || count > n)
      break;
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = 0; j < count; ++j)
        consider(seedWindow(getPart(i, count, m), getPart(j, count, n)), 2);
  }
  // Strips: single rows, then single columns. In a weighted norm their search
  // is long enough for threads.
  std::vector<std::optional<Unit>> strips(m + n);
#pragma omp parallel for schedule(static) if (norm)
  for (int64_t line = 0; line < m + n; ++line) {
    Unit unit = line < m ? seedRow(line, price) : seedCol(line - m, price);
    if (unit.gain > price * static_cast<double>(unit.getCost()))
      strips[line] = std::move(unit);
  }
  for (std::optional<Unit> &strip : strips)
    if (strip)
      candidates.push_back(std::move(*strip));
  return candidates;
}

int64_t Solution::pursue(double price) {
  std::vector<Unit> candidates = findCandidates(price);
  auto getScore = [&](size_t k) {
    return candidates[k].gain -
           price * static_cast<double>(candidates[k].getCost());
  };
  // The residual has changed since a candidate was found, but for the first.
  int64_t added = 0;
  for (size_t k : orderByFalling(candidates.size(), getScore)) {
    if (isFull())
      break;
    Unit &unit = candidates[k];
    if (norm) {
      // A search for intervals takes long; most candidates no longer pay.
      constexpr double least = 0.8;
      Unit trial = unit;
      if (!fit(trial, price, getRemaining(), 1, IntervalUpdate::None) ||
          trial.gain < least * price * static_cast<double>(unit.getCost()))
        continue;
    }
    if (!fit(unit, price, getRemaining(), 1, IntervalUpdate::Nearby))
      continue;
    add(std::move(unit));
    ++added;
  }
  return added;
}

double Solution::fill(double price, double lowestPrice, double target) {
  constexpr double decay = 0.85;
  constexpr int64_t maxRounds = 2;
  while (true) {
    for (int64_t round = 0; round < maxRounds && !isFull(); ++round)
      if (pursue(price) == 0)
        break;
    refit(price, IntervalUpdate::Nearby);
    if (isFull() || price < lowestPrice || getLoss() <= target)
      return price;
    price *= decay;
  }
}

double Solution::getMarginalPrice() const {
  double price = std::numeric_limits<double>::infinity();
  for (const Unit &unit : units)
    price = std::min(price, unit.gain / static_cast<double>(unit.getCost()));
  return price;
}

void Solution::addEnergyRuns(double threshold) {
  int64_t m = weight.rows, n = weight.cols;
  std::vector<float> products;
  while (!isFull()) {
    Unit unit = seedWindow({0, m}, {0, n});
    if (!normalize(unit.v))
      return;
    multiplyRows(unit, {0, m}, products);
    unit.rows = findLongestRun(getEnergies(products), threshold);
    unit.cols = findLongestRun(getEnergies(unit.v), threshold);
    // Within what remains, and no smaller than components may be.
    int64_t remaining = getRemaining();
    unit.rows.size = std::min(unit.rows.size, remaining - 1);
    unit.cols.size = std::clamp(
        unit.cols.size, std::clamp<int64_t>(smallest - unit.rows.size, 1, n),
        std::min(remaining - unit.rows.size, n));
    unit.rows.size = std::max(unit.rows.size, smallest - unit.cols.size);
    unit.v = cut(unit.v, unit.cols);
    if (!fit(unit, 0, remaining, 2, IntervalUpdate::None))
      return;
    add(std::move(unit));
  }
}

/// The indices of the units of each pair of intervals.
static std::map<std::array<int64_t, 4>, std::vector<size_t>>
groupByIntervals(const std::vector<Unit> &units) {
  std::map<std::array<int64_t, 4>, std::vector<size_t>> groups;
  for (size_t k = 0; k < units.size(); ++k) {
    const Unit &unit = units[k];
    groups[{unit.rows.start, unit.rows.size, unit.cols.start, unit.cols.size}]
        .push_back(k);
  }
  return groups;
}

bool Solution::cutExpensiveTiles() {
  int64_t m = weight.rows, n = weight.cols;
  std::vector<bool> dropped(units.size());
  std::vector<Unit> strips;
  for (auto &group : groupByIntervals(units)) {
    const std::array<int64_t, 4> &intervals = group.first;
    std::vector<size_t> &members = group.second;
    Interval rows{intervals[0], intervals[1]}, cols{intervals[2], intervals[3]};
    int64_t largest = getLargestRank(rows.size, cols.size);
    if (static_cast<int64_t>(members.size()) <= largest)
      continue;
    if (std::max(rows.size, cols.size) + 1 < smallest) {
      // The strips would be too small: the strongest units stay.
      std::vector<size_t> ordered;
      for (size_t index : orderByFalling(members.size(), [&](size_t index) {
             return units[members[index]].gain;
           }))
        ordered.push_back(members[index]);
      members = std::move(ordered);
      members.erase(members.begin(), members.begin() + largest);
    }
    for (size_t k : members) {
      applyToResidual(units[k], 1);
      parameters -= units[k].getCost();
      dropped[k] = true;
    }
    if (std::max(rows.size, cols.size) + 1 < smallest)
      continue;
    // What lowers the loss most on the tile, row by row; in the Frobenius norm
    // that is what is left of it, and the tile then is exact.
    std::vector<std::vector<float>> lines;
    std::vector<double> gains;
    for (int64_t i = 0; i < rows.size; ++i) {
      auto line = getGradient().begin() + (rows.start + i) % m * n;
      lines.push_back(cut({line, line + n}, cols));
      gains.push_back(solveCols(cols, lines.back()));
    }
    bool alongRows = rows.size <= cols.size;
    for (int64_t i = 0; i < (alongRows ? rows : cols).size; ++i) {
      Unit strip{rows, cols, {1}, {1}, 0};
      if (alongRows) {
        strip.rows = {(rows.start + i) % m, 1};
        strip.v = lines[i];
        strip.gain = gains[i];
      } else {
        strip.cols = {(cols.start + i) % n, 1};
        strip.u.clear();
        for (const std::vector<float> &line : lines)
          strip.u.push_back(line[i]);
        strip.gain = dot(strip.u.data(), strip.u.data(), rows.size);
        if (norm)
          strip.gain *= norm->getDiagonal(strip.cols.start);
      }
      applyToResidual(strip, -1);
      parameters += strip.getCost();
      strips.push_back(std::move(strip));
    }
  }
  size_t kept = 0;
  for (size_t k = 0; k < dropped.size(); ++k)
    if (!dropped[k])
      std::swap(units[kept++], units[k]);
  bool changed = kept < units.size();
  units.resize(kept);
  for (Unit &strip : strips)
    units.push_back(std::move(strip));
  return changed;
}

GblrFactors Solution::getFactors() const {
  GblrFactors factors;
  factors.m = weight.rows;
  factors.n = weight.cols;
  for (const auto &[intervals, members] : groupByIntervals(units)) {
    factors.components.push_back({intervals[0], intervals[1], intervals[2],
                                  intervals[3],
                                  static_cast<int64_t>(members.size())});
    for (size_t k : members) {
      // Of equal norms, which suits narrow floating-point types.
      std::vector<float> u = units[k].u, v = units[k].v;
      auto getNorm = [](const std::vector<float> &values) {
        return std::sqrt(dot(values.data(), values.data(),
                             static_cast<int64_t>(values.size())));
      };
      double normU = getNorm(u), normV = getNorm(v);
      double ratio = normU > 0 && normV > 0 ? std::sqrt(normV / normU) : 1;
      for (float value : u)
        factors.u.push_back(static_cast<float>(value * ratio));
      for (float value : v)
        factors.v.push_back(static_cast<float>(value / ratio));
    }
  }
  return factors;
}
