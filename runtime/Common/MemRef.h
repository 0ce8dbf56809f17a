//===- MemRef.h - MLIR's memref descriptors ---------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_MEMREF_H
#define STRUCTURED_RUNTIME_COMMON_MEMREF_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace structured::runtime {

// A ranked memref is {T *allocated, T *aligned, int64_t offset,
// int64_t sizes[rank], int64_t strides[rank]} (offset and strides in elements):
// an array of words of 64 bits.

static_assert(sizeof(void *) == sizeof(int64_t));

inline size_t getNumWords(size_t rank) { return 3 + 2 * rank; }

/// Appends the descriptor of a dense row-major tensor.
void appendDescriptor(const void *data, const int64_t *shape, size_t rank,
                      std::vector<int64_t> &words);

/// A descriptor that the module has filled in.
struct MemRef {
  MemRef(const int64_t *words, size_t rank, size_t elementSize)
      : allocated(reinterpret_cast<void *>(words[0])),
        data(reinterpret_cast<char *>(words[1]) +
             words[2] * static_cast<int64_t>(elementSize)),
        sizes(words + 3), strides(words + 3 + rank), rank(rank),
        elementSize(elementSize) {}

  int64_t getNumElements() const;
  bool isRowMajor() const;

  /// The bytes from the first element's to the last one's end, for strides that
  /// are not negative.
  size_t getSpanBytes() const;

  /// Copies the elements, which begin at `source`, to `target` in row-major
  /// order.
  void copyFrom(const char *source, char *target) const {
    copyDim(0, source, target);
  }

  void *allocated;
  char *data;
  const int64_t *sizes;
  const int64_t *strides;
  size_t rank;
  size_t elementSize;

private:
  char *copyDim(size_t dim, const char *source, char *target) const;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_MEMREF_H
