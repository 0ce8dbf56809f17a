// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ProductEpilogue.h"

#include "LayerContractions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace structured;

/// Whether the op yields act(x + bias) for its operands x and bias, by number,
/// computed in their type or a wider one.
static bool matchBody(linalg::GenericOp op, unsigned x, unsigned bias,
                      bool &isRelu) {
  Value value = op.getBody()->getTerminator()->getOperand(0);
  if (auto truncate = value.getDefiningOp<arith::TruncFOp>())
    value = truncate.getIn();
  auto matchRelu = [&](auto max) {
    if (!max)
      return false;
    if (matchPattern(max.getRhs(), m_AnyZeroFloat()))
      value = max.getLhs();
    else if (matchPattern(max.getLhs(), m_AnyZeroFloat()))
      value = max.getRhs();
    else
      return false;
    return true;
  };
  isRelu = matchRelu(value.getDefiningOp<arith::MaximumFOp>()) ||
           matchRelu(value.getDefiningOp<arith::MaxNumFOp>());
  auto add = value.getDefiningOp<arith::AddFOp>();
  if (!add)
    return false;
  auto isArgument = [&](Value operand, unsigned number) {
    if (auto extend = operand.getDefiningOp<arith::ExtFOp>())
      operand = extend.getIn();
    return operand == op.getBody()->getArgument(number);
  };
  return (isArgument(add.getLhs(), x) && isArgument(add.getRhs(), bias)) ||
         (isArgument(add.getLhs(), bias) && isArgument(add.getRhs(), x));
}

/// How many of the last dimensions of `type` have `size` elements together; 0
/// if none.
static int64_t countTrailing(MemRefType type, int64_t size) {
  int64_t count = 0, product = 1;
  for (int64_t extent : llvm::reverse(type.getShape())) {
    if (ShapedType::isDynamic(extent))
      return 0;
    ++count;
    product *= extent;
    if (product == size)
      return count;
  }
  return 0;
}

static std::optional<ProductEpilogue> match(linalg::GenericOp op,
                                            Value result) {
  ProductEpilogue epilogue;
  epilogue.op = op;
  if (!op.hasPureBufferSemantics() || op.getNumDpsInputs() != 2 ||
      op.getNumDpsInits() != 1 || op.getNumReductionLoops() != 0)
    return std::nullopt;
  OpOperand *out = op.getDpsInitOperand(0);
  // Of all of the result, in place.
  if (getWholeBuffer(out->get()) != getWholeBuffer(result) ||
      !op.getMatchingIndexingMap(out).isIdentity())
    return std::nullopt;
  for (unsigned x : {0, 1}) {
    OpOperand *in = op.getDpsInputOperand(x);
    OpOperand *bias = op.getDpsInputOperand(1 - x);
    auto biasType = cast<MemRefType>(bias->get().getType());
    AffineMap biasMap = op.getMatchingIndexingMap(bias);
    unsigned loops = op.getNumLoops();
    if (in->get() != out->get() ||
        !op.getMatchingIndexingMap(in).isIdentity() ||
        !matchBody(op, x, 1 - x, epilogue.isRelu) || biasType.getRank() != 1 ||
        !biasType.hasStaticShape() || !biasType.getLayout().isIdentity() ||
        biasType.getElementType() != getElementTypeOrSelf(out->get()) ||
        !biasMap.getResult(0).isFunctionOfDim(loops - 1) ||
        !isa<AffineDimExpr>(biasMap.getResult(0)))
      continue;
    epilogue.bias = bias->get();
    epilogue.biasDims = countTrailing(cast<MemRefType>(result.getType()),
                                      biasType.getDimSize(0));
    if (epilogue.biasDims != 0)
      return epilogue;
  }
  return std::nullopt;
}

std::optional<ProductEpilogue>
structured::findEpilogue(linalg::LinalgOp product) {
  Value result = product.getDpsInits()[0];
  Value base = getBaseBuffer(result);
  std::optional<ProductEpilogue> epilogue;
  for (Operation *after = product->getNextNode(); after && !epilogue;
       after = after->getNextNode()) {
    if (isa<ViewLikeOpInterface>(after) || isMemoryEffectFree(after) ||
        !mayTouch(after, base))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(after);
    if (!generic)
      return std::nullopt;
    epilogue = match(generic, result);
    if (!epilogue)
      return std::nullopt;
  }
  if (!epilogue)
    return std::nullopt;
  // The bias is read earlier: it is there, and nothing writes it meanwhile.
  Value biasBase = getBaseBuffer(epilogue->bias);
  if (epilogue->bias != biasBase || biasBase == base)
    return std::nullopt;
  if (Operation *definition = biasBase.getDefiningOp())
    if (definition->getBlock() == product->getBlock() &&
        !definition->isBeforeInBlock(product))
      return std::nullopt;
  for (Operation *between = product->getNextNode(); between != epilogue->op;
       between = between->getNextNode())
    if (!isa<ViewLikeOpInterface>(between) && !isMemoryEffectFree(between) &&
        mayTouch(between, biasBase))
      return std::nullopt;
  return epilogue;
}
