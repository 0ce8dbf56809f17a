// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"

namespace structured {
#define GEN_PASS_DEF_CONSTANTSTOARGUMENTS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Whether only the host reads `constant`, element by element.
static bool isReadByHost(arith::ConstantOp constant) {
  return llvm::all_of(constant->getUsers(), [](Operation *user) {
    return isa<tensor::ExtractOp>(user) &&
           !user->getParentOfType<linalg::LinalgOp>();
  });
}

namespace {
struct ConstantsToArguments
    : structured::impl::ConstantsToArgumentsBase<ConstantsToArguments> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTableCollection symbols;
    SymbolUserMap users(symbols, module);
    for (auto function : module.getOps<func::FuncOp>())
      if (failed(convert(function, users)))
        return signalPassFailure();
  }

  LogicalResult convert(func::FuncOp function, SymbolUserMap &users) {
    llvm::MapVector<Attribute, SmallVector<arith::ConstantOp>> constants;
    SmallVector<arith::ConstantOp> splats;
    function.walk([&](arith::ConstantOp op) {
      auto value = dyn_cast<ElementsAttr>(op.getValue());
      if (!value || !isa<RankedTensorType>(op.getType()) || op->use_empty() ||
          isReadByHost(op))
        return;
      if (value.isSplat())
        splats.push_back(op);
      else
        constants[value].push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (arith::ConstantOp op : splats) {
      rewriter.setInsertionPoint(op);
      auto type = cast<RankedTensorType>(op.getType());
      auto value = cast<ElementsAttr>(op.getValue());
      Value scalar = arith::ConstantOp::create(
          rewriter, op.getLoc(), value.getSplatValue<TypedAttr>());
      Value empty = tensor::EmptyOp::create(
          rewriter, op.getLoc(), type.getShape(), type.getElementType());
      rewriter.replaceOpWithNewOp<linalg::FillOp>(op, scalar, empty);
      ++numFills;
    }
    for (auto &[value, ops] : constants) {
      for (Operation *user : users.getUsers(function)) {
        if (!isa<func::CallOp>(user))
          continue;
        InFlightDiagnostic diagnostic =
            user->emitError("call of '")
            << function.getName() << "', which uses a constant: inline it "
            << "first";
        diagnostic.attachNote(ops.front().getLoc()) << "used here";
        return diagnostic;
      }
      unsigned index = function.getNumArguments();
      NamedAttrList attributes;
      attributes.append(kConstantAttrName, value);
      if (failed(function.insertArgument(
              index, ops.front().getType(),
              attributes.getDictionary(&getContext()), ops.front().getLoc())))
        return failure();
      for (arith::ConstantOp op : ops) {
        op.replaceAllUsesWith(function.getArgument(index));
        op.erase();
      }
      ++numArguments;
    }
    return success();
  }
};
} // namespace
