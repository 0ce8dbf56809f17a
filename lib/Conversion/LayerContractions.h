// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Parts of layers as contractions; most of them on memrefs, for the lowerings
// to a GPU.

#ifndef STRUCTURED_LIB_CONVERSION_LAYERCONTRACTIONS_H
#define STRUCTURED_LIB_CONVERSION_LAYERCONTRACTIONS_H

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace structured {

/// Adds the product of `lhs` and `rhs` to `init`; `dims` gives the loop of each
/// dimension of lhs, rhs and init. Of tensors, the result.
mlir::Value contract(mlir::ImplicitLocOpBuilder &b, mlir::Value lhs,
                     mlir::Value rhs, mlir::Value init,
                     llvm::ArrayRef<llvm::ArrayRef<unsigned>> dims);

/// The matrix [T, b·q] as [T, b, q].
mlir::Value splitFeatures(mlir::ImplicitLocOpBuilder &b, mlir::Value matrix,
                          int64_t blocks);

/// A buffer [blocks, T, r] for the Y or the Z of `op`, of its element type,
/// with zeros in it if `isZero`; [blocks, T, pitch] if that is more.
mlir::Value allocateRanks(mlir::ImplicitLocOpBuilder &b, BlastMatmulOp op,
                          int64_t blocks, bool isZero, int64_t pitch = 0);
/// Its [blocks, T, rank]; of one that is transposed [blocks, r, T], by T.
mlir::Value takeRanks(mlir::ImplicitLocOpBuilder &b, mlir::Value buffer,
                      int64_t rank);

/// The first stage of `op`: Y[j, t, ρ] += Σ_q' X[t, j, q'] Vt[j, ρ, q'].
void addBlastStage1(mlir::ImplicitLocOpBuilder &b, BlastMatmulOp op,
                    mlir::Value y);

/// The third stage of `op`: O[t, i, p'] += Σ_ρ Z[i, t, ρ] U[i, p', ρ]. If Z is
/// transposed it is [b_out, r, T].
void addBlastStage3(mlir::ImplicitLocOpBuilder &b, BlastMatmulOp op,
                    mlir::Value z, bool isTransposed = false);

/// What `buffer` is a view of.
mlir::Value getBaseBuffer(mlir::Value buffer);

/// Whether the host may read `buffer`: a constant of the host code.
bool isHostMemory(mlir::Value buffer);

/// What `buffer` is a reshape of: all of it.
mlir::Value getWholeBuffer(mlir::Value buffer);

/// Whether two buffers of a function may be the same memory.
bool mayAlias(mlir::Value a, mlir::Value b);

/// Whether `op`, which has memory effects, may read or write the buffer `base`,
/// which is not a view.
bool mayTouch(mlir::Operation *op, mlir::Value base);

/// Whether `op`, or an op inside it, may write to `buffer`.
bool mayWrite(mlir::Operation *op, mlir::Value buffer);

/// The fill with zeros of `buffer`, if nothing else has written it since it was
/// allocated or last read, before `op`.
mlir::linalg::FillOp findZeroFill(mlir::Value buffer, mlir::Operation *op);

/// If there is one: removes it and returns true.
bool takeZeroFill(mlir::Value buffer, mlir::Operation *op);

/// Makes linalg ops of the copies in `root` between memrefs of known rank.
void copiesToLinalg(mlir::Operation *root);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_LAYERCONTRACTIONS_H
