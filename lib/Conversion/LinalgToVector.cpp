// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Linalg ops on memrefs as loops, the innermost of them over vectors.

#include "LayerContractions.h"
#include "VectorLoops.h"

#include "Structured/Conversion/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_LINALGTOVECTOR
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using utils::IteratorType;

/// Executions of an op of the body (on a vector, or a scalar if there is no
/// vectorised loop) below which starting threads costs more than it saves.
static constexpr int64_t kParallelOperations = 8 * 1024;
/// Lanes of a vectorised loop that is made parallel itself, in one block.
static constexpr int64_t kParallelLanes = 4096;

namespace {
/// The body of a linalg.generic seen from one of its loops: which values differ
/// from lane to lane if that loop is vectorised.
class LaneAnalysis {
public:
  LaneAnalysis(linalg::GenericOp op, unsigned dim);

  /// True if loop `dim` can be vectorised.
  bool isVectorisable() const { return vectorisable; }
  bool isVarying(Value value) const { return varying.contains(value); }

private:
  bool analyzeOperands(linalg::GenericOp op, unsigned dim);
  bool analyzeReductions(linalg::GenericOp op, unsigned dim);
  bool analyzeBody(linalg::GenericOp op, unsigned dim);

  DenseSet<Value> varying;
  bool vectorisable;
};

/// Emits the loops of one op. `lanes` is the vectorised loop, if there is one.
class Emitter {
public:
  Emitter(linalg::GenericOp op, std::optional<unsigned> lanes,
          int64_t laneCount, bool parallel)
      : op(op), lanes(lanes), laneCount(laneCount), parallel(parallel),
        iterators(op.getIteratorTypesArray()) {
    if (lanes)
      analysis.emplace(op, *lanes);
  }

  void emit(ImplicitLocOpBuilder &builder);

private:
  using Builder = ImplicitLocOpBuilder;

  bool shouldParallelize();
  void emitSequential(Builder &b, ArrayRef<Value> ivs, ArrayRef<unsigned> dims);
  void emitLanes(Builder &b, ArrayRef<Value> ivs, Value begin, Value end);
  void emitReduction(Builder &b, ArrayRef<Value> ivs);
  SmallVector<Value> emitBody(Builder &b, ArrayRef<Value> ivs, bool asVectors,
                              Value mask, ValueRange accumulators);
  void emitPoint(Builder &b, ArrayRef<Value> ivs, bool asVectors, Value mask);
  SmallVector<Value> indices(Builder &b, OpOperand &operand,
                             ArrayRef<Value> ivs);
  Value laneMask(Builder &b, Value lane, Value end) {
    Value left = arith::SubIOp::create(b, end, lane);
    return vector::CreateMaskOp::create(b, vectorOf(b.getI1Type()), left);
  }
  VectorType vectorOf(Type elementType) {
    return VectorType::get({laneCount}, elementType);
  }
  Value constant(Builder &b, int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }

  linalg::GenericOp op;
  std::optional<unsigned> lanes;
  std::optional<LaneAnalysis> analysis;
  int64_t laneCount;
  bool parallel;
  SmallVector<IteratorType> iterators;
  SmallVector<OpFoldResult> sizes;
  SmallVector<Value> ends;
};
} // namespace

//===----------------------------------------------------------------------===//
// Which loop can be vectorised
//===----------------------------------------------------------------------===//

LaneAnalysis::LaneAnalysis(linalg::GenericOp op, unsigned dim)
    : vectorisable(analyzeOperands(op, dim) && analyzeBody(op, dim) &&
                   analyzeReductions(op, dim)) {}

/// An element type that has the same layout in a vector register and in memory.
static bool isVectorElement(Type type) {
  return type.isIntOrFloat() && type.getIntOrFloatBitWidth() >= 8 &&
         type.getIntOrFloatBitWidth() <= 64;
}

bool LaneAnalysis::analyzeOperands(linalg::GenericOp op, unsigned dim) {
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!type || !map.isFunctionOfDim(dim))
      continue;
    if (!isOnlyLastResult(map, dim) || !isLastDimContiguous(type) ||
        !isVectorElement(type.getElementType()))
      return false;
    varying.insert(op.getMatchingBlockArgument(&operand));
  }
  return true;
}

bool LaneAnalysis::analyzeReductions(linalg::GenericOp op, unsigned dim) {
  if (op.getIteratorTypesArray()[dim] != IteratorType::reduction)
    return true;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i) {
    SmallVector<Operation *> combiners;
    if (!matchReduction(op.getRegionOutputArgs(), i, combiners) ||
        combiners.size() != 1 ||
        !linalg::getCombinerOpKind(combiners.front()) ||
        !arith::getNeutralElement(combiners.front()))
      return false;
  }
  return true;
}

bool LaneAnalysis::analyzeBody(linalg::GenericOp op, unsigned dim) {
  // The accumulators of a vectorised reduction are vectors.
  if (op.getIteratorTypesArray()[dim] == IteratorType::reduction)
    for (BlockArgument argument : op.getRegionOutputArgs())
      varying.insert(argument);
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      if (index.getDim() == dim)
        varying.insert(index);
      continue;
    }
    if (llvm::none_of(inner.getOperands(),
                      [&](Value operand) { return isVarying(operand); }) &&
        inner.getNumRegions() == 0)
      continue;
    // An access to another memref is one of lanes if its last index counts
    // them.
    if (auto load = dyn_cast<memref::LoadOp>(inner)) {
      auto index =
          load.getIndices().empty()
              ? linalg::IndexOp()
              : load.getIndices().back().getDefiningOp<linalg::IndexOp>();
      if (!index || index.getDim() != dim ||
          llvm::any_of(load.getIndices().drop_back(),
                       [&](Value i) { return isVarying(i); }) ||
          !isLastDimContiguous(load.getMemRefType()) ||
          !isVectorElement(load.getType()))
        return false;
      varying.insert(load);
      continue;
    }
    if (!OpTrait::hasElementwiseMappableTraits(&inner))
      return false;
    for (Value result : inner.getResults()) {
      if (!result.getType().isIntOrIndexOrFloat())
        return false;
      varying.insert(result);
    }
  }
  return true;
}

/// The loop to vectorise: the innermost one that can be, and is not tiny.
static std::optional<unsigned> chooseLanes(linalg::GenericOp op,
                                           ArrayRef<int64_t> sizes) {
  constexpr int64_t kTiny = 2;
  for (unsigned dim = op.getNumLoops(); dim-- > 0;)
    if ((ShapedType::isDynamic(sizes[dim]) || sizes[dim] > kTiny) &&
        LaneAnalysis(op, dim).isVectorisable())
      return dim;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

bool Emitter::shouldParallelize() {
  int64_t operations = op.getBody()->getOperations().size();
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    std::optional<int64_t> count = getConstantIntValue(size);
    if (!count)
      return true;
    if (dim == lanes)
      count = llvm::divideCeil(*count, laneCount);
    if (llvm::MulOverflow(operations, *count, operations))
      return true;
  }
  return operations >= kParallelOperations;
}

void Emitter::emit(Builder &b) {
  auto linalgOp = cast<linalg::LinalgOp>(op.getOperation());
  for (Range range : linalgOp.createLoopRanges(b, b.getLoc())) {
    sizes.push_back(range.size);
    ends.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), range.size));
  }
  // Up to two outer loops are parallel.
  SmallVector<unsigned> outer, inner;
  bool makeParallel = parallel && shouldParallelize();
  for (auto [dim, iterator] : llvm::enumerate(iterators))
    if (iterator == IteratorType::parallel && dim != lanes)
      (makeParallel && outer.size() < 2 ? outer : inner).push_back(dim);
  for (auto [dim, iterator] : llvm::enumerate(iterators))
    if (iterator == IteratorType::reduction && dim != lanes)
      inner.push_back(dim);

  SmallVector<Value> ivs(iterators.size());
  bool splitsLanes = makeParallel && outer.empty() && inner.empty() && lanes &&
                     iterators[*lanes] == IteratorType::parallel;
  if (splitsLanes) {
    buildLoopNest(b, ends[*lanes], kParallelLanes, /*parallel=*/true,
                  [&](Builder &b, ValueRange begin) {
                    Value end = arith::AddIOp::create(
                        b, begin[0], constant(b, kParallelLanes));
                    end = arith::MinSIOp::create(b, end, ends[*lanes]);
                    emitLanes(b, ivs, begin[0], end);
                  });
    return;
  }
  SmallVector<Value> outerEnds;
  for (unsigned dim : outer)
    outerEnds.push_back(ends[dim]);
  buildLoopNest(b, outerEnds, SmallVector<int64_t>(outer.size(), 1),
                /*parallel=*/true, [&](Builder &b, ValueRange loopIvs) {
                  for (auto [dim, iv] : llvm::zip_equal(outer, loopIvs))
                    ivs[dim] = iv;
                  emitSequential(b, ivs, inner);
                });
}

void Emitter::emitSequential(Builder &b, ArrayRef<Value> outerIvs,
                             ArrayRef<unsigned> dims) {
  SmallVector<Value> innerEnds;
  for (unsigned dim : dims)
    innerEnds.push_back(ends[dim]);
  buildLoopNest(b, innerEnds, SmallVector<int64_t>(dims.size(), 1),
                /*parallel=*/false, [&](Builder &b, ValueRange loopIvs) {
                  SmallVector<Value> ivs(outerIvs);
                  for (auto [dim, iv] : llvm::zip_equal(dims, loopIvs))
                    ivs[dim] = iv;
                  if (!lanes)
                    emitPoint(b, ivs, /*asVectors=*/false, Value());
                  else if (iterators[*lanes] == IteratorType::parallel)
                    emitLanes(b, ivs, constant(b, 0), ends[*lanes]);
                  else
                    emitReduction(b, ivs);
                });
}

SmallVector<Value> Emitter::indices(Builder &b, OpOperand &operand,
                                    ArrayRef<Value> ivs) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<OpFoldResult> points = getAsOpFoldResult(ivs);
  SmallVector<Value> result;
  for (OpFoldResult index : affine::makeComposedFoldedMultiResultAffineApply(
           b, b.getLoc(), map, points))
    result.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), index));
  return result;
}

/// Emits the body for one point of the loops or, `asVectors`, for the lanes
/// from ivs[lanes] on. With `accumulators`, they take the place of the outputs'
/// elements. Returns what the body yields.
SmallVector<Value> Emitter::emitBody(Builder &b, ArrayRef<Value> ivs,
                                     bool asVectors, Value mask,
                                     ValueRange accumulators) {
  IRMapping mapping;
  auto isVarying = [&](Value value) {
    return asVectors && analysis->isVarying(value);
  };
  auto laneType = [&](Type type) { return vectorOf(type); };

  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    if (op.isDpsInit(&operand) && !accumulators.empty()) {
      unsigned number = operand.getOperandNumber() - op.getNumDpsInputs();
      mapping.map(argument, accumulators[number]);
      continue;
    }
    if (argument.use_empty())
      continue;
    if (!isa<MemRefType>(operand.get().getType())) {
      mapping.map(argument, operand.get());
      continue;
    }
    Type type = argument.getType();
    bool varies = isVarying(argument);
    mapping.map(argument, loadLanes(b, varies ? Type(laneType(type)) : type,
                                    operand.get(), indices(b, operand, ivs),
                                    varies ? mask : Value()));
  }

  /// The value for `original`, broadcast if it is the same for all lanes.
  auto asLanes = [&](Value original) -> Value {
    Value value = mapping.lookupOrDefault(original);
    if (isa<VectorType>(value.getType()))
      return value;
    return vector::BroadcastOp::create(b, laneType(value.getType()), value);
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      Value value = ivs[index.getDim()];
      if (isVarying(index)) {
        Value first =
            vector::BroadcastOp::create(b, laneType(b.getIndexType()), value);
        Value step = vector::StepOp::create(b, laneType(b.getIndexType()));
        value = arith::AddIOp::create(b, first, step);
      }
      mapping.map(index, value);
      continue;
    }
    bool varies = llvm::any_of(inner.getResults(), isVarying);
    if (!varies) {
      b.clone(inner, mapping);
      continue;
    }
    if (auto load = dyn_cast<memref::LoadOp>(inner)) {
      SmallVector<Value> loadIndices;
      for (Value index : load.getIndices().drop_back())
        loadIndices.push_back(mapping.lookupOrDefault(index));
      loadIndices.push_back(ivs[*lanes]);
      mapping.map(load, loadLanes(b, laneType(load.getType()),
                                  mapping.lookupOrDefault(load.getMemRef()),
                                  loadIndices, mask));
      continue;
    }
    SmallVector<Value> operands =
        llvm::map_to_vector(inner.getOperands(), asLanes);
    SmallVector<Type> types =
        llvm::map_to_vector(inner.getResultTypes(),
                            [&](Type type) -> Type { return laneType(type); });
    Operation *clone = b.create(b.getLoc(), inner.getName().getIdentifier(),
                                operands, types, inner.getAttrs());
    // The value of a constant op has the type of its result.
    mapping.map(inner.getResults(), clone->getResults());
  }
  SmallVector<Value> yielded;
  for (Value value : op.getBody()->getTerminator()->getOperands())
    yielded.push_back(asVectors ? asLanes(value)
                                : mapping.lookupOrDefault(value));
  return yielded;
}

void Emitter::emitPoint(Builder &b, ArrayRef<Value> ivs, bool asVectors,
                        Value mask) {
  SmallVector<Value> values = emitBody(b, ivs, asVectors, mask, {});
  for (auto [value, init] : llvm::zip_equal(values, op.getDpsInitsMutable()))
    storeLanes(b, value, init.get(), indices(b, init, ivs), mask);
}

/// The lanes [begin, end) of a parallel loop, in vectors.
void Emitter::emitLanes(Builder &b, ArrayRef<Value> outerIvs, Value begin,
                        Value end) {
  SmallVector<Value> ivs(outerIvs);
  Value step = constant(b, laneCount);
  Value count = arith::SubIOp::create(b, end, begin);
  Value remainder = arith::RemUIOp::create(b, count, step);
  Value fullEnd = arith::SubIOp::create(b, end, remainder);
  auto emitLoop = [&](Value from, Value to, bool masked) {
    scf::ForOp::create(
        b, from, to, step, ValueRange(),
        [&](OpBuilder &builder, Location loc, Value lane, ValueRange) {
          Builder inner(loc, builder);
          ivs[*lanes] = lane;
          emitPoint(inner, ivs, /*asVectors=*/true,
                    masked ? laneMask(inner, lane, end) : Value());
          scf::YieldOp::create(inner);
        });
  };
  emitLoop(begin, fullEnd, /*masked=*/false);
  emitLoop(fullEnd, end, /*masked=*/true);
}

/// A reduction over the lanes: each lane reduces its share, then the lanes are
/// reduced, then the outputs' elements are taken in.
void Emitter::emitReduction(Builder &b, ArrayRef<Value> outerIvs) {
  SmallVector<Value> ivs(outerIvs);
  SmallVector<Operation *> combiners;
  SmallVector<Value> accumulators;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i) {
    SmallVector<Operation *> combiner;
    matchReduction(op.getRegionOutputArgs(), i, combiner);
    combiners.push_back(combiner.front());
    TypedAttr neutral = *arith::getNeutralElement(combiner.front());
    accumulators.push_back(arith::ConstantOp::create(
        b, DenseElementsAttr::get(vectorOf(neutral.getType()), neutral)));
  }
  Value begin = constant(b, 0), end = ends[*lanes];
  Value step = constant(b, laneCount);
  Value remainder = arith::RemUIOp::create(b, end, step);
  Value fullEnd = arith::SubIOp::create(b, end, remainder);
  auto emitLoop = [&](Value from, Value to, bool masked) {
    auto loop = scf::ForOp::create(
        b, from, to, step, accumulators,
        [&](OpBuilder &builder, Location loc, Value lane, ValueRange old) {
          Builder inner(loc, builder);
          ivs[*lanes] = lane;
          Value mask = masked ? laneMask(inner, lane, end) : Value();
          SmallVector<Value> next =
              emitBody(inner, ivs, /*asVectors=*/true, mask, old);
          if (masked)
            for (auto [value, oldValue] : llvm::zip_equal(next, old))
              value = arith::SelectOp::create(inner, mask, value, oldValue);
          scf::YieldOp::create(inner, next);
        });
    accumulators = llvm::to_vector_of<Value>(loop.getResults());
  };
  emitLoop(begin, fullEnd, /*masked=*/false);
  emitLoop(fullEnd, end, /*masked=*/true);

  ivs[*lanes] = begin;
  for (auto [accumulator, combiner, init] :
       llvm::zip_equal(accumulators, combiners, op.getDpsInitsMutable())) {
    vector::CombiningKind kind = *linalg::getCombinerOpKind(combiner);
    Value reduced = vector::ReductionOp::create(b, kind, accumulator,
                                                arith::FastMathFlags::reassoc);
    SmallVector<Value> at = indices(b, init, ivs);
    Value old = memref::LoadOp::create(b, init.get(), at);
    Value value = vector::makeArithReduction(b, b.getLoc(), kind, old, reduced);
    memref::StoreOp::create(b, value, init.get(), at);
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct LinalgToVector : structured::impl::LinalgToVectorBase<LinalgToVector> {
  using LinalgToVectorBase::LinalgToVectorBase;

  void runOnOperation() override {
    if (vectorBits < 32) {
      getOperation()->emitError(
          "structured-linalg-to-vector needs vector-bits of at least 32");
      return signalPassFailure();
    }
    copiesToLinalg(getOperation());
    IRRewriter rewriter(&getContext());

    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops) {
      if (!op.hasPureBufferSemantics()) {
        op->emitRemark("not lowered: its operands are not memrefs");
        continue;
      }
      rewriter.setInsertionPoint(op);
      auto generic = dyn_cast<linalg::GenericOp>(*op);
      if (!generic) {
        FailureOr<linalg::GenericOp> generalized =
            linalg::generalizeNamedOp(rewriter, op);
        if (failed(generalized)) {
          op->emitRemark("not lowered: it cannot be written as linalg.generic");
          continue;
        }
        generic = *generalized;
      }
      lower(generic);
    }
  }

  void lower(linalg::GenericOp op) {
    std::optional<unsigned> lanes = chooseLanes(op, op.getStaticLoopRanges());
    if (lanes)
      ++numVectorised;
    else
      ++numScalar;
    ImplicitLocOpBuilder builder(op.getLoc(), op);
    Emitter emitter(op, lanes, vectorBits / 32,
                    parallel && !isInParallelLoop(op));
    emitter.emit(builder);
    op->erase();
  }
};
} // namespace
