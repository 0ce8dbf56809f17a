// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"

namespace structured {
#define GEN_PASS_DEF_WRITEINPLACE
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// The op whose result, or a reshape of it, `value` is, if nothing else uses
/// any of these and `value` has one user; null if there is none.
static Operation *getReshapedOp(Value value) {
  while (value.hasOneUse()) {
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      return op;
    value = op->getOperand(0);
  }
  return nullptr;
}

/// Whether the tensor is a product that has one user, or a reshape of one.
static bool isProduct(Value value) {
  Operation *op = getReshapedOp(value);
  if (isa_and_nonnull<StructuredLayerOpInterface>(op))
    return true;
  auto contraction = dyn_cast_or_null<linalg::LinalgOp>(op);
  return contraction && contraction.getNumReductionLoops() != 0 &&
         linalg::isaContractionOpInterface(contraction);
}

/// The elementwise op with memory of its own whose result `value` is, or a
/// reshape of it, which has one user; null if there is none.
static linalg::GenericOp getElementwiseOp(Value value) {
  auto op = dyn_cast_or_null<linalg::GenericOp>(getReshapedOp(value));
  if (op && op.getNumReductionLoops() == 0 && op->getNumResults() == 1 &&
      op.getOutputs().front().getDefiningOp<tensor::EmptyOp>())
    return op;
  return {};
}

/// Lets an elementwise op whose result, reshaped to fewer dimensions, is
/// inserted into a tensor write there: into the slice, whose dimensions are
/// split as the op has them.
static bool writeIntoSlice(RewriterBase &rewriter, tensor::InsertSliceOp op) {
  linalg::GenericOp producer = getElementwiseOp(op.getSource());
  if (!producer || producer->getBlock() != op->getBlock())
    return false;
  auto type = cast<RankedTensorType>(producer->getResult(0).getType());
  RankedTensorType sourceType = op.getSourceType();
  if (type.getRank() <= sourceType.getRank() || !type.hasStaticShape() ||
      !sourceType.hasStaticShape())
    return false;
  auto groups = getReassociationIndicesForReshape(type, sourceType);
  if (!groups || failed(moveValueDefinitions(
                     rewriter, op->getOperands().drop_front(), producer)))
    return false;
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(producer);
  Value slice = tensor::ExtractSliceOp::create(
      rewriter, loc, sourceType, op.getDest(), op.getMixedOffsets(),
      op.getMixedSizes(), op.getMixedStrides());
  producer.getOutputsMutable().assign(
      tensor::ExpandShapeOp::create(rewriter, loc, type, slice, *groups));
  rewriter.setInsertionPoint(op);
  llvm::SetVector<Operation *> replaced;
  replaced.insert(op.getSource().getDefiningOp());
  op.getSourceMutable().assign(tensor::CollapseShapeOp::create(
      rewriter, loc, sourceType, producer->getResult(0), *groups));
  eraseDeadOps(rewriter, std::move(replaced));
  return true;
}

namespace {
struct WriteInPlace : structured::impl::WriteInPlaceBase<WriteInPlace> {
  void runOnOperation() override {
    getOperation()->walk([&](linalg::GenericOp op) {
      if (!op.hasPureTensorSemantics() || op.getNumReductionLoops() != 0 ||
          op.getNumDpsInits() != 1 || op.getNumDpsInputs() > 2)
        return;
      OpOperand *out = op.getDpsInitOperand(0);
      if (!out->get().getDefiningOp<tensor::EmptyOp>() ||
          op.payloadUsesValueFromOperand(out))
        return;
      for (OpOperand *in : op.getDpsInputOperands())
        if (in->get().getType() == out->get().getType() &&
            op.getMatchingIndexingMap(in) == op.getMatchingIndexingMap(out) &&
            isProduct(in->get())) {
          out->set(in->get());
          ++numOps;
          return;
        }
    });
    SmallVector<tensor::InsertSliceOp> inserts;
    getOperation()->walk(
        [&](tensor::InsertSliceOp op) { inserts.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (tensor::InsertSliceOp op : inserts)
      numInserts += writeIntoSlice(rewriter, op);
  }
};
} // namespace
