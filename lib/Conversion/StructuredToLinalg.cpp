// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LayerContractions.h"
#include "LowerAttention.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "llvm/ADT/MapVector.h"

namespace structured {
#define GEN_PASS_DEF_STRUCTUREDTOLINALG
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

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
    ImplicitLocOpBuilder b(loc, builder);
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
    y = contract(b, x, op.getVt(), y,
                 {/*x [t,j,q]=*/{1, 0, 3}, /*vt [j,r,q]=*/{0, 2, 3},
                  /*y [j,t,r]=*/{0, 1, 2}});

    // Z[i,t,ρ] = Σ_j S[i,j,ρ] Y[j,t,ρ]
    Value z = createZeroTensor(builder, loc, {bOut, tokens, rank}, f32);
    z = contract(b, op.getS(), y, z,
                 {/*s [i,j,r]=*/{0, 3, 2}, /*y [j,t,r]=*/{3, 1, 2},
                  /*z [i,t,r]=*/{0, 1, 2}});

    // O[t,i,p'] = init[t,i,p'] + Σ_ρ Z[i,t,ρ] U[i,p',ρ]
    Value o = splitFeatures(builder, loc, init,
                            {tokens, bOut, builder.getIndexAttr(op.getP())});
    o = contract(b, z, op.getU(), o,
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

/// A GBLR layer as loops over its components, one for each rank that occurs:
/// code does not grow with the number of components. Where a component lies is
/// read from a table of constants.
struct LowerGblr final : LayerPattern<GblrMatmulOp> {
  using LayerPattern::LayerPattern;

  Value lower(GblrMatmulOp op, OpBuilder &builder, Value init) const override {
    llvm::MapVector<int64_t, SmallVector<Placement>> groups;
    int64_t uOffset = 0, vOffset = 0;
    for (GblrComponentAttr component : op.getLayout().getComponents()) {
      int64_t rank = component.getRank();
      if (rank > 0 && component.getRows() > 0 && component.getCols() > 0)
        groups[rank].push_back({component, uOffset, vOffset});
      uOffset += rank * component.getRows();
      vOffset += rank * component.getCols();
    }
    Value sum = init;
    for (auto &[rank, components] : groups)
      sum = lowerGroup(op, builder, sum, rank, components);
    return sum;
  }

private:
  /// A component and the places of its vectors in the packed factors.
  struct Placement {
    GblrComponentAttr component;
    int64_t uOffset, vOffset;
  };

  /// One side of a component: `rank` packed vectors of `size` numbers, for the
  /// features from `start` on, of which `first` come before the period's end.
  struct Side {
    Value offset, size, start, first;
    bool wraps; ///< in some component of the group
  };

  /// A column of the table, for the component that a loop is at.
  static Value readTable(OpBuilder &builder, Location loc, Value index,
                         ArrayRef<int64_t> column) {
    auto type = RankedTensorType::get({static_cast<int64_t>(column.size())},
                                      builder.getI64Type());
    Value table = arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(type, column));
    Value entry =
        tensor::ExtractOp::create(builder, loc, table, ValueRange(index));
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      entry);
  }

  /// Calls `body` for the run before the period's end and, if there may be one,
  /// that after it, with the features' slice parameters and the run's
  /// [rank, size] part of `factor`.
  static void forEachRun(
      OpBuilder &builder, Location loc, Value factor, int64_t rank,
      const Side &side,
      function_ref<void(OpFoldResult offset, OpFoldResult size, Value vectors)>
          body) {
    OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
    OpFoldResult rows = builder.getIndexAttr(rank);
    AffineExpr s0 = builder.getAffineSymbolExpr(0);
    AffineExpr s1 = builder.getAffineSymbolExpr(1);
    OpFoldResult count = affine::makeComposedFoldedAffineApply(
        builder, loc, s0 * rank, {side.size});
    Value packed = tensor::ExtractSliceOp::create(
        builder, loc, factor, ArrayRef<OpFoldResult>(side.offset), count, one);
    auto elementType =
        cast<RankedTensorType>(factor.getType()).getElementType();
    Value matrix = tensor::ExpandShapeOp::create(
        builder, loc,
        RankedTensorType::get({rank, ShapedType::kDynamic}, elementType),
        packed, ArrayRef<ReassociationIndices>{{0, 1}},
        ArrayRef<OpFoldResult>{rows, side.size});
    auto emitRun = [&](OpFoldResult offset, OpFoldResult within,
                       OpFoldResult size) {
      Value vectors = tensor::ExtractSliceOp::create(
          builder, loc, matrix, ArrayRef<OpFoldResult>{zero, within},
          ArrayRef<OpFoldResult>{rows, size}, ArrayRef<OpFoldResult>{one, one});
      body(offset, size, vectors);
    };
    emitRun(side.start, zero, side.first);
    if (side.wraps)
      emitRun(zero, side.first,
              affine::makeComposedFoldedAffineApply(builder, loc, s0 - s1,
                                                    {side.size, side.first}));
  }

  static Value lowerGroup(GblrMatmulOp op, OpBuilder &builder, Value init,
                          int64_t rank, ArrayRef<Placement> components) {
    Location loc = op.getLoc();
    GblrLayoutAttr layout = op.getLayout();
    int64_t outFeatures = layout.getOutFeatures();
    int64_t inFeatures = layout.getInFeatures();
    auto column = [&](auto get) {
      return llvm::map_to_vector(components, [&](const Placement &placement) {
        return static_cast<int64_t>(get(placement));
      });
    };
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value count =
        arith::ConstantIndexOp::create(builder, loc, components.size());
    auto loop = scf::ForOp::create(
        builder, loc, zero, count, one, init,
        [&](OpBuilder &b, Location loc, Value k, ValueRange sums) {
          auto read = [&](auto get) {
            return readTable(b, loc, k, column(get));
          };
          auto wraps = [&](auto get) { return llvm::any_of(components, get); };
          using P = const Placement &;
          Side cols = {
              read([](P p) { return p.vOffset; }),
              read([](P p) { return p.component.getCols(); }),
              read([](P p) { return p.component.getColStart(); }),
              read([&](P p) {
                return std::min(p.component.getCols(),
                                inFeatures - p.component.getColStart());
              }),
              wraps([&](P p) {
                return p.component.getColStart() + p.component.getCols() >
                       inFeatures;
              })};
          Side rows = {
              read([](P p) { return p.uOffset; }),
              read([](P p) { return p.component.getRows(); }),
              read([](P p) { return p.component.getRowStart(); }),
              read([&](P p) {
                return std::min(p.component.getRows(),
                                outFeatures - p.component.getRowStart());
              }),
              wraps([&](P p) {
                return p.component.getRowStart() + p.component.getRows() >
                       outFeatures;
              })};
          Value sum = lowerComponent(op, b, sums.front(), rank, cols, rows);
          scf::YieldOp::create(b, loc, sum);
        });
    return loop.getResult(0);
  }

  static Value lowerComponent(GblrMatmulOp op, OpBuilder &builder, Value sum,
                              int64_t rank, const Side &cols,
                              const Side &rows) {
    Location loc = op.getLoc();
    OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
    OpFoldResult tokens = tensor::getMixedSize(builder, loc, sum, 0);
    SmallVector<OpFoldResult> strides = {one, one};

    // A[t,ρ] = Σ_c X[t,c] v[ρ,c] over the component's columns
    Value a =
        createZeroTensor(builder, loc, {tokens, builder.getIndexAttr(rank)},
                         builder.getF32Type());
    forEachRun(builder, loc, op.getV(), rank, cols,
               [&](OpFoldResult offset, OpFoldResult size, Value v) {
                 Value x = tensor::ExtractSliceOp::create(
                     builder, loc, op.getInput(),
                     ArrayRef<OpFoldResult>{zero, offset},
                     ArrayRef<OpFoldResult>{tokens, size}, strides);
                 ImplicitLocOpBuilder b(loc, builder);
                 a = contract(b, x, v, a, {{0, 2}, {1, 2}, {0, 1}});
               });
    // O[t,a] += Σ_ρ A[t,ρ] u[ρ,a] over the component's rows
    forEachRun(builder, loc, op.getU(), rank, rows,
               [&](OpFoldResult offset, OpFoldResult size, Value u) {
                 SmallVector<OpFoldResult> offsets = {zero, offset};
                 SmallVector<OpFoldResult> sizes = {tokens, size};
                 Value o = tensor::ExtractSliceOp::create(
                     builder, loc, sum, offsets, sizes, strides);
                 ImplicitLocOpBuilder b(loc, builder);
                 o = contract(b, a, u, o, {{0, 2}, {2, 1}, {0, 1}});
                 sum = tensor::InsertSliceOp::create(builder, loc, o, sum,
                                                     offsets, sizes, strides);
               });
    return sum;
  }
};

struct LowerAttentionOp final : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumResults() == 0)
      return rewriter.notifyMatchFailure(op, "its operands are memrefs");
    rewriter.replaceOp(op, lowerAttention(rewriter, op));
    return success();
  }
};

struct StructuredToLinalg
    : structured::impl::StructuredToLinalgBase<StructuredToLinalg> {
  void runOnOperation() override {
    getOperation()->walk([&](Operation *op) {
      if (!isa<StructuredLayerOpInterface, AttentionOp>(op))
        return;
      if (op->getNumResults() == 0)
        op->emitRemark("not lowered: its operands are memrefs; run the pass "
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
  patterns.add<LowerLinear, LowerBlast, LowerGblr, LowerAttentionOp>(
      patterns.getContext());
}
