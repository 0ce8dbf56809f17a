//===- Blast.cpp - BLAST factors of a matrix
//-------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Blast.h"

#include "BlastUpdater.h"
#include "LinearAlgebra.h"
#include "NormWeight.h"
#include "Structured/Factorization/Random.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

using namespace structured;

//===----------------------------------------------------------------------===//
// Ranks, names, errors
//===----------------------------------------------------------------------===//

int64_t structured::getBlastRank(int64_t m, int64_t n, int64_t bOut,
                                 int64_t bIn, double keep, int64_t multiple) {
  return getRankForBudget(static_cast<double>(m) * n, keep,
                          static_cast<double>(m + n + bOut * bIn), multiple,
                          std::min(m, n));
}

std::string_view structured::getBlastMethodName(BlastMethod method) {
  return method == BlastMethod::PreconditionedGradient ? "gradient" : "als";
}

std::optional<BlastMethod> structured::parseBlastMethod(std::string_view name) {
  for (BlastMethod method : {BlastMethod::PreconditionedGradient,
                             BlastMethod::AlternatingLeastSquares})
    if (getBlastMethodName(method) == name)
      return method;
  return std::nullopt;
}

double structured::getRelativeError(MatrixRef reference,
                                    const float *approximation) {
  double squared = 0, total = 0;
  for (int64_t i = 0; i < reference.rows * reference.cols; ++i) {
    double value = reference.data[i];
    double difference = value - approximation[i];
    squared += difference * difference;
    total += value * value;
  }
  if (squared == 0)
    return 0;
  return total == 0 ? std::numeric_limits<double>::infinity()
                    : std::sqrt(squared / total);
}

//===----------------------------------------------------------------------===//
// Low rank
//===----------------------------------------------------------------------===//

Result<BlastFactors>
structured::truncateSvd(MatrixRef weight, int64_t rank,
                        const std::vector<float> &whitening) {
  int64_t m = weight.rows, n = weight.cols;
  SingleThreadedBlas singleThreaded;
  std::vector<float> whitened;
  if (!whitening.empty()) {
    whitened.resize(m * n);
    multiply(m, n, n, 1, {weight.data, n}, {whitening.data(), n, true}, 0,
             whitened.data(), n);
  }
  Result<Svd> svd =
      computeSvd(whitening.empty() ? weight.data : whitened.data(), n, m, n);
  if (!svd)
    return Error{svd.error()};
  auto full = static_cast<int64_t>(svd->s.size());
  BlastFactors factors;
  factors.bOut = factors.bIn = 1;
  factors.p = m;
  factors.q = n;
  factors.r = rank;
  factors.u.resize(m * rank);
  for (int64_t row = 0; row < m; ++row)
    std::copy_n(svd->u.begin() + row * full, rank,
                factors.u.begin() + row * rank);
  factors.s.assign(svd->s.begin(), svd->s.begin() + rank);
  factors.vt.assign(svd->vt.begin(), svd->vt.begin() + rank * n);
  if (!whitening.empty())
    solveTriangular(whitening.data(), n, factors.vt.data(), rank);
  return factors;
}

Result<BlastFactors> structured::factorizeLowRank(MatrixRef weight,
                                                  int64_t rank) {
  int64_t m = weight.rows, n = weight.cols;
  if (Result<void> checked = checkMatrix(weight, 1, 1); !checked)
    return Error{checked.error()};
  if (Result<void> checked =
          checkRank(rank, std::min(m, n), "smaller side of the matrix");
      !checked)
    return Error{checked.error()};
  return truncateSvd(weight, rank, /*whitening=*/{});
}

std::vector<float> structured::reconstruct(const BlastFactors &factors) {
  int64_t p = factors.p, q = factors.q, r = factors.r;
  int64_t n = factors.getNumCols();
  std::vector<float> dense(factors.getNumRows() * n);
  SingleThreadedBlas singleThreaded;
#pragma omp parallel for schedule(dynamic)
  for (int64_t block = 0; block < factors.bOut * factors.bIn; ++block) {
    int64_t i = block / factors.bIn, j = block % factors.bIn;
    const float *s = factors.s.data() + block * r;
    std::vector<float> scaled(factors.u.begin() + i * p * r,
                              factors.u.begin() + (i + 1) * p * r);
    for (int64_t row = 0; row < p; ++row)
      for (int64_t k = 0; k < r; ++k)
        scaled[row * r + k] *= s[k];
    multiply(p, q, r, 1, {scaled.data(), r}, {factors.vt.data() + j * r * q, q},
             0, dense.data() + i * p * n + j * q, n);
  }
  return dense;
}

//===----------------------------------------------------------------------===//
// Algorithm 2
//===----------------------------------------------------------------------===//

static void fillNormal(std::vector<float> &values, size_t count, float scale,
                       NormalGenerator &normal) {
  values.resize(count);
  for (float &value : values)
    value = scale * normal();
}

/// The standard deviation of the elements, or 1 if it is 0.
static double getStandardDeviation(MatrixRef weight) {
  int64_t count = weight.rows * weight.cols;
  double mean = 0, squared = 0;
  for (int64_t i = 0; i < count; ++i)
    mean += weight.data[i];
  mean /= static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i)
    squared += (weight.data[i] - mean) * (weight.data[i] - mean);
  double deviation = std::sqrt(squared / static_cast<double>(count));
  return deviation > 0 ? deviation : 1;
}

static double toRelativeError(double loss, double lossOfZero) {
  return std::sqrt(std::max(loss, 0.0) / lossOfZero);
}

static Iterate runPreconditionedGradient(MatrixRef weight,
                                         const BlastOptions &options,
                                         const ProgressCallback &progress,
                                         int64_t &iterations) {
  constexpr double delta = 0.1, firstLength = 1, lastLength = 0.01;
  constexpr float startScale = 1e-3f;
  auto deviation = static_cast<float>(getStandardDeviation(weight));
  std::vector<float> scaled(weight.data,
                            weight.data + weight.rows * weight.cols);
  for (float &value : scaled)
    value /= deviation;
  std::unique_ptr<BlastUpdater> updater =
      createFrobeniusUpdater({scaled.data(), weight.rows, weight.cols},
                             options.bOut, options.bIn, options.rank);

  NormalGenerator normal(options.seed);
  Iterate x;
  float scale = startScale / std::sqrt(static_cast<float>(options.rank));
  fillNormal(x.u, weight.rows * options.rank, scale, normal);
  fillNormal(x.v, weight.cols * options.rank, scale, normal);
  fillNormal(x.s, options.bOut * options.bIn * options.rank, 1, normal);

  StepOptions step;
  auto withDamping = [&step](double loss) -> const StepOptions & {
    step.absoluteDamping = delta * std::sqrt(std::max(loss, 0.0));
    return step;
  };
  double lowest = std::numeric_limits<double>::infinity();
  for (iterations = 0; iterations < options.maxIterations;) {
    double done =
        static_cast<double>(iterations) /
        static_cast<double>(std::max<int64_t>(options.maxIterations - 1, 1));
    step.length = firstLength + (lastLength - firstLength) * done;
    double loss = updater->computeLoss(x);
    loss = updater->updateU(x, loss, withDamping(loss));
    loss = updater->updateV(x, loss, withDamping(loss));
    loss = updater->updateS(x, loss, withDamping(loss));
    ++iterations;
    lowest = std::min(lowest, loss);
    if (progress)
      progress(iterations, toRelativeError(lowest, updater->getLossOfZero()));
  }
  for (float &value : x.s)
    value *= deviation;
  return x;
}

//===----------------------------------------------------------------------===//
// Alternating least squares
//===----------------------------------------------------------------------===//

/// The truncated SVD of the whole matrix, each singular value perturbed per
/// block: with equal couplings everywhere the updates of S would start at a
/// saddle point.
static Result<Iterate> startFromSvd(MatrixRef weight,
                                    const BlastOptions &options,
                                    const std::vector<float> &whitening) {
  constexpr float perturbation = 0.03f;
  int64_t r = options.rank, n = weight.cols;
  Result<BlastFactors> svd = truncateSvd(weight, r, whitening);
  if (!svd)
    return Error{svd.error()};
  Iterate x;
  x.u = std::move(svd->u);
  x.v.resize(n * r);
  for (int64_t k = 0; k < r; ++k)
    for (int64_t col = 0; col < n; ++col)
      x.v[col * r + k] = svd->vt[k * n + col];
  NormalGenerator normal(options.seed);
  fillNormal(x.s, options.bOut * options.bIn * r, perturbation, normal);
  for (size_t i = 0; i < x.s.size(); ++i)
    x.s[i] = svd->s[i % r] * (1 + x.s[i]);
  return x;
}

/// Rescales each component so that its parts in U, S and V have equal norms:
/// the product stays, and extrapolation treats the factors alike.
static void balance(Iterate &x, int64_t r) {
  auto getColumnNorms = [r](const std::vector<float> &factor) {
    std::vector<double> norms(r);
    for (size_t i = 0; i < factor.size(); i += r)
      for (int64_t k = 0; k < r; ++k)
        norms[k] += static_cast<double>(factor[i + k]) * factor[i + k];
    for (double &norm : norms)
      norm = std::sqrt(norm);
    return norms;
  };
  auto scaleColumns = [r](std::vector<float> &factor,
                          const std::vector<float> &scales) {
    for (size_t i = 0; i < factor.size(); ++i)
      factor[i] *= scales[i % r];
  };
  std::vector<double> normsU = getColumnNorms(x.u),
                      normsV = getColumnNorms(x.v),
                      normsS = getColumnNorms(x.s);
  std::vector<float> scalesU(r, 1), scalesV(r, 1), scalesS(r, 1);
  for (int64_t k = 0; k < r; ++k) {
    double target = std::cbrt(normsU[k] * normsV[k] * normsS[k]);
    if (!(target > 0))
      continue;
    scalesU[k] = static_cast<float>(target / normsU[k]);
    scalesV[k] = static_cast<float>(target / normsV[k]);
    scalesS[k] = static_cast<float>(target / normsS[k]);
  }
  scaleColumns(x.u, scalesU);
  scaleColumns(x.v, scalesV);
  scaleColumns(x.s, scalesS);
}

/// newer ← newer + weight · (newer − older).
static void extrapolate(std::vector<float> &newer,
                        const std::vector<float> &older, float weight) {
  for (size_t i = 0; i < newer.size(); ++i)
    newer[i] += weight * (newer[i] - older[i]);
}

static Result<Iterate>
runAlternatingLeastSquares(MatrixRef weight, const BlastOptions &options,
                           NormWeight norm, const ProgressCallback &progress,
                           int64_t &iterations) {
  // Single precision resolves neither a smaller damping nor a smaller loss.
  constexpr double conditioning = 1e-6, smallestLoss = 1e-9;
  constexpr int64_t window = 10;
  Result<Iterate> start = startFromSvd(weight, options, norm.whitening);
  if (!start)
    return Error{start.error()};
  iterations = 0;
  std::unique_ptr<BlastUpdater> updater =
      norm.moments.empty()
          ? createFrobeniusUpdater(weight, options.bOut, options.bIn,
                                   options.rank)
          : createWeightedUpdater(weight, std::move(norm.moments), options.bOut,
                                  options.bIn, options.rank);
  StepOptions step;
  step.relativeDamping = conditioning;
  Iterate best = std::move(*start), x = best;
  double lowest = std::numeric_limits<double>::infinity();
  std::vector<double> history;
  // Nesterov's weights are (k − 1)/(k + 2) for the k-th step after a restart.
  int64_t stepsSinceRestart = 0;
  while (iterations < options.maxIterations) {
    double loss = updater->computeLoss(x);
    loss = updater->updateU(x, loss, step);
    loss = updater->updateV(x, loss, step);
    loss = updater->updateS(x, loss, step);
    ++iterations;
    if (loss > lowest) {
      // Only rounding makes a step without extrapolation increase the loss.
      if (stepsSinceRestart <= 1)
        break;
      x = best;
      stepsSinceRestart = 0;
    } else {
      balance(x, options.rank);
      lowest = loss;
      ++stepsSinceRestart;
      auto momentum = static_cast<float>(stepsSinceRestart - 1) /
                      static_cast<float>(stepsSinceRestart + 2);
      std::swap(best, x);
      // `x` is now the iterate before; U is the first to be solved for again.
      std::vector<float> olderS = std::move(x.s), olderV = std::move(x.v);
      x = best;
      extrapolate(x.s, olderS, momentum);
      extrapolate(x.v, olderV, momentum);
    }
    double error = toRelativeError(lowest, updater->getLossOfZero());
    if (progress)
      progress(iterations, error);
    history.push_back(error);
    if (lowest <= smallestLoss * updater->getLossOfZero())
      break;
    if (iterations > window &&
        history[iterations - 1 - window] - error < options.tolerance * error)
      break;
  }
  return best;
}

//===----------------------------------------------------------------------===//
// Entry point
//===----------------------------------------------------------------------===//

Result<void> structured::checkBlast(MatrixRef weight,
                                    const BlastOptions &options) {
  if (Result<void> checked = checkMatrix(weight, options.bOut, options.bIn);
      !checked)
    return Error{checked.error()};
  if (Result<void> checked =
          checkRank(options.rank, std::min(weight.rows, weight.cols),
                    "smaller side of the matrix");
      !checked)
    return Error{checked.error()};
  if (options.maxIterations < 1)
    return Error{std::to_string(options.maxIterations) +
                 " iterations are too few"};
  if (!options.inputMoments)
    return {};
  if (options.method != BlastMethod::AlternatingLeastSquares)
    return Error{"only alternating least squares takes second moments of the "
                 "inputs"};
  if (Result<void> checked = checkDamping(options.damping); !checked)
    return checked;
  return checkInputMoments(*options.inputMoments, weight.cols);
}

void structured::measure(MatrixRef weight, const BlastOptions &options,
                         BlastResult &result) {
  std::vector<float> dense = reconstruct(result.factors);
  result.relativeError = getRelativeError(weight, dense.data());
  if (options.inputMoments)
    result.outputError =
        getOutputError(weight, dense.data(), options.inputMoments->matrix);
}

Result<BlastResult>
structured::factorizeBlast(MatrixRef weight, const BlastOptions &options,
                           const ProgressCallback &progress) {
  if (Result<void> checked = checkBlast(weight, options); !checked)
    return Error{checked.error()};

  BlastResult result;
  BlastFactors &factors = result.factors;
  int64_t r = options.rank;
  factors.bOut = options.bOut;
  factors.bIn = options.bIn;
  factors.p = weight.rows / options.bOut;
  factors.q = weight.cols / options.bIn;
  factors.r = r;
  if (std::all_of(weight.data, weight.data + weight.rows * weight.cols,
                  [](float value) { return value == 0; })) {
    factors.u.resize(weight.rows * r);
    factors.s.resize(options.bOut * options.bIn * r);
    factors.vt.resize(weight.cols * r);
    measure(weight, options, result);
    return result;
  }

  SingleThreadedBlas singleThreaded;
  Result<NormWeight> norm =
      getNormWeight(options.inputMoments, options.damping);
  if (!norm)
    return Error{norm.error()};
  if (options.method == BlastMethod::AlternatingLeastSquares &&
      options.bOut == 1 && options.bIn == 1) {
    Result<BlastFactors> svd = truncateSvd(weight, r, norm->whitening);
    if (!svd)
      return Error{svd.error()};
    factors = std::move(*svd);
    measure(weight, options, result);
    return result;
  }

  Result<Iterate> found =
      options.method == BlastMethod::PreconditionedGradient
          ? runPreconditionedGradient(weight, options, progress,
                                      result.iterations)
          : runAlternatingLeastSquares(weight, options, std::move(*norm),
                                       progress, result.iterations);
  if (!found)
    return Error{found.error()};
  factors.u = std::move(found->u);
  factors.s = std::move(found->s);
  factors.vt.resize(weight.cols * r);
  int64_t q = factors.q;
  for (int64_t j = 0; j < factors.bIn; ++j)
    for (int64_t col = 0; col < q; ++col)
      for (int64_t k = 0; k < r; ++k)
        factors.vt[(j * r + k) * q + col] = found->v[(j * q + col) * r + k];
  measure(weight, options, result);
  if (!std::isfinite(result.relativeError))
    return Error{"the factorisation diverged"};
  return result;
}
