// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace structured {
#define GEN_PASS_DEF_ALIGNSHAREDMEMORY
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Bytes of the widest access to shared memory.
static constexpr int64_t kAlignment = 16;

namespace {
struct AlignSharedMemory
    : structured::impl::AlignSharedMemoryBase<AlignSharedMemory> {
  void runOnOperation() override {
    Attribute alignment = Builder(&getContext()).getI64IntegerAttr(kAlignment);
    StringRef name = LLVM::LLVMDialect::getAlignAttrName();
    getOperation().walk([&](gpu::GPUFuncOp function) {
      for (unsigned i = 0; i < function.getNumWorkgroupAttributions(); ++i)
        if (!function.getWorkgroupAttributionAttr(i, name)) {
          function.setWorkgroupAttributionAttr(i, name, alignment);
          ++numAligned;
        }
    });
  }
};
} // namespace
