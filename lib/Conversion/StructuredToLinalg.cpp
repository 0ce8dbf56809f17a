// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace structured {
#define GEN_PASS_DEF_STRUCTUREDTOLINALG
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Adds the contraction of `lhs` and `rhs` to `init`; `dims` gives the
/// iteration dimension of each dimension of lhs, rhs and init.
static Value contract(OpBuilder &builder, Location loc, Value lhs, Value rhs,
                      Value init, ArrayRef<ArrayRef<unsigned>> dims) {
  unsigned numDims = 0;
  for (ArrayRef<unsigned> operandDims : dims)
    for (unsigned dim : operandDims)
      numDims = std::max(numDims, dim + 1);
  SmallVector<AffineMap> maps;
  for (ArrayRef<unsigned> operandDims : dims)
    maps.push_back(AffineMap::getMultiDimMapWithTargets(numDims, operandDims,
                                                        builder.getContext()));
  return linalg::ContractOp::create(builder, loc, init.getType(),
                                    ValueRange{lhs, rhs}, init,
                                    builder.getAffineMapArrayAttr(maps))
      .getResult(0);
}

/// `init` in f32; the caller rounds the sum with `castTensorElements`.
static Value accumulator(OpBuilder &builder, StructuredLayerOpInterface op) {
  return castTensorElements(builder, op->getLoc(), op.getLayerInit(),
                            builder.getF32Type());
}

static void replaceWithSum(PatternRewriter &rewriter,
                           StructuredLayerOpInterface op, Value sum) {
  rewriter.replaceOp(
      op, castTensorElements(
              rewriter, op->getLoc(), sum,
              cast<ShapedType>(op.getLayerInit().getType()).getElementType()));
}

namespace {
template <typename OpTy>
struct LayerPattern : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumResults() == 0)
      return rewriter.notifyMatchFailure(op, "its operands are memrefs");
    Value sum = lower(op, rewriter, accumulator(rewriter, op));
    replaceWithSum(rewriter, op, sum);
    return success();
  }

  /// Builds `init + op's product`; all three are [T, m], the first and the
  /// last in f32.
  virtual Value lower(OpTy op, OpBuilder &builder, Value init) const = 0;
};

struct LowerLinear final : LayerPattern<LinearOp> {
  using LayerPattern::LayerPattern;

  Value lower(LinearOp op, OpBuilder &builder, Value init) const override {
    MLIRContext *context = builder.getContext();
    auto map = [&](ArrayRef<unsigned> dims) {
      return AffineMap::getMultiDimMapWithTargets(3, dims, context);
    };
    auto matmul = linalg::MatmulOp::create(
        builder, op.getLoc(), init.getType(),
        ValueRange{op.getInput(), op.getWeight()}, init);
    matmul.setIndexingMapsAttr(
        builder.getAffineMapArrayAttr({map({0, 2}), map({1, 2}), map({0, 1})}));
    return matmul.getResult(0);
  }
};

struct LowerBlast final : LayerPattern<BlastMatmulOp> {
  using LayerPattern::LayerPattern;

  Value lower(BlastMatmulOp op, OpBuilder &builder, Value init) const override {
    Location loc = op.getLoc();
    Type f32 = builder.getF32Type();
    OpFoldResult tokens = tensor::getMixedSize(builder, loc, init, 0);
    OpFoldResult bOut = tensor::getMixedSize(builder, loc, op.getU(), 0);
    OpFoldResult rank = tensor::getMixedSize(builder, loc, op.getVt(), 1);
    OpFoldResult bIn = builder.getIndexAttr(op.getBIn());

    // Y[j,t,ρ] = Σ_q' X[t,j,q'] Vt[j,ρ,q']
    Value x =
        splitFeatures(builder, loc, op.getInput(),
                      {tensor::getMixedSize(builder, loc, op.getInput(), 0),
                       bIn, builder.getIndexAttr(op.getQ())});
    Value y = createZeroTensor(builder, loc, {bIn, tokens, rank}, f32);
    y = contract(builder, loc, x, op.getVt(), y,
                 {/*x [t,j,q]=*/{1, 0, 3}, /*vt [j,r,q]=*/{0, 2, 3},
                  /*y [j,t,r]=*/{0, 1, 2}});

    // Z[i,t,ρ] = Σ_j S[i,j,ρ] Y[j,t,ρ]
    Value z = createZeroTensor(builder, loc, {bOut, tokens, rank}, f32);
    z = contract(builder, loc, op.getS(), y, z,
                 {/*s [i,j,r]=*/{0, 3, 2}, /*y [j,t,r]=*/{3, 1, 2},
                  /*z [i,t,r]=*/{0, 1, 2}});

    // O[t,i,p'] = init[t,i,p'] + Σ_ρ Z[i,t,ρ] U[i,p',ρ]
    Value o = splitFeatures(builder, loc, init,
                            {tokens, bOut, builder.getIndexAttr(op.getP())});
    o = contract(builder, loc, z, op.getU(), o,
                 {/*z [i,t,r]=*/{0, 1, 3}, /*u [i,p,r]=*/{0, 2, 3},
                  /*o [t,i,p]=*/{1, 0, 2}});
    return tensor::CollapseShapeOp::create(
        builder, loc, init.getType(), o,
        ArrayRef<ReassociationIndices>{{0}, {1, 2}});
  }

  /// [T, b·q] as [T, b, q].
  static Value splitFeatures(OpBuilder &builder, Location loc, Value tensor,
                             ArrayRef<OpFoldResult> sizes) {
    SmallVector<int64_t> shape;
    SmallVector<Value> dynamicSizes;
    dispatchIndexOpFoldResults(sizes, dynamicSizes, shape);
    auto type = cast<RankedTensorType>(tensor.getType()).clone(shape);
    return tensor::ExpandShapeOp::create(
        builder, loc, type, tensor, ArrayRef<ReassociationIndices>{{0}, {1, 2}},
        sizes);
  }
};

struct LowerGblr final : LayerPattern<GblrMatmulOp> {
  using LayerPattern::LayerPattern;

  Value lower(GblrMatmulOp op, OpBuilder &builder, Value init) const override {
    Location loc = op.getLoc();
    OpFoldResult one = builder.getIndexAttr(1);
    OpFoldResult tokens = tensor::getMixedSize(builder, loc, init, 0);
    auto offsets =
        [&](const IntervalPiece &piece) -> SmallVector<OpFoldResult> {
      return {builder.getIndexAttr(0),
              builder.getIndexAttr(piece.matrixOffset)};
    };
    auto sizes = [&](const IntervalPiece &piece) -> SmallVector<OpFoldResult> {
      return {tokens, builder.getIndexAttr(piece.size)};
    };

    GblrLayoutAttr layout = op.getLayout();
    int64_t uOffset = 0, vOffset = 0;
    Value sum = init;
    for (GblrComponentAttr component : layout.getComponents()) {
      int64_t rank = component.getRank();
      int64_t rows = component.getRows(), cols = component.getCols();
      if (rank > 0 && rows > 0 && cols > 0) {
        // A[t,ρ] = Σ_c X[t,c] v[ρ,c] over the component's columns
        Value a =
            createZeroTensor(builder, loc, {tokens, builder.getIndexAttr(rank)},
                             builder.getF32Type());
        for (const IntervalPiece &piece : splitPeriodic(
                 component.getColStart(), cols, layout.getInFeatures())) {
          Value x = tensor::ExtractSliceOp::create(
              builder, loc, op.getInput(), offsets(piece), sizes(piece),
              SmallVector<OpFoldResult>{one, one});
          Value v = extractPackedFactor(builder, loc, op.getV(), vOffset, rank,
                                        cols, piece);
          a = contract(builder, loc, x, v, a, {{0, 2}, {1, 2}, {0, 1}});
        }
        // O[t,a] += Σ_ρ A[t,ρ] u[ρ,a] over the component's rows
        for (const IntervalPiece &piece : splitPeriodic(
                 component.getRowStart(), rows, layout.getOutFeatures())) {
          Value u = extractPackedFactor(builder, loc, op.getU(), uOffset, rank,
                                        rows, piece);
          Value o = tensor::ExtractSliceOp::create(
              builder, loc, sum, offsets(piece), sizes(piece),
              SmallVector<OpFoldResult>{one, one});
          o = contract(builder, loc, a, u, o, {{0, 2}, {2, 1}, {0, 1}});
          sum = tensor::InsertSliceOp::create(
              builder, loc, o, sum, offsets(piece), sizes(piece),
              SmallVector<OpFoldResult>{one, one});
        }
      }
      uOffset += rank * rows;
      vOffset += rank * cols;
    }
    return sum;
  }
};

struct StructuredToLinalg
    : structured::impl::StructuredToLinalgBase<StructuredToLinalg> {
  void runOnOperation() override {
    getOperation()->walk([&](StructuredLayerOpInterface layer) {
      if (layer->getNumResults() == 0)
        layer->emitRemark("not lowered: its operands are memrefs; run the pass "
                          "before bufferization");
      else
        ++numLowered;
    });
    RewritePatternSet patterns(&getContext());
    populateStructuredToLinalgPatterns(patterns);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace

void structured::populateStructuredToLinalgPatterns(
    RewritePatternSet &patterns) {
  patterns.add<LowerLinear, LowerBlast, LowerGblr>(patterns.getContext());
}
