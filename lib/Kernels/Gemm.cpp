// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A persistent matrix product: a block takes the tiles blockIdx,
// blockIdx + gridDim, … TilePipeline.h says how a tile is made.

#include "Structured/Kernels/Hopper.h"

#include "TilePipeline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

static TilePipelineShape getShape(const GemmProblem &problem,
                                  const GemmSchedule &schedule) {
  return {schedule.tileM, schedule.tileN, schedule.stages, problem.elementType};
}

int64_t structured::getGemmSharedMemory(const GemmProblem &problem,
                                        const GemmSchedule &schedule) {
  return getShape(problem, schedule).getSharedBytes();
}

std::optional<std::string> structured::checkGemm(const GemmProblem &problem,
                                                 const GemmSchedule &schedule) {
  if (!problem.elementType.isF16() && !problem.elementType.isBF16())
    return "its element type is neither f16 nor bf16";
  if (problem.n < 1 || problem.k < 1 || problem.batch < 1)
    return "a size is not positive";
  if (problem.n % 8 || problem.k % 8)
    return "its sizes " + std::to_string(problem.n) + " and " +
           std::to_string(problem.k) + " are not both multiples of 8";
  if (schedule.tileM != 128 && schedule.tileM != 192)
    return "tiles must have 128 or 192 rows, not " +
           std::to_string(schedule.tileM);
  if (schedule.tileN % kStoreN || schedule.tileN < kStoreN ||
      schedule.tileN > 256)
    return "tiles must have 64, 128, 192 or 256 columns, not " +
           std::to_string(schedule.tileN);
  if (schedule.tileM == 192 && schedule.tileN > 128)
    return "tiles of 192 rows may have at most 128 columns";
  if (schedule.stages < 2 || schedule.groupM < 1)
    return "there must be at least 2 stages and groups of 1 tile";
  if (int64_t bytes = getGemmSharedMemory(problem, schedule);
      bytes > kHopperSharedMemory)
    return "it takes " + std::to_string(bytes) +
           " bytes of shared memory, of which there are " +
           std::to_string(kHopperSharedMemory);
  return std::nullopt;
}

int64_t structured::getGemmTiles(const GemmProblem &problem,
                                 const GemmSchedule &schedule, int64_t rows) {
  return llvm::divideCeil(rows, schedule.tileM) *
         llvm::divideCeil(problem.n, schedule.tileN) * problem.batch;
}

namespace {
class GemmBuilder {
public:
  GemmBuilder(gpu::GPUModuleOp module, const GemmProblem &problem,
              const GemmSchedule &schedule)
      : module(module), problem(problem), schedule(schedule),
        shape(getShape(problem, schedule)),
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  void produce();
  void consume(Value warpgroup);
  TilePosition locate(Value index);
  void storeTile(Value warpgroup, TilePosition tile, ArrayRef<Value> product);

  int64_t getSteps() const { return llvm::divideCeil(problem.k, kTileK); }
  int64_t getTilesN() const {
    return llvm::divideCeil(problem.n, schedule.tileN);
  }

  gpu::GPUModuleOp module;
  const GemmProblem &problem;
  const GemmSchedule &schedule;
  TilePipelineShape shape;
  HopperBuilder b;
  std::optional<TilePipeline> pipeline;
  // Arguments and what follows from them.
  Value descriptorA, descriptorB, descriptorD, bias;
  Value numTiles, tilesM, lane;
};
} // namespace

Kernel GemmBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroup * (1 + shape.getConsumers());
  kernel.sharedMemoryBytes = shape.getSharedBytes();

  Type pointer = b.getPointerType();
  LLVM::LLVMFuncOp function = createKernel(
      b, module, name, {pointer, pointer, pointer, pointer, b.getI32Type()},
      kernel.threads);
  descriptorA = function.getArgument(0);
  descriptorB = function.getArgument(1);
  descriptorD = function.getArgument(2);
  bias = function.getArgument(3);
  Value rows = function.getArgument(4);

  pipeline.emplace(b, shape, getSharedMemory(b, module));
  tilesM = b.ceilDiv(rows, schedule.tileM);
  numTiles = b.mul(tilesM, getTilesN() * problem.batch);
  lane = b.laneIdx();

  pipeline->run([&] { produce(); },
                [&](Value warpgroup) { consume(warpgroup); });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

TilePosition GemmBuilder::locate(Value index) {
  return locateTile(b, index, tilesM, getTilesN(), problem.batch,
                    schedule.groupM, schedule.tileM, schedule.tileN);
}

void GemmBuilder::produce() {
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  b.forLoop(b.blockIdx(), numTiles, b.gridDim(), pipeline->startProducing(),
            [&](Value index, ValueRange ring) {
              TilePosition tile = locate(index);
              return pipeline->produce(ring, descriptorA, descriptorB, tile.row,
                                       tile.col, tile.batch, b.i32(getSteps()));
            });
}

void GemmBuilder::consume(Value warpgroup) {
  b.forLoop(b.blockIdx(), numTiles, b.gridDim(), pipeline->startConsuming(),
            [&](Value index, ValueRange carried) {
              SmallVector<Value> ring(carried);
              SmallVector<Value> product =
                  pipeline->consume(warpgroup, ring, b.i32(getSteps()));
              storeTile(warpgroup, locate(index), product);
              return ring;
            });
  // Shared memory must outlive the copies from it.
  b.ifThen(pipeline->isStoringThread(),
           [&] { b.waitForStores(0, /*readOnly=*/false); });
}

void GemmBuilder::storeTile(Value warpgroup, TilePosition tile,
                            ArrayRef<Value> product) {
  Value row = b.add(tile.row, b.mul(warpgroup, kRowsPerWarpgroup));
  Value laneCol = b.mul(b.rem(lane, 4), 2);
  for (int64_t first = 0; first < schedule.tileN; first += kStoreN) {
    Value col = b.add(tile.col, first);
    // The two elements of the bias for each block of 8 columns.
    SmallVector<std::pair<Value, Value>> biases;
    for (int64_t block = 0; problem.hasBias && block < kStoreN / 8; ++block) {
      Value index =
          b.min(b.add(b.add(col, 8 * block), laneCol), b.i32(problem.n - 2));
      index = b.add(index, b.mul(tile.batch, problem.n));
      Value pointer = b.offset(bias, b.mul(index, kElementBytes));
      biases.push_back(
          b.unpack(b.load(b.getI32Type(), pointer, /*invariant=*/true),
                   problem.elementType));
    }
    pipeline->store(
        warpgroup, first / kStoreN, descriptorD, col, row, tile.batch,
        [&](int64_t block, bool lower) {
          int64_t element = 4 * (first / 8 + block) + 2 * lower;
          Value low = product[element], high = product[element + 1];
          if (problem.hasBias) {
            low = arith::AddFOp::create(b, low, biases[block].first);
            high = arith::AddFOp::create(b, high, biases[block].second);
          }
          return b.pack(low, high, problem.elementType);
        });
  }
}

Kernel structured::buildGemm(gpu::GPUModuleOp module, StringRef name,
                             const GemmProblem &problem,
                             const GemmSchedule &schedule) {
  return GemmBuilder(module, problem, schedule).build(name);
}
