// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The one place that registers everything of the project.

#ifndef STRUCTURED_INITALL_H
#define STRUCTURED_INITALL_H

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"
#include "Structured/Pipelines/Cpu.h"
#include "Structured/Pipelines/Cuda.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

namespace structured {

/// Registers the project's dialect and its interface models.
inline void registerAllDialects(mlir::DialectRegistry &registry) {
  registry.insert<StructuredDialect>();
  registerBufferizableOpInterfaceExternalModels(registry);
  // Kernels become PTX inside a pipeline.
  mlir::registerAllGPUToLLVMIRTranslations(registry);
}

/// Registers the project's passes and pipelines.
inline void registerAllPasses() {
  registerStructuredTransformsPasses();
  registerStructuredConversionPasses();
  registerCpuPipelines();
  registerCudaPipelines();
}

} // namespace structured

#endif // STRUCTURED_INITALL_H
