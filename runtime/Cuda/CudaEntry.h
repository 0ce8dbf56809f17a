//===- CudaEntry.h - An entry of a module for CUDA --------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_CUDAENTRY_H
#define STRUCTURED_RUNTIME_CUDA_CUDAENTRY_H

#include "Common/Entry.h"
#include "Cuda/CudaProgram.h"
#include "Cuda/EntryState.h"

#include <memory>
#include <vector>

namespace structured::runtime {

/// An entry whose host code launches kernels: the descriptors it is given and
/// those it returns describe device memory. Concurrent runs are put one after
/// the other, on the host and on the device: they use one arena.
class CudaEntry : public Entry {
public:
  static Result<std::unique_ptr<Entry>>
  create(const EntryInfo &info, Function function,
         std::shared_ptr<CudaProgram> program);

  Result<void> run(const structuredRtTensor *inputs,
                   structuredRtTensor *outputs) const override;
  Result<void> runOnStream(const structuredRtTensor *inputs,
                           structuredRtTensor *outputs,
                           void *stream) const override;
  Result<std::unique_ptr<Graph>>
  capture(const structuredRtTensor *inputs,
          structuredRtTensor *outputs) const override;

private:
  CudaEntry(const EntryInfo &info, Function function,
            std::shared_ptr<CudaProgram> program);

  Result<void> enqueue(const structuredRtTensor *inputs, CUstream stream,
                       bool isCapturing, Descriptors &words) const;
  Result<void> copyToHost(const structuredRtTensor *inputs,
                          const std::vector<MemRef> &results,
                          structuredRtTensor *outputs) const;
  Result<void> keepOnDevice(const std::vector<MemRef> &results,
                            structuredRtTensor *outputs) const;
  Result<void> checkUpdatesStay(const structuredRtTensor *inputs) const;
  Result<void> finish() const;

  const EntryInfo *info;
  Function function;
  std::shared_ptr<CudaProgram> program;
  /// The parameters' descriptors, one after the other, and where each begins.
  std::vector<int64_t> descriptors;
  std::vector<const void *> descriptorOfParameter;
  std::unique_ptr<EntryState> state;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_CUDAENTRY_H
