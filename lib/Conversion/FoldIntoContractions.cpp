// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/SmallBitVector.h"

namespace structured {
#define GEN_PASS_DEF_FOLDINTOCONTRACTIONS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// If `op` copies its one input, permuted or broadcast: the map from a point of
/// its result to that of the input.
static std::optional<AffineMap> getCopyMap(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op.getNumDpsInputs() != 1 ||
      op.getNumDpsInits() != 1 || op.getNumReductionLoops() != 0 ||
      isa<linalg::FillOp>(*op))
    return std::nullopt;
  Value yielded = op.getBlock()->getTerminator()->getOperand(0);
  if (yielded != op.getBlock()->getArgument(0) ||
      !isa<RankedTensorType>(op.getDpsInputOperand(0)->get().getType()))
    return std::nullopt;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (!maps[0].isProjectedPermutation() || !maps[1].isPermutation())
    return std::nullopt;
  return maps[0].compose(inversePermutation(maps[1]));
}

/// True if each loop of a contraction with these maps has a size, and the maps
/// are those of a contraction.
static bool isContraction(ArrayRef<AffineMap> maps) {
  for (unsigned dim = 0; dim < maps[0].getNumDims(); ++dim) {
    bool lhs = maps[0].isFunctionOfDim(dim), rhs = maps[1].isFunctionOfDim(dim);
    bool result = maps[2].isFunctionOfDim(dim);
    if (lhs + rhs + result < 2)
      return false;
  }
  return true;
}

static bool hasSums(linalg::LinalgOp op) {
  return llvm::any_of(op.getIteratorTypesArray(), [](auto type) {
    return type == utils::IteratorType::reduction;
  });
}

namespace {
/// Any contraction on tensors as linalg.contract.
struct ContractionToContract : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (isa<linalg::ContractOp>(*op) || !op.hasPureTensorSemantics() ||
        op.getNumDpsInputs() != 2 || !linalg::isaContractionOpInterface(op) ||
        !hasSums(op))
      return rewriter.notifyMatchFailure(op, "not a contraction of tensors");
    Type accType = getElementTypeOrSelf(op.getDpsInits()[0]);
    if (!isa<FloatType>(accType))
      return rewriter.notifyMatchFailure(op, "not floating-point");
    // linalg.contract extends the factors to the sum's type before it
    // multiplies.
    for (Operation &inner : op.getBlock()->without_terminator())
      if (isa<arith::MulFOp>(inner) && inner.getResult(0).getType() != accType)
        return rewriter.notifyMatchFailure(op, "multiplies in a narrow type");
    if (!isContraction(op.getIndexingMapsArray()))
      return rewriter.notifyMatchFailure(op, "a loop is in one operand only");
    rewriter.replaceOpWithNewOp<linalg::ContractOp>(
        op, op->getResultTypes(), op.getDpsInputs(), op.getDpsInits(),
        rewriter.getAffineMapArrayAttr(op.getIndexingMapsArray()));
    return success();
  }
};

/// A contraction of a transposed or broadcast copy, as one of the original.
struct FoldCopyIntoContract : OpRewritePattern<linalg::ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::ContractOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "its operands are memrefs");
    for (unsigned operand : {0, 1}) {
      auto copy = op->getOperand(operand).getDefiningOp<linalg::LinalgOp>();
      if (!copy)
        continue;
      std::optional<AffineMap> copyMap = getCopyMap(copy);
      if (!copyMap)
        continue;
      Value source = copy.getDpsInputOperand(0)->get();
      SmallVector<AffineMap> maps = op.getIndexingMapsArray();
      maps[operand] = copyMap->compose(maps[operand]);
      if (getElementTypeOrSelf(source) !=
              getElementTypeOrSelf(op->getOperand(operand)) ||
          !isContraction(maps))
        continue;
      rewriter.modifyOpInPlace(op, [&] {
        op->setOperand(operand, source);
        op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
      });
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is a copy");
  }
};

/// A contraction without a loop of one iteration, and the dimensions that go
/// along it, if there is another loop of its kind.
struct DropUnitLoop : OpRewritePattern<linalg::ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::ContractOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "its operands are memrefs");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    auto isAlike = [&](unsigned a, unsigned b) {
      return a != b && llvm::all_of(maps, [&](AffineMap map) {
               return map.isFunctionOfDim(a) == map.isFunctionOfDim(b);
             });
    };
    auto loops = llvm::seq<unsigned>(0, op.getNumLoops());
    SmallVector<int64_t> sizes = op.getStaticLoopRanges();
    auto unit = llvm::find_if(loops, [&](unsigned loop) {
      return sizes[loop] == 1 && llvm::any_of(loops, [&](unsigned other) {
               return isAlike(loop, other);
             });
    });
    if (unit == loops.end())
      return rewriter.notifyMatchFailure(op, "each loop is needed");

    Location loc = op.getLoc();
    llvm::SmallBitVector isDropped(op.getNumLoops());
    isDropped.set(*unit);
    AffineExpr dim = rewriter.getAffineDimExpr(*unit);
    SmallVector<Value> operands(op->getOperands());
    SmallVector<ReassociationIndices> resultDims;
    for (auto [operand, map] : llvm::zip_equal(operands, maps)) {
      std::optional<unsigned> position = map.getResultPosition(dim);
      if (position) {
        map = map.dropResult(*position);
        auto type = cast<RankedTensorType>(operand.getType());
        SmallVector<int64_t> shape(type.getShape());
        shape.erase(shape.begin() + *position);
        // With the dimension behind it, or the last one with that before it.
        resultDims.assign(shape.size(), {});
        for (int64_t i = 0; i < type.getRank(); ++i) {
          int64_t at = i > *position ? i - 1 : i;
          resultDims[std::min<int64_t>(at, shape.size() - 1)].push_back(i);
        }
        operand = tensor::CollapseShapeOp::create(
            rewriter, loc, type.clone(shape), operand, resultDims);
      }
      map = compressDims(map, isDropped);
    }
    auto contract = linalg::ContractOp::create(
        rewriter, loc, operands.back().getType(),
        ValueRange(operands).drop_back(), operands.back(),
        rewriter.getAffineMapArrayAttr(maps));
    // What is summed over is not in the result.
    if (!op.getIndexingMapsArray().back().isFunctionOfDim(*unit))
      rewriter.replaceOp(op, contract);
    else
      rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
          op, op->getResultTypes().front(), contract->getResult(0), resultDims);
    return success();
  }
};

/// A transposed parameter as a parameter with a permutation.
struct FoldParameterTranspose : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<AffineMap> copyMap = getCopyMap(op);
    if (!copyMap || !copyMap->isPermutation())
      return rewriter.notifyMatchFailure(op, "not a transpose");
    auto parameter =
        op.getDpsInputOperand(0)->get().getDefiningOp<ParameterOp>();
    if (!parameter ||
        parameter.getType().getElementType() !=
            getElementTypeOrSelf(op->getResultTypes()[0]) ||
        parameter.getPacking())
      return rewriter.notifyMatchFailure(op, "not of a parameter");
    // Dimension i of the parameter is dimension permutation[i] of the result.
    SmallVector<int64_t> permutation = llvm::map_to_vector(
        copyMap->getResults(), [](AffineExpr result) -> int64_t {
          return cast<AffineDimExpr>(result).getPosition();
        });
    rewriter.replaceOp(op,
                       permuteParameter(rewriter, parameter,
                                        invertPermutationVector(permutation)));
    return success();
  }

  /// `parameter` with dimension `order[i]` at place i.
  static Value permuteParameter(OpBuilder &builder, ParameterOp parameter,
                                ArrayRef<int64_t> order) {
    RankedTensorType type = parameter.getType();
    SmallVector<int64_t> permutation =
        llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
    if (std::optional<ArrayRef<int64_t>> old = parameter.getPermutation())
      permutation = llvm::to_vector(*old);
    SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
    applyPermutationToVector(permutation, order);
    applyPermutationToVector(shape, order);
    DenseI64ArrayAttr attribute;
    if (!isIdentityPermutation(permutation))
      attribute = builder.getDenseI64ArrayAttr(permutation);
    return ParameterOp::create(
        builder, parameter.getLoc(), type.clone(shape), parameter.getNameAttr(),
        attribute, parameter.getPackingAttr(), parameter.getProductAttr(),
        parameter.getConcatenationAttr());
  }
};

/// Stores a parameter that a contraction multiplies with in the order in which
/// vector code reads it: the dimensions of the result first, but for the
/// innermost, then those summed over, and last the result's innermost.
struct LayoutContractParameter : OpRewritePattern<linalg::ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::ContractOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    if (maps[2].getNumResults() == 0)
      return rewriter.notifyMatchFailure(op, "its result is a scalar");
    auto position = [&](AffineExpr dim) -> int64_t {
      std::optional<unsigned> inResult = maps[2].getResultPosition(dim);
      if (!inResult)
        return maps[2].getNumResults();
      return *inResult + 1 == maps[2].getNumResults()
                 ? maps[2].getNumResults() + 1
                 : *inResult;
    };
    for (unsigned operand : {0, 1}) {
      auto parameter = op->getOperand(operand).getDefiningOp<ParameterOp>();
      if (!parameter || parameter.getPacking() ||
          !maps[operand].isFunctionOfDim(
              cast<AffineDimExpr>(maps[2].getResults().back()).getPosition()))
        continue;
      ArrayRef<AffineExpr> dims = maps[operand].getResults();
      SmallVector<int64_t> order =
          llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
      llvm::stable_sort(order, [&](int64_t a, int64_t b) {
        return position(dims[a]) < position(dims[b]);
      });
      if (isIdentityPermutation(order))
        continue;
      SmallVector<AffineExpr> results = llvm::to_vector(dims);
      applyPermutationToVector(results, order);
      maps[operand] = AffineMap::get(maps[operand].getNumDims(), 0, results,
                                     op.getContext());
      rewriter.setInsertionPointAfter(parameter);
      Value stored =
          FoldParameterTranspose::permuteParameter(rewriter, parameter, order);
      rewriter.modifyOpInPlace(op, [&] {
        op->setOperand(operand, stored);
        op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
      });
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no parameter to store otherwise");
  }
};

/// linalg.transpose and linalg.broadcast as linalg.generic, which unit
/// dimensions can be folded out of and other ops fused with.
struct CopyToGeneric : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (isa<linalg::GenericOp>(*op) || !getCopyMap(op))
      return rewriter.notifyMatchFailure(op, "not a named copy");
    return linalg::generalizeNamedOp(rewriter, op);
  }
};

struct FoldIntoContractions
    : structured::impl::FoldIntoContractionsBase<FoldIntoContractions> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<CopyToGeneric, ContractionToContract, FoldCopyIntoContract,
                 DropUnitLoop, FoldParameterTranspose, LayoutContractParameter>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation()->walk([&](ParameterOp parameter) {
      if (parameter.getPermutation())
        ++numPermuted;
    });
  }
};
} // namespace
