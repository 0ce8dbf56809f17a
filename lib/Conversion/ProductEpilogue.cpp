// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ProductEpilogue.h"

#include "LayerContractions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace structured;

/// What the op's body yields for these numbers, one for each input; nullopt if
/// it has ops that are none of scalar functions, or rounds before its end.
static std::optional<double> evaluate(linalg::GenericOp op,
                                      ArrayRef<double> inputs) {
  llvm::DenseMap<Value, double> numbers;
  for (auto [argument, number] :
       llvm::zip(op.getBody()->getArguments(), inputs))
    numbers[argument] = number;
  auto get = [&](Value value) -> std::optional<double> {
    FloatAttr constant;
    if (matchPattern(value, m_Constant(&constant)))
      return constant.getValueAsDouble();
    APInt integer;
    if (matchPattern(value, m_ConstantInt(&integer)))
      return integer.signedRoundToDouble();
    auto it = numbers.find(value);
    if (it == numbers.end())
      return std::nullopt;
    return it->second;
  };
  Operation *yield = op.getBody()->getTerminator();
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    SmallVector<double> x;
    for (Value operand : inner.getOperands()) {
      std::optional<double> number = get(operand);
      if (!number)
        return std::nullopt;
      x.push_back(*number);
    }
    using Number = std::optional<double>;
    Number result =
        llvm::TypeSwitch<Operation *, Number>(&inner)
            .Case<arith::AddFOp>([&](auto) { return x[0] + x[1]; })
            .Case<arith::SubFOp>([&](auto) { return x[0] - x[1]; })
            .Case<arith::MulFOp>([&](auto) { return x[0] * x[1]; })
            .Case<arith::DivFOp>([&](auto) { return x[0] / x[1]; })
            .Case<arith::NegFOp>([&](auto) { return -x[0]; })
            .Case<arith::MaximumFOp, arith::MaxNumFOp>(
                [&](auto) { return std::max(x[0], x[1]); })
            .Case<arith::MinimumFOp, arith::MinNumFOp>(
                [&](auto) { return std::min(x[0], x[1]); })
            .Case<math::TanhOp>([&](auto) { return std::tanh(x[0]); })
            .Case<math::ErfOp>([&](auto) { return std::erf(x[0]); })
            .Case<math::ExpOp>([&](auto) { return std::exp(x[0]); })
            .Case<math::PowFOp, math::FPowIOp>(
                [&](auto) { return std::pow(x[0], x[1]); })
            .Case<arith::ExtFOp>([&](auto) { return x[0]; })
            .Case<arith::TruncFOp>([&](auto truncate) -> Number {
              if (truncate.getResult() != yield->getOperand(0))
                return std::nullopt;
              return x[0];
            })
            .Default([](auto) { return std::nullopt; });
    if (!result)
      return std::nullopt;
    numbers[inner.getResult(0)] = *result;
  }
  return get(yield->getOperand(0));
}

/// Numbers at which functions of one variable are told from each other. GELU by
/// tanh and by erf are farthest apart near 2.
static constexpr double kSamples[] = {
    -1e30, -1e5,  -40,  -9,    -6.1, -4.7, -3.3, -2.6, -2.3, -2.0, -1.3,
    -0.7,  -0.31, -0.1, -1e-3, 0.,   1e-3, 0.13, 0.29, 0.8,  1.1,  1.7,
    2.1,   2.4,   2.9,  3.6,   5.2,  8.,   11.,  50.,  1e5,  1e30};

/// Whether the op's body is `function` of the sum of its inputs, with an error
/// of at most `tolerance` times the sum's or 1.
static bool isFunctionOfSum(linalg::GenericOp op,
                            llvm::function_ref<double(double)> function,
                            double tolerance) {
  unsigned count = op.getNumDpsInputs();
  for (double sample : kSamples)
    for (double first : {0., 0.625, -3.5}) {
      SmallVector<double> inputs(count, sample);
      if (count == 2)
        inputs[0] = first;
      double sum = count == 2 ? inputs[0] + inputs[1] : inputs[0];
      std::optional<double> result = evaluate(op, inputs);
      // A difference that is no number is none.
      if (!result || !(std::abs(*result - function(sum)) <=
                       tolerance * std::max(1., std::abs(sum))))
        return false;
    }
  return true;
}

static double computeGelu(double x) {
  return 0.5 * x *
         (1 + std::tanh(std::sqrt(2 / llvm::numbers::pi) *
                        (x + 0.044715 * x * x * x)));
}
static double computeErfGelu(double x) {
  return 0.5 * x * (1 + std::erf(x / std::sqrt(2.)));
}
static double computeSilu(double x) { return x / (1 + std::exp(-x)); }

/// Constants of f32 in the body leave an error of this order.
static constexpr double kTolerance = 1e-6;

/// The function of the sum of its inputs that the op's body is; on failure
/// `reason` says why if it is a known one.
static std::optional<Activation> matchBody(linalg::GenericOp op,
                                           std::string &reason) {
  if (isFunctionOfSum(op, [](double x) { return x; }, 0))
    return Activation::None;
  if (isFunctionOfSum(op, [](double x) { return std::max(x, 0.); }, 0))
    return Activation::Relu;
  if (isFunctionOfSum(op, computeGelu, kTolerance)) {
    if (!getElementTypeOrSelf(op.getOutputs()[0]).isF32())
      return Activation::Gelu;
    reason = "cuBLASLt's GELU has errors of up to 5.4e-6, too much for f32";
    return std::nullopt;
  }
  if (isFunctionOfSum(op, computeErfGelu, kTolerance))
    reason = "cuBLASLt's GELU is that by tanh, which differs from GELU by erf "
             "by up to 4.7e-4";
  else if (isFunctionOfSum(op, computeSilu, kTolerance))
    reason = "cuBLASLt has no SiLU";
  return std::nullopt;
}

/// How many of the last dimensions of `type` have `size` elements together; 0
/// if none.
static int64_t countTrailing(MemRefType type, int64_t size) {
  int64_t count = 0, product = 1;
  for (int64_t extent : llvm::reverse(type.getShape())) {
    if (ShapedType::isDynamic(extent))
      return 0;
    ++count;
    product *= extent;
    if (product == size)
      return count;
  }
  return 0;
}

static std::optional<ProductEpilogue> match(linalg::GenericOp op, Value result,
                                            std::string &reason) {
  ProductEpilogue epilogue;
  epilogue.op = op;
  unsigned inputs = op.getNumDpsInputs();
  if (!op.hasPureBufferSemantics() || inputs < 1 || inputs > 2 ||
      op.getNumDpsInits() != 1 || op.getNumReductionLoops() != 0)
    return std::nullopt;
  OpOperand *out = op.getDpsInitOperand(0);
  // Of all of the result, in place.
  if (getWholeBuffer(out->get()) != getWholeBuffer(result) ||
      !op.getMatchingIndexingMap(out).isIdentity())
    return std::nullopt;
  for (unsigned x = 0; x < inputs; ++x) {
    OpOperand *in = op.getDpsInputOperand(x);
    if (in->get() != out->get() || !op.getMatchingIndexingMap(in).isIdentity())
      continue;
    if (inputs == 2) {
      OpOperand *bias = op.getDpsInputOperand(1 - x);
      auto type = dyn_cast<MemRefType>(bias->get().getType());
      AffineMap map = op.getMatchingIndexingMap(bias);
      unsigned loops = op.getNumLoops();
      if (!type || type.getRank() != 1 || !type.hasStaticShape() ||
          !type.getLayout().isIdentity() ||
          type.getElementType() != getElementTypeOrSelf(out->get()) ||
          !map.getResult(0).isFunctionOfDim(loops - 1) ||
          !isa<AffineDimExpr>(map.getResult(0)))
        continue;
      epilogue.bias = bias->get();
      epilogue.biasDims =
          countTrailing(cast<MemRefType>(result.getType()), type.getDimSize(0));
      if (epilogue.biasDims == 0)
        continue;
    }
    std::optional<Activation> activation = matchBody(op, reason);
    if (!activation || (!epilogue.bias && *activation == Activation::None))
      return std::nullopt;
    epilogue.activation = *activation;
    return epilogue;
  }
  return std::nullopt;
}

std::optional<ProductEpilogue>
structured::findEpilogue(DestinationStyleOpInterface product,
                         std::string &reason) {
  Value result = product.getDpsInits()[0];
  Value base = getBaseBuffer(result);
  std::optional<ProductEpilogue> epilogue;
  for (Operation *after = product->getNextNode(); after && !epilogue;
       after = after->getNextNode()) {
    if (isa<ViewLikeOpInterface>(after) || isMemoryEffectFree(after) ||
        !mayTouch(after, base))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(after);
    if (!generic)
      return std::nullopt;
    epilogue = match(generic, result, reason);
    if (!epilogue)
      return std::nullopt;
  }
  if (!epilogue || !epilogue->bias)
    return epilogue;
  // The bias is read earlier: it is there, and nothing writes it meanwhile.
  Value biasBase = getBaseBuffer(epilogue->bias);
  if (epilogue->bias != biasBase || biasBase == base)
    return std::nullopt;
  if (Operation *definition = biasBase.getDefiningOp())
    if (definition->getBlock() == product->getBlock() &&
        !definition->isBeforeInBlock(product))
      return std::nullopt;
  for (Operation *between = product->getNextNode(); between != epilogue->op;
       between = between->getNextNode())
    if (!isa<ViewLikeOpInterface>(between) && !isMemoryEffectFree(between) &&
        mayTouch(between, biasBase))
      return std::nullopt;
  return epilogue;
}
