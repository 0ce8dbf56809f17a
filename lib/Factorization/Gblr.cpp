//===- Gblr.cpp - GBLR factors of a matrix --------------------------------===//
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
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Gblr.h"

#include "LinearAlgebra.h"
#include "NormWeight.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

using namespace structured;

/// 0 … count − 1 in order of falling `getValue(index)`, ties in order of index.
template <typename GetValue>
static std::vector<size_t> orderByFalling(size_t count, GetValue getValue) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    auto valueA = getValue(a), valueB = getValue(b);
    return valueA != valueB ? valueA > valueB : a < b;
  });
  return order;
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

int64_t GblrFactors::getNumParameters() const {
  int64_t count = 0;
  for (const GblrComponent &component : components)
    count += component.getNumParameters();
  return count;
}

Result<void> structured::checkGblrFactors(const GblrFactors &factors) {
  int64_t uSize = 0, vSize = 0;
  for (size_t k = 0; k < factors.components.size(); ++k) {
    const GblrComponent &c = factors.components[k];
    auto fail = [k](const char *what) {
      return Error{"component " + std::to_string(k) + ": " + what};
    };
    if (c.rowStart < 0 || c.rowStart >= factors.m || c.rows < 0 ||
        c.rows > factors.m)
      return fail("its rows do not lie in the matrix's period");
    if (c.colStart < 0 || c.colStart >= factors.n || c.cols < 0 ||
        c.cols > factors.n)
      return fail("its columns do not lie in the matrix's period");
    if (c.rank < 0)
      return fail("its rank is negative");
    uSize += c.rank * c.rows;
    vSize += c.rank * c.cols;
  }
  if (static_cast<int64_t>(factors.u.size()) != uSize ||
      static_cast<int64_t>(factors.v.size()) != vSize)
    return Error{"the components ask for " + std::to_string(uSize) +
                 " numbers in U and " + std::to_string(vSize) +
                 " in V, there are " + std::to_string(factors.u.size()) +
                 " and " + std::to_string(factors.v.size())};
  return {};
}

namespace {
/// An interval of a ring.
struct Interval {
  int64_t start = 0, size = 0;

  bool operator==(const Interval &other) const {
    return start == other.start && size == other.size;
  }
};
} // namespace

/// Calls `callback(first, count, offset)` for the at most two contiguous parts
/// of the interval; `offset` is the distance from the interval's start.
template <typename Callback>
static void forEachPart(Interval interval, int64_t period, Callback callback) {
  int64_t first = std::min(interval.size, period - interval.start);
  if (first > 0)
    callback(interval.start, first, int64_t(0));
  if (interval.size > first)
    callback(int64_t(0), interval.size - first, first);
}

std::vector<float> structured::reconstruct(const GblrFactors &factors) {
  int64_t n = factors.n;
  std::vector<float> dense(factors.m * n);
  SingleThreadedBlas singleThreaded;
  const float *u = factors.u.data(), *v = factors.v.data();
  for (const GblrComponent &c : factors.components) {
    if (c.rows > 0 && c.cols > 0 && c.rank > 0)
      forEachPart({c.rowStart, c.rows}, factors.m,
                  [&](int64_t row, int64_t rows, int64_t uOffset) {
                    forEachPart(
                        {c.colStart, c.cols}, n,
                        [&](int64_t col, int64_t cols, int64_t vOffset) {
                          multiply(rows, cols, c.rank, 1,
                                   {u + uOffset, c.rows, true},
                                   {v + vOffset, c.cols}, 1,
                                   dense.data() + row * n + col, n);
                        });
                  });
    u += c.rank * c.rows;
    v += c.rank * c.cols;
  }
  return dense;
}

//===----------------------------------------------------------------------===//
// Names, options
//===----------------------------------------------------------------------===//

std::string_view structured::getGblrMethodName(GblrMethod method) {
  return method == GblrMethod::EnergyRuns ? "energy-runs" : "greedy";
}

std::optional<GblrMethod> structured::parseGblrMethod(std::string_view name) {
  for (GblrMethod method : {GblrMethod::EnergyRuns, GblrMethod::Greedy})
    if (getGblrMethodName(method) == name)
      return method;
  return std::nullopt;
}

int64_t structured::getGblrBudget(int64_t m, int64_t n, double keep) {
  double budget = std::floor(keep * static_cast<double>(m) * n);
  return budget > 0 ? static_cast<int64_t>(
                          std::min(budget, static_cast<double>(m) * n))
                    : 0;
}

/// The fewest parameters that a component can have.
static int64_t getSmallestComponent(MatrixRef weight,
                                    const GblrOptions &options) {
  return std::clamp<int64_t>(options.minComponentParameters, 2,
                             weight.rows + weight.cols);
}

Result<void> structured::checkGblr(MatrixRef weight,
                                   const GblrOptions &options) {
  if (Result<void> checked = checkMatrix(weight, 1, 1); !checked)
    return checked;
  if (options.maxIterations < 0)
    return Error{std::to_string(options.maxIterations) +
                 " iterations are too few"};
  if (options.minComponentParameters < 1)
    return Error{"the smallest component must have at least 1 parameter, not " +
                 std::to_string(options.minComponentParameters)};
  int64_t smallest = getSmallestComponent(weight, options);
  if (options.budget < smallest)
    return Error{"a budget of " + std::to_string(options.budget) +
                 " parameters is too small: the smallest component has " +
                 std::to_string(smallest)};
  if (options.budget >= weight.rows * weight.cols)
    return Error{"a budget of " + std::to_string(options.budget) +
                 " parameters is too large: the dense matrix has " +
                 std::to_string(weight.rows * weight.cols)};
  if (!options.inputMoments)
    return {};
  if (Result<void> checked = checkDamping(options.damping); !checked)
    return checked;
  return checkInputMoments(*options.inputMoments, weight.cols);
}

void structured::measure(MatrixRef weight, const GblrOptions &options,
                         GblrResult &result) {
  std::vector<float> dense = reconstruct(result.factors);
  result.relativeError = getRelativeError(weight, dense.data());
  if (options.inputMoments)
    result.outputError =
        getOutputError(weight, dense.data(), options.inputMoments->matrix);
}

//===----------------------------------------------------------------------===//
// Intervals
//===----------------------------------------------------------------------===//

/// The interval with the largest Σ (energy − price), `minSize` to `maxSize`
/// elements long, within `scope` (the whole ring or a part of it); empty if
/// there is none of positive sum.
static Interval findBestInterval(const std::vector<double> &energies,
                                 Interval scope, double price, int64_t minSize,
                                 int64_t maxSize) {
  auto period = static_cast<int64_t>(energies.size());
  minSize = std::max<int64_t>(minSize, 1);
  maxSize = std::min(maxSize, scope.size);
  if (minSize > maxSize)
    return {};
  // Prefix sums, of a ring over two periods; and the candidates for the start
  // of the interval that ends at `end`, with ascending sums.
  int64_t length = scope.size == period ? 2 * period : scope.size;
  std::vector<double> prefix(length + 1);
  int64_t index = scope.start;
  for (int64_t i = 0; i < length; ++i) {
    prefix[i + 1] = prefix[i] + energies[index] - price;
    if (++index == period)
      index = 0;
  }
  std::vector<int64_t> starts(scope.size + 1);
  int64_t head = 0, tail = 0;
  double best = 0;
  Interval found;
  for (int64_t end = minSize; end <= length; ++end) {
    int64_t start = end - minSize;
    if (start < scope.size) {
      while (tail > head && prefix[starts[tail - 1]] >= prefix[start])
        --tail;
      starts[tail++] = start;
    }
    while (head < tail && starts[head] < end - maxSize)
      ++head;
    if (head == tail)
      break;
    double sum = prefix[end] - prefix[starts[head]];
    if (sum > best) {
      best = sum;
      found = {starts[head], end - starts[head]};
    }
  }
  found.start = found.size == period ? 0 : (found.start + scope.start) % period;
  return found;
}

/// The disjoint intervals of a line that maximise
/// Σ (energy − price) − price·(intervals), without those below `minSize`.
static std::vector<Interval> findRuns(const std::vector<double> &energies,
                                      double price, int64_t minSize) {
  // The best sums with and without a run that is open after element i.
  auto count = static_cast<int64_t>(energies.size());
  std::vector<char> opens(count), closedFromOpen(count + 1);
  double closed = 0, open = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) {
    opens[i] = closed - price > open;
    open = std::max(open, closed - price) + energies[i] - price;
    closedFromOpen[i + 1] = open > closed;
    closed = std::max(closed, open);
  }
  std::vector<Interval> runs;
  for (int64_t end = count; end > 0;) {
    if (!closedFromOpen[end]) {
      --end;
      continue;
    }
    int64_t start = end - 1;
    while (!opens[start])
      --start;
    if (end - start >= minSize)
      runs.push_back({start, end - start});
    end = start;
  }
  std::reverse(runs.begin(), runs.end());
  return runs;
}

/// The interval after its ends have each moved by one element towards lower
/// ‖residual‖² + price·(elements), within the sizes.
static Interval moveEnds(Interval interval, const std::vector<double> &energies,
                         double price, int64_t minSize, int64_t maxSize) {
  auto period = static_cast<int64_t>(energies.size());
  auto at = [&](int64_t index) {
    return energies[(index % period + period) % period];
  };
  if (interval.size > minSize && at(interval.start) < price) {
    interval.start = (interval.start + 1) % period;
    --interval.size;
  } else if (interval.size < maxSize && at(interval.start - 1) > price) {
    interval.start = (interval.start + period - 1) % period;
    ++interval.size;
  }
  int64_t end = interval.start + interval.size;
  if (interval.size > minSize && at(end - 1) < price)
    --interval.size;
  else if (interval.size < maxSize && at(end) > price)
    ++interval.size;
  return interval;
}

//===----------------------------------------------------------------------===//
// Solutions
//===----------------------------------------------------------------------===//

namespace {

/// The rank-1 matrix u·vᵀ on an interval of rows and one of columns.
struct Unit {
  Interval rows, cols;
  std::vector<float> u, v;
  /// By how much it lowered the squared error when it was last fitted.
  double gain = 0;

  int64_t getCost() const { return rows.size + cols.size; }
};

/// What becomes of the intervals of a unit that is fitted: they stay, their
/// ends move by one element, or they are the best in their neighbourhood or
/// anywhere.
enum class IntervalUpdate { None, MoveEnds, Nearby, Anywhere };

/// Whether a unit that does not pay its price is dropped.
bool mustPay(IntervalUpdate update) {
  return update == IntervalUpdate::Nearby || update == IntervalUpdate::Anywhere;
}

/// A sum of units and the residual that it leaves.
class Solution {
public:
  Solution(MatrixRef weight, const GblrOptions &options)
      : weight(weight), budget(options.budget),
        smallest(getSmallestComponent(weight, options)),
        residual(weight.data, weight.data + weight.rows * weight.cols) {}

  int64_t getRemaining() const { return budget - parameters; }
  bool isFull() const { return getRemaining() < smallest; }
  double getLoss() const {
    return dot(residual.data(), residual.data(),
               static_cast<int64_t>(residual.size()));
  }

  void add(Unit unit) {
    applyToResidual(unit, -1);
    parameters += unit.getCost();
    units.push_back(std::move(unit));
  }

  /// Fits every unit in turn. Those that do not pay are dropped, unless the
  /// intervals stay.
  void refit(double price, IntervalUpdate update);

  /// Adds units of positive score; the number of those added.
  int64_t pursue(double price);

  /// Pursues at falling prices until the budget is full, the residual is at
  /// most `target` or the price is below `lowestPrice`. The last price.
  double fill(double price, double lowestPrice, double target);

  /// Adds, while the budget lasts, leading singular pairs of the residual cut
  /// to the longest runs of energies above `threshold` times their mean.
  void addEnergyRuns(double threshold);

  /// Replaces groups of units of the same intervals that cost more than their
  /// tile as strips by the strips. True if there were any.
  bool cutExpensiveTiles();

  /// The lowest gain per parameter.
  double getMarginalPrice() const;

  GblrFactors getFactors() const;

  std::vector<Unit> units;

private:
  /// residual += sign · unit.
  void applyToResidual(const Unit &unit, float sign);

  /// residual · v on the unit's columns, for the given rows, and zeros for the
  /// others; residualᵀ · u on its rows, for the given columns.
  void multiplyRows(const Unit &unit, Interval rows,
                    std::vector<float> &result) const;
  void multiplyCols(const Unit &unit, Interval cols,
                    std::vector<float> &result) const;

  /// Improves a unit that is not part of the residual by half-steps from its v.
  /// False if it vanishes or its score is not positive.
  bool fit(Unit &unit, double price, int64_t maxCost, int64_t steps,
           IntervalUpdate update) const;

  /// Starts of `pursue`: v of the leading pair of a window.
  Unit seedWindow(Interval rows, Interval cols) const;
  std::vector<Unit> findCandidates(double price) const;

  MatrixRef weight;
  int64_t budget, smallest;
  int64_t parameters = 0;
  std::vector<float> residual;
};

} // namespace

void Solution::applyToResidual(const Unit &unit, float sign) {
  int64_t n = weight.cols;
  forEachPart(unit.rows, weight.rows,
              [&](int64_t row, int64_t rows, int64_t uOffset) {
                for (int64_t i = 0; i < rows; ++i) {
                  float scale = sign * unit.u[uOffset + i];
                  float *line = residual.data() + (row + i) * n;
                  forEachPart(unit.cols, n,
                              [&](int64_t col, int64_t cols, int64_t vOffset) {
                                const float *v = unit.v.data() + vOffset;
                                for (int64_t j = 0; j < cols; ++j)
                                  line[col + j] += scale * v[j];
                              });
                }
              });
}

void Solution::multiplyRows(const Unit &unit, Interval rows,
                            std::vector<float> &result) const {
  int64_t n = weight.cols;
  result.assign(weight.rows, 0);
  forEachPart(rows, weight.rows, [&](int64_t row, int64_t count, int64_t) {
    forEachPart(unit.cols, n, [&](int64_t col, int64_t cols, int64_t offset) {
      multiplyVector(count, cols, {residual.data() + row * n + col, n},
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
    forEachPart(unit.rows, weight.rows,
                [&](int64_t row, int64_t rows, int64_t offset) {
                  multiplyVector(count, rows,
                                 {residual.data() + row * n + col, n, true},
                                 unit.u.data() + offset, result.data() + col,
                                 /*accumulate=*/true);
                });
  });
}

/// The interval and as much again, and a little more, on either side.
static Interval widen(Interval interval, int64_t period) {
  constexpr int64_t least = 16;
  int64_t margin = interval.size + least;
  if (interval.size + 2 * margin >= period)
    return {0, period};
  return {(interval.start + period - margin) % period,
          interval.size + 2 * margin};
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

/// The squares.
static std::vector<double> getEnergies(const std::vector<float> &values) {
  std::vector<double> energies(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    energies[i] = static_cast<double>(values[i]) * values[i];
  return energies;
}

static std::vector<float> cut(const std::vector<float> &values,
                              Interval interval) {
  std::vector<float> part(interval.size);
  forEachPart(interval, static_cast<int64_t>(values.size()),
              [&](int64_t first, int64_t count, int64_t offset) {
                std::copy_n(values.begin() + first, count,
                            part.begin() + offset);
              });
  return part;
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
    if (!normalize(unit.v))
      return false;
    Interval scope = getScope(unit.rows, weight.rows);
    multiplyRows(unit, scope, values);
    unit.rows = choose(unit.rows, scope, unit.cols.size);
    unit.u = cut(values, unit.rows);
    if (unit.rows.size == 0 || !normalize(unit.u))
      return false;
    scope = getScope(unit.cols, weight.cols);
    multiplyCols(unit, scope, values);
    unit.cols = choose(unit.cols, scope, unit.rows.size);
    unit.v = cut(values, unit.cols);
    if (unit.cols.size == 0)
      return false;
  }
  unit.gain = dot(unit.v.data(), unit.v.data(), unit.cols.size);
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

Unit Solution::seedWindow(Interval rows, Interval cols) const {
  int64_t n = weight.cols;
  // From the row of the largest norm.
  const float *data = residual.data() + rows.start * n + cols.start;
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
  for (int64_t step = 0; step < 4 && normalize(unit.v); ++step) {
    multiplyVector(rows.size, cols.size, {data, n}, unit.v.data(),
                   unit.u.data(), /*accumulate=*/false);
    multiplyVector(cols.size, rows.size, {data, n, true}, unit.u.data(),
                   unit.v.data(), /*accumulate=*/false);
  }
  return unit;
}

static Interval getPart(int64_t index, int64_t count, int64_t size) {
  int64_t start = index * size / count;
  return {start, (index + 1) * size / count - start};
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
  // Strips: single rows, then single columns.
  std::vector<float> values(m);
  for (int64_t i = 0; i < m; ++i) {
    const float *row = residual.data() + i * n;
    values.assign(row, row + n);
    Interval run = findBestInterval(getEnergies(values), {0, n}, price,
                                    smallest - 1, getRemaining() - 1);
    if (run.size == 0)
      continue;
    Unit unit{{i, 1}, run, {1}, cut(values, run), 0};
    unit.gain = dot(unit.v.data(), unit.v.data(), run.size);
    if (unit.gain > price * static_cast<double>(unit.getCost()))
      candidates.push_back(std::move(unit));
  }
  values.resize(m);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < m; ++i)
      values[i] = residual[i * n + j];
    Interval run = findBestInterval(getEnergies(values), {0, m}, price,
                                    smallest - 1, getRemaining() - 1);
    if (run.size == 0)
      continue;
    Unit unit{run, {j, 1}, cut(values, run), {1}, 0};
    unit.gain = dot(unit.u.data(), unit.u.data(), run.size);
    if (unit.gain > price * static_cast<double>(unit.getCost()))
      candidates.push_back(std::move(unit));
  }
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

/// The longest interval of the ring of elements that are at least `threshold`
/// times their mean.
static Interval findLongestRun(const std::vector<double> &energies,
                               double threshold) {
  auto period = static_cast<int64_t>(energies.size());
  double bound = threshold *
                 std::accumulate(energies.begin(), energies.end(), 0.0) /
                 static_cast<double>(period);
  Interval longest;
  int64_t length = 0;
  for (int64_t i = 0; i < 2 * period && longest.size < period; ++i) {
    length = energies[i % period] >= bound ? length + 1 : 0;
    if (length > longest.size)
      longest = {(i + 1 - length) % period, length};
  }
  if (longest.size == period)
    longest.start = 0;
  return longest;
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

/// The largest rank of a component on a tile of rows × cols: it costs no more
/// than the tile as strips.
static int64_t getLargestRank(int64_t rows, int64_t cols) {
  return (rows * cols + std::min(rows, cols)) / (rows + cols);
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
    // The strips are what is left of the tile, which then is exact.
    bool alongRows = rows.size <= cols.size;
    for (int64_t i = 0; i < (alongRows ? rows : cols).size; ++i) {
      Unit strip{rows, cols, {1}, {1}, 0};
      std::vector<float> line;
      if (alongRows) {
        strip.rows = {(rows.start + i) % m, 1};
        line.assign(residual.begin() + strip.rows.start * n,
                    residual.begin() + (strip.rows.start + 1) * n);
        strip.v = cut(line, cols);
        strip.gain = dot(strip.v.data(), strip.v.data(), cols.size);
      } else {
        strip.cols = {(cols.start + i) % n, 1};
        for (int64_t row = 0; row < m; ++row)
          line.push_back(residual[row * n + strip.cols.start]);
        strip.u = cut(line, rows);
        strip.gain = dot(strip.u.data(), strip.u.data(), rows.size);
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

//===----------------------------------------------------------------------===//
// Starts
//===----------------------------------------------------------------------===//

namespace {
/// Where the greedy method begins: units within the budget, and the price that
/// the last of them was worth.
struct Start {
  std::vector<Unit> units;
  double loss = 0;
  double price = 0;
};

/// A uniform partition.
struct Partition {
  int64_t rows, cols;
};
} // namespace

static std::vector<Partition> getPartitions(MatrixRef weight,
                                            int64_t smallest) {
  std::vector<Partition> partitions;
  auto consider = [&](int64_t rows, int64_t cols) {
    if (rows <= weight.rows && cols <= weight.cols &&
        weight.rows / rows + weight.cols / cols >= smallest)
      partitions.push_back({rows, cols});
  };
  for (int64_t count : {1, 2, 3, 4, 6, 8, 12, 16})
    consider(count, count);
  for (int64_t count : {2, 4, 8, 12}) {
    consider(count, 1);
    consider(1, count);
  }
  return partitions;
}

/// The truncated SVDs of the tiles of a partition: of all their singular pairs
/// those that lower the squared error most for each parameter.
static Result<Start> startFromPartition(MatrixRef weight, Partition partition,
                                        int64_t budget, bool wantUnits) {
  struct Pair {
    int64_t tile, index;
    double gain, price;
  };
  int64_t m = weight.rows, n = weight.cols;
  int64_t numTiles = partition.rows * partition.cols;
  auto getRows = [&](int64_t tile) {
    return getPart(tile / partition.cols, partition.rows, m);
  };
  auto getCols = [&](int64_t tile) {
    return getPart(tile % partition.cols, partition.cols, n);
  };
  std::vector<Svd> svds(numTiles);
  std::vector<Pair> pairs;
  for (int64_t tile = 0; tile < numTiles; ++tile) {
    Interval rows = getRows(tile), cols = getCols(tile);
    Result<Svd> svd = computeSvd(weight.data + rows.start * n + cols.start, n,
                                 rows.size, cols.size);
    if (!svd)
      return Error{svd.error()};
    svds[tile] = std::move(*svd);
    int64_t count = std::min(getLargestRank(rows.size, cols.size),
                             std::min(rows.size, cols.size));
    for (int64_t k = 0; k < count; ++k) {
      double gain = static_cast<double>(svds[tile].s[k]) * svds[tile].s[k];
      if (gain > 0)
        pairs.push_back(
            {tile, k, gain, gain / static_cast<double>(rows.size + cols.size)});
    }
    if (!wantUnits)
      svds[tile].u.clear(), svds[tile].vt.clear();
  }
  Start start;
  start.loss = dot(weight.data, weight.data, m * n);
  // What is below the resolution of the matrix's elements is not taken.
  double lowestPrice = 1e-14 * start.loss / static_cast<double>(m + n);
  for (size_t index :
       orderByFalling(pairs.size(), [&](size_t k) { return pairs[k].price; })) {
    const Pair &pair = pairs[index];
    Interval rows = getRows(pair.tile), cols = getCols(pair.tile);
    if (rows.size + cols.size > budget || pair.price < lowestPrice)
      continue;
    budget -= rows.size + cols.size;
    start.loss -= pair.gain;
    start.price = pair.price;
    if (!wantUnits)
      continue;
    const Svd &svd = svds[pair.tile];
    auto full = static_cast<int64_t>(svd.s.size());
    Unit unit{rows, cols, {}, {}, pair.gain};
    for (int64_t row = 0; row < rows.size; ++row)
      unit.u.push_back(svd.u[row * full + pair.index]);
    for (int64_t col = 0; col < cols.size; ++col)
      unit.v.push_back(svd.s[pair.index] *
                       svd.vt[pair.index * cols.size + col]);
    start.units.push_back(std::move(unit));
  }
  return start;
}

/// The runs of rows, or of columns, that lower the squared error most within
/// the budget: exact for a band or for dense blocks.
static Start startFromRuns(MatrixRef weight, bool alongRows, int64_t budget,
                           int64_t smallest) {
  int64_t m = weight.rows, n = weight.cols;
  int64_t numLines = alongRows ? m : n;
  auto getLine = [&](int64_t index) {
    std::vector<float> line(alongRows ? n : m);
    for (size_t i = 0; i < line.size(); ++i)
      line[i] = alongRows ? weight.data[index * n + i]
                          : weight.data[static_cast<int64_t>(i) * n + index];
    return line;
  };
  auto getCost = [&](double price) {
    int64_t cost = 0;
    for (int64_t index = 0; index < numLines; ++index)
      for (Interval run :
           findRuns(getEnergies(getLine(index)), price, smallest - 1))
        cost += run.size + 1;
    return cost;
  };
  // Bisection on the logarithm of the price.
  double norm = dot(weight.data, weight.data, m * n);
  double low = std::log(1e-12 * norm / static_cast<double>(m * n));
  double high = std::log(norm);
  if (getCost(std::exp(low)) <= budget)
    high = low;
  for (int step = 0; step < 30 && high > low; ++step) {
    double middle = (low + high) / 2;
    (getCost(std::exp(middle)) <= budget ? high : low) = middle;
  }
  Start start;
  start.price = std::exp(high);
  start.loss = norm;
  for (int64_t index = 0; index < numLines; ++index) {
    std::vector<float> line = getLine(index);
    for (Interval run :
         findRuns(getEnergies(line), start.price, smallest - 1)) {
      Unit unit;
      (alongRows ? unit.rows : unit.cols) = {index, 1};
      (alongRows ? unit.cols : unit.rows) = run;
      (alongRows ? unit.u : unit.v) = {1};
      std::vector<float> values = cut(line, run);
      unit.gain = dot(values.data(), values.data(), run.size);
      (alongRows ? unit.v : unit.u) = std::move(values);
      start.loss -= unit.gain;
      start.units.push_back(std::move(unit));
    }
  }
  return start;
}

//===----------------------------------------------------------------------===//
// The methods
//===----------------------------------------------------------------------===//

namespace {
struct Candidate {
  std::optional<Solution> solution;
  double loss = std::numeric_limits<double>::infinity();
  int64_t iterations = 0;
};

/// Tells the caller's callback from the threads.
class Reporter {
public:
  Reporter(const ProgressCallback &progress, double normSquared)
      : progress(progress), normSquared(normSquared) {}

  void report(double loss) {
#pragma omp critical(structuredGblrProgress)
    {
      lowest = std::min(lowest, loss);
      ++count;
      if (progress)
        progress(count, std::sqrt(std::max(lowest, 0.0) / normSquared));
    }
  }

private:
  const ProgressCallback &progress;
  double normSquared, lowest = std::numeric_limits<double>::infinity();
  int64_t count = 0;
};
} // namespace

/// A relative error of 1e-5 is exact in single precision.
static constexpr double kExact = 1e-10;

static Candidate runGreedy(MatrixRef weight, const GblrOptions &options,
                           const Start &start, double normSquared,
                           Reporter &reporter) {
  // Large raises change the most; where they no longer help, smaller ones may.
  double raise = 2;
  double target = kExact * normSquared;
  double lowestPrice =
      kExact * normSquared / static_cast<double>(weight.rows * weight.cols);
  double price = start.price;
  Candidate best;
  best.solution.emplace(weight, options);
  for (const Unit &unit : start.units)
    best.solution->add(unit);
  best.loss = best.solution->getLoss();
  reporter.report(best.loss);
  for (; best.iterations < options.maxIterations && best.loss > target;
       ++best.iterations) {
    Solution trial = *best.solution;
    // At a higher price what is worth least makes room.
    double trialPrice = std::max(price * raise, lowestPrice);
    trial.refit(trialPrice, IntervalUpdate::Nearby);
    trialPrice = trial.fill(trialPrice, lowestPrice, target);
    if (trial.cutExpensiveTiles())
      trialPrice = trial.fill(trialPrice, lowestPrice, target);
    // What remains is too little for another unit, but not for longer ones.
    for (double lower = trialPrice / 2;
         trial.getRemaining() > 0 && lower > trialPrice / 1000; lower /= 4)
      trial.refit(lower, IntervalUpdate::Nearby);
    for (int step = 0; step < 2; ++step)
      trial.refit(trialPrice, IntervalUpdate::None);
    trial.cutExpensiveTiles();
    double loss = trial.getLoss();
    bool converged = loss > best.loss * (1 - 2 * options.tolerance);
    if (loss < best.loss) {
      best.solution = std::move(trial);
      best.loss = loss;
      price = trialPrice;
    }
    reporter.report(best.loss);
    if (converged)
      raise = std::sqrt(raise);
    if (raise < 1.15)
      break;
  }
  return best;
}

static Result<Candidate> findGreedy(MatrixRef weight,
                                    const GblrOptions &options,
                                    double normSquared, Reporter &reporter) {
  int64_t smallest = getSmallestComponent(weight, options);
  std::vector<Partition> partitions = getPartitions(weight, smallest);
  auto numPartitions = static_cast<int64_t>(partitions.size());
  // The partitions, rows, columns.
  std::vector<Start> starts(numPartitions + 2);
  std::vector<std::optional<Error>> errors(starts.size());
  auto build = [&](size_t index, bool wantUnits) {
    if (index < partitions.size()) {
      Result<Start> start = startFromPartition(weight, partitions[index],
                                               options.budget, wantUnits);
      if (start)
        starts[index] = std::move(*start);
      else
        errors[index] = Error{start.error()};
      return;
    }
    starts[index] = startFromRuns(weight, index == partitions.size(),
                                  options.budget, smallest);
  };
#pragma omp parallel for schedule(dynamic)
  for (int64_t index = 0; index < numPartitions + 2; ++index)
    build(index, /*wantUnits=*/false);
  for (const std::optional<Error> &error : errors)
    if (error)
      return *error;

  size_t best = std::min_element(starts.begin(), starts.end(),
                                 [](const Start &a, const Start &b) {
                                   return a.loss < b.loss;
                                 }) -
                starts.begin();
  // From the best start and from nothing, at the average price; but there is
  // nothing to gain where the start is exact.
  int64_t count = starts[best].loss <= kExact * normSquared ? 1 : 2;
  std::vector<Candidate> found(count);
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t k = 0; k < count; ++k) {
    Start start;
    if (k == 0) {
      build(best, /*wantUnits=*/true);
      start = std::move(starts[best]);
    } else {
      start.price = normSquared / static_cast<double>(options.budget);
    }
    found[k] = runGreedy(weight, options, start, normSquared, reporter);
  }
  for (const std::optional<Error> &error : errors)
    if (error)
      return *error;
  return std::move(*std::min_element(
      found.begin(), found.end(),
      [](const Candidate &a, const Candidate &b) { return a.loss < b.loss; }));
}

static Candidate findEnergyRuns(MatrixRef weight, const GblrOptions &options,
                                Reporter &reporter) {
  constexpr double thresholds[] = {0, 0.01, 0.1, 0.5};
  constexpr int64_t count = std::size(thresholds);
  std::vector<Candidate> found(count);
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t k = 0; k < count; ++k) {
    Solution solution(weight, options);
    solution.addEnergyRuns(thresholds[k]);
    double price = solution.getMarginalPrice();
    for (; found[k].iterations < options.maxIterations; ++found[k].iterations) {
      solution.refit(price, IntervalUpdate::MoveEnds);
      reporter.report(solution.getLoss());
    }
    solution.cutExpensiveTiles();
    found[k].loss = solution.getLoss();
    found[k].solution = std::move(solution);
  }
  return std::move(*std::min_element(
      found.begin(), found.end(),
      [](const Candidate &a, const Candidate &b) { return a.loss < b.loss; }));
}

Result<GblrResult> structured::factorizeGblr(MatrixRef weight,
                                             const GblrOptions &options,
                                             const ProgressCallback &progress) {
  if (Result<void> checked = checkGblr(weight, options); !checked)
    return Error{checked.error()};
  GblrResult result;
  double normSquared = dot(weight.data, weight.data, weight.rows * weight.cols);
  if (normSquared == 0) {
    result.factors.m = weight.rows;
    result.factors.n = weight.cols;
    measure(weight, options, result);
    return result;
  }
  SingleThreadedBlas singleThreaded;
  Reporter reporter(progress, normSquared);
  Result<Candidate> found =
      options.method == GblrMethod::Greedy
          ? findGreedy(weight, options, normSquared, reporter)
          : findEnergyRuns(weight, options, reporter);
  if (!found)
    return Error{found.error()};
  result.factors = found->solution->getFactors();
  result.iterations = found->iterations;
  measure(weight, options, result);
  return result;
}
