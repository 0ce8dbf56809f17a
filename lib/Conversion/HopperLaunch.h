// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Launches of the kernels for Hopper (Structured/Kernels/Hopper.h) on memrefs.

#ifndef STRUCTURED_LIB_CONVERSION_HOPPERLAUNCH_H
#define STRUCTURED_LIB_CONVERSION_HOPPERLAUNCH_H

#include "Structured/Kernels/Hopper.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"

#include <array>

namespace structured {

/// Lets the kernel that is launched next begin before the one in front of it
/// has ended (programmatic dependent launch).
void makeNextLaunchProgrammatic(mlir::ImplicitLocOpBuilder &b,
                                mlir::ModuleOp module);

/// Builds a kernel, and a function that launches it on the buffers that it is
/// given.
class LaunchBuilder {
public:
  /// `build` adds the kernel, by the name that it is given, to the module of
  /// the kernels for Hopper in `module`.
  LaunchBuilder(mlir::ModuleOp module, mlir::Location loc, llvm::StringRef name,
                mlir::ValueRange operands, mlir::Type elementType,
                llvm::function_ref<Kernel(mlir::gpu::GPUModuleOp kernels,
                                          llvm::StringRef name)>
                    build);

  mlir::Value getOperand(unsigned index) { return function.getArgument(index); }

  /// The address of a memref's first element, in device memory. Its offset
  /// must be static.
  mlir::Value getPointer(mlir::Value memref);

  /// Dimension `dim` as an i64.
  mlir::Value getSize(mlir::Value memref, int64_t dim);

  /// From one entry of dimension `dim` to the next, in elements (i64): static,
  /// or that of a contiguous memref.
  mlir::Value getStride(mlir::Value memref, int64_t dim);

  /// The descriptor of an array of two-byte elements of three or four
  /// dimensions, innermost first; strides, but that of the first, are in
  /// elements.
  mlir::Value getTensorMap(mlir::Value memref,
                           llvm::ArrayRef<mlir::Value> sizes,
                           llvm::ArrayRef<mlir::Value> strides,
                           llvm::ArrayRef<int64_t> box);

  /// That of the first `rank` of the last dimension of [blocks, T, pitch].
  mlir::Value getRanksMap(mlir::Value memref, int64_t rank,
                          std::array<int64_t, 3> box);

  /// Launches the kernel on as many blocks as there are multiprocessors, or
  /// tiles: `tilesPerRow` for each `rows` of the `tokens` (i64), which are the
  /// last argument; but no more than `maxBlocks`.
  void launch(llvm::SmallVector<mlir::Value> arguments, mlir::Value tokens,
              int64_t rows, int64_t tilesPerRow,
              std::optional<int64_t> maxBlocks = std::nullopt);

  /// Launches the kernel on a block for each tile, before the kernel in front
  /// of it has ended.
  void launchTiles(llvm::SmallVector<mlir::Value> arguments, mlir::Value tokens,
                   int64_t rows, int64_t tilesPerRow);

  /// Memory that launches keep data in from one to the next, zeroed before the
  /// first, numbered after all that there is in the module. If the kernel's
  /// blocks wait for each other, there are `blocks` of them; 0: they may run at
  /// any time.
  mlir::Value getScratch(int64_t bytes, int64_t blocks = 0);

  /// Launches it on `blocks`; with `isProgrammatic` it may begin before
  /// the kernel before it has ended.
  void launch(llvm::ArrayRef<mlir::Value> arguments, int64_t blocks,
              bool isProgrammatic);

  mlir::Value toInt32(mlir::Value number);
  mlir::Value toInt64(mlir::Value index);
  mlir::Value int64(int64_t value);
  mlir::Value int32(int64_t value);

  mlir::func::FuncOp function;

private:
  mlir::Value index(int64_t value);
  mlir::Value countTiles(mlir::Value tokens, int64_t rows, int64_t tilesPerRow);
  void launch(mlir::ValueRange arguments, mlir::Value blocks);

  mlir::ModuleOp module;
  mlir::gpu::GPUModuleOp kernels;
  Kernel kernel;
  int64_t dtype;
  mlir::ImplicitLocOpBuilder b;
};

/// The functions that a pass has made, one for each kind of launch.
class LaunchFunctions {
public:
  /// Calls the function for such operands, which `create` makes.
  void call(mlir::ImplicitLocOpBuilder &b, llvm::StringRef name,
            mlir::ValueRange operands,
            llvm::function_ref<mlir::func::FuncOp(llvm::StringRef)> create);

private:
  llvm::StringMap<mlir::func::FuncOp> functions;
};

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_HOPPERLAUNCH_H
