// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "VectorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

SmallVector<OpFoldResult>
structured::getLoopSizes(ImplicitLocOpBuilder &builder, linalg::LinalgOp op) {
  SmallVector<OpFoldResult> sizes(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [position, result] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(result);
      if (!dim)
        continue;
      OpFoldResult &size = sizes[dim.getPosition()];
      // A static size is the better one where the operands' types differ.
      if (!size || (isa<Value>(size) && !type.isDynamicDim(position)))
        size = memref::getMixedSize(builder, builder.getLoc(), operand.get(),
                                    position);
    }
  }
  return sizes;
}

SmallVector<Value> structured::getIndices(ImplicitLocOpBuilder &builder,
                                          AffineMap map, ValueRange ivs) {
  SmallVector<Value> indices;
  for (AffineExpr result : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(result))
      indices.push_back(ivs[dim.getPosition()]);
    else
      indices.push_back(arith::ConstantIndexOp::create(
          builder, cast<AffineConstantExpr>(result).getValue()));
  }
  return indices;
}

bool structured::isLastDimContiguous(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  return type.getRank() > 0 &&
         succeeded(type.getStridesAndOffset(strides, offset)) &&
         strides.back() == 1;
}

bool structured::isOnlyLastResult(AffineMap map, unsigned dim) {
  if (map.getNumResults() == 0)
    return false;
  auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
  return last && last.getPosition() == dim &&
         llvm::none_of(map.getResults().drop_back(), [&](AffineExpr result) {
           return result.isFunctionOfDim(dim);
         });
}

Value structured::loadLanes(ImplicitLocOpBuilder &builder, Type type,
                            Value memref, ValueRange indices, Value mask) {
  auto vectorType = dyn_cast<VectorType>(type);
  if (!vectorType)
    return memref::LoadOp::create(builder, memref, indices);
  if (!mask)
    return vector::LoadOp::create(builder, vectorType, memref, indices);
  Value zero =
      arith::ConstantOp::create(builder, builder.getZeroAttr(vectorType));
  return vector::MaskedLoadOp::create(builder, vectorType, memref, indices,
                                      mask, zero);
}

void structured::storeLanes(ImplicitLocOpBuilder &builder, Value value,
                            Value memref, ValueRange indices, Value mask) {
  if (!isa<VectorType>(value.getType()))
    memref::StoreOp::create(builder, value, memref, indices);
  else if (!mask)
    vector::StoreOp::create(builder, value, memref, indices);
  else
    vector::MaskedStoreOp::create(builder, memref, indices, mask, value);
}

Value structured::castFloat(ImplicitLocOpBuilder &builder, Value value,
                            Type elementType) {
  unsigned from = getElementTypeOrSelf(value).getIntOrFloatBitWidth();
  unsigned to = elementType.getIntOrFloatBitWidth();
  if (from == to)
    return value;
  Type type = elementType;
  if (auto vectorType = dyn_cast<VectorType>(value.getType()))
    type = vectorType.clone(elementType);
  if (from < to)
    return arith::ExtFOp::create(builder, type, value);
  return arith::TruncFOp::create(builder, type, value);
}

bool structured::isInParallelLoop(Operation *op) {
  return op->getParentOfType<scf::ParallelOp>() ||
         op->getParentOfType<scf::ForallOp>();
}

void structured::buildLoopNest(
    ImplicitLocOpBuilder &builder, ArrayRef<Value> ends,
    ArrayRef<int64_t> steps, bool parallel,
    function_ref<void(ImplicitLocOpBuilder &, ValueRange)> body) {
  if (ends.empty()) {
    body(builder, {});
    return;
  }
  Value zero = arith::ConstantIndexOp::create(builder, 0);
  SmallVector<Value> begins(ends.size(), zero), stepValues;
  for (int64_t step : steps)
    stepValues.push_back(arith::ConstantIndexOp::create(builder, step));
  auto buildBody = [&](OpBuilder &bodyBuilder, Location loc, ValueRange ivs) {
    ImplicitLocOpBuilder inner(loc, bodyBuilder);
    body(inner, ivs);
  };
  if (parallel)
    scf::ParallelOp::create(builder, begins, ends, stepValues, buildBody);
  else
    scf::buildLoopNest(builder, builder.getLoc(), begins, ends, stepValues,
                       buildBody);
}
