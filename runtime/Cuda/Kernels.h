//===- Kernels.h - Images of device code and their kernels ------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_KERNELS_H
#define STRUCTURED_RUNTIME_CUDA_KERNELS_H

#include "Cuda/CudaContext.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace structured::runtime {

/// What a launch asks for, beside the parameters.
struct LaunchConfig {
  std::array<int64_t, 3> grid;
  std::array<int64_t, 3> block;
  /// All 0: no clusters.
  std::array<int64_t, 3> cluster = {0, 0, 0};
  int64_t dynamicSharedMemory = 0;
  /// Programmatic dependent launch: may begin before the kernel before it on
  /// the stream has ended, and waits for it with `griddepcontrol.wait`.
  bool isProgrammatic = false;
  bool isCooperative = false;
};

/// A function of an image on one device.
class Kernel {
public:
  Kernel(const CudaContext &context, std::string name, CUfunction function,
         int maxDynamic)
      : context(context), name(std::move(name)), function(function),
        maxDynamic(maxDynamic) {}

  const std::string &getName() const { return name; }

  /// Launches, setting the function's attributes as `config` asks for where it
  /// has not been done. A grid with a size of 0 launches nothing. An error
  /// names the kernel, the configuration and the cause.
  Result<void> launch(const LaunchConfig &config, CUstream stream,
                      void **parameters);

private:
  Result<void> raiseLimits(const LaunchConfig &config);
  void divideCache(const LaunchConfig &config);

  const CudaContext &context;
  std::string name;
  CUfunction function;
  std::mutex mutex;
  /// The limits of the function as they are set.
  int64_t maxDynamic;
  bool takesLargeClusters = false;
  /// The threads and the dynamic shared memory of a block for which the cache
  /// was last divided.
  std::pair<int64_t, int64_t> dividedFor = {0, 0};
  bool hasSmallPart = false;
};

/// An image of device code (cubin, fatbin or PTX), which is loaded on a device
/// when a kernel of it is first asked for there.
class KernelImage {
public:
  /// Nothing is read from `data`, whose length the image itself states.
  /// `optimization` is the level for compiling PTX, -1 for the driver's.
  KernelImage(const void *data, int optimization)
      : data(data), optimization(optimization) {}
  ~KernelImage();
  KernelImage(const KernelImage &) = delete;
  KernelImage &operator=(const KernelImage &) = delete;

  /// The kernel of that name. To be called in a `ContextScope` of `context`.
  Result<Kernel *> getKernel(const CudaContext &context, std::string_view name);

private:
  struct Loaded {
    CUmodule module;
    std::map<std::string, std::unique_ptr<Kernel>, std::less<>> kernels;
  };

  Result<CUmodule> load(const CudaContext &context) const;

  const void *data;
  int optimization;
  std::mutex mutex;
  std::map<const CudaContext *, Loaded> loaded;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_KERNELS_H
