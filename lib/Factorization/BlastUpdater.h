//===- BlastUpdater.h - Alternating updates of BLAST factors ----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_LIB_FACTORIZATION_BLASTUPDATER_H
#define STRUCTURED_LIB_FACTORIZATION_BLASTUPDATER_H

#include "Structured/Factorization/Matrix.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace structured {

/// U [bOut, p, r], S [bOut, bIn, r] and V [bIn, q, r]: here the right factor is
/// transposed, so that the unknowns of every update are rows of r elements.
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

/// Σ values, in order.
double sum(const std::vector<double> &values);

/// Runs the updates on one matrix. An update changes its factor in place and
/// returns the new loss.
class BlastUpdater {
public:
  virtual ~BlastUpdater();

  /// The loss of factors that are zero.
  double getLossOfZero() const { return lossOfZero; }

  /// Prepares the update of U: its gradient, and the loss of `x`, which is
  /// returned. Must precede each `updateU`.
  virtual double computeLoss(const Iterate &x) = 0;

  /// The updates must follow each other in the order U, V, S: each uses what
  /// the one before has computed. `loss` is the loss of `x`.
  virtual double updateU(Iterate &x, double loss, const StepOptions &step) = 0;
  virtual double updateV(Iterate &x, double loss, const StepOptions &step) = 0;
  virtual double updateS(Iterate &x, double loss, const StepOptions &step) = 0;

protected:
  BlastUpdater(MatrixRef weight, int64_t bOut, int64_t bIn, int64_t rank)
      : weight(weight), bOut(bOut), bIn(bIn), p(weight.rows / bOut),
        q(weight.cols / bIn), r(rank) {}

  /// Gram matrices [count, r, r] of `count` groups of `rows` rows of r.
  void computeGrams(const std::vector<float> &factor, int64_t count,
                    int64_t rows, std::vector<float> &grams) const;

  /// G = Σ over `count` couplings of (s sᵀ) ∘ gram; the couplings lie
  /// `couplingStride` apart.
  void sumCoupledGrams(const float *couplings, int64_t couplingStride,
                       const std::vector<float> &grams, int64_t count,
                       std::vector<float> &sum) const;

  /// The products W_ijᵀ · U_i of `matrix`, of the weight's shape, into
  /// [bOut, bIn, q, r].
  void multiplyByU(const float *matrix, const std::vector<float> &u,
                   std::vector<float> &products) const;

  /// Multiplies the `rows` rows at `direction` by (G + λI)⁻¹ and returns λ,
  /// which grows until G + λI is numerically positive definite. Nothing if G
  /// vanishes or is not finite: there is nothing to gain then. Overwrites the
  /// scratch matrix.
  std::optional<double> solve(float *direction, int64_t rows,
                              const std::vector<float> &gram,
                              std::vector<float> &scratch,
                              const StepOptions &options) const;

  /// Given the residual R − X·G, adds η (R − X·G)(G + λI)⁻¹ to the `rows` rows
  /// at `x` and returns the change of the loss. Overwrites the scratch matrix.
  double step(float *x, const float *residual, int64_t rows,
              const std::vector<float> &gram, std::vector<float> &scratch,
              const StepOptions &options) const;

  /// dst ← src ∘ s for `rows` rows of r elements, or dst ← dst + src ∘ s.
  void scaleRows(const float *src, const float *s, int64_t rows, float *dst,
                 bool accumulate) const;

  MatrixRef weight;
  int64_t bOut, bIn, p, q, r;
  double lossOfZero = 0;
};

/// The loss ‖W − Ŵ‖_F².
std::unique_ptr<BlastUpdater> createFrobeniusUpdater(MatrixRef weight,
                                                     int64_t bOut, int64_t bIn,
                                                     int64_t rank);

/// The loss tr((W − Ŵ) C (W − Ŵ)ᵀ) for a symmetric positive definite C [n, n]
/// whose diagonal blocks of q × q have passed `factorizePositiveDefinite`.
/// Takes only steps of length 1.
std::unique_ptr<BlastUpdater> createWeightedUpdater(MatrixRef weight,
                                                    std::vector<float> moments,
                                                    int64_t bOut, int64_t bIn,
                                                    int64_t rank);

} // namespace structured

#endif // STRUCTURED_LIB_FACTORIZATION_BLASTUPDATER_H
