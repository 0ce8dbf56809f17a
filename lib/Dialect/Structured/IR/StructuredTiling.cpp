// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// TilingInterface of the layer ops. Each op says which tile of each operand an
// iteration tile needs (operandTile); the rest is the same for all.

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace structured;
using utils::IteratorType;

namespace {
/// A box of a shaped value or of the iteration space; strides are 1.
struct Tile {
  SmallVector<OpFoldResult> offsets, sizes;

  /// Adds one dimension.
  void push(OpFoldResult offset, OpFoldResult size) {
    offsets.push_back(offset);
    sizes.push_back(size);
  }
  /// Adds a dimension of static size that the tile spans.
  void pushWhole(OpBuilder &builder, int64_t size) {
    push(builder.getIndexAttr(0), builder.getIndexAttr(size));
  }
};
} // namespace

static OpFoldResult multiply(OpBuilder &builder, Location loc,
                             OpFoldResult value, int64_t factor) {
  return affine::makeComposedFoldedAffineApply(
      builder, loc, getAffineSymbolExpr(0, builder.getContext()) * factor,
      {value});
}

static OpFoldResult getDim(OpBuilder &builder, Location loc, Value value,
                           int64_t dim) {
  if (isa<MemRefType>(value.getType()))
    return memref::getMixedSize(builder, loc, value, dim);
  return tensor::getMixedSize(builder, loc, value, dim);
}

static Operation *takeSlice(OpBuilder &builder, Location loc, Value value,
                            const Tile &tile) {
  SmallVector<OpFoldResult> strides(tile.offsets.size(),
                                    builder.getIndexAttr(1));
  if (isa<MemRefType>(value.getType()))
    return memref::SubViewOp::create(builder, loc, value, tile.offsets,
                                     tile.sizes, strides);
  return tensor::ExtractSliceOp::create(builder, loc, value, tile.offsets,
                                        tile.sizes, strides);
}

//===----------------------------------------------------------------------===//
// LinearOp: (T parallel, m parallel, n reduction)
//===----------------------------------------------------------------------===//

static SmallVector<IteratorType> loopIteratorTypes(LinearOp) {
  return {IteratorType::parallel, IteratorType::parallel,
          IteratorType::reduction};
}

static SmallVector<OpFoldResult> loopSizes(LinearOp op, OpBuilder &builder) {
  Location loc = op.getLoc();
  return {getDim(builder, loc, op.getInit(), 0),
          getDim(builder, loc, op.getWeight(), 0),
          getDim(builder, loc, op.getWeight(), 1)};
}

static Tile operandTile(LinearOp op, OpBuilder &, unsigned operand,
                        const Tile &loops) {
  static constexpr unsigned dims[3][2] = {{0, 2}, {1, 2}, {0, 1}};
  Tile tile;
  for (unsigned dim : dims[operand])
    tile.push(loops.offsets[dim], loops.sizes[dim]);
  return tile;
}

static FailureOr<Tile> loopsOfResultTile(LinearOp op, OpBuilder &builder,
                                         const Tile &result) {
  Tile loops = result;
  loops.pushWhole(builder, op.getInFeatures());
  return loops;
}

//===----------------------------------------------------------------------===//
// BlastMatmulOp: (T parallel, b_out parallel, r reduction)
//===----------------------------------------------------------------------===//

static SmallVector<IteratorType> loopIteratorTypes(BlastMatmulOp) {
  return {IteratorType::parallel, IteratorType::parallel,
          IteratorType::reduction};
}

static SmallVector<OpFoldResult> loopSizes(BlastMatmulOp op,
                                           OpBuilder &builder) {
  Location loc = op.getLoc();
  return {getDim(builder, loc, op.getInit(), 0),
          getDim(builder, loc, op.getU(), 0),
          getDim(builder, loc, op.getU(), 2)};
}

static Tile operandTile(BlastMatmulOp op, OpBuilder &builder, unsigned operand,
                        const Tile &loops) {
  Location loc = op.getLoc();
  auto pushLoop = [&](Tile &tile, unsigned loop) {
    tile.push(loops.offsets[loop], loops.sizes[loop]);
  };
  Tile tile;
  switch (operand) {
  case 0: // input [T, n]
    pushLoop(tile, 0);
    tile.pushWhole(builder, op.getInFeatures());
    break;
  case 1: // u [b_out, p, r]
    pushLoop(tile, 1);
    tile.pushWhole(builder, op.getP());
    pushLoop(tile, 2);
    break;
  case 2: // s [b_out, b_in, r]
    pushLoop(tile, 1);
    tile.pushWhole(builder, op.getBIn());
    pushLoop(tile, 2);
    break;
  case 3: // vt [b_in, r, q]
    tile.pushWhole(builder, op.getBIn());
    pushLoop(tile, 2);
    tile.pushWhole(builder, op.getQ());
    break;
  case 4: // init [T, b_out·p]
    pushLoop(tile, 0);
    tile.push(multiply(builder, loc, loops.offsets[1], op.getP()),
              multiply(builder, loc, loops.sizes[1], op.getP()));
    break;
  }
  return tile;
}

static FailureOr<Tile> loopsOfResultTile(BlastMatmulOp op, OpBuilder &builder,
                                         const Tile &result) {
  // Block rows are whole: the features must be known multiples of p.
  std::optional<int64_t> offset = getConstantIntValue(result.offsets[1]);
  std::optional<int64_t> size = getConstantIntValue(result.sizes[1]);
  if (!offset || !size || *offset % op.getP() || *size % op.getP())
    return failure();
  Tile loops;
  loops.push(result.offsets[0], result.sizes[0]);
  loops.push(builder.getIndexAttr(*offset / op.getP()),
             builder.getIndexAttr(*size / op.getP()));
  loops.push(builder.getIndexAttr(0),
             getDim(builder, op.getLoc(), op.getU(), 2));
  return loops;
}

//===----------------------------------------------------------------------===//
// GblrMatmulOp: (T parallel)
//===----------------------------------------------------------------------===//

static SmallVector<IteratorType> loopIteratorTypes(GblrMatmulOp) {
  return {IteratorType::parallel};
}

static SmallVector<OpFoldResult> loopSizes(GblrMatmulOp op,
                                           OpBuilder &builder) {
  return {getDim(builder, op.getLoc(), op.getInit(), 0)};
}

static Tile operandTile(GblrMatmulOp op, OpBuilder &builder, unsigned operand,
                        const Tile &loops) {
  Tile tile;
  auto type = cast<ShapedType>(op->getOperand(operand).getType());
  if (type.getRank() == 1) { // the packed factors
    tile.pushWhole(builder, type.getDimSize(0));
    return tile;
  }
  tile.push(loops.offsets[0], loops.sizes[0]);
  tile.pushWhole(builder,
                 operand == 0 ? op.getInFeatures() : op.getOutFeatures());
  return tile;
}

static FailureOr<Tile> loopsOfResultTile(GblrMatmulOp op, OpBuilder &,
                                         const Tile &result) {
  std::optional<int64_t> offset = getConstantIntValue(result.offsets[1]);
  std::optional<int64_t> size = getConstantIntValue(result.sizes[1]);
  if (offset != 0 || size != op.getOutFeatures())
    return failure();
  Tile loops;
  loops.push(result.offsets[0], result.sizes[0]);
  return loops;
}

//===----------------------------------------------------------------------===//
// The interface's methods, the same for all
//===----------------------------------------------------------------------===//

template <typename OpTy>
static FailureOr<TilingResult> tileLayer(OpTy op, OpBuilder &builder,
                                         const Tile &loops) {
  TilingResult tiled;
  SmallVector<Value> operands;
  for (OpOperand &operand : op->getOpOperands()) {
    // An empty factor is whole in every tile: slices must begin inside.
    auto type = cast<ShapedType>(operand.get().getType());
    if (type.hasStaticShape() && type.getNumElements() == 0) {
      operands.push_back(operand.get());
      continue;
    }
    Operation *slice =
        takeSlice(builder, op.getLoc(), operand.get(),
                  operandTile(op, builder, operand.getOperandNumber(), loops));
    tiled.generatedSlices.push_back(slice);
    operands.push_back(slice->getResult(0));
  }
  SmallVector<Type> resultTypes;
  if (op->getNumResults() != 0)
    resultTypes.push_back(operands.back().getType());
  Operation *tiledOp =
      mlir::clone(builder, op.getOperation(), resultTypes, operands);
  tiled.tiledOps.push_back(tiledOp);
  llvm::append_range(tiled.tiledValues, tiledOp->getResults());
  return tiled;
}

static Tile makeTile(ArrayRef<OpFoldResult> offsets,
                     ArrayRef<OpFoldResult> sizes) {
  return {llvm::to_vector(offsets), llvm::to_vector(sizes)};
}

#define TILING_METHODS(OP)                                                     \
  SmallVector<IteratorType> OP::getLoopIteratorTypes() {                       \
    return loopIteratorTypes(*this);                                           \
  }                                                                            \
  SmallVector<Range> OP::getIterationDomain(OpBuilder &builder) {              \
    SmallVector<Range> domain;                                                 \
    for (OpFoldResult size : loopSizes(*this, builder))                        \
      domain.push_back(                                                        \
          {builder.getIndexAttr(0), size, builder.getIndexAttr(1)});           \
    return domain;                                                             \
  }                                                                            \
  FailureOr<TilingResult> OP::getTiledImplementation(                          \
      OpBuilder &builder, ArrayRef<OpFoldResult> offsets,                      \
      ArrayRef<OpFoldResult> sizes) {                                          \
    return tileLayer(*this, builder, makeTile(offsets, sizes));                \
  }                                                                            \
  LogicalResult OP::getResultTilePosition(                                     \
      OpBuilder &builder, unsigned, ArrayRef<OpFoldResult> offsets,            \
      ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,  \
      SmallVector<OpFoldResult> &resultSizes) {                                \
    Tile tile = operandTile(*this, builder, getNumOperands() - 1,              \
                            makeTile(offsets, sizes));                         \
    llvm::append_range(resultOffsets, tile.offsets);                           \
    llvm::append_range(resultSizes, tile.sizes);                               \
    return success();                                                          \
  }                                                                            \
  LogicalResult OP::getIterationDomainTileFromResultTile(                      \
      OpBuilder &builder, unsigned, ArrayRef<OpFoldResult> offsets,            \
      ArrayRef<OpFoldResult> sizes,                                            \
      SmallVectorImpl<OpFoldResult> &loopOffsets,                              \
      SmallVectorImpl<OpFoldResult> &loopTileSizes) {                          \
    FailureOr<Tile> loops =                                                    \
        loopsOfResultTile(*this, builder, makeTile(offsets, sizes));           \
    if (failed(loops))                                                         \
      return failure();                                                        \
    llvm::append_range(loopOffsets, loops->offsets);                           \
    llvm::append_range(loopTileSizes, loops->sizes);                           \
    return success();                                                          \
  }                                                                            \
  FailureOr<TilingResult> OP::generateResultTileValue(                         \
      OpBuilder &builder, unsigned, ArrayRef<OpFoldResult> offsets,            \
      ArrayRef<OpFoldResult> sizes) {                                          \
    FailureOr<Tile> loops =                                                    \
        loopsOfResultTile(*this, builder, makeTile(offsets, sizes));           \
    if (failed(loops))                                                         \
      return failure();                                                        \
    return tileLayer(*this, builder, *loops);                                  \
  }

TILING_METHODS(LinearOp)
TILING_METHODS(BlastMatmulOp)
TILING_METHODS(GblrMatmulOp)
#undef TILING_METHODS
