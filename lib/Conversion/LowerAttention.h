// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_CONVERSION_LOWERATTENTION_H
#define STRUCTURED_LIB_CONVERSION_LOWERATTENTION_H

#include "Structured/Dialect/Structured/IR/Structured.h"

namespace structured {

/// Builds what `op`, which is on tensors, computes as linalg ops: two
/// contractions with the masked scores and the four ops of a softmax in
/// between, all in f32. What the values are multiplied by is rounded to their
/// element type.
mlir::Value lowerAttention(mlir::OpBuilder &builder, AttentionOp op);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_LOWERATTENTION_H
