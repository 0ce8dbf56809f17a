// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_BUFFERSTOGPU
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct BuffersToGpu : structured::impl::BuffersToGpuBase<BuffersToGpu> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    WalkResult result = getOperation().walk([&](Operation *op) {
      rewriter.setInsertionPoint(op);
      if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
        rewriter.replaceOpWithNewOp<gpu::AllocOp>(
            alloc, alloc.getType(), /*asyncToken=*/Type(),
            /*asyncDependencies=*/ValueRange(), alloc.getDynamicSizes(),
            alloc.getSymbolOperands());
        ++numAllocations;
        return WalkResult::advance();
      }
      if (auto dealloc = dyn_cast<memref::DeallocOp>(op)) {
        rewriter.replaceOpWithNewOp<gpu::DeallocOp>(
            dealloc, /*asyncToken=*/Type(),
            /*asyncDependencies=*/ValueRange(), dealloc.getMemref());
        return WalkResult::advance();
      }
      if (auto load = dyn_cast<memref::LoadOp>(op))
        return isHostMemory(load.getMemRef()) ? WalkResult::advance()
                                              : refuse(op, "reads");
      if (isa<memref::StoreOp>(op))
        return refuse(op, "writes");
      if (isa<linalg::LinalgOp, StructuredLayerOpInterface, BlockSparseMatmulOp,
              BsrMatmulOp, memref::CopyOp>(op)) {
        op->emitError("'") << op->getName()
                           << "' is left on the host: no kernel for it "
                           << "(--remarks says why)";
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  static WalkResult refuse(Operation *op, StringRef what) {
    op->emitError("the host ")
        << what << " an element of a tensor here, which lies in the memory of "
        << "the device: a single element's value cannot steer the model";
    return WalkResult::interrupt();
  }
};
} // namespace
