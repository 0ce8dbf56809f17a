// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Kernels/Hopper.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

#include <array>

namespace structured {
#define GEN_PASS_DEF_BLASTTOHOPPER
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using LocBuilder = ImplicitLocOpBuilder;

static constexpr llvm::StringLiteral kTensorMap = "structuredCudaTensorMap3D";
static constexpr llvm::StringLiteral kMultiprocessors =
    "structuredCudaMultiprocessorCount";
static constexpr llvm::StringLiteral kKernels = "hopper";
/// structuredRtDType, and the runtime's numbers of swizzles.
static constexpr int64_t kF16 = 2, kBF16 = 3, kSwizzle128 = 3;

/// Why the kernel does not take the layer's operands; empty if it does.
static std::string getReason(BlastMatmulOp op) {
  if (op->getNumResults() != 0)
    return "its operands are not memrefs";
  for (Value operand : op->getOperands())
    if (auto type = cast<MemRefType>(operand.getType());
        !type.getLayout().isIdentity())
      return "an operand is not contiguous";
  for (Value factor : {op.getU(), op.getS()})
    if (!cast<MemRefType>(factor.getType()).hasStaticShape())
      return "its factors are tiled";
  return "";
}

static BlastProblem getProblem(BlastMatmulOp op) {
  return {cast<MemRefType>(op.getInput().getType()).getElementType(),
          op.getOutFeatures(),
          op.getInFeatures(),
          op.getBOut(),
          op.getBIn(),
          op.getRank()};
}

namespace {
/// Builds a function that launches a kernel on the buffers that it is given.
class LaunchBuilder {
public:
  LaunchBuilder(ModuleOp module, Location loc, StringRef name,
                ValueRange operands, Type elementType)
      : module(module), dtype(elementType.isBF16() ? kBF16 : kF16),
        b(loc, module.getContext()) {
    function = func::FuncOp::create(loc, name,
                                    b.getFunctionType(operands.getTypes(), {}));
    function.setPrivate();
    SymbolTable(module).insert(function);
    b.setInsertionPointToStart(function.addEntryBlock());
    Type pointer = LLVM::LLVMPointerType::get(b.getContext());
    SmallVector<Type> types{pointer, b.getI32Type()};
    types.append(5, b.getI64Type());
    types.append(4, b.getI32Type());
    encode = declare(kTensorMap, types, pointer);
  }

  Value getOperand(unsigned index) { return function.getArgument(index); }

  /// The address of a memref's first element, in device memory.
  Value getPointer(Value memref) {
    Value index = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
    Value number = arith::IndexCastOp::create(b, b.getI64Type(), index);
    return LLVM::IntToPtrOp::create(
        b, LLVM::LLVMPointerType::get(b.getContext()), number);
  }

  /// Dimension `dim` as an i64.
  Value getSize(Value memref, int64_t dim) {
    return b.createOrFold<arith::IndexCastOp>(
        b.getI64Type(), memref::DimOp::create(b, memref, dim));
  }

  /// The descriptor of an array of two-byte elements, innermost dimension
  /// first; strides are in elements.
  Value getTensorMap(Value memref, std::array<Value, 3> sizes,
                     std::array<Value, 2> strides, std::array<int64_t, 3> box) {
    SmallVector<Value> arguments{getPointer(memref), int32(dtype)};
    arguments.append(sizes.begin(), sizes.end());
    for (Value stride : strides)
      arguments.push_back(arith::MulIOp::create(b, stride, int64(2)));
    for (int64_t size : box)
      arguments.push_back(int32(size));
    arguments.push_back(int32(kSwizzle128));
    return func::CallOp::create(b, encode, arguments).getResult(0);
  }

  /// That of [blocks, T, r], as it is stored.
  Value getRanksMap(Value memref, std::array<int64_t, 3> box) {
    Value r = getSize(memref, 2), tokens = getSize(memref, 1);
    return getTensorMap(memref, {r, tokens, getSize(memref, 0)},
                        {r, arith::MulIOp::create(b, r, tokens)}, box);
  }

  /// Launches `kernel` on as many blocks as there are multiprocessors, or
  /// tiles: `tilesPerRow` for each `rows` of the `tokens` (i64), which are the
  /// last argument.
  void launch(gpu::GPUModuleOp kernels, const Kernel &kernel,
              SmallVector<Value> arguments, Value tokens, int64_t rows,
              int64_t tilesPerRow) {
    func::FuncOp count = declare(kMultiprocessors, {}, b.getI32Type());
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(b, value);
    };
    Value multiprocessors = arith::IndexCastOp::create(
        b, b.getIndexType(),
        func::CallOp::create(b, count, ValueRange()).getResult(0));
    Value all = arith::IndexCastOp::create(b, b.getIndexType(), tokens);
    Value tiles = arith::MulIOp::create(
        b, arith::CeilDivUIOp::create(b, all, index(rows)), index(tilesPerRow));
    Value blocks = arith::MinUIOp::create(b, multiprocessors, tiles);
    arguments.push_back(arith::TruncIOp::create(b, b.getI32Type(), tokens));
    Value one = index(1);
    auto symbol = SymbolRefAttr::get(
        kernels.getSymNameAttr(),
        {FlatSymbolRefAttr::get(b.getContext(), kernel.name)});
    gpu::LaunchFuncOp::create(b, symbol, gpu::KernelDim3{blocks, one, one},
                              gpu::KernelDim3{index(kernel.threads), one, one},
                              int32(kernel.sharedMemoryBytes), arguments);
    func::ReturnOp::create(b);
  }

  Value int64(int64_t value) {
    return arith::ConstantIntOp::create(b, value, 64);
  }
  Value int32(int64_t value) {
    return arith::ConstantIntOp::create(b, value, 32);
  }

  func::FuncOp function;

private:
  func::FuncOp declare(StringRef name, ArrayRef<Type> arguments, Type result) {
    if (auto declared = module.lookupSymbol<func::FuncOp>(name))
      return declared;
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto declared =
        func::FuncOp::create(builder, module.getLoc(), name,
                             builder.getFunctionType(arguments, result));
    declared.setPrivate();
    return declared;
  }

  ModuleOp module;
  int64_t dtype;
  LocBuilder b;
  func::FuncOp encode;
};

struct BlastToHopper : structured::impl::BlastToHopperBase<BlastToHopper> {
  using BlastToHopperBase::BlastToHopperBase;

  void runOnOperation() override {
    SmallVector<BlastMatmulOp> layers;
    getOperation().walk([&](BlastMatmulOp op) { layers.push_back(op); });
    for (BlastMatmulOp op : layers) {
      std::string reason = getReason(op);
      if (reason.empty())
        reason = lower(op);
      if (reason.empty())
        ++numLayers;
      else
        op->emitRemark("no Hopper kernel: ") << reason;
    }
  }

private:
  /// Lowers the layer, or says why it is left.
  std::string lower(BlastMatmulOp op) {
    BlastProblem problem = getProblem(op);
    int64_t size = cast<MemRefType>(op.getInput().getType()).getDimSize(0);
    std::optional<int64_t> tokens;
    if (!ShapedType::isDynamic(size))
      tokens = size;
    if (tokens && *tokens < minTokens)
      return "it has " + std::to_string(*tokens) + " tokens, fewer than " +
             std::to_string(minTokens);
    BlastMixSchedule schedule = getBlastMixSchedule(problem, tokens);
    bool isFused = std::max(problem.bIn, problem.bOut) <= maxFusedBlocks &&
                   !checkBlastMix(problem, schedule);
    if (!isFused)
      if (std::optional<std::string> reason = checkMix(problem))
        return *reason;

    LocBuilder b(op.getLoc(), op);
    Value z = allocateRanks(b, op, op.getBOut(), /*isZero=*/false);
    if (isFused) {
      SmallVector<Value> operands{op.getInput(), op.getVt(), op.getS(), z};
      call(b, "blast_stages12", operands, [&](StringRef name) {
        return launchStages12(op, problem, schedule, operands, name);
      });
    } else {
      Value y = allocateRanks(b, op, op.getBIn(), /*isZero=*/true);
      addBlastStage1(b, op, y);
      SmallVector<Value> operands{y, op.getS(), z};
      call(b, "blast_stage2", operands, [&](StringRef name) {
        return launchStage2(op, problem, operands, name);
      });
      memref::DeallocOp::create(b, y);
    }
    addBlastStage3(b, op, z);
    memref::DeallocOp::create(b, z);
    op.erase();
    return "";
  }

  /// Calls the function for such operands, which `create` makes.
  void call(LocBuilder &b, StringRef name, ValueRange operands,
            function_ref<func::FuncOp(StringRef)> create) {
    std::string key = name.str();
    llvm::raw_string_ostream stream(key);
    llvm::interleaveComma(operands.getTypes(), stream);
    func::FuncOp &function = functions[key];
    if (!function)
      function = create(name);
    func::CallOp::create(b, function, operands);
  }

  /// The module of the kernels; the name of the next one.
  gpu::GPUModuleOp getKernels(std::string &name) {
    ModuleOp module = getOperation();
    auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernels);
    if (!kernels) {
      OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
      module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                      builder.getUnitAttr());
      kernels = gpu::GPUModuleOp::create(builder, module.getLoc(), kKernels);
    }
    name +=
        std::to_string(llvm::range_size(kernels.getOps<LLVM::LLVMFuncOp>()));
    return kernels;
  }

  /// A function of X, Vt, S and Z.
  func::FuncOp launchStages12(BlastMatmulOp op, const BlastProblem &problem,
                              const BlastMixSchedule &schedule,
                              ValueRange operands, StringRef functionName) {
    std::string name = functionName.str() + "_";
    gpu::GPUModuleOp kernels = getKernels(name);
    Kernel kernel = buildBlastMix(kernels, name, problem, schedule);
    LaunchBuilder launch(getOperation(), op.getLoc(), functionName, operands,
                         problem.elementType);
    Value x = launch.getOperand(0), vt = launch.getOperand(1);
    Value tokens = launch.getSize(x, 0), bIn = launch.int64(problem.bIn);
    int64_t q = problem.n / problem.bIn;
    Value mapX = launch.getTensorMap(x, {launch.int64(q), tokens, bIn},
                                     {launch.int64(problem.n), launch.int64(q)},
                                     {64, schedule.tileM, 1});
    Value mapVt = launch.getTensorMap(
        vt, {launch.int64(q), launch.int64(problem.rank), bIn},
        {launch.int64(q), launch.int64(problem.rank * q)},
        {64, schedule.tileN, 1});
    Value mapZ = launch.getRanksMap(launch.getOperand(3), {64, 64, 1});
    launch.launch(kernels, kernel,
                  {mapX, mapVt, mapZ, launch.getPointer(launch.getOperand(2))},
                  tokens, schedule.tileM,
                  llvm::divideCeil(problem.rank, schedule.tileN));
    return launch.function;
  }

  /// A function of Y, S and Z.
  func::FuncOp launchStage2(BlastMatmulOp op, const BlastProblem &problem,
                            ValueRange operands, StringRef functionName) {
    std::string name = functionName.str() + "_";
    gpu::GPUModuleOp kernels = getKernels(name);
    Kernel kernel = buildMix(kernels, name, problem);
    LaunchBuilder launch(getOperation(), op.getLoc(), functionName, operands,
                         problem.elementType);
    int64_t rows = getMixRows(problem);
    Value y = launch.getOperand(0), z = launch.getOperand(2);
    launch.launch(kernels, kernel,
                  {launch.getRanksMap(y, {64, rows, problem.bIn}),
                   launch.getRanksMap(z, {64, rows, problem.bOut}),
                   launch.getPointer(launch.getOperand(1))},
                  launch.getSize(y, 1), rows,
                  llvm::divideCeil(problem.rank, 64));
    return launch.function;
  }

  llvm::StringMap<func::FuncOp> functions;
};
} // namespace
