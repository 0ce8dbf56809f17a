// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The second stage of a BLAST product alone, for so many blocks that the first
// one leaves no room for them in shared memory. Tiles of some tokens and 64
// ranks, all blocks, pass through a ring of buffers: one thread has the copy
// engine bring them, eight warps mix them in place, and one of their threads
// has them copied out.

#include "Structured/Kernels/Hopper.h"

#include "BlockMixer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

static constexpr int64_t kBuffers = 3;
static constexpr int64_t kMixers = 8; ///< warps
static constexpr int64_t kMaxBufferBytes = 64 << 10;

int64_t structured::getMixRows(const BlastProblem &problem) {
  int64_t rows = 64;
  while (std::max(problem.bIn, problem.bOut) * rows * kStoreN * kElementBytes >
         kMaxBufferBytes)
    rows /= 2;
  return rows;
}

std::optional<std::string> structured::checkMix(const BlastProblem &problem) {
  if (std::optional<std::string> reason = checkBlocks(problem))
    return reason;
  if (problem.rank % 8)
    return "its rank " + std::to_string(problem.rank) +
           " is not a multiple of 8";
  return std::nullopt;
}

namespace {
class MixBuilder {
public:
  MixBuilder(gpu::GPUModuleOp module, const BlastProblem &problem)
      : module(module), problem(problem), rows(getMixRows(problem)),
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  void produce();
  void consume(Value warp, Value isStoring);
  /// The first rank and token of a tile: neighbouring blocks take the ranks of
  /// the same tokens.
  std::pair<Value, Value> locate(Value index) {
    int64_t tilesN = llvm::divideCeil(problem.rank, kStoreN);
    return {b.mul(b.rem(index, tilesN), kStoreN),
            b.mul(b.div(index, tilesN), rows)};
  }
  Value getBuffer(Value index) {
    return b.offset(shared, b.mul(index, mixer->getTileBytes()));
  }

  gpu::GPUModuleOp module;
  const BlastProblem &problem;
  int64_t rows;
  HopperBuilder b;
  std::optional<BlockMixer> mixer;
  std::optional<StageRing> stageRing;
  Value y, z, numTiles, shared;
};
} // namespace

Kernel MixBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = 32 * (kMixers + 1);
  Type pointer = b.getPointerType();
  LLVM::LLVMFuncOp function =
      createKernel(b, module, name, {pointer, pointer, pointer, b.getI32Type()},
                   kernel.threads);
  y = function.getArgument(0);
  z = function.getArgument(1);
  mixer.emplace(b, problem, rows, kStoreN, function.getArgument(2));
  Value tokens = function.getArgument(3);
  int64_t barrierOffset = kBuffers * mixer->getTileBytes();
  kernel.sharedMemoryBytes =
      barrierOffset + StageRing::getBarrierBytes(kBuffers);
  shared = getSharedMemory(b, module);
  stageRing.emplace(b, kBuffers, b.offset(shared, barrierOffset));
  numTiles =
      b.mul(b.ceilDiv(tokens, rows), llvm::divideCeil(problem.rank, kStoreN));

  Value thread = b.threadIdx();
  b.ifThen(b.isEqual(thread, 0), [&] { stageRing->initBarriers(1); });
  b.syncThreads();
  b.launchDependents();
  Value warp = b.div(thread, 32);
  b.ifThenElse(
      b.isEqual(warp, kMixers),
      [&] { b.ifThen(b.isEqual(thread, 32 * kMixers), [&] { produce(); }); },
      [&] { consume(warp, b.isEqual(thread, 0)); });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

void MixBuilder::produce() {
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  b.forLoop(b.blockIdx(), numTiles, b.gridDim(), ValueRange{b.i32(0), b.i32(1)},
            [&](Value index, ValueRange ring) {
              auto [rank, token] = locate(index);
              b.wait(stageRing->getEmpty(ring[0]), ring[1]);
              Value full = stageRing->getFull(ring[0]);
              b.arriveExpectBytes(full, problem.bIn * mixer->getBlockBytes());
              b.loadTile(getBuffer(ring[0]), y, {rank, token, b.i32(0)}, full);
              return stageRing->advance(ring);
            });
}

void MixBuilder::consume(Value warp, Value isStoring) {
  b.forLoop(b.blockIdx(), numTiles, b.gridDim(), stageRing->startEmptying(),
            [&](Value index, ValueRange ring) {
              std::pair<Value, Value> position = locate(index);
              Value rank = position.first, token = position.second;
              Value buffer = getBuffer(ring[0]);
              b.wait(stageRing->getFull(ring[0]), ring[1]);
              mixer->mix(buffer, rank, warp, kMixers);
              b.fenceSharedAccesses();
              b.namedBarrier(b.i32(1), 32 * kMixers);
              b.ifThen(isStoring, [&] {
                b.storeTile(z, buffer, {rank, token, b.i32(0)});
                b.commitStores();
                // The buffer before this one has been copied out.
                b.waitForStores(1, /*readOnly=*/true);
                Value previous = stageRing->getPrevious(ring[0]);
                Value isFirst = arith::CmpIOp::create(
                    b, arith::CmpIPredicate::eq, index, b.blockIdx());
                b.ifThenElse(
                    isFirst, [] {},
                    [&] { b.arrive(stageRing->getEmpty(previous)); });
              });
              return stageRing->advance(ring);
            });
  // Shared memory must outlive the copies from it.
  b.ifThen(isStoring, [&] { b.waitForStores(0, /*readOnly=*/false); });
}

Kernel structured::buildMix(gpu::GPUModuleOp module, StringRef name,
                            const BlastProblem &problem) {
  return MixBuilder(module, problem).build(name);
}
