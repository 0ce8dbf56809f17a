//===- CudaProgram.h - What the entries of a CUDA module share --*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_CUDAPROGRAM_H
#define STRUCTURED_RUNTIME_CUDA_CUDAPROGRAM_H

#include "Common/Entry.h"
#include "Cuda/CudaContext.h"
#include "Cuda/Kernels.h"

#include <map>
#include <memory>
#include <mutex>

namespace structured::runtime {

/// A module for CUDA on one device: its parameters, uploaded once, and the
/// images that its host code loads.
class CudaProgram {
public:
  /// Checks that the calling thread's device can run the module and uploads
  /// every entry's parameters. `weights` may be null if there are none.
  static Result<std::shared_ptr<CudaProgram>>
  create(const ModuleInfo &info, const SafetensorsFile *weights);
  ~CudaProgram();
  CudaProgram(const CudaProgram &) = delete;
  CudaProgram &operator=(const CudaProgram &) = delete;

  const CudaContext &getContext() const { return context; }

  /// The device address of a parameter.
  const void *getParameter(const std::string &name) const {
    return parameters.at(name);
  }

  /// The image at `data`, the same for the same address.
  KernelImage &getImage(const void *data, int optimization);

private:
  explicit CudaProgram(const CudaContext &context) : context(context) {}
  Result<void> upload(const std::map<std::string, const TensorView *> &tensors,
                      const SafetensorsFile &weights);

  const CudaContext &context;
  void *parameterMemory = nullptr;
  std::map<std::string, const void *> parameters;
  std::mutex mutex;
  std::map<const void *, std::unique_ptr<KernelImage>> images;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_CUDAPROGRAM_H
