// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "BlastMixPlan.h"

#include "BlockMixer.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

/// Block columns of a kernel for all stages.
static constexpr int64_t kMaxWholeBlocks = 8;
/// A sector of the L2 cache, at which rows of Z begin.
static constexpr int64_t kSectorBytes = 32;

TilePipelineShape BlastMixPlan::getShape() const {
  TilePipelineShape shape{schedule.tileM, schedule.tileN, schedule.stages,
                          problem.elementType};
  // Two block rows of a part.
  shape.storeBytes = kPair * kRowsPerWarpgroup * kPartN * kElementBytes;
  return shape;
}

int64_t BlastMixPlan::getScaleBytes() const {
  return llvm::divideCeil(problem.bOut, kPair) * (schedule.tileN / 8) *
         llvm::divideCeil(problem.bIn, kQuad) * kScaleBytes;
}

int64_t BlastMixPlan::getBlocksPerRow() const {
  return llvm::divideCeil(problem.rank, schedule.tileN) * schedule.split;
}

int64_t BlastMixPlan::getResultsPerRow() const {
  return problem.bOut *
         llvm::divideCeil(problem.m / problem.bOut, schedule.tileN);
}

int64_t structured::getBlastPitchZ(const BlastProblem &problem) {
  return llvm::alignTo(problem.rank, kSectorBytes / kElementBytes);
}

int64_t structured::getBlastMixSharedMemory(const BlastProblem &problem,
                                            const BlastMixSchedule &schedule) {
  BlastMixPlan plan{problem, schedule};
  return plan.getShape().getSharedBytes() + kMixBarrierBytes +
         plan.getScaleBytes();
}

int64_t structured::getBlastMixScratch(const BlastProblem &problem,
                                       const BlastMixSchedule &schedule) {
  return BlastMixPlan{problem, schedule}.getKept() * schedule.tileM *
         schedule.tileN * kElementBytes;
}

int64_t structured::getBlastMixCounterBytes(const BlastProblem &problem,
                                            const BlastMixSchedule &schedule,
                                            int64_t tokens) {
  // There are at least as many groups as rows of tiles.
  return (kCounterBytes + schedule.split * kLaunchBytes) *
         getBlastMixTiles(problem, schedule, tokens);
}

int64_t structured::getBlastMixTiles(const BlastProblem &problem,
                                     const BlastMixSchedule &schedule,
                                     int64_t tokens) {
  return llvm::divideCeil(tokens, schedule.tileM) *
         llvm::divideCeil(problem.rank, schedule.tileN);
}

std::optional<std::string>
structured::checkBlastMix(const BlastProblem &problem,
                          const BlastMixSchedule &schedule) {
  if (std::optional<std::string> reason = checkInput(problem))
    return reason;
  if (schedule.tileM != 128 || schedule.tileN % kStoreN ||
      schedule.tileN < kStoreN || schedule.tileN > 256)
    return "tiles must have 128 rows, and 64, 128, 192 or 256 columns";
  if (schedule.split < 1 || problem.bIn % schedule.split)
    return std::to_string(schedule.split) + " blocks cannot share " +
           std::to_string(problem.bIn) + " block columns equally";
  if (schedule.allStages) {
    if (schedule.split == 1)
      return "all stages are one kernel only if blocks share tiles";
    if (problem.bIn > kMaxWholeBlocks)
      return "it has more than " + std::to_string(kMaxWholeBlocks) +
             " block columns, which leaves no registers";
    if (problem.m % (8 * problem.bOut))
      return "its " + std::to_string(problem.bOut) + " block rows of " +
             std::to_string(problem.m) + " are not multiples of 8";
    BlastMixPlan plan{problem, schedule};
    int64_t tiles = plan.getResultsPerRow(), blocks = plan.getBlocksPerRow();
    if (tiles != blocks)
      return "its result has " + std::to_string(tiles) + " tiles for each " +
             std::to_string(blocks) + " thread blocks";
  }
  if (int64_t bytes = getBlastMixSharedMemory(problem, schedule);
      schedule.stages < 2 || bytes > kHopperSharedMemory)
    return std::to_string(schedule.stages) + " stages and the tile take " +
           std::to_string(bytes) +
           " bytes of shared memory, of which there "
           "are " +
           std::to_string(kHopperSharedMemory);
  return std::nullopt;
}

/// About how many clocks the kernel takes, from measurements (docs/Hopper.md).
/// A step of 64 columns takes the tensor cores, or bringing its operands, so
/// long. What a tile reads and writes of Y and Z after its last product is
/// hidden by the next tile's products only, and not beyond what the memory
/// allows.
static double estimateClocks(const BlastProblem &problem,
                             const BlastMixSchedule &schedule, int64_t tokens,
                             int64_t multiprocessors) {
  BlastMixPlan plan{problem, schedule};
  int64_t blocks = getBlastMixTiles(problem, schedule, tokens) * schedule.split;
  int64_t rounds = llvm::divideCeil(blocks, multiprocessors);
  double step = std::max<double>(4.6 * schedule.tileN,
                                 (schedule.tileM + schedule.tileN) * 128 / 45.);
  double products = llvm::divideCeil(problem.n / problem.bIn, kTileK) *
                    problem.bIn / schedule.split * step;
  double bytes =
      schedule.tileM * schedule.tileN * kElementBytes / schedule.split;
  double kept = bytes * plan.getKept() * schedule.split;
  double last = bytes * (plan.getTaken() + problem.bOut);
  double fixed = schedule.split > 1 ? 7000 : 3000;
  return std::max(rounds * products + last / 14,
                  rounds * (kept + last) / 10.5) +
         fixed;
}

BlastMixSchedule structured::getBlastMixSchedule(const BlastProblem &problem,
                                                 std::optional<int64_t> tokens,
                                                 int64_t multiprocessors) {
  std::optional<BlastMixSchedule> best;
  double bestClocks = 0;
  for (int64_t tileN : {256, 192, 128, 64})
    for (int64_t split : {1, 2, 4, 8, 16}) {
      BlastMixSchedule schedule;
      schedule.tileN = tileN;
      schedule.split = split;
      schedule.stages = 8;
      while (schedule.stages > 2 &&
             getBlastMixSharedMemory(problem, schedule) > kHopperSharedMemory)
        --schedule.stages;
      if (getBlastMixSharedMemory(problem, schedule) > kHopperSharedMemory)
        continue;
      int64_t parts = tileN / kPartN;
      // The blocks of a group run at the same time, and each has a part.
      if (split > 1 && (!tokens || problem.bIn % split || split > parts ||
                        getBlastMixTiles(problem, schedule, *tokens) * split >
                            multiprocessors))
        continue;
      double clocks = estimateClocks(problem, schedule,
                                     tokens.value_or(1 << 20), multiprocessors);
      if (!best || clocks < bestClocks) {
        best = schedule;
        bestClocks = clocks;
      }
    }
  return best.value_or(BlastMixSchedule());
}
