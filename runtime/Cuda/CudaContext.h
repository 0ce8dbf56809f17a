//===- CudaContext.h - A CUDA device and its primary context ----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_CUDACONTEXT_H
#define STRUCTURED_RUNTIME_CUDA_CUDACONTEXT_H

#include "Cuda/CudaApi.h"

#include <mutex>

namespace structured::runtime {

/// The order of a device's runs with resident kernels (ResidentTurn.h).
struct ResidentOrder {
  std::mutex mutex;
  /// The end of the last one; null before the first.
  CUevent last = nullptr;
};

/// A device with its primary context, which other libraries of the process
/// (PyTorch) use too. Lives until the process ends.
class CudaContext {
public:
  /// The context of a device; the devices are counted from 0, as
  /// CUDA_VISIBLE_DEVICES leaves them.
  static Result<const CudaContext *> get(int32_t ordinal);

  const CudaApi &api;
  int32_t ordinal;
  CUcontext handle = nullptr;
  /// "CUDA device 0 (NVIDIA H100 80GB HBM3)".
  std::string name;
  /// The compute capability.
  int major = 0, minor = 0;
  int multiprocessorCount = 0;
  /// Bytes of shared memory that a block can have.
  int maxSharedMemory = 0;
  mutable ResidentOrder residentOrder;

  /// Fails, saying why, if the device cannot run code for `arch`: "sm_90"
  /// needs a compute capability of at least 9.0, "sm_90a" exactly 9.0,
  /// "sm_100f" the major version 10.
  Result<void> checkArch(const std::string &arch) const;

  /// True if `address` is memory of this device, false if it is the host's; an
  /// error for memory of another device. To be called in a `ContextScope`.
  Result<bool> isDeviceMemory(const void *address) const;

private:
  CudaContext(const CudaApi &api, int32_t ordinal)
      : api(api), ordinal(ordinal) {}
  static Result<const CudaContext *> create(int32_t ordinal);
};

/// Makes a context the calling thread's current one for a while.
class ContextScope {
public:
  explicit ContextScope(const CudaContext &context) : context(context) {
    context.api.cuCtxPushCurrent(context.handle);
  }
  ~ContextScope() {
    CUcontext popped;
    context.api.cuCtxPopCurrent(&popped);
  }
  ContextScope(const ContextScope &) = delete;
  ContextScope &operator=(const ContextScope &) = delete;

private:
  const CudaContext &context;
};

/// Chooses the device of the calling thread's later module loads and memory
/// functions.
Result<void> selectDevice(int32_t ordinal);

/// The context of the calling thread's device, by default 0.
Result<const CudaContext *> getSelectedContext();

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_CUDACONTEXT_H
