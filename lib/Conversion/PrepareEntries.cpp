// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "llvm/ADT/DenseSet.h"

namespace structured {
#define GEN_PASS_DEF_PREPAREENTRIES
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Adds to `roots` the values whose memory `value` may be in. A
/// destination-style op's result, if it is needed beside another one, has
/// memory of its own; of any other op it may be that of each operand.
static void collectRoots(Value value, DenseSet<Value> &roots) {
  Operation *op = value.getDefiningOp();
  bool isRoot =
      !op || isa<DestinationStyleOpInterface>(op) || op->getNumRegions() != 0;
  if (isRoot)
    roots.insert(value);
  else
    for (Value operand : op->getOperands())
      if (isa<TensorType>(operand.getType()))
        collectRoots(operand, roots);
}

/// Copies each returned tensor that may share memory with one returned before.
static void separateResults(func::FuncOp function) {
  function.walk([](func::ReturnOp op) {
    DenseSet<Value> taken;
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      if (!type)
        continue;
      DenseSet<Value> roots;
      collectRoots(operand.get(), roots);
      if (llvm::any_of(roots,
                       [&](Value root) { return taken.contains(root); })) {
        OpBuilder builder(op);
        operand.set(bufferization::AllocTensorOp::create(
            builder, op.getLoc(), type, /*dynamicSizes=*/ValueRange(),
            /*copy=*/operand.get()));
      }
      taken.insert(roots.begin(), roots.end());
    }
  });
}

namespace {
struct PrepareEntries : structured::impl::PrepareEntriesBase<PrepareEntries> {
  void runOnOperation() override {
    Builder builder(&getContext());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!function.isPublic() || function.isExternal())
        continue;
      function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                        builder.getUnitAttr());
      for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
        if (isa<TensorType>(type))
          function.setArgAttr(
              index, bufferization::BufferizationDialect::kWritableAttrName,
              builder.getBoolAttr(false));
      separateResults(function);
      ++numEntries;
    }
  }
};
} // namespace
