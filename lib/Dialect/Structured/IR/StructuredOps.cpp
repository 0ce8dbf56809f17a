// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The layer ops: verification, canonicalisation, effects, shapes, costs and
// expansion to a dense matrix. Tiling is in StructuredTiling.cpp.

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace structured;

#define GET_OP_CLASSES
#include "Structured/Dialect/Structured/IR/StructuredOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What the layer ops have in common
//===----------------------------------------------------------------------===//

static ShapedType shapedType(Value value) {
  return cast<ShapedType>(value.getType());
}

static bool agree(int64_t a, int64_t b) {
  return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
}

/// Whether the operands are all tensors, with one result of init's type, or all
/// memrefs, with none.
static bool hasTensorsOrMemrefs(Operation *op, Value init) {
  auto types = op->getOperandTypes();
  if (llvm::all_of(types, llvm::IsaPred<RankedTensorType>))
    return op->getResultTypes() == TypeRange(init.getType());
  return llvm::all_of(types, llvm::IsaPred<MemRefType>) &&
         op->getNumResults() == 0;
}

/// Verifies the element types (C3, (C2) of linear) and the tensor/memref forms
/// (C4, (C3) of linear) that all layer ops share.
static LogicalResult verifyLayer(StructuredLayerOpInterface op,
                                 StringRef elementTypeConstraint,
                                 StringRef formConstraint) {
  Value input = op.getLayerInput(), init = op.getLayerInit();
  Type elementType = shapedType(input).getElementType();
  for (Value factor : op.getLayerFactors())
    if (shapedType(factor).getElementType() != elementType)
      return op->emitOpError()
             << elementTypeConstraint
             << " the input and the factors must have the same element type, "
                "got "
             << elementType << " and " << shapedType(factor).getElementType();
  Type initType = shapedType(init).getElementType();
  if (initType != elementType && !initType.isF32())
    return op->emitOpError()
           << elementTypeConstraint << " init must have the element type "
           << elementType << " or f32, got " << initType;

  if (!hasTensorsOrMemrefs(op, init))
    return op->emitOpError()
           << formConstraint
           << " all operands must be tensors, with one result of init's type, "
              "or memrefs, with none";
  return success();
}

/// Verifies that 'input' is [T, inFeatures] and 'init' [T, outFeatures].
static LogicalResult verifyActivations(StructuredLayerOpInterface op,
                                       StringRef constraint) {
  ShapedType input = shapedType(op.getLayerInput());
  ShapedType init = shapedType(op.getLayerInit());
  if (!agree(input.getDimSize(1), op.getInFeatures()))
    return op->emitOpError()
           << constraint << " input has " << input.getDimSize(1)
           << " features, the weight matrix " << op.getInFeatures()
           << " columns";
  if (!agree(init.getDimSize(1), op.getOutFeatures()))
    return op->emitOpError()
           << constraint << " init has " << init.getDimSize(1)
           << " features, the weight matrix " << op.getOutFeatures() << " rows";
  if (!agree(input.getDimSize(0), init.getDimSize(0)))
    return op->emitOpError()
           << constraint << " input has " << input.getDimSize(0)
           << " tokens, init " << init.getDimSize(0);
  return success();
}

static void getDestinationStyleEffects(
    DestinationStyleOpInterface op,
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects,
    bool readsInits = true) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (readsInits || op.isDpsInput(&operand))
      effects.emplace_back(MemoryEffects::Read::get(), &operand, /*stage=*/0,
                           /*effectOnFullRegion=*/true,
                           SideEffects::DefaultResource::get());
    if (op.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand, /*stage=*/0,
                           /*effectOnFullRegion=*/true,
                           SideEffects::DefaultResource::get());
  }
}

static Speculation::Speculatability
getLayerSpeculatability(StructuredLayerOpInterface op) {
  return isa<RankedTensorType>(op.getLayerInit().getType())
             ? Speculation::Speculatable
             : Speculation::NotSpeculatable;
}

static LogicalResult reifyLayer(OpBuilder &builder,
                                StructuredLayerOpInterface op,
                                ReifiedRankedShapedTypeDims &shapes) {
  if (op->getNumResults() == 0)
    return failure();
  shapes.push_back(
      tensor::getMixedSizes(builder, op->getLoc(), op.getLayerInit()));
  return success();
}

static int64_t getElementBytes(Value value) {
  return shapedType(value).getElementTypeBitWidth() / 8;
}

static int64_t getLayerBytes(StructuredLayerOpInterface op, int64_t tokens) {
  Value input = op.getLayerInput(), init = op.getLayerInit();
  return op.getParameterCount() * getElementBytes(input) +
         tokens * (op.getInFeatures() * getElementBytes(input) +
                   op.getOutFeatures() * getElementBytes(init));
}

namespace {
/// A layer over no tokens, or one whose matrix is zero, yields its init.
struct FoldLayerWithoutTerms
    : OpInterfaceRewritePattern<StructuredLayerOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(StructuredLayerOpInterface op,
                                PatternRewriter &rewriter) const override {
    if (shapedType(op.getLayerInit()).getDimSize(0) != 0 &&
        op.getParameterCount() != 0)
      return rewriter.notifyMatchFailure(op, "it has terms to add");
    if (op->getNumResults() == 0)
      rewriter.eraseOp(op);
    else
      rewriter.replaceOp(op, op.getLayerInit());
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// LinearOp
//===----------------------------------------------------------------------===//

LogicalResult LinearOp::verify() {
  if (ShapedType::isDynamic(getOutFeatures()) ||
      ShapedType::isDynamic(getInFeatures()) || getOutFeatures() < 1 ||
      getInFeatures() < 1)
    return emitOpError("(C4) the weight must have static, positive sizes");
  if (failed(verifyActivations(*this, "(C1)")) ||
      failed(verifyLayer(*this, "(C2)", "(C3)")))
    return failure();
  if (PlanAttr plan = getPlanAttr())
    if (plan.getStructure() == StructureKind::Blast &&
        (getOutFeatures() % plan.getBOut() || getInFeatures() % plan.getBIn()))
      return emitOpError("(C5) ")
             << plan.getBOut() << " : " << plan.getBIn()
             << " blocks do not divide the weight matrix of "
             << getOutFeatures() << " x " << getInFeatures();
  return success();
}

int64_t LinearOp::getOutFeatures() {
  return getWeight().getType().getDimSize(0);
}
int64_t LinearOp::getInFeatures() {
  return getWeight().getType().getDimSize(1);
}
int64_t LinearOp::getParameterCount() {
  return getOutFeatures() * getInFeatures();
}

Value LinearOp::expandToDense(OpBuilder &) { return getWeight(); }

//===----------------------------------------------------------------------===//
// BlastMatmulOp
//===----------------------------------------------------------------------===//

LogicalResult BlastMatmulOp::verify() {
  ShapedType u = getU().getType(), s = getS().getType(), vt = getVt().getType();
  if (!agree(u.getDimSize(0), s.getDimSize(0)))
    return emitOpError("(C1) u has ")
           << u.getDimSize(0) << " block rows, s " << s.getDimSize(0);
  if (!agree(s.getDimSize(1), vt.getDimSize(0)))
    return emitOpError("(C1) s has ")
           << s.getDimSize(1) << " block columns, vt " << vt.getDimSize(0);
  if (!agree(u.getDimSize(2), s.getDimSize(2)) ||
      !agree(u.getDimSize(2), vt.getDimSize(1)) ||
      !agree(s.getDimSize(2), vt.getDimSize(1)))
    return emitOpError("(C1) u, s and vt have the ranks ")
           << u.getDimSize(2) << ", " << s.getDimSize(2) << " and "
           << vt.getDimSize(1);
  if (ShapedType::isDynamic(getBIn()) || ShapedType::isDynamic(getP()) ||
      ShapedType::isDynamic(getQ()) ||
      ShapedType::isDynamic(getInput().getType().getDimSize(1)))
    return emitOpError("(C5) b_in, p, q and the input's features must be "
                       "static");
  for (Value factor : getLayerFactors())
    if (llvm::is_contained(shapedType(factor).getShape(), 0))
      return emitOpError("(C5) b_out, b_in, p, q and r must be positive");
  if (failed(verifyActivations(*this, "(C2)")))
    return failure();
  return verifyLayer(*this, "(C3)", "(C4)");
}

int64_t BlastMatmulOp::getOutFeatures() {
  int64_t bOut = getBOut();
  return ShapedType::isDynamic(bOut) ? ShapedType::kDynamic : bOut * getP();
}
int64_t BlastMatmulOp::getInFeatures() { return getBIn() * getQ(); }
int64_t BlastMatmulOp::getParameterCount() {
  // A tile of unknown size has parameters too; count what is known.
  int64_t bOut = ShapedType::isDynamic(getBOut()) ? 1 : getBOut();
  int64_t rank = ShapedType::isDynamic(getRank()) ? 1 : getRank();
  return rank * (bOut * getP() + getInFeatures() + bOut * getBIn());
}

Value BlastMatmulOp::expandToDense(OpBuilder &builder) {
  // W[i,p,j,q] = Σ_ρ U[i,p,ρ] S[i,j,ρ] Vt[j,ρ,q]
  Location loc = getLoc();
  AffineExpr i, p, j, q, r;
  bindDims(getContext(), i, p, j, q, r);
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(5, 0, results, getContext());
  };
  SmallVector<OpFoldResult> shape = {
      tensor::getMixedSize(builder, loc, getU(), 0),
      builder.getIndexAttr(getP()), builder.getIndexAttr(getBIn()),
      builder.getIndexAttr(getQ())};
  Value zero = createZeroTensor(builder, loc, shape, builder.getF32Type());
  using utils::IteratorType;
  Value blocks =
      linalg::GenericOp::create(
          builder, loc, zero.getType(), ValueRange{getU(), getS(), getVt()},
          zero,
          {map({i, p, r}), map({i, j, r}), map({j, r, q}), map({i, p, j, q})},
          {IteratorType::parallel, IteratorType::parallel,
           IteratorType::parallel, IteratorType::parallel,
           IteratorType::reduction},
          [](OpBuilder &b, Location loc, ValueRange args) {
            Value u = extendToF32(b, loc, args[0]);
            Value s = extendToF32(b, loc, args[1]);
            Value v = extendToF32(b, loc, args[2]);
            Value us = arith::MulFOp::create(b, loc, u, s);
            Value usv = arith::MulFOp::create(b, loc, us, v);
            Value sum = arith::AddFOp::create(b, loc, args[3], usv);
            linalg::YieldOp::create(b, loc, sum);
          })
          .getResult(0);
  Value dense = tensor::CollapseShapeOp::create(
      builder, loc, blocks, ArrayRef<ReassociationIndices>{{0, 1}, {2, 3}});
  return castTensorElements(builder, loc, dense,
                            getU().getType().getElementType());
}

//===----------------------------------------------------------------------===//
// GblrMatmulOp
//===----------------------------------------------------------------------===//

LogicalResult GblrMatmulOp::verify() {
  int64_t uSize = getU().getType().getDimSize(0);
  int64_t vSize = getV().getType().getDimSize(0);
  if (uSize != getLayout().getUSize())
    return emitOpError("(C1) u has ")
           << uSize << " elements, the layout needs " << getLayout().getUSize();
  if (vSize != getLayout().getVSize())
    return emitOpError("(C1) v has ")
           << vSize << " elements, the layout needs " << getLayout().getVSize();
  if (failed(verifyActivations(*this, "(C2)")))
    return failure();
  return verifyLayer(*this, "(C3)", "(C4)");
}

int64_t GblrMatmulOp::getOutFeatures() { return getLayout().getOutFeatures(); }
int64_t GblrMatmulOp::getInFeatures() { return getLayout().getInFeatures(); }
int64_t GblrMatmulOp::getParameterCount() {
  return getLayout().getUSize() + getLayout().getVSize();
}

Value GblrMatmulOp::expandToDense(OpBuilder &builder) {
  Location loc = getLoc();
  AffineExpr a, c, r;
  bindDims(getContext(), a, c, r);
  SmallVector<AffineMap> maps = {AffineMap::get(3, 0, {r, a}, getContext()),
                                 AffineMap::get(3, 0, {r, c}, getContext()),
                                 AffineMap::get(3, 0, {a, c}, getContext())};
  using utils::IteratorType;
  SmallVector<IteratorType> iterators = {
      IteratorType::parallel, IteratorType::parallel, IteratorType::reduction};

  Value dense = createZeroTensor(
      builder, loc,
      getAsIndexOpFoldResult(getContext(), {getOutFeatures(), getInFeatures()}),
      builder.getF32Type());
  forEachGblrPiece(getLayout(), [&](const GblrPiece &piece) {
    Value u =
        extractPackedFactor(builder, loc, getU(), piece.uOffset, piece.rank,
                            piece.component.getRows(), piece.rows);
    Value v =
        extractPackedFactor(builder, loc, getV(), piece.vOffset, piece.rank,
                            piece.component.getCols(), piece.cols);
    SmallVector<OpFoldResult> offsets = getAsIndexOpFoldResult(
        getContext(), {piece.rows.matrixOffset, piece.cols.matrixOffset});
    SmallVector<OpFoldResult> sizes = getAsIndexOpFoldResult(
        getContext(), {piece.rows.size, piece.cols.size});
    SmallVector<OpFoldResult> strides(2, builder.getIndexAttr(1));
    Value tile = tensor::ExtractSliceOp::create(builder, loc, dense, offsets,
                                                sizes, strides);
    tile = linalg::GenericOp::create(
               builder, loc, tile.getType(), ValueRange{u, v}, tile, maps,
               iterators,
               [](OpBuilder &b, Location loc, ValueRange args) {
                 Value product =
                     arith::MulFOp::create(b, loc, extendToF32(b, loc, args[0]),
                                           extendToF32(b, loc, args[1]));
                 Value sum = arith::AddFOp::create(b, loc, args[2], product);
                 linalg::YieldOp::create(b, loc, sum);
               })
               .getResult(0);
    dense = tensor::InsertSliceOp::create(builder, loc, tile, dense, offsets,
                                          sizes, strides);
  });
  return castTensorElements(builder, loc, dense,
                            getU().getType().getElementType());
}

namespace {
/// Components of rank 0, or with an interval of both factors empty, hold no
/// numbers and add nothing.
struct DropEmptyGblrComponents : OpRewritePattern<GblrMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GblrMatmulOp op,
                                PatternRewriter &rewriter) const override {
    GblrLayoutAttr layout = op.getLayout();
    SmallVector<GblrComponentAttr> kept =
        llvm::filter_to_vector(layout.getComponents(), [](auto component) {
          return component.getRank() > 0 &&
                 (component.getRows() > 0 || component.getCols() > 0);
        });
    if (kept.size() == layout.getComponents().size())
      return rewriter.notifyMatchFailure(op, "no component is empty");
    rewriter.modifyOpInPlace(op, [&] {
      op.setLayoutAttr(GblrLayoutAttr::get(op.getContext(),
                                           layout.getOutFeatures(),
                                           layout.getInFeatures(), kept));
    });
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// The methods that are the same for every layer op
//===----------------------------------------------------------------------===//

#define LAYER_OP_METHODS(OP)                                                   \
  void OP::getEffects(                                                         \
      SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {               \
    getDestinationStyleEffects(*this, effects);                                \
  }                                                                            \
  Speculation::Speculatability OP::getSpeculatability() {                      \
    return getLayerSpeculatability(*this);                                     \
  }                                                                            \
  LogicalResult OP::reifyResultShapes(OpBuilder &builder,                      \
                                      ReifiedRankedShapedTypeDims &shapes) {   \
    return reifyLayer(builder, *this, shapes);                                 \
  }                                                                            \
  int64_t OP::getBytes(int64_t tokens) { return getLayerBytes(*this, tokens); }

LAYER_OP_METHODS(LinearOp)
LAYER_OP_METHODS(BlastMatmulOp)
LAYER_OP_METHODS(GblrMatmulOp)
#undef LAYER_OP_METHODS

void LinearOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<FoldLayerWithoutTerms>(context);
}
void BlastMatmulOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                MLIRContext *context) {
  patterns.add<FoldLayerWithoutTerms>(context);
}
void GblrMatmulOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                               MLIRContext *context) {
  patterns.add<FoldLayerWithoutTerms, DropEmptyGblrComponents>(context);
}

//===----------------------------------------------------------------------===//
// BlockSparseMatmulOp
//===----------------------------------------------------------------------===//

LogicalResult BlockSparseMatmulOp::verify() {
  ShapedType input = shapedType(getInput()), init = shapedType(getInit());
  ShapedType values = shapedType(getValues());
  ShapedType positions = shapedType(getPositions());
  ShapedType coordinates = shapedType(getCoordinates());
  if (!values.hasStaticShape() || !positions.hasStaticShape() ||
      !coordinates.hasStaticShape() || input.isDynamicDim(1) ||
      init.isDynamicDim(1))
    return emitOpError("(C1) all sizes but the number of tokens must be "
                       "static");
  int64_t width = values.getDimSize(1);
  if (width < 1 || input.getDimSize(1) < 1 || init.getDimSize(1) < 1)
    return emitOpError("(C1) the panels, input and init must have columns");
  if (values.getDimSize(0) != coordinates.getDimSize(0))
    return emitOpError("(C1) there are ")
           << values.getDimSize(0) << " rows of values, but "
           << coordinates.getDimSize(0) << " coordinates";
  int64_t panels = llvm::divideCeil(init.getDimSize(1), width);
  if (positions.getDimSize(0) != panels + 1)
    return emitOpError("(C1) ")
           << init.getDimSize(1) << " rows in panels of " << width << " need "
           << panels + 1 << " positions, got " << positions.getDimSize(0);
  if (!agree(input.getDimSize(0), init.getDimSize(0)))
    return emitOpError("(C1) input has ")
           << input.getDimSize(0) << " tokens, init " << init.getDimSize(0);
  if (!hasTensorsOrMemrefs(*this, getInit()))
    return emitOpError("(C2) all operands must be tensors, with one result of "
                       "init's type, or memrefs, with none");
  return success();
}

void BlockSparseMatmulOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationStyleEffects(*this, effects);
}

Speculation::Speculatability BlockSparseMatmulOp::getSpeculatability() {
  return getNumResults() ? Speculation::Speculatable
                         : Speculation::NotSpeculatable;
}

LogicalResult
BlockSparseMatmulOp::reifyResultShapes(OpBuilder &builder,
                                       ReifiedRankedShapedTypeDims &shapes) {
  if (getNumResults() == 0)
    return failure();
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getInit()));
  return success();
}

//===----------------------------------------------------------------------===//
// BsrMatmulOp
//===----------------------------------------------------------------------===//

LogicalResult BsrMatmulOp::verify() {
  ShapedType input = shapedType(getInput()), init = shapedType(getInit());
  ShapedType values = shapedType(getValues());
  ShapedType positions = shapedType(getPositions());
  ShapedType coordinates = shapedType(getCoordinates());
  ShapedType order = shapedType(getOrder());
  if (!values.hasStaticShape() || !positions.hasStaticShape() ||
      !coordinates.hasStaticShape() || !order.hasStaticShape() ||
      input.isDynamicDim(1) || init.isDynamicDim(1))
    return emitOpError("(C1) all sizes but the number of tokens must be "
                       "static");
  if (values.getNumElements() < 1 || input.getDimSize(1) < 1 ||
      init.getDimSize(1) < 1)
    return emitOpError("(C1) there must be blocks, input and init must have "
                       "columns");
  if (values.getDimSize(0) != coordinates.getDimSize(0))
    return emitOpError("(C1) there are ")
           << values.getDimSize(0) << " blocks, but "
           << coordinates.getDimSize(0) << " coordinates";
  int64_t panels = llvm::divideCeil(init.getDimSize(1), values.getDimSize(1));
  if (positions.getDimSize(0) != panels + 1 || order.getDimSize(0) != panels)
    return emitOpError("(C1) ")
           << init.getDimSize(1) << " rows in panels of "
           << values.getDimSize(1) << " need " << panels + 1
           << " positions and an order of " << panels << ", got "
           << positions.getDimSize(0) << " and " << order.getDimSize(0);
  if (!agree(input.getDimSize(0), init.getDimSize(0)))
    return emitOpError("(C1) input has ")
           << input.getDimSize(0) << " tokens, init " << init.getDimSize(0);
  Type type = values.getElementType();
  if (type.isF32() || input.getElementType() != type ||
      init.getElementType() != type)
    return emitOpError("(C2) input, values and init must all be of f16 or all "
                       "of bf16, got ")
           << input.getElementType() << ", " << type << " and "
           << init.getElementType();
  if (!hasTensorsOrMemrefs(*this, getInit()))
    return emitOpError("(C3) all operands must be tensors, with one result of "
                       "init's type, or memrefs, with none");
  return success();
}

void BsrMatmulOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationStyleEffects(*this, effects);
}

Speculation::Speculatability BsrMatmulOp::getSpeculatability() {
  return getNumResults() ? Speculation::Speculatable
                         : Speculation::NotSpeculatable;
}

LogicalResult
BsrMatmulOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  if (getNumResults() == 0)
    return failure();
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getInit()));
  return success();
}

//===----------------------------------------------------------------------===//
// AttentionOp
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  // (C1)
  static constexpr unsigned numOperands = 4, minLoops = 4;
  if (getIndexingMaps().size() != numOperands)
    return emitOpError("(C1) there must be four indexing maps, got ")
           << getIndexingMaps().size();
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    AffineMap map = getMap(operand.getOperandNumber());
    if (map.getNumDims() != getNumLoops() || map.getNumDims() < minLoops ||
        map.getNumSymbols() || !map.isProjectedPermutation())
      return emitOpError("(C1) indexing map ")
             << operand.getOperandNumber()
             << " must be a projected permutation of the loops, at least four, "
                "which are the same in all maps";
    int64_t rank = shapedType(operand.get()).getRank();
    if (map.getNumResults() != rank)
      return emitOpError("(C1) indexing map ")
             << operand.getOperandNumber() << " has " << map.getNumResults()
             << " results, its operand " << rank << " dimensions";
  }

  // (C2)
  auto check = [&](unsigned loop, StringRef name,
                   ArrayRef<bool> isIn) -> LogicalResult {
    for (auto [index, expected] : llvm::enumerate(isIn))
      if (getMap(index).isFunctionOfDim(loop) != expected)
        return emitOpError("(C2) the loop of ")
               << name << " must " << (expected ? "" : "not ")
               << "be in indexing map " << index;
    return success();
  };
  if (failed(check(getQueryLoop(), "queries", {true, false, false, true})) ||
      failed(check(getKeyLoop(), "keys", {false, true, true, false})) ||
      failed(check(getFeatureLoop(), "features of query and key",
                   {true, true, false, false})) ||
      failed(check(getValueLoop(), "features of value",
                   {false, false, true, true})))
    return failure();
  for (unsigned loop = 0; loop < getNumBatchLoops(); ++loop)
    if (!getMap(3).isFunctionOfDim(loop))
      return emitOpError("(C2) batch loop ")
             << loop << " must be in the indexing map of init";

  // (C3)
  SmallVector<int64_t> sizes = getLoopSizes();
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    AffineMap map = getMap(operand.getOperandNumber());
    for (unsigned dim = 0; dim < map.getNumResults(); ++dim) {
      int64_t size = shapedType(operand.get()).getDimSize(dim);
      unsigned loop = map.getDimPosition(dim);
      if (!agree(size, sizes[loop]))
        return emitOpError("(C3) loop ")
               << loop << " is of " << sizes[loop] << ", dimension " << dim
               << " of operand " << operand.getOperandNumber() << " of "
               << size;
    }
  }

  // (C4)
  Type elementType = shapedType(getQuery()).getElementType();
  for (Value operand : {getKey(), getValue()})
    if (shapedType(operand).getElementType() != elementType)
      return emitOpError("(C4) query, key and value must have the same element "
                         "type, got ")
             << elementType << " and " << shapedType(operand).getElementType();
  Type initType = shapedType(getInit()).getElementType();
  if (initType != elementType && !initType.isF32())
    return emitOpError("(C4) init must have the element type ")
           << elementType << " or f32, got " << initType;

  // (C5)
  if (!hasTensorsOrMemrefs(*this, getInit()))
    return emitOpError("(C5) all operands must be tensors, with one result of "
                       "init's type, or memrefs, with none");
  return success();
}

LogicalResult AttentionOp::verifyRegions() {
  Block &body = getScore().front();
  auto isArgument = [&](BlockArgument argument) {
    return argument.getArgNumber() == 0 ? argument.getType().isF32()
                                        : argument.getType().isIndex();
  };
  if (body.getNumArguments() != getNumBatchLoops() + 3 ||
      !llvm::all_of(body.getArguments(), isArgument))
    return emitOpError("(C6) the region must take an f32 and ")
           << getNumBatchLoops() + 2 << " of index";
  if (body.empty() || !isa<YieldOp>(body.back()))
    return emitOpError("(C6) the region must end with structured.yield");
  return success();
}

unsigned AttentionOp::getRowLoop(unsigned operand) {
  return getMap(operand).isFunctionOfDim(getQueryLoop()) ? getQueryLoop()
                                                         : getKeyLoop();
}

unsigned AttentionOp::getColumnLoop(unsigned operand) {
  return getMap(operand).isFunctionOfDim(getFeatureLoop()) ? getFeatureLoop()
                                                           : getValueLoop();
}

SmallVector<int64_t> AttentionOp::getLoopSizes() {
  SmallVector<int64_t> sizes(getNumLoops(), ShapedType::kDynamic);
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    AffineMap map = getMap(operand.getOperandNumber());
    for (unsigned dim = 0; dim < map.getNumResults(); ++dim)
      if (int64_t &size = sizes[map.getDimPosition(dim)];
          ShapedType::isDynamic(size))
        size = shapedType(operand.get()).getDimSize(dim);
  }
  return sizes;
}

void AttentionOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationStyleEffects(*this, effects, /*readsInits=*/false);
}

LogicalResult
AttentionOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  if (getResults().empty())
    return failure();
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getInit()));
  return success();
}
