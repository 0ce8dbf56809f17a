// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// How the kernel for the first two stages of a BLAST product, or all three, is
// divided: what its blocks put aside and bring back, and where it lies. What
// chooses and checks the schedules and what builds the kernel share this.

#ifndef STRUCTURED_LIB_KERNELS_BLASTMIXPLAN_H
#define STRUCTURED_LIB_KERNELS_BLASTMIXPLAN_H

#include "TilePipeline.h"

#include "Structured/Kernels/Hopper.h"

namespace structured {

inline constexpr int64_t kRowsPerWarp = 16;
/// Block rows, and block columns, of one mma.
inline constexpr int64_t kPair = 2, kQuad = 4;
/// Ranks that are mixed at a time.
inline constexpr int64_t kPartN = 32;
/// A tile of S in shared memory: for two block rows, 8 ranks and four block
/// columns 8 lanes have 16 bytes each.
inline constexpr int64_t kScaleBytes = 128;
/// A barrier of what is put aside, and two of the scales; 16 bytes for each
/// keep what follows aligned.
inline constexpr int64_t kMixBarrierBytes = 3 * 16;
/// Counters of a group and, in the same memory, of a row of tiles, and the
/// number of launches that a thread block has seen.
inline constexpr int64_t kCounterBytes = 128, kRowCounterOffset = 64,
                         kLaunchBytes = 4;

struct BlastMixPlan {
  const BlastProblem &problem;
  const BlastMixSchedule &schedule;

  TilePipelineShape getShape() const;
  /// The bytes of S that a tile needs.
  int64_t getScaleBytes() const;
  /// Whether the last of a block's Y[j] stays in its registers, or what it
  /// mixes of it: not where that would leave the others none.
  bool staysLast() const {
    return problem.bIn <= 8 && getParts() % schedule.split == 0;
  }
  /// The Y[j] that a block makes.
  int64_t getOwn() const { return problem.bIn / schedule.split; }
  /// Those that it puts aside. Others of its group want the last one, too.
  int64_t getKept() const {
    return getOwn() - (schedule.split == 1 && staysLast());
  }
  /// Those that it brings back.
  int64_t getTaken() const { return problem.bIn - staysLast(); }
  int64_t getParts() const { return schedule.tileN / kPartN; }
  /// The blocks that make Z of a row of tiles, and the tiles of the result in
  /// it.
  int64_t getBlocksPerRow() const;
  int64_t getResultsPerRow() const;
};

} // namespace structured

#endif // STRUCTURED_LIB_KERNELS_BLASTMIXPLAN_H
