// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "JsonFile.h"

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace structured {
#define GEN_PASS_DEF_BINDPARAMETERS
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct BindParameters : structured::impl::BindParametersBase<BindParameters> {
  using BindParametersBase::BindParametersBase;

  void runOnOperation() override {
    if (!names.empty() && failed(setNames()))
      return signalPassFailure();
    for (auto function : getOperation().getOps<FunctionOpInterface>())
      if (failed(bind(function)))
        return signalPassFailure();
  }

private:
  /// The function that `names` is for.
  FailureOr<FunctionOpInterface> findFunction() {
    FunctionOpInterface found;
    for (auto candidate : getOperation().getOps<FunctionOpInterface>()) {
      if (candidate.isExternal() ||
          (!function.empty() && candidate.getName() != function))
        continue;
      if (found)
        return getOperation().emitError()
               << "the module has several functions: say with the option "
                  "'function' which one '"
               << names << "' is for";
      found = candidate;
    }
    if (!found)
      return getOperation().emitError()
             << "the module has no function"
             << (function.empty() ? "" : " '" + function + "'")
             << " with a body";
    return found;
  }

  /// Sets the argument attributes from the JSON file `names`.
  LogicalResult setNames() {
    FailureOr<FunctionOpInterface> function = findFunction();
    if (failed(function))
      return failure();
    Result<llvm::json::Value> json = readJsonFile(names);
    if (!json)
      return function->emitError() << json.error();
    const llvm::json::Array *entries = json->getAsArray();
    if (!entries || entries->size() != function->getNumArguments())
      return function->emitError()
             << "'" << names << "' must be a JSON array of "
             << function->getNumArguments()
             << " entries, one for each argument of '" << function->getName()
             << "'";
    for (auto [index, entry] : llvm::enumerate(*entries)) {
      if (entry.kind() == llvm::json::Value::Null)
        continue;
      StringRef attrName = kParameterAttrName;
      std::optional<StringRef> name = entry.getAsString();
      if (const llvm::json::Object *object = entry.getAsObject()) {
        attrName = kInputNameAttrName;
        name = object->getString("input");
      }
      if (!name || name->empty())
        return function->emitError()
               << "'" << names << "': entry " << index
               << " must be a weight's name, {\"input\": name} or null";
      function->setArgAttr(index, attrName,
                           StringAttr::get(&getContext(), *name));
    }
    return success();
  }

  /// Replaces the arguments of `function` that are weights.
  LogicalResult bind(FunctionOpInterface function) {
    if (function.isExternal())
      return success();
    BitVector bound(function.getNumArguments());
    OpBuilder builder = OpBuilder::atBlockBegin(&function.front());
    for (BlockArgument argument : function.getArguments()) {
      unsigned index = argument.getArgNumber();
      auto name =
          function.getArgAttrOfType<StringAttr>(index, kParameterAttrName);
      if (!name)
        continue;
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type || !type.hasStaticShape())
        return function.emitError()
               << "argument " << index << " of '" << function.getName()
               << "', the parameter '" << name.getValue()
               << "', must be a tensor of static shape, not "
               << argument.getType();
      argument.replaceAllUsesWith(ParameterOp::create(
          builder, argument.getLoc(), type, name, DenseI64ArrayAttr()));
      bound.set(index);
    }
    if (bound.none())
      return success();
    if (!SymbolTable::symbolKnownUseEmpty(function, getOperation()))
      return function.emitError()
             << "'" << function.getName()
             << "' has parameters among its arguments and is called in the "
                "module; inline it first";
    numBound += bound.count();
    return function.eraseArguments(bound);
  }
};
} // namespace
