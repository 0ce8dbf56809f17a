// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_CONVERSION_PASSES_H
#define STRUCTURED_CONVERSION_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace structured {

#define GEN_PASS_DECL
#include "Structured/Conversion/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "Structured/Conversion/Passes.h.inc"

/// Patterns that rewrite the layer ops on tensors to linalg; see
/// `structured-to-linalg`.
void populateStructuredToLinalgPatterns(mlir::RewritePatternSet &patterns);

} // namespace structured

#endif // STRUCTURED_CONVERSION_PASSES_H
