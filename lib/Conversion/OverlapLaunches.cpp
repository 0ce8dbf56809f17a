// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "HopperLaunch.h"

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace structured {
#define GEN_PASS_DEF_OVERLAPLAUNCHES
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct OverlapLaunches
    : structured::impl::OverlapLaunchesBase<OverlapLaunches> {
  void runOnOperation() override {
    // Those whose code is here, and so waits. Kernels of ours for Hopper are no
    // gpu.func, and say for themselves where they wait.
    llvm::SmallDenseSet<Operation *> kernels;
    getOperation().walk([&](gpu::GPUFuncOp kernel) {
      if (!kernel.isKernel() || kernel.isExternal())
        return;
      auto b = ImplicitLocOpBuilder::atBlockBegin(kernel.getLoc(),
                                                  &kernel.getBody().front());
      NVVM::GriddepcontrolOp::create(
          b, NVVM::GridDepActionKind::launch_dependents);
      NVVM::GriddepcontrolOp::create(b, NVVM::GridDepActionKind::wait);
      kernels.insert(kernel);
    });
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      if (!kernels.contains(getOperation().lookupSymbol(launch.getKernel())))
        return;
      ImplicitLocOpBuilder b(launch.getLoc(), launch);
      makeNextLaunchProgrammatic(b, getOperation());
      ++numLaunches;
    });
  }
};
} // namespace
