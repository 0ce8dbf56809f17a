// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Analysis/LinearLayerMatcher.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

namespace structured {
#define GEN_PASS_DEF_RAISELINEAR
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

//===----------------------------------------------------------------------===//
// Reshapes
//===----------------------------------------------------------------------===//

static RankedTensorType getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// `tensor` with dimension i being its dimension `permutation[i]`.
static Value transpose(OpBuilder &builder, Location loc, Value tensor,
                       ArrayRef<int64_t> permutation) {
  if (llvm::is_sorted(permutation))
    return tensor;
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, tensor);
  SmallVector<OpFoldResult> permuted =
      applyPermutation(ArrayRef<OpFoldResult>(sizes), permutation);
  Value empty = tensor::EmptyOp::create(builder, loc, permuted,
                                        getTensorType(tensor).getElementType());
  return linalg::TransposeOp::create(builder, loc, tensor, empty, permutation)
      ->getResult(0);
}

/// `tensor` with the sizes of its type replaced by those of `shape`, which
/// know at least as much.
static Value refineShape(OpBuilder &builder, Location loc, Value tensor,
                         ArrayRef<int64_t> shape) {
  auto type = getTensorType(tensor);
  SmallVector<int64_t> refined(type.getShape());
  for (auto [size, known] : llvm::zip_equal(refined, shape))
    if (ShapedType::isDynamic(size))
      size = known;
  if (refined == type.getShape())
    return tensor;
  return tensor::CastOp::create(builder, loc, type.clone(refined), tensor);
}

/// The groups of `rank` dimensions whose first `numLeading` become one
/// dimension and whose others another; a single group if either is empty.
static SmallVector<ReassociationIndices> getMatrixGroups(int64_t rank,
                                                         int64_t numLeading) {
  SmallVector<ReassociationIndices> groups;
  auto add = [&](int64_t begin, int64_t end) {
    if (begin < end)
      groups.push_back(llvm::to_vector<2>(llvm::seq<int64_t>(begin, end)));
  };
  add(0, numLeading);
  add(numLeading, rank);
  return groups;
}

static Value collapse(OpBuilder &builder, Location loc, Value tensor,
                      ArrayRef<ReassociationIndices> groups) {
  if (getTensorType(tensor).getRank() == static_cast<int64_t>(groups.size()))
    return tensor;
  return builder.createOrFold<tensor::CollapseShapeOp>(loc, tensor, groups);
}

static Value expand(OpBuilder &builder, Location loc, Value tensor,
                    ArrayRef<ReassociationIndices> groups,
                    ArrayRef<OpFoldResult> sizes) {
  if (getTensorType(tensor).getRank() == static_cast<int64_t>(sizes.size()))
    return tensor;
  auto type = getTensorType(tensor).clone(decomposeMixedValues(sizes).first);
  return builder.createOrFold<tensor::ExpandShapeOp>(loc, type, tensor, groups,
                                                     sizes);
}

/// Whether the tensor is the matrix already.
static bool isMatrix(const MatrixArrangement &arrangement) {
  return arrangement.permutation.size() == 2 && arrangement.numTokenDims == 1 &&
         !arrangement.isTransposed();
}

/// Reads `tensor` as the matrix [tokens, features] of `arrangement`.
static Value toMatrix(OpBuilder &builder, Location loc, Value tensor,
                      const MatrixArrangement &arrangement) {
  tensor = transpose(builder, loc, tensor, arrangement.permutation);
  int64_t rank = getTensorType(tensor).getRank();
  tensor = collapse(builder, loc, tensor,
                    getMatrixGroups(rank, arrangement.numTokenDims));
  if (getTensorType(tensor).getRank() == 2)
    return tensor;
  // No token dimensions (one token), no features (one feature), or neither.
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, tensor);
  SmallVector<ReassociationIndices> groups;
  if (!sizes.empty())
    groups.push_back({0, 1});
  if (sizes.empty())
    sizes.push_back(builder.getIndexAttr(1));
  sizes.insert(arrangement.numTokenDims == 0 ? sizes.begin() : sizes.end(),
               builder.getIndexAttr(1));
  return expand(builder, loc, tensor, groups, sizes);
}

/// The inverse of `toMatrix`: the tensor of the given sizes from its matrix.
static Value fromMatrix(OpBuilder &builder, Location loc, Value matrix,
                        const MatrixArrangement &arrangement,
                        ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> permuted =
      applyPermutation(sizes, arrangement.permutation);
  SmallVector<ReassociationIndices> groups =
      getMatrixGroups(permuted.size(), arrangement.numTokenDims);
  Value tensor = matrix;
  if (groups.size() < 2) {
    SmallVector<ReassociationIndices> all;
    if (!groups.empty())
      all.push_back({0, 1});
    tensor = builder.createOrFold<tensor::CollapseShapeOp>(loc, tensor, all);
  }
  tensor = expand(builder, loc, tensor, groups, permuted);
  return transpose(builder, loc, tensor,
                   invertPermutationVector(arrangement.permutation));
}

/// The elements of `tensor` in row-major order with another static shape of as
/// many elements.
static Value reshape(OpBuilder &builder, Location loc, Value tensor,
                     ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> from = getTensorType(tensor).getShape();
  // Cut both shapes at their common boundaries.
  SmallVector<ReassociationIndices> fromGroups, toGroups;
  size_t i = 0, j = 0;
  while (i < from.size() && j < shape.size()) {
    ReassociationIndices fromGroup{static_cast<int64_t>(i)};
    ReassociationIndices toGroup{static_cast<int64_t>(j)};
    int64_t fromSize = from[i++], toSize = shape[j++];
    while (fromSize != toSize) {
      if (fromSize < toSize) {
        fromGroup.push_back(i);
        fromSize *= from[i++];
      } else {
        toGroup.push_back(j);
        toSize *= shape[j++];
      }
    }
    fromGroups.push_back(std::move(fromGroup));
    toGroups.push_back(std::move(toGroup));
  }
  // What is left are dimensions of size 1; without a group to join there are
  // no others.
  for (; i < from.size() && !fromGroups.empty(); ++i)
    fromGroups.back().push_back(i);
  for (; j < shape.size() && !toGroups.empty(); ++j)
    toGroups.back().push_back(j);
  tensor = collapse(builder, loc, tensor, fromGroups);
  return expand(builder, loc, tensor, toGroups,
                getAsIndexOpFoldResult(builder.getContext(), shape));
}

//===----------------------------------------------------------------------===//
// Operands of the layer
//===----------------------------------------------------------------------===//

/// Makes W [m, n] from its source: a reshape, a transpose and a reshape, of
/// which those that change nothing are left out.
static Value materializeWeight(OpBuilder &builder, Location loc,
                               const WeightMatrix &matrix) {
  Value weight =
      castTensorElements(builder, loc, matrix.source, matrix.elementType);
  // The modes as the source's dimensions, the slowest first.
  SmallVector<LayoutMode> modes(matrix.rows.begin(), matrix.rows.end());
  llvm::append_range(modes, matrix.cols);
  SmallVector<int64_t> order =
      llvm::to_vector(llvm::seq<int64_t>(modes.size()));
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return modes[a].stride > modes[b].stride;
  });
  if (!llvm::is_sorted(order)) {
    SmallVector<int64_t> shape =
        llvm::map_to_vector(order, [&](int64_t i) { return modes[i].size; });
    weight = reshape(builder, loc, weight, shape);
    weight = transpose(builder, loc, weight, invertPermutationVector(order));
  }
  return reshape(builder, loc, weight,
                 {matrix.getNumRows(), matrix.getNumCols()});
}

static Value materializeInput(OpBuilder &builder, Location loc,
                              const LinearLayer &layer) {
  Value input = layer.input->get();
  if (!layer.inputStrides.empty()) {
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(builder, loc, input);
    for (auto [size, read] : llvm::zip_equal(sizes, layer.inputShape))
      if (!ShapedType::isDynamic(read))
        size = builder.getIndexAttr(read);
    SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
    input = tensor::ExtractSliceOp::create(
        builder, loc, input, offsets, sizes,
        getAsIndexOpFoldResult(builder.getContext(), layer.inputStrides));
  }
  input = refineShape(builder, loc, input, layer.inputShape);
  return toMatrix(builder, loc, input, layer.inputArrangement);
}

/// The vector that `init`, read as [T, m], repeats for each token, if it comes
/// from a tensor of m elements: a bias that was broadcast beforehand.
static Value getBroadcastBias(OpBuilder &builder, Location loc, Value init,
                              const MatrixArrangement &arrangement,
                              int64_t numFeatures) {
  TracedTensor view = traceView(init);
  auto type = getTensorType(view.source);
  if (view.source == init || !type.hasStaticShape() ||
      type.getNumElements() != numFeatures ||
      type.getElementType() != view.elementType)
    return {};
  SmallVector<LayoutMode> features;
  for (auto [i, dim] : llvm::enumerate(arrangement.permutation)) {
    const DimLayout &modes = view.dims[dim];
    if (static_cast<int64_t>(i) >= arrangement.numTokenDims)
      features.append(modes.begin(), modes.end());
    else if (llvm::any_of(modes, [](LayoutMode m) { return !m.isBroadcast(); }))
      return {};
  }
  DimLayout layout = coalesce(features);
  bool isVector =
      layout.empty() || (layout.size() == 1 && layout[0].stride == 1);
  return isVector ? reshape(builder, loc, view.source, numFeatures) : Value();
}

/// The sizes of `init`, taken from the tensor.empty that it was filled into if
/// there is one, so that they do not keep the fill alive.
static SmallVector<OpFoldResult> getInitSizes(OpBuilder &builder, Location loc,
                                              Value init) {
  while (auto producer = init.getDefiningOp<DestinationStyleOpInterface>())
    init = producer.getTiedOpOperand(cast<OpResult>(init))->get();
  if (auto empty = init.getDefiningOp<tensor::EmptyOp>())
    return empty.getMixedSizes();
  return tensor::getMixedSizes(builder, loc, init);
}

/// The init as [T, m]. Where it would have to be moved, a fill or a broadcast
/// bias is made anew in that shape.
static Value materializeInit(OpBuilder &builder, Location loc,
                             const LinearLayer &layer, Value input) {
  Value init = layer.init->get();
  const MatrixArrangement &arrangement = layer.outputArrangement;
  if (!isMatrix(arrangement)) {
    int64_t numFeatures = layer.matrix.getNumRows();
    auto createEmpty = [&]() -> Value {
      SmallVector<OpFoldResult> sizes = {
          tensor::getMixedSize(builder, loc, input, 0),
          builder.getIndexAttr(numFeatures)};
      return tensor::EmptyOp::create(builder, loc, sizes,
                                     getTensorType(init).getElementType());
    };
    if (auto fill = init.getDefiningOp<linalg::FillOp>())
      return linalg::FillOp::create(builder, loc, fill.getInputs(),
                                    createEmpty())
          .getResult(0);
    if (Value bias =
            getBroadcastBias(builder, loc, init, arrangement, numFeatures))
      return linalg::BroadcastOp::create(builder, loc, bias, createEmpty(),
                                         ArrayRef<int64_t>{0})
          ->getResult(0);
  }
  init = refineShape(builder, loc, init, layer.outputShape);
  return toMatrix(builder, loc, init, arrangement);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
/// Gives each layer a name of its own.
class LayerNames {
public:
  std::string get(const LinearLayer &layer) {
    StringRef weight = layer.matrix.origin.name;
    std::string name;
    if (weight.empty()) {
      auto function = layer.op->getParentOfType<FunctionOpInterface>();
      StringRef prefix = function ? function.getName() : "module";
      name = (prefix + ".linear" + Twine(unnamed[function]++)).str();
    } else {
      weight.consume_back(".weight");
      name = weight.str();
    }
    std::string unique = name;
    for (unsigned k = 2; !used.insert(unique).second; ++k)
      unique = name + "#" + std::to_string(k);
    return unique;
  }

private:
  llvm::StringSet<> used;
  llvm::DenseMap<Operation *, unsigned> unnamed;
};

struct RaiseLinear : structured::impl::RaiseLinearBase<RaiseLinear> {
  using RaiseLinearBase::RaiseLinearBase;

  void runOnOperation() override;
  void raise(const LinearLayer &layer, StringRef name);
};
} // namespace

void RaiseLinear::raise(const LinearLayer &layer, StringRef name) {
  linalg::LinalgOp op = layer.op;
  Location loc = op.getLoc();
  IRRewriter rewriter(op);
  Value input = materializeInput(rewriter, loc, layer);
  Value weight = materializeWeight(rewriter, loc, layer.matrix);
  // A layer computes on one element type.
  Type inputType = getTensorType(input).getElementType();
  if (inputType != getTensorType(weight).getElementType()) {
    input = castTensorElements(rewriter, loc, input, rewriter.getF32Type());
    weight = castTensorElements(rewriter, loc, weight, rewriter.getF32Type());
  }
  Value init = materializeInit(rewriter, loc, layer, input);
  Value output =
      LinearOp::create(rewriter, loc, init.getType(), input, weight, init,
                       rewriter.getStringAttr(name), PlanAttr())
          ->getResult(0);

  if (!isMatrix(layer.outputArrangement)) {
    SmallVector<OpFoldResult> sizes =
        getInitSizes(rewriter, loc, layer.init->get());
    for (auto [size, known] : llvm::zip_equal(sizes, layer.outputShape))
      if (!ShapedType::isDynamic(known))
        size = rewriter.getIndexAttr(known);
    output = fromMatrix(rewriter, loc, output, layer.outputArrangement, sizes);
  }
  if (output.getType() != op->getResult(0).getType())
    output = tensor::CastOp::create(rewriter, loc, op->getResult(0).getType(),
                                    output);

  llvm::SetVector<Operation *> maybeDead;
  for (OpOperand *operand : {layer.weight, layer.init})
    if (Operation *producer = operand->get().getDefiningOp())
      maybeDead.insert(producer);
  rewriter.replaceOp(op, output);
  eraseDeadOps(rewriter, std::move(maybeDead));
}

void RaiseLinear::runOnOperation() {
  LinearLayerMatchOptions options;
  options.matchArguments = matchArguments;
  std::vector<LinearLayer> layers;
  getOperation()->walk([&](linalg::LinalgOp op) {
    if (!isContractionLike(op))
      return;
    std::string reason;
    FailureOr<LinearLayer> layer = matchLinearLayer(op, options, reason);
    if (failed(layer)) {
      op->emitRemark("not raised: ") << reason;
      ++numRefused;
      return;
    }
    layers.push_back(std::move(*layer));
  });
  LayerNames names;
  for (const LinearLayer &layer : layers)
    raise(layer, names.get(layer));
  numRaised += layers.size();
}
