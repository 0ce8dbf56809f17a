// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace structured {
#define GEN_PASS_DEF_DROPUPDATEDRESULTS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct DropUpdatedResults
    : structured::impl::DropUpdatedResultsBase<DropUpdatedResults> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(drop(function)))
        return signalPassFailure();
  }

  LogicalResult drop(func::FuncOp function) {
    BitVector dropped(function.getNumResults());
    SmallVector<std::pair<unsigned, BlockArgument>> updates;
    for (unsigned index = 0; index < function.getNumArguments(); ++index)
      if (auto result = function.getArgAttrOfType<IntegerAttr>(
              index, kUpdatedByAttrName)) {
        dropped.set(result.getInt());
        if (!function.isExternal())
          updates.push_back({result.getInt(), function.getArgument(index)});
      }
    if (dropped.none())
      return success();
    if (!SymbolTable::symbolKnownUseEmpty(function, getOperation()))
      return function.emitError()
             << "'" << function.getName()
             << "' updates its inputs and is called in the module; inline it "
                "first";
    WalkResult checked = function.walk([&](func::ReturnOp op) {
      for (auto [result, argument] : updates)
        if (op.getOperand(result) != argument) {
          op->emitError("result ")
              << result << " is not in the memory of argument "
              << argument.getArgNumber() << ", which it should update";
          return WalkResult::interrupt();
        }
      op->eraseOperands(dropped);
      return WalkResult::advance();
    });
    if (checked.wasInterrupted())
      return failure();
    if (failed(function.eraseResults(dropped)))
      return failure();
    for (auto [result, argument] : updates)
      function.removeArgAttr(argument.getArgNumber(), kUpdatedByAttrName);
    numResults += dropped.count();
    return success();
  }
};
} // namespace
