// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A persistent product with a block-sparse matrix. It is that of Gemm.cpp but
// for the steps of k, which are those of a list: each tile walks through the
// blocks of its panel.

#include "Structured/Kernels/Hopper.h"

#include "TilePipeline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

/// The dense product of as many columns.
static GemmProblem getDense(const BlockSparseGemmProblem &problem) {
  return {problem.elementType, problem.n, kTileK};
}

std::optional<std::string>
structured::checkBlockSparseGemm(const BlockSparseGemmProblem &problem,
                                 const GemmSchedule &schedule) {
  // A warpgroup's two buffers for storing take turns, an even number of times
  // for a tile: no store waits for the one before it.
  if (schedule.tileM != 128 || schedule.tileN % 128)
    return "tiles must have 128 rows, and 128 or 256 columns, not " +
           std::to_string(schedule.tileM) + " and " +
           std::to_string(schedule.tileN);
  return checkGemm(getDense(problem), schedule);
}

int64_t structured::getBlockSparseGemmSharedMemory(
    const BlockSparseGemmProblem &problem, const GemmSchedule &schedule) {
  return getGemmSharedMemory(getDense(problem), schedule);
}

namespace {
class BlockSparseGemmBuilder {
public:
  BlockSparseGemmBuilder(gpu::GPUModuleOp module,
                         const BlockSparseGemmProblem &problem,
                         const GemmSchedule &schedule)
      : module(module), problem(problem), schedule(schedule),
        shape{schedule.tileM, schedule.tileN, schedule.stages,
              problem.elementType},
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  /// A tile of the result, the first block of its panel, and its steps of 64
  /// columns. One that does not exist has no steps.
  struct Tile {
    Value exists, row, panel, firstBlock, numSteps;
  };

  /// Calls `body` for each tile of this thread block, with the ring.
  void
  forEachTile(ValueRange ring,
              function_ref<SmallVector<Value>(const Tile &, ValueRange)> body);
  Value loadTable(Value table, Value index);
  void produce();
  void consume(Value warpgroup);
  void storeTile(Value warpgroup, const Tile &tile, ArrayRef<Value> product);
  /// The two elements of D at (row, col) and the next column; some others if
  /// they lie beyond D.
  std::pair<Value, Value> loadOld(Value row, Value col);

  gpu::GPUModuleOp module;
  const BlockSparseGemmProblem &problem;
  const GemmSchedule &schedule;
  TilePipelineShape shape;
  HopperBuilder b;
  std::optional<TilePipeline> pipeline;
  // Arguments and what follows from them.
  Value descriptorA, descriptorB, descriptorD;
  Value result, positions, coordinates, order, rows;
  Value tilesM, lane;
};
} // namespace

Kernel BlockSparseGemmBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroup * (1 + shape.getConsumers());
  kernel.sharedMemoryBytes = shape.getSharedBytes();

  SmallVector<Type> types(7, b.getPointerType());
  types.push_back(b.getI32Type());
  LLVM::LLVMFuncOp function =
      createKernel(b, module, name, types, kernel.threads);
  descriptorA = function.getArgument(0);
  descriptorB = function.getArgument(1);
  descriptorD = function.getArgument(2);
  result = function.getArgument(3);
  positions = function.getArgument(4);
  coordinates = function.getArgument(5);
  order = function.getArgument(6);
  rows = function.getArgument(7);

  pipeline.emplace(b, shape, getSharedMemory(b, module));
  tilesM = b.div(b.add(rows, schedule.tileM - 1), schedule.tileM);
  lane = b.laneIdx();

  pipeline->run([&] { produce(); },
                [&](Value warpgroup) { consume(warpgroup); });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

Value BlockSparseGemmBuilder::loadTable(Value table, Value index) {
  return b.load(b.getI32Type(), b.offset(table, b.mul(index, 4)),
                /*invariant=*/true);
}

void BlockSparseGemmBuilder::forEachTile(
    ValueRange ring,
    function_ref<SmallVector<Value>(const Tile &, ValueRange)> body) {
  int64_t panels = llvm::divideCeil(problem.n, schedule.tileN);
  Value numTiles = b.mul(tilesM, panels), last = b.add(numTiles, -1);
  Value fromEnd = b.sub(b.add(b.gridDim(), -1), b.blockIdx());
  SmallVector<Value> carried{b.i32(0)};
  carried.append(ring.begin(), ring.end());
  b.forLoop(b.i32(0), numTiles, b.gridDim(), carried,
            [&](Value base, ValueRange carried) {
              // The tiles get smaller. Every other round goes backwards, so
              // that no block always has the largest.
              Tile tile;
              Value index = b.add(base, b.select(b.isEqual(carried[0], 0),
                                                 b.blockIdx(), fromEnd));
              tile.exists = b.isLess(index, numTiles);
              index = b.min(index, last);
              tile.row = b.mul(b.rem(index, tilesM), schedule.tileM);
              tile.panel = loadTable(order, b.div(index, tilesM));
              tile.firstBlock = loadTable(positions, tile.panel);
              Value end = loadTable(positions, b.add(tile.panel, 1));
              Value steps = b.sub(end, tile.firstBlock);
              tile.numSteps = b.select(tile.exists, steps, b.i32(0));
              SmallVector<Value> next{b.bitXor(carried[0], b.i32(1))};
              next.append(body(tile, carried.drop_front()));
              return next;
            });
}

void BlockSparseGemmBuilder::produce() {
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  forEachTile(
      pipeline->startProducing(), [&](const Tile &tile, ValueRange ring) {
        // The column of a step is loaded during the one before.
        Value last = b.add(tile.firstBlock, b.add(tile.numSteps, -1));
        SmallVector<Value> carried(ring);
        carried.push_back(loadTable(coordinates, tile.firstBlock));
        carried = pipeline->produce(
            carried, tile.numSteps,
            [&](Value step, Value stage, Value full,
                ValueRange values) -> SmallVector<Value> {
              Value zero = b.i32(0), block = b.add(tile.firstBlock, step);
              Value column = b.mul(values.front(), kTileK);
              b.loadTile(stage, descriptorA, {column, tile.row, zero}, full);
              b.loadTile(b.offset(stage, pipeline->getOffsetB()), descriptorB,
                         {zero, zero, block}, full);
              return {loadTable(coordinates, b.min(b.add(block, 1), last))};
            });
        carried.pop_back();
        return carried;
      });
}

void BlockSparseGemmBuilder::consume(Value warpgroup) {
  if (problem.accumulates)
    b.waitForPrerequisiteGrids();
  forEachTile(pipeline->startConsuming(),
              [&](const Tile &tile, ValueRange carried) {
                return b.ifResults(
                    tile.exists,
                    [&] {
                      SmallVector<Value> ring(carried);
                      SmallVector<Value> product =
                          pipeline->consume(warpgroup, ring, tile.numSteps);
                      storeTile(warpgroup, tile, product);
                      return ring;
                    },
                    [&] { return SmallVector<Value>(carried); });
              });
  // Shared memory must outlive the copies from it.
  b.ifThen(pipeline->isStoringThread(),
           [&] { b.waitForStores(0, /*readOnly=*/false); });
}

std::pair<Value, Value> BlockSparseGemmBuilder::loadOld(Value row, Value col) {
  auto extend = [&](Value value) -> Value {
    return arith::ExtUIOp::create(b, b.getI64Type(), value);
  };
  Value inside = b.min(row, b.add(rows, -1));
  Value start = arith::MulIOp::create(b, extend(inside),
                                      b.i64(problem.n * kElementBytes));
  Value pair = b.mul(b.min(col, b.i32(problem.n - 2)), kElementBytes);
  Value pointer = b.offset(b.offset(result, start), pair);
  return b.unpack(b.load(b.getI32Type(), pointer), problem.elementType);
}

void BlockSparseGemmBuilder::storeTile(Value warpgroup, const Tile &tile,
                                       ArrayRef<Value> product) {
  Value warp = b.div(b.rem(b.threadIdx(), kWarpgroup), 32);
  Value laneRow = b.add(b.mul(warp, 16), b.div(lane, 4));
  Value laneCol = b.mul(b.rem(lane, 4), 2);
  Value row = b.add(tile.row, b.mul(warpgroup, kRowsPerWarpgroup));
  for (int64_t first = 0; first < schedule.tileN; first += kStoreN) {
    Value col = b.add(b.mul(tile.panel, schedule.tileN), first);
    pipeline->store(warpgroup, first / kStoreN, descriptorD, col, row, b.i32(0),
                    [&](int64_t block, bool lower) {
                      int64_t element = 4 * (first / 8 + block) + 2 * lower;
                      Value low = product[element], high = product[element + 1];
                      if (problem.accumulates) {
                        auto [oldLow, oldHigh] =
                            loadOld(b.add(b.add(row, laneRow), 8 * lower),
                                    b.add(b.add(col, 8 * block), laneCol));
                        low = arith::AddFOp::create(b, low, oldLow);
                        high = arith::AddFOp::create(b, high, oldHigh);
                      }
                      return b.pack(low, high, problem.elementType);
                    });
  }
}

Kernel structured::buildBlockSparseGemm(gpu::GPUModuleOp module, StringRef name,
                                        const BlockSparseGemmProblem &problem,
                                        const GemmSchedule &schedule) {
  return BlockSparseGemmBuilder(module, problem, schedule).build(name);
}
