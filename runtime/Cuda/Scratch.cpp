//===- Scratch.cpp - Memory that runs hand on to the next -----------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/Scratch.h"

namespace structured::runtime {

Scratch::~Scratch() {
  ContextScope scope(context);
  for (auto &[number, block] : blocks)
    context.api.cuMemFree(block.data);
}

Result<void *> Scratch::get(int64_t number, int64_t bytes, CUstream stream,
                            bool mayCreate) {
  std::string what = "scratch memory " + std::to_string(number) + ": ";
  if (auto it = blocks.find(number); it != blocks.end()) {
    if (it->second.bytes != bytes)
      return Error{what + std::to_string(bytes) + " bytes are asked for, " +
                   "before it were " + std::to_string(it->second.bytes)};
    return it->second.data;
  }
  if (bytes <= 0 || bytes % 4)
    return Error{what + std::to_string(bytes) +
                 " bytes are not a positive multiple of 4"};
  if (!mayCreate)
    return Error{what + "the run before the capture did not use it"};
  const CudaApi &cuda = context.api;
  void *data = nullptr;
  CUresult result = cuda.cuMemAlloc(&data, bytes);
  if (result != CUDA_SUCCESS)
    return Error{what + std::to_string(bytes) + " bytes on " + context.name +
                 ": " + cuda.describe(result)};
  result = cuda.cuMemsetD32Async(data, 0, bytes / 4, stream);
  if (result == CUDA_SUCCESS)
    result = cuda.cuStreamSynchronize(stream);
  if (result != CUDA_SUCCESS) {
    cuda.cuMemFree(data);
    return Error{what + "zeroing it: " + cuda.describe(result)};
  }
  blocks.emplace(number, Block{data, bytes});
  return data;
}

} // namespace structured::runtime
