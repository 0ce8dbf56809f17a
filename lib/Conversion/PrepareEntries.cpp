// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

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

/// The input that each result updates; null: none.
static SmallVector<BlockArgument> getUpdatedInputs(func::FuncOp function) {
  SmallVector<BlockArgument> inputs(function.getNumResults());
  for (BlockArgument argument : function.getArguments())
    if (auto result = function.getArgAttrOfType<IntegerAttr>(
            argument.getArgNumber(), kUpdatedByAttrName))
      inputs[result.getInt()] = argument;
  return inputs;
}

/// Copies each returned tensor that may share memory with one returned before,
/// or with an input that another one is to be written to; then writes those
/// that update inputs there.
static void separateResults(func::FuncOp function) {
  SmallVector<BlockArgument> updated = getUpdatedInputs(function);
  function.walk([&](func::ReturnOp op) {
    OpBuilder builder(op);
    DenseSet<Value> taken;
    auto separate = [&](OpOperand &operand, BlockArgument input) {
      DenseSet<Value> roots;
      collectRoots(operand.get(), roots);
      roots.erase(input);
      if (llvm::any_of(roots, [&](Value root) {
            return taken.contains(root) || llvm::is_contained(updated, root);
          }))
        operand.set(bufferization::AllocTensorOp::create(
            builder, op.getLoc(),
            cast<RankedTensorType>(operand.get().getType()),
            /*dynamicSizes=*/ValueRange(), /*copy=*/operand.get()));
      taken.insert(roots.begin(), roots.end());
    };
    for (auto [input, operand] : llvm::zip_equal(updated, op->getOpOperands()))
      if (input)
        separate(operand, input);
    for (auto [input, operand] : llvm::zip_equal(updated, op->getOpOperands()))
      if (!input && isa<RankedTensorType>(operand.get().getType()))
        separate(operand, input);
    for (auto [input, operand] : llvm::zip_equal(updated, op->getOpOperands()))
      if (input)
        operand.set(
            bufferization::MaterializeInDestinationOp::create(
                builder, op.getLoc(), input.getType(), operand.get(), input)
                .getResult());
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
              builder.getBoolAttr(
                  bool(function.getArgAttr(index, kUpdatedByAttrName))));
      separateResults(function);
      ++numEntries;
    }
  }
};
} // namespace
