// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PanelKernel.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
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
/// A factor as a parameter as it is stored, or null.
static ParameterOp getFactor(Value value) {
  auto parameter = value.getDefiningOp<ParameterOp>();
  if (!parameter || parameter.getPermutation() || parameter.getPacking() ||
      parameter.getProduct())
    return {};
  return parameter;
}

/// A constant tensor of `values`.
static Value createConstant(OpBuilder &builder, Location loc,
                            ArrayRef<int32_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI32Type());
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, values));
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
    ParameterOp u = getFactor(op.getU()), v = getFactor(op.getV());
    if (op->getNumResults() == 0 || !u || !v) {
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
      y = multiply(rewriter, op, x, v, GblrFactor::V, panels, y);
      // O[t, a] += Σ_ρ Y[t, ρ] u_ρ[a]
      sum = multiply(rewriter, op, y, u, GblrFactor::U, panels, sum);
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
                 ParameterOp source, GblrFactor factor,
                 const GblrPanels &panels, Value init) {
    Location loc = op.getLoc();
    const PanelPattern &pattern = factor == GblrFactor::V ? panels.v : panels.u;
    auto packing =
        GblrPackingAttr::get(builder.getContext(), factor, panels.v.width,
                             panels.u.width, op.getLayout(), /*columns=*/1);
    auto type = source.getType().clone(
        {static_cast<int64_t>(pattern.coordinates.size()), pattern.width});
    Value values = ParameterOp::create(
        builder, source.getLoc(), type, source.getName(),
        /*permutation=*/DenseI64ArrayAttr(), packing, BlastProductAttr());
    Value positions = createConstant(builder, loc, pattern.positions);
    Value coordinates = createConstant(builder, loc, pattern.coordinates);
    return BlockSparseMatmulOp::create(builder, loc, init.getType(), input,
                                       values, positions, coordinates, init)
        .getResult(0);
  }
};
} // namespace
