// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "HopperLaunch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

static constexpr llvm::StringLiteral kTensorMap3 = "structuredCudaTensorMap3D";
static constexpr llvm::StringLiteral kTensorMap4 = "structuredCudaTensorMap4D";
static constexpr llvm::StringLiteral kMultiprocessors =
    "structuredCudaMultiprocessorCount";
static constexpr llvm::StringLiteral kKernels = "hopper";
static constexpr llvm::StringLiteral kScratch = "structuredCudaScratch";
static constexpr llvm::StringLiteral kNextLaunch = "structuredCudaNextLaunch";
/// Programmatic dependent launch, as a flag of a launch.
static constexpr int64_t kProgrammatic = 1;
/// structuredRtDType, and the runtime's numbers of swizzles.
static constexpr int64_t kF16 = 2, kBF16 = 3, kSwizzle128 = 3;

/// The module of the kernels for Hopper in `module`; completes `name`, of a
/// kernel that is added next, by its number.
static gpu::GPUModuleOp getHopperKernels(ModuleOp module, std::string &name) {
  auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernels);
  if (!kernels) {
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                    builder.getUnitAttr());
    kernels = gpu::GPUModuleOp::create(builder, module.getLoc(), kKernels);
  }
  name += std::to_string(llvm::range_size(kernels.getOps<LLVM::LLVMFuncOp>()));
  return kernels;
}

/// A function of the runtime's.
static func::FuncOp declare(ModuleOp module, StringRef name,
                            TypeRange arguments, TypeRange results) {
  if (auto declared = module.lookupSymbol<func::FuncOp>(name))
    return declared;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto declared =
      func::FuncOp::create(builder, module.getLoc(), name,
                           builder.getFunctionType(arguments, results));
  declared.setPrivate();
  return declared;
}

void structured::makeNextLaunchProgrammatic(ImplicitLocOpBuilder &b,
                                            ModuleOp module) {
  Value flags = arith::ConstantIntOp::create(b, kProgrammatic, 32);
  func::FuncOp next = declare(module, kNextLaunch, flags.getType(), {});
  func::CallOp::create(b, next, flags);
}

LaunchBuilder::LaunchBuilder(
    ModuleOp module, Location loc, StringRef name, ValueRange operands,
    Type elementType,
    function_ref<Kernel(gpu::GPUModuleOp kernels, StringRef name)> build)
    : module(module), dtype(elementType.isBF16() ? kBF16 : kF16),
      b(loc, module.getContext()) {
  std::string kernelName = name.str() + "_";
  kernels = getHopperKernels(module, kernelName);
  kernel = build(kernels, kernelName);
  function = func::FuncOp::create(loc, name,
                                  b.getFunctionType(operands.getTypes(), {}));
  function.setPrivate();
  SymbolTable(module).insert(function);
  b.setInsertionPointToStart(function.addEntryBlock());
}

Value LaunchBuilder::getPointer(Value memref) {
  Value index = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  Value number = arith::IndexCastOp::create(b, b.getI64Type(), index);
  auto type = cast<MemRefType>(memref.getType());
  auto [strides, offset] = type.getStridesAndOffset();
  if (offset != 0) {
    int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
    number = arith::AddIOp::create(b, number, int64(offset * bytes));
  }
  return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()),
                                  number);
}

Value LaunchBuilder::getSize(Value memref, int64_t dim) {
  return b.createOrFold<arith::IndexCastOp>(
      b.getI64Type(), memref::DimOp::create(b, memref, dim));
}

Value LaunchBuilder::getStride(Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (auto [strides, offset] = type.getStridesAndOffset();
      !ShapedType::isDynamic(strides[dim]))
    return int64(strides[dim]);
  Value stride = int64(1);
  for (int64_t inner = type.getRank() - 1; inner > dim; --inner)
    stride = arith::MulIOp::create(b, stride, getSize(memref, inner));
  return stride;
}

Value LaunchBuilder::getTensorMap(Value memref, ArrayRef<Value> sizes,
                                  ArrayRef<Value> strides,
                                  ArrayRef<int64_t> box) {
  StringRef name = sizes.size() == 3 ? kTensorMap3 : kTensorMap4;
  SmallVector<Value> arguments{getPointer(memref), int32(dtype)};
  arguments.append(sizes.begin(), sizes.end());
  for (Value stride : strides)
    arguments.push_back(arith::MulIOp::create(b, stride, int64(2)));
  for (int64_t size : box)
    arguments.push_back(int32(size));
  arguments.push_back(int32(kSwizzle128));
  func::FuncOp encode = declare(module, name, ValueRange(arguments).getTypes(),
                                arguments.front().getType());
  return func::CallOp::create(b, encode, arguments).getResult(0);
}

Value LaunchBuilder::getRanksMap(Value memref, int64_t rank,
                                 std::array<int64_t, 3> box) {
  Value pitch = getSize(memref, 2), tokens = getSize(memref, 1);
  return getTensorMap(memref, {int64(rank), tokens, getSize(memref, 0)},
                      {pitch, arith::MulIOp::create(b, pitch, tokens)}, box);
}

void LaunchBuilder::launch(SmallVector<Value> arguments, Value tokens,
                           int64_t rows, int64_t tilesPerRow,
                           std::optional<int64_t> maxBlocks) {
  func::FuncOp count = declare(module, kMultiprocessors, {}, b.getI32Type());
  Value multiprocessors = arith::IndexCastOp::create(
      b, b.getIndexType(),
      func::CallOp::create(b, count, ValueRange()).getResult(0));
  Value blocks = arith::MinUIOp::create(b, multiprocessors,
                                        countTiles(tokens, rows, tilesPerRow));
  if (maxBlocks)
    blocks = arith::MinUIOp::create(b, blocks, index(*maxBlocks));
  arguments.push_back(toInt32(tokens));
  launch(arguments, blocks);
}

void LaunchBuilder::launchTiles(SmallVector<Value> arguments, Value tokens,
                                int64_t rows, int64_t tilesPerRow) {
  Value blocks = countTiles(tokens, rows, tilesPerRow);
  arguments.push_back(toInt32(tokens));
  makeNextLaunchProgrammatic(b, module);
  launch(arguments, blocks);
}

Value LaunchBuilder::countTiles(Value tokens, int64_t rows,
                                int64_t tilesPerRow) {
  Value all = arith::IndexCastOp::create(b, b.getIndexType(), tokens);
  return arith::MulIOp::create(
      b, arith::CeilDivUIOp::create(b, all, index(rows)), index(tilesPerRow));
}

Value LaunchBuilder::getScratch(int64_t bytes, int64_t blocks) {
  int64_t number = 0;
  module.walk(
      [&](func::CallOp call) { number += call.getCallee() == kScratch; });
  SmallVector<Value> arguments{int64(number), int64(bytes), int32(blocks)};
  func::FuncOp scratch =
      declare(module, kScratch, ValueRange(arguments).getTypes(),
              LLVM::LLVMPointerType::get(b.getContext()));
  return func::CallOp::create(b, scratch, arguments).getResult(0);
}

void LaunchBuilder::launch(ArrayRef<Value> arguments, int64_t blocks,
                           bool isProgrammatic) {
  if (isProgrammatic)
    makeNextLaunchProgrammatic(b, module);
  launch(arguments, index(blocks));
}

void LaunchBuilder::launch(ValueRange arguments, Value blocks) {
  Value one = index(1);
  auto symbol =
      SymbolRefAttr::get(kernels.getSymNameAttr(),
                         {FlatSymbolRefAttr::get(b.getContext(), kernel.name)});
  gpu::LaunchFuncOp::create(b, symbol, gpu::KernelDim3{blocks, one, one},
                            gpu::KernelDim3{index(kernel.threads), one, one},
                            int32(kernel.sharedMemoryBytes), arguments);
  func::ReturnOp::create(b);
}

Value LaunchBuilder::toInt32(Value number) {
  return arith::TruncIOp::create(b, b.getI32Type(), number);
}
Value LaunchBuilder::toInt64(Value index) {
  return arith::IndexCastOp::create(b, b.getI64Type(), index);
}
Value LaunchBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}
Value LaunchBuilder::int64(int64_t value) {
  return arith::ConstantIntOp::create(b, value, 64);
}
Value LaunchBuilder::int32(int64_t value) {
  return arith::ConstantIntOp::create(b, value, 32);
}

void LaunchFunctions::call(ImplicitLocOpBuilder &b, StringRef name,
                           ValueRange operands,
                           function_ref<func::FuncOp(StringRef)> create) {
  std::string key = name.str();
  llvm::raw_string_ostream stream(key);
  llvm::interleaveComma(operands.getTypes(), stream);
  func::FuncOp &function = functions[key];
  if (!function)
    function = create(name);
  func::CallOp::create(b, function, operands);
}
