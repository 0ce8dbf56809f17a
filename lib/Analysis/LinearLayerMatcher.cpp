// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Analysis/LinearLayerMatcher.h"

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/PointerIntPair.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace structured;

//===----------------------------------------------------------------------===//
// What an op computes
//===----------------------------------------------------------------------===//

/// The two shaped inputs of `op`; nothing if it has more or fewer.
static std::optional<std::pair<OpOperand *, OpOperand *>>
getShapedInputs(linalg::LinalgOp op) {
  SmallVector<OpOperand *> shaped;
  for (OpOperand *operand : op.getDpsInputOperands())
    if (isa<ShapedType>(operand->get().getType()))
      shaped.push_back(operand);
  if (shaped.size() != 2)
    return std::nullopt;
  return std::make_pair(shaped[0], shaped[1]);
}

bool structured::isContractionLike(Operation *operation) {
  auto op = dyn_cast<linalg::LinalgOp>(operation);
  if (!op || op.getNumDpsInits() != 1)
    return false;
  auto inputs = getShapedInputs(op);
  if (!inputs)
    return false;
  for (OpOperand *operand : {inputs->first, inputs->second})
    if (op.getMatchingBlockArgument(operand).use_empty())
      return false; // e.g. the window of a pooling
  AffineMap lhs = op.getMatchingIndexingMap(inputs->first);
  AffineMap rhs = op.getMatchingIndexingMap(inputs->second);
  for (auto [i, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::reduction && lhs.isFunctionOfDim(i) &&
        rhs.isFunctionOfDim(i))
      return true;
  return false;
}

static Value skipExtensions(Value value) {
  while (auto extension = value.getDefiningOp<arith::ExtFOp>())
    value = extension.getIn();
  return value;
}

/// Whether the body adds the product of `a` and `b` to its last argument, with
/// operands in any order and extended at any place.
static bool isMultiplyAdd(linalg::LinalgOp op, BlockArgument a,
                          BlockArgument b) {
  Value sum = op.getBlock()->getTerminator()->getOperand(0);
  Value accumulator = op.getBlock()->getArguments().back();
  auto isProduct = [&](Value x, Value y) {
    x = skipExtensions(x);
    y = skipExtensions(y);
    return (x == a && y == b) || (x == b && y == a);
  };
  if (auto fma = sum.getDefiningOp<math::FmaOp>())
    return fma.getC() == accumulator && isProduct(fma.getA(), fma.getB());
  auto add = sum.getDefiningOp<arith::AddFOp>();
  if (!add)
    return false;
  Value term = add.getLhs() == accumulator   ? add.getRhs()
               : add.getRhs() == accumulator ? add.getLhs()
                                             : Value();
  if (!term)
    return false;
  auto product = skipExtensions(term).getDefiningOp<arith::MulFOp>();
  return product && isProduct(product.getLhs(), product.getRhs());
}

/// An indexing map with dimensions of size 1 replaced by 0.
static AffineMap dropUnitLoops(AffineMap map, ArrayRef<int64_t> loopSizes) {
  SmallVector<AffineExpr> replacements;
  for (auto [i, size] : llvm::enumerate(loopSizes))
    replacements.push_back(size == 1
                               ? getAffineConstantExpr(0, map.getContext())
                               : getAffineDimExpr(i, map.getContext()));
  return simplifyAffineMap(map.replaceDimsAndSymbols(
      replacements, {}, map.getNumDims(), map.getNumSymbols()));
}

/// Where an operand is read along one of its dimensions: at `stride` times the
/// loop's index, or at 0 only if there is no loop.
struct StridedIndex {
  std::optional<unsigned> loop;
  int64_t stride = 1;
};

static std::optional<StridedIndex> getStridedIndex(AffineExpr expr) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return StridedIndex{dim.getPosition(), 1};
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() == 0 ? std::optional(StridedIndex())
                                    : std::nullopt;
  auto product = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!product || product.getKind() != AffineExprKind::Mul)
    return std::nullopt;
  auto dim = dyn_cast<AffineDimExpr>(product.getLHS());
  auto stride = dyn_cast<AffineConstantExpr>(product.getRHS());
  if (!dim || !stride || stride.getValue() < 1)
    return std::nullopt;
  return StridedIndex{dim.getPosition(), stride.getValue()};
}

/// The index of each dimension, no loop twice; otherwise nothing.
static std::optional<SmallVector<StridedIndex>>
getStridedIndices(AffineMap map) {
  SmallVector<StridedIndex> indices;
  llvm::SmallDenseSet<unsigned> seen;
  for (AffineExpr expr : map.getResults()) {
    std::optional<StridedIndex> index = getStridedIndex(expr);
    if (!index || (index->loop && !seen.insert(*index->loop).second))
      return std::nullopt;
    indices.push_back(*index);
  }
  return indices;
}

//===----------------------------------------------------------------------===//
// Roles of the dimensions
//===----------------------------------------------------------------------===//

namespace {
/// Matches an op with its two operands in given roles.
class RoleMatcher {
public:
  RoleMatcher(linalg::LinalgOp op, OpOperand *input, OpOperand *weight,
              std::string &reason)
      : op(op), input(input), weight(weight), init(op.getDpsInitOperand(0)),
        reason(reason) {}

  FailureOr<LinearLayer> match();

private:
  enum class Role { Unit, Token, OutFeature, InFeature };

  LogicalResult fail(const Twine &message) {
    reason = message.str();
    return failure();
  }
  void findLoopSizes();
  LogicalResult readIndices();
  LogicalResult assignRoles();
  MatrixArrangement arrange(ArrayRef<StridedIndex> indices,
                            ArrayRef<unsigned> order);
  SmallVector<unsigned> loopsOf(ArrayRef<StridedIndex> indices, Role role);
  bool isInOrder(ArrayRef<StridedIndex> indices);
  DimLayout weightLayout(ArrayRef<unsigned> loops);
  std::string describeSize(unsigned loop);

  linalg::LinalgOp op;
  OpOperand *input, *weight, *init;
  SmallVector<int64_t> loopSizes;
  std::string &reason;

  TracedTensor view;
  SmallVector<StridedIndex> inputIndices, weightIndices, outputIndices;
  SmallVector<Role> roles; // of each loop
};
} // namespace

std::string RoleMatcher::describeSize(unsigned loop) {
  return ShapedType::isDynamic(loopSizes[loop])
             ? std::string("dynamic size")
             : "size " + std::to_string(loopSizes[loop]);
}

/// Takes each loop's size from whichever operand knows it; the weight's layout
/// knows all that varies in it.
void RoleMatcher::findLoopSizes() {
  loopSizes.assign(op.getNumLoops(), ShapedType::kDynamic);
  auto learn = [&](AffineMap map, ArrayRef<int64_t> shape) {
    for (auto [expr, size] : llvm::zip_equal(map.getResults(), shape))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        if (!ShapedType::isDynamic(size))
          loopSizes[dim.getPosition()] = size;
  };
  for (OpOperand &operand : op->getOpOperands())
    if (auto type = dyn_cast<RankedTensorType>(operand.get().getType()))
      learn(op.getMatchingIndexingMap(&operand), type.getShape());
  SmallVector<int64_t> weightShape;
  for (const DimLayout &modes : view.dims) {
    int64_t size = 1;
    for (LayoutMode mode : modes)
      size = ShapedType::isDynamic(size) || ShapedType::isDynamic(mode.size)
                 ? ShapedType::kDynamic
                 : size * mode.size;
    weightShape.push_back(size);
  }
  learn(op.getMatchingIndexingMap(weight), weightShape);
}

LogicalResult RoleMatcher::readIndices() {
  auto getMap = [&](OpOperand *operand) {
    return dropUnitLoops(op.getMatchingIndexingMap(operand), loopSizes);
  };
  AffineMap inputMap = getMap(input);
  auto inputRead = getStridedIndices(inputMap);
  auto weightRead = getStridedIndices(getMap(weight));
  auto outputWritten = getStridedIndices(getMap(init));
  if (!inputRead) {
    for (AffineExpr expr : inputMap.getResults())
      if (!getStridedIndex(expr))
        return fail("it is a convolution whose windows overlap or whose kernel "
                    "is larger than 1x1; only 1x1 convolutions and those "
                    "lowered by im2col are linear layers");
    return fail("it reads a diagonal of its input");
  }
  auto isPlain = [](const StridedIndex &index) { return index.stride == 1; };
  if (!weightRead || !llvm::all_of(*weightRead, isPlain))
    return fail("it does not read its weight dimension by dimension");
  if (!outputWritten || !llvm::all_of(*outputWritten, isPlain))
    return fail("it does not write its output dimension by dimension");
  inputIndices = std::move(*inputRead);
  weightIndices = std::move(*weightRead);
  outputIndices = std::move(*outputWritten);
  return success();
}

static bool hasLoop(ArrayRef<StridedIndex> indices, unsigned loop) {
  return llvm::any_of(
      indices, [&](const StridedIndex &index) { return index.loop == loop; });
}

LogicalResult RoleMatcher::assignRoles() {
  // A loop along which the weight is broadcast does not count as its.
  SmallVector<bool> inWeight(loopSizes.size(), false);
  for (auto [index, modes] : llvm::zip_equal(weightIndices, view.dims)) {
    if (!index.loop || modes.empty())
      continue;
    auto isBroadcast = [](LayoutMode mode) { return mode.isBroadcast(); };
    if (llvm::all_of(modes, isBroadcast))
      continue;
    if (llvm::any_of(modes, isBroadcast) &&
        !(hasLoop(inputIndices, *index.loop) &&
          hasLoop(outputIndices, *index.loop)))
      return fail("a broadcast and a varying dimension of the weight are "
                  "collapsed into one");
    inWeight[*index.loop] = true;
  }

  auto iterators = op.getIteratorTypesArray();
  roles.assign(loopSizes.size(), Role::Unit);
  for (unsigned loop = 0; loop < loopSizes.size(); ++loop) {
    if (loopSizes[loop] == 1)
      continue;
    bool inInput = hasLoop(inputIndices, loop);
    bool inOutput = hasLoop(outputIndices, loop);
    if (inOutput != (iterators[loop] == utils::IteratorType::parallel))
      return fail("its iterators do not agree with its output's indices");
    if (inOutput && inWeight[loop] && inInput)
      return fail("the weight varies along a batch dimension of " +
                  describeSize(loop));
    if (inOutput && inWeight[loop])
      roles[loop] = Role::OutFeature;
    else if (inOutput && inInput)
      roles[loop] = Role::Token;
    else if (inOutput)
      return fail("its output is broadcast along a dimension of " +
                  describeSize(loop));
    else if (inWeight[loop] && inInput)
      roles[loop] = Role::InFeature;
    else
      return fail(Twine("it sums ") + (inInput ? "the input" : "the weight") +
                  " alone over a dimension of " + describeSize(loop));
  }
  return success();
}

SmallVector<unsigned> RoleMatcher::loopsOf(ArrayRef<StridedIndex> indices,
                                           Role role) {
  SmallVector<unsigned> loops;
  for (const StridedIndex &index : indices)
    if (index.loop && roles[*index.loop] == role)
      loops.push_back(*index.loop);
  return loops;
}

/// Whether all token dimensions come before all features.
bool RoleMatcher::isInOrder(ArrayRef<StridedIndex> indices) {
  bool inFeatures = false;
  for (const StridedIndex &index : indices) {
    if (!index.loop)
      continue;
    bool isToken = roles[*index.loop] == Role::Token;
    if (isToken && inFeatures)
      return false;
    inFeatures |= !isToken;
  }
  return true;
}

/// Orders the dimensions as their loops stand in `order`, tokens first. A
/// dimension without a loop stays behind the one it follows; the last one is
/// the features if there are no others.
MatrixArrangement RoleMatcher::arrange(ArrayRef<StridedIndex> indices,
                                       ArrayRef<unsigned> order) {
  SmallVector<int64_t> keys;
  int64_t numTokenLoops = llvm::count_if(
      order, [&](unsigned loop) { return roles[loop] == Role::Token; });
  for (const StridedIndex &index : indices) {
    if (index.loop)
      keys.push_back(llvm::find(order, *index.loop) - order.begin());
    else
      keys.push_back(keys.empty() ? -1 : keys.back());
  }
  if (numTokenLoops == static_cast<int64_t>(order.size()) && !keys.empty() &&
      !indices.back().loop)
    keys.back() = numTokenLoops;
  MatrixArrangement arrangement;
  arrangement.permutation = llvm::to_vector(llvm::seq<int64_t>(indices.size()));
  llvm::sort(arrangement.permutation, [&](int64_t a, int64_t b) {
    return std::make_pair(keys[a], a) < std::make_pair(keys[b], b);
  });
  arrangement.numTokenDims =
      llvm::count_if(keys, [&](int64_t key) { return key < numTokenLoops; });
  return arrangement;
}

/// How the weight lies along `loops`, the first the slowest.
DimLayout RoleMatcher::weightLayout(ArrayRef<unsigned> loops) {
  SmallVector<LayoutMode> modes;
  for (unsigned loop : loops)
    for (auto [index, dim] : llvm::zip_equal(weightIndices, view.dims))
      if (index.loop == loop)
        modes.append(dim.begin(), dim.end());
  return coalesce(modes);
}

FailureOr<LinearLayer> RoleMatcher::match() {
  view = traceView(weight->get());
  if (!cast<RankedTensorType>(view.source.getType()).hasStaticShape())
    return fail("the weight's shape is not static");
  if (llvm::is_contained(
          cast<RankedTensorType>(view.source.getType()).getShape(), 0))
    return fail("the weight has no elements");
  findLoopSizes();
  if (failed(readIndices()) || failed(assignRoles()))
    return failure();

  // Features keep the order that the activations have; the weight is what is
  // reordered, since that costs nothing at run time. Tokens keep the output's
  // order unless only the input's saves a transpose.
  bool asInput = isInOrder(inputIndices) && !isInOrder(outputIndices);
  SmallVector<unsigned> tokens =
      loopsOf(asInput ? inputIndices : outputIndices, Role::Token);
  SmallVector<unsigned> outFeatures = loopsOf(outputIndices, Role::OutFeature);
  SmallVector<unsigned> inFeatures = loopsOf(inputIndices, Role::InFeature);

  std::optional<WeightMatrix> matrix = getWeightMatrix(
      view, weightLayout(outFeatures), weightLayout(inFeatures));
  if (!matrix || !matrix->coversSource())
    return fail("only a part of the weight is read, or some of it twice");

  LinearLayer layer{op, input, weight, init, std::move(*matrix),
                    {}, {},    {},     {},   {}};
  SmallVector<unsigned> order(tokens);
  llvm::append_range(order, inFeatures);
  layer.inputArrangement = arrange(inputIndices, order);
  order = tokens;
  llvm::append_range(order, outFeatures);
  layer.outputArrangement = arrange(outputIndices, order);

  auto getLoopSize = [&](const StridedIndex &index) {
    return index.loop ? loopSizes[*index.loop] : 1;
  };
  layer.outputShape = llvm::map_to_vector(outputIndices, getLoopSize);
  layer.inputShape = llvm::map_to_vector(inputIndices, getLoopSize);
  auto inputType = cast<RankedTensorType>(input->get().getType());
  bool isSliced = false;
  for (auto [i, index] : llvm::enumerate(inputIndices)) {
    int64_t read = layer.inputShape[i], size = inputType.getDimSize(i);
    if (index.stride != 1 && ShapedType::isDynamic(read))
      return fail("it reads its input with stride " + Twine(index.stride) +
                  " along a dynamic dimension");
    isSliced |=
        index.stride != 1 || (!ShapedType::isDynamic(read) && read != size &&
                              (!index.loop || !ShapedType::isDynamic(size)));
  }
  if (isSliced)
    for (const StridedIndex &index : inputIndices)
      layer.inputStrides.push_back(index.stride);
  return layer;
}

//===----------------------------------------------------------------------===//
// Data flow
//===----------------------------------------------------------------------===//

/// The values that `op` computes from: its operands and what its regions use.
static llvm::SetVector<Value> getUsedValues(Operation *op) {
  llvm::SetVector<Value> values;
  values.insert(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

/// Whether `value` is computed from weights and constants alone.
static bool dependsOnWeightsOnly(Value value) {
  llvm::SetVector<Value> worklist;
  worklist.insert(value);
  for (size_t i = 0; i < worklist.size(); ++i) {
    std::optional<WeightSource> origin = getWeightSource(worklist[i]);
    if (origin && origin->kind != WeightKind::Argument)
      continue;
    Operation *producer = worklist[i].getDefiningOp();
    if (!producer || !isPure(producer))
      return false;
    llvm::SetVector<Value> used = getUsedValues(producer);
    worklist.insert(used.begin(), used.end());
  }
  return true;
}

/// Whether `op` or its body takes exponentials, as a softmax does.
static bool takesExponential(Operation *op) {
  if (isa<linalg::SoftmaxOp>(op))
    return true;
  return op
      ->walk([](Operation *nested) {
        return isa<math::ExpOp, math::Exp2Op, linalg::ExpOp>(nested)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether `op` multiplies two tensors of which neither is a weight for sure.
static bool isProductOfActivations(Operation *op) {
  if (!isContractionLike(op))
    return false;
  auto isSure = [](OpOperand *operand) {
    if (!isa<RankedTensorType>(operand->get().getType()))
      return false;
    auto origin = getWeightSource(traceView(operand->get()).source);
    return origin && origin->kind != WeightKind::Argument;
  };
  auto inputs = *getShapedInputs(cast<linalg::LinalgOp>(op));
  return !isSure(inputs.first) && !isSure(inputs.second);
}

static bool isProduct(Operation *op) {
  return isContractionLike(op) || isa<StructuredLayerOpInterface>(op);
}

/// A value met on a walk along the data flow, and whether a softmax lies
/// between it and the start.
using Visit = llvm::PointerIntPair<Value, 1, bool>;

/// Whether `value` are attention's probabilities: a softmax of a product of
/// activations.
static bool comesFromScores(Value value) {
  llvm::SetVector<Visit> worklist;
  worklist.insert(Visit(value, false));
  for (size_t i = 0; i < worklist.size(); ++i) {
    Visit visit = worklist[i];
    Operation *producer = visit.getPointer().getDefiningOp();
    if (!producer)
      continue;
    if (isProduct(producer)) {
      if (visit.getInt() && isProductOfActivations(producer))
        return true;
      continue;
    }
    bool behindSoftmax = visit.getInt() || takesExponential(producer);
    for (Value used : getUsedValues(producer))
      worklist.insert(Visit(used, behindSoftmax));
  }
  return false;
}

/// Whether `value` are attention's scores: a softmax of it is multiplied again.
static bool becomesProbabilities(Value value) {
  llvm::SetVector<Visit> worklist;
  worklist.insert(Visit(value, false));
  for (size_t i = 0; i < worklist.size(); ++i) {
    Visit visit = worklist[i];
    Value current = visit.getPointer();
    for (Operation *nested : current.getUsers()) {
      Operation *user =
          current.getParentBlock()->findAncestorOpInBlock(*nested);
      if (isProduct(user)) {
        if (visit.getInt() && isProductOfActivations(user))
          return true;
        continue;
      }
      bool behindSoftmax = visit.getInt() || takesExponential(user);
      for (Value result : user->getResults())
        worklist.insert(Visit(result, behindSoftmax));
    }
  }
  return false;
}

//===----------------------------------------------------------------------===//
// The match
//===----------------------------------------------------------------------===//

/// Whether a function argument that nothing marks may be a weight: it has a
/// static shape, is not named as an input, and no other argument is marked
/// either (else all weights are).
static bool mayBeWeight(Value source) {
  auto argument = cast<BlockArgument>(source);
  auto function = cast<FunctionOpInterface>(argument.getOwner()->getParentOp());
  if (!cast<RankedTensorType>(source.getType()).hasStaticShape() ||
      function.getArgAttr(argument.getArgNumber(), kInputNameAttrName))
    return false;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (function.getArgAttr(i, kParameterAttrName))
      return false;
  return true;
}

/// What an operand that is no weight is, in words.
static std::string describe(Value operand) {
  Value source = traceView(operand).source;
  if (dependsOnWeightsOnly(source))
    return "computed from weights by " +
           source.getDefiningOp()->getName().getStringRef().str();
  if (auto argument = dyn_cast<BlockArgument>(source)) {
    if (isa<FunctionOpInterface>(argument.getOwner()->getParentOp()))
      return "function argument " + std::to_string(argument.getArgNumber());
    return "an argument of " +
           argument.getOwner()->getParentOp()->getName().getStringRef().str();
  }
  return "the result of " +
         source.getDefiningOp()->getName().getStringRef().str();
}

FailureOr<LinearLayer>
structured::matchLinearLayer(linalg::LinalgOp op,
                             const LinearLayerMatchOptions &options,
                             std::string &reason) {
  auto fail = [&](const Twine &message) {
    reason = message.str();
    return failure();
  };
  if (!op.hasPureTensorSemantics() || op->getNumResults() != 1)
    return fail("it works on memrefs; run the pass before bufferization");
  auto [lhs, rhs] = *getShapedInputs(op);
  OpOperand *init = op.getDpsInitOperand(0);
  for (OpOperand *operand : {lhs, rhs, init}) {
    Type type = getElementTypeOrSelf(operand->get().getType());
    if (!type.isF32() && !type.isF16() && !type.isBF16()) {
      std::string text;
      llvm::raw_string_ostream(text) << type;
      return fail("its elements are " + text + ", not f32, f16 or bf16");
    }
  }
  if (!isMultiplyAdd(op, op.getMatchingBlockArgument(lhs),
                     op.getMatchingBlockArgument(rhs)))
    return fail("its body is not a multiplication and an addition");
  Type lhsType = getElementTypeOrSelf(lhs->get().getType());
  Type rhsType = getElementTypeOrSelf(rhs->get().getType());
  Type initType = getElementTypeOrSelf(init->get().getType());
  if (!initType.isF32() && (initType != lhsType || initType != rhsType))
    return fail("its sums have neither the operands' element type nor f32");

  auto getKind = [](OpOperand *operand) -> std::optional<WeightKind> {
    auto origin = getWeightSource(traceView(operand->get()).source);
    return origin ? std::optional(origin->kind) : std::nullopt;
  };
  auto isSure = [](std::optional<WeightKind> kind) {
    return kind && *kind != WeightKind::Argument;
  };
  std::optional<WeightKind> lhsKind = getKind(lhs), rhsKind = getKind(rhs);
  if (isSure(lhsKind) && isSure(rhsKind))
    return fail("both operands are constant");
  if (isSure(rhsKind))
    return RoleMatcher(op, lhs, rhs, reason).match();
  if (isSure(lhsKind))
    return RoleMatcher(op, rhs, lhs, reason).match();

  // No operand is a weight for sure. A function argument may be one, the right
  // operand rather than the left if both are, the one of rank 2 first.
  auto getSource = [](OpOperand *operand) {
    return traceView(operand->get(), /*throughSlices=*/true).source;
  };
  SmallVector<std::pair<OpOperand *, OpOperand *>, 2> candidates;
  auto addCandidate = [&](OpOperand *input, OpOperand *weight,
                          std::optional<WeightKind> kind) {
    if (kind == WeightKind::Argument && !dependsOnWeightsOnly(input->get()) &&
        mayBeWeight(getSource(weight)))
      candidates.push_back({input, weight});
  };
  if (options.matchArguments) {
    addCandidate(lhs, rhs, rhsKind);
    addCandidate(rhs, lhs, lhsKind);
  }
  auto getSourceRank = [&](OpOperand *operand) {
    return cast<RankedTensorType>(getSource(operand).getType()).getRank();
  };
  if (candidates.size() == 2 &&
      getSourceRank(candidates[1].second) < getSourceRank(candidates[0].second))
    std::swap(candidates[0], candidates[1]);
  for (auto [input, weight] : candidates) {
    FailureOr<LinearLayer> layer =
        RoleMatcher(op, input, weight, reason).match();
    // A vector is rather a token than a matrix.
    if (failed(layer) || layer->matrix.rows.size() != 1 ||
        layer->matrix.cols.size() != 1)
      continue;
    if (comesFromScores(input->get()) || becomesProbabilities(op->getResult(0)))
      return fail("it is a product of attention: a softmax lies between it and "
                  "another product of activations");
    return layer;
  }
  return fail("neither operand is a weight: the left one is " +
              Twine(describe(lhs->get())) + ", the right one " +
              describe(rhs->get()));
}
