//===- Scratch.h - Memory that runs hand on to the next ---------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_SCRATCH_H
#define STRUCTURED_RUNTIME_CUDA_SCRATCH_H

#include "Cuda/CudaContext.h"

#include <map>

namespace structured::runtime {

/// Memory of one entry's kernels that keeps its contents from run to run, by
/// the numbers that the module gives. To be used in a `ContextScope`.
class Scratch {
public:
  explicit Scratch(const CudaContext &context) : context(context) {}
  ~Scratch();
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  /// The memory of that number. The first time it is allocated and zeroed,
  /// which is waited for; an error if `mayCreate` is false then.
  Result<void *> get(int64_t number, int64_t bytes, CUstream stream,
                     bool mayCreate);

private:
  struct Block {
    void *data;
    int64_t bytes;
  };

  const CudaContext &context;
  std::map<int64_t, Block> blocks;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_SCRATCH_H
