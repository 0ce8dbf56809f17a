//===- MemRef.cpp - MLIR's memref descriptors -----------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/MemRef.h"

#include <cstring>

namespace structured::runtime {

void appendDescriptor(const void *data, const int64_t *shape, size_t rank,
                      std::vector<int64_t> &words) {
  auto address = static_cast<int64_t>(reinterpret_cast<intptr_t>(data));
  words.insert(words.end(), {address, address, 0});
  words.insert(words.end(), shape, shape + rank);
  size_t strides = words.size();
  words.resize(strides + rank);
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    words[strides + i] = stride;
    stride *= shape[i];
  }
}

int64_t MemRef::getNumElements() const {
  int64_t count = 1;
  for (size_t i = 0; i < rank; ++i)
    count *= sizes[i];
  return count;
}

bool MemRef::isRowMajor() const {
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    if (sizes[i] != 1 && strides[i] != stride)
      return false;
    stride *= sizes[i];
  }
  return true;
}

size_t MemRef::getSpanBytes() const {
  if (getNumElements() == 0)
    return 0;
  int64_t last = 0;
  for (size_t i = 0; i < rank; ++i)
    last += (sizes[i] - 1) * strides[i];
  return (last + 1) * elementSize;
}

char *MemRef::copyDim(size_t dim, const char *source, char *target) const {
  if (dim == rank) {
    std::memcpy(target, source, elementSize);
    return target + elementSize;
  }
  for (int64_t i = 0; i < sizes[dim]; ++i)
    target = copyDim(
        dim + 1, source + i * strides[dim] * static_cast<int64_t>(elementSize),
        target);
  return target;
}

} // namespace structured::runtime
