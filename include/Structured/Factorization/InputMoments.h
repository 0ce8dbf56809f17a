//===- InputMoments.h - Second moments of a layer's inputs ------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Data-free factorisation makes the weight's error small; what matters is the
// error of the layer's outputs on the inputs that occur. With inputs x of
// second moments C = E[x xᵀ],
//
//     E‖(W − Ŵ) x‖² = tr((W − Ŵ) C (W − Ŵ)ᵀ) = ‖(W − Ŵ) C^½‖_F²,
//
// so C is all that factorisation needs to know about them.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_INPUTMOMENTS_H
#define STRUCTURED_FACTORIZATION_INPUTMOMENTS_H

#include "Structured/Factorization/Matrix.h"
#include "Structured/Weights/Result.h"

#include <cstdint>

namespace structured {

/// E[x xᵀ] of the inputs x of a layer with n input features, not owned.
struct InputMoments {
  MatrixRef matrix; ///< [n, n], symmetric
  /// The number of inputs (tokens) it is the mean over.
  int64_t numSamples = 0;
};

/// The fewest samples accepted for n features: a quarter of n, rounded up. With
/// fewer, most directions of the inputs would never have been seen.
int64_t getMinSamples(int64_t n);

/// Errors: not n × n, a NaN or infinity, a negative diagonal element, not
/// symmetric (by more than 1e-3 of the geometric mean of the diagonal
/// elements), zero, fewer samples than `getMinSamples`.
Result<void> checkInputMoments(const InputMoments &moments, int64_t n);

/// ‖(W − Ŵ) C^½‖_F / ‖W C^½‖_F for the m × n matrices W = `reference` and
/// Ŵ = `approximation` and C = `moments`: the relative error of the outputs. 0
/// for equal matrices; infinity if only W·C^½ is zero.
double getOutputError(MatrixRef reference, const float *approximation,
                      MatrixRef moments);

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_INPUTMOMENTS_H
