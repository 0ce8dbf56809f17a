//===- SafetensorsFuzzer.cpp - Fuzzes the safetensors reader ----------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InputFile.h"
#include "Structured/Weights/Safetensors.h"

#include <algorithm>
#include <cstring>

using namespace structured;
using namespace structured::fuzz;

static void readFile(const uint8_t *bytes, size_t size) {
  InputFile input(bytes, size);
  Result<SafetensorsFile> file = SafetensorsFile::open(input.getPath());
  if (!file) {
    requireError(file.error(), input);
    return;
  }
  // An accepted file: each tensor's bytes lie in it, and are what its shape
  // says.
  size_t total = 0;
  for (const TensorView &tensor : file->tensors()) {
    require(file->find(tensor.name) == &tensor, "a tensor is not found");
    require(getByteSize(tensor.dtype, tensor.shape) == tensor.bytes,
            "a tensor's bytes are not those of its shape");
    unsigned sum = 0;
    for (size_t i = 0; i < tensor.bytes; ++i)
      sum += static_cast<unsigned>(tensor.data[i]);
    [[maybe_unused]] volatile unsigned use = sum;
    Result<std::vector<float>> floats = readFloats(tensor);
    require(static_cast<bool>(floats) == isFloatingPoint(tensor.dtype),
            "floats are read of the wrong types");
    if (floats)
      require(static_cast<int64_t>(floats->size()) == tensor.getNumElements(),
              "the number of floats is wrong");
    file->release(tensor);
    total += tensor.bytes;
  }
  require(total <= size, "tensors overlap");
}

/// Reads the input as a file, and as a header and its data with a NUL between,
/// to which the header's length is added: mutations would rarely get it right.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  readFile(bytes, size);
  const uint8_t *end = std::find(bytes, bytes + size, uint8_t(0));
  uint64_t length = end - bytes;
  std::vector<uint8_t> file(sizeof(length));
  std::memcpy(file.data(), &length, sizeof(length));
  file.insert(file.end(), bytes, end);
  if (end != bytes + size)
    file.insert(file.end(), end + 1, bytes + size);
  readFile(file.data(), file.size());
  return 0;
}
