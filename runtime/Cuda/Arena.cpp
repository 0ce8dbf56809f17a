//===- Arena.cpp - Device memory of one entry's runs ----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/Arena.h"

#include <algorithm>

namespace structured::runtime {

static constexpr size_t alignment = 256;
/// Chunks are multiples of this, the granularity of the driver's large pages.
static constexpr size_t chunkUnit = size_t(2) << 20;

static size_t roundUp(size_t value, size_t unit) {
  return (value + unit - 1) / unit * unit;
}

Arena::~Arena() {
  ContextScope scope(context);
  for (const Chunk &chunk : chunks)
    context.api.cuMemFree(chunk.data);
}

Result<void> Arena::addChunk(size_t bytes) {
  void *data = nullptr;
  CUresult result = context.api.cuMemAlloc(&data, bytes);
  if (result != CUDA_SUCCESS)
    return Error{context.name + ": " + std::to_string(bytes) +
                 " bytes of memory, beside the " + std::to_string(capacity) +
                 " that the entry has: " + context.api.describe(result)};
  capacity += bytes;
  chunks.push_back({static_cast<char *>(data), bytes, {{0, bytes}}});
  return {};
}

Result<void> Arena::reserve(size_t bytes) {
  return bytes ? addChunk(roundUp(bytes, chunkUnit)) : Result<void>();
}

Result<void *> Arena::allocate(size_t bytes, bool mayGrow) {
  if (bytes > SIZE_MAX / 2)
    return Error{std::to_string(bytes) + " bytes of memory are asked for"};
  size_t size = roundUp(std::max<size_t>(bytes, 1), alignment);
  auto take = [&](size_t index) -> void * {
    Chunk &chunk = chunks[index];
    auto hole =
        std::find_if(chunk.holes.begin(), chunk.holes.end(),
                     [&](const auto &hole) { return hole.second >= size; });
    if (hole == chunk.holes.end())
      return nullptr;
    auto [offset, room] = *hole;
    chunk.holes.erase(hole);
    if (room > size)
      chunk.holes.emplace(offset + size, room - size);
    void *block = chunk.data + offset;
    blocks.emplace(block, Block{index, offset, size});
    return block;
  };
  for (size_t i = 0; i < chunks.size(); ++i)
    if (void *block = take(i))
      return block;
  if (!mayGrow)
    return Error{"a captured run needs more memory than the run before it"};
  // Doubling keeps the chunks few; where that is too much, what is needed.
  size_t needed = roundUp(size, chunkUnit);
  Result<void> added = addChunk(std::max(needed, capacity));
  if (!added && needed < capacity)
    added = addChunk(needed);
  if (!added)
    return Error{added.error()};
  return take(chunks.size() - 1);
}

void Arena::fillHole(const Block &block) {
  std::map<size_t, size_t> &holes = chunks[block.chunk].holes;
  auto hole = holes.emplace(block.offset, block.size).first;
  auto next = std::next(hole);
  if (next != holes.end() && hole->first + hole->second == next->first) {
    hole->second += next->second;
    holes.erase(next);
  }
  if (hole == holes.begin())
    return;
  auto previous = std::prev(hole);
  if (previous->first + previous->second == hole->first) {
    previous->second += hole->second;
    holes.erase(hole);
  }
}

bool Arena::free(void *block) {
  auto it = blocks.find(block);
  if (it == blocks.end())
    return false;
  fillHole(it->second);
  blocks.erase(it);
  return true;
}

void Arena::reset(const std::vector<const void *> &kept) {
  for (auto it = blocks.begin(); it != blocks.end();) {
    auto begin = reinterpret_cast<uintptr_t>(it->first);
    bool keep = std::any_of(kept.begin(), kept.end(), [&](const void *address) {
      return reinterpret_cast<uintptr_t>(address) - begin < it->second.size;
    });
    if (keep) {
      ++it;
      continue;
    }
    fillHole(it->second);
    it = blocks.erase(it);
  }
}

} // namespace structured::runtime
