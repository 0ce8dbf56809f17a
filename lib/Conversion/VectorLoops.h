// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Builders that the lowerings of linalg ops on memrefs to loops of vectors
// share.

#ifndef STRUCTURED_LIB_CONVERSION_VECTORLOOPS_H
#define STRUCTURED_LIB_CONVERSION_VECTORLOOPS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace structured {

/// Multiply-adds below which starting threads costs more than it saves.
inline constexpr int64_t kParallelMultiplyAdds = 128 * 1024;

/// The sizes of the iteration space of `op`, whose operands are memrefs and
/// whose maps are projected permutations: constants where they are static.
llvm::SmallVector<mlir::OpFoldResult>
getLoopSizes(mlir::ImplicitLocOpBuilder &builder, mlir::linalg::LinalgOp op);

/// The indices with which `map`, a projected permutation of the loops,
/// addresses an operand at the point `ivs`; 0 for a constant-0 result.
llvm::SmallVector<mlir::Value> getIndices(mlir::ImplicitLocOpBuilder &builder,
                                          mlir::AffineMap map,
                                          mlir::ValueRange ivs);

/// True if neighbours along the last dimension of the memref are neighbours in
/// memory.
bool isLastDimContiguous(mlir::MemRefType type);

/// True if `map`'s last result, and no other, is dimension `dim`.
bool isOnlyLastResult(mlir::AffineMap map, unsigned dim);

/// Loads `type` from `memref` at `indices`: a scalar, a vector, or the lanes of
/// a vector where `mask` (which may be null) is set; other lanes are 0.
mlir::Value loadLanes(mlir::ImplicitLocOpBuilder &builder, mlir::Type type,
                      mlir::Value memref, mlir::ValueRange indices,
                      mlir::Value mask);

/// Stores what `loadLanes` loads.
void storeLanes(mlir::ImplicitLocOpBuilder &builder, mlir::Value value,
                mlir::Value memref, mlir::ValueRange indices, mlir::Value mask);

/// `value` (a float or a vector of floats) rounded or extended to
/// `elementType`.
mlir::Value castFloat(mlir::ImplicitLocOpBuilder &builder, mlir::Value value,
                      mlir::Type elementType);

/// True if `op` is inside a parallel loop.
bool isInParallelLoop(mlir::Operation *op);

/// Calls `body` with the induction variables of a nest of loops from 0 to
/// `ends` in steps of `steps`: one scf.parallel if `parallel`, scf.for loops
/// otherwise. No loop is made for no dimensions.
void buildLoopNest(
    mlir::ImplicitLocOpBuilder &builder, llvm::ArrayRef<mlir::Value> ends,
    llvm::ArrayRef<int64_t> steps, bool parallel,
    llvm::function_ref<void(mlir::ImplicitLocOpBuilder &, mlir::ValueRange)>
        body);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_VECTORLOOPS_H
