// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PanelKernel.h"
#include "VectorLoops.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace structured {
#define GEN_PASS_DEF_BLOCKSPARSETOVECTOR
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Most rows of a register tile. Rows of the input may lie a multiple of 4 KiB
/// apart, and then compete for one set of the L1 cache, which has 8 or 12 ways.
static constexpr int64_t kMaxRows = 12;
/// Independent sums that hide the latency of a multiply-add: latency 4, two
/// units.
static constexpr int64_t kMinSums = 8;
/// Bytes of the input's rows that a task passes over: they stay in the L2
/// cache while panel after panel multiplies them.
static constexpr int64_t kInputBytes = 512 * 1024;
/// Rows of a task at most.
static constexpr int64_t kMaxRowBlock = 128;

int64_t structured::getPanelRows(int64_t vectors, std::optional<int64_t> tokens,
                                 int64_t registers) {
  // Sums, the panel's vectors of a step, and one broadcast element.
  int64_t rows = std::min(kMaxRows, (registers - vectors - 1) / vectors);
  if (!tokens || rows < 1)
    return rows;
  // Tiles of equal size rather than a small last one.
  int64_t tiles = llvm::divideCeil(std::max<int64_t>(*tokens, 1), rows);
  return llvm::divideCeil(std::max<int64_t>(*tokens, 1), tiles);
}

double structured::getPanelStepCost(int64_t vectors,
                                    std::optional<int64_t> tokens,
                                    int64_t registers) {
  // Of a step of a tile, on a machine with two multiply-add and two load units
  // that loads the panel from the L2 cache with 32 bytes, half a vector, a
  // cycle.
  int64_t rows = getPanelRows(vectors, tokens, registers);
  double multiplyAdds = rows * vectors / 2.0;
  double loads = (rows + vectors + 1) / 2.0;
  double panel = 2.0 * vectors;
  return std::max({multiplyAdds, loads, panel}) / rows;
}

namespace {
/// Emits the loops and the kernel of one product.
class PanelEmitter {
public:
  PanelEmitter(BlockSparseMatmulOp op, int64_t vectorBits, int64_t registers,
               bool parallel)
      : op(op), laneCount(vectorBits / 32) {
    auto valuesType = cast<MemRefType>(op.getValues().getType());
    auto initType = cast<MemRefType>(op.getInit().getType());
    inFeatures = cast<MemRefType>(op.getInput().getType()).getDimSize(1);
    width = valuesType.getDimSize(1);
    vectors = width / laneCount;
    masked = initType.getDimSize(1) % width != 0;
    if (!initType.isDynamicDim(0))
      tokens = initType.getDimSize(0);
    tileRows = getPanelRows(vectors, tokens, registers);
    this->parallel =
        parallel && (!tokens || *tokens * valuesType.getNumElements() >=
                                    kParallelMultiplyAdds);
  }

  void emit(ImplicitLocOpBuilder &b);

private:
  using Builder = ImplicitLocOpBuilder;

  void emitTask(Builder &b, Value panel, Value rowBegin, Value rowEnd,
                std::optional<int64_t> rowCount);
  void emitTile(Builder &b, Value column, Value begin, Value end, Value row,
                int64_t rows, ValueRange masks);
  SmallVector<Value> emitStep(Builder &b, Value step, Value row, int64_t rows,
                              ValueRange sums);

  Value constant(Builder &b, int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value add(Builder &b, Value value, int64_t offset) {
    return offset == 0
               ? value
               : b.createOrFold<arith::AddIOp>(value, constant(b, offset));
  }
  Value loadIndex(Builder &b, Value memref, Value position) {
    return arith::IndexCastOp::create(
        b, b.getIndexType(), memref::LoadOp::create(b, memref, position));
  }
  VectorType vectorOf(Type elementType) {
    return VectorType::get({laneCount}, elementType);
  }

  BlockSparseMatmulOp op;
  int64_t laneCount, inFeatures, width, vectors, tileRows;
  std::optional<int64_t> tokens;
  bool masked, parallel;
};
} // namespace

void PanelEmitter::emit(Builder &b) {
  Value tokenCount = getValueOrCreateConstantIndexOp(
      b, b.getLoc(), memref::getMixedSize(b, b.getLoc(), op.getInit(), 0));
  int64_t panelCount =
      cast<MemRefType>(op.getPositions().getType()).getDimSize(0) - 1;
  int64_t rowBlock =
      std::clamp(kInputBytes / (4 * inFeatures), tileRows, kMaxRowBlock) /
      tileRows * tileRows;
  if (tokens && *tokens <= rowBlock * 3 / 2) {
    buildLoopNest(b, constant(b, panelCount), 1, parallel,
                  [&](Builder &b, ValueRange ivs) {
                    emitTask(b, ivs[0], constant(b, 0), tokenCount, tokens);
                  });
    return;
  }
  buildLoopNest(
      b, {tokenCount, constant(b, panelCount)}, {rowBlock, 1}, parallel,
      [&](Builder &b, ValueRange ivs) {
        Value end =
            arith::MinSIOp::create(b, add(b, ivs[0], rowBlock), tokenCount);
        std::optional<int64_t> rowCount;
        if (tokens && *tokens % rowBlock == 0)
          rowCount = rowBlock;
        emitTask(b, ivs[1], ivs[0], end, rowCount);
      });
}

/// The rows [rowBegin, rowEnd) of a panel: `rowCount` of them, if known.
void PanelEmitter::emitTask(Builder &b, Value panel, Value rowBegin,
                            Value rowEnd, std::optional<int64_t> rowCount) {
  Value begin = loadIndex(b, op.getPositions(), panel);
  Value end = loadIndex(b, op.getPositions(), add(b, panel, 1));
  Value column = arith::MulIOp::create(b, panel, constant(b, width));
  SmallVector<Value> masks(vectors);
  if (masked) {
    int64_t outFeatures =
        cast<MemRefType>(op.getInit().getType()).getDimSize(1);
    Value left = arith::SubIOp::create(b, constant(b, outFeatures), column);
    for (auto [index, mask] : llvm::enumerate(masks))
      mask = vector::CreateMaskOp::create(
          b, vectorOf(b.getI1Type()),
          ValueRange{add(b, left, -int64_t(index) * laneCount)});
  }
  auto emitTiles = [&](Value from, Value to, int64_t rows) {
    scf::ForOp::create(
        b, from, to, constant(b, rows), ValueRange(),
        [&](OpBuilder &builder, Location loc, Value row, ValueRange) {
          Builder inner(loc, builder);
          emitTile(inner, column, begin, end, row, rows, masks);
          scf::YieldOp::create(inner);
        });
  };
  if (rowCount) {
    int64_t tiled = *rowCount / tileRows * tileRows;
    Value tiledEnd = add(b, rowBegin, tiled);
    emitTiles(rowBegin, tiledEnd, tileRows);
    if (tiled < *rowCount)
      emitTile(b, column, begin, end, tiledEnd, *rowCount - tiled, masks);
    return;
  }
  // An unknown number of rows: tiles, then tiles of half as many rows, and so
  // on down to one.
  Value from = rowBegin;
  for (int64_t rows = tileRows; rows > 0; rows /= 2) {
    Value left = arith::SubIOp::create(b, rowEnd, from);
    Value remainder = arith::RemUIOp::create(b, left, constant(b, rows));
    Value to = arith::SubIOp::create(b, rowEnd, remainder);
    emitTiles(from, to, rows);
    from = to;
  }
}

/// Adds the products of the steps [begin, end) to `rows` rows of the panel.
void PanelEmitter::emitTile(Builder &b, Value column, Value begin, Value end,
                            Value row, int64_t rows, ValueRange masks) {
  Type f32 = b.getF32Type();
  auto forEachSum = [&](auto callback) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t v = 0; v < vectors; ++v)
        callback(i * vectors + v,
                 ValueRange{add(b, row, i), add(b, column, v * laneCount)},
                 masks[v]);
  };
  SmallVector<Value> sums(rows * vectors);
  forEachSum([&](int64_t index, ValueRange at, Value mask) {
    sums[index] = loadLanes(b, vectorOf(f32), op.getInit(), at, mask);
  });

  // Few sums: several steps at once, each with sums of its own.
  int64_t unroll = llvm::divideCeil(kMinSums, sums.size());
  Value from = begin;
  if (unroll > 1) {
    Value zero =
        arith::ConstantOp::create(b, b.getZeroAttr(vectorOf(f32)));
    SmallVector<Value> allSums = sums;
    allSums.resize(sums.size() * unroll, zero);
    Value count = arith::SubIOp::create(b, end, begin);
    Value remainder = arith::RemUIOp::create(b, count, constant(b, unroll));
    from = arith::SubIOp::create(b, end, remainder);
    auto loop = scf::ForOp::create(
        b, begin, from, constant(b, unroll), allSums,
        [&](OpBuilder &builder, Location loc, Value step, ValueRange all) {
          Builder inner(loc, builder);
          SmallVector<Value> next;
          for (int64_t i = 0; i < unroll; ++i)
            llvm::append_range(
                next, emitStep(inner, add(inner, step, i), row, rows,
                               all.slice(i * sums.size(), sums.size())));
          scf::YieldOp::create(inner, next);
        });
    // Pairs of pairs: as exact as the sums' length allows.
    allSums = llvm::to_vector_of<Value>(loop.getResults());
    for (int64_t left = unroll; left > 1; left = llvm::divideCeil(left, 2)) {
      int64_t half = llvm::divideCeil(left, 2);
      for (size_t i = 0; i < (left - half) * sums.size(); ++i)
        allSums[i] = arith::AddFOp::create(b, allSums[i],
                                           allSums[half * sums.size() + i]);
    }
    std::copy_n(allSums.begin(), sums.size(), sums.begin());
  }
  auto loop = scf::ForOp::create(
      b, from, end, constant(b, 1), sums,
      [&](OpBuilder &builder, Location loc, Value step, ValueRange sums) {
        Builder inner(loc, builder);
        SmallVector<Value> next = emitStep(inner, step, row, rows, sums);
        scf::YieldOp::create(inner, next);
      });
  forEachSum([&](int64_t index, ValueRange at, Value mask) {
    storeLanes(b, loop.getResult(index), op.getInit(), at, mask);
  });
}

/// `sums` and the products of one step.
SmallVector<Value> PanelEmitter::emitStep(Builder &b, Value step, Value row,
                                          int64_t rows, ValueRange sums) {
  Type f32 = b.getF32Type();
  Type elementType = cast<MemRefType>(op.getValues().getType()).getElementType();
  Value coordinate = loadIndex(b, op.getCoordinates(), step);
  SmallVector<Value> values;
  for (int64_t v = 0; v < vectors; ++v) {
    Value value = loadLanes(b, vectorOf(elementType), op.getValues(),
                            {step, constant(b, v * laneCount)}, Value());
    values.push_back(castFloat(b, value, f32));
  }
  SmallVector<Value> next;
  for (int64_t i = 0; i < rows; ++i) {
    Value element = memref::LoadOp::create(
        b, op.getInput(), ValueRange{add(b, row, i), coordinate});
    Value broadcast = vector::BroadcastOp::create(b, vectorOf(f32), element);
    for (int64_t v = 0; v < vectors; ++v)
      next.push_back(vector::FMAOp::create(b, broadcast, values[v],
                                           sums[i * vectors + v]));
  }
  return next;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct BlockSparseToVector
    : structured::impl::BlockSparseToVectorBase<BlockSparseToVector> {
  using BlockSparseToVectorBase::BlockSparseToVectorBase;

  void runOnOperation() override {
    if (vectorBits < 64 || vectorRegisters < 4) {
      getOperation()->emitError("structured-block-sparse-to-vector needs "
                                "vector-bits of at least 64 and at least 4 "
                                "vector-registers");
      return signalPassFailure();
    }
    SmallVector<BlockSparseMatmulOp> ops;
    getOperation()->walk([&](BlockSparseMatmulOp op) { ops.push_back(op); });
    for (BlockSparseMatmulOp op : ops)
      if (failed(lower(op)))
        return signalPassFailure();
  }

  LogicalResult lower(BlockSparseMatmulOp op) {
    if (op->getNumResults() != 0)
      return op->emitError("block-sparse product on tensors: bufferize first");
    int64_t width = cast<MemRefType>(op.getValues().getType()).getDimSize(1);
    int64_t lanes = vectorBits / 32;
    if (width % lanes != 0 ||
        getPanelRows(width / lanes, std::nullopt, vectorRegisters) < 1)
      return op->emitError("panels of ")
             << width << " rows do not fit vectors of " << lanes
             << " numbers: give structured-gblr-to-block-sparse the same "
                "vector-bits and vector-registers";
    for (Value operand : {Value(op.getValues()), Value(op.getInit())})
      if (!isLastDimContiguous(cast<MemRefType>(operand.getType())))
        return op->emitError("the innermost dimension of its values or its "
                             "result is not contiguous");
    ImplicitLocOpBuilder builder(op.getLoc(), op);
    PanelEmitter(op, vectorBits, vectorRegisters,
                 parallel && !isInParallelLoop(op))
        .emit(builder);
    op->erase();
    ++numVectorised;
    return success();
  }
};
} // namespace
