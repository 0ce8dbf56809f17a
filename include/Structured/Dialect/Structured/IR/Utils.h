// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Small builders that the ops and the conversions share.

#ifndef STRUCTURED_DIALECT_STRUCTURED_IR_UTILS_H
#define STRUCTURED_DIALECT_STRUCTURED_IR_UTILS_H

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/SetVector.h"

namespace structured {

/// `value` in f32: an arith.extf, or `value` itself if it is f32.
mlir::Value extendToF32(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value value);

/// A tensor of the given sizes filled with zeros.
mlir::Value createZeroTensor(mlir::OpBuilder &builder, mlir::Location loc,
                             llvm::ArrayRef<mlir::OpFoldResult> sizes,
                             mlir::Type elementType);

/// `tensor` (floating point) with each element rounded or extended to
/// `elementType`; `tensor` itself if it has that type.
mlir::Value castTensorElements(mlir::OpBuilder &builder, mlir::Location loc,
                               mlir::Value tensor, mlir::Type elementType);

/// Erases the ops of `worklist` that nothing uses, and then what only they
/// used.
void eraseDeadOps(mlir::RewriterBase &rewriter,
                  llvm::SetVector<mlir::Operation *> worklist);

/// A run of a periodic interval that does not wrap around.
struct IntervalPiece {
  int64_t componentOffset; ///< where the run starts within the interval
  int64_t matrixOffset;    ///< where it starts in the matrix
  int64_t size;
};

/// A component of a GBLR matrix, cut where its intervals wrap around.
struct GblrPiece {
  GblrComponentAttr component;
  int64_t uOffset, vOffset; ///< of the component in the packed factors
  int64_t rank;
  IntervalPiece rows, cols;
};

/// The one or two runs (none if size is 0) of the interval [start, start+size)
/// modulo `extent`.
llvm::SmallVector<IntervalPiece, 2> splitPeriodic(int64_t start, int64_t size,
                                                  int64_t extent);

/// Calls `callback` for each piece of each component that is not empty.
void forEachGblrPiece(GblrLayoutAttr layout,
                      llvm::function_ref<void(const GblrPiece &)> callback);

/// The tensor [rank, piece.size] that `piece` covers of a component's vectors,
/// which are packed in the rank-1 tensor `factor` from `offset` on as
/// [rank, length].
mlir::Value extractPackedFactor(mlir::OpBuilder &builder, mlir::Location loc,
                                mlir::Value factor, int64_t offset,
                                int64_t rank, int64_t length,
                                const IntervalPiece &piece);

} // namespace structured

#endif // STRUCTURED_DIALECT_STRUCTURED_IR_UTILS_H
