// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace structured {
#define GEN_PASS_DEF_MERGELAUNCHES
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Most blocks of a launch that another one is merged with: launching more
/// takes less than running them.
static constexpr int64_t kMaxBlocks = 1024;

/// The blocks of a launch that can be merged with another one.
static std::optional<int64_t> getBlocks(gpu::LaunchOp op) {
  gpu::KernelDim3 grid = op.getGridSizeOperandValues();
  std::optional<int64_t> blocks = getConstantIntValue(grid.x);
  if (!blocks || *blocks > kMaxBlocks || !isOneInteger(grid.y) ||
      !isOneInteger(grid.z) || op.getDynamicSharedMemorySize() ||
      op.getAsyncToken() || op.hasClusterSize() ||
      !op.getWorkgroupAttributions().empty() ||
      !op.getPrivateAttributions().empty() || !op.getBody().hasOneBlock())
    return std::nullopt;
  // Its threads have nothing to do with each other.
  WalkResult result = op.getBody().walk([](Operation *inner) {
    bool isPlain = isMemoryEffectFree(inner) || inner->getNumRegions() != 0 ||
                   inner->hasTrait<OpTrait::IsTerminator>() ||
                   isa<MemoryEffectOpInterface>(inner);
    return isPlain && !isa<gpu::BarrierOp, gpu::ShuffleOp>(inner)
               ? WalkResult::advance()
               : WalkResult::interrupt();
  });
  return result.wasInterrupted() ? std::nullopt : blocks;
}

static bool haveSameThreads(gpu::LaunchOp a, gpu::LaunchOp b) {
  gpu::KernelDim3 threads = a.getBlockSizeOperandValues(),
                  others = b.getBlockSizeOperandValues();
  return isEqualConstantIntOrValue(threads.x, others.x) &&
         isEqualConstantIntOrValue(threads.y, others.y) &&
         isEqualConstantIntOrValue(threads.z, others.z) &&
         a.getModuleAttr() == b.getModuleAttr();
}

namespace {
/// A buffer that an op uses.
struct Access {
  Value buffer;
  bool isWritten;
};
} // namespace

/// The buffers that `op` uses; nothing if it may have other effects.
static std::optional<SmallVector<Access>> getAccesses(Operation *op) {
  SmallVector<Access> accesses;
  bool isKnown = true;
  op->walk([&](Operation *inner) {
    if (isMemoryEffectFree(inner) || isa<memref::AllocOp>(inner))
      return;
    auto effects = dyn_cast<MemoryEffectOpInterface>(inner);
    bool usesBuffers = false;
    for (Value operand : inner->getOperands())
      if (isa<MemRefType>(operand.getType())) {
        usesBuffers = true;
        accesses.push_back(
            {operand, !effects ||
                          hasEffect<MemoryEffects::Write>(inner, operand) ||
                          hasEffect<MemoryEffects::Free>(inner, operand)});
      }
    isKnown &= usesBuffers || inner->getNumRegions() != 0 ||
               inner->hasTrait<OpTrait::IsTerminator>();
  });
  if (!isKnown)
    return std::nullopt;
  return accesses;
}

/// Whether two ops can be executed in any order.
static bool areIndependent(ArrayRef<Access> ours, Operation *other) {
  std::optional<SmallVector<Access>> theirs = getAccesses(other);
  return theirs && llvm::none_of(ours, [&](const Access &mine) {
           return llvm::any_of(*theirs, [&](const Access &access) {
             return (mine.isWritten || access.isWritten) &&
                    mayAlias(mine.buffer, access.buffer);
           });
         });
}

/// Clones the body of `op` for its block `block`.
static void cloneBody(ImplicitLocOpBuilder &b, gpu::LaunchOp op,
                      gpu::LaunchOp merged, Value block) {
  IRMapping mapping;
  mapping.map(op.getBody().getArguments(), merged.getBody().getArguments());
  mapping.map(op.getBlockIds().x, block);
  mapping.map(op.getGridSize().x, op.getGridSizeOperandValues().x);
  for (Operation &inner : op.getBody().front().without_terminator())
    b.clone(inner, mapping);
}

/// Replaces two launches by one where the second is.
static gpu::LaunchOp merge(gpu::LaunchOp first, gpu::LaunchOp second) {
  ImplicitLocOpBuilder b(
      FusedLoc::get(second.getContext(), {first.getLoc(), second.getLoc()}),
      second);
  int64_t firstBlocks = *getBlocks(first);
  gpu::KernelDim3 grid = second.getGridSizeOperandValues(),
                  threads = second.getBlockSizeOperandValues();
  auto merged = gpu::LaunchOp::create(
      b, arith::ConstantIndexOp::create(b, firstBlocks + *getBlocks(second)),
      grid.y, grid.z, threads.x, threads.y, threads.z);
  merged.setModuleAttr(second.getModuleAttr());
  merged.setFunctionAttr(second.getFunctionAttr());
  b.setInsertionPointToStart(&merged.getBody().front());
  Value block = merged.getBlockIds().x;
  Value count = arith::ConstantIndexOp::create(b, firstBlocks);
  Value isFirst =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ult, block, count);
  auto ifOp = scf::IfOp::create(b, isFirst, /*withElseRegion=*/true);
  gpu::TerminatorOp::create(b);
  b.setInsertionPoint(ifOp.thenYield());
  cloneBody(b, first, merged, block);
  b.setInsertionPoint(ifOp.elseYield());
  cloneBody(b, second, merged, arith::SubIOp::create(b, block, count));
  first.erase();
  second.erase();
  return merged;
}

namespace {
struct MergeLaunches : structured::impl::MergeLaunchesBase<MergeLaunches> {
  void runOnOperation() override {
    SmallVector<gpu::LaunchOp> launches;
    getOperation()->walk([&](gpu::LaunchOp op) {
      if (getBlocks(op))
        launches.push_back(op);
    });
    for (auto it = launches.begin(); it != launches.end(); ++it)
      if (gpu::LaunchOp second = findPartner(*it)) {
        auto place = llvm::find(launches, second);
        *place = merge(*it, second);
        ++numMerged;
      }
  }

  /// The first launch behind `op` that it can be executed together with.
  static gpu::LaunchOp findPartner(gpu::LaunchOp op) {
    std::optional<SmallVector<Access>> accesses = getAccesses(op);
    if (!accesses)
      return {};
    for (Operation *other = op->getNextNode();
         other && !other->hasTrait<OpTrait::IsTerminator>();
         other = other->getNextNode()) {
      if (!areIndependent(*accesses, other))
        return {};
      auto launch = dyn_cast<gpu::LaunchOp>(other);
      if (launch && getBlocks(launch) && haveSameThreads(op, launch))
        return launch;
    }
    return {};
  }
};
} // namespace
