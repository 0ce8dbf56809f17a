//===- NormWeight.h - The norm that calibration minimises -------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_LIB_FACTORIZATION_NORMWEIGHT_H
#define STRUCTURED_LIB_FACTORIZATION_NORMWEIGHT_H

#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/InputMoments.h"

#include <optional>
#include <vector>

namespace structured {

/// The weight of the norm to minimise: C, damped, and its Cholesky factor R
/// with C = RᵀR (zero below the diagonal); both [n, n], and empty for the
/// Frobenius norm.
struct NormWeight {
  std::vector<float> moments, whitening;
};

/// An error if the damping is negative, or no number.
Result<void> checkDamping(double damping);

/// The Frobenius norm without moments. An error if they are not positive
/// definite with `damping` times the mean of the diagonal added to it.
Result<NormWeight> getNormWeight(const std::optional<InputMoments> &moments,
                                 double damping);

/// The best approximation of that rank in the norm ‖·Rᵀ‖_F, where `whitening`
/// is the upper triangular matrix R [n, n]; in the Frobenius norm if it is
/// empty.
Result<BlastFactors> truncateSvd(MatrixRef weight, int64_t rank,
                                 const std::vector<float> &whitening);

} // namespace structured

#endif // STRUCTURED_LIB_FACTORIZATION_NORMWEIGHT_H
