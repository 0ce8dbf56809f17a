// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"

namespace structured {
#define GEN_PASS_DEF_PARAMETERSTOARGUMENTS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct ParametersToArguments
    : structured::impl::ParametersToArgumentsBase<ParametersToArguments> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTableCollection symbols;
    SymbolUserMap users(symbols, module);
    WalkResult result = module.walk([&](ParameterOp parameter) {
      auto function = parameter->getParentOfType<func::FuncOp>();
      if (!function) {
        parameter.emitError("parameter '")
            << parameter.getName() << "' is not in a function";
        return WalkResult::interrupt();
      }
      for (Operation *user : users.getUsers(function)) {
        if (!isa<func::CallOp>(user))
          continue;
        InFlightDiagnostic diagnostic =
            user->emitError("call of '")
            << function.getName() << "', which uses the parameter '"
            << parameter.getName() << "': inline it first";
        diagnostic.attachNote(parameter.getLoc()) << "used here";
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (auto function : module.getOps<func::FuncOp>())
      if (failed(convert(function)))
        return signalPassFailure();
  }

  /// Replaces the parameters of `function`, one argument for each name,
  /// permutation, packing, product and concatenation, in the order of their
  /// first use.
  LogicalResult convert(func::FuncOp function) {
    llvm::MapVector<
        std::tuple<StringAttr, Attribute, Attribute, Attribute, Attribute>,
        SmallVector<ParameterOp>>
        parameters;
    function.walk([&](ParameterOp parameter) {
      parameters[{parameter.getNameAttr(), parameter.getPermutationAttr(),
                  parameter.getPackingAttr(), parameter.getProductAttr(),
                  parameter.getConcatenationAttr()}]
          .push_back(parameter);
    });
    for (auto &[key, ops] : parameters) {
      auto [name, permutation, packing, product, concatenation] = key;
      for (ParameterOp op : ops)
        if (op.getType() != ops.front().getType()) {
          InFlightDiagnostic diagnostic = op.emitError("parameter '")
                                          << name.getValue()
                                          << "' has the type " << op.getType();
          diagnostic.attachNote(ops.front().getLoc())
              << "and here " << ops.front().getType();
          return diagnostic;
        }
      NamedAttrList attributes;
      attributes.append(kParameterAttrName, name);
      if (permutation)
        attributes.append(kPermutationAttrName, permutation);
      if (packing)
        attributes.append(kPackingAttrName, packing);
      if (product)
        attributes.append(kProductAttrName, product);
      if (concatenation)
        attributes.append(kConcatenationAttrName, concatenation);
      unsigned index = function.getNumArguments();
      if (failed(function.insertArgument(
              index, ops.front().getType(),
              attributes.getDictionary(&getContext()), ops.front().getLoc())))
        return failure();
      for (ParameterOp op : ops) {
        op.replaceAllUsesWith(function.getArgument(index));
        op.erase();
      }
      ++numArguments;
    }
    return success();
  }
};
} // namespace
