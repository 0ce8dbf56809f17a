// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/TypeSwitch.h"

namespace structured {
#define GEN_PASS_DEF_MATHTONVVM
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// LLVM's intrinsic for `op` that the NVPTX back end has instructions for;
/// empty: none.
static StringRef getIntrinsic(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case<math::FmaOp>([](auto) { return "llvm.fma"; })
      .Case<math::SqrtOp, math::RsqrtOp>([](auto) { return "llvm.sqrt"; })
      .Case<math::AbsFOp>([](auto) { return "llvm.fabs"; })
      .Case<math::CeilOp>([](auto) { return "llvm.ceil"; })
      .Case<math::FloorOp>([](auto) { return "llvm.floor"; })
      .Case<math::TruncOp>([](auto) { return "llvm.trunc"; })
      .Case<math::RoundEvenOp>([](auto) { return "llvm.roundeven"; })
      .Case<math::CopySignOp>([](auto) { return "llvm.copysign"; })
      .Default([](Operation *) { return ""; });
}

/// Square roots and roundings are instructions for f32 and f64 only.
static bool isNarrow(Type type) {
  return isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32;
}

static Value callIntrinsic(ImplicitLocOpBuilder &b, StringRef name,
                           ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, operands.front().getType(),
                                       b.getStringAttr(name), operands)
      .getResult(0);
}

/// exp of an f32 (the pass's description has the method).
static Value createExp(ImplicitLocOpBuilder &b, Value x) {
  auto constant = [&](float value) -> Value {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  };
  auto fma = [&](Value x, Value y, Value z) {
    return callIntrinsic(b, "llvm.fma", {x, y, z});
  };
  // log2(e) as the sum of two numbers, and ln(2).
  constexpr float log2E = 1.44269502f, log2ERest = 1.92596303e-8f;
  constexpr float ln2 = 0.693147182f;
  // Beyond these exp is 0 and infinite. Infinities would give NaN.
  constexpr float least = -104.0f, largest = 89.0f;
  x = arith::MaximumFOp::create(b, x, constant(least));
  x = arith::MinimumFOp::create(b, x, constant(largest));
  Value t = arith::MulFOp::create(b, x, constant(log2E));
  Value rest = fma(x, constant(log2E), arith::NegFOp::create(b, t));
  rest = fma(x, constant(log2ERest), rest);
  Value delta = arith::MulFOp::create(b, rest, constant(ln2));
  Value power = callIntrinsic(b, "llvm.nvvm.ex2.approx.ftz.f32", t);
  return fma(power, delta, power);
}

namespace {
struct MathToNvvm : structured::impl::MathToNvvmBase<MathToNvvm> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(lower(op)))
        return signalPassFailure();
    // After the functions, which may have quotients.
    getOperation()->walk([&](arith::DivFOp op) {
      if (!op.getType().isF32())
        return;
      ImplicitLocOpBuilder b(op.getLoc(), op);
      op.replaceAllUsesWith(
          callIntrinsic(b, "llvm.nvvm.div.full", op.getOperands()));
      op.erase();
      ++numLowered;
    });
  }

  LogicalResult lower(Operation *op) {
    ImplicitLocOpBuilder b(op->getLoc(), op);
    Type type = op->getResultTypes().front();
    if (isa<math::AbsIOp, math::CountLeadingZerosOp, math::CountTrailingZerosOp,
            math::CtPopOp>(op))
      return success(); // convert-math-to-llvm's
    StringRef intrinsic = getIntrinsic(op);
    Type computed = isNarrow(type) ? Type(b.getF32Type()) : type;
    bool isExp = isa<math::ExpOp>(op) && computed.isF32();
    if ((intrinsic.empty() && !isExp) || !isa<FloatType>(type))
      return refuse(op);
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(computed == type
                             ? operand
                             : arith::ExtFOp::create(b, computed, operand));
    Value result = isExp ? createExp(b, operands.front())
                         : callIntrinsic(b, intrinsic, operands);
    if (isa<math::RsqrtOp>(op)) {
      Value one = arith::ConstantOp::create(b, b.getFloatAttr(computed, 1.0));
      result = arith::DivFOp::create(b, one, result);
    }
    if (computed != type)
      result = arith::TruncFOp::create(b, type, result);
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
    ++numLowered;
    return success();
  }

  static LogicalResult refuse(Operation *op) {
    return op->emitError("'")
           << op->getName() << "' on " << op->getResultTypes().front()
           << " has no code for NVIDIA GPUs here";
  }
};
} // namespace
