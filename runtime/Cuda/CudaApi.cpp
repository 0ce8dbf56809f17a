//===- CudaApi.cpp - The CUDA driver, loaded at run time ------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/CudaApi.h"

#include <atomic>
#include <dlfcn.h>

namespace structured::runtime {

static std::atomic<const CudaApi *> loaded = nullptr;

static Result<const CudaApi *> load() {
  // Never unloaded: the driver does not support it.
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Error{std::string("no CUDA driver: ") + dlerror()};
  static CudaApi api;
#define STRUCTURED_CUDA_LOAD(member, symbol, parameters)                       \
  api.member =                                                                 \
      reinterpret_cast<CUresult(*) parameters>(dlsym(library, #symbol));       \
  if (!api.member)                                                             \
    return Error{"libcuda.so.1 has no " #symbol                                \
                 ": the CUDA driver is older than 12.0"};
  STRUCTURED_CUDA_FUNCTIONS(STRUCTURED_CUDA_LOAD)
#undef STRUCTURED_CUDA_LOAD
  if (auto done = api.check(api.cuInit(0), "cuInit"); !done)
    return Error{"no usable CUDA device: " + done.error()};
  loaded = &api;
  return &api;
}

Result<const CudaApi *> CudaApi::get() {
  static const Result<const CudaApi *> result = load();
  return result;
}

const CudaApi *CudaApi::getIfLoaded() { return loaded; }

Result<void> CudaApi::check(CUresult result, const std::string &what) const {
  if (result == CUDA_SUCCESS)
    return {};
  return Error{what + ": " + describe(result)};
}

std::string CudaApi::describe(CUresult result) const {
  const char *name = nullptr, *text = nullptr;
  if (cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
    return "CUDA error " + std::to_string(result);
  std::string message = name;
  if (cuGetErrorString(result, &text) == CUDA_SUCCESS && text)
    message += " (" + std::string(text) + ")";
  return message;
}

} // namespace structured::runtime
