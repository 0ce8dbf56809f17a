// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/IR/Utils.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

#include <limits>

namespace structured {
#define GEN_PASS_DEF_RAISEATTENTION
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

//===----------------------------------------------------------------------===//
// Parts of linalg ops
//===----------------------------------------------------------------------===//

namespace {
/// Loops are numbered as the dimensions of the weights, what the values are
/// multiplied by; the features of queries and keys, and of values, come after.
using Loops = SmallVector<unsigned>;

/// A number of each point of the loops: a value in the body of `op`, whose
/// loops are `loops`; or, without an op, an element of a tensor, whose
/// dimensions are read by `loops`.
struct Number {
  Value value;
  Loops loops;
  linalg::LinalgOp op = {};

  bool operator==(const Number &other) const {
    return value == other.value && loops == other.loops && op == other.op;
  }

  /// The op of the body that computes it, if it is an `OpTy`.
  template <typename OpTy>
  OpTy getOp() const {
    auto definingOp = value.getDefiningOp<OpTy>();
    if (!op || !definingOp || definingOp->getBlock() != getBody())
      return {};
    return definingOp;
  }
  Block *getBody() const { return &op->getRegion(0).front(); }
  Number withValue(Value other) const { return {other, loops, op}; }
};
} // namespace

static Type getElementType(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

/// What the op's body gives.
static Value getYielded(linalg::LinalgOp op) {
  return op.getBlock()->getTerminator()->getOperand(0);
}

/// The operand whose elements `number` are, if they are a tensor's.
static OpOperand *getRead(const Number &number) {
  auto argument = dyn_cast<BlockArgument>(number.value);
  if (!number.op || !argument || argument.getOwner() != number.getBody())
    return nullptr;
  OpOperand &operand = number.op->getOpOperand(argument.getArgNumber());
  return isa<RankedTensorType>(operand.get().getType()) ? &operand : nullptr;
}

/// The loops that read the dimensions of `operand`, none of them twice.
static std::optional<Loops> getLoops(linalg::LinalgOp op, OpOperand &operand,
                                     ArrayRef<unsigned> loops) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (!map.isProjectedPermutation())
    return std::nullopt;
  return llvm::map_to_vector(map.getResults(), [&](AffineExpr expr) {
    return loops[cast<AffineDimExpr>(expr).getPosition()];
  });
}

/// Whether `op` adds products of its two inputs, as they are or extended.
static bool isProduct(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op.getNumDpsInputs() != 2 ||
      op->getNumResults() != 1 ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isProjectedPermutation(); }))
    return false;
  Block *body = op.getBlock();
  auto isArgument = [&](Value value, unsigned number) {
    if (auto extension = value.getDefiningOp<arith::ExtFOp>())
      value = extension.getIn();
    return value == body->getArgument(number);
  };
  auto sum = getYielded(op).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  for (auto [product, sumSoFar] : {std::pair(sum.getLhs(), sum.getRhs()),
                                   std::pair(sum.getRhs(), sum.getLhs())}) {
    auto mul = product.getDefiningOp<arith::MulFOp>();
    if (mul && sumSoFar == body->getArgument(2) &&
        ((isArgument(mul.getLhs(), 0) && isArgument(mul.getRhs(), 1)) ||
         (isArgument(mul.getLhs(), 1) && isArgument(mul.getRhs(), 0))))
      return true;
  }
  return false;
}

/// What `init` is filled with is `matcher`'s.
template <typename Matcher>
static bool isFilledWith(Value init, Matcher matcher) {
  if (auto fill = init.getDefiningOp<linalg::FillOp>())
    return matchPattern(fill.getInputs().front(), matcher);
  return matchPattern(init, matcher);
}

//===----------------------------------------------------------------------===//
// The matcher
//===----------------------------------------------------------------------===//

namespace {
/// Matches attention backwards from its second product.
class Attention {
public:
  explicit Attention(linalg::LinalgOp product) : product(product) {}

  /// Whether an operand of the product is a softmax.
  bool matchSoftmax();

  /// Matches the rest. On failure `reason` says why it is no attention.
  LogicalResult match(std::string &reason);

  /// Replaces the product by the op; on failure leaves all as it was.
  LogicalResult replace(RewriterBase &rewriter, std::string &reason);

private:
  linalg::LinalgOp product;
  OpOperand *weights = nullptr;
  unsigned keyLoop = 0;
  /// The scores whose softmax the weights are.
  Number masked;
  bool isInF32 = true;
  Value maximumInit, sumInit; ///< none of a linalg.softmax

  linalg::LinalgOp scoreProduct;
  Number scores; ///< its result
  Value query, key, value;
  Loops queryLoops, keyLoops, valueLoops, initLoops;
  unsigned queryLoop = 0;

  /// The ops that the attention replaces, and what their results are.
  llvm::MapVector<Operation *, StringRef> steps;

  RankedTensorType getWeightsType() const {
    return cast<RankedTensorType>(weights->get().getType());
  }
  unsigned getRank() const { return getWeightsType().getRank(); }
  bool isUnitLoop(unsigned loop) const {
    return loop < getRank() && getWeightsType().getDimSize(loop) == 1;
  }
  bool hasEachLoop(ArrayRef<unsigned> loops) const;
  std::optional<unsigned> getLackedLoop(ArrayRef<unsigned> loops) const;
  unsigned getFeatureLoop() const { return getRank(); }
  unsigned getValueLoop() const { return getRank() + 1; }

  std::optional<Number> stripReshape(const Number &element) const;
  std::optional<Number> enter(const Number &element) const;
  Number follow(Number number, StringRef name, const Number *end = nullptr);
  std::optional<Number> matchReduction(const Number &tensor, StringRef name,
                                       function_ref<bool(Operation *)> isKind,
                                       Value &init);
  std::optional<std::pair<Number, Number>> matchExponential(Number number);
  bool matchQuotient(const Number &exponential, Number sum);
  bool matchWeights();

  void findProducts(const Number &tensor, SmallVectorImpl<Number> &products,
                    llvm::SetVector<Value> &visited);
  LogicalResult matchProducts(const Number &candidate, std::string &reason);
  LogicalResult checkUses(std::string &reason);
  bool addScoreSteps(Value tensor);

  struct RegionBuilder;
};
} // namespace

/// Whether these are all loops, but for some of one iteration.
bool Attention::hasEachLoop(ArrayRef<unsigned> loops) const {
  return llvm::all_of(llvm::seq(getRank()), [&](unsigned loop) {
    return isUnitLoop(loop) || llvm::is_contained(loops, loop);
  });
}

/// The only loop that is not among `loops`, but for some of one iteration.
std::optional<unsigned>
Attention::getLackedLoop(ArrayRef<unsigned> loops) const {
  SmallVector<unsigned> lacked, lackedUnits;
  for (unsigned loop = 0; loop < getRank(); ++loop)
    if (!llvm::is_contained(loops, loop))
      (isUnitLoop(loop) ? lackedUnits : lacked).push_back(loop);
  ArrayRef<unsigned> found = lacked.empty() ? lackedUnits : lacked;
  if (found.size() != 1)
    return std::nullopt;
  return found.front();
}

/// An element of a tensor that is a reshape which only adds or takes away
/// dimensions of size 1: that of what is reshaped, whose dimensions of size 1
/// are read by loops of one iteration.
std::optional<Number> Attention::stripReshape(const Number &element) const {
  Operation *op = element.value.getDefiningOp();
  if (element.op ||
      !isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op) ||
      op->getBlock() != product->getBlock())
    return std::nullopt;
  auto type = cast<RankedTensorType>(element.value.getType());
  Value source = op->getOperand(0);
  auto sourceType = cast<RankedTensorType>(source.getType());
  auto isNotUnit = [](int64_t size) { return size != 1; };
  if (llvm::to_vector(llvm::make_filter_range(type.getShape(), isNotUnit)) !=
      llvm::to_vector(
          llvm::make_filter_range(sourceType.getShape(), isNotUnit)))
    return std::nullopt;
  Loops kept, loops;
  for (auto [size, loop] : llvm::zip_equal(type.getShape(), element.loops))
    if (isNotUnit(size))
      kept.push_back(loop);
  const unsigned *next = kept.begin();
  for (int64_t size : sourceType.getShape()) {
    if (isNotUnit(size)) {
      loops.push_back(*next++);
      continue;
    }
    // One that is not in use if there is one.
    std::optional<unsigned> unit;
    for (unsigned loop = 0; loop < getRank(); ++loop)
      if (isUnitLoop(loop) && (!unit || llvm::is_contained(loops, *unit)))
        unit = loop;
    if (!unit)
      return std::nullopt;
    loops.push_back(*unit);
  }
  return Number{source, std::move(loops)};
}

/// An element of a tensor that an elementwise op computes: the value in the
/// op's body.
std::optional<Number> Attention::enter(const Number &element) const {
  auto op = element.value.getDefiningOp<linalg::LinalgOp>();
  if (!op || !op.hasPureTensorSemantics() || op->getNumResults() != 1 ||
      op->getBlock() != product->getBlock() ||
      op.getNumParallelLoops() != op.getNumLoops())
    return std::nullopt;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!map.isPermutation())
    return std::nullopt;
  Loops loops(op.getNumLoops());
  for (auto [dim, loop] : llvm::enumerate(element.loops))
    loops[map.getDimPosition(dim)] = loop;
  return Number{getYielded(op), std::move(loops), op};
}

/// Goes back from `number` to what computes it: an op in a body that is not an
/// extension, or else a tensor of an op that is not elementwise. Stops at `end`
/// if it gets there. The ops that it passes are steps.
Number Attention::follow(Number number, StringRef name, const Number *end) {
  while (!end || !(number == *end)) {
    if (auto extension = number.getOp<arith::ExtFOp>()) {
      number.value = extension.getIn();
    } else if (OpOperand *operand = getRead(number)) {
      std::optional<Loops> loops = getLoops(number.op, *operand, number.loops);
      if (!loops)
        break;
      number = {operand->get(), std::move(*loops)};
    } else if (std::optional<Number> source = stripReshape(number)) {
      steps.insert({number.value.getDefiningOp(), name});
      number = std::move(*source);
    } else if (std::optional<Number> inside;
               !number.op && (inside = enter(number))) {
      steps.insert({inside->op, name});
      number = std::move(*inside);
    } else {
      break;
    }
  }
  return number;
}

/// If `tensor` is a reduction over one loop of what lacks it: what is reduced.
std::optional<Number>
Attention::matchReduction(const Number &tensor, StringRef name,
                          function_ref<bool(Operation *)> isKind, Value &init) {
  if (tensor.op)
    return std::nullopt;
  auto op = tensor.value.getDefiningOp<linalg::LinalgOp>();
  if (!op || !op.hasPureTensorSemantics() || op->getNumResults() != 1 ||
      op->getBlock() != product->getBlock() || op.getNumReductionLoops() != 1)
    return std::nullopt;
  // The loop that the tensor lacks is the one that is reduced.
  std::optional<unsigned> reduced = getLackedLoop(tensor.loops);
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!reduced || !map.isProjectedPermutation() ||
      map.getNumResults() + 1 != op.getNumLoops())
    return std::nullopt;
  Loops loops(op.getNumLoops(), *reduced);
  for (auto [dim, loop] : llvm::enumerate(tensor.loops))
    loops[map.getDimPosition(dim)] = loop;

  Operation *combiner = getYielded(op).getDefiningOp();
  if (!combiner || combiner->getBlock() != op.getBlock() || !isKind(combiner))
    return std::nullopt;
  Value soFar = op.getBlock()->getArguments().back();
  Value lhs = combiner->getOperand(0), rhs = combiner->getOperand(1);
  if (lhs == soFar)
    std::swap(lhs, rhs);
  if (rhs != soFar || lhs == soFar)
    return std::nullopt;
  steps.insert({op, name});
  init = op.getDpsInitOperand(0)->get();
  return Number{lhs, std::move(loops), op};
}

/// x and m of exp(x - m).
std::optional<std::pair<Number, Number>>
Attention::matchExponential(Number number) {
  number = follow(number, "exponentials");
  auto exp = number.getOp<math::ExpOp>();
  if (!exp)
    return std::nullopt;
  number = follow(number.withValue(exp.getOperand()), "exponentials");
  auto difference = number.getOp<arith::SubFOp>();
  if (!difference)
    return std::nullopt;
  isInF32 &= exp.getType().isF32() && difference.getType().isF32();
  return std::pair(number.withValue(difference.getLhs()),
                   number.withValue(difference.getRhs()));
}

bool Attention::matchQuotient(const Number &exponential, Number sum) {
  static constexpr StringRef maxima = "maxima", sums = "sums",
                             scores = "masked scores";
  sum = follow(sum, sums);
  auto isSum = [&](Operation *op) {
    isInF32 &= op->getResult(0).getType().isF32();
    return isa<arith::AddFOp>(op);
  };
  auto isMaximum = [](Operation *op) {
    return isa<arith::MaximumFOp, arith::MaxNumFOp>(op);
  };
  std::optional<Number> added = matchReduction(sum, sums, isSum, sumInit);
  auto operands = matchExponential(exponential);
  if (!added || !operands)
    return false;
  Number maximum = follow(operands->second, maxima);
  std::optional<Number> compared =
      matchReduction(maximum, maxima, isMaximum, maximumInit);
  if (!compared)
    return false;
  if (auto extension = compared->getOp<arith::ExtFOp>())
    compared->value = extension.getIn();
  OpOperand *operand = getRead(*compared);
  std::optional<Loops> loops =
      operand ? getLoops(compared->op, *operand, compared->loops)
              : std::nullopt;
  std::optional<unsigned> lacked = getLackedLoop(maximum.loops);
  if (!loops || !lacked || !hasEachLoop(*loops))
    return false;
  masked = {operand->get(), std::move(*loops)};
  keyLoop = *lacked;

  // The sum is of the same exponentials, over the same loop.
  auto addedOperands = matchExponential(*added);
  return addedOperands && !llvm::is_contained(sum.loops, keyLoop) &&
         follow(operands->first, scores, &masked) == masked &&
         follow(addedOperands->first, scores, &masked) == masked &&
         follow(addedOperands->second, maxima) == maximum;
}

bool Attention::matchWeights() {
  static constexpr StringRef name = "weights", sums = "sums";
  Number number = {weights->get(),
                   llvm::to_vector(llvm::seq<unsigned>(0, getRank()))};
  number = follow(number, name);
  if (auto rounding = number.getOp<arith::TruncFOp>())
    number = follow(number.withValue(rounding.getIn()), name);

  if (!number.op) {
    auto softmax = number.value.getDefiningOp<linalg::SoftmaxOp>();
    if (!softmax || softmax->getBlock() != product->getBlock() ||
        !hasEachLoop(number.loops))
      return false;
    steps.insert({softmax, name});
    keyLoop = number.loops[softmax.getDimension()];
    masked = {softmax.getInput(), number.loops};
    isInF32 = getElementType(softmax.getInput()).isF32();
    return true;
  }

  if (auto quotient = number.getOp<arith::DivFOp>()) {
    isInF32 &= quotient.getType().isF32();
    return matchQuotient(number.withValue(quotient.getLhs()),
                         number.withValue(quotient.getRhs()));
  }
  auto mul = number.getOp<arith::MulFOp>();
  if (!mul)
    return false;
  isInF32 &= mul.getType().isF32();
  for (auto [exponential, factor] : {std::pair(mul.getLhs(), mul.getRhs()),
                                     std::pair(mul.getRhs(), mul.getLhs())}) {
    auto before = steps;
    Number reciprocal = follow(number.withValue(factor), sums);
    auto quotient = reciprocal.getOp<arith::DivFOp>();
    if (quotient && matchPattern(quotient.getLhs(), m_OneFloat()) &&
        matchQuotient(number.withValue(exponential),
                      reciprocal.withValue(quotient.getRhs())))
      return true;
    steps = before;
  }
  return false;
}

bool Attention::matchSoftmax() {
  for (OpOperand *operand : product.getDpsInputOperands()) {
    weights = operand;
    steps.clear();
    isInF32 = true;
    maximumInit = sumInit = Value();
    if (matchWeights()) {
      value =
          product.getDpsInputOperand(1 - operand->getOperandNumber())->get();
      return true;
    }
  }
  return false;
}

/// The products among the tensors that elementwise ops make `tensor` of.
void Attention::findProducts(const Number &tensor,
                             SmallVectorImpl<Number> &products,
                             llvm::SetVector<Value> &visited) {
  if (!visited.insert(tensor.value))
    return;
  auto op = tensor.value.getDefiningOp<linalg::LinalgOp>();
  if (op && op->getBlock() == product->getBlock() && isProduct(op)) {
    products.push_back(tensor);
    return;
  }
  if (std::optional<Number> source = stripReshape(tensor))
    return findProducts(*source, products, visited);
  std::optional<Number> inside = enter(tensor);
  if (!inside)
    return;
  for (BlockArgument argument : inside->op.getBlock()->getArguments()) {
    Number read = inside->withValue(argument);
    OpOperand *operand = getRead(read);
    if (!operand || argument.use_empty())
      continue;
    if (std::optional<Loops> loops =
            getLoops(inside->op, *operand, inside->loops))
      findProducts({operand->get(), std::move(*loops)}, products, visited);
  }
}

/// The loops of the product's inputs and of its result, of which `known` gives
/// those of one operand. The one loop besides gets the number `other`.
static FailureOr<std::array<Loops, 3>>
getProductLoops(linalg::LinalgOp op, OpOperand &known,
                ArrayRef<unsigned> knownLoops, unsigned other) {
  AffineMap map = op.getMatchingIndexingMap(&known);
  if (map.getNumResults() + 1 != map.getNumDims())
    return failure();
  Loops loops(map.getNumDims(), other);
  for (auto [dim, loop] : llvm::enumerate(knownLoops))
    loops[map.getDimPosition(dim)] = loop;
  std::array<Loops, 3> all;
  for (auto [operandLoops, operand] : llvm::zip_equal(all, op->getOpOperands()))
    operandLoops = *getLoops(op, operand, loops);
  return all;
}

/// Matches both products, the first being that of `candidate`.
LogicalResult Attention::matchProducts(const Number &candidate,
                                       std::string &reason) {
  auto refuse = [&](const Twine &why) {
    reason = why.str();
    return failure();
  };
  for (unsigned loop = 0; loop < getRank(); ++loop)
    if (llvm::count(candidate.loops, loop) > 1)
      return refuse("its scores have more loops than its weights");
  scores = candidate;
  scoreProduct = candidate.value.getDefiningOp<linalg::LinalgOp>();
  auto first = getProductLoops(scoreProduct, *scoreProduct.getDpsInitOperand(0),
                               candidate.loops, getFeatureLoop());
  auto second = getProductLoops(
      product, *weights, llvm::to_vector(llvm::seq<unsigned>(0, getRank())),
      getValueLoop());
  if (failed(first) || failed(second))
    return refuse("a product has more or less than one loop that its scores or "
                  "weights lack");
  auto &[lhs, rhs, scoreLoops] = *first;
  bool isLhsKey = llvm::is_contained(lhs, keyLoop);
  if (isLhsKey == llvm::is_contained(rhs, keyLoop))
    return refuse("the loop that is reduced is not that of one operand of the "
                  "scores' product");
  queryLoops = isLhsKey ? rhs : lhs;
  keyLoops = isLhsKey ? lhs : rhs;
  query = scoreProduct.getDpsInputOperand(isLhsKey)->get();
  key = scoreProduct.getDpsInputOperand(!isLhsKey)->get();
  valueLoops = (*second)[1 - weights->getOperandNumber()];
  initLoops = (*second)[2];

  auto isIn = [](const Loops &loops, unsigned loop) {
    return llvm::is_contained(loops, loop);
  };
  if (!isIn(queryLoops, getFeatureLoop()) || !isIn(keyLoops, getFeatureLoop()))
    return refuse("the scores are not summed over a loop of both operands");
  if (isIn(initLoops, keyLoop) || !isIn(valueLoops, keyLoop))
    return refuse("the values are not summed over the loop that the softmax "
                  "reduces");
  if (!isIn(valueLoops, getValueLoop()) || !isIn(initLoops, getValueLoop()))
    return refuse("the values have no loop of their own");
  for (unsigned loop = 0; loop < getRank(); ++loop)
    if (loop != keyLoop && !isIn(initLoops, loop))
      return refuse("the values are summed over more than the keys");
  // Of several loops that only the queries have, that of the most iterations,
  // or the last of these in the scores.
  std::optional<unsigned> ownLoop;
  int64_t most = 0;
  auto scoreType = cast<RankedTensorType>(candidate.value.getType());
  for (auto [dim, loop] : llvm::enumerate(scoreLoops)) {
    int64_t size = scoreType.isDynamicDim(dim)
                       ? std::numeric_limits<int64_t>::max()
                       : scoreType.getDimSize(dim);
    if (isIn(queryLoops, loop) && !isIn(keyLoops, loop) &&
        !isIn(valueLoops, loop) && size >= most) {
      ownLoop = loop;
      most = size;
    }
  }
  if (!ownLoop)
    return refuse("no loop is of the queries alone");
  queryLoop = *ownLoop;

  Type elementType = getElementType(value);
  for (Value operand : {query, key, weights->get()})
    if (getElementType(operand) != elementType)
      return refuse("queries, keys, weights and values are of different types");
  if (!isa<Float32Type, BFloat16Type, Float16Type>(elementType))
    return refuse("it is not in f32, bf16 or f16");
  Type resultType = getElementType(product->getResult(0));
  if (resultType != elementType && !resultType.isF32())
    return refuse("its result is neither of the values' type nor f32");
  if (getElementType(scores.value).isF64())
    return refuse("its scores are f64");
  for (linalg::LinalgOp op : {scoreProduct, product})
    if (!isFilledWith(op.getDpsInitOperand(0)->get(), m_AnyZeroFloat()))
      return refuse("a product adds to what is not zero");
  return success();
}

/// Adds the elementwise ops that make `tensor` of the scores; returns whether
/// there are any, or it is the scores.
bool Attention::addScoreSteps(Value tensor) {
  if (tensor == scores.value) {
    steps.insert({scoreProduct, "scores"});
    return true;
  }
  Number element = {tensor,
                    Loops(cast<RankedTensorType>(tensor.getType()).getRank())};
  if (std::optional<Number> source = stripReshape(element)) {
    bool found = addScoreSteps(source->value);
    if (found)
      steps.insert({tensor.getDefiningOp(), "masked scores"});
    return found;
  }
  std::optional<Number> inside = enter(element);
  if (!inside)
    return false;
  bool found = false;
  for (BlockArgument argument : inside->op.getBlock()->getArguments())
    if (OpOperand *operand = getRead(inside->withValue(argument));
        operand && !argument.use_empty())
      found |= addScoreSteps(operand->get());
  if (found)
    steps.insert({inside->op, "masked scores"});
  return found;
}

LogicalResult Attention::checkUses(std::string &reason) {
  for (auto [op, name] : steps) {
    for (Operation *user : op->getUsers())
      if (user != product && !steps.contains(user)) {
        reason = ("its " + name + " are used elsewhere").str();
        return failure();
      }
  }
  return success();
}

LogicalResult Attention::match(std::string &reason) {
  if (!isInF32) {
    reason = "its softmax is not in f32";
    return failure();
  }
  if (maximumInit && !isFilledWith(maximumInit, m_NegInfFloat())) {
    reason = "its maxima do not begin with -inf";
    return failure();
  }
  if (sumInit && !isFilledWith(sumInit, m_AnyZeroFloat())) {
    reason = "its sums do not begin with zero";
    return failure();
  }
  SmallVector<Number> products;
  llvm::SetVector<Value> visited;
  findProducts(masked, products, visited);
  if (products.empty()) {
    reason = "its scores are no product";
    return failure();
  }
  // Of several the first that fits; else the first one's reason counts.
  auto fits = [&](const Number &candidate) {
    std::string why;
    LogicalResult result = matchProducts(candidate, why);
    if (reason.empty())
      reason = why;
    return succeeded(result);
  };
  if (llvm::none_of(products, fits))
    return failure();
  addScoreSteps(masked.value);
  return checkUses(reason);
}

//===----------------------------------------------------------------------===//
// The op
//===----------------------------------------------------------------------===//

/// Builds the region: the masked score of a score.
struct Attention::RegionBuilder {
  RewriterBase &rewriter;
  Attention &attention;
  AttentionOp op;
  /// Of each loop.
  ArrayRef<unsigned> positions;
  SmallVector<std::pair<Number, Value>> known = {};
  std::string reason = {};

  Value getIndex(unsigned loop) { return op.getIndexArgument(positions[loop]); }

  /// The element of a tensor, computed or read.
  Value getElement(const Number &element) {
    for (auto &[number, value] : known)
      if (number == element)
        return value;
    Value result = buildElement(element);
    if (result)
      known.push_back({element, result});
    return result;
  }

  Value buildElement(const Number &element) {
    Location loc = element.value.getLoc();
    if (element.value == attention.scores.value) {
      if (element.loops != attention.scores.loops) {
        reason = "a score is made of several";
        return {};
      }
      Value score = op.getScoreArgument();
      Type type = getElementType(element.value);
      if (type.isF32())
        return score;
      return arith::TruncFOp::create(rewriter, loc, type, score);
    }
    if (std::optional<Number> source = attention.stripReshape(element);
        source && attention.steps.contains(element.value.getDefiningOp()))
      return getElement(*source);
    std::optional<Number> inside = attention.enter(element);
    if (inside && attention.steps.contains(inside->op))
      return buildBody(*inside);
    SmallVector<Value> indices = llvm::map_to_vector(
        element.loops, [&](unsigned loop) { return getIndex(loop); });
    return tensor::ExtractOp::create(rewriter, loc, element.value, indices);
  }

  /// The body of an elementwise op.
  Value buildBody(const Number &yielded) {
    linalg::LinalgOp step = yielded.op;
    IRMapping mapping;
    for (BlockArgument argument : step.getBlock()->getArguments()) {
      if (argument.use_empty())
        continue;
      OpOperand *operand = getRead(yielded.withValue(argument));
      if (!operand) { // a number
        mapping.map(argument, step->getOperand(argument.getArgNumber()));
        continue;
      }
      std::optional<Loops> loops = getLoops(step, *operand, yielded.loops);
      if (!loops) {
        reason = "an operand of its masked scores is not read by an index for "
                 "each dimension";
        return {};
      }
      Value element = getElement({operand->get(), std::move(*loops)});
      if (!element)
        return {};
      mapping.map(argument, element);
    }
    for (Operation &inner : step.getBlock()->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        mapping.map(index.getResult(), getIndex(yielded.loops[index.getDim()]));
        continue;
      }
      if (inner.getNumRegions() || !isMemoryEffectFree(&inner)) {
        reason = ("its masked scores are computed by " +
                  inner.getName().getStringRef())
                     .str();
        return {};
      }
      rewriter.clone(inner, mapping);
    }
    return mapping.lookupOrDefault(yielded.value);
  }
};

LogicalResult Attention::replace(RewriterBase &rewriter, std::string &reason) {
  // Batch loops, queries, keys, features, and those of the values.
  Loops order;
  for (unsigned loop = 0; loop < getRank(); ++loop)
    if (loop != queryLoop && loop != keyLoop)
      order.push_back(loop);
  order.append({queryLoop, keyLoop, getFeatureLoop(), getValueLoop()});
  Loops positions(order.size());
  for (auto [position, loop] : llvm::enumerate(order))
    positions[loop] = position;
  SmallVector<AffineMap> maps;
  for (const Loops *loops : {&queryLoops, &keyLoops, &valueLoops, &initLoops})
    maps.push_back(AffineMap::getMultiDimMapWithTargets(
        order.size(),
        llvm::map_to_vector(*loops,
                            [&](unsigned loop) { return positions[loop]; }),
        rewriter.getContext()));

  rewriter.setInsertionPoint(product);
  Location loc = product.getLoc();
  // Only the init's shape matters.
  Value init = product.getDpsInitOperand(0)->get();
  auto type = cast<RankedTensorType>(init.getType());
  auto fill = init.getDefiningOp<linalg::FillOp>();
  if (fill)
    init = fill.getOutputs().front();
  else
    init = tensor::EmptyOp::create(rewriter, loc, type.getShape(),
                                   type.getElementType());
  auto op = AttentionOp::create(rewriter, loc, type,
                                rewriter.getAffineMapArrayAttr(maps), query,
                                key, value, init);
  SmallVector<Type> arguments(getRank() + 1, rewriter.getIndexType());
  arguments.front() = rewriter.getF32Type();
  rewriter.createBlock(&op.getScore(), {}, arguments,
                       SmallVector<Location>(arguments.size(), loc));
  RegionBuilder region{rewriter, *this, op, positions};
  Value score = region.getElement(masked);
  if (!score) {
    reason = region.reason;
    rewriter.eraseOp(op);
    if (!fill)
      rewriter.eraseOp(init.getDefiningOp());
    return failure();
  }
  YieldOp::create(rewriter, loc, extendToF32(rewriter, loc, score));

  llvm::SetVector<Operation *> maybeDead;
  for (OpOperand &operand : product->getOpOperands())
    if (Operation *producer = operand.get().getDefiningOp())
      maybeDead.insert(producer);
  rewriter.replaceOp(product, op.getResults());
  eraseDeadOps(rewriter, std::move(maybeDead));
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct RaiseAttention : structured::impl::RaiseAttentionBase<RaiseAttention> {
  void runOnOperation() override {
    // An attention replaces ops before its second product only.
    SmallVector<linalg::LinalgOp> products;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (isProduct(op) && Attention(op).matchSoftmax())
        products.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp product : products) {
      Attention attention(product);
      std::string reason;
      if (attention.matchSoftmax() && succeeded(attention.match(reason)) &&
          succeeded(attention.replace(rewriter, reason))) {
        ++numRaised;
        continue;
      }
      product->emitRemark("no attention: ") << reason;
      ++numRefused;
    }
  }
};
} // namespace
