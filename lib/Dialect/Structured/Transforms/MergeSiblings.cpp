// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallBitVector.h"

namespace structured {
#define GEN_PASS_DEF_MERGESIBLINGS
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using linalg::GenericOp;

/// Bytes of a vector load. Slices begin at a multiple of it.
static constexpr int64_t kVectorBytes = 16;

//===----------------------------------------------------------------------===//
// What may be merged
//===----------------------------------------------------------------------===//

/// Whether the value is zeros made for it: the init of a layer that adds to
/// nothing.
static bool isZeros(Value value) {
  auto fill = value.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat()) &&
         fill.getOutputs()[0].getDefiningOp<tensor::EmptyOp>();
}

/// The parameter, if it can be part of a concatenation.
static ParameterOp getPart(Value value) {
  auto parameter = value.getDefiningOp<ParameterOp>();
  return parameter && !parameter.getPacking() && !parameter.getConcatenation()
             ? parameter
             : ParameterOp();
}

/// Why the layer cannot be merged with another one; empty if it can.
static std::string getReason(LinearOp op) {
  ParameterOp weight = getPart(op.getWeight());
  if (!weight)
    return "its weight is not a parameter";
  if (!weight->hasOneUse())
    return "its weight has other users, and would be stored twice";
  if (!isZeros(op.getInit()))
    return "it adds to its init";
  int64_t bytes =
      op.getOutFeatures() *
      cast<ShapedType>(op.getInit().getType()).getElementTypeBitWidth() / 8;
  if (bytes % kVectorBytes)
    return "a row of its result takes " + std::to_string(bytes) +
           " bytes, not a multiple of " + std::to_string(kVectorBytes);
  return "";
}

/// The first user that would have to copy `value`, if that is a view of a slice
/// along features. `isFeature` says which dimensions features lie in; the
/// others belong to tokens. Null if none would.
static Operation *findCopy(Value value, llvm::SmallBitVector isFeature) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<tensor::DimOp, tensor::ExtractOp>(user))
      continue;
    if (isa<LinearOp>(user) && use.getOperandNumber() == 0)
      continue;
    // Copies what it inserts in any case.
    if (isa<tensor::InsertSliceOp>(user) && use.getOperandNumber() == 0)
      continue;
    if (auto op = dyn_cast<linalg::LinalgOp>(user)) {
      if (!op.isDpsInput(&use))
        return user;
      continue;
    }
    llvm::SmallBitVector results;
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(user)) {
      for (auto [dim, group] :
           llvm::enumerate(expand.getReassociationIndices()))
        results.resize(results.size() + group.size(), isFeature[dim]);
    } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(user)) {
      ArrayRef<int64_t> shape = collapse.getSrcType().getShape();
      for (ArrayRef<int64_t> group : collapse.getReassociationIndices()) {
        bool hasFeatures = false, hasTokens = false;
        for (int64_t dim : group)
          if (shape[dim] != 1)
            (isFeature[dim] ? hasFeatures : hasTokens) = true;
        if (hasFeatures && hasTokens)
          return user;
        results.resize(results.size() + 1, hasFeatures);
      }
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(user)) {
      llvm::SmallBitVector dropped = slice.getDroppedDims();
      for (unsigned dim = 0; dim < isFeature.size(); ++dim)
        if (!dropped[dim])
          results.resize(results.size() + 1, isFeature[dim]);
    } else {
      return user;
    }
    if (Operation *copy = findCopy(user->getResult(0), results))
      return copy;
  }
  return nullptr;
}

namespace {
/// A layer, and what adds its bias.
struct Sibling {
  explicit Sibling(LinearOp layer) : layer(layer) {
    if (!matchBias())
      dropBias();
  }
  void dropBias() {
    view = nullptr;
    bias = {};
  }
  /// Whether the biases are added in the same way, or there are none.
  bool hasBiasLike(Sibling &other);

  Value getResult() { return bias ? bias.getResult(0) : layer->getResult(0); }

  LinearOp layer;
  /// A reshape of the layer's result that keeps its features, the last
  /// dimension; null: none.
  Operation *view = nullptr;
  /// An elementwise op on that and on vectors over the features that are
  /// parameters; null: none.
  GenericOp bias;

private:
  bool matchBias();
};
} // namespace

/// Whether the op is a reshape that keeps the last dimension; of known sizes.
static bool keepsFeatures(Operation *view) {
  auto keeps = [](auto op) {
    return op.getSrcType().hasStaticShape() &&
           op.getSrcType().getShape().back() ==
               op.getResultType().getShape().back();
  };
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(view))
    return keeps(expand);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(view))
    return keeps(collapse);
  return false;
}

bool Sibling::matchBias() {
  Value result = layer->getResult(0);
  if (!result.hasOneUse())
    return false;
  Operation *user = *result.getUsers().begin();
  if (keepsFeatures(user)) {
    view = user;
    result = user->getResult(0);
    if (!result.hasOneUse())
      return false;
    user = *result.getUsers().begin();
  }
  bias = dyn_cast<GenericOp>(user);
  if (!bias || bias->getBlock() != layer->getBlock() ||
      bias.getNumReductionLoops() != 0 || bias.getNumDpsInits() != 1 ||
      bias.hasIndexSemantics())
    return false;
  OpOperand *out = bias.getDpsInitOperand(0);
  if (!bias.getMatchingIndexingMap(out).isIdentity() ||
      bias.payloadUsesValueFromOperand(out) ||
      !out->get().getDefiningOp<tensor::EmptyOp>())
    return false;
  unsigned loops = bias.getNumLoops();
  AffineMap overFeatures =
      AffineMap::get(loops, 0, getAffineDimExpr(loops - 1, layer.getContext()));
  for (OpOperand *in : bias.getDpsInputOperands()) {
    AffineMap map = bias.getMatchingIndexingMap(in);
    if (in->get() == result ? !map.isIdentity() : map != overFeatures)
      return false;
    if (in->get() == result)
      continue;
    ParameterOp parameter = getPart(in->get());
    if (!parameter || !parameter->hasOneUse())
      return false;
  }
  // What the body uses must be there where the layer is.
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(bias.getRegion(), captured);
  return llvm::all_of(captured, [&](Value value) {
    Operation *definition = value.getDefiningOp();
    return !definition || definition->getBlock() != layer->getBlock() ||
           definition->isBeforeInBlock(layer);
  });
}

bool Sibling::hasBiasLike(Sibling &other) {
  if (!bias || !other.bias)
    return !bias && !other.bias;
  auto getLeading = [](Sibling &sibling) {
    return cast<ShapedType>(sibling.getResult().getType())
        .getShape()
        .drop_back();
  };
  if (bias.getIndexingMaps() != other.bias.getIndexingMaps() ||
      getLeading(*this) != getLeading(other) ||
      getElementTypeOrSelf(getResult()) !=
          getElementTypeOrSelf(other.getResult()) ||
      !OperationEquivalence::isRegionEquivalentTo(
          &bias.getRegion(), &other.bias.getRegion(),
          OperationEquivalence::IgnoreLocations))
    return false;
  return llvm::all_of(
      llvm::zip_equal(bias.getDpsInputs(), other.bias.getDpsInputs()),
      [](auto inputs) {
        auto [x, y] = inputs;
        auto a = x.template getDefiningOp<ParameterOp>();
        auto b = y.template getDefiningOp<ParameterOp>();
        return bool(a) == bool(b) &&
               (!a ||
                (a.getPermutationAttr() == b.getPermutationAttr() &&
                 a.getType().getElementType() == b.getType().getElementType()));
      });
}

/// The first user that would have to copy the sibling's part; null if none.
static Operation *findCopyOfResult(Sibling &sibling) {
  Value result = sibling.getResult();
  int64_t rank = cast<ShapedType>(result.getType()).getRank();
  llvm::SmallBitVector isFeature(rank);
  isFeature.set(rank - 1);
  return findCopy(result, isFeature);
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

/// The parameters after each other along dimension `dim` of their results,
/// whose permutations are the same.
static Value concatenate(OpBuilder &builder, ArrayRef<ParameterOp> parameters,
                         int64_t dim) {
  ParameterOp first = parameters.front();
  std::optional<ArrayRef<int64_t>> permutation = first.getPermutation();
  int64_t storedDim = permutation ? (*permutation)[dim] : dim;
  // As a matrix of its parts is written: [a; b] below, [a, b] beside each
  // other.
  StringRef separator = storedDim == 0 ? ";" : ",";
  std::string name;
  SmallVector<ParameterPartAttr> parts;
  SmallVector<int64_t> shape = llvm::to_vector(first.getType().getShape());
  shape[dim] = 0;
  SmallVector<Location> locations;
  for (ParameterOp parameter : parameters) {
    int64_t size = parameter.getType().getDimSize(dim);
    name += (name.empty() ? "" : separator).str() + parameter.getName().str();
    parts.push_back(ParameterPartAttr::get(builder.getContext(),
                                           parameter.getNameAttr(), size,
                                           parameter.getProductAttr()));
    shape[dim] += size;
    locations.push_back(parameter.getLoc());
  }
  return ParameterOp::create(
      builder, builder.getFusedLoc(locations), first.getType().clone(shape),
      builder.getStringAttr(name), first.getPermutationAttr(),
      GblrPackingAttr(), BlastProductAttr(),
      ConcatenationAttr::get(builder.getContext(), storedDim, parts));
}

namespace {
struct MergeSiblings : structured::impl::MergeSiblingsBase<MergeSiblings> {
  using MergeSiblingsBase::MergeSiblingsBase;

  void runOnOperation() override {
    using Key = std::pair<Block *, Value>;
    llvm::MapVector<Key, SmallVector<LinearOp>> groups;
    getOperation()->walk([&](LinearOp layer) {
      if (layer->getNumResults() != 0)
        groups[{layer->getBlock(), layer.getInput()}].push_back(layer);
    });
    for (auto &[key, layers] : groups)
      if (layers.size() > 1)
        mergeDense(layers);
  }

private:
  void refuse(LinearOp layer, const Twine &reason) {
    layer->emitRemark("not merged with the other layers of its input: ")
        << reason;
    ++numRefused;
  }

  void mergeDense(ArrayRef<LinearOp> layers) {
    // By what the parts of one layer have in common: the order in which the
    // weight is stored and the types.
    llvm::MapVector<std::tuple<Attribute, Type, Type>, SmallVector<Sibling>>
        groups;
    for (LinearOp layer : layers) {
      std::string reason = getReason(layer);
      if (!reason.empty()) {
        refuse(layer, reason);
        continue;
      }
      auto weight = layer.getWeight().getDefiningOp<ParameterOp>();
      groups[{weight.getPermutationAttr(),
              getElementTypeOrSelf(weight.getType()),
              getElementTypeOrSelf(layer.getInit())}]
          .push_back(Sibling(layer));
    }
    for (auto &[key, siblings] : groups) {
      Sibling &first = siblings.front();
      if (!llvm::all_of(siblings, [&](Sibling &sibling) {
            return first.hasBiasLike(sibling);
          }))
        for (Sibling &sibling : siblings)
          sibling.dropBias();
      SmallVector<Sibling> mergeable;
      for (Sibling &sibling : siblings)
        if (Operation *user = findCopyOfResult(sibling))
          refuse(sibling.layer, "'" + user->getName().getStringRef() +
                                    "' would have to copy its part");
        else
          mergeable.push_back(sibling);
      if (mergeable.size() > 1)
        merge(mergeable);
      else if (mergeable.size() == 1)
        refuse(mergeable.front().layer, "no other can be merged with it");
    }
  }

  /// Replaces the layers by one, where the first one is.
  void merge(MutableArrayRef<Sibling> siblings) {
    LinearOp first = siblings.front().layer;
    IRRewriter rewriter(first);
    SmallVector<Location> locations;
    SmallVector<ParameterOp> weights;
    std::string name;
    int64_t features = 0;
    for (Sibling &sibling : siblings) {
      LinearOp layer = sibling.layer;
      locations.push_back(layer.getLoc());
      weights.push_back(layer.getWeight().getDefiningOp<ParameterOp>());
      features += layer.getOutFeatures();
      if (auto part = layer.getLayerAttr())
        name += (name.empty() ? "" : ";") + part.getValue().str();
    }
    Location loc = rewriter.getFusedLoc(locations);
    OpFoldResult tokens =
        tensor::getMixedSize(rewriter, loc, first.getInput(), 0);
    Value init = createZeroTensor(rewriter, loc,
                                  {tokens, rewriter.getIndexAttr(features)},
                                  getElementTypeOrSelf(first.getInit()));
    Value weight = concatenate(rewriter, weights, /*dim=*/0);
    Value result = LinearOp::create(rewriter, loc, TypeRange(init.getType()),
                                    first.getInput(), weight, init,
                                    name.empty() ? StringAttr()
                                                 : rewriter.getStringAttr(name),
                                    PlanAttr())
                       ->getResult(0);
    if (siblings.front().bias)
      result = mergeBias(rewriter, siblings, result);

    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(rewriter, loc, result);
    SmallVector<OpFoldResult> offsets(sizes.size(), rewriter.getIndexAttr(0));
    SmallVector<OpFoldResult> strides(sizes.size(), rewriter.getIndexAttr(1));
    int64_t offset = 0;
    for (Sibling &sibling : siblings) {
      int64_t size = sibling.layer.getOutFeatures();
      offsets.back() = rewriter.getIndexAttr(offset);
      sizes.back() = rewriter.getIndexAttr(size);
      auto slice = tensor::ExtractSliceOp::create(
          rewriter, sibling.layer.getLoc(),
          cast<RankedTensorType>(sibling.getResult().getType()), result,
          offsets, sizes, strides);
      rewriter.replaceAllUsesWith(sibling.getResult(), slice);
      offset += size;
    }
    for (Sibling &sibling : siblings) {
      SmallVector<ParameterOp> parameters{getPart(sibling.layer.getWeight())};
      if (sibling.bias) {
        for (Value input : sibling.bias.getDpsInputs())
          if (ParameterOp parameter = getPart(input))
            parameters.push_back(parameter);
        rewriter.eraseOp(sibling.bias);
      }
      if (sibling.view)
        rewriter.eraseOp(sibling.view);
      rewriter.eraseOp(sibling.layer);
      for (ParameterOp parameter : parameters)
        rewriter.eraseOp(parameter);
      ++numMerged;
    }
    ++numLayers;
  }

  /// The siblings' biases, added to all of their results.
  static Value mergeBias(OpBuilder &builder, MutableArrayRef<Sibling> siblings,
                         Value result) {
    Sibling &first = siblings.front();
    Location loc = first.bias.getLoc();
    int64_t features = cast<ShapedType>(result.getType()).getShape().back();
    Value viewed = first.layer->getResult(0);
    if (first.view) {
      viewed = first.view->getResult(0);
      auto type = cast<RankedTensorType>(viewed.getType());
      SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
      shape.back() = features;
      if (auto expand = dyn_cast<tensor::ExpandShapeOp>(first.view))
        result = tensor::ExpandShapeOp::create(
            builder, loc, type.clone(shape), result,
            expand.getReassociationIndices());
      else
        result = tensor::CollapseShapeOp::create(
            builder, loc, type.clone(shape), result,
            cast<tensor::CollapseShapeOp>(first.view)
                .getReassociationIndices());
    }
    SmallVector<Value> inputs;
    for (auto [index, input] : llvm::enumerate(first.bias.getDpsInputs())) {
      if (input == viewed) {
        inputs.push_back(result);
        continue;
      }
      SmallVector<ParameterOp> parts;
      for (Sibling &sibling : siblings)
        parts.push_back(
            sibling.bias.getDpsInputs()[index].getDefiningOp<ParameterOp>());
      inputs.push_back(concatenate(builder, parts, /*dim=*/0));
    }
    Value empty = tensor::EmptyOp::create(
        builder, loc, tensor::getMixedSizes(builder, loc, result),
        getElementTypeOrSelf(first.getResult()));
    auto merged = GenericOp::create(
        builder, loc, TypeRange(empty.getType()), inputs, empty,
        first.bias.getIndexingMapsArray(), first.bias.getIteratorTypesArray());
    IRMapping mapping;
    first.bias.getRegion().cloneInto(&merged.getRegion(), mapping);
    return merged.getResult(0);
  }
};
} // namespace
