// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PackedFactor.h"

#include "PanelKernel.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/Support/MathExtras.h"

namespace structured {
#define GEN_PASS_DEF_GBLRTOBLOCKSPARSE
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Most vectors in a panel that are tried.
static constexpr int64_t kMaxVectors = 4;
/// Whether a factor is a parameter as it is stored.
static bool isStored(Value factor) {
  auto parameter = factor.getDefiningOp<ParameterOp>();
  return parameter && parameter.isAsStored();
}

namespace {
struct GblrToBlockSparse
    : structured::impl::GblrToBlockSparseBase<GblrToBlockSparse> {
  using GblrToBlockSparseBase::GblrToBlockSparseBase;

  void runOnOperation() override {
    if (vectorBits < 64 || vectorRegisters < 4) {
      getOperation()->emitError("structured-gblr-to-block-sparse needs "
                                "vector-bits of at least 64 and at least 4 "
                                "vector-registers");
      return signalPassFailure();
    }
    SmallVector<GblrMatmulOp> ops;
    getOperation()->walk([&](GblrMatmulOp op) { ops.push_back(op); });
    for (GblrMatmulOp op : ops)
      lower(op);
  }

private:
  /// The panels that take the least estimated time for `tokens` tokens.
  GblrPanels choosePanels(GblrLayoutAttr layout,
                          std::optional<int64_t> tokens) {
    int64_t lanes = vectorBits / 32;
    auto cost = [&](const PanelPattern &pattern) {
      int64_t vectors = pattern.width / lanes;
      return double(pattern.coordinates.size()) *
             getPanelStepCost(vectors, tokens, vectorRegisters);
    };
    std::optional<GblrPanels> bestV, best;
    for (int64_t vectors = 1; vectors <= kMaxVectors; ++vectors) {
      if (getPanelRows(vectors, tokens, vectorRegisters) < 1)
        break;
      GblrPanels panels = GblrPanels::compute(layout, vectors * lanes, lanes);
      if (!bestV || cost(panels.v) < cost(bestV->v))
        bestV = std::move(panels);
    }
    for (int64_t vectors = 1; vectors <= kMaxVectors; ++vectors) {
      if (getPanelRows(vectors, tokens, vectorRegisters) < 1)
        break;
      GblrPanels panels =
          GblrPanels::compute(layout, bestV->v.width, vectors * lanes);
      if (!best || cost(panels.u) < cost(best->u))
        best = std::move(panels);
    }
    return std::move(*best);
  }

  void lower(GblrMatmulOp op) {
    if (op->getNumResults() == 0 || !isStored(op.getU()) ||
        !isStored(op.getV())) {
      op->emitRemark("not lowered to block-sparse products: ")
          << (op->getNumResults() == 0 ? "its operands are memrefs"
                                       : "its factors are not parameters");
      return;
    }
    IRRewriter rewriter(op);
    Location loc = op.getLoc();
    std::optional<int64_t> tokens;
    if (!op.getInit().getType().isDynamicDim(0))
      tokens = op.getInit().getType().getDimSize(0);
    GblrLayoutAttr layout = op.getLayout();
    GblrPanels panels = choosePanels(layout, tokens);
    int64_t outFeatures = layout.getOutFeatures();
    Type f32 = rewriter.getF32Type();
    auto initType = cast<RankedTensorType>(op.getInit().getType());
    Value sum = castTensorElements(rewriter, loc, op.getInit(), f32);
    // A layer without components adds nothing.
    if (int64_t rankCount = panels.v.getPanelCount() * panels.v.width) {
      // Y[t, ρ] = Σ_c X[t, c] v_ρ[c]
      OpFoldResult tokenCount =
          tensor::getMixedSize(rewriter, loc, op.getInput(), 0);
      Value y = createZeroTensor(
          rewriter, loc, {tokenCount, rewriter.getIndexAttr(rankCount)}, f32);
      Value x = castTensorElements(rewriter, loc, op.getInput(), f32);
      y = multiply(rewriter, op, x, GblrFactor::V, panels, y);
      // O[t, a] += Σ_ρ Y[t, ρ] u_ρ[a]
      sum = multiply(rewriter, op, y, GblrFactor::U, panels, sum);
      numMultiplyAdds += op.getParameterCount();
      numPaddedMultiplyAdds +=
          panels.v.getValueCount() + panels.u.getValueCount();
      int64_t padded = panels.v.getValueCount() + panels.u.getValueCount();
      if (padded > outFeatures * layout.getInFeatures())
        op->emitRemark("its panels take ")
            << padded << " multiply-adds for a token, more than the "
            << outFeatures * layout.getInFeatures() << " of a dense layer";
    }
    sum = castTensorElements(rewriter, loc, sum, initType.getElementType());
    rewriter.replaceOp(op, sum);
    ++numLowered;
  }

  /// `init` + input · factorᵀ, where `factor` is U or Vᵀ.
  Value multiply(OpBuilder &builder, GblrMatmulOp op, Value input,
                 GblrFactor factor, const GblrPanels &panels, Value init) {
    PackedFactor packed = packFactor(builder, op, factor, panels);
    return BlockSparseMatmulOp::create(builder, op.getLoc(), init.getType(),
                                       input, packed.values, packed.positions,
                                       packed.coordinates, init)
        .getResult(0);
  }
};
} // namespace
