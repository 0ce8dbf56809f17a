// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LayerContractions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace structured;

Value structured::contract(ImplicitLocOpBuilder &b, Value lhs, Value rhs,
                           Value init, ArrayRef<ArrayRef<unsigned>> dims) {
  unsigned numDims = 0;
  for (ArrayRef<unsigned> operandDims : dims)
    for (unsigned dim : operandDims)
      numDims = std::max(numDims, dim + 1);
  SmallVector<AffineMap> maps;
  for (ArrayRef<unsigned> operandDims : dims)
    maps.push_back(AffineMap::getMultiDimMapWithTargets(numDims, operandDims,
                                                        b.getContext()));
  TypeRange results;
  Type type = init.getType();
  if (isa<TensorType>(type))
    results = type;
  auto op = linalg::ContractOp::create(b, results, ValueRange{lhs, rhs}, init,
                                       b.getAffineMapArrayAttr(maps));
  return results.empty() ? Value() : op.getResult(0);
}

Value structured::splitFeatures(ImplicitLocOpBuilder &b, Value matrix,
                                int64_t blocks) {
  auto type = cast<MemRefType>(matrix.getType());
  SmallVector<int64_t> shape = {type.getDimSize(0), blocks,
                                type.getDimSize(1) / blocks};
  return memref::ExpandShapeOp::create(
      b, shape, matrix, ArrayRef<ReassociationIndices>{{0}, {1, 2}});
}

Value structured::allocateRanks(ImplicitLocOpBuilder &b, BlastMatmulOp op,
                                int64_t blocks, bool isZero, int64_t pitch) {
  auto input = cast<MemRefType>(op.getInput().getType());
  int64_t tokens = input.getDimSize(0);
  SmallVector<Value> dynamicSizes;
  if (ShapedType::isDynamic(tokens))
    dynamicSizes.push_back(memref::DimOp::create(b, op.getInput(), int64_t(0)));
  auto type =
      MemRefType::get({blocks, tokens, std::max<int64_t>(pitch, op.getRank())},
                      input.getElementType());
  Value buffer = memref::AllocOp::create(b, type, dynamicSizes);
  if (isZero) {
    Value zero =
        arith::ConstantOp::create(b, b.getZeroAttr(type.getElementType()));
    linalg::FillOp::create(b, zero, buffer);
  }
  return buffer;
}

Value structured::takeRanks(ImplicitLocOpBuilder &b, Value buffer,
                            int64_t rank) {
  auto type = cast<MemRefType>(buffer.getType());
  if (type.getDimSize(2) == rank)
    return buffer;
  SmallVector<OpFoldResult> sizes =
      memref::getMixedSizes(b, b.getLoc(), buffer);
  sizes[2] = b.getIndexAttr(rank);
  return memref::SubViewOp::create(
      b, buffer, SmallVector<OpFoldResult>(3, b.getIndexAttr(0)), sizes,
      SmallVector<OpFoldResult>(3, b.getIndexAttr(1)));
}

void structured::addBlastStage1(ImplicitLocOpBuilder &b, BlastMatmulOp op,
                                Value y) {
  Value x = splitFeatures(b, op.getInput(), op.getBIn());
  contract(b, x, op.getVt(), y,
           {/*x [t,j,q]=*/{1, 0, 3}, /*vt [j,r,q]=*/{0, 2, 3},
            /*y [j,t,r]=*/{0, 1, 2}});
}

void structured::addBlastStage3(ImplicitLocOpBuilder &b, BlastMatmulOp op,
                                Value z, bool isTransposed) {
  Value o = splitFeatures(b, op.getInit(), op.getBOut());
  unsigned t = 1, r = 3;
  if (isTransposed)
    std::swap(t, r);
  contract(b, z, op.getU(), o,
           {/*z [i,t,r]=*/{0, t, r}, /*u [i,p,r]=*/{0, 2, 3},
            /*o [t,i,p]=*/{1, 0, 2}});
}

Value structured::getBaseBuffer(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  return buffer;
}

bool structured::isHostMemory(Value buffer) {
  return isa_and_nonnull<memref::GetGlobalOp>(
      getBaseBuffer(buffer).getDefiningOp());
}

Value structured::getWholeBuffer(Value buffer) {
  while (Operation *reshape = buffer.getDefiningOp()) {
    if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp>(reshape))
      break;
    buffer = reshape->getOperand(0);
  }
  return buffer;
}

bool structured::mayAlias(Value a, Value b) {
  // An argument of a function that is written to is no other one's memory.
  auto isIdentified = [](Value base) {
    if (auto argument = dyn_cast<BlockArgument>(base))
      return isa<func::FuncOp>(argument.getOwner()->getParentOp());
    return isa<memref::AllocOp, memref::GetGlobalOp>(base.getDefiningOp());
  };
  Value baseA = getBaseBuffer(a), baseB = getBaseBuffer(b);
  return baseA == baseB || !isIdentified(baseA) || !isIdentified(baseB);
}

bool structured::mayTouch(Operation *op, Value base) {
  // What a region's arguments are is among the operands.
  WalkResult result = op->walk([&](Operation *inner) {
    bool touches = llvm::any_of(inner->getOperands(), [&](Value operand) {
      return isa<BaseMemRefType>(operand.getType()) &&
             getBaseBuffer(operand) == base;
    });
    return touches ? WalkResult::interrupt() : WalkResult::advance();
  });
  return result.wasInterrupted();
}

bool structured::mayWrite(Operation *op, Value buffer) {
  WalkResult result = op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (isa<MemRefType>(operand.getType()) && mayAlias(operand, buffer) &&
          (!isa<MemoryEffectOpInterface>(inner) ||
           hasEffect<MemoryEffects::Write>(inner, operand)))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return result.wasInterrupted();
}

linalg::FillOp structured::findZeroFill(Value buffer, Operation *op) {
  Value base = getBaseBuffer(buffer);
  if (!base.getDefiningOp<memref::AllocOp>())
    return {};
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    if (isa<ViewLikeOpInterface>(before) || isMemoryEffectFree(before) ||
        !mayTouch(before, base))
      continue;
    auto fill = dyn_cast<linalg::FillOp>(before);
    if (!fill || fill.getOutputs().front().getType().isIntOrIndexOrFloat() ||
        !matchPattern(fill.getInputs().front(), m_AnyZeroFloat()))
      return {};
    // Of all that the product writes, and no more.
    if (getWholeBuffer(fill.getOutputs().front()) != getWholeBuffer(buffer))
      return {};
    return fill;
  }
  return {};
}

bool structured::takeZeroFill(Value buffer, Operation *op) {
  linalg::FillOp fill = findZeroFill(buffer, op);
  if (fill)
    fill->erase();
  return fill != nullptr;
}

void structured::copiesToLinalg(Operation *root) {
  SmallVector<memref::CopyOp> copies;
  root->walk([&](memref::CopyOp copy) { copies.push_back(copy); });
  IRRewriter rewriter(root->getContext());
  for (memref::CopyOp copy : copies) {
    if (!isa<MemRefType>(copy.getSource().getType()) ||
        !isa<MemRefType>(copy.getTarget().getType()))
      continue;
    rewriter.setInsertionPoint(copy);
    linalg::makeMemRefCopyOp(rewriter, copy.getLoc(), copy.getSource(),
                             copy.getTarget());
    rewriter.eraseOp(copy);
  }
}
