//===- WeightedBlastUpdater.cpp - Updates in a weighted norm --------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The loss is tr(E C Eᵀ) with E = W − Ŵ and a symmetric positive definite C,
// cut into blocks C_jk of q × q like the columns of W. With V_j = Vt_jᵀ, F_i
// the row of blocks diag(s_ij)·Vt_j, and everything but the unknown fixed:
//
//   U_i:   R = (W C)_i F_iᵀ,
//          G = F_i C F_iᵀ = Σ_jk (s_ij s_ikᵀ) ∘ (Vt_j C_jk V_k);
//   V_j:   C_jj · ΔV_j · G = Σ_i ((E C)_ijᵀ U_i) ∘ s_ij,
//          G = Σ_i (s_ij s_ijᵀ) ∘ (U_iᵀ U_i), as without C;
//   s_ij:  R − X·G = diag(Vt_j (E C)_ijᵀ U_i),
//          G = (U_iᵀ U_i) ∘ (Vt_j C_jj V_j).
//
// C couples the block columns, so that the V_j, and the s_ij of one i, are
// solved for one after the other, each exactly (block Gauss–Seidel): no step
// increases the loss. With C = I these are the updates of the Frobenius norm.
//
// Nothing of the size of E C is formed: (E C)_ijᵀ U_i is
// (W C)_ijᵀ U_i − Σ_k ((C_jk V_k) ∘ s_ik) (U_iᵀ U_i).
//
//===----------------------------------------------------------------------===//

#include "BlastUpdater.h"

#include "LinearAlgebra.h"

#include <algorithm>
#include <cassert>
#include <utility>

using namespace structured;

namespace {
class WeightedUpdater : public BlastUpdater {
public:
  WeightedUpdater(MatrixRef weight, std::vector<float> moments, int64_t bOut,
                  int64_t bIn, int64_t rank);

  double computeLoss(const Iterate &x) override;
  double updateU(Iterate &x, double loss, const StepOptions &step) override;
  double updateV(Iterate &x, double loss, const StepOptions &step) override;
  double updateS(Iterate &x, double loss, const StepOptions &step) override;

private:
  /// Sets C_jk · V_k for all j.
  void multiplyMoments(const Iterate &x, int64_t k);
  /// Sets gramV from momentsV.
  void computeWeightedGrams(const Iterate &x);
  /// Replaces the q × r matrix by C_jj⁻¹ times it.
  void divideByMoments(int64_t j, std::vector<float> &matrix) const;

  const float *getMomentsV(int64_t j, int64_t k) const {
    return momentsV.data() + (k * bIn + j) * q * r;
  }
  const float *getGramV(int64_t j, int64_t k) const {
    return gramV.data() + (j * bIn + k) * r * r;
  }

  std::vector<float> moments;         ///< C: [n, n]
  std::vector<float> choleskyFactors; ///< of the C_jj: [bIn, q, q]
  std::vector<float> weightMoments;   ///< W·C: [m, n]
  std::vector<float> momentsV;      ///< C_jk · V_k at [k, j]: [bIn, bIn, q, r]
  std::vector<float> gramU;         ///< U_iᵀ U_i: [bOut, r, r]
  std::vector<float> gramV;         ///< Vt_j C_jk V_k: [bIn, bIn, r, r]
  std::vector<float> gramOfUpdateU; ///< G of the U_i: [bOut, r, r]
  std::vector<float> residualU;     ///< R − U·G of the U_i
  std::vector<float> products;      ///< (W C)_ijᵀ · U_i: [bOut, bIn, q, r]
  std::vector<float> termsV;        ///< the terms of R of a V_j: [bOut, q, r]
};
} // namespace

WeightedUpdater::WeightedUpdater(MatrixRef weight, std::vector<float> moments,
                                 int64_t bOut, int64_t bIn, int64_t rank)
    : BlastUpdater(weight, bOut, bIn, rank), moments(std::move(moments)),
      choleskyFactors(bIn * q * q), weightMoments(weight.rows * weight.cols),
      momentsV(bIn * weight.cols * r), gramU(bOut * r * r),
      gramV(bIn * bIn * r * r), gramOfUpdateU(bOut * r * r),
      residualU(weight.rows * r), products(bOut * weight.cols * r),
      termsV(bOut * q * r) {
  int64_t n = weight.cols;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < bOut; ++i)
    multiply(p, n, n, 1, {weight.data + i * p * n, n},
             {this->moments.data(), n}, 0, weightMoments.data() + i * p * n, n);
  lossOfZero = dot(weightMoments.data(), weight.data, weight.rows * n);
  for (int64_t j = 0; j < bIn; ++j) {
    float *factor = choleskyFactors.data() + j * q * q;
    for (int64_t row = 0; row < q; ++row)
      std::copy_n(this->moments.data() + (j * q + row) * n + j * q, q,
                  factor + row * q);
    [[maybe_unused]] bool definite = factorizePositiveDefinite(factor, q);
    assert(definite && "checked by the caller");
  }
}

void WeightedUpdater::multiplyMoments(const Iterate &x, int64_t k) {
  int64_t n = weight.cols;
#pragma omp parallel for schedule(dynamic)
  for (int64_t j = 0; j < bIn; ++j)
    multiply(q, r, q, 1, {moments.data() + j * q * n + k * q, n},
             {x.v.data() + k * q * r, r}, 0,
             momentsV.data() + (k * bIn + j) * q * r, r);
}

void WeightedUpdater::computeWeightedGrams(const Iterate &x) {
#pragma omp parallel for schedule(dynamic) collapse(2)
  for (int64_t j = 0; j < bIn; ++j)
    for (int64_t k = 0; k < bIn; ++k)
      multiply(r, r, q, 1, {x.v.data() + j * q * r, r, true},
               {getMomentsV(j, k), r}, 0, gramV.data() + (j * bIn + k) * r * r,
               r);
}

void WeightedUpdater::divideByMoments(int64_t j,
                                      std::vector<float> &matrix) const {
  std::vector<float> transposed(q * r);
  for (int64_t row = 0; row < q; ++row)
    for (int64_t k = 0; k < r; ++k)
      transposed[k * q + row] = matrix[row * r + k];
  solveFactorized(choleskyFactors.data() + j * q * q, q, transposed.data(), r);
  for (int64_t row = 0; row < q; ++row)
    for (int64_t k = 0; k < r; ++k)
      matrix[row * r + k] = transposed[k * q + row];
}

double WeightedUpdater::computeLoss(const Iterate &x) {
  int64_t n = weight.cols;
  for (int64_t k = 0; k < bIn; ++k)
    multiplyMoments(x, k);
  computeWeightedGrams(x);
  std::vector<double> changes(bOut);
#pragma omp parallel
  {
    std::vector<float> coupled(n * r);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < bOut; ++i) {
      const float *s = x.s.data() + i * bIn * r;
      const float *u = x.u.data() + i * p * r;
      float *residual = residualU.data() + i * p * r;
      for (int64_t j = 0; j < bIn; ++j)
        scaleRows(x.v.data() + j * q * r, s + j * r, q,
                  coupled.data() + j * q * r, /*accumulate=*/false);
      multiply(p, r, n, 1, {weightMoments.data() + i * p * n, n},
               {coupled.data(), r}, 0, residual, r);
      changes[i] = -dot(residual, u, p * r);

      float *gram = gramOfUpdateU.data() + i * r * r;
      std::fill_n(gram, r * r, 0.0f);
      for (int64_t j = 0; j < bIn; ++j)
        for (int64_t k = 0; k < bIn; ++k) {
          const float *gramOfPair = getGramV(j, k);
          for (int64_t a = 0; a < r; ++a)
            for (int64_t b = 0; b < r; ++b)
              gram[a * r + b] +=
                  s[j * r + a] * s[k * r + b] * gramOfPair[a * r + b];
        }
      multiply(p, r, r, -1, {u, r}, {gram, r}, 1, residual, r);
      changes[i] -= dot(residual, u, p * r);
    }
  }
  return lossOfZero + sum(changes);
}

double WeightedUpdater::updateU(Iterate &x, double loss,
                                const StepOptions &options) {
  std::vector<double> changes(bOut);
#pragma omp parallel
  {
    std::vector<float> gram, scratch;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < bOut; ++i) {
      gram.assign(gramOfUpdateU.begin() + i * r * r,
                  gramOfUpdateU.begin() + (i + 1) * r * r);
      changes[i] = step(x.u.data() + i * p * r, residualU.data() + i * p * r, p,
                        gram, scratch, options);
    }
  }
  return loss + sum(changes);
}

double WeightedUpdater::updateV(Iterate &x, double loss,
                                const StepOptions &options) {
  assert(options.length == 1 && "unsupported");
  computeGrams(x.u, bOut, p, gramU);
  multiplyByU(weightMoments.data(), x.u, products);
  std::vector<float> residual(q * r), direction, gram, scratch;
  for (int64_t j = 0; j < bIn; ++j) {
#pragma omp parallel
    {
      std::vector<float> coupled(q * r), difference(q * r);
#pragma omp for schedule(dynamic)
      for (int64_t i = 0; i < bOut; ++i) {
        const float *s = x.s.data() + i * bIn * r;
        for (int64_t k = 0; k < bIn; ++k)
          scaleRows(getMomentsV(j, k), s + k * r, q, coupled.data(),
                    /*accumulate=*/k > 0);
        std::copy_n(products.data() + (i * bIn + j) * q * r, q * r,
                    difference.data());
        multiply(q, r, r, -1, {coupled.data(), r},
                 {gramU.data() + i * r * r, r}, 1, difference.data(), r);
        scaleRows(difference.data(), s + j * r, q, termsV.data() + i * q * r,
                  /*accumulate=*/false);
      }
    }
    std::fill(residual.begin(), residual.end(), 0.0f);
    for (int64_t i = 0; i < bOut; ++i)
      for (int64_t k = 0; k < q * r; ++k)
        residual[k] += termsV[i * q * r + k];
    sumCoupledGrams(x.s.data() + j * r, bIn * r, gramU, bOut, gram);
    direction = residual;
    divideByMoments(j, direction);
    if (!solve(direction.data(), q, gram, scratch, options))
      continue;
    // A bound: the damping lowers the loss by a little more.
    loss -= dot(residual.data(), direction.data(), q * r);
    for (int64_t k = 0; k < q * r; ++k)
      x.v[j * q * r + k] += direction[k];
    multiplyMoments(x, j);
  }
  return loss;
}

double WeightedUpdater::updateS(Iterate &x, double loss,
                                const StepOptions &options) {
  computeWeightedGrams(x);
  std::vector<double> changes(bOut);
#pragma omp parallel
  {
    std::vector<float> residual(r), gram(r * r), scratch;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < bOut; ++i)
      for (int64_t j = 0; j < bIn; ++j) {
        const float *product = products.data() + (i * bIn + j) * q * r;
        const float *v = x.v.data() + j * q * r;
        const float *gramOfU = gramU.data() + i * r * r;
        float *s = x.s.data() + i * bIn * r;
        std::fill(residual.begin(), residual.end(), 0.0f);
        for (int64_t row = 0; row < q; ++row)
          for (int64_t k = 0; k < r; ++k)
            residual[k] += product[row * r + k] * v[row * r + k];
        for (int64_t k = 0; k < bIn; ++k) {
          const float *gramOfPair = getGramV(j, k);
          for (int64_t a = 0; a < r; ++a) {
            float total = 0;
            for (int64_t b = 0; b < r; ++b)
              total +=
                  gramOfU[a * r + b] * gramOfPair[a * r + b] * s[k * r + b];
            residual[a] -= total;
          }
        }
        const float *gramOfBlock = getGramV(j, j);
        for (int64_t k = 0; k < r * r; ++k)
          gram[k] = gramOfU[k] * gramOfBlock[k];
        changes[i] +=
            step(s + j * r, residual.data(), 1, gram, scratch, options);
      }
  }
  return loss + sum(changes);
}

std::unique_ptr<BlastUpdater>
structured::createWeightedUpdater(MatrixRef weight, std::vector<float> moments,
                                  int64_t bOut, int64_t bIn, int64_t rank) {
  return std::make_unique<WeightedUpdater>(weight, std::move(moments), bOut,
                                           bIn, rank);
}
