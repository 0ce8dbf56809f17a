// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the warp-specialised kernels share: tiles of the operands pass through a
// ring of stages in shared memory, from one thread that has the copy engine
// bring them to warpgroups that multiply, each 64 rows of a tile, and store
// their part of the result, through shared memory and the copy engine again.
// Two barriers for each stage, `full` and `empty`, keep both sides in step:
// they walk through the same tiles and, for each, the same steps of k.

#ifndef STRUCTURED_LIB_KERNELS_TILEPIPELINE_H
#define STRUCTURED_LIB_KERNELS_TILEPIPELINE_H

#include "StageRing.h"

namespace structured {

/// Columns of an operand's tile: 128 bytes, the span of the swizzle.
inline constexpr int64_t kTileK = 64;
/// Columns of what is stored at a time.
inline constexpr int64_t kStoreN = 64;
inline constexpr int64_t kElementBytes = 2;
inline constexpr int64_t kWarpgroup = 128;
inline constexpr int64_t kRowsPerWarpgroup = 64;
/// Threads of the warpgroup that does not multiply, without the warp of the
/// thread that has tiles brought.
inline constexpr int64_t kAssistants = 96;

/// The sizes of the tiles and of the ring, and where they lie in shared memory.
struct TilePipelineShape {
  int64_t tileM, tileN, stages;
  mlir::Type elementType;
  /// Bytes of shared memory that each warpgroup has for storing.
  int64_t storeBytes = kStoreBuffers * kStoreBytes;

  /// Warpgroups that multiply.
  int64_t getConsumers() const { return tileM / kRowsPerWarpgroup; }
  /// f32 accumulators of a thread for one tile.
  int64_t getAccumulators() const { return tileN / 2; }
  int64_t getStageBytes() const {
    return (tileM + tileN) * kTileK * kElementBytes;
  }
  /// Tiles of 64 rows and kStoreN columns that a warpgroup has for storing.
  static constexpr int64_t kStoreBuffers = 2;
  static constexpr int64_t kStoreBytes =
      kRowsPerWarpgroup * kStoreN * kElementBytes;
  int64_t getStoreOffset() const { return stages * getStageBytes(); }
  int64_t getBarrierOffset() const {
    return getStoreOffset() + getConsumers() * storeBytes;
  }
  /// All that it takes.
  int64_t getSharedBytes() const {
    return getBarrierOffset() + StageRing::getBarrierBytes(stages);
  }
};

/// Writes 64 rows and kStoreN columns of accumulators, `warp` 16 rows, to
/// `target` in shared memory, in rows of 128 bytes with the 128-byte swizzle.
/// `getPacked` is that of `TilePipeline::store`.
void writeSharedTile(
    HopperBuilder &b, mlir::Value target, mlir::Value warp, mlir::Value lane,
    llvm::function_ref<mlir::Value(int64_t block, bool lower)> getPacked);

class TilePipeline {
public:
  TilePipeline(HopperBuilder &builder, const TilePipelineShape &shape,
               mlir::Value shared);

  /// Makes the barriers and divides the block: `produce` is for one thread,
  /// `consume` for each warpgroup that multiplies, by its number, and `assist`,
  /// if there is one, for the kAssistants threads that are left, by theirs.
  void run(llvm::function_ref<void()> produce,
           llvm::function_ref<void(mlir::Value warpgroup)> consume,
           llvm::function_ref<void(mlir::Value thread)> assist = {});

  /// Where both sides start in the ring (StageRing).
  llvm::SmallVector<mlir::Value> startProducing() {
    return stageRing.startFilling();
  }
  llvm::SmallVector<mlir::Value> startConsuming() {
    return stageRing.startEmptying();
  }

  /// Brings tiles for `steps` steps of k of A and B, whose descriptors are
  /// (k, rows, z), into the ring. The ring afterwards.
  llvm::SmallVector<mlir::Value> produce(mlir::ValueRange ring,
                                         mlir::Value descriptorA,
                                         mlir::Value descriptorB,
                                         mlir::Value rowA, mlir::Value rowB,
                                         mlir::Value z, mlir::Value steps);

  /// The same where tiles lie elsewhere: `load` has those of a step brought to
  /// `stage`, A's and `getOffsetB` bytes after it B's, and tells `full`. What
  /// is carried after the ring is its own.
  llvm::SmallVector<mlir::Value>
  produce(mlir::ValueRange carried, mlir::Value steps,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(
              mlir::Value step, mlir::Value stage, mlir::Value full,
              mlir::ValueRange carried)>
              load);

  /// One stage of something else: `load` has `bytes` bytes brought to it.
  llvm::SmallVector<mlir::Value>
  fill(mlir::ValueRange ring, int64_t bytes,
       llvm::function_ref<void(mlir::Value stage, mlir::Value full)> load);
  /// The other side, in each warp: `read` reads it.
  llvm::SmallVector<mlir::Value>
  drain(mlir::ValueRange ring,
        llvm::function_ref<void(mlir::Value stage)> read);

  StageRing &getRing() { return stageRing; }
  mlir::Value getStage(mlir::Value stage) {
    return b.offset(shared, b.mul(stage, shape.getStageBytes()));
  }
  /// From a tile of A to that of B.
  int64_t getOffsetB() const { return shape.tileM * kTileK * kElementBytes; }

  /// Multiplies them, at least one step: the accumulators, f32, of the
  /// warpgroup's 64 rows.
  llvm::SmallVector<mlir::Value> consume(mlir::Value warpgroup,
                                         llvm::SmallVector<mlir::Value> &ring,
                                         mlir::Value steps);

  /// Stores 64 rows and kStoreN columns of the result at (col, row, z):
  /// number `index` of a tile, whose columns come in order. `getPacked` gives
  /// the thread's two elements of the columns 8·block + 2·(lane mod 4) and the
  /// next, of the upper or the lower one of its rows, as an i32.
  void
  store(mlir::Value warpgroup, int64_t index, mlir::Value descriptor,
        mlir::Value col, mlir::Value row, mlir::Value z,
        llvm::function_ref<mlir::Value(int64_t block, bool lower)> getPacked);

  /// The same by way of `target` in shared memory, which must be free.
  void
  storeBy(mlir::Value warpgroup, mlir::Value target, mlir::Value descriptor,
          mlir::Value col, mlir::Value row, mlir::Value z,
          llvm::function_ref<mlir::Value(int64_t block, bool lower)> getPacked);

  /// `writeSharedTile` by the warps of a warpgroup that multiplies.
  void writeShared(
      mlir::Value target,
      llvm::function_ref<mlir::Value(int64_t block, bool lower)> getPacked) {
    writeSharedTile(b, target, warp, lane, getPacked);
  }

  /// Shared memory for storing, `storeBytes` for each warpgroup.
  mlir::Value getStorage() const { return storage; }

  /// True for the thread of a warpgroup that stores.
  mlir::Value isStoringThread() const { return storingThread; }

private:
  void release(mlir::Value stage, mlir::Value condition);
  HopperBuilder &b;
  TilePipelineShape shape;
  mlir::Value shared, storage;
  StageRing stageRing;
  mlir::Value lane, storingThread, warp;
};

/// Where a tile of a result lies: its first row, its first column, and which of
/// several products it belongs to.
struct TilePosition {
  mlir::Value row, col, batch;
};

/// Tile `index` of `batch` products of tilesM × tilesN tiles each, in groups of
/// `groupM` row tiles, the row innermost: what the blocks that run together
/// read stays in the L2 cache.
TilePosition locateTile(HopperBuilder &b, mlir::Value index, mlir::Value tilesM,
                        int64_t tilesN, int64_t batch, int64_t groupM,
                        int64_t tileM, int64_t tileN);

} // namespace structured

#endif // STRUCTURED_LIB_KERNELS_TILEPIPELINE_H
