//===- Gblr.cpp - GBLR factors of a matrix --------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Gblr.h"

#include "GblrSolution.h"
#include "LinearAlgebra.h"
#include "NormWeight.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

using namespace structured;
using namespace structured::gblr;

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
  if (options.method != GblrMethod::Greedy)
    return Error{"only the greedy method takes second moments of the inputs"};
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
                           const Norm *norm, const Start &start,
                           double normSquared, Reporter &reporter) {
  // Large raises change the most; where they no longer help, smaller ones may.
  double raise = 2;
  // In a weighted norm slow progress is better made by the joint solutions.
  double tolerance = (norm ? 3 : 1) * options.tolerance;
  double target = kExact * normSquared;
  double lowestPrice =
      kExact * normSquared / static_cast<double>(weight.rows * weight.cols);
  double price = start.price;
  Candidate best;
  best.solution.emplace(weight, options, norm);
  for (const Unit &unit : start.units)
    best.solution->add(unit);
  if (norm)
    best.solution->solveJointly(2);
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
    if (norm)
      trial.solveJointly(2);
    double loss = trial.getLoss();
    bool converged = loss > best.loss * (1 - 2 * tolerance);
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
    found[k] = runGreedy(weight, options, /*norm=*/nullptr, start, normSquared,
                         reporter);
  }
  for (const std::optional<Error> &error : errors)
    if (error)
      return *error;
  return std::move(*std::min_element(
      found.begin(), found.end(),
      [](const Candidate &a, const Candidate &b) { return a.loss < b.loss; }));
}

/// The truncated SVD in the norm ‖·Rᵀ‖_F of at most that many parameters.
static Result<Start> startFromSvd(MatrixRef weight, int64_t budget,
                                  const std::vector<float> &whitening) {
  int64_t m = weight.rows, n = weight.cols;
  int64_t rank = std::min(budget / (m + n), getLargestRank(m, n));
  Start start;
  Result<BlastFactors> svd = truncateSvd(
      weight, std::clamp<int64_t>(rank, 1, std::min(m, n)), whitening);
  if (!svd)
    return Error{svd.error()};
  for (int64_t k = 0; k < std::min(rank, svd->r); ++k) {
    Unit unit{{0, m}, {0, n}, {}, {}, 0};
    for (int64_t row = 0; row < m; ++row)
      unit.u.push_back(svd->u[row * svd->r + k]);
    for (int64_t col = 0; col < n; ++col)
      unit.v.push_back(svd->s[k] * svd->vt[k * n + col]);
    unit.gain = static_cast<double>(svd->s[k]) * svd->s[k];
    start.price = unit.gain / static_cast<double>(m + n);
    start.units.push_back(std::move(unit));
  }
  return start;
}

/// Greedy in the weighted norm of `normWeight`, in which that of the weight is
/// the root of `normSquared`.
static Result<Candidate>
findCalibrated(MatrixRef weight, const GblrOptions &options,
               NormWeight normWeight, double normSquared, Reporter &reporter) {
  int64_t finalRounds = 2 * options.maxIterations;
  // What must not be surpassed: the whitened SVD and the data-free factors.
  double frobenius = dot(weight.data, weight.data, weight.rows * weight.cols);
  const ProgressCallback none;
  Reporter silent(none, frobenius);
  Result<Candidate> dataFree = findGreedy(weight, options, frobenius, silent);
  if (!dataFree)
    return Error{dataFree.error()};
  Result<Start> svd =
      startFromSvd(weight, options.budget, normWeight.whitening);
  if (!svd)
    return Error{svd.error()};
  Norm norm(std::move(normWeight.moments), weight.cols);

  // The leading part of the whitened SVD that takes a quarter of the budget is
  // improved at the price that its last pair was worth.
  Start start;
  start.price = normSquared / static_cast<double>(options.budget);
  start.units = svd->units;
  start.units.resize(svd->units.size() / 4);
  if (!start.units.empty())
    start.price = start.units.back().gain /
                  static_cast<double>(start.units.back().getCost());
  std::vector<Candidate> found{
      runGreedy(weight, options, &norm, start, normSquared, reporter)};
  for (bool isSvd : {true, false}) {
    Solution solution(weight, options, &norm);
    for (const Unit &unit : isSvd ? svd->units : dataFree->solution->units)
      solution.add(unit);
    if (!isSvd)
      solution.solveJointly(2);
    Candidate &candidate = found.emplace_back();
    candidate.loss = solution.getLoss();
    candidate.solution = std::move(solution);
  }
  Candidate &best = *std::min_element(
      found.begin(), found.end(),
      [](const Candidate &a, const Candidate &b) { return a.loss < b.loss; });
  best.solution->solveJointly(finalRounds);
  best.loss = std::min(best.loss, best.solution->getLoss());
  reporter.report(best.loss);
  return std::move(best);
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

/// tr(W·C·Wᵀ).
static double getSquaredNorm(MatrixRef weight,
                             const std::vector<float> &moments) {
  int64_t m = weight.rows, n = weight.cols;
  std::vector<float> product(m * n);
  multiply(m, n, n, 1, {weight.data, n}, {moments.data(), n}, 0, product.data(),
           n);
  return dot(product.data(), weight.data, m * n);
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
  Result<NormWeight> norm =
      getNormWeight(options.inputMoments, options.damping);
  if (!norm)
    return Error{norm.error()};
  if (options.inputMoments)
    normSquared = getSquaredNorm(weight, norm->moments);
  Reporter reporter(progress, normSquared);
  Result<Candidate> found =
      options.inputMoments ? findCalibrated(weight, options, std::move(*norm),
                                            normSquared, reporter)
      : options.method == GblrMethod::Greedy
          ? findGreedy(weight, options, normSquared, reporter)
          : findEnergyRuns(weight, options, reporter);
  if (!found)
    return Error{found.error()};
  result.factors = found->solution->getFactors();
  result.iterations = found->iterations;
  measure(weight, options, result);
  if (!std::isfinite(result.relativeError))
    return Error{"the factorisation diverged"};
  return result;
}
