// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Linalg ops on memrefs as GPU kernels.

#include "DeviceReads.h"
#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/Support/MathExtras.h"

#include <vector>

namespace structured {
#define GEN_PASS_DEF_LINALGTOGPU
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using linalg::LinalgOp;
using utils::IteratorType;
using LocBuilder = ImplicitLocOpBuilder;

/// Threads of a block of a kernel without rows.
static constexpr int64_t kPointThreads = 128;
/// Most threads of a block that works on one row.
static constexpr int64_t kMaxRowThreads = 256;
/// Most chunks of a row that a thread holds in registers.
static constexpr int64_t kMaxHeldChunks = 8;
/// From so many rows on a row has as few threads as can hold it: there are
/// enough rows to keep the GPU busy, and what a thread does once for each row
/// is done less often.
static constexpr int64_t kManyRows = 4096;
static constexpr int64_t kWarpSize = 32;
/// The gpu.module of the kernels.
static constexpr llvm::StringLiteral kModuleName = "kernels";
/// Bytes of the widest load.
static constexpr int64_t kMaxLoadBytes = 16;

//===----------------------------------------------------------------------===//
// Access to operands
//===----------------------------------------------------------------------===//

static Value constant(LocBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

/// Whether elements of a buffer lie as in a vector.
static bool hasWholeBytes(Type element) {
  return element.isIntOrFloat() && element.getIntOrFloatBitWidth() >= 8 &&
         element.getIntOrFloatBitWidth() % 8 == 0;
}

/// Whether the first element of `buffer` is at a multiple of `count` elements.
static bool startsAligned(Value buffer, int64_t count) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(cast<MemRefType>(buffer.getType())
                 .getStridesAndOffset(strides, offset)))
    return false;
  if (!ShapedType::isDynamic(offset))
    return offset % count == 0;
  Operation *op = buffer.getDefiningOp();
  if (isa_and_nonnull<memref::ExpandShapeOp, memref::CollapseShapeOp>(op))
    return startsAligned(op->getOperand(0), count);
  auto subview = dyn_cast_or_null<memref::SubViewOp>(op);
  if (!subview || !startsAligned(subview.getSource(), count) ||
      failed(subview.getSourceType().getStridesAndOffset(strides, offset)))
    return false;
  return llvm::all_of(
      llvm::zip_equal(subview.getStaticOffsets(), strides), [&](auto pair) {
        auto [index, stride] = pair;
        return (!ShapedType::isDynamic(stride) && stride % count == 0) ||
               (!ShapedType::isDynamic(index) &&
                (index == 0 || (!ShapedType::isDynamic(stride) &&
                                index * stride % count == 0)));
      });
}

/// Whether `count` elements along the last dimension of `buffer` can be read
/// with one load, from any index that is a multiple of `count` there.
static bool isAligned(Value buffer, int64_t count) {
  auto type = cast<MemRefType>(buffer.getType());
  if (count == 1)
    return true;
  if (!hasWholeBytes(type.getElementType()) || type.getRank() == 0)
    return false;
  if (type.getLayout().isIdentity())
    return !type.isDynamicDim(type.getRank() - 1) &&
           type.getShape().back() % count == 0;
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) || strides.back() != 1)
    return false;
  return startsAligned(buffer, count) &&
         llvm::all_of(ArrayRef(strides).drop_back(), [&](int64_t stride) {
           return !ShapedType::isDynamic(stride) && stride % count == 0;
         });
}

/// Whether loop `dim` is the last index of an access by `map`, and is in no
/// other.
static bool isLastIndex(AffineMap map, unsigned dim) {
  if (map.getNumResults() == 0 ||
      map.getResults().back() != getAffineDimExpr(dim, map.getContext()))
    return false;
  return llvm::none_of(map.getResults().drop_back(), [&](AffineExpr result) {
    return result.isFunctionOfDim(dim);
  });
}

namespace {
/// What a kernel knows of one of its linalg ops.
struct OpView {
  explicit OpView(LinalgOp op)
      : op(op), iterators(op.getIteratorTypesArray()),
        sizes(op.getStaticLoopRanges()) {}

  AffineMap map(OpOperand &operand) {
    return op.getMatchingIndexingMap(&operand);
  }
  bool isReduction() { return op.getNumReductionLoops() != 0; }

  LinalgOp op;
  SmallVector<IteratorType> iterators;
  SmallVector<int64_t> sizes;
};
} // namespace

/// Elements along loop `dim` that a thread takes at once: as many as one load
/// holds of the widest type, if that divides the loop and suits each operand
/// that is contiguous along it.
static int64_t chooseLaneCount(OpView &view, unsigned dim) {
  int64_t size = view.sizes[dim];
  if (ShapedType::isDynamic(size))
    return 1;
  int64_t widest = 0;
  SmallVector<Value> contiguous;
  for (OpOperand &operand : view.op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type || !isLastIndex(view.map(operand), dim) ||
        !hasWholeBytes(type.getElementType()))
      continue;
    contiguous.push_back(operand.get());
    widest = std::max<int64_t>(
        widest, type.getElementType().getIntOrFloatBitWidth() / 8);
  }
  if (widest == 0)
    return 1;
  int64_t count = std::max<int64_t>(1, kMaxLoadBytes / widest);
  auto suits = [&](int64_t count) {
    if (size % count != 0)
      return false;
    return llvm::all_of(contiguous,
                        [&](Value buffer) { return isAligned(buffer, count); });
  };
  while (count > 1 && !suits(count))
    count /= 2;
  return count;
}

static SmallVector<Value> getIndices(LocBuilder &b, AffineMap map,
                                     ArrayRef<Value> ivs) {
  SmallVector<Value> result;
  for (OpFoldResult index : affine::makeComposedFoldedMultiResultAffineApply(
           b, b.getLoc(), map, getAsOpFoldResult(ivs)))
    result.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), index));
  return result;
}

static llvm::MaybeAlign getAlignment(Type element, int64_t count) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8 * count;
  return llvm::Align(std::clamp<int64_t>(bytes, 1, kMaxLoadBytes));
}

/// The `count` elements of `operand` along loop `dim`, from the point `ivs` on.
/// One value if the operand is the same for all.
static SmallVector<Value> loadLanes(LocBuilder &b, OpView &view,
                                    OpOperand &operand, ArrayRef<Value> ivs,
                                    std::optional<unsigned> dim,
                                    int64_t count) {
  Value source = operand.get();
  auto type = dyn_cast<MemRefType>(source.getType());
  if (!type)
    return {source};
  AffineMap map = view.map(operand);
  if (!dim || count == 1 || !map.isFunctionOfDim(*dim))
    return {memref::LoadOp::create(b, source, getIndices(b, map, ivs))};
  SmallVector<Value> lanes;
  if (isLastIndex(map, *dim) && isAligned(source, count)) {
    Type element = type.getElementType();
    auto vectorType = VectorType::get({count}, element);
    Value loaded = vector::LoadOp::create(
        b, vectorType, source, getIndices(b, map, ivs), /*nontemporal=*/false,
        getAlignment(element, count));
    for (int64_t i = 0; i < count; ++i)
      lanes.push_back(vector::ExtractOp::create(b, loaded, i));
    return lanes;
  }
  SmallVector<Value> lane(ivs);
  for (int64_t i = 0; i < count; ++i) {
    lane[*dim] = arith::AddIOp::create(b, ivs[*dim], constant(b, i));
    lanes.push_back(
        memref::LoadOp::create(b, source, getIndices(b, map, lane)));
  }
  return lanes;
}

/// Stores `lanes` into `operand` from the point `ivs` on.
static void storeLanes(LocBuilder &b, OpView &view, OpOperand &operand,
                       ArrayRef<Value> ivs, std::optional<unsigned> dim,
                       ValueRange lanes) {
  AffineMap map = view.map(operand);
  auto type = cast<MemRefType>(operand.get().getType());
  int64_t count = lanes.size();
  if (count == 1) {
    memref::StoreOp::create(b, lanes.front(), operand.get(),
                            getIndices(b, map, ivs));
    return;
  }
  if (isLastIndex(map, *dim) && isAligned(operand.get(), count)) {
    auto vectorType = VectorType::get({count}, type.getElementType());
    Value vector = vector::FromElementsOp::create(b, vectorType, lanes);
    vector::StoreOp::create(b, vector, operand.get(), getIndices(b, map, ivs),
                            /*nontemporal=*/false,
                            getAlignment(type.getElementType(), count));
    return;
  }
  SmallVector<Value> lane(ivs);
  for (int64_t i = 0; i < count; ++i) {
    lane[*dim] = arith::AddIOp::create(b, ivs[*dim], constant(b, i));
    memref::StoreOp::create(b, lanes[i], operand.get(),
                            getIndices(b, map, lane));
  }
}

/// The loads in the op's body that are of neighbouring elements at neighbouring
/// points along loop `dim`, so that one load can read `count` of them; each
/// with null for what that gives.
static DenseMap<Operation *, Value> findLaneLoads(OpView &view, unsigned dim,
                                                  int64_t count) {
  DenseMap<Operation *, Value> loads;
  Block *body = view.op.getBlock();
  // What differs from point to point.
  DenseSet<Value> differs(body->args_begin(), body->args_end());
  for (Operation &inner : body->without_terminator()) {
    auto index = dyn_cast<linalg::IndexOp>(inner);
    if ((index && index.getDim() == dim) || inner.getNumRegions() != 0 ||
        llvm::any_of(inner.getOperands(),
                     [&](Value value) { return differs.contains(value); }))
      differs.insert(inner.result_begin(), inner.result_end());
    auto load = dyn_cast<memref::LoadOp>(inner);
    if (!load || load.getIndices().empty() ||
        !isAligned(load.getMemRef(), count) ||
        llvm::any_of(load.getIndices().drop_back(),
                     [&](Value value) { return differs.contains(value); }))
      continue;
    auto last = load.getIndices().back().getDefiningOp<linalg::IndexOp>();
    if (last && last.getDim() == dim)
      loads.insert({load, Value()});
  }
  return loads;
}

/// Executes the op's body with `arguments` for its block arguments at the point
/// `ivs`; returns what it yields. The loads in `loaded`, if there are any, are
/// lane `lane` of vectors; of the first lane, these are loaded.
static SmallVector<Value>
cloneBody(LocBuilder &b, OpView &view, ArrayRef<Value> arguments,
          ArrayRef<Value> ivs, DenseMap<Operation *, Value> *loaded = nullptr,
          int64_t lane = 0, int64_t count = 1) {
  IRMapping mapping;
  Block *body = view.op.getBlock();
  for (auto [argument, value] :
       llvm::zip_equal(body->getArguments(), arguments))
    if (value)
      mapping.map(argument, value);
  for (Operation &inner : body->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      mapping.map(index, ivs[index.getDim()]);
      continue;
    }
    auto load = dyn_cast<memref::LoadOp>(inner);
    if (!load || !loaded || !loaded->contains(load)) {
      b.clone(inner, mapping);
      continue;
    }
    Value &vector = (*loaded)[load];
    if (!vector) {
      SmallVector<Value> indices;
      for (Value index : load.getIndices())
        indices.push_back(mapping.lookupOrDefault(index));
      Type element = load.getMemRefType().getElementType();
      vector = vector::LoadOp::create(
          b, VectorType::get({count}, element), load.getMemRef(), indices,
          /*nontemporal=*/false, getAlignment(element, count));
    }
    mapping.map(load.getResult(),
                vector::ExtractOp::create(b, vector, lane).getResult());
  }
  return llvm::map_to_vector(
      body->getTerminator()->getOperands(),
      [&](Value value) { return mapping.lookupOrDefault(value); });
}

/// The coordinates of point `linear` of a row-major space; in 32 bits if the
/// whole space is known to be that small, since division is dear.
static SmallVector<Value> delinearize(LocBuilder &b, Value linear,
                                      ArrayRef<Value> sizes) {
  if (sizes.empty())
    return {};
  if (sizes.size() == 1)
    return {linear};
  int64_t total = 1;
  bool isSmall = true;
  for (Value size : sizes) {
    std::optional<int64_t> known = getConstantIntValue(size);
    isSmall &= known && !llvm::MulOverflow(total, *known, total) &&
               total < (int64_t(1) << 31);
  }
  Type index = b.getIndexType(), type = index;
  if (isSmall)
    type = b.getI32Type();
  auto cast = [&](Value value, Type to) -> Value {
    if (value.getType() == to)
      return value;
    return arith::IndexCastUIOp::create(b, to, value);
  };
  Value rest = cast(linear, type);
  SmallVector<Value> result(sizes.size());
  for (unsigned i = sizes.size(); i-- > 1;) {
    Value size = cast(sizes[i], type);
    result[i] = cast(arith::RemUIOp::create(b, rest, size), index);
    rest = arith::DivUIOp::create(b, rest, size);
  }
  result[0] = cast(rest, index);
  return result;
}

/// The number of points of some loops, if it is known.
static std::optional<int64_t> getPoints(ArrayRef<int64_t> sizes,
                                        ArrayRef<unsigned> dims) {
  int64_t points = 1;
  for (unsigned dim : dims)
    if (ShapedType::isDynamic(sizes[dim]) ||
        llvm::MulOverflow(points, sizes[dim], points))
      return std::nullopt;
  return points;
}

static Value product(LocBuilder &b, ArrayRef<Value> values) {
  Value result = constant(b, 1);
  for (Value value : values)
    result = b.createOrFold<arith::MulIOp>(result, value);
  return result;
}

/// Launches `blocks` blocks of `threads` threads that run `body`, with arrays
/// of the types `shared` in shared memory.
static void createLaunch(LocBuilder &b, StringRef name, Value blocks,
                         int64_t threads, ArrayRef<MemRefType> shared,
                         function_ref<void(LocBuilder &, Value block,
                                           Value thread, ValueRange shared)>
                             body) {
  Value one = constant(b, 1);
  // A grid may not be empty.
  blocks = b.createOrFold<arith::MaxUIOp>(blocks, one);
  SmallVector<Type> attributions(shared.begin(), shared.end());
  auto launch = gpu::LaunchOp::create(
      b, blocks, one, one, constant(b, threads), one, one,
      /*dynamicSharedMemorySize=*/Value(), /*asyncTokenType=*/Type(),
      /*asyncDependencies=*/ValueRange(), attributions);
  launch.setModuleAttr(FlatSymbolRefAttr::get(b.getContext(), kModuleName));
  launch.setFunctionAttr(FlatSymbolRefAttr::get(b.getContext(), name));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&launch.getBody().front());
  SmallVector<Value> sharedValues(launch.getWorkgroupAttributions().begin(),
                                  launch.getWorkgroupAttributions().end());
  body(b, launch.getBlockIds().x, launch.getThreadIds().x, sharedValues);
  gpu::TerminatorOp::create(b);
}

//===----------------------------------------------------------------------===//
// Kernels with a thread for each few points
//===----------------------------------------------------------------------===//

namespace {
/// A thread computes some elements of the results; it goes through reduction
/// loops alone.
class PointKernel {
public:
  explicit PointKernel(LinalgOp op) : view(op) {}

  void emit(LocBuilder &b);

private:
  void emitPoint(LocBuilder &b, ArrayRef<Value> ivs);
  void emitReduction(LocBuilder &b, ArrayRef<Value> ivs,
                     ArrayRef<SmallVector<Value>> old);
  SmallVector<SmallVector<Value>> emitLanes(LocBuilder &b, ArrayRef<Value> ivs,
                                            ArrayRef<SmallVector<Value>> old);
  /// The type in which sums of result `i` are formed.
  Type getSumType(unsigned i) {
    Type type =
        getElementTypeOrSelf(view.op.getDpsInitOperand(i)->get().getType());
    return isContraction && type.isIntOrFloat() && isa<FloatType>(type) &&
                   type.getIntOrFloatBitWidth() < 32
               ? Float32Type::get(type.getContext())
               : type;
  }

  OpView view;
  std::optional<unsigned> laneDim;
  int64_t laneCount = 1;
  bool isContraction = false;
  SmallVector<Value> ends;
};
} // namespace

void PointKernel::emit(LocBuilder &b) {
  isContraction = view.isReduction() && view.op.getNumDpsInputs() == 2 &&
                  linalg::isaContractionOpInterface(view.op);
  for (Range range : view.op.createLoopRanges(b, b.getLoc()))
    ends.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), range.size));

  // The parallel loops, in the order in which the first result is stored.
  SmallVector<unsigned> dims;
  AffineMap resultMap = view.map(*view.op.getDpsInitOperand(0));
  for (AffineExpr result : resultMap.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(result))
      if (!llvm::is_contained(dims, dim.getPosition()))
        dims.push_back(dim.getPosition());
  for (auto [dim, iterator] : llvm::enumerate(view.iterators))
    if (iterator == IteratorType::parallel && !llvm::is_contained(dims, dim))
      dims.insert(dims.begin(), dim);
  if (!dims.empty()) {
    laneDim = dims.back();
    laneCount = chooseLaneCount(view, *laneDim);
  }
  SmallVector<Value> counts;
  for (unsigned dim : dims)
    counts.push_back(ends[dim]);
  if (laneCount > 1)
    counts.back() = constant(b, view.sizes[*laneDim] / laneCount);
  Value total = product(b, counts);
  Value blocks =
      b.createOrFold<arith::CeilDivUIOp>(total, constant(b, kPointThreads));
  createLaunch(
      b, isContraction ? "contraction" : "elementwise", blocks, kPointThreads,
      {}, [&](LocBuilder &b, Value block, Value thread, ValueRange) {
        Value linear = arith::AddIOp::create(
            b, arith::MulIOp::create(b, block, constant(b, kPointThreads)),
            thread);
        Value inside =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, linear, total);
        auto ifOp = scf::IfOp::create(b, inside, /*withElseRegion=*/false);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(ifOp.thenYield());
        SmallVector<Value> ivs(ends.size());
        for (auto [dim, iv] :
             llvm::zip_equal(dims, delinearize(b, linear, counts)))
          ivs[dim] = iv;
        if (laneCount > 1)
          ivs[*laneDim] =
              arith::MulIOp::create(b, ivs[*laneDim], constant(b, laneCount));
        emitPoint(b, ivs);
      });
}

/// The body at `laneCount` points. `old` are the results' elements, by result
/// and lane. Returns the new ones.
SmallVector<SmallVector<Value>>
PointKernel::emitLanes(LocBuilder &b, ArrayRef<Value> ivs,
                       ArrayRef<SmallVector<Value>> old) {
  SmallVector<SmallVector<Value>> inputs;
  for (OpOperand *operand : view.op.getDpsInputOperands()) {
    if (view.op.getMatchingBlockArgument(operand).use_empty())
      inputs.push_back({Value()});
    else
      inputs.push_back(loadLanes(b, view, *operand, ivs, laneDim, laneCount));
  }
  SmallVector<SmallVector<Value>> results(view.op.getNumDpsInits());
  DenseMap<Operation *, Value> loaded;
  if (laneCount > 1)
    loaded = findLaneLoads(view, *laneDim, laneCount);
  SmallVector<Value> lane(ivs);
  for (int64_t i = 0; i < laneCount; ++i) {
    if (laneDim && laneCount > 1)
      lane[*laneDim] = arith::AddIOp::create(b, ivs[*laneDim], constant(b, i));
    SmallVector<Value> arguments;
    for (ArrayRef<Value> input : inputs)
      arguments.push_back(input[input.size() == 1 ? 0 : i]);
    if (isContraction) {
      // The product is formed and summed in the sum's type.
      Type type = old[0][i].getType();
      if (isa<FloatType>(type)) {
        for (Value &argument : arguments)
          argument = convertScalarToDtype(b, b.getLoc(), argument, type,
                                          /*isUnsignedCast=*/false);
        results[0].push_back(
            math::FmaOp::create(b, arguments[0], arguments[1], old[0][i]));
        continue;
      }
    }
    for (ArrayRef<Value> values : old)
      arguments.push_back(values[values.size() == 1 ? 0 : i]);
    for (auto [result, value] :
         llvm::zip_equal(results, cloneBody(b, view, arguments, lane, &loaded,
                                            i, laneCount)))
      result.push_back(value);
  }
  return results;
}

void PointKernel::emitPoint(LocBuilder &b, ArrayRef<Value> ivs) {
  SmallVector<SmallVector<Value>> old;
  SmallVector<Value> firstIvs(ivs);
  for (Value &iv : firstIvs)
    if (!iv)
      iv = constant(b, 0);
  for (OpOperand &init : view.op.getDpsInitsMutable()) {
    if (view.op.getMatchingBlockArgument(&init).use_empty()) {
      old.push_back({Value()});
      continue;
    }
    old.push_back(loadLanes(b, view, init, firstIvs, laneDim, laneCount));
  }
  if (view.isReduction())
    return emitReduction(b, firstIvs, old);
  SmallVector<SmallVector<Value>> results = emitLanes(b, firstIvs, old);
  for (auto [values, init] :
       llvm::zip_equal(results, view.op.getDpsInitsMutable()))
    storeLanes(b, view, init, firstIvs, laneDim, values);
}

void PointKernel::emitReduction(LocBuilder &b, ArrayRef<Value> ivs,
                                ArrayRef<SmallVector<Value>> old) {
  SmallVector<unsigned> dims;
  for (auto [dim, iterator] : llvm::enumerate(view.iterators))
    if (iterator != IteratorType::parallel)
      dims.push_back(dim);
  SmallVector<Value> flat;
  for (auto [i, values] : llvm::enumerate(old))
    for (Value value : values) {
      Type type = getSumType(i);
      // Of a result whose old elements are not read, any value will do.
      if (!value)
        for (int64_t lane = 0; lane < laneCount; ++lane)
          flat.push_back(arith::ConstantOp::create(b, b.getZeroAttr(type)));
      else
        flat.push_back(value.getType() == type
                           ? value
                           : convertScalarToDtype(b, b.getLoc(), value, type,
                                                  /*isUnsignedCast=*/false));
    }
  auto split = [&](ValueRange values) {
    SmallVector<SmallVector<Value>> result;
    for (; !values.empty(); values = values.drop_front(laneCount))
      result.push_back(llvm::to_vector(values.take_front(laneCount)));
    return result;
  };
  Value zero = constant(b, 0), one = constant(b, 1);
  SmallVector<Value> lowerBounds(dims.size(), zero), steps(dims.size(), one),
      uppers;
  for (unsigned dim : dims)
    uppers.push_back(ends[dim]);
  scf::LoopNest nest = scf::buildLoopNest(
      b, b.getLoc(), lowerBounds, uppers, steps, flat,
      [&](OpBuilder &builder, Location loc, ValueRange loopIvs,
          ValueRange sums) -> scf::ValueVector {
        LocBuilder inner(loc, builder);
        SmallVector<Value> point(ivs);
        for (auto [dim, iv] : llvm::zip_equal(dims, loopIvs))
          point[dim] = iv;
        scf::ValueVector next;
        for (ArrayRef<Value> values : emitLanes(inner, point, split(sums)))
          llvm::append_range(next, values);
        return next;
      });
  SmallVector<Value> sums = llvm::to_vector_of<Value>(nest.results);
  for (auto [i, values] : llvm::enumerate(split(sums))) {
    OpOperand *init = view.op.getDpsInitOperand(i);
    Type type = getElementTypeOrSelf(init->get().getType());
    for (Value &value : values)
      if (value.getType() != type)
        value = convertScalarToDtype(b, b.getLoc(), value, type,
                                     /*isUnsignedCast=*/false);
    storeLanes(b, view, *init, ivs, laneDim, values);
  }
}

//===----------------------------------------------------------------------===//
// Kernels with a block for each row
//===----------------------------------------------------------------------===//

/// The ops that combine the accumulators of a reduction, one for each result;
/// nothing if one is not known to be associative.
static std::optional<SmallVector<Operation *>> getCombiners(LinalgOp op) {
  SmallVector<Operation *> result;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i) {
    SmallVector<Operation *> combiners;
    if (!matchReduction(op.getRegionOutputArgs(), i, combiners) ||
        combiners.size() != 1 ||
        !linalg::getCombinerOpKind(combiners.front()) ||
        !arith::getNeutralElement(combiners.front()))
      return std::nullopt;
    Type type = combiners.front()->getResult(0).getType();
    if (!type.isIntOrFloat() || type.getIntOrFloatBitWidth() < 16)
      return std::nullopt;
    result.push_back(combiners.front());
  }
  return result;
}

static Value combine(LocBuilder &b, Operation *combiner, Value lhs, Value rhs) {
  return b
      .create(b.getLoc(), combiner->getName().getIdentifier(), {lhs, rhs},
              {lhs.getType()}, combiner->getAttrs())
      ->getResult(0);
}

/// `value` of the lane that differs in the bits `offset`.
static Value shuffleXor(LocBuilder &b, Value value, int32_t offset) {
  Type type = value.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  auto shuffle = [&](Value word) -> Value {
    return gpu::ShuffleOp::create(b, word, offset, kWarpSize,
                                  gpu::ShuffleMode::XOR)
        .getShuffleResult();
  };
  if (width == 32)
    return shuffle(value);
  Type i32 = b.getI32Type(), integer = b.getIntegerType(width);
  Value bits = value;
  if (type != integer)
    bits = arith::BitcastOp::create(b, integer, value);
  if (width < 32) {
    bits = arith::ExtUIOp::create(b, i32, bits);
    bits = arith::TruncIOp::create(b, integer, shuffle(bits));
  } else {
    Value shift = arith::ConstantOp::create(b, b.getIntegerAttr(integer, 32));
    Value low = arith::TruncIOp::create(b, i32, bits);
    Value high =
        arith::TruncIOp::create(b, i32, arith::ShRUIOp::create(b, bits, shift));
    low = arith::ExtUIOp::create(b, integer, shuffle(low));
    high = arith::ExtUIOp::create(b, integer, shuffle(high));
    bits = arith::OrIOp::create(b, low, arith::ShLIOp::create(b, high, shift));
  }
  return type == integer ? bits : arith::BitcastOp::create(b, type, bits);
}

namespace {
/// Ops that a block executes one after the other, each block for one point of
/// the row space, which is the first loops of every op's results.
class RowKernel {
public:
  RowKernel(ArrayRef<LinalgOp> ops, unsigned rowRank) : rowRank(rowRank) {
    for (LinalgOp op : ops)
      members.push_back(Member(op, rowRank));
  }

  /// The row loops of `op` if its results lie in rows of rank `rowRank`: the
  /// loops of the first results of their maps, the same for all.
  static std::optional<SmallVector<unsigned>> getRowDims(LinalgOp op,
                                                         unsigned rowRank);

  void emit(LocBuilder &b);

private:
  struct Member {
    Member(LinalgOp op, unsigned rowRank)
        : view(op), rowDims(*RowKernel::getRowDims(op, rowRank)) {
      // Loops inside the row: those of the result in its order, then those of
      // the reduction.
      AffineMap map = view.map(*op.getDpsInitOperand(0));
      for (AffineExpr result : map.getResults())
        if (auto dim = dyn_cast<AffineDimExpr>(result))
          if (!llvm::is_contained(rowDims, dim.getPosition()))
            innerDims.push_back(dim.getPosition());
      for (auto [dim, size] : llvm::enumerate(view.sizes))
        if (!llvm::is_contained(rowDims, dim) &&
            !llvm::is_contained(innerDims, dim))
          innerDims.push_back(dim);
      if (!innerDims.empty())
        laneCount = chooseLaneCount(view, innerDims.back());
    }

    OpView view;
    SmallVector<unsigned> rowDims, innerDims;
    int64_t laneCount = 1;
    SmallVector<Value> ends;
  };
  /// The elements of a buffer that a thread holds: one, or some in each chunk.
  using Held = SmallVector<SmallVector<Value>>;

  void chooseShape();
  void prepareShared(SmallVectorImpl<MemRefType> &types);
  void emitMember(LocBuilder &b, Member &member);
  void emitParallel(LocBuilder &b, Member &member);
  void emitReduction(LocBuilder &b, Member &member);
  void forEachChunk(LocBuilder &b, Member &member, ValueRange initial,
                    function_ref<SmallVector<Value>(
                        LocBuilder &, ArrayRef<Value> ivs,
                        std::optional<int64_t> chunk, ValueRange carried)>
                        body,
                    SmallVectorImpl<Value> &results);
  SmallVector<Value> load(LocBuilder &b, Member &member, OpOperand &operand,
                          ArrayRef<Value> ivs, std::optional<int64_t> chunk);
  SmallVector<SmallVector<Value>> emitLanes(LocBuilder &b, Member &member,
                                            ArrayRef<Value> ivs,
                                            std::optional<int64_t> chunk,
                                            ArrayRef<SmallVector<Value>> old);
  bool isHeldByRow(Member &member, OpOperand &operand);
  bool isOwn(Member &member, OpOperand &operand);
  bool isHeldByChunk(Member &member, OpOperand &operand);
  bool needsStore(OpOperand &init);
  bool isWritten(Value buffer);
  void synchronize(LocBuilder &b, Member &member);
  Value reduceOverBlock(LocBuilder &b, Operation *combiner, Value value);
  SmallVector<Value> rowPoint(Member &member) {
    SmallVector<Value> ivs(member.view.sizes.size());
    for (auto [dim, iv] : llvm::zip_equal(member.rowDims, rowIvs))
      ivs[dim] = iv;
    return ivs;
  }

  unsigned rowRank;
  std::vector<Member> members;
  int64_t threads = kMaxRowThreads;
  /// Chunks of a thread if it holds them in registers.
  std::optional<int64_t> heldChunks;
  Value thread;
  SmallVector<Value> rowIvs;
  SmallVector<Value> shared;
  unsigned usedShared = 0;
  llvm::DenseMap<Value, Held> held;
  /// What was loaded in a chunk from a buffer that no op writes.
  llvm::DenseMap<std::pair<Value, int64_t>, SmallVector<Value>> loaded;
  /// Buffers written by the block since the last barrier.
  llvm::SmallDenseSet<Value> unsynchronized;
  /// Buffers of which threads read what is not theirs since then.
  llvm::SmallDenseSet<Value> readByOthers;
};
} // namespace

std::optional<SmallVector<unsigned>> RowKernel::getRowDims(LinalgOp op,
                                                           unsigned rowRank) {
  std::optional<SmallVector<unsigned>> rowDims;
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    if (map.getNumResults() < rowRank || !map.isProjectedPermutation())
      return std::nullopt;
    SmallVector<unsigned> dims;
    for (unsigned i = 0; i < rowRank; ++i)
      dims.push_back(map.getDimPosition(i));
    if (rowDims && *rowDims != dims)
      return std::nullopt;
    rowDims = dims;
  }
  return rowDims;
}

/// Chooses the number of threads, and whether a thread holds its share of a row
/// in registers: if all ops have the same loops inside the row, of known sizes
/// that threads divide.
void RowKernel::chooseShape() {
  bool uniform = true;
  std::optional<SmallVector<int64_t>> innerSizes;
  int64_t lanes = kMaxLoadBytes, largest = 1;
  bool isDynamic = false;
  for (Member &member : members) {
    if (member.innerDims.empty())
      continue;
    lanes = std::min(lanes, member.laneCount);
    std::optional<int64_t> size =
        getPoints(member.view.sizes, member.innerDims);
    isDynamic |= !size;
    largest = std::max(largest, size.value_or(1));
    SmallVector<int64_t> sizes = llvm::map_to_vector(
        member.innerDims, [&](unsigned dim) { return member.view.sizes[dim]; });
    if (innerSizes && *innerSizes != sizes)
      uniform = false;
    innerSizes = sizes;
  }
  for (Member &member : members)
    member.laneCount = member.innerDims.empty() ? 1 : lanes;
  if (isDynamic || !innerSizes)
    return;
  int64_t chunks = llvm::divideCeil(largest, lanes);
  threads = std::min<int64_t>(
      kMaxRowThreads, llvm::alignTo(std::max<int64_t>(chunks, 1), kWarpSize));
  if (!uniform || chunks % kWarpSize != 0)
    return;
  SmallVector<int64_t> candidates;
  for (int64_t count = kWarpSize; count <= threads; count += kWarpSize)
    if (chunks % count == 0 && chunks / count <= kMaxHeldChunks)
      candidates.push_back(count);
  if (candidates.empty())
    return;
  std::optional<int64_t> rows =
      getPoints(members.front().view.sizes, members.front().rowDims);
  threads = rows && *rows >= kManyRows ? candidates.front() : candidates.back();
  heldChunks = chunks / threads;
}

/// One array for each reduction, with an element for each warp.
void RowKernel::prepareShared(SmallVectorImpl<MemRefType> &types) {
  if (threads == kWarpSize)
    return;
  for (Member &member : members)
    if (member.view.isReduction())
      for (OpOperand &init : member.view.op.getDpsInitsMutable()) {
        auto space = gpu::AddressSpaceAttr::get(init.get().getContext(),
                                                gpu::AddressSpace::Workgroup);
        types.push_back(MemRefType::get(
            {threads / kWarpSize}, getElementTypeOrSelf(init.get().getType()),
            MemRefLayoutAttrInterface(), space));
      }
}

void RowKernel::emit(LocBuilder &b) {
  chooseShape();
  for (Member &member : members)
    for (Range range : member.view.op.createLoopRanges(b, b.getLoc()))
      member.ends.push_back(
          getValueOrCreateConstantIndexOp(b, b.getLoc(), range.size));
  SmallVector<Value> rowSizes;
  for (unsigned dim : members.front().rowDims)
    rowSizes.push_back(members.front().ends[dim]);
  SmallVector<MemRefType> sharedTypes;
  prepareShared(sharedTypes);
  Value rows = product(b, rowSizes);
  createLaunch(
      b, "rows", rows, threads, sharedTypes,
      [&](LocBuilder &b, Value block, Value threadId, ValueRange arrays) {
        thread = threadId;
        shared = llvm::to_vector(arrays);
        auto emitMembers = [&] {
          rowIvs = delinearize(b, block, rowSizes);
          for (Member &member : members)
            emitMember(b, member);
        };
        if (getConstantIntValue(rows).value_or(0) > 0)
          return emitMembers();
        // The grid of an empty row space has one block.
        Value inside =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, block, rows);
        auto ifOp = scf::IfOp::create(b, inside, /*withElseRegion=*/false);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(ifOp.thenYield());
        emitMembers();
      });
}

/// Whether `operand` is one element for the whole row.
bool RowKernel::isHeldByRow(Member &member, OpOperand &operand) {
  AffineMap map = member.view.map(operand);
  if (map.getNumResults() != rowRank)
    return false;
  for (unsigned i = 0; i < rowRank; ++i)
    if (map.getResult(i) !=
        getAffineDimExpr(member.rowDims[i], map.getContext()))
      return false;
  return true;
}

/// Whether a thread accesses those elements of `operand` that belong to its
/// chunks of the row.
bool RowKernel::isOwn(Member &member, OpOperand &operand) {
  AffineMap map = member.view.map(operand);
  if (map.getNumResults() != rowRank + member.innerDims.size())
    return false;
  for (unsigned i = 0; i < map.getNumResults(); ++i) {
    unsigned dim =
        i < rowRank ? member.rowDims[i] : member.innerDims[i - rowRank];
    if (map.getResult(i) != getAffineDimExpr(dim, map.getContext()))
      return false;
  }
  return true;
}

/// Whether a thread can hold the elements of `operand` from op to op.
bool RowKernel::isHeldByChunk(Member &member, OpOperand &operand) {
  return heldChunks && !member.innerDims.empty() && isOwn(member, operand);
}

/// A buffer that nobody but the kernel's ops uses, and that they hold in
/// registers, need not be stored.
bool RowKernel::needsStore(OpOperand &init) {
  Value buffer = init.get();
  if (!buffer.getDefiningOp<memref::AllocOp>())
    return true;
  for (OpOperand &use : buffer.getUses()) {
    if (isa<memref::DeallocOp, memref::DimOp>(use.getOwner()))
      continue;
    auto found = llvm::find_if(members, [&](Member &member) {
      return member.view.op == use.getOwner();
    });
    if (found == members.end())
      return true;
    if (!isHeldByRow(*found, use) && !isHeldByChunk(*found, use))
      return true;
    // The old elements must have come from a member too.
    if (found->view.op.payloadUsesValueFromOperand(&use) &&
        !held.contains(buffer) && use.getOwner() == init.getOwner())
      return true;
  }
  return false;
}

/// Whether an op of the kernel may write into `buffer`.
bool RowKernel::isWritten(Value buffer) {
  return llvm::any_of(members, [&](Member &member) {
    return llvm::any_of(member.view.op.getDpsInits(),
                        [&](Value init) { return mayAlias(init, buffer); });
  });
}

/// A barrier, if `member` reads what other threads wrote, or writes what they
/// may still read.
void RowKernel::synchronize(LocBuilder &b, Member &member) {
  LinalgOp op = member.view.op;
  bool needed = false;
  for (OpOperand &operand : op->getOpOperands()) {
    Value buffer = operand.get();
    bool isOwned = !member.innerDims.empty() && isOwn(member, operand);
    if (op.isDpsInit(&operand) && readByOthers.contains(buffer))
      needed = true;
    if (!unsynchronized.contains(buffer) || isOwned)
      continue;
    // Elements for a whole row are written by the first thread and held by all.
    needed |= !(isHeldByRow(member, operand) && held.contains(buffer));
  }
  if (needed) {
    gpu::BarrierOp::create(b);
    unsynchronized.clear();
    readByOthers.clear();
  }
  for (OpOperand &operand : op->getOpOperands())
    if (op.payloadUsesValueFromOperand(&operand) &&
        !(isOwn(member, operand) && !member.innerDims.empty()) &&
        !held.contains(operand.get()))
      readByOthers.insert(operand.get());
}

SmallVector<Value> RowKernel::load(LocBuilder &b, Member &member,
                                   OpOperand &operand, ArrayRef<Value> ivs,
                                   std::optional<int64_t> chunk) {
  if (auto it = held.find(operand.get()); it != held.end()) {
    if (isHeldByRow(member, operand))
      return it->second.front();
    if (chunk && isHeldByChunk(member, operand))
      return it->second[*chunk];
  }
  std::optional<unsigned> laneDim;
  if (!member.innerDims.empty())
    laneDim = member.innerDims.back();
  auto loadNew = [&] {
    return loadLanes(b, member.view, operand, ivs, laneDim, member.laneCount);
  };
  if (!chunk || !isHeldByChunk(member, operand) || isWritten(operand.get()))
    return loadNew();
  SmallVector<Value> &lanes = loaded[{operand.get(), *chunk}];
  if (lanes.empty())
    lanes = loadNew();
  return lanes;
}

SmallVector<SmallVector<Value>>
RowKernel::emitLanes(LocBuilder &b, Member &member, ArrayRef<Value> ivs,
                     std::optional<int64_t> chunk,
                     ArrayRef<SmallVector<Value>> old) {
  LinalgOp op = member.view.op;
  SmallVector<SmallVector<Value>> inputs;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    if (op.getMatchingBlockArgument(operand).use_empty())
      inputs.push_back({Value()});
    else
      inputs.push_back(load(b, member, *operand, ivs, chunk));
  }
  SmallVector<SmallVector<Value>> results(op.getNumDpsInits());
  SmallVector<Value> lane(ivs);
  for (int64_t i = 0; i < member.laneCount; ++i) {
    if (member.laneCount > 1)
      lane[member.innerDims.back()] = arith::AddIOp::create(
          b, ivs[member.innerDims.back()], constant(b, i));
    SmallVector<Value> arguments;
    for (ArrayRef<Value> input : inputs)
      arguments.push_back(input[input.size() == 1 ? 0 : i]);
    for (auto [values, result] : llvm::zip_equal(old, results)) {
      // A reduction goes on from the lane before.
      if (member.view.isReduction() && !result.empty())
        arguments.push_back(result.back());
      else
        arguments.push_back(values[values.size() == 1 ? 0 : i]);
    }
    for (auto [result, value] :
         llvm::zip_equal(results, cloneBody(b, member.view, arguments, lane)))
      result.push_back(value);
  }
  return results;
}

/// Calls `body` for each chunk of the row that belongs to this thread, with its
/// first point and, if chunks are held, its number.
void RowKernel::forEachChunk(
    LocBuilder &b, Member &member, ValueRange initial,
    function_ref<SmallVector<Value>(LocBuilder &, ArrayRef<Value> ivs,
                                    std::optional<int64_t> chunk,
                                    ValueRange carried)>
        body,
    SmallVectorImpl<Value> &results) {
  SmallVector<Value> counts;
  for (unsigned dim : member.innerDims)
    counts.push_back(member.ends[dim]);
  if (member.laneCount > 1)
    counts.back() = constant(b, member.view.sizes[member.innerDims.back()] /
                                    member.laneCount);
  auto getPoint = [&](LocBuilder &b, Value linear) {
    SmallVector<Value> ivs = rowPoint(member);
    for (auto [dim, iv] :
         llvm::zip_equal(member.innerDims, delinearize(b, linear, counts)))
      ivs[dim] = iv;
    if (member.laneCount > 1) {
      Value &last = ivs[member.innerDims.back()];
      last = arith::MulIOp::create(b, last, constant(b, member.laneCount));
    }
    return ivs;
  };
  if (heldChunks) {
    SmallVector<Value> carried = llvm::to_vector(initial);
    for (int64_t chunk = 0; chunk < *heldChunks; ++chunk) {
      Value linear =
          arith::AddIOp::create(b, thread, constant(b, chunk * threads));
      carried = body(b, getPoint(b, linear), chunk, carried);
    }
    results.assign(carried.begin(), carried.end());
    return;
  }
  auto loop = scf::ForOp::create(
      b, thread, product(b, counts), constant(b, threads), initial,
      [&](OpBuilder &builder, Location loc, Value linear, ValueRange carried) {
        LocBuilder inner(loc, builder);
        SmallVector<Value> next =
            body(inner, getPoint(inner, linear), std::nullopt, carried);
        scf::YieldOp::create(inner, next);
      });
  llvm::append_range(results, loop.getResults());
}

void RowKernel::emitParallel(LocBuilder &b, Member &member) {
  LinalgOp op = member.view.op;
  auto loadOld = [&](LocBuilder &b, ArrayRef<Value> ivs,
                     std::optional<int64_t> chunk) {
    SmallVector<SmallVector<Value>> old;
    for (OpOperand &init : op.getDpsInitsMutable()) {
      if (op.getMatchingBlockArgument(&init).use_empty())
        old.push_back({Value()});
      else
        old.push_back(load(b, member, init, ivs, chunk));
    }
    return old;
  };
  SmallVector<bool> store;
  for (OpOperand &init : op.getDpsInitsMutable())
    store.push_back(needsStore(init));

  // One element for the row: every thread computes it, the first one stores it.
  if (member.innerDims.empty()) {
    SmallVector<Value> ivs = rowPoint(member);
    SmallVector<SmallVector<Value>> results =
        emitLanes(b, member, ivs, std::nullopt, loadOld(b, ivs, std::nullopt));
    for (auto [i, values] : llvm::enumerate(results)) {
      OpOperand &init = *op.getDpsInitOperand(i);
      if (store[i]) {
        Value first = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, thread,
                                            constant(b, 0));
        auto ifOp = scf::IfOp::create(b, first, /*withElseRegion=*/false);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(ifOp.thenYield());
        storeLanes(b, member.view, init, ivs, std::nullopt, values);
        unsynchronized.insert(init.get());
      }
      held[init.get()] = {values};
    }
    return;
  }

  SmallVector<Held> holds(op.getNumDpsInits());
  SmallVector<Value> none;
  forEachChunk(
      b, member, {},
      [&](LocBuilder &b, ArrayRef<Value> ivs, std::optional<int64_t> chunk,
          ValueRange) {
        SmallVector<SmallVector<Value>> results =
            emitLanes(b, member, ivs, chunk, loadOld(b, ivs, chunk));
        for (auto [i, values] : llvm::enumerate(results)) {
          if (store[i])
            storeLanes(b, member.view, *op.getDpsInitOperand(i), ivs,
                       member.innerDims.back(), values);
          holds[i].push_back(values);
        }
        return SmallVector<Value>();
      },
      none);
  for (auto [i, values] : llvm::enumerate(holds)) {
    OpOperand &init = *op.getDpsInitOperand(i);
    held.erase(init.get());
    if (isHeldByChunk(member, init))
      held[init.get()] = values;
    if (store[i])
      unsynchronized.insert(init.get());
  }
}

/// The combination of `value` of all threads of the block, in each of them.
Value RowKernel::reduceOverBlock(LocBuilder &b, Operation *combiner,
                                 Value value) {
  for (int32_t offset = kWarpSize / 2; offset > 0; offset /= 2)
    value = combine(b, combiner, value, shuffleXor(b, value, offset));
  if (threads == kWarpSize)
    return value;
  Value array = shared[usedShared++];
  Value size = constant(b, kWarpSize);
  Value lane = arith::RemUIOp::create(b, thread, size);
  Value warp = arith::DivUIOp::create(b, thread, size);
  Value first =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, lane, constant(b, 0));
  auto ifOp = scf::IfOp::create(b, first, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(ifOp.thenYield());
    memref::StoreOp::create(b, value, array, warp);
  }
  gpu::BarrierOp::create(b);
  unsynchronized.clear();
  readByOthers.clear();
  Value result;
  for (int64_t i = 0; i < threads / kWarpSize; ++i) {
    Value part = memref::LoadOp::create(b, array, constant(b, i));
    result = result ? combine(b, combiner, result, part) : part;
  }
  return result;
}

void RowKernel::emitReduction(LocBuilder &b, Member &member) {
  LinalgOp op = member.view.op;
  SmallVector<Operation *> combiners = *getCombiners(op);
  SmallVector<Value> neutral;
  for (Operation *combiner : combiners)
    neutral.push_back(
        arith::ConstantOp::create(b, *arith::getNeutralElement(combiner)));
  SmallVector<Value> partial;
  forEachChunk(
      b, member, neutral,
      [&](LocBuilder &b, ArrayRef<Value> ivs, std::optional<int64_t> chunk,
          ValueRange carried) {
        SmallVector<SmallVector<Value>> old;
        for (Value value : carried)
          old.push_back({value});
        SmallVector<Value> next;
        for (ArrayRef<Value> values : emitLanes(b, member, ivs, chunk, old))
          next.push_back(values.back());
        return next;
      },
      partial);
  SmallVector<Value> ivs = rowPoint(member);
  for (Value &iv : ivs)
    if (!iv)
      iv = constant(b, 0);
  for (auto [i, combiner] : llvm::enumerate(combiners)) {
    OpOperand &init = *op.getDpsInitOperand(i);
    Value value = reduceOverBlock(b, combiner, partial[i]);
    Value old;
    if (auto it = held.find(init.get()); it != held.end())
      old = it->second.front().front();
    else
      old = loadLanes(b, member.view, init, ivs, std::nullopt, 1).front();
    value = combine(b, combiner, old, value);
    bool store = needsStore(init);
    if (store) {
      // Everybody has read the old value before the first thread replaces it.
      if (!held.contains(init.get()))
        gpu::BarrierOp::create(b);
      Value first = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, thread,
                                          constant(b, 0));
      auto ifOp = scf::IfOp::create(b, first, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(ifOp.thenYield());
      storeLanes(b, member.view, init, ivs, std::nullopt, {value});
      unsynchronized.insert(init.get());
    }
    held[init.get()] = {{value}};
  }
}

void RowKernel::emitMember(LocBuilder &b, Member &member) {
  synchronize(b, member);
  if (member.view.isReduction())
    emitReduction(b, member);
  else
    emitParallel(b, member);
}

//===----------------------------------------------------------------------===//
// Block-sparse products
//===----------------------------------------------------------------------===//

/// A thread computes one element of the result.
static void emitBlockSparse(LocBuilder &b, BlockSparseMatmulOp op) {
  Value input = op.getInput(), values = op.getValues(), init = op.getInit();
  int64_t width = cast<MemRefType>(values.getType()).getDimSize(1);
  int64_t features = cast<MemRefType>(init.getType()).getDimSize(1);
  Value tokens = b.createOrFold<memref::DimOp>(init, int64_t(0));
  SmallVector<Value> sizes = {tokens, constant(b, features)};
  Value total = product(b, sizes);
  Value blocks =
      b.createOrFold<arith::CeilDivUIOp>(total, constant(b, kPointThreads));
  createLaunch(
      b, "block_sparse", blocks, kPointThreads, {},
      [&](LocBuilder &b, Value block, Value thread, ValueRange) {
        Value linear = arith::AddIOp::create(
            b, arith::MulIOp::create(b, block, constant(b, kPointThreads)),
            thread);
        Value inside =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, linear, total);
        auto ifOp = scf::IfOp::create(b, inside, /*withElseRegion=*/false);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(ifOp.thenYield());
        SmallVector<Value> ivs = delinearize(b, linear, sizes);
        Value panelWidth = constant(b, width);
        Value panel = arith::DivUIOp::create(b, ivs[1], panelWidth);
        Value column = arith::RemUIOp::create(b, ivs[1], panelWidth);
        auto read = [&](LocBuilder &b, Value table, Value at) -> Value {
          Value number = memref::LoadOp::create(b, table, at);
          return arith::IndexCastOp::create(b, b.getIndexType(), number);
        };
        Value begin = read(b, op.getPositions(), panel);
        Value end = read(b, op.getPositions(),
                         arith::AddIOp::create(b, panel, constant(b, 1)));
        Value old = memref::LoadOp::create(b, init, ivs);
        auto loop = scf::ForOp::create(
            b, begin, end, constant(b, 1), old,
            [&](OpBuilder &builder, Location loc, Value k, ValueRange sums) {
              LocBuilder b(loc, builder);
              Value coordinate = read(b, op.getCoordinates(), k);
              Value x = memref::LoadOp::create(b, input,
                                               ValueRange{ivs[0], coordinate});
              Value v =
                  memref::LoadOp::create(b, values, ValueRange{k, column});
              v = convertScalarToDtype(b, loc, v, x.getType(),
                                       /*isUnsignedCast=*/false);
              Value sum = math::FmaOp::create(b, x, v, sums.front());
              scf::YieldOp::create(b, sum);
            });
        memref::StoreOp::create(b, loop.getResult(0), init, ivs);
      });
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// The number of points inside a row, if it is known.
static std::optional<int64_t> getInnerSize(LinalgOp op, unsigned rowRank) {
  std::optional<SmallVector<unsigned>> rowDims =
      RowKernel::getRowDims(op, rowRank);
  SmallVector<unsigned> innerDims;
  for (unsigned dim = 0; dim < op.getNumLoops(); ++dim)
    if (!llvm::is_contained(*rowDims, dim))
      innerDims.push_back(dim);
  return getPoints(op.getStaticLoopRanges(), innerDims);
}

/// Whether a block per row suits `op` alone: it is a reduction that block
/// threads can share, and some input is contiguous along its innermost loop.
static bool isRowReduction(LinalgOp op) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInits() == 0 ||
      linalg::isaContractionOpInterface(op) || !getCombiners(op))
    return false;
  AffineMap resultMap = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!RowKernel::getRowDims(op, resultMap.getNumResults()))
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  // Every loop is of the row or of the reduction.
  if (resultMap.getNumResults() + reductions.size() != op.getNumLoops())
    return false;
  for (OpOperand &init : op.getDpsInitsMutable())
    if (op.getMatchingIndexingMap(&init).getNumResults() !=
        resultMap.getNumResults())
      return false;
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    return isa<MemRefType>(operand->get().getType()) &&
           isLastIndex(op.getMatchingIndexingMap(operand), reductions.back());
  });
}

namespace {
struct LinalgToGpu : structured::impl::LinalgToGpuBase<LinalgToGpu> {
  using LinalgToGpuBase::LinalgToGpuBase;

  void runOnOperation() override {
    copiesToLinalg(getOperation());
    SmallVector<Block *> blocks;
    getOperation()->walk([&](Block *block) {
      if (!isa<LinalgOp>(block->getParentOp()) &&
          !block->getParentOp()->getParentOfType<LinalgOp>())
        blocks.push_back(block);
    });
    for (Block *block : blocks)
      lowerBlock(*block);
    getOperation()->walk([](gpu::LaunchOp launch) { sinkDeviceReads(launch); });
  }

private:
  void lowerBlock(Block &block) {
    SmallVector<LinalgOp> run;
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      ops.push_back(&op);
    for (Operation *op : ops) {
      if (auto linalgOp = dyn_cast<LinalgOp>(op)) {
        if (linalgOp.hasPureBufferSemantics()) {
          run.push_back(linalgOp);
          continue;
        }
        op->emitRemark("not lowered: its operands are not memrefs");
      }
      // Between the ops of a kernel only such ops may stand as do not touch
      // the buffers' elements.
      if (isa<memref::AllocOp, ViewLikeOpInterface>(op) ||
          isMemoryEffectFree(op))
        continue;
      lowerRun(run);
      run.clear();
      if (auto product = dyn_cast<BlockSparseMatmulOp>(op))
        if (product->getNumResults() == 0) {
          LocBuilder builder(op->getLoc(), op);
          emitBlockSparse(builder, product);
          op->erase();
          ++numKernels;
        }
    }
    lowerRun(run);
  }

  void lowerRun(ArrayRef<LinalgOp> run) {
    while (!run.empty()) {
      unsigned count = 1, rowRank = 0;
      bool isRow = findGroup(run, count, rowRank);
      SmallVector<LinalgOp> ops(run.take_front(count));
      run = run.drop_front(count);
      LocBuilder builder(ops.back().getLoc(), ops.back());
      if (isRow) {
        RowKernel(ops, rowRank).emit(builder);
        ++numRowKernels;
      } else {
        PointKernel(ops.front()).emit(builder);
      }
      ++numKernels;
      numOps += ops.size();
      for (LinalgOp op : ops)
        op->erase();
    }
  }

  /// Finds the ops at the start of `run` that one row kernel can execute; false
  /// if there is none.
  bool findGroup(ArrayRef<LinalgOp> run, unsigned &count, unsigned &rowRank) {
    const LinalgOp *first =
        llvm::find_if(run, [](LinalgOp op) { return isRowReduction(op); });
    if (first == run.end())
      return false;
    LinalgOp reduction = *first;
    rowRank = reduction.getMatchingIndexingMap(reduction.getDpsInitOperand(0))
                  .getNumResults();
    unsigned needed = first - run.begin() + 1;
    if (!fuse && needed > 1)
      return false;
    // The ops before the reduction must all be in the kernel.
    std::optional<int64_t> size = getInnerSize(reduction, rowRank);
    unsigned fitting = 0;
    while (fitting < run.size() && (fuse || fitting < needed) &&
           fits(run.take_front(fitting + 1), rowRank, size))
      ++fitting;
    while (fitting >= needed && !haveSameRows(run.take_front(fitting), rowRank))
      --fitting;
    if (fitting < needed)
      return false;
    count = fitting;
    return true;
  }

  /// Whether the last of `ops` can join the others, which fit, in one kernel.
  /// `rowSize` is the size of the rows that the kernel reduces.
  static bool fits(ArrayRef<LinalgOp> ops, unsigned rowRank,
                   std::optional<int64_t> rowSize) {
    LinalgOp last = ops.back();
    if (last.getNumDpsInits() == 0)
      return false;
    std::optional<SmallVector<unsigned>> rowDims =
        RowKernel::getRowDims(last, rowRank);
    if (!rowDims)
      return false;
    if (last.getNumReductionLoops() != 0 &&
        (!isRowReduction(last) ||
         last.getMatchingIndexingMap(last.getDpsInitOperand(0))
                 .getNumResults() != rowRank))
      return false;
    // A block should not do alone what many could.
    std::optional<int64_t> innerSize = getInnerSize(last, rowRank);
    if (innerSize != 1 &&
        (!innerSize != !rowSize || (innerSize && *innerSize > *rowSize)))
      return false;
    if (!hasIndependentLoads(last, ops) ||
        !llvm::all_of(ops.drop_back(), [&](LinalgOp other) {
          return hasIndependentLoads(other, last);
        }))
      return false;
    for (LinalgOp other : ops.drop_back()) {
      std::optional<SmallVector<unsigned>> otherDims =
          RowKernel::getRowDims(other, rowRank);
      if (compareRows(last, *rowDims, other, *otherDims) == false)
        return false;
      for (auto [mine, theirs] : getConflicts(last, other))
        // What one writes and the other reads or writes lies in one row.
        if (mine->get() != theirs->get() ||
            !startsWith(last.getMatchingIndexingMap(mine), *rowDims) ||
            !startsWith(other.getMatchingIndexingMap(theirs), *otherDims))
          return false;
    }
    return true;
  }

  /// Whether all that the op's body does to memory is to load from buffers that
  /// none of `writers` writes.
  static bool hasIndependentLoads(LinalgOp op, ArrayRef<LinalgOp> writers) {
    WalkResult result = op.getBlock()->walk([&](Operation *inner) {
      if (isMemoryEffectFree(inner) || isa<linalg::YieldOp>(inner))
        return WalkResult::advance();
      auto load = dyn_cast<memref::LoadOp>(inner);
      bool isIndependent =
          load && llvm::none_of(writers, [&](LinalgOp writer) {
            return llvm::any_of(writer.getDpsInits(), [&](Value init) {
              return mayAlias(load.getMemRef(), init);
            });
          });
      return isIndependent ? WalkResult::advance() : WalkResult::interrupt();
    });
    return !result.wasInterrupted();
  }

  /// Whether it is known that all of `ops` have the same rows: by their sizes,
  /// or by a buffer that one hands on to the other.
  static bool haveSameRows(ArrayRef<LinalgOp> ops, unsigned rowRank) {
    SmallVector<bool> reached(ops.size(), false);
    SmallVector<size_t> worklist = {0};
    reached[0] = true;
    while (!worklist.empty()) {
      LinalgOp op = ops[worklist.pop_back_val()];
      for (size_t i = 0; i < ops.size(); ++i) {
        if (reached[i])
          continue;
        LinalgOp other = ops[i];
        bool isSame =
            compareRows(op, *RowKernel::getRowDims(op, rowRank), other,
                        *RowKernel::getRowDims(other, rowRank)) == true;
        // Ops of a whole row each that share nothing gain nothing.
        isSame &= op.getNumLoops() == rowRank || other.getNumLoops() == rowRank;
        if (!isSame && getConflicts(op, other).empty())
          continue;
        reached[i] = true;
        worklist.push_back(i);
      }
    }
    return llvm::all_of(reached, [](bool value) { return value; });
  }

  /// Whether the sizes of two ops' rows are equal; nothing if that is not
  /// known.
  static std::optional<bool> compareRows(LinalgOp a, ArrayRef<unsigned> dimsA,
                                         LinalgOp b, ArrayRef<unsigned> dimsB) {
    SmallVector<int64_t> sizesA = a.getStaticLoopRanges();
    SmallVector<int64_t> sizesB = b.getStaticLoopRanges();
    bool isKnown = true;
    for (auto [dimA, dimB] : llvm::zip_equal(dimsA, dimsB)) {
      bool isDynamic = ShapedType::isDynamic(sizesA[dimA]) ||
                       ShapedType::isDynamic(sizesB[dimB]);
      if (!isDynamic && sizesA[dimA] != sizesB[dimB])
        return false;
      isKnown &= !isDynamic;
    }
    return isKnown ? std::optional<bool>(true) : std::nullopt;
  }

  /// The pairs of operands by which one op depends on the other.
  static SmallVector<std::pair<OpOperand *, OpOperand *>>
  getConflicts(LinalgOp a, LinalgOp b) {
    SmallVector<std::pair<OpOperand *, OpOperand *>> conflicts;
    for (OpOperand &mine : a->getOpOperands())
      for (OpOperand &theirs : b->getOpOperands())
        if (isa<MemRefType>(mine.get().getType()) &&
            isa<MemRefType>(theirs.get().getType()) &&
            (a.isDpsInit(&mine) || b.isDpsInit(&theirs)) &&
            mayAlias(mine.get(), theirs.get()))
          conflicts.push_back({&mine, &theirs});
    return conflicts;
  }

  static bool startsWith(AffineMap map, ArrayRef<unsigned> dims) {
    if (map.getNumResults() < dims.size())
      return false;
    for (auto [i, dim] : llvm::enumerate(dims))
      if (map.getResult(i) != getAffineDimExpr(dim, map.getContext()))
        return false;
    return true;
  }
};
} // namespace
