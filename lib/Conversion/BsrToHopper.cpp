// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "HopperLaunch.h"
#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

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
  schedule.stages = 6;
  while (schedule.stages > 2 && getBlockSparseGemmSharedMemory(
                                    problem, schedule) > kHopperSharedMemory)
    --schedule.stages;
  return schedule;
}

namespace {
struct BsrToHopper : structured::impl::BsrToHopperBase<BsrToHopper> {
  void runOnOperation() override {
    SmallVector<BsrMatmulOp> products;
    getOperation().walk([&](BsrMatmulOp op) { products.push_back(op); });
    for (BsrMatmulOp op : products) {
      std::string reason = lower(op);
      if (reason.empty())
        ++numProducts;
      else
        op->emitRemark("no Hopper kernel: ") << reason;
    }
  }

private:
  /// Lowers the product, or says why it is left.
  std::string lower(BsrMatmulOp op) {
    if (op->getNumResults() != 0)
      return "its operands are not memrefs";
    auto valuesType = cast<MemRefType>(op.getValues().getType());
    int64_t in = cast<MemRefType>(op.getInput().getType()).getDimSize(1);
    BlockSparseGemmProblem problem;
    problem.elementType = valuesType.getElementType();
    problem.n = cast<MemRefType>(op.getInit().getType()).getDimSize(1);
    GemmSchedule schedule = getSchedule(problem, valuesType.getDimSize(1));
    if (valuesType.getDimSize(2) != kSparseBlockColumns)
      return "its blocks have " + std::to_string(valuesType.getDimSize(2)) +
             " columns, not " + std::to_string(kSparseBlockColumns);
    if (in % 8)
      return "its " + std::to_string(in) +
             " input features are not a multiple of 8";
    if (std::optional<std::string> reason =
            checkBlockSparseGemm(problem, schedule))
      return *reason;
    for (Value constant :
         SmallVector<Value>{op.getValues(), op.getPositions(),
                            op.getCoordinates(), op.getOrder()})
      if (!isContiguous(constant))
        return "its matrix is not contiguous";

    LocBuilder b(op.getLoc(), op);
    Value x = op.getInput(), result = op.getInit();
    SmallVector<Value> copies;
    if (!isContiguous(x))
      copies.push_back(x = copy(b, x));
    problem.accumulates = !takeZeroFill(result, op);
    if (!isContiguous(result))
      copies.push_back(result = copy(b, result));
    SmallVector<Value> operands{x,
                                op.getValues(),
                                op.getPositions(),
                                op.getCoordinates(),
                                op.getOrder(),
                                result};
    functions.call(b, problem.accumulates ? "bsr_matmul_add" : "bsr_matmul",
                   operands, [&](StringRef name) {
                     return launch(op, problem, schedule, operands, name);
                   });
    if (result != op.getInit())
      memref::CopyOp::create(b, result, op.getInit());
    for (Value buffer : copies)
      memref::DeallocOp::create(b, buffer);
    op.erase();
    return "";
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

  /// A function of the input, the values and their tables, and the result.
  func::FuncOp launch(BsrMatmulOp op, const BlockSparseGemmProblem &problem,
                      const GemmSchedule &schedule, ValueRange operands,
                      StringRef functionName) {
    std::string name = functionName.str() + "_";
    gpu::GPUModuleOp kernels = getHopperKernels(getOperation(), name);
    Kernel kernel = buildBlockSparseGemm(kernels, name, problem, schedule);
    LaunchBuilder launch(getOperation(), op.getLoc(), functionName, operands,
                         problem.elementType);
    Value x = launch.getOperand(0), values = launch.getOperand(1);
    Value result = launch.getOperand(5);
    Value tokens = launch.getSize(x, 0), one = launch.int64(1);
    auto getMatrixMap = [&](Value matrix, std::array<int64_t, 3> box) {
      Value columns = launch.getSize(matrix, 1);
      // There is but one matrix; its stride is that of a row.
      return launch.getTensorMap(matrix, {columns, tokens, one},
                                 {columns, columns}, box);
    };
    Value columns = launch.int64(kSparseBlockColumns);
    Value mapValues = launch.getTensorMap(
        values,
        {columns, launch.int64(schedule.tileN), launch.getSize(values, 0)},
        {columns, launch.int64(schedule.tileN * kSparseBlockColumns)},
        {kSparseBlockColumns, schedule.tileN, 1});
    launch.launch(kernels, kernel,
                  {getMatrixMap(x, {kSparseBlockColumns, schedule.tileM, 1}),
                   mapValues, getMatrixMap(result, {64, 64, 1}),
                   launch.getPointer(result),
                   launch.getPointer(launch.getOperand(2)),
                   launch.getPointer(launch.getOperand(3)),
                   launch.getPointer(launch.getOperand(4))},
                  tokens, schedule.tileM,
                  cast<MemRefType>(op.getOrder().getType()).getDimSize(0));
    return launch.function;
  }

  LaunchFunctions functions;
};
} // namespace
