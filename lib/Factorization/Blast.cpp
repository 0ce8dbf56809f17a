//===- Blast.cpp - BLAST factors of a matrix
//-------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Every update of U, Vt or S is a linear least-squares problem per block row,
// block column or block. With X the unknown rows, G the r × r Gram matrix of
// the two other factors and R the products of W with them, the loss
// ‖W − Ŵ‖_F² is  const − 2⟨R, X⟩ + ⟨X·G, X⟩,  and both methods take the step
//
//     X ← X + η (R − X·G) (G + λI)⁻¹.
//
// Algorithm 2 has λ = δ·‖W − Ŵ‖_F and a decaying η. Alternating least squares
// has η = 1 and a λ just large enough for the Cholesky factorisation; since the
// step is relative to X, it never increases the loss, whatever λ.
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Blast.h"

#include "LinearAlgebra.h"
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

Result<BlastFactors> structured::factorizeLowRank(MatrixRef weight,
                                                  int64_t rank) {
  int64_t m = weight.rows, n = weight.cols;
  if (Result<void> checked = checkMatrix(weight, 1, 1); !checked)
    return Error{checked.error()};
  if (Result<void> checked =
          checkRank(rank, std::min(m, n), "smaller side of the matrix");
      !checked)
    return Error{checked.error()};
  SingleThreadedBlas singleThreaded;
  Result<Svd> svd = computeSvd(weight.data, n, m, n);
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
  return factors;
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
// The alternating updates
//===----------------------------------------------------------------------===//

namespace {

/// U [bOut, p, r], S [bOut, bIn, r] and V [bIn, q, r]: inside this file the
/// right factor is transposed, so that the unknowns of every update are rows of
/// r elements.
struct Iterate {
  std::vector<float> u, s, v;
};

/// η and λ of a step. λ is `relativeDamping` times the mean diagonal element of
/// G, plus `absoluteDamping`.
struct StepOptions {
  double length = 1;
  double relativeDamping = 0;
  double absoluteDamping = 0;
};

/// Runs the updates on one matrix. An update changes its factor in place and
/// returns the new loss.
class BlastUpdater {
public:
  BlastUpdater(MatrixRef weight, int64_t bOut, int64_t bIn, int64_t rank)
      : weight(weight), bOut(bOut), bIn(bIn), p(weight.rows / bOut),
        q(weight.cols / bIn), r(rank),
        weightNormSquared(
            dot(weight.data, weight.data, weight.rows * weight.cols)),
        gramU(bOut * r * r), gramV(bIn * r * r), residualU(bOut * p * r),
        products(bOut * weight.cols * r) {}

  /// ‖W‖_F².
  double getWeightNormSquared() const { return weightNormSquared; }

  /// Prepares the update of U: its gradient, and the loss of `x`, which is
  /// returned. Must precede each `updateU`.
  double computeLoss(const Iterate &x);

  /// The updates must follow each other in the order U, V, S: each uses what
  /// the one before has computed. `loss` is the loss of `x`.
  double updateU(Iterate &x, double loss, const StepOptions &step);
  double updateV(Iterate &x, double loss, const StepOptions &step);
  double updateS(Iterate &x, double loss, const StepOptions &step);

private:
  /// Gram matrices [count, r, r] of `count` groups of `rows` rows of r.
  void computeGrams(const std::vector<float> &factor, int64_t count,
                    int64_t rows, std::vector<float> &grams) const;

  /// G = Σ over `count` couplings of (s sᵀ) ∘ gram; the couplings lie
  /// `couplingStride` apart.
  void sumCoupledGrams(const float *couplings, int64_t couplingStride,
                       const std::vector<float> &grams, int64_t count,
                       std::vector<float> &sum) const;

  /// Given the residual R − X·G, adds η (R − X·G)(G + λI)⁻¹ to the `rows` rows
  /// at `x` and returns the change of the loss. Overwrites the residual and,
  /// with the factor of G + λI, the scratch matrix.
  double step(float *x, float *residual, int64_t rows,
              const std::vector<float> &gram, std::vector<float> &scratch,
              const StepOptions &options) const;

  MatrixRef weight;
  int64_t bOut, bIn, p, q, r;
  double weightNormSquared;
  std::vector<float> gramU, gramV; ///< [bOut, r, r], [bIn, r, r]
  std::vector<float> residualU;    ///< R − U·G of the update of U
  std::vector<float> products;     ///< W_ijᵀ · U_i: [bOut, bIn, q, r]
};

} // namespace

/// dst ← src ∘ s for `rows` rows of r elements, or dst ← dst + src ∘ s.
static void scaleRows(const float *src, const float *s, int64_t rows, int64_t r,
                      float *dst, bool accumulate) {
  for (int64_t row = 0; row < rows; ++row, src += r, dst += r)
    if (accumulate)
      for (int64_t k = 0; k < r; ++k)
        dst[k] += src[k] * s[k];
    else
      for (int64_t k = 0; k < r; ++k)
        dst[k] = src[k] * s[k];
}

static double sum(const std::vector<double> &values) {
  double total = 0;
  for (double value : values)
    total += value;
  return total;
}

void BlastUpdater::computeGrams(const std::vector<float> &factor, int64_t count,
                                int64_t rows, std::vector<float> &grams) const {
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count; ++i) {
    const float *x = factor.data() + i * rows * r;
    multiply(r, r, rows, 1, {x, r, true}, {x, r}, 0, grams.data() + i * r * r,
             r);
  }
}

void BlastUpdater::sumCoupledGrams(const float *couplings,
                                   int64_t couplingStride,
                                   const std::vector<float> &grams,
                                   int64_t count,
                                   std::vector<float> &sum) const {
  sum.assign(r * r, 0);
  for (int64_t block = 0; block < count; ++block) {
    const float *s = couplings + block * couplingStride;
    const float *gram = grams.data() + block * r * r;
    for (int64_t k = 0; k < r; ++k)
      for (int64_t l = 0; l < r; ++l)
        sum[k * r + l] += s[k] * s[l] * gram[k * r + l];
  }
}

double BlastUpdater::step(float *x, float *residual, int64_t rows,
                          const std::vector<float> &gram,
                          std::vector<float> &scratch,
                          const StepOptions &options) const {
  double meanDiagonal = 0;
  for (int64_t k = 0; k < r; ++k)
    meanDiagonal += gram[k * r + k];
  meanDiagonal /= static_cast<double>(r);
  // All factors but this one vanish: nothing to gain here.
  if (!(meanDiagonal > 0))
    return 0;
  double damping =
      options.relativeDamping * meanDiagonal + options.absoluteDamping;

  std::vector<float> direction(residual, residual + rows * r);
  for (;; damping = std::max(10 * damping, 1e-7 * meanDiagonal)) {
    scratch = gram;
    for (int64_t k = 0; k < r; ++k)
      scratch[k * r + k] += static_cast<float>(damping);
    if (solvePositiveDefinite(scratch.data(), r, direction.data(), rows))
      break;
    // A damping of the size of the matrix always suffices, unless it holds
    // infinities.
    if (!(damping < 1e3 * meanDiagonal))
      return 0;
  }
  double decrease = dot(residual, direction.data(), rows * r);
  double squaredNorm = dot(direction.data(), direction.data(), rows * r);
  auto length = static_cast<float>(options.length);
  for (int64_t i = 0; i < rows * r; ++i)
    x[i] += length * direction[i];
  // direction·G = residual − λ·direction.
  return -2 * options.length * decrease +
         options.length * options.length * (decrease - damping * squaredNorm);
}

double BlastUpdater::computeLoss(const Iterate &x) {
  int64_t n = weight.cols;
  computeGrams(x.v, bIn, q, gramV);
  std::vector<double> changes(bOut);
#pragma omp parallel
  {
    std::vector<float> coupled(n * r), gram;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < bOut; ++i) {
      const float *s = x.s.data() + i * bIn * r;
      for (int64_t j = 0; j < bIn; ++j)
        scaleRows(x.v.data() + j * q * r, s + j * r, q, r,
                  coupled.data() + j * q * r, /*accumulate=*/false);
      const float *u = x.u.data() + i * p * r;
      float *residual = residualU.data() + i * p * r;
      multiply(p, r, n, 1, {weight.data + i * p * n, n}, {coupled.data(), r}, 0,
               residual, r);
      changes[i] = -dot(residual, u, p * r);
      sumCoupledGrams(s, r, gramV, bIn, gram);
      multiply(p, r, r, -1, {u, r}, {gram.data(), r}, 1, residual, r);
      changes[i] -= dot(residual, u, p * r);
    }
  }
  return weightNormSquared + sum(changes);
}

double BlastUpdater::updateU(Iterate &x, double loss,
                             const StepOptions &options) {
  std::vector<double> changes(bOut);
#pragma omp parallel
  {
    std::vector<float> gram, scratch;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < bOut; ++i) {
      sumCoupledGrams(x.s.data() + i * bIn * r, r, gramV, bIn, gram);
      changes[i] = step(x.u.data() + i * p * r, residualU.data() + i * p * r, p,
                        gram, scratch, options);
    }
  }
  return loss + sum(changes);
}

double BlastUpdater::updateV(Iterate &x, double loss,
                             const StepOptions &options) {
  int64_t n = weight.cols;
  computeGrams(x.u, bOut, p, gramU);
#pragma omp parallel for schedule(dynamic) collapse(2)
  for (int64_t i = 0; i < bOut; ++i)
    for (int64_t j = 0; j < bIn; ++j)
      multiply(q, r, p, 1, {weight.data + i * p * n + j * q, n, true},
               {x.u.data() + i * p * r, r}, 0,
               products.data() + (i * bIn + j) * q * r, r);

  std::vector<double> changes(bIn);
#pragma omp parallel
  {
    std::vector<float> residual(q * r), gram, scratch;
#pragma omp for schedule(dynamic)
    for (int64_t j = 0; j < bIn; ++j) {
      const float *s = x.s.data() + j * r;
      float *v = x.v.data() + j * q * r;
      for (int64_t i = 0; i < bOut; ++i)
        scaleRows(products.data() + (i * bIn + j) * q * r, s + i * bIn * r, q,
                  r, residual.data(), /*accumulate=*/i > 0);
      sumCoupledGrams(s, bIn * r, gramU, bOut, gram);
      multiply(q, r, r, -1, {v, r}, {gram.data(), r}, 1, residual.data(), r);
      changes[j] = step(v, residual.data(), q, gram, scratch, options);
    }
  }
  return loss + sum(changes);
}

double BlastUpdater::updateS(Iterate &x, double loss,
                             const StepOptions &options) {
  computeGrams(x.v, bIn, q, gramV);
  std::vector<double> changes(bOut * bIn);
#pragma omp parallel
  {
    std::vector<float> residual(r), gram(r * r), scratch;
#pragma omp for schedule(dynamic)
    for (int64_t block = 0; block < bOut * bIn; ++block) {
      int64_t i = block / bIn, j = block % bIn;
      const float *product = products.data() + block * q * r;
      const float *v = x.v.data() + j * q * r;
      std::fill(residual.begin(), residual.end(), 0.0f);
      for (int64_t row = 0; row < q; ++row)
        for (int64_t k = 0; k < r; ++k)
          residual[k] += product[row * r + k] * v[row * r + k];
      for (int64_t k = 0; k < r * r; ++k)
        gram[k] = gramU[i * r * r + k] * gramV[j * r * r + k];
      float *s = x.s.data() + block * r;
      multiply(1, r, r, -1, {s, r}, {gram.data(), r}, 1, residual.data(), r);
      changes[block] = step(s, residual.data(), 1, gram, scratch, options);
    }
  }
  return loss + sum(changes);
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

static double toRelativeError(double loss, double weightNormSquared) {
  return std::sqrt(std::max(loss, 0.0) / weightNormSquared);
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
  BlastUpdater updater({scaled.data(), weight.rows, weight.cols}, options.bOut,
                       options.bIn, options.rank);

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
    double loss = updater.computeLoss(x);
    loss = updater.updateU(x, loss, withDamping(loss));
    loss = updater.updateV(x, loss, withDamping(loss));
    loss = updater.updateS(x, loss, withDamping(loss));
    ++iterations;
    lowest = std::min(lowest, loss);
    if (progress)
      progress(iterations,
               toRelativeError(lowest, updater.getWeightNormSquared()));
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
                                    const BlastOptions &options) {
  constexpr float perturbation = 0.03f;
  int64_t r = options.rank, n = weight.cols;
  Result<BlastFactors> svd = factorizeLowRank(weight, r);
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
    scaleRows(factor.data(), scales.data(),
              static_cast<int64_t>(factor.size()) / r, r, factor.data(),
              /*accumulate=*/false);
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
                           const ProgressCallback &progress,
                           int64_t &iterations) {
  // Single precision resolves neither a smaller damping nor a smaller loss.
  constexpr double conditioning = 1e-6, smallestLoss = 1e-9;
  constexpr int64_t window = 10;
  Result<Iterate> start = startFromSvd(weight, options);
  if (!start)
    return Error{start.error()};
  iterations = 0;
  BlastUpdater updater(weight, options.bOut, options.bIn, options.rank);
  StepOptions step;
  step.relativeDamping = conditioning;
  Iterate best = std::move(*start), x = best;
  double lowest = std::numeric_limits<double>::infinity();
  std::vector<double> history;
  // Nesterov's weights are (k − 1)/(k + 2) for the k-th step after a restart.
  int64_t stepsSinceRestart = 0;
  while (iterations < options.maxIterations) {
    double loss = updater.computeLoss(x);
    loss = updater.updateU(x, loss, step);
    loss = updater.updateV(x, loss, step);
    loss = updater.updateS(x, loss, step);
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
    double error = toRelativeError(lowest, updater.getWeightNormSquared());
    if (progress)
      progress(iterations, error);
    history.push_back(error);
    if (lowest <= smallestLoss * updater.getWeightNormSquared())
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
  return {};
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
    return result;
  }

  if (options.method == BlastMethod::AlternatingLeastSquares &&
      options.bOut == 1 && options.bIn == 1) {
    Result<BlastFactors> svd = factorizeLowRank(weight, r);
    if (!svd)
      return Error{svd.error()};
    factors = std::move(*svd);
    result.relativeError =
        getRelativeError(weight, reconstruct(factors).data());
    return result;
  }

  SingleThreadedBlas singleThreaded;
  Result<Iterate> found =
      options.method == BlastMethod::PreconditionedGradient
          ? runPreconditionedGradient(weight, options, progress,
                                      result.iterations)
          : runAlternatingLeastSquares(weight, options, progress,
                                       result.iterations);
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
  result.relativeError = getRelativeError(weight, reconstruct(factors).data());
  if (!std::isfinite(result.relativeError))
    return Error{"the factorisation diverged"};
  return result;
}
