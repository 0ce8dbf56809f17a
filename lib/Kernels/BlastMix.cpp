// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The first two stages of a BLAST product. A thread block makes the Y[j] of a
// tile, all j, one after the other, and leaves them in shared memory. Then they
// are mixed there, Z[i] in the place of Y[i], and copied out. So Y, b_in·T·r
// numbers, never leaves the multiprocessor.
//
// 64 rows of a tile belong to a team: with tiles of 128 rows each of the two
// warpgroups is one; with tiles of 64 both make one, and each makes every other
// Y[j].
//

#include "Structured/Kernels/Hopper.h"

#include "BlockMixer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

static constexpr int64_t kConsumers = 2;

static TilePipelineShape getShape(const BlastProblem &problem,
                                  const BlastMixSchedule &schedule) {
  int64_t blocks = std::max(problem.bIn, problem.bOut);
  TilePipelineShape shape{schedule.tileM, schedule.tileN, schedule.stages,
                          problem.elementType};
  shape.products = schedule.tileM == kRowsPerWarpgroup ? 2 : 1;
  shape.storeBytes =
      blocks * schedule.tileM * schedule.tileN * kElementBytes / kConsumers;
  return shape;
}

int64_t structured::getBlastMixSharedMemory(const BlastProblem &problem,
                                            const BlastMixSchedule &schedule) {
  return getShape(problem, schedule).getSharedBytes();
}

std::optional<std::string>
structured::checkBlastMix(const BlastProblem &problem,
                          const BlastMixSchedule &schedule) {
  if (std::optional<std::string> reason = checkBlocks(problem))
    return reason;
  if (problem.n % (8 * problem.bIn) || problem.rank % 8)
    return "its " + std::to_string(problem.bIn) + " block columns of " +
           std::to_string(problem.n) + " and its rank " +
           std::to_string(problem.rank) + " are not multiples of 8";
  if ((schedule.tileM != 64 && schedule.tileM != 128) ||
      (schedule.tileN != 64 && schedule.tileN != 128))
    return "tiles must have 64 or 128 rows and columns";
  if (schedule.tileM == 64 && problem.bIn % 2)
    return "with tiles of 64 rows its block columns must be even in number";
  if (int64_t bytes = getBlastMixSharedMemory(problem, schedule);
      schedule.stages < 2 || bytes > kHopperSharedMemory)
    return std::to_string(schedule.stages) + " stages and the tile take " +
           std::to_string(bytes) +
           " bytes of shared memory, of which there "
           "are " +
           std::to_string(kHopperSharedMemory);
  return std::nullopt;
}

BlastMixSchedule
structured::getBlastMixSchedule(const BlastProblem &problem,
                                std::optional<int64_t> tokens) {
  int64_t blocks = std::max(problem.bIn, problem.bOut);
  BlastMixSchedule schedule;
  schedule.tileM = blocks > 8 ? 64 : 128;
  schedule.tileN = blocks > 4 ? 64 : 128;
  if (tokens && llvm::divideCeil(*tokens, schedule.tileM) *
                        llvm::divideCeil(problem.rank, schedule.tileN) <
                    kHopperMultiprocessors)
    schedule.tileN = 64;
  schedule.stages = 6;
  while (schedule.stages > 2 &&
         getBlastMixSharedMemory(problem, schedule) > kHopperSharedMemory)
    --schedule.stages;
  return schedule;
}

namespace {
class BlastMixBuilder {
public:
  BlastMixBuilder(gpu::GPUModuleOp module, const BlastProblem &problem,
                  const BlastMixSchedule &schedule)
      : module(module), problem(problem), schedule(schedule),
        shape(getShape(problem, schedule)),
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  void produce();
  void consume(Value warpgroup);

  TilePosition locate(Value index) {
    return locateTile(b, index, tilesM, getTilesN(), /*batch=*/1,
                      schedule.groupM, schedule.tileM, schedule.tileN);
  }
  void syncTeam(Value team) {
    b.namedBarrier(b.add(team, 1), kWarpgroup * kConsumers / getTeams());
  }

  int64_t getTeams() const { return schedule.tileM / kRowsPerWarpgroup; }
  int64_t getSteps() const {
    return llvm::divideCeil(problem.n / problem.bIn, kTileK);
  }
  int64_t getTilesN() const {
    return llvm::divideCeil(problem.rank, schedule.tileN);
  }
  gpu::GPUModuleOp module;
  const BlastProblem &problem;
  const BlastMixSchedule &schedule;
  TilePipelineShape shape;
  HopperBuilder b;
  std::optional<TilePipeline> pipeline;
  std::optional<BlockMixer> mixer;
  // Arguments and what follows from them.
  Value x, vt, z, s;
  Value numTiles, tilesM;
};
} // namespace

Kernel BlastMixBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroup * (1 + kConsumers);
  kernel.sharedMemoryBytes = shape.getSharedBytes();

  Type pointer = b.getPointerType();
  LLVM::LLVMFuncOp function = createKernel(
      b, module, name, {pointer, pointer, pointer, pointer, b.getI32Type()},
      kernel.threads);
  x = function.getArgument(0);
  vt = function.getArgument(1);
  z = function.getArgument(2);
  s = function.getArgument(3);
  Value tokens = function.getArgument(4);

  b.ifThen(b.isEqual(b.threadIdx(), 0), [&] {
    for (Value descriptor : {x, vt, z})
      b.prefetchDescriptor(descriptor);
  });
  pipeline.emplace(b, shape, getSharedMemory(b, module));
  mixer.emplace(b, problem, kRowsPerWarpgroup, schedule.tileN, s);
  tilesM = b.div(b.add(tokens, schedule.tileM - 1), schedule.tileM);
  numTiles = b.mul(tilesM, getTilesN());

  pipeline->run([&] { produce(); },
                [&](Value warpgroup) { consume(warpgroup); });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

void BlastMixBuilder::produce() {
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  b.forLoop(b.blockIdx(), numTiles, b.gridDim(), pipeline->startProducing(),
            [&](Value index, ValueRange ring) {
              TilePosition tile = locate(index);
              return b.forLoop(
                  b.i32(0), b.i32(problem.bIn), b.i32(shape.products), ring,
                  [&](Value j, ValueRange ring) {
                    return pipeline->produce(ring, x, vt, tile.row, tile.col, j,
                                             b.i32(getSteps()));
                  });
            });
}

void BlastMixBuilder::consume(Value warpgroup) {
  bool isOneTeam = getTeams() == 1;
  Value team = isOneTeam ? b.i32(0) : warpgroup;
  Value first = isOneTeam ? warpgroup : b.i32(0);
  Value base =
      b.offset(pipeline->getStorage(), b.mul(team, mixer->getTileBytes()));
  Value thread = b.add(b.threadIdx(), -kWarpgroup);
  // One thread of the team stores.
  Value isStoring =
      isOneTeam ? b.isEqual(thread, 0) : pipeline->isStoringThread();
  Value warp = b.div(isOneTeam ? thread : b.rem(thread, kWarpgroup), 32);
  b.forLoop(
      b.blockIdx(), numTiles, b.gridDim(), pipeline->startConsuming(),
      [&](Value index, ValueRange carried) {
        SmallVector<Value> ring = b.forLoop(
            first, b.i32(problem.bIn), b.i32(shape.products), carried,
            [&](Value j, ValueRange values) {
              SmallVector<Value> ring(values);
              SmallVector<Value> product =
                  pipeline->consume(warpgroup, ring, b.i32(getSteps()));
              // Before the first: the last tile has been copied out.
              Value isFirst =
                  arith::CmpIOp::create(b, arith::CmpIPredicate::eq, j, first);
              b.ifThen(isFirst, [&] {
                b.ifThen(isStoring,
                         [&] { b.waitForStores(0, /*readOnly=*/true); });
                syncTeam(team);
              });
              Value target = b.offset(base, b.mul(j, mixer->getBlockBytes()));
              for (int64_t col = 0; col < schedule.tileN; col += kStoreN)
                pipeline->writeShared(
                    b.offset(target, col / kStoreN * mixer->getPartBytes()),
                    [&](int64_t block, bool lower) {
                      int64_t element = 4 * (col / 8 + block) + 2 * lower;
                      return b.pack(product[element], product[element + 1],
                                    problem.elementType);
                    });
              return ring;
            });
        syncTeam(team);
        TilePosition tile = locate(index);
        mixer->mix(base, tile.col, warp, kConsumers * 4 / getTeams());
        b.fenceSharedWrites();
        syncTeam(team);
        b.ifThen(isStoring, [&] {
          Value row = b.add(tile.row, b.mul(team, kRowsPerWarpgroup));
          for (int64_t i = 0; i < problem.bOut; ++i)
            for (int64_t col = 0; col < schedule.tileN; col += kStoreN)
              b.storeTile(
                  z,
                  b.offset(base, i * mixer->getBlockBytes() +
                                     col / kStoreN * mixer->getPartBytes()),
                  {b.add(tile.col, col), row, b.i32(i)});
          b.commitStores();
        });
        return ring;
      });
  // Shared memory must outlive the copies from it.
  b.ifThen(isStoring, [&] { b.waitForStores(0, /*readOnly=*/false); });
}

Kernel structured::buildBlastMix(gpu::GPUModuleOp module, StringRef name,
                                 const BlastProblem &problem,
                                 const BlastMixSchedule &schedule) {
  return BlastMixBuilder(module, problem, schedule).build(name);
}
