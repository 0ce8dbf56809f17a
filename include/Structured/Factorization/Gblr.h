//===- Gblr.h - GBLR factors of a matrix --------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Factorisation of a weight into GBLR factors, data-free or calibrated by the
// second moments of the layer's inputs (Lee, Kim, "Differentiable Learning of
// Generalized Structured Matrices for Efficient Deep Neural Networks", ICLR
// 2024, arXiv 2310.18882).
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_GBLR_H
#define STRUCTURED_FACTORIZATION_GBLR_H

#include "Structured/Factorization/Blast.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace structured {

/// Adds Σ_ρ u_ρ · v_ρᵀ, ρ < rank, to the rows rowStart … rowStart + rows − 1
/// and the columns colStart … colStart + cols − 1 of the matrix, both taken
/// modulo the matrix's size.
struct GblrComponent {
  int64_t rowStart = 0, rows = 0;
  int64_t colStart = 0, cols = 0;
  int64_t rank = 0;

  /// rank·(rows + cols): also the multiply-adds per token.
  int64_t getNumParameters() const { return rank * (rows + cols); }
};

/// The factors of an m × n matrix, the sum of its components. Components may
/// overlap, and be empty.
struct GblrFactors {
  int64_t m = 0, n = 0;
  std::vector<GblrComponent> components;
  std::vector<float> u; ///< [rank, rows] of each component, one after the other
  std::vector<float> v; ///< [rank, cols] of each component, one after the other

  int64_t getNumParameters() const;
};

/// What is wrong with the factors: a start outside of its period, an interval
/// longer than it, a negative size, arrays of other sizes than the components
/// ask for.
Result<void> checkGblrFactors(const GblrFactors &factors);

/// The m × n matrix of the factors, which must be correct, row-major.
std::vector<float> reconstruct(const GblrFactors &factors);

/// How the factors are found.
enum class GblrMethod {
  /// A baseline after the idea of the finder that the GBLR authors released
  /// with their code: each component takes the longest runs of rows and columns
  /// whose energies in the leading singular vectors of the residual are above
  /// a threshold; then factors and widths are improved in turn, an end of an
  /// interval moving by one element at a time. The best of several thresholds
  /// is returned.
  EnergyRuns,
  /// Minimises ‖W − Ŵ‖_F² + λ·(parameters) over intervals and factors by exact
  /// coordinate descent and residual pursuit, the price λ falling until the
  /// budget is spent. Starts from the truncated SVD, from the SVDs of the tiles
  /// of uniform partitions, from runs of rows and of columns and from nothing,
  /// and returns the best result: never worse than truncated SVD or block SVD
  /// of the same number of parameters. With input moments the norm of the error
  /// is that of the outputs, the start is a leading part of the whitened SVD,
  /// and the result is never worse, in the damped norm that is minimised, than
  /// the whitened SVD of the same number of parameters and than the data-free
  /// result of the same options.
  Greedy,
};

/// "energy-runs" and "greedy", and the inverse; nullopt for another name.
std::string_view getGblrMethodName(GblrMethod method);
std::optional<GblrMethod> parseGblrMethod(std::string_view name);

struct GblrOptions {
  /// The largest number of parameters, below rows·cols; see `getGblrBudget`.
  int64_t budget = 0;
  GblrMethod method = GblrMethod::Greedy;
  /// The fewest parameters of a component. Its position takes five numbers
  /// which are not counted as parameters.
  int64_t minComponentParameters = 32;
  /// Rounds of improvement after the budget is spent, at most.
  int64_t maxIterations = 20;
  /// A round of Greedy that lowers the error by less than this fraction is
  /// followed by more careful ones, and in the end by none.
  double tolerance = 2e-3;
  /// If given, the error to minimise is ‖(W − Ŵ) C^½‖_F, where C is these
  /// moments with `damping` times the mean of the diagonal added to it, as for
  /// BLAST. Only for Greedy.
  std::optional<InputMoments> inputMoments;
  double damping = 0.01;
};

/// The parameters that the fraction `keep` of an m × n matrix is: ⌊keep·m·n⌋.
int64_t getGblrBudget(int64_t m, int64_t n, double keep);

struct GblrResult {
  GblrFactors factors;
  /// ‖W − Ŵ‖_F / ‖W‖_F of these factors; 0 if W is zero.
  double relativeError = 0;
  /// With `inputMoments`: the relative error of the outputs, `getOutputError`,
  /// undamped.
  std::optional<double> outputError;
  int64_t iterations = 0;
};

/// The errors of `factorizeGblr`, found without computing: an empty matrix, a
/// NaN or infinite element, a budget that does not pay for one component or
/// that pays for the dense matrix, options that are not positive; input moments
/// that `checkInputMoments` refuses, a damping that is negative or no number.
Result<void> checkGblr(MatrixRef weight, const GblrOptions &options);

/// Finds GBLR factors of `weight`. The result depends on the arguments alone,
/// not on the number of OpenMP threads. No component costs more than its tile
/// as one strip for each row or column:
/// rank·(rows + cols) ≤ rows·cols + min(rows, cols). A dense tile is such
/// strips. Errors: see `checkGblr`; input moments that are not positive
/// definite with their damping.
Result<GblrResult> factorizeGblr(MatrixRef weight, const GblrOptions &options,
                                 const ProgressCallback &progress = {});

/// Sets `relativeError` and, if `options` hold moments, `outputError` of
/// `result` to those of its factors.
void measure(MatrixRef weight, const GblrOptions &options, GblrResult &result);

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_GBLR_H
