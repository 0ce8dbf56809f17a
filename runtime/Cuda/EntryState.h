//===- EntryState.h - What the runs of one CUDA entry share -----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_ENTRYSTATE_H
#define STRUCTURED_RUNTIME_CUDA_ENTRYSTATE_H

#include "Cuda/Arena.h"
#include "Cuda/Matmul.h"
#include "Cuda/Scratch.h"
#include "Cuda/TensorMaps.h"

#include <mutex>
#include <string>

namespace structured::runtime {

/// What the runs of one entry share. Used with `mutex` held and the context
/// current.
struct EntryState {
  explicit EntryState(const CudaContext &context)
      : context(context), arena(context), tensorMaps(context), matmuls(context),
        scratch(context) {}
  ~EntryState();

  /// Lets `stream` wait for the entry's last run, wherever it was enqueued.
  Result<void> waitForLast(CUstream stream) const;
  /// Notes that the last run ends with what `stream` has been given so far.
  Result<void> recordLast(CUstream stream);

  const CudaContext &context;
  std::mutex mutex;
  Arena arena;
  TensorMaps tensorMaps;
  Matmuls matmuls;
  Scratch scratch;
  /// Of the runs that are given none.
  CUstream stream = nullptr;
  /// The end of the last run, if there was one.
  CUevent done = nullptr;
  bool hasRun = false;
  /// Whether the last run had resident kernels (ResidentTurn.h).
  bool hasResidentKernels = false;
  std::string lastKernel;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_ENTRYSTATE_H
