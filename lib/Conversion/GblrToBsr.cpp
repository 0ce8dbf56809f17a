// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PackedFactor.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_GBLRTOBSR
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Columns of a block: what a tensor-core kernel multiplies in one step.
static constexpr int64_t kColumns = 64;

/// Why the layer cannot be lowered; empty if it can.
static std::string getReason(GblrMatmulOp op, int64_t minTokens) {
  if (op->getNumResults() == 0)
    return "its operands are memrefs";
  for (Value factor : {op.getU(), op.getV()}) {
    auto parameter = factor.getDefiningOp<ParameterOp>();
    if (!parameter || !parameter.isAsStored())
      return "its factors are not parameters as they are stored";
  }
  Type type = getElementTypeOrSelf(op.getU());
  if (!type.isF16() && !type.isBF16())
    return "its element type is neither f16 nor bf16";
  for (Value operand : op->getOperands())
    if (getElementTypeOrSelf(operand) != type)
      return "its operands have several element types";
  GblrLayoutAttr layout = op.getLayout();
  if (layout.getInFeatures() % 8 || layout.getOutFeatures() % 8)
    return "its sizes " + std::to_string(layout.getOutFeatures()) + " and " +
           std::to_string(layout.getInFeatures()) +
           " are not both multiples of 8";
  int64_t tokens = op.getInit().getType().getDimSize(0);
  if (ShapedType::isDynamic(tokens))
    return "its number of tokens is not known";
  if (tokens < minTokens)
    return "it has " + std::to_string(tokens) + " tokens, fewer than " +
           std::to_string(minTokens);
  return "";
}

namespace {
struct GblrToBsr : structured::impl::GblrToBsrBase<GblrToBsr> {
  using GblrToBsrBase::GblrToBsrBase;

  void runOnOperation() override {
    if (vWidth < 1 || uWidth < 1 || vWidth % kColumns) {
      getOperation()->emitError("structured-gblr-to-bsr needs panels of at "
                                "least 1 row, and a multiple of 64 as v-width");
      return signalPassFailure();
    }
    SmallVector<GblrMatmulOp> ops;
    getOperation()->walk([&](GblrMatmulOp op) { ops.push_back(op); });
    for (GblrMatmulOp op : ops) {
      std::string reason = getReason(op, minTokens);
      if (reason.empty())
        lower(op);
      else
        op->emitRemark("not lowered to products with BSR matrices: ") << reason;
    }
  }

private:
  void lower(GblrMatmulOp op) {
    IRRewriter rewriter(op);
    Location loc = op.getLoc();
    GblrLayoutAttr layout = op.getLayout();
    GblrPanels panels = GblrPanels::compute(layout, vWidth, uWidth, kColumns);
    Value result = op.getInit();
    // A layer without components adds nothing.
    if (int64_t ranks = panels.v.getPanelCount() * panels.v.width) {
      OpFoldResult tokens =
          tensor::getMixedSize(rewriter, loc, op.getInput(), 0);
      // Y[t, ρ] = Σ_c X[t, c] v_ρ[c]
      Value y = createZeroTensor(rewriter, loc,
                                 {tokens, rewriter.getIndexAttr(ranks)},
                                 getElementTypeOrSelf(op.getInput()));
      y = multiply(rewriter, op, op.getInput(), GblrFactor::V, panels, y);
      // O[t, a] += Σ_ρ Y[t, ρ] u_ρ[a]
      result = multiply(rewriter, op, y, GblrFactor::U, panels, result);
      int64_t padded = panels.v.getValueCount() + panels.u.getValueCount();
      int64_t dense = layout.getOutFeatures() * layout.getInFeatures();
      numMultiplyAdds += op.getParameterCount();
      numPaddedMultiplyAdds += padded;
      if (padded > dense)
        op->emitRemark("its blocks take ")
            << padded << " multiply-adds for a token, more than the " << dense
            << " of a dense layer";
    }
    rewriter.replaceOp(op, result);
    ++numLowered;
  }

  /// `init` + input · factorᵀ, where `factor` is U or Vᵀ.
  Value multiply(OpBuilder &builder, GblrMatmulOp op, Value input,
                 GblrFactor factor, const GblrPanels &panels, Value init) {
    Location loc = op.getLoc();
    PackedFactor packed = packFactor(builder, op, factor, panels);
    const PanelPattern &pattern = factor == GblrFactor::V ? panels.v : panels.u;
    Value order = createIndices(builder, loc, pattern.getOrder());
    return BsrMatmulOp::create(builder, loc, init.getType(), input,
                               packed.values, packed.positions,
                               packed.coordinates, order, init)
        .getResult(0);
  }
};
} // namespace
