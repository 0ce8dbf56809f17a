// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The factors of GBLR layers as block-sparse matrices.

#ifndef STRUCTURED_LIB_CONVERSION_PACKEDFACTOR_H
#define STRUCTURED_LIB_CONVERSION_PACKEDFACTOR_H

#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

namespace structured {

struct PackedFactor {
  /// The blocks, a parameter that is packed when the weights are stored.
  mlir::Value values;
  /// Of each panel its first block, and one more; of each block its column.
  mlir::Value positions, coordinates;
};

/// U or V of `op`, which must be a parameter as it is stored.
PackedFactor packFactor(mlir::OpBuilder &builder, GblrMatmulOp op,
                        GblrFactor factor, const GblrPanels &panels);

/// A constant tensor of `values`.
mlir::Value createIndices(mlir::OpBuilder &builder, mlir::Location loc,
                          llvm::ArrayRef<int32_t> values);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_PACKEDFACTOR_H
