// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_EXPANDSHAPETOREINTERPRETCAST
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;

/// Whether a dimension is expanded to several of dynamic size.
static bool hasSeveralDynamicSizes(memref::ExpandShapeOp op) {
  for (const ReassociationIndices &group : op.getReassociationIndices())
    if (llvm::count_if(group, [&](int64_t i) {
          return op.getResultType().isDynamicDim(i);
        }) > 1)
      return true;
  return false;
}

/// The strides of the result: those of the source for the last dimension of
/// each group, times the sizes behind it for the others.
static SmallVector<OpFoldResult> getStrides(OpBuilder &builder,
                                            memref::ExpandShapeOp op,
                                            ArrayRef<OpFoldResult> sizes,
                                            ValueRange sourceStrides) {
  auto [known, offset] = op.getResultType().getStridesAndOffset();
  AffineExpr s0, s1;
  bindSymbols(builder.getContext(), s0, s1);
  SmallVector<OpFoldResult> strides(sizes.size());
  for (auto [group, sourceStride] :
       llvm::zip_equal(op.getReassociationIndices(), sourceStrides)) {
    OpFoldResult stride = sourceStride;
    for (int64_t i : llvm::reverse(group)) {
      if (!ShapedType::isDynamic(known[i]))
        stride = builder.getIndexAttr(known[i]);
      strides[i] = stride;
      stride = affine::makeComposedFoldedAffineApply(
          builder, op.getLoc(), s0 * s1, {stride, sizes[i]});
    }
  }
  return strides;
}

namespace {
struct ExpandShapeToReinterpretCast
    : structured::impl::ExpandShapeToReinterpretCastBase<
          ExpandShapeToReinterpretCast> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation()->walk([&](memref::ExpandShapeOp op) {
      if (!hasSeveralDynamicSizes(op))
        return;
      rewriter.setInsertionPoint(op);
      SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
      auto source = memref::ExtractStridedMetadataOp::create(
          rewriter, op.getLoc(), op.getSrc());
      auto [known, offset] = op.getResultType().getStridesAndOffset();
      OpFoldResult start = source.getOffset();
      if (!ShapedType::isDynamic(offset))
        start = rewriter.getIndexAttr(offset);
      rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
          op, op.getResultType(), op.getSrc(), start, sizes,
          getStrides(rewriter, op, sizes, source.getStrides()));
      ++numLowered;
    });
  }
};
} // namespace
