// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "JsonFile.h"

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/MapVector.h"

namespace structured {
#define GEN_PASS_DEF_COLLECTMOMENTS
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct CollectMoments : structured::impl::CollectMomentsBase<CollectMoments> {
  using CollectMomentsBase::CollectMomentsBase;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  /// The layers of a function by their input, in order.
  using LayersByInput = llvm::MapVector<Value, SmallVector<LinearOp>>;

  InFlightDiagnostic emitOptionError() {
    return getOperation().emitError() << "structured-collect-moments: ";
  }

  LogicalResult run() {
    FunctionOpInterface function;
    LayersByInput layers;
    WalkResult walk = getOperation().walk([&](LinearOp linear) {
      if (!linear.getLayer()) {
        linear.emitRemark("no moments: the layer has no name");
        return WalkResult::advance();
      }
      auto parent = dyn_cast<FunctionOpInterface>(linear->getParentOp());
      if (!parent || !llvm::hasSingleElement(parent.getFunctionBody())) {
        linear.emitError() << "layer '" << *linear.getLayer()
                           << "': its moments cannot become results, as it is "
                              "not in the only block of a function";
        return WalkResult::interrupt();
      }
      if (function && parent != function) {
        linear.emitError() << "layer '" << *linear.getLayer() << "' is in '"
                           << parent.getName() << "', others are in '"
                           << function.getName()
                           << "'; moments are collected in one function";
        return WalkResult::interrupt();
      }
      function = parent;
      layers[linear.getInput()].push_back(linear);
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return failure();
    if (layers.empty())
      return emitOptionError() << "there is no named structured.linear; run "
                                  "structured-raise-linear first";
    if (!SymbolTable::symbolKnownUseEmpty(function, getOperation()))
      return function.emitError()
             << "'" << function.getName()
             << "' gets more results and is called in the module; inline it "
                "first";
    FailureOr<Value> tokenMask = getMask(function);
    if (failed(tokenMask))
      return failure();

    llvm::json::Array records;
    SmallVector<Value> moments;
    for (auto &[input, linears] : layers) {
      if (failed(check(linears.front(), *tokenMask)))
        return failure();
      llvm::json::Array names;
      for (LinearOp linear : linears)
        names.push_back(linear.getLayer()->str());
      int64_t numTokens = cast<RankedTensorType>(input.getType()).getDimSize(0);
      records.push_back(llvm::json::Object{
          {"result",
           function.getNumResults() + static_cast<int64_t>(moments.size())},
          {"layers", std::move(names)},
          {"features", linears.front().getInFeatures()},
          {"tokens", numTokens}});
      moments.push_back(buildMoments(linears.front(), input, *tokenMask));
    }
    if (failed(appendResults(function, moments)))
      return failure();
    numMoments += moments.size();
    if (!writePath.empty())
      if (Result<void> written = writeJsonFile(
              writePath, llvm::json::Object{{"version", 1},
                                            {"mask", mask.getValue()},
                                            {"moments", std::move(records)}});
          !written)
        return emitOptionError() << written.error();
    return success();
  }

  /// The argument named by the option `mask`, or a null value without it.
  FailureOr<Value> getMask(FunctionOpInterface function) {
    if (mask.empty())
      return Value();
    for (BlockArgument argument : function.getArguments()) {
      auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                        kInputNameAttrName);
      if (!name || name.getValue() != mask)
        continue;
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type || !type.hasStaticShape() || type.getRank() < 1 ||
          !type.getElementType().isIntOrFloat())
        return function.emitError()
               << "the mask '" << mask
               << "' must be a tensor of numbers of static shape, not "
               << argument.getType();
      return Value(argument);
    }
    return function.emitError() << "'" << function.getName()
                                << "' has no input named '" << mask << "'";
  }

  static LogicalResult check(LinearOp linear, Value tokenMask) {
    auto type = cast<ShapedType>(linear.getInput().getType());
    if (!isa<RankedTensorType>(type))
      return linear.emitError() << "layer '" << *linear.getLayer()
                                << "' is bufferized: collect moments before";
    if (type.isDynamicDim(0))
      return linear.emitError()
             << "layer '" << *linear.getLayer()
             << "' has a dynamic number of tokens: its moments would be of an "
                "unknown number of samples";
    if (!tokenMask)
      return success();
    int64_t maskSize = cast<ShapedType>(tokenMask.getType()).getNumElements();
    if (maskSize != type.getDimSize(0))
      return linear.emitError()
             << "layer '" << *linear.getLayer() << "' has "
             << type.getDimSize(0) << " tokens, the mask " << maskSize;
    return success();
  }

  /// x [T, n] in f32; rows whose element of the mask is zero are zero.
  static Value buildRows(ImplicitLocOpBuilder &builder, Value x,
                         Value tokenMask) {
    auto type = cast<RankedTensorType>(x.getType());
    if (!tokenMask && type.getElementType().isF32())
      return x;
    AffineMap all = builder.getMultiDimIdentityMap(2);
    SmallVector<Value> inputs{x};
    SmallVector<AffineMap> maps{all};
    if (tokenMask) {
      auto maskType = cast<RankedTensorType>(tokenMask.getType());
      if (maskType.getRank() != 1)
        tokenMask = tensor::CollapseShapeOp::create(
            builder, tokenMask,
            ArrayRef<ReassociationIndices>{
                llvm::to_vector<2>(llvm::seq<int64_t>(0, maskType.getRank()))});
      inputs.push_back(tokenMask);
      maps.push_back(all.getMajorSubMap(1));
    }
    maps.push_back(all);
    Value empty =
        tensor::EmptyOp::create(builder, type.getShape(), builder.getF32Type());
    return linalg::GenericOp::create(
               builder, empty.getType(), inputs, empty, maps,
               SmallVector<utils::IteratorType>(2,
                                                utils::IteratorType::parallel),
               [](OpBuilder &nested, Location loc, ValueRange arguments) {
                 ImplicitLocOpBuilder body(loc, nested);
                 Value value = convertToF32(body, arguments[0]);
                 if (arguments.size() == 3)
                   value = arith::SelectOp::create(
                       body, buildIsNonZero(body, arguments[1]), value,
                       buildZero(body));
                 linalg::YieldOp::create(body, value);
               })
        .getResult(0);
  }

  static Value buildZero(ImplicitLocOpBuilder &builder) {
    return arith::ConstantOp::create(builder, builder.getF32FloatAttr(0));
  }

  static Value convertToF32(ImplicitLocOpBuilder &builder, Value value) {
    if (value.getType().isF32())
      return value;
    return arith::ExtFOp::create(builder, builder.getF32Type(), value);
  }

  static Value buildIsNonZero(ImplicitLocOpBuilder &builder, Value value) {
    Value zero = arith::ConstantOp::create(
        builder, builder.getZeroAttr(value.getType()));
    if (isa<FloatType>(value.getType()))
      return arith::CmpFOp::create(builder, arith::CmpFPredicate::UNE, value,
                                   zero);
    return arith::CmpIOp::create(builder, arith::CmpIPredicate::ne, value,
                                 zero);
  }

  /// XᵀX [n, n] of the rows of x [T, n], in f32.
  static Value buildMoments(LinearOp linear, Value x, Value tokenMask) {
    OpBuilder atLinear(linear);
    ImplicitLocOpBuilder builder(linear.getLoc(), atLinear);
    Value rows = buildRows(builder, x, tokenMask);
    int64_t n = linear.getInFeatures();
    Value empty = tensor::EmptyOp::create(builder, ArrayRef<int64_t>{n, n},
                                          builder.getF32Type());
    Value init =
        linalg::FillOp::create(builder, buildZero(builder), empty).result();
    AffineExpr i, j, t;
    bindDims(builder.getContext(), i, j, t);
    SmallVector<AffineMap> maps = AffineMap::inferFromExprList(
        ArrayRef<ArrayRef<AffineExpr>>{{t, i}, {t, j}, {i, j}},
        builder.getContext());
    return linalg::GenericOp::create(
               builder, init.getType(), ValueRange{rows, rows}, init, maps,
               {utils::IteratorType::parallel, utils::IteratorType::parallel,
                utils::IteratorType::reduction},
               [](OpBuilder &nested, Location loc, ValueRange arguments) {
                 ImplicitLocOpBuilder body(loc, nested);
                 Value product =
                     arith::MulFOp::create(body, arguments[0], arguments[1]);
                 Value total =
                     arith::AddFOp::create(body, arguments[2], product);
                 linalg::YieldOp::create(body, total);
               })
        .getResult(0);
  }

  static LogicalResult appendResults(FunctionOpInterface function,
                                     ArrayRef<Value> results) {
    SmallVector<unsigned> indices(results.size(), function.getNumResults());
    SmallVector<DictionaryAttr> attributes(results.size());
    if (failed(function.insertResults(indices, ValueRange(results).getTypes(),
                                      attributes)))
      return failure();
    Operation *terminator = function.front().getTerminator();
    terminator->insertOperands(terminator->getNumOperands(), results);
    return success();
  }
};
} // namespace
