// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LowerAttention.h"

#include "LayerContractions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace structured;

namespace {
class Lowering {
public:
  Lowering(OpBuilder &builder, AttentionOp op)
      : b(op.getLoc(), builder), op(op), f32(b.getF32Type()) {
    // The loops of scores: b…, t, l; of maxima and sums: b…, t.
    llvm::append_range(pointLoops, llvm::seq<unsigned>(0, op.getFeatureLoop()));
    rowLoops = pointLoops;
    rowLoops.pop_back();
  }

  Value lower();

private:
  using Body = function_ref<Value(OpBuilder &, ValueRange)>;

  ImplicitLocOpBuilder b;
  AttentionOp op;
  Type f32;
  SmallVector<unsigned> pointLoops, rowLoops;

  OpFoldResult getSize(unsigned loop);
  Value createEmpty(ArrayRef<unsigned> loops, Type elementType);
  Value createFilled(ArrayRef<unsigned> loops, Type elementType, double value);
  SmallVector<unsigned> getLoops(unsigned operand);
  Value createGeneric(ArrayRef<Value> inputs,
                      ArrayRef<ArrayRef<unsigned>> loops, Value init,
                      ArrayRef<unsigned> initLoops, Body body);
  std::optional<SmallVector<unsigned>> getReadLoops(tensor::ExtractOp read);
  Value createScores(Value products, ArrayRef<unsigned> productLoops);
};
} // namespace

/// The loops of the operand's dimensions.
SmallVector<unsigned> Lowering::getLoops(unsigned operand) {
  AffineMap map = op.getMap(operand);
  return llvm::map_to_vector(llvm::seq(map.getNumResults()), [&](unsigned dim) {
    return map.getDimPosition(dim);
  });
}

OpFoldResult Lowering::getSize(unsigned loop) {
  int64_t size = op.getLoopSizes()[loop];
  if (!ShapedType::isDynamic(size))
    return b.getIndexAttr(size);
  // Each loop is in the map of some operand.
  for (OpOperand &operand : op->getOpOperands()) {
    SmallVector<unsigned> loops = getLoops(operand.getOperandNumber());
    const auto *found = llvm::find(loops, loop);
    if (found != loops.end())
      return tensor::getMixedSize(b, b.getLoc(), operand.get(),
                                  found - loops.begin());
  }
  llvm_unreachable("a loop of no operand");
}

Value Lowering::createEmpty(ArrayRef<unsigned> loops, Type elementType) {
  SmallVector<OpFoldResult> sizes =
      llvm::map_to_vector(loops, [&](unsigned loop) { return getSize(loop); });
  return tensor::EmptyOp::create(b, sizes, elementType);
}

Value Lowering::createFilled(ArrayRef<unsigned> loops, Type elementType,
                             double value) {
  Value number =
      arith::ConstantOp::create(b, b.getFloatAttr(elementType, value));
  return linalg::FillOp::create(b, number, createEmpty(loops, elementType))
      .getResult(0);
}

/// A generic over the loops of scores; those that `initLoops` lacks are
/// reduced.
Value Lowering::createGeneric(ArrayRef<Value> inputs,
                              ArrayRef<ArrayRef<unsigned>> loops, Value init,
                              ArrayRef<unsigned> initLoops, Body body) {
  SmallVector<AffineMap> maps;
  for (ArrayRef<unsigned> operandLoops : loops)
    maps.push_back(AffineMap::getMultiDimMapWithTargets(
        pointLoops.size(), operandLoops, b.getContext()));
  maps.push_back(AffineMap::getMultiDimMapWithTargets(
      pointLoops.size(), initLoops, b.getContext()));
  SmallVector<utils::IteratorType> iterators =
      llvm::map_to_vector(pointLoops, [&](unsigned loop) {
        return llvm::is_contained(initLoops, loop)
                   ? utils::IteratorType::parallel
                   : utils::IteratorType::reduction;
      });
  return linalg::GenericOp::create(
             b, init.getType(), inputs, init, maps, iterators,
             [&](OpBuilder &builder, Location loc, ValueRange args) {
               linalg::YieldOp::create(builder, loc, body(builder, args));
             })
      .getResult(0);
}

/// If `read` takes the element of a tensor from outside whose indices are those
/// of loops, no two the same, that have its dimensions' sizes: these loops.
std::optional<SmallVector<unsigned>>
Lowering::getReadLoops(tensor::ExtractOp read) {
  Block *region = &op.getScore().front();
  if (read.getTensor().getParentBlock() == region)
    return std::nullopt;
  SmallVector<int64_t> sizes = op.getLoopSizes();
  SmallVector<unsigned> loops;
  for (auto [index, size] : llvm::zip_equal(
           read.getIndices(), read.getTensor().getType().getShape())) {
    auto argument = dyn_cast<BlockArgument>(index);
    if (!argument || argument.getOwner() != region)
      return std::nullopt;
    unsigned loop = argument.getArgNumber() - 1;
    if (llvm::is_contained(loops, loop) || ShapedType::isDynamic(size) ||
        size != sizes[loop])
      return std::nullopt;
    loops.push_back(loop);
  }
  return loops;
}

/// The scores for the softmax. What the region reads becomes an operand where
/// it can.
Value Lowering::createScores(Value products, ArrayRef<unsigned> productLoops) {
  Block &region = op.getScore().front();
  auto yield = cast<YieldOp>(region.getTerminator());
  if (yield.getResult() == op.getScoreArgument() &&
      productLoops == ArrayRef(pointLoops))
    return products;

  SmallVector<Value> inputs = {products};
  SmallVector<SmallVector<unsigned>> loops = {llvm::to_vector(productLoops)};
  SmallVector<Operation *> reads;
  for (auto extract : region.getOps<tensor::ExtractOp>()) {
    std::optional<SmallVector<unsigned>> readLoops = getReadLoops(extract);
    if (!readLoops)
      continue;
    inputs.push_back(extract.getTensor());
    loops.push_back(std::move(*readLoops));
    reads.push_back(extract);
  }
  return createGeneric(
      inputs, llvm::map_to_vector(loops, [](auto &l) { return ArrayRef(l); }),
      createEmpty(pointLoops, f32), pointLoops,
      [&](OpBuilder &builder, ValueRange args) {
        IRMapping mapping;
        mapping.map(op.getScoreArgument(), args.front());
        for (auto [read, argument] : llvm::zip(reads, args.drop_front()))
          mapping.map(read->getResult(0), argument);
        for (unsigned loop : pointLoops) {
          Value index = op.getIndexArgument(loop);
          if (llvm::any_of(index.getUsers(), [&](Operation *user) {
                return !llvm::is_contained(reads, user);
              }))
            mapping.map(index, linalg::IndexOp::create(builder, op.getLoc(),
                                                       int64_t(loop)));
        }
        for (Operation &inner : region.without_terminator())
          if (!llvm::is_contained(reads, &inner))
            builder.clone(inner, mapping);
        return mapping.lookupOrDefault(yield.getResult());
      });
}

Value Lowering::lower() {
  SmallVector<unsigned> queryLoops = getLoops(0), keyLoops = getLoops(1);
  SmallVector<unsigned> valueLoops = getLoops(2), initLoops = getLoops(3);
  Type elementType = cast<ShapedType>(op.getValue().getType()).getElementType();
  Type initType = cast<ShapedType>(op.getInit().getType()).getElementType();

  SmallVector<unsigned> productLoops =
      llvm::filter_to_vector(pointLoops, [&](unsigned loop) {
        return llvm::is_contained(queryLoops, loop) ||
               llvm::is_contained(keyLoops, loop);
      });
  // The contractions' loops: those of their operands, renumbered.
  auto createProduct = [&](Value lhs, ArrayRef<unsigned> lhsLoops, Value rhs,
                           ArrayRef<unsigned> rhsLoops,
                           ArrayRef<unsigned> resultLoops, Type resultType) {
    SmallVector<unsigned> used(resultLoops);
    for (ArrayRef<unsigned> operandLoops : {lhsLoops, rhsLoops})
      for (unsigned loop : operandLoops)
        if (!llvm::is_contained(used, loop))
          used.push_back(loop);
    auto renumber = [&](ArrayRef<unsigned> loops) {
      return llvm::map_to_vector(loops, [&](unsigned loop) {
        return static_cast<unsigned>(llvm::find(used, loop) - used.begin());
      });
    };
    return contract(
        b, lhs, rhs, createFilled(resultLoops, resultType, 0),
        {renumber(lhsLoops), renumber(rhsLoops), renumber(resultLoops)});
  };

  Value products = createProduct(op.getQuery(), queryLoops, op.getKey(),
                                 keyLoops, productLoops, f32);
  Value scores = createScores(products, productLoops);
  Value maxima = createGeneric(
      scores, {pointLoops},
      createFilled(rowLoops, f32, -std::numeric_limits<double>::infinity()),
      rowLoops, [&](OpBuilder &builder, ValueRange args) -> Value {
        return arith::MaximumFOp::create(builder, b.getLoc(), args[0], args[1]);
      });
  Value exponentials = createGeneric(
      {scores, maxima}, {pointLoops, rowLoops}, createEmpty(pointLoops, f32),
      pointLoops, [&](OpBuilder &builder, ValueRange args) -> Value {
        Value difference =
            arith::SubFOp::create(builder, b.getLoc(), args[0], args[1]);
        return math::ExpOp::create(builder, b.getLoc(), difference);
      });
  Value sums = createGeneric(
      exponentials, {pointLoops}, createFilled(rowLoops, f32, 0), rowLoops,
      [&](OpBuilder &builder, ValueRange args) -> Value {
        return arith::AddFOp::create(builder, b.getLoc(), args[0], args[1]);
      });
  Value weights =
      createGeneric({exponentials, sums}, {pointLoops, rowLoops},
                    createEmpty(pointLoops, elementType), pointLoops,
                    [&](OpBuilder &builder, ValueRange args) -> Value {
                      Value weight = arith::DivFOp::create(builder, b.getLoc(),
                                                           args[0], args[1]);
                      if (elementType.isF32())
                        return weight;
                      return arith::TruncFOp::create(builder, b.getLoc(),
                                                     elementType, weight);
                    });
  // Lowerings of contractions add in f32, whatever the result's type.
  return createProduct(weights, pointLoops, op.getValue(), valueLoops,
                       initLoops, initType);
}

Value structured::lowerAttention(OpBuilder &builder, AttentionOp op) {
  return Lowering(builder, op).lower();
}
