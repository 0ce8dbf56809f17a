//===- BlastUpdater.cpp - Alternating updates of BLAST factors ------------===//
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

#include "BlastUpdater.h"

#include "LinearAlgebra.h"

#include <algorithm>

using namespace structured;

//===----------------------------------------------------------------------===//
// What all losses share
//===----------------------------------------------------------------------===//

double structured::sum(const std::vector<double> &values) {
  double total = 0;
  for (double value : values)
    total += value;
  return total;
}

BlastUpdater::~BlastUpdater() = default;

void BlastUpdater::scaleRows(const float *src, const float *s, int64_t rows,
                             float *dst, bool accumulate) const {
  for (int64_t row = 0; row < rows; ++row, src += r, dst += r)
    if (accumulate)
      for (int64_t k = 0; k < r; ++k)
        dst[k] += src[k] * s[k];
    else
      for (int64_t k = 0; k < r; ++k)
        dst[k] = src[k] * s[k];
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

void BlastUpdater::multiplyByU(const float *matrix, const std::vector<float> &u,
                               std::vector<float> &products) const {
  int64_t n = weight.cols;
#pragma omp parallel for schedule(dynamic) collapse(2)
  for (int64_t i = 0; i < bOut; ++i)
    for (int64_t j = 0; j < bIn; ++j)
      multiply(q, r, p, 1, {matrix + i * p * n + j * q, n, true},
               {u.data() + i * p * r, r}, 0,
               products.data() + (i * bIn + j) * q * r, r);
}

std::optional<double> BlastUpdater::solve(float *direction, int64_t rows,
                                          const std::vector<float> &gram,
                                          std::vector<float> &scratch,
                                          const StepOptions &options) const {
  double meanDiagonal = 0;
  for (int64_t k = 0; k < r; ++k)
    meanDiagonal += gram[k * r + k];
  meanDiagonal /= static_cast<double>(r);
  // All factors but this one vanish.
  if (!(meanDiagonal > 0))
    return std::nullopt;
  double damping =
      options.relativeDamping * meanDiagonal + options.absoluteDamping;
  for (;; damping = std::max(10 * damping, 1e-7 * meanDiagonal)) {
    scratch = gram;
    for (int64_t k = 0; k < r; ++k)
      scratch[k * r + k] += static_cast<float>(damping);
    if (solvePositiveDefinite(scratch.data(), r, direction, rows))
      return damping;
    // A damping of the size of the matrix always suffices, unless it holds
    // infinities.
    if (!(damping < 1e3 * meanDiagonal))
      return std::nullopt;
  }
}

double BlastUpdater::step(float *x, const float *residual, int64_t rows,
                          const std::vector<float> &gram,
                          std::vector<float> &scratch,
                          const StepOptions &options) const {
  std::vector<float> direction(residual, residual + rows * r);
  std::optional<double> damping =
      solve(direction.data(), rows, gram, scratch, options);
  if (!damping)
    return 0;
  double decrease = dot(residual, direction.data(), rows * r);
  double squaredNorm = dot(direction.data(), direction.data(), rows * r);
  auto length = static_cast<float>(options.length);
  for (int64_t i = 0; i < rows * r; ++i)
    x[i] += length * direction[i];
  // direction·G = residual − λ·direction.
  return -2 * options.length * decrease +
         options.length * options.length * (decrease - *damping * squaredNorm);
}

//===----------------------------------------------------------------------===//
// The Frobenius norm
//===----------------------------------------------------------------------===//

namespace {
class FrobeniusUpdater : public BlastUpdater {
public:
  FrobeniusUpdater(MatrixRef weight, int64_t bOut, int64_t bIn, int64_t rank)
      : BlastUpdater(weight, bOut, bIn, rank), gramU(bOut * r * r),
        gramV(bIn * r * r), residualU(bOut * p * r),
        products(bOut * weight.cols * r) {
    lossOfZero = dot(weight.data, weight.data, weight.rows * weight.cols);
  }

  double computeLoss(const Iterate &x) override;
  double updateU(Iterate &x, double loss, const StepOptions &step) override;
  double updateV(Iterate &x, double loss, const StepOptions &step) override;
  double updateS(Iterate &x, double loss, const StepOptions &step) override;

private:
  std::vector<float> gramU, gramV; ///< [bOut, r, r], [bIn, r, r]
  std::vector<float> residualU;    ///< R − U·G of the update of U
  std::vector<float> products;     ///< W_ijᵀ · U_i: [bOut, bIn, q, r]
};
} // namespace

double FrobeniusUpdater::computeLoss(const Iterate &x) {
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
        scaleRows(x.v.data() + j * q * r, s + j * r, q,
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
  return lossOfZero + sum(changes);
}

double FrobeniusUpdater::updateU(Iterate &x, double loss,
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

double FrobeniusUpdater::updateV(Iterate &x, double loss,
                                 const StepOptions &options) {
  computeGrams(x.u, bOut, p, gramU);
  multiplyByU(weight.data, x.u, products);

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
                  residual.data(), /*accumulate=*/i > 0);
      sumCoupledGrams(s, bIn * r, gramU, bOut, gram);
      multiply(q, r, r, -1, {v, r}, {gram.data(), r}, 1, residual.data(), r);
      changes[j] = step(v, residual.data(), q, gram, scratch, options);
    }
  }
  return loss + sum(changes);
}

double FrobeniusUpdater::updateS(Iterate &x, double loss,
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

std::unique_ptr<BlastUpdater>
structured::createFrobeniusUpdater(MatrixRef weight, int64_t bOut, int64_t bIn,
                                   int64_t rank) {
  return std::make_unique<FrobeniusUpdater>(weight, bOut, bIn, rank);
}
