// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AttentionScore.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

#include <cmath>

using namespace mlir;
using namespace structured;

/// Scores, and keys, from which the kernel is faster than products and a
/// softmax of their own; scores if what becomes of each takes long
/// (docs/Hopper.md).
static constexpr int64_t kMinScores = 1 << 20, kMinKeys = 2048,
                         kMinSlowScores = 1 << 22;

//===----------------------------------------------------------------------===//
// What the kernel takes
//===----------------------------------------------------------------------===//

AttentionProblem structured::getAttentionProblem(AttentionOp op) {
  SmallVector<int64_t> sizes = op.getLoopSizes();
  AttentionProblem problem;
  problem.elementType =
      cast<ShapedType>(op.getQuery().getType()).getElementType();
  problem.features = sizes[op.getFeatureLoop()];
  problem.valueFeatures = sizes[op.getValueLoop()];
  problem.batch.assign(sizes.begin(), sizes.begin() + op.getNumBatchLoops());
  problem.blockKeys = AttentionScoreLowering(op).getBlockKeys();
  int64_t queries = sizes[op.getQueryLoop()], keys = sizes[op.getKeyLoop()];
  if (!ShapedType::isDynamic(queries) && !ShapedType::isDynamic(keys))
    problem.splits =
        getAttentionSplits(problem, queries, keys, kHopperMultiprocessors);
  // Those behind the rows, and those in front of them.
  for (auto [operand, groups] : llvm::enumerate(problem.batchLoops)) {
    unsigned row = op.getRowLoop(operand);
    bool isBehind = false;
    for (AffineExpr result : op.getMap(operand).getResults()) {
      unsigned loop = cast<AffineDimExpr>(result).getPosition();
      isBehind |= loop == row;
      if (loop < op.getNumBatchLoops())
        groups[isBehind ? 0 : 1].push_back(loop);
    }
  }
  return problem;
}

/// Why the region cannot be part of the kernel; empty if it can.
static std::string getRegionReason(AttentionOp op) {
  for (Operation &inner : op.getScore().front().without_terminator()) {
    if (isa<tensor::ExtractOp, memref::LoadOp>(inner)) {
      auto type = cast<ShapedType>(inner.getOperand(0).getType());
      if (!type.hasStaticShape())
        return "its region reads what has no static shape";
      if (!type.getElementType().isIntOrFloat())
        return "its region reads what are neither integers nor floats";
      continue;
    }
    bool isScalar =
        llvm::all_of(inner.getOperandTypes(),
                     [](Type type) { return type.isIntOrIndexOrFloat(); }) &&
        llvm::all_of(inner.getResultTypes(),
                     [](Type type) { return type.isIntOrIndexOrFloat(); });
    if (!isa<arith::ArithDialect, math::MathDialect>(inner.getDialect()) ||
        !isScalar || inner.getNumRegions() != 0 || inner.getNumResults() != 1)
      return "its region has " + inner.getName().getStringRef().str();
  }
  return "";
}

std::string structured::getHopperAttentionReason(AttentionOp op) {
  SmallVector<int64_t> sizes = op.getLoopSizes();
  if (cast<ShapedType>(op.getInit().getType()).getElementType() !=
      cast<ShapedType>(op.getQuery().getType()).getElementType())
    return "its result has another element type than its operands";
  for (auto [loop, size] : llvm::enumerate(sizes))
    if (ShapedType::isDynamic(size) && loop != op.getQueryLoop() &&
        loop != op.getKeyLoop())
      return "more than the numbers of queries and keys are dynamic";
  int64_t queries = sizes[op.getQueryLoop()], keys = sizes[op.getKeyLoop()];
  if (keys == 0)
    return "it has no keys";
  AttentionProblem problem = getAttentionProblem(op);
  if (std::optional<std::string> reason = checkAttention(problem))
    return *reason;
  static constexpr StringRef names[] = {"query", "key", "value", "init"};
  for (auto [operand, name] : llvm::enumerate(names)) {
    AffineMap map = op.getMap(operand);
    if (map.getDimPosition(map.getNumResults() - 1) !=
        op.getColumnLoop(operand))
      return "the features are not the last dimension of its " + name.str();
  }
  std::string reason = getRegionReason(op);
  if (!reason.empty() || ShapedType::isDynamic(queries) ||
      ShapedType::isDynamic(keys))
    return reason;
  bool isSlow = problem.blockKeys < 128;
  int64_t scores = llvm::product_of(problem.batch) * queries * keys;
  int64_t minScores = isSlow ? kMinSlowScores : kMinScores;
  if (scores < minScores && (isSlow || keys < kMinKeys))
    return "it has " + std::to_string(scores) + " scores, fewer than " +
           std::to_string(minScores);
  return "";
}

//===----------------------------------------------------------------------===//
// The region
//===----------------------------------------------------------------------===//

/// Whether it is the constant -∞.
static bool isNegativeInfinity(Value value) {
  FloatAttr constant;
  return matchPattern(value, m_Constant(&constant)) &&
         constant.getValue().isInfinity() && constant.getValue().isNegative();
}

/// `value`, an integer that is not negative, without casts that widen it.
static Value skipCasts(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
             arith::ExtUIOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

AttentionScoreLowering::AttentionScoreLowering(AttentionOp op) : op(op) {
  llvm::SetVector<Value> outside;
  getUsedValuesDefinedAbove(op.getScore(), outside);
  for (Value value : outside)
    (matchPattern(value, m_Constant()) ? constants : captures).push_back(value);
  findMask();
}

bool AttentionScoreLowering::dependsOn(Value value, Value argument) {
  SetVector<Operation *> slice;
  getForwardSlice(argument, &slice);
  return value == argument || slice.contains(value.getDefiningOp());
}

bool AttentionScoreLowering::isOffsetOfQuery(Value value) {
  Value query = op.getIndexArgument(op.getQueryLoop());
  if (value == query || !dependsOn(value, query))
    return true;
  Operation *defining = value.getDefiningOp();
  // Casts of 64 bits, and sums: they go round once at most.
  if (isa<arith::IndexCastOp>(defining))
    return (value.getType().isIndex() || value.getType().isInteger(64)) &&
           isOffsetOfQuery(defining->getOperand(0));
  if (auto sum = dyn_cast<arith::AddIOp>(defining)) {
    bool left = dependsOn(sum.getLhs(), query);
    bool right = dependsOn(sum.getRhs(), query);
    return left != right && isOffsetOfQuery(left ? sum.getLhs() : sum.getRhs());
  }
  return false;
}

bool AttentionScoreLowering::findMask(Value condition, bool isSeenIfTrue) {
  using Predicate = arith::CmpIPredicate;
  auto compare = condition.getDefiningOp<arith::CmpIOp>();
  if (!compare)
    return false;
  Value key = op.getIndexArgument(op.getKeyLoop());
  Predicate predicate = compare.getPredicate();
  auto isOneOf = [&](ArrayRef<Predicate> predicates) {
    return llvm::is_contained(predicates, predicate);
  };
  if (isOneOf({Predicate::eq, Predicate::ne}))
    return false;
  // Whether the condition is that the key is less than the limit.
  bool isLess =
      isOneOf({Predicate::slt, Predicate::sle, Predicate::ult, Predicate::ule});
  bool isInclusive =
      isOneOf({Predicate::sle, Predicate::sge, Predicate::ule, Predicate::uge});
  bool isSigned =
      isOneOf({Predicate::slt, Predicate::sle, Predicate::sgt, Predicate::sge});
  Value limit = compare.getRhs();
  if (skipCasts(compare.getLhs()) != key) {
    if (skipCasts(compare.getRhs()) != key)
      return false;
    limit = compare.getLhs();
    isLess = !isLess;
  }
  if (!isSeenIfTrue) {
    isLess = !isLess;
    isInclusive = !isInclusive;
  }
  if (!isLess)
    return false;
  Type type = limit.getType();
  if ((!type.isIndex() && !type.isInteger(64)) ||
      dependsOn(limit, op.getScoreArgument()) || dependsOn(limit, key) ||
      !isOffsetOfQuery(limit))
    return false;
  mask = Mask{limit, isSigned, isInclusive, Value()};
  return true;
}

void AttentionScoreLowering::findMask() {
  Value result = op.getScore().front().getTerminator()->getOperand(0);
  auto select = result.getDefiningOp<arith::SelectOp>();
  if (!select)
    return;
  bool isSeenIfTrue = isNegativeInfinity(select.getFalseValue());
  if (!isSeenIfTrue && !isNegativeInfinity(select.getTrueValue()))
    return;
  if (findMask(select.getCondition(), isSeenIfTrue))
    mask->seen = isSeenIfTrue ? select.getTrueValue() : select.getFalseValue();
}

SmallVector<Operation *> AttentionScoreLowering::getSlice(Value value) {
  SmallVector<Operation *> slice;
  for (Operation &inner : op.getScore().front().without_terminator())
    if (dependsOn(value, inner.getResult(0)))
      slice.push_back(&inner);
  return slice;
}

IRMapping AttentionScoreLowering::map(OpBuilder &b, ValueRange arguments,
                                      ValueRange batch, Value query) {
  IRMapping mapping;
  for (Value constant : constants)
    b.clone(*constant.getDefiningOp(), mapping);
  for (auto [capture, argument] : llvm::zip_equal(captures, arguments)) {
    // Scalars of index come as i64.
    if (capture.getType().isIndex())
      argument = arith::IndexCastOp::create(b, op.getLoc(), b.getIndexType(),
                                            argument);
    mapping.map(capture, argument);
  }
  for (auto [loop, index] : llvm::enumerate(batch))
    mapping.map(op.getIndexArgument(loop), index);
  mapping.map(op.getIndexArgument(op.getQueryLoop()), query);
  return mapping;
}

/// Elements to whose multiples an access is aligned, if its last index is a
/// multiple of `multiple`.
static int64_t getMultiple(MemRefType type, int64_t multiple) {
  auto [strides, offset] = type.getStridesAndOffset();
  bool isAligned =
      !strides.empty() && strides.back() == 1 && offset % multiple == 0 &&
      llvm::all_of(ArrayRef(strides).drop_back(),
                   [&](int64_t stride) { return stride % multiple == 0; });
  return isAligned ? multiple : 1;
}

/// An element of a memref whose first one is at `pointer`; the last index is a
/// multiple of `multiple`.
static Value load(OpBuilder &builder, memref::LoadOp op, Value pointer,
                  ValueRange indices, int64_t multiple) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  auto [strides, offset] = op.getMemRefType().getStridesAndOffset();
  Value place = arith::ConstantIndexOp::create(b, 0);
  for (auto [index, stride] : llvm::zip_equal(indices, strides))
    place = arith::AddIOp::create(
        b, place,
        arith::MulIOp::create(b, index,
                              arith::ConstantIndexOp::create(b, stride)));
  Type type = op.getMemRefType().getElementType();
  Value number = arith::IndexCastOp::create(b, b.getI64Type(), place);
  Value address = LLVM::GEPOp::create(b, pointer.getType(), type, pointer,
                                      ArrayRef<LLVM::GEPArg>{number});
  // Loads of neighbours become one if they are known to be aligned.
  int64_t bytes = llvm::divideCeil(type.getIntOrFloatBitWidth(), 8);
  return LLVM::LoadOp::create(
      b, type, address, bytes * getMultiple(op.getMemRefType(), multiple));
}

/// Adds `ops` as mapped, where `key` is a multiple of `multiple`.
static void cloneOps(OpBuilder &builder, ArrayRef<Operation *> ops,
                     IRMapping &mapping, Value key = {}, int64_t multiple = 1) {
  for (Operation *op : ops) {
    auto read = dyn_cast<memref::LoadOp>(op);
    if (!read) {
      builder.clone(*op, mapping);
      continue;
    }
    SmallVector<Value> indices;
    for (Value index : read.getIndices())
      indices.push_back(mapping.lookup(index));
    bool isOfKey =
        !read.getIndices().empty() && read.getIndices().back() == key;
    mapping.map(read.getResult(),
                load(builder, read, mapping.lookup(read.getMemRef()), indices,
                     isOfKey ? multiple : 1));
  }
}

/// What the region gives for a key that is seen.
Value AttentionScoreLowering::getResult() {
  return mask ? mask->seen
              : op.getScore().front().getTerminator()->getOperand(0);
}

/// What the score is multiplied by, if that is all and it is positive.
std::optional<double> AttentionScoreLowering::getFactor() {
  Value result = getResult(), score = op.getScoreArgument();
  if (result == score)
    return 1;
  Operation *product = result.getDefiningOp();
  FloatAttr constant;
  if (!isa_and_nonnull<arith::MulFOp, arith::DivFOp>(product) ||
      product->getOperand(0) != score ||
      !matchPattern(product->getOperand(1), m_Constant(&constant)))
    return std::nullopt;
  double factor = constant.getValueAsDouble();
  if (isa<arith::DivFOp>(product))
    factor = 1 / factor;
  if (!std::isnormal(factor) || factor < 0)
    return std::nullopt;
  return factor;
}

bool AttentionScoreLowering::isOfElement(Value value) {
  return dependsOn(value, op.getIndexArgument(op.getKeyLoop())) ||
         dependsOn(value, op.getScoreArgument());
}

int64_t AttentionScoreLowering::getBlockKeys() {
  // Loads and functions of many scores at once take many registers.
  bool takesRegisters =
      llvm::any_of(getSlice(getResult()), [&](Operation *inner) {
        return isOfElement(inner->getResult(0)) &&
               (isa<memref::LoadOp, tensor::ExtractOp>(inner) ||
                isa<math::MathDialect>(inner->getDialect()));
      });
  return takesRegisters ? 64 : 128;
}

AttentionScore AttentionScoreLowering::getScore() {
  AttentionScore score;
  MLIRContext *context = op->getContext();
  for (Value capture : captures) {
    Type type = capture.getType();
    if (isa<MemRefType>(type))
      type = LLVM::LLVMPointerType::get(context);
    else if (type.isIndex())
      type = IntegerType::get(context, 64);
    score.argumentTypes.push_back(type);
  }
  Value result = getResult();
  score.factor = getFactor();
  score.ofRow = [=](ImplicitLocOpBuilder &b, ValueRange arguments,
                    ValueRange batch, Value query) {
    IRMapping mapping = map(b, arguments, batch, query);
    SmallVector<Operation *> ofRow, ofKey, ofScore;
    for (Operation *inner : getSlice(result)) {
      Value value = inner->getResult(0);
      if (dependsOn(value, op.getScoreArgument()))
        ofScore.push_back(inner);
      else
        (isOfElement(value) ? ofKey : ofRow).push_back(inner);
    }
    cloneOps(b, ofRow, mapping);
    return [=, &b](Value key, int64_t multiple) {
      IRMapping withKey = mapping;
      Value argument = op.getIndexArgument(op.getKeyLoop());
      withKey.map(argument, key);
      cloneOps(b, ofKey, withKey, argument, multiple);
      return [=, &b](Value score) {
        IRMapping withScore = withKey;
        withScore.map(op.getScoreArgument(), score);
        cloneOps(b, ofScore, withScore);
        return withScore.lookup(result);
      };
    };
  };
  if (!mask)
    return score;
  score.getSeenKeys = [=](ImplicitLocOpBuilder &b, ValueRange arguments,
                          ValueRange batch, Value query, Value keys) {
    IRMapping mapping = map(b, arguments, batch, query);
    cloneOps(b, getSlice(mask->limit), mapping);
    Value limit = mapping.lookupOrDefault(mask->limit);
    if (limit.getType().isIndex())
      limit = arith::IndexCastOp::create(b, b.getI64Type(), limit);
    Value count = arith::ExtUIOp::create(b, b.getI64Type(), keys);
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantIntOp::create(b, value, 64);
    };
    // The largest and the smallest limit for which it is what it seems.
    Value most = mask->isInclusive
                     ? arith::SubIOp::create(b, count, constant(1)).getResult()
                     : count;
    if (mask->isSigned) {
      Value least = constant(mask->isInclusive ? -1 : 0);
      limit = arith::MaxSIOp::create(b, limit, least);
      limit = arith::MinSIOp::create(b, limit, most);
    } else {
      limit = arith::MinUIOp::create(b, limit, most);
    }
    if (mask->isInclusive)
      limit = arith::AddIOp::create(b, limit, constant(1));
    return arith::TruncIOp::create(b, b.getI32Type(), limit).getResult();
  };
  return score;
}
