// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace structured {
#define GEN_PASS_DEF_WRITEINPLACE
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Whether the tensor is a product that only `user` reads, or a reshape of one.
static bool isProductOf(Value value, Operation *user) {
  if (!value.hasOneUse())
    return false;
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    return isProductOf(op->getOperand(0), op);
  if (isa_and_nonnull<StructuredLayerOpInterface>(op))
    return true;
  auto contraction = dyn_cast_or_null<linalg::LinalgOp>(op);
  return contraction && contraction.getNumReductionLoops() != 0 &&
         linalg::isaContractionOpInterface(contraction);
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
            isProductOf(in->get(), op)) {
          out->set(in->get());
          ++numOps;
          return;
        }
    });
  }
};
} // namespace
