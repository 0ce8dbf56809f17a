// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

namespace structured {
#define GEN_PASS_DEF_CLONEFILLS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct CloneFills : structured::impl::CloneFillsBase<CloneFills> {
  void runOnOperation() override {
    SmallVector<OpOperand *> inits;
    getOperation()->walk([&](DestinationStyleOpInterface op) {
      for (OpOperand &init : op.getDpsInitsMutable())
        if (init.get().getDefiningOp<linalg::FillOp>())
          inits.push_back(&init);
    });
    for (OpOperand *init : inits) {
      auto fill = init->get().getDefiningOp<linalg::FillOp>();
      if (fill->hasOneUse())
        continue;
      OpBuilder builder(init->getOwner());
      Operation *clone = builder.clone(*fill);
      // One buffer would still be shared.
      if (auto empty =
              fill.getOutputs().front().getDefiningOp<tensor::EmptyOp>()) {
        builder.setInsertionPoint(clone);
        cast<linalg::FillOp>(clone).getOutputsMutable().assign(
            builder.clone(*empty)->getResult(0));
      }
      init->set(clone->getResult(0));
      ++numFills;
    }
  }
};
} // namespace
