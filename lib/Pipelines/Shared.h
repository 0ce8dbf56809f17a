// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the pipelines of all targets have in common.

#ifndef STRUCTURED_LIB_PIPELINES_SHARED_H
#define STRUCTURED_LIB_PIPELINES_SHARED_H

#include "mlir/Pass/PassManager.h"

namespace structured {

void addCleanup(mlir::OpPassManager &pm);

/// Layers that do not pay, by the table `costs` (if it is not empty), become
/// dense; a dynamic number of tokens is taken to be `tokens`.
void addExpandUnprofitable(mlir::OpPassManager &pm, llvm::StringRef costs,
                           int64_t tokens);

/// On tensors: what surrounds contractions is folded into them, and elementwise
/// ops become one.
void addTensorFusion(mlir::OpPassManager &pm);

/// Tensors to buffers, which are freed.
void addBufferization(mlir::OpPassManager &pm);

} // namespace structured

#endif // STRUCTURED_LIB_PIPELINES_SHARED_H
