// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Contractions on memrefs as loops around a register-blocked kernel, after the
// scheme of Goto and van de Geijn (Anatomy of high-performance matrix
// multiplication, ACM TOMS 34(3), 2008): a panel of the right-hand side is
// packed once and stays in the cache while blocks of rows of the left-hand side
// pass over it; the kernel keeps a tile of the result in registers.

#include "VectorLoops.h"

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace structured {
#define GEN_PASS_DEF_CONTRACTIONSTOVECTOR
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Rows of the left-hand side that pass over a packed panel: few enough to stay
/// in the L2 cache, enough to make packing cheap.
static constexpr int64_t kRowBlock = 128;
/// Steps of the reduction in a packed panel: 512 steps of three vectors of 64
/// bytes are 96 KiB.
static constexpr int64_t kReductionBlock = 512;
/// A right-hand side of at most so many bytes stays in the L1 cache unpacked.
static constexpr int64_t kUnpackedBytes = 32 * 1024;
/// Parallel tasks that a large contraction is cut into at least, if need be
/// with smaller blocks of rows.
static constexpr int64_t kMinTasks = 4;

namespace {
/// The machine's vector registers.
struct Registers {
  int64_t bits, count;
};

/// The tile of the result that the kernel holds in registers: `rows` rows of
/// `vectors` vectors.
struct RegisterTile {
  int64_t rows, vectors;
};

/// What a loop dimension of a contraction is.
enum class DimKind { Batch, Row, Column, Reduction };

/// A contraction `acc[..] += lhs[..] * rhs[..]` with the roles of its operands
/// and loops assigned. `lanes` is the loop that is vectorised, the innermost of
/// the result. It is a column (of the right-hand side and the result), or a
/// batch dimension (of all three).
struct Contraction {
  Value lhs, rhs, acc;
  AffineMap lhsMap, rhsMap, accMap;
  SmallVector<OpFoldResult> sizes;
  SmallVector<DimKind> kinds;
  unsigned lanes = 0;
  std::optional<unsigned> row;       ///< loop tiled by RegisterTile::rows
  std::optional<unsigned> reduction; ///< loop inside the kernel
  Type computeType;                  ///< element type of the sums

  bool isBatchVectorised() const { return kinds[lanes] == DimKind::Batch; }
  MemRefType lhsType() const { return cast<MemRefType>(lhs.getType()); }
  MemRefType rhsType() const { return cast<MemRefType>(rhs.getType()); }
  MemRefType accType() const { return cast<MemRefType>(acc.getType()); }
  std::optional<int64_t> staticSize(unsigned dim) const {
    return getConstantIntValue(sizes[dim]);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

static DimKind getDimKind(linalg::LinalgOp op, unsigned dim) {
  auto has = [&](unsigned operand) {
    return op.getIndexingMapsArray()[operand].isFunctionOfDim(dim);
  };
  if (!has(2))
    return DimKind::Reduction;
  if (has(0) && has(1))
    return DimKind::Batch;
  return has(0) ? DimKind::Row : DimKind::Column;
}

/// The loop of `kind` with the largest size; dynamic counts as large.
static std::optional<unsigned> getLargest(const Contraction &contraction,
                                          DimKind kind) {
  std::optional<unsigned> largest;
  int64_t largestSize = -1;
  for (auto [dim, dimKind] : llvm::enumerate(contraction.kinds)) {
    int64_t size = contraction.staticSize(dim).value_or(
        std::numeric_limits<int64_t>::max());
    if (dimKind == kind && dim != contraction.lanes && size > largestSize) {
      largest = dim;
      largestSize = size;
    }
  }
  return largest;
}

/// Assigns the roles; explains in `reason` if that is not possible.
static FailureOr<Contraction> analyze(ImplicitLocOpBuilder &builder,
                                      linalg::LinalgOp op, StringRef &reason) {
  auto refuse = [&](StringRef text) {
    reason = text;
    return failure();
  };
  for (Type type : op->getOperandTypes()) {
    auto memref = dyn_cast<MemRefType>(type);
    if (!memref)
      return refuse("its operands are not memrefs");
    if (!isa<FloatType>(memref.getElementType()))
      return refuse("its element types are not floating-point");
  }
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (maps[2].getNumResults() == 0)
    return refuse("its result is a scalar");

  Contraction contraction;
  contraction.lhs = op->getOperand(0);
  contraction.rhs = op->getOperand(1);
  contraction.acc = op->getOperand(2);
  std::tie(contraction.lhsMap, contraction.rhsMap, contraction.accMap) =
      std::make_tuple(maps[0], maps[1], maps[2]);
  contraction.sizes = getLoopSizes(builder, op);
  for (unsigned dim = 0; dim < op.getNumLoops(); ++dim)
    contraction.kinds.push_back(getDimKind(op, dim));
  contraction.lanes =
      cast<AffineDimExpr>(maps[2].getResults().back()).getPosition();
  if (!isLastDimContiguous(contraction.accType()))
    return refuse("the innermost dimension of its result is not contiguous");

  // The vectorised loop is to be one of columns: multiplication commutes.
  if (contraction.kinds[contraction.lanes] == DimKind::Row) {
    std::swap(contraction.lhs, contraction.rhs);
    std::swap(contraction.lhsMap, contraction.rhsMap);
    for (DimKind &kind : contraction.kinds) {
      if (kind == DimKind::Row)
        kind = DimKind::Column;
      else if (kind == DimKind::Column)
        kind = DimKind::Row;
    }
  }
  auto isContiguous = [&](MemRefType type, AffineMap map) {
    return isOnlyLastResult(map, contraction.lanes) &&
           isLastDimContiguous(type);
  };
  if (contraction.isBatchVectorised() &&
      !(isContiguous(contraction.lhsType(), contraction.lhsMap) &&
        isContiguous(contraction.rhsType(), contraction.rhsMap)))
    return refuse("its innermost batch dimension is not contiguous in both "
                  "operands");

  contraction.row = getLargest(contraction, DimKind::Row);
  contraction.reduction = getLargest(contraction, DimKind::Reduction);
  if (!contraction.row && !contraction.isBatchVectorised() &&
      !isContiguous(contraction.rhsType(), contraction.rhsMap))
    return refuse("it multiplies a vector with a matrix whose rows would have "
                  "to be transposed; a reduction along the rows is better");

  auto widest = [](Type a, Type b) {
    return a.getIntOrFloatBitWidth() >= b.getIntOrFloatBitWidth() ? a : b;
  };
  contraction.computeType = builder.getF32Type();
  for (Type type : op->getOperandTypes())
    contraction.computeType = widest(contraction.computeType,
                                     cast<MemRefType>(type).getElementType());
  if (contraction.computeType.getIntOrFloatBitWidth() > 64)
    return refuse("its element types are wider than 64 bits");
  int64_t reductions = llvm::count(contraction.kinds, DimKind::Reduction);
  if (reductions > 1 &&
      contraction.accType().getElementType() != contraction.computeType)
    return refuse("it reduces several dimensions into a narrow type");
  return contraction;
}

//===----------------------------------------------------------------------===//
// The register tile
//===----------------------------------------------------------------------===//

/// Estimated cycles of a reduction step of a kernel on a machine with two
/// multiply-add and two load units and a multiply-add latency of four.
static int64_t getKernelCost(int64_t rows, int64_t vectors) {
  constexpr int64_t kUnits = 2, kLatency = 4;
  return std::max({rows * vectors, rows + vectors, kUnits * kLatency});
}

/// The tile with the smallest estimated time for a result of `rowCount` rows
/// and `vectorCount` vectors (nullopt: many), among those that fit into the
/// registers beside the operands of one step.
static RegisterTile chooseTile(std::optional<int64_t> rowCount,
                               std::optional<int64_t> vectorCount,
                               int64_t registers) {
  constexpr int64_t kMany = 240; // divisible by all small tile sizes
  int64_t rows = std::min(rowCount.value_or(kMany), kMany);
  int64_t vectors = std::min(vectorCount.value_or(kMany), kMany);
  RegisterTile best = {1, 1};
  int64_t bestCost = std::numeric_limits<int64_t>::max();
  for (int64_t v = 1; v <= std::min<int64_t>(vectors, 8); ++v) {
    for (int64_t r = 1; r <= rows && r * v + v + 1 <= registers; ++r) {
      int64_t cost = rows / r * getKernelCost(r, v);
      if (rows % r != 0)
        cost += getKernelCost(rows % r, v);
      cost *= llvm::divideCeil(vectors, v);
      // Of equal ones the one that loads least.
      cost = cost * 64 + (r + v) * 32 / (r * v);
      if (cost < bestCost) {
        best = {r, v};
        bestCost = cost;
      }
    }
  }
  return best;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

namespace {
/// Emits the loops and the kernel of one contraction.
class Emitter {
public:
  Emitter(const Contraction &contraction, Registers registers, bool parallel);

  void emit(ImplicitLocOpBuilder &builder);

private:
  using Builder = ImplicitLocOpBuilder;

  bool shouldPack() const;
  bool shouldParallelize() const;
  int64_t getRowBlock() const;
  bool isAlwaysFull(int64_t index) const;
  void emitPanel(Builder &b, SmallVector<Value> ivs, Value rowBegin,
                 Value rowEnd, std::optional<int64_t> rowCount);
  void emitReductionBlock(Builder &b, ArrayRef<Value> ivs, Value begin,
                          Value end, Value rowBegin, Value rowEnd,
                          std::optional<int64_t> rowCount, Value buffer,
                          ValueRange masks);
  void emitPack(Builder &b, ArrayRef<Value> ivs, Value begin, Value end,
                Value buffer, ValueRange masks);
  void emitKernel(Builder &b, ArrayRef<Value> ivs, int64_t rows, Value begin,
                  Value end, Value buffer, ValueRange masks);

  Value constant(Builder &b, int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value add(Builder &b, Value value, int64_t offset) {
    return offset == 0
               ? value
               : b.createOrFold<arith::AddIOp>(value, constant(b, offset));
  }
  Value size(Builder &b, unsigned dim) {
    return getValueOrCreateConstantIndexOp(b, b.getLoc(), c.sizes[dim]);
  }
  VectorType vectorOf(Type elementType) {
    return VectorType::get({laneCount}, elementType);
  }
  int64_t panelWidth() const { return tile.vectors * laneCount; }

  const Contraction &c;
  int64_t laneCount;
  RegisterTile tile;
  bool rhsContiguous, mayExceed, packed, parallel;
  int64_t reductionBlock; ///< 0: the whole reduction at once
};
} // namespace

Emitter::Emitter(const Contraction &contraction, Registers registers,
                 bool parallel)
    : c(contraction),
      laneCount(std::max<int64_t>(
          1, registers.bits / c.computeType.getIntOrFloatBitWidth())),
      tile({1, 1}), parallel(parallel) {
  std::optional<int64_t> lanes = c.staticSize(c.lanes);
  std::optional<int64_t> rows = c.row ? c.staticSize(*c.row) : 1;
  std::optional<int64_t> vectors;
  if (lanes)
    vectors = llvm::divideCeil(*lanes, laneCount);
  tile = chooseTile(rows, vectors, registers.count);
  rhsContiguous =
      isOnlyLastResult(c.rhsMap, c.lanes) && isLastDimContiguous(c.rhsType());
  mayExceed = !lanes || *lanes % panelWidth() != 0;
  packed = shouldPack();
  std::optional<int64_t> steps = c.reduction ? c.staticSize(*c.reduction) : 1;
  // Sums can only be split where the result holds them unrounded.
  bool splits = packed && c.accType().getElementType() == c.computeType &&
                (!steps || *steps > kReductionBlock * 3 / 2);
  reductionBlock = splits ? kReductionBlock : 0;
  this->parallel = parallel && shouldParallelize();
}

bool Emitter::shouldPack() const {
  if (c.isBatchVectorised() || !c.reduction)
    return false;
  if (!rhsContiguous)
    return true;
  std::optional<int64_t> rows = c.row ? c.staticSize(*c.row) : 1;
  if (rows && *rows < 4 * tile.rows)
    return false;
  std::optional<int64_t> lanes = c.staticSize(c.lanes);
  std::optional<int64_t> steps = c.staticSize(*c.reduction);
  bool small = lanes && steps &&
               *lanes * *steps * c.rhsType().getElementTypeBitWidth() / 8 <=
                   kUnpackedBytes;
  return !small || c.rhsType().getElementType() != c.computeType;
}

bool Emitter::shouldParallelize() const {
  int64_t multiplyAdds = 1;
  for (unsigned dim = 0; dim < c.sizes.size(); ++dim) {
    std::optional<int64_t> size = c.staticSize(dim);
    if (!size)
      return true;
    if (llvm::MulOverflow(multiplyAdds, *size, multiplyAdds))
      return true;
  }
  return multiplyAdds >= kParallelMultiplyAdds;
}

int64_t Emitter::getRowBlock() const {
  std::optional<int64_t> rows = c.row ? c.staticSize(*c.row) : 1;
  if (!parallel || !rows)
    return kRowBlock;
  int64_t tasks = 1;
  for (auto [dim, kind] : llvm::enumerate(c.kinds)) {
    if (kind == DimKind::Reduction || dim == c.row)
      continue;
    std::optional<int64_t> size = c.staticSize(dim);
    if (!size)
      return kRowBlock;
    tasks *= dim == c.lanes ? llvm::divideCeil(*size, panelWidth()) : *size;
  }
  if (tasks >= kMinTasks)
    return kRowBlock;
  return std::min<int64_t>(kRowBlock,
                           llvm::divideCeil(*rows * tasks, kMinTasks));
}

void Emitter::emit(Builder &b) {
  // The parallel loops: batches, the rows and columns outside the tile, blocks
  // of rows, panels.
  SmallVector<unsigned> outer;
  SmallVector<Value> ends;
  SmallVector<int64_t> steps;
  for (auto [dim, kind] : llvm::enumerate(c.kinds)) {
    if (kind == DimKind::Reduction || dim == c.lanes || dim == c.row)
      continue;
    outer.push_back(dim);
    ends.push_back(size(b, dim));
    steps.push_back(1);
  }
  std::optional<int64_t> rows = c.row ? c.staticSize(*c.row) : 1;
  int64_t rowBlock = llvm::divideCeil(getRowBlock(), tile.rows) * tile.rows;
  bool blocksRows = c.row && (!rows || *rows > rowBlock * 3 / 2);
  if (blocksRows) {
    outer.push_back(*c.row);
    ends.push_back(size(b, *c.row));
    steps.push_back(rowBlock);
  }
  outer.push_back(c.lanes);
  ends.push_back(size(b, c.lanes));
  steps.push_back(panelWidth());

  buildLoopNest(b, ends, steps, parallel, [&](Builder &b, ValueRange loopIvs) {
    SmallVector<Value> ivs(c.sizes.size());
    for (auto [dim, iv] : llvm::zip_equal(outer, loopIvs))
      ivs[dim] = iv;
    Value rowBegin, rowEnd;
    std::optional<int64_t> rowCount = rows;
    if (blocksRows) {
      rowBegin = ivs[*c.row];
      Value blockEnd = add(b, rowBegin, rowBlock);
      if (rows && *rows % rowBlock == 0) {
        rowCount = rowBlock;
        rowEnd = blockEnd;
      } else {
        rowCount = std::nullopt;
        rowEnd = arith::MinSIOp::create(b, blockEnd, size(b, *c.row));
      }
    } else {
      rowBegin = constant(b, 0);
      rowEnd = c.row ? size(b, *c.row) : constant(b, 1);
    }
    emitPanel(b, ivs, rowBegin, rowEnd, rowCount);
  });
}

/// True if vector `index` of each panel lies in the matrix.
bool Emitter::isAlwaysFull(int64_t index) const {
  std::optional<int64_t> lanes = c.staticSize(c.lanes);
  if (!lanes || *lanes == 0)
    return false;
  int64_t lastPanel = (*lanes - 1) / panelWidth() * panelWidth();
  return lastPanel + (index + 1) * laneCount <= *lanes;
}

/// One panel: `tile.vectors` vectors wide from ivs[lanes] on.
void Emitter::emitPanel(Builder &b, SmallVector<Value> ivs, Value rowBegin,
                        Value rowEnd, std::optional<int64_t> rowCount) {
  SmallVector<Value> masks(tile.vectors);
  if (mayExceed) {
    Value left = arith::SubIOp::create(b, size(b, c.lanes), ivs[c.lanes]);
    for (auto [index, mask] : llvm::enumerate(masks))
      if (!isAlwaysFull(index))
        mask = vector::CreateMaskOp::create(
            b, vectorOf(b.getI1Type()),
            ValueRange{add(b, left, -int64_t(index) * laneCount)});
  }
  Value zero = constant(b, 0);
  Value steps = c.reduction ? size(b, *c.reduction) : constant(b, 1);
  Value buffer;
  if (packed) {
    std::optional<int64_t> bufferSteps = c.staticSize(*c.reduction);
    if (reductionBlock)
      bufferSteps = reductionBlock;
    auto type = MemRefType::get(
        {bufferSteps.value_or(ShapedType::kDynamic), panelWidth()},
        c.computeType);
    buffer = memref::AllocOp::create(
        b, type, bufferSteps ? ValueRange() : ValueRange(steps),
        b.getI64IntegerAttr(64));
  }

  // The other reductions and the blocks of the reduction add up in the result.
  SmallVector<unsigned> dims;
  SmallVector<Value> ends;
  SmallVector<int64_t> loopSteps;
  for (auto [dim, kind] : llvm::enumerate(c.kinds)) {
    if (kind != DimKind::Reduction || dim == c.reduction)
      continue;
    dims.push_back(dim);
    ends.push_back(size(b, dim));
    loopSteps.push_back(1);
  }
  if (reductionBlock) {
    dims.push_back(*c.reduction);
    ends.push_back(steps);
    loopSteps.push_back(reductionBlock);
  }
  buildLoopNest(b, ends, loopSteps, /*parallel=*/false,
                [&](Builder &b, ValueRange loopIvs) {
                  SmallVector<Value> inner = ivs;
                  for (auto [dim, iv] : llvm::zip_equal(dims, loopIvs))
                    inner[dim] = iv;
                  Value begin = zero, end = steps;
                  if (reductionBlock) {
                    begin = loopIvs.back();
                    end = arith::MinSIOp::create(
                        b, add(b, begin, reductionBlock), steps);
                  }
                  emitReductionBlock(b, inner, begin, end, rowBegin, rowEnd,
                                     rowCount, buffer, masks);
                });
  if (buffer)
    memref::DeallocOp::create(b, buffer);
}

/// The steps [begin, end) of the reduction for the rows [rowBegin, rowEnd):
/// `rowCount` of them, if known.
void Emitter::emitReductionBlock(Builder &b, ArrayRef<Value> ivs, Value begin,
                                 Value end, Value rowBegin, Value rowEnd,
                                 std::optional<int64_t> rowCount, Value buffer,
                                 ValueRange masks) {
  if (packed)
    emitPack(b, ivs, begin, end, buffer, masks);

  auto emitAt = [&](Builder &b, Value row, int64_t rows) {
    SmallVector<Value> kernelIvs(ivs);
    if (c.row)
      kernelIvs[*c.row] = row;
    emitKernel(b, kernelIvs, rows, begin, end, buffer, masks);
  };
  auto emitTiles = [&](Value from, Value to, int64_t rows) {
    scf::ForOp::create(
        b, from, to, constant(b, rows), ValueRange(),
        [&](OpBuilder &builder, Location loc, Value row, ValueRange) {
          Builder inner(loc, builder);
          emitAt(inner, row, rows);
          scf::YieldOp::create(inner);
        });
  };
  if (rowCount) {
    int64_t tiled = *rowCount / tile.rows * tile.rows;
    Value tiledEnd = add(b, rowBegin, tiled);
    if (tiled == tile.rows)
      emitAt(b, rowBegin, tile.rows);
    else if (tiled)
      emitTiles(rowBegin, tiledEnd, tile.rows);
    if (tiled < *rowCount)
      emitAt(b, tiledEnd, *rowCount - tiled);
    return;
  }
  // An unknown number of rows: tiles, then tiles of half as many rows, and so
  // on down to one.
  Value from = rowBegin;
  for (int64_t rows = tile.rows; rows > 0; rows /= 2) {
    Value left = arith::SubIOp::create(b, rowEnd, from);
    Value remainder = arith::RemUIOp::create(b, left, constant(b, rows));
    Value to = arith::SubIOp::create(b, rowEnd, remainder);
    emitTiles(from, to, rows);
    from = to;
  }
}

/// Copies the panel's steps [begin, end) to `buffer`, a row for each step. In
/// the last panel the lanes outside the matrix keep what the buffer held: their
/// results are not stored.
void Emitter::emitPack(Builder &b, ArrayRef<Value> ivs, Value begin, Value end,
                       Value buffer, ValueRange masks) {
  Type elementType = c.rhsType().getElementType();
  Value zero = constant(b, 0), one = constant(b, 1);
  auto load = [&](Builder &b, Value step, Value lane, Type type, Value mask) {
    SmallVector<Value> at(ivs);
    at[*c.reduction] = step;
    at[c.lanes] = lane;
    Value value = loadLanes(b, type, c.rhs, getIndices(b, c.rhsMap, at), mask);
    return castFloat(b, value, c.computeType);
  };
  if (rhsContiguous) {
    scf::ForOp::create(
        b, begin, end, one, ValueRange(),
        [&](OpBuilder &builder, Location loc, Value step, ValueRange) {
          Builder inner(loc, builder);
          Value bufferRow = arith::SubIOp::create(inner, step, begin);
          for (int64_t v = 0; v < tile.vectors; ++v) {
            Value lane = add(inner, ivs[c.lanes], v * laneCount);
            Value value =
                load(inner, step, lane, vectorOf(elementType), masks[v]);
            vector::StoreOp::create(
                inner, value, buffer,
                ValueRange{bufferRow, constant(inner, v * laneCount)});
          }
          scf::YieldOp::create(inner);
        });
    return;
  }
  Value width = constant(b, panelWidth());
  if (mayExceed)
    width = arith::MinSIOp::create(
        b, width, arith::SubIOp::create(b, size(b, c.lanes), ivs[c.lanes]));
  scf::ForOp::create(
      b, zero, width, one, ValueRange(),
      [&](OpBuilder &builder, Location loc, Value column, ValueRange) {
        scf::ForOp::create(
            builder, loc, begin, end, one, ValueRange(),
            [&](OpBuilder &builder, Location loc, Value step, ValueRange) {
              Builder inner(loc, builder);
              Value lane = arith::AddIOp::create(inner, ivs[c.lanes], column);
              Value value = load(inner, step, lane, elementType, Value());
              Value bufferRow = arith::SubIOp::create(inner, step, begin);
              memref::StoreOp::create(inner, value, buffer,
                                      ValueRange{bufferRow, column});
              scf::YieldOp::create(inner);
            });
        scf::YieldOp::create(builder, loc);
      });
}

/// `rows` rows of the panel, from ivs[row] on, over the steps [begin, end).
void Emitter::emitKernel(Builder &b, ArrayRef<Value> ivs, int64_t rows,
                         Value begin, Value end, Value buffer,
                         ValueRange masks) {
  Type accElement = c.accType().getElementType();
  VectorType computeVector = vectorOf(c.computeType);
  auto at = [&](Builder &b, std::optional<Value> step, int64_t row,
                int64_t vector) {
    SmallVector<Value> point(ivs);
    if (c.row)
      point[*c.row] = add(b, point[*c.row], row);
    if (c.reduction && step)
      point[*c.reduction] = *step;
    point[c.lanes] = add(b, point[c.lanes], vector * laneCount);
    return point;
  };
  auto accIndices = [&](int64_t row, int64_t vector) {
    return getIndices(b, c.accMap, at(b, std::nullopt, row, vector));
  };

  SmallVector<Value> sums;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t v = 0; v < tile.vectors; ++v)
      sums.push_back(castFloat(b,
                               loadLanes(b, vectorOf(accElement), c.acc,
                                         accIndices(row, v), masks[v]),
                               c.computeType));

  auto emitStep = [&](Builder &b, Value step, ValueRange sums) {
    SmallVector<Value> rhs;
    for (int64_t v = 0; v < tile.vectors; ++v) {
      if (buffer) {
        Value bufferRow = b.createOrFold<arith::SubIOp>(step, begin);
        rhs.push_back(vector::LoadOp::create(
            b, computeVector, buffer,
            ValueRange{bufferRow, constant(b, v * laneCount)}));
        continue;
      }
      Value value =
          loadLanes(b, vectorOf(c.rhsType().getElementType()), c.rhs,
                    getIndices(b, c.rhsMap, at(b, step, 0, v)), masks[v]);
      rhs.push_back(castFloat(b, value, c.computeType));
    }
    SmallVector<Value> next;
    Type lhsElement = c.lhsType().getElementType();
    for (int64_t row = 0; row < rows; ++row) {
      Value lhs;
      for (int64_t v = 0; v < tile.vectors; ++v) {
        if (c.isBatchVectorised() || v == 0) {
          Type type =
              c.isBatchVectorised() ? Type(vectorOf(lhsElement)) : lhsElement;
          lhs = castFloat(
              b,
              loadLanes(b, type, c.lhs,
                        getIndices(b, c.lhsMap, at(b, step, row, v)), masks[v]),
              c.computeType);
          if (!c.isBatchVectorised())
            lhs = vector::BroadcastOp::create(b, computeVector, lhs);
        }
        next.push_back(vector::FMAOp::create(b, lhs, rhs[v],
                                             sums[row * tile.vectors + v]));
      }
    }
    return next;
  };
  if (c.reduction) {
    auto loop = scf::ForOp::create(
        b, begin, end, constant(b, 1), sums,
        [&](OpBuilder &builder, Location loc, Value step, ValueRange sums) {
          Builder inner(loc, builder);
          SmallVector<Value> next = emitStep(inner, step, sums);
          scf::YieldOp::create(inner, next);
        });
    sums = llvm::to_vector_of<Value>(loop.getResults());
  } else {
    sums = emitStep(b, begin, sums);
  }
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t v = 0; v < tile.vectors; ++v)
      storeLanes(b, castFloat(b, sums[row * tile.vectors + v], accElement),
                 c.acc, accIndices(row, v), masks[v]);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct ContractionsToVector
    : structured::impl::ContractionsToVectorBase<ContractionsToVector> {
  using ContractionsToVectorBase::ContractionsToVectorBase;

  void runOnOperation() override {
    if (vectorBits < 64 || vectorRegisters < 4) {
      getOperation()->emitError("structured-contractions-to-vector needs "
                                "vector-bits of at least 64 and at least 4 "
                                "vector-registers");
      return signalPassFailure();
    }
    SmallVector<linalg::LinalgOp> contractions;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (linalg::isaContractionOpInterface(op) && op.getNumDpsInputs() == 2)
        contractions.push_back(op);
    });
    for (linalg::LinalgOp op : contractions) {
      ImplicitLocOpBuilder builder(op.getLoc(), op);
      StringRef reason;
      FailureOr<Contraction> contraction = analyze(builder, op, reason);
      if (failed(contraction)) {
        op->emitRemark("contraction not vectorised: ") << reason;
        continue;
      }
      Emitter emitter(*contraction, {vectorBits, vectorRegisters},
                      parallel && !isInParallelLoop(op));
      emitter.emit(builder);
      op->erase();
      ++numVectorised;
    }
  }
};
} // namespace
