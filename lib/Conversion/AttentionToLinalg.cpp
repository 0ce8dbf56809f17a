// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AttentionScore.h"
#include "LowerAttention.h"

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace structured {
#define GEN_PASS_DEF_ATTENTIONTOLINALG
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct AttentionToLinalg
    : structured::impl::AttentionToLinalgBase<AttentionToLinalg> {
  using AttentionToLinalgBase::AttentionToLinalgBase;

  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation()->walk([&](AttentionOp op) { ops.push_back(op); });
    for (AttentionOp op : ops) {
      if (op->getNumResults() == 0) {
        op->emitRemark("not lowered: its operands are memrefs; run the pass "
                       "before bufferization");
        continue;
      }
      if (keepHopper) {
        std::string reason = getHopperAttentionReason(op);
        if (reason.empty())
          continue;
        op->emitRemark("no Hopper kernel: ") << reason;
      }
      OpBuilder builder(op);
      op->replaceAllUsesWith(ValueRange(lowerAttention(builder, op)));
      op.erase();
      ++numLowered;
    }
  }
};
} // namespace
