//===- Blast.h - BLAST factors of a matrix -----------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Factorisation of a weight into BLAST factors, data-free or calibrated by the
// second moments of the layer's inputs (Lee, Kwon, Qu, Kim,
// "BLAST: Block-Level Adaptive Structured Matrices for Efficient Deep Neural
// Network Inference", NeurIPS 2024, arXiv 2410.21262).
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_BLAST_H
#define STRUCTURED_FACTORIZATION_BLAST_H

#include "Structured/Factorization/InputMoments.h"
#include "Structured/Factorization/Matrix.h"
#include "Structured/Weights/Result.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace structured {

/// The factors of an m × n matrix W cut into bOut × bIn blocks of p × q:
///
///     W_ij ≈ U_i · diag(s_ij) · Vt_j
///
/// With bOut = bIn = 1 this is a low-rank product. All arrays are row-major.
struct BlastFactors {
  int64_t bOut = 0, bIn = 0;
  /// Rows and columns of a block: m / bOut and n / bIn.
  int64_t p = 0, q = 0;
  /// The rank: the number of columns of every U_i.
  int64_t r = 0;
  std::vector<float> u;  ///< [bOut, p, r]
  std::vector<float> s;  ///< [bOut, bIn, r]
  std::vector<float> vt; ///< [bIn, r, q]

  int64_t getNumRows() const { return bOut * p; }
  int64_t getNumCols() const { return bIn * q; }

  /// r·(m + n + bOut·bIn): also the multiply-adds per token.
  int64_t getNumParameters() const {
    return r * (getNumRows() + getNumCols() + bOut * bIn);
  }
};

/// The largest rank at which BLAST keeps at most the fraction `keep` of the
/// m·n parameters: floor(keep·m·n / (m + n + bOut·bIn)), where it is at least
/// `multiple` rounded down to a multiple of it (16 suits vector units and
/// tensor cores). At most min(m, n), where a low-rank product is exact; 0 if
/// not even rank 1 fits.
int64_t getBlastRank(int64_t m, int64_t n, int64_t bOut, int64_t bIn,
                     double keep, int64_t multiple = 16);

/// How the factors are found. Both cost the same per iteration.
enum class BlastMethod {
  /// Algorithm 2 of the BLAST paper: from small random factors, gradient steps
  /// on U, Vt and S in turn, preconditioned by the inverse of the Gram matrix
  /// plus δ·‖W − Ŵ‖_F·I (δ = 0.1), of a length that decays from 1 to 0.01.
  /// Always runs `maxIterations`.
  PreconditionedGradient,
  /// Exact alternating least squares for U, Vt and S in turn, from the
  /// truncated SVD of W with perturbed singular values, extrapolated with
  /// Nesterov's weights and restarted when the error grows (Mitchell, Ye, De
  /// Sterck, "Nesterov acceleration of alternating least squares for canonical
  /// tensor decomposition", 2020). Stops when it has converged.
  AlternatingLeastSquares,
};

/// "als" and "gradient", and the inverse; nullopt for another name.
std::string_view getBlastMethodName(BlastMethod method);
std::optional<BlastMethod> parseBlastMethod(std::string_view name);

struct BlastOptions {
  /// Block counts; they must divide the rows and the columns.
  int64_t bOut = 4, bIn = 4;
  /// 1 … min(m, n); see `getBlastRank`.
  int64_t rank = 0;
  BlastMethod method = BlastMethod::AlternatingLeastSquares;
  /// An iteration updates U, Vt and S once each.
  int64_t maxIterations = 300;
  /// AlternatingLeastSquares stops when ten iterations lowered the error by
  /// less than this fraction of it.
  double tolerance = 1e-4;
  uint64_t seed = 0;
  /// If given, the error to minimise is ‖(W − Ŵ) C^½‖_F, where C is these
  /// moments with `damping` times the mean of the diagonal added to it: the
  /// damping keeps directions that the samples lack from being given up. Only
  /// for AlternatingLeastSquares.
  std::optional<InputMoments> inputMoments;
  double damping = 0.01;
};

/// Called after each iteration with its number, from 1, and the lowest relative
/// error so far, in the norm that is minimised.
using ProgressCallback =
    std::function<void(int64_t iteration, double relativeError)>;

struct BlastResult {
  BlastFactors factors;
  /// ‖W − Ŵ‖_F / ‖W‖_F of these factors; 0 if W is zero.
  double relativeError = 0;
  /// With `inputMoments`: the relative error of the outputs, `getOutputError`,
  /// undamped.
  std::optional<double> outputError;
  int64_t iterations = 0;
};

/// The errors of `factorizeBlast`, found without computing: an empty matrix, a
/// NaN or infinite element, block counts that do not divide the matrix, a rank
/// below 1 or above min(m, n), fewer than one iteration; input moments that
/// `checkInputMoments` refuses, a damping that is negative or no number.
Result<void> checkBlast(MatrixRef weight, const BlastOptions &options);

/// Finds BLAST factors of `weight`. The result depends on the arguments alone,
/// not on the number of OpenMP threads. With one block AlternatingLeastSquares
/// returns the truncated SVD, which is optimal; with input moments that is the
/// truncated SVD of W·L for C = L·Lᵀ, multiplied by L⁻¹ ("whitened"; Wang et
/// al., "SVD-LLM", 2024, arXiv 2403.07378). Needs about (bOut + 2)·rank·n
/// floats besides the matrix; with input moments (bOut + bIn + 2)·rank·n +
/// bIn²·rank² + 4·n² + m·n. Errors: see `checkBlast`; input moments that are
/// not positive definite with their damping.
Result<BlastResult> factorizeBlast(MatrixRef weight,
                                   const BlastOptions &options,
                                   const ProgressCallback &progress = {});

/// Sets `relativeError` and, if `options` hold moments, `outputError` of
/// `result` to those of its factors.
void measure(MatrixRef weight, const BlastOptions &options,
             BlastResult &result);

/// The m × n matrix of the factors, row-major.
std::vector<float> reconstruct(const BlastFactors &factors);

/// The best approximation of `weight` of that rank (Eckart–Young), as factors
/// with one block: U and Vt are orthonormal, S holds the singular values in
/// descending order. Errors as `factorizeBlast`.
Result<BlastFactors> factorizeLowRank(MatrixRef weight, int64_t rank);

/// ‖reference − approximation‖_F / ‖reference‖_F, summed in double;
/// `approximation` has the shape of `reference`. 0 for two zero matrices,
/// infinity if only the reference is zero.
double getRelativeError(MatrixRef reference, const float *approximation);

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_BLAST_H
