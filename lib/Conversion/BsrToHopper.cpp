// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "HopperLaunch.h"
#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace structured {
#define GEN_PASS_DEF_BSRTOHOPPER
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using LocBuilder = ImplicitLocOpBuilder;

static bool isContiguous(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getLayout().isIdentity();
}

/// Tiles of as many columns as the panels have rows, in as many stages as fit.
static GemmSchedule getSchedule(const BlockSparseGemmProblem &problem,
                                int64_t width) {
  GemmSchedule schedule;
  schedule.tileN = width;
  schedule.groupM = 8;
  schedule.stages = 6;
  while (schedule.stages > 2 && getBlockSparseGemmSharedMemory(
                                    problem, schedule) > kHopperSharedMemory)
    --schedule.stages;
  return schedule;
}

static BlockSparseGemmProblem getProblem(BsrMatmulOp op) {
  BlockSparseGemmProblem problem;
  problem.elementType = getElementTypeOrSelf(op.getValues());
  problem.n = cast<MemRefType>(op.getInit().getType()).getDimSize(1);
  return problem;
}

static int64_t getWidth(BsrMatmulOp op) {
  return cast<MemRefType>(op.getValues().getType()).getDimSize(1);
}

/// Why there is no kernel for the product; empty if there is one.
static std::string getReason(BsrMatmulOp op) {
  if (op->getNumResults() != 0)
    return "its operands are not memrefs";
  int64_t columns = cast<MemRefType>(op.getValues().getType()).getDimSize(2);
  if (columns != kSparseBlockColumns)
    return "its blocks have " + std::to_string(columns) + " columns, not " +
           std::to_string(kSparseBlockColumns);
  int64_t in = cast<MemRefType>(op.getInput().getType()).getDimSize(1);
  if (in % 8)
    return "its " + std::to_string(in) +
           " input features are not a multiple of 8";
  BlockSparseGemmProblem problem = getProblem(op);
  if (std::optional<std::string> reason =
          checkBlockSparseGemm(problem, getSchedule(problem, getWidth(op))))
    return *reason;
  for (Value constant : SmallVector<Value>{op.getValues(), op.getPositions(),
                                           op.getCoordinates(), op.getOrder()})
    if (!isContiguous(constant))
      return "its matrix is not contiguous";
  return "";
}

/// Whether the buffer, which is no view, is no other one by another name.
static bool isDistinct(Value buffer) {
  return isa<BlockArgument>(buffer) || buffer.getDefiningOp<memref::AllocOp>();
}

/// The product that makes the input of `op`, if one kernel can take both: of as
/// wide panels and adding to zeros, which are left out then. Its result must be
/// used by `op` alone, and its input may be read as late as `op` is.
static BsrMatmulOp takeFirst(BsrMatmulOp op) {
  auto y = op.getInput().getDefiningOp<memref::AllocOp>();
  if (!y || !y.getType().hasStaticShape())
    return {};
  BsrMatmulOp first;
  for (OpOperand &use : y->getUses()) {
    auto product = dyn_cast<BsrMatmulOp>(use.getOwner());
    if (&use == &op.getInputMutable() ||
        isa<memref::DeallocOp, linalg::FillOp>(use.getOwner()))
      continue;
    if (!product || first || &use != &product.getInitMutable())
      return {};
    first = product;
  }
  if (!first || first->getBlock() != op->getBlock() ||
      !first->isBeforeInBlock(op) || !getReason(first).empty())
    return {};
  BlockSparseGemmProblem problem = getProblem(op);
  problem.ranks = getProblem(first).n;
  if (getWidth(first) != getWidth(op) ||
      checkBlockSparseGemm(problem, getSchedule(problem, getWidth(op))))
    return {};
  Value x = getBaseBuffer(first.getInput());
  Value result = getBaseBuffer(op.getInit());
  if (x == result || !isDistinct(x) || !isDistinct(result))
    return {};
  for (Operation *between = first->getNextNode(); between != op;
       between = between->getNextNode())
    if (!isMemoryEffectFree(between) && mayTouch(between, x))
      return {};
  return takeZeroFill(y, first) ? first : BsrMatmulOp();
}

namespace {
struct BsrToHopper : structured::impl::BsrToHopperBase<BsrToHopper> {
  void runOnOperation() override {
    // Nothing is kept of a module that the pass has run on before.
    functions = {};
    SmallVector<BsrMatmulOp> products;
    getOperation().walk([&](BsrMatmulOp op) { products.push_back(op); });
    // A product is looked at before those that make its input.
    llvm::SmallPtrSet<Operation *, 8> lowered;
    for (BsrMatmulOp op : llvm::reverse(products)) {
      if (lowered.contains(op))
        continue;
      std::string reason = getReason(op);
      if (!reason.empty()) {
        op->emitRemark("no Hopper kernel: ") << reason;
        continue;
      }
      BsrMatmulOp first = takeFirst(op);
      lower(op, first);
      ++numProducts;
      op.erase();
      if (!first)
        continue;
      ++numProducts;
      ++numPairs;
      lowered.insert(first);
      first.erase();
    }
  }

private:
  /// Adds the call for the product, or for the two, before it.
  void lower(BsrMatmulOp op, BsrMatmulOp first) {
    LocBuilder b(op.getLoc(), op);
    BlockSparseGemmProblem problem = getProblem(op);
    Value x = first ? first.getInput() : op.getInput(), result = op.getInit();
    SmallVector<Value> copies;
    if (!isContiguous(x))
      copies.push_back(x = copy(b, x));
    problem.accumulates = !takeZeroFill(result, op);
    if (!isContiguous(result))
      copies.push_back(result = copy(b, result));
    SmallVector<Value> operands{x};
    std::string name = "bsr_matmul";
    if (first) {
      addMatrix(operands, first);
      operands.push_back(op.getInput());
      problem.ranks = getProblem(first).n;
      name += "_pair";
    }
    addMatrix(operands, op);
    operands.push_back(result);
    if (problem.accumulates)
      name += "_add";
    GemmSchedule schedule = getSchedule(problem, getWidth(op));
    functions.call(b, name, operands, [&](StringRef name) {
      return launch(op.getLoc(), problem, schedule, operands, name);
    });
    if (result != op.getInit())
      memref::CopyOp::create(b, result, op.getInit());
    for (Value buffer : copies)
      memref::DeallocOp::create(b, buffer);
  }

  static void addMatrix(SmallVector<Value> &operands, BsrMatmulOp op) {
    operands.append({op.getValues(), op.getPositions(), op.getCoordinates(),
                     op.getOrder()});
  }

  /// A contiguous copy of the matrix.
  static Value copy(LocBuilder &b, Value matrix) {
    auto type = cast<MemRefType>(matrix.getType());
    SmallVector<Value> tokens;
    if (type.isDynamicDim(0))
      tokens.push_back(memref::DimOp::create(b, matrix, int64_t(0)));
    Value buffer = memref::AllocOp::create(
        b, MemRefType::get(type.getShape(), type.getElementType()), tokens);
    memref::CopyOp::create(b, matrix, buffer);
    return buffer;
  }

  /// A function of an input and, for each product, of the values, their tables
  /// and the result, which is the next product's input.
  func::FuncOp launch(Location loc, const BlockSparseGemmProblem &problem,
                      const GemmSchedule &schedule, ValueRange operands,
                      StringRef functionName) {
    LaunchBuilder launch(
        getOperation(), loc, functionName, operands, problem.elementType,
        [&](gpu::GPUModuleOp kernels, StringRef name) {
          return buildBlockSparseGemm(kernels, name, problem, schedule);
        });
    Value tokens = launch.getSize(launch.getOperand(0), 0);
    Value one = launch.int64(1);
    auto getMatrixMap = [&](Value matrix, std::array<int64_t, 3> box) {
      Value columns = launch.getSize(matrix, 1);
      // There is but one matrix; its stride is that of a row.
      return launch.getTensorMap(matrix, {columns, tokens, one},
                                 {columns, columns}, box);
    };
    Value columns = launch.int64(kSparseBlockColumns);
    SmallVector<Value> arguments;
    unsigned last = operands.size() - 1;
    for (unsigned i = 0; i < last; i += 5) {
      Value values = launch.getOperand(i + 1);
      Value mapValues = launch.getTensorMap(
          values,
          {columns, launch.int64(schedule.tileN), launch.getSize(values, 0)},
          {columns, launch.int64(schedule.tileN * kSparseBlockColumns)},
          {kSparseBlockColumns, schedule.tileN, 1});
      arguments.append({getMatrixMap(launch.getOperand(i),
                                     {kSparseBlockColumns, schedule.tileM, 1}),
                        mapValues,
                        getMatrixMap(launch.getOperand(i + 5), {64, 64, 1})});
      for (unsigned table = i + 2; table < i + 5; ++table)
        arguments.push_back(launch.getPointer(launch.getOperand(table)));
    }
    // With two products the number of tokens is known.
    auto inputType = cast<MemRefType>(operands.front().getType());
    int64_t rows = problem.ranks ? inputType.getDimSize(0) : 0;
    arguments.push_back(launch.getPointer(launch.getOperand(last)));
    arguments.push_back(
        launch.getScratch(getBlockSparseGemmScratch(problem, schedule, rows)));
    launch.launch(arguments, tokens, schedule.tileM,
                  getBlockSparseGemmTilesPerRow(problem, schedule));
    return launch.function;
  }

  LaunchFunctions functions;
};
} // namespace
