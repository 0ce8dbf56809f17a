//===- Arena.h - Device memory of one entry's runs --------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_ARENA_H
#define STRUCTURED_RUNTIME_CUDA_ARENA_H

#include "Cuda/CudaContext.h"

#include <map>
#include <unordered_map>
#include <vector>

namespace structured::runtime {

/// The memory that the runs of one entry use. Blocks are given out and taken
/// back in the order of the calls, which is that of the stream; so a block may
/// be given out again while the kernel that used it is still to run. The same
/// calls get the same addresses in each run, and chunks are never given back
/// before the end: from the second run on, nothing is allocated.
///
/// The functions are to be called in a `ContextScope`.
class Arena {
public:
  explicit Arena(const CudaContext &context) : context(context) {}
  ~Arena();
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;

  /// Allocates a first chunk of that many bytes.
  Result<void> reserve(size_t bytes);

  /// A block, aligned to 256 bytes. Allocates a chunk from the driver if none
  /// has room; an error if `mayGrow` is false then.
  Result<void *> allocate(size_t bytes, bool mayGrow);

  /// Takes a block back; false if it is none of the arena's.
  bool free(void *block);

  /// Takes back all blocks but those that hold an address of `kept`.
  void reset(const std::vector<const void *> &kept);

  /// The bytes that the driver was asked for.
  size_t getCapacity() const { return capacity; }

private:
  struct Chunk {
    char *data;
    size_t size;
    /// From offset to size; neighbours are merged.
    std::map<size_t, size_t> holes;
  };
  struct Block {
    size_t chunk, offset, size;
  };

  Result<void> addChunk(size_t bytes);
  void fillHole(const Block &block);

  const CudaContext &context;
  std::vector<Chunk> chunks;
  std::unordered_map<void *, Block> blocks;
  size_t capacity = 0;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_ARENA_H
