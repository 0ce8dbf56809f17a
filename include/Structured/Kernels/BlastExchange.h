//===- BlastExchange.h - Stages 1 and 2 for many blocks ---------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The first two stages of a BLAST layer of many blocks and many tokens, on
// Hopper: groups of thread blocks that exchange Y through the L2 cache.
//
// docs/Hopper.md explains the design and has the measurements.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_KERNELS_BLASTEXCHANGE_H
#define STRUCTURED_KERNELS_BLASTEXCHANGE_H

#include "Structured/Kernels/Hopper.h"

namespace structured {

/// What the kernel is built for.
struct BlastExchangeSchedule {
  /// The number of tokens.
  int64_t tokens = 0;
  /// Multiprocessors, and so the most thread blocks that run at the same time.
  int64_t multiprocessors = kHopperMultiprocessors;
  /// Tokens that a group takes at a time, 128 or 256. A slice of them has 128
  /// or 64 ranks.
  int64_t tileM = 256;
  /// Slices of which there is memory for Y, and by how many a block may be
  /// ahead in making Y of what it has mixed.
  int64_t depth = 5, lag = 3;
};

/// Why the kernel cannot be built; nullopt if it can. There may be 16 pieces of
/// the input, of at most 256 columns of one block column, and 16 block rows.
std::optional<std::string>
checkBlastExchange(const BlastProblem &problem,
                   const BlastExchangeSchedule &schedule);

/// Thread blocks, which wait for each other.
int64_t getBlastExchangeBlocks(const BlastExchangeSchedule &schedule);

/// The ranks of a slice.
int64_t getBlastExchangeRanks(const BlastExchangeSchedule &schedule);

/// From one rank of Z to the next, in elements: at least T, so that each begins
/// with a line of the L2 cache.
int64_t getBlastExchangePitchZ(const BlastExchangeSchedule &schedule);

/// Bytes of device memory for Y, and for the counters.
int64_t getBlastExchangeScratch(const BlastExchangeSchedule &schedule);
int64_t getBlastExchangeCounters(const BlastExchangeSchedule &schedule);

/// The fastest by a rough estimate.
BlastExchangeSchedule getBlastExchangeSchedule(int64_t tokens,
                                               int64_t multiprocessors);

/// Adds a kernel for the first two stages, with a transposed Z, to `module`;
/// `checkBlastExchange` must have passed. Sums are in f32; Y, where a block
/// column is cut into several pieces the part of each, is rounded to the
/// element type.
///
/// Arguments: the descriptors, as those of `buildGemm`, of X (q, T, b_in) with
/// boxes (64, tileM, 1) and of Vt (q, r, b_in) with (64, ranks of a slice, 1);
/// pointers to Z [b_out, r, T], whose rows are `getBlastExchangePitchZ` apart
/// and may be written up to there, to S [b_out, b_in, r], to the memory for Y
/// and to the counters.
///
/// The counters must be zero before the first launch. Launches leave in them
/// what the next one needs; two with the same counters or memory must not
/// overlap, and the counters must be zeroed again after a launch that did not
/// finish. Blocks wait for each other: all must run at the same time, one on a
/// multiprocessor.
Kernel buildBlastExchange(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                          const BlastProblem &problem,
                          const BlastExchangeSchedule &schedule);

} // namespace structured

#endif // STRUCTURED_KERNELS_BLASTEXCHANGE_H
