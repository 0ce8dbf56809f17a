// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A ring of stages in shared memory that one side fills and the other empties,
// with two barriers for each stage, `full` and `empty`.

#ifndef STRUCTURED_LIB_KERNELS_STAGERING_H
#define STRUCTURED_LIB_KERNELS_STAGERING_H

#include "HopperBuilder.h"

namespace structured {

class StageRing {
public:
  /// With its barriers at `barriers` in shared memory.
  StageRing(HopperBuilder &builder, int64_t stages, mlir::Value barriers)
      : b(builder), stages(stages), barriers(barriers) {}

  static constexpr int64_t getBarrierBytes(int64_t stages) {
    return stages * 2 * 8;
  }

  /// By one thread: a stage is full after one arrival, or so many, and its
  /// bytes, and empty after so many.
  void initBarriers(int64_t arrivalsWhenEmpty, int64_t arrivalsWhenFull = 1);

  /// The next stage and the parity of its phase, i32, for the side that fills
  /// and for the one that empties.
  llvm::SmallVector<mlir::Value> startFilling() { return {b.i32(0), b.i32(1)}; }
  llvm::SmallVector<mlir::Value> startEmptying() {
    return {b.i32(0), b.i32(0)};
  }
  llvm::SmallVector<mlir::Value> advance(mlir::ValueRange ring);
  /// The stage before this one.
  mlir::Value getPrevious(mlir::Value stage);

  mlir::Value getFull(mlir::Value stage) {
    return b.offset(barriers, b.mul(stage, 8));
  }
  mlir::Value getEmpty(mlir::Value stage) {
    return b.offset(barriers, b.add(b.mul(stage, 8), stages * 8));
  }

private:
  HopperBuilder &b;
  int64_t stages;
  mlir::Value barriers;
};

} // namespace structured

#endif // STRUCTURED_LIB_KERNELS_STAGERING_H
