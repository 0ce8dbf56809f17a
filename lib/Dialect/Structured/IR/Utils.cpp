// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

Value structured::extendToF32(OpBuilder &builder, Location loc, Value value) {
  if (value.getType().isF32())
    return value;
  return arith::ExtFOp::create(builder, loc, builder.getF32Type(), value);
}

Value structured::createZeroTensor(OpBuilder &builder, Location loc,
                                   ArrayRef<OpFoldResult> sizes,
                                   Type elementType) {
  Value empty = tensor::EmptyOp::create(builder, loc, sizes, elementType);
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(elementType));
  return linalg::FillOp::create(builder, loc, zero, empty).getResult(0);
}

Value structured::castTensorElements(OpBuilder &builder, Location loc,
                                     Value tensor, Type elementType) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.getElementType() == elementType)
    return tensor;
  bool widens =
      elementType.getIntOrFloatBitWidth() > type.getElementTypeBitWidth();
  Value empty = tensor::EmptyOp::create(
      builder, loc, tensor::getMixedSizes(builder, loc, tensor), elementType);
  AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, empty.getType(), tensor, empty,
             ArrayRef<AffineMap>{identity, identity}, iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               Value cast;
               if (widens)
                 cast = arith::ExtFOp::create(b, loc, elementType, args[0]);
               else
                 cast = arith::TruncFOp::create(b, loc, elementType, args[0]);
               linalg::YieldOp::create(b, loc, cast);
             })
      .getResult(0);
}

void structured::eraseDeadOps(RewriterBase &rewriter,
                              llvm::SetVector<Operation *> worklist) {
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    if (!isOpTriviallyDead(op))
      continue;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        worklist.insert(producer);
    rewriter.eraseOp(op);
  }
}

SmallVector<structured::IntervalPiece, 2>
structured::splitPeriodic(int64_t start, int64_t size, int64_t extent) {
  SmallVector<IntervalPiece, 2> pieces;
  int64_t first = std::min(size, extent - start);
  if (first > 0)
    pieces.push_back({0, start, first});
  if (size > first)
    pieces.push_back({first, 0, size - first});
  return pieces;
}

void structured::forEachGblrPiece(
    GblrLayoutAttr layout, function_ref<void(const GblrPiece &)> callback) {
  int64_t uOffset = 0, vOffset = 0;
  for (GblrComponentAttr component : layout.getComponents()) {
    int64_t rank = component.getRank();
    if (rank > 0)
      for (const IntervalPiece &rows :
           splitPeriodic(component.getRowStart(), component.getRows(),
                         layout.getOutFeatures()))
        for (const IntervalPiece &cols :
             splitPeriodic(component.getColStart(), component.getCols(),
                           layout.getInFeatures()))
          callback({component, uOffset, vOffset, rank, rows, cols});
    uOffset += rank * component.getRows();
    vOffset += rank * component.getCols();
  }
}

Value structured::extractPackedFactor(OpBuilder &builder, Location loc,
                                      Value factor, int64_t offset,
                                      int64_t rank, int64_t length,
                                      const IntervalPiece &piece) {
  MLIRContext *context = builder.getContext();
  auto indices = [&](ArrayRef<int64_t> values) {
    return getAsIndexOpFoldResult(context, values);
  };
  Value vectors =
      tensor::ExtractSliceOp::create(builder, loc, factor, indices({offset}),
                                     indices({rank * length}), indices({1}));
  auto elementType = cast<RankedTensorType>(factor.getType()).getElementType();
  Value matrix = tensor::ExpandShapeOp::create(
      builder, loc, RankedTensorType::get({rank, length}, elementType), vectors,
      ArrayRef<ReassociationIndices>{{0, 1}});
  return tensor::ExtractSliceOp::create(
      builder, loc, matrix, indices({0, piece.componentOffset}),
      indices({rank, piece.size}), indices({1, 1}));
}
