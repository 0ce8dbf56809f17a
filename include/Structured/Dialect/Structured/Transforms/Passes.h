// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_DIALECT_STRUCTURED_TRANSFORMS_PASSES_H
#define STRUCTURED_DIALECT_STRUCTURED_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace structured {

#define GEN_PASS_DECL
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"

} // namespace structured

#endif // STRUCTURED_DIALECT_STRUCTURED_TRANSFORMS_PASSES_H
