// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Finds dense linear layers among linalg ops by what they compute: a
// contraction of an activation with a weight matrix, whatever it is called and
// however its operands were moved. docs/Recognition.md says what is recognised.
// No rewriting: structured-raise-linear does that.

#ifndef STRUCTURED_ANALYSIS_LINEARLAYERMATCHER_H
#define STRUCTURED_ANALYSIS_LINEARLAYERMATCHER_H

#include "Structured/Analysis/WeightTracing.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace structured {

struct LinearLayerMatchOptions {
  /// Function arguments that nothing marks as weights may be weights.
  bool matchArguments = true;
};

/// How an activation of any rank is read as a matrix [tokens, features]:
/// transposed by `permutation` (dimension i of the transposed tensor is
/// dimension `permutation[i]` of the operand), then the first `numTokenDims`
/// dimensions are collapsed to one and the others to another.
struct MatrixArrangement {
  llvm::SmallVector<int64_t> permutation;
  int64_t numTokenDims = 0;

  bool isTransposed() const { return !llvm::is_sorted(permutation); }
};

/// A linear layer `output = init + input · weightᵀ` on [tokens, features]
/// matrices.
struct LinearLayer {
  mlir::linalg::LinalgOp op;
  mlir::OpOperand *input;  ///< X
  mlir::OpOperand *weight; ///< the operand that views `matrix`
  mlir::OpOperand *init;
  WeightMatrix matrix; ///< W [m, n]

  MatrixArrangement inputArrangement;  ///< to [T, n]
  MatrixArrangement outputArrangement; ///< to [T, m], of init and result

  /// The part of the input that is read, as from a strided 1x1 convolution:
  /// sizes and strides of a slice at offset 0. Sizes are as static as the op
  /// tells; strides are empty if all of the input is read.
  llvm::SmallVector<int64_t> inputShape;
  llvm::SmallVector<int64_t> inputStrides;
  /// The shape of init and result, as static as the op tells.
  llvm::SmallVector<int64_t> outputShape;
};

/// Whether `op` sums products of (or otherwise combines) elements of two shaped
/// operands over a dimension that both have: a contraction or convolution,
/// whether it is a linear layer or not.
bool isContractionLike(mlir::Operation *op);

/// Matches `op`, for which `isContractionLike` holds. On failure `reason` says
/// in words why it is no linear layer.
mlir::FailureOr<LinearLayer>
matchLinearLayer(mlir::linalg::LinalgOp op,
                 const LinearLayerMatchOptions &options, std::string &reason);

} // namespace structured

#endif // STRUCTURED_ANALYSIS_LINEARLAYERMATCHER_H
