// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_EXPANDTODENSE
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct ExpandToDense : structured::impl::ExpandToDenseBase<ExpandToDense> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation()->walk([&](StructuredLayerOpInterface layer) {
      if (layer.getStructureKind() == StructureKind::Dense)
        return;
      if (layer->getNumResults() == 0) {
        layer->emitRemark("not expanded: its operands are memrefs; run the "
                          "pass before bufferization");
        return;
      }
      rewriter.setInsertionPoint(layer);
      Value weight = layer.expandToDense(rewriter);
      rewriter.replaceOpWithNewOp<LinearOp>(
          layer, layer->getResultTypes(), layer.getLayerInput(), weight,
          layer.getLayerInit(), layer->getAttrOfType<StringAttr>("layer"),
          PlanAttr());
      ++numExpanded;
    });
  }
};
} // namespace
