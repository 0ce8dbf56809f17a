//===- BlastDecode.h - BLAST layers for few tokens, on Hopper ---*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A whole BLAST layer in one kernel, for at most 16 tokens: the weights are
// read once and nearly nothing else is.
//
// docs/Hopper.md explains the design and has the measurements.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_KERNELS_BLASTDECODE_H
#define STRUCTURED_KERNELS_BLASTDECODE_H

#include "Structured/Kernels/Hopper.h"

namespace structured {

/// The most tokens of a decode kernel.
inline constexpr int64_t kMaxDecodeTokens = 16;

/// What a decode kernel is built for.
struct BlastDecodeSchedule {
  /// The number of tokens, 1 to `kMaxDecodeTokens`.
  int64_t tokens = 1;
  /// Multiprocessors, and so the most thread blocks that run at the same time.
  int64_t multiprocessors = 132;
  /// Layers of the same problem and input, each of which gets an equal share of
  /// the multiprocessors.
  int64_t layers = 1;
};

/// Why the kernel cannot be built; nullopt if it can. Block and rank sizes must
/// be multiples of 8; there may not be more block rows than multiprocessors.
std::optional<std::string>
checkBlastDecode(const BlastProblem &problem,
                 const BlastDecodeSchedule &schedule);

/// The thread blocks that the kernel must be launched with, at most
/// `multiprocessors`.
int64_t getBlastDecodeBlocks(const BlastProblem &problem,
                             const BlastDecodeSchedule &schedule);

/// Bytes of the memory in which the blocks exchange Z.
int64_t getBlastDecodeScratch(const BlastProblem &problem,
                              const BlastDecodeSchedule &schedule);

/// Adds a kernel for a whole layer and `tokens` tokens to `module`;
/// `checkBlastDecode` must have passed. Sums are in f32, Z is rounded to the
/// element type, Y is not.
///
/// Arguments: pointers to X [tokens, n], for each layer Vt [b_in, r, q],
/// S [b_out, b_in, r], U [b_out, p, r] and O [tokens, m], and the scratch
/// memory, all contiguous and aligned to 16 bytes.
///
/// The scratch memory must be zero before the first launch. Launches leave in
/// it what the next one needs, so that neither arguments nor memory have to
/// change between them and a graph may be replayed; but two launches with the
/// same scratch memory must not overlap, and it must be zeroed again for
/// another kernel or after a launch that did not finish.
///
/// Blocks wait for each other: all `getBlastDecodeBlocks` must run at the same
/// time, one on a multiprocessor, with no other kernel that waits so beside
/// them. With programmatic dependent launch Vt and S are read before the kernel
/// that writes X has ended.
Kernel buildBlastDecode(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                        const BlastProblem &problem,
                        const BlastDecodeSchedule &schedule);

} // namespace structured

#endif // STRUCTURED_KERNELS_BLASTDECODE_H
