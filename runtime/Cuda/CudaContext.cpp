//===- CudaContext.cpp - A CUDA device and its primary context ------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/CudaContext.h"

#include <cstdlib>
#include <map>
#include <mutex>

namespace structured::runtime {

Result<const CudaContext *> CudaContext::get(int32_t ordinal) {
  static std::mutex mutex;
  // Not destroyed: modules may be freed by destructors of static objects.
  static auto &contexts = *new std::map<int32_t, const CudaContext *>;
  std::lock_guard<std::mutex> lock(mutex);
  if (auto it = contexts.find(ordinal); it != contexts.end())
    return it->second;
  Result<const CudaContext *> context = create(ordinal);
  if (context)
    contexts[ordinal] = *context;
  return context;
}

Result<const CudaContext *> CudaContext::create(int32_t ordinal) {
  Result<const CudaApi *> api = CudaApi::get();
  if (!api)
    return Error{api.error()};
  const CudaApi &cuda = **api;
  int count = 0;
  if (auto ok = cuda.check(cuda.cuDeviceGetCount(&count), "cuDeviceGetCount");
      !ok)
    return Error{ok.error()};
  if (ordinal < 0 || ordinal >= count)
    return Error{"there is no CUDA device " + std::to_string(ordinal) +
                 ": there are " + std::to_string(count)};

  std::string what = "CUDA device " + std::to_string(ordinal);
  CUdevice device;
  char name[256] = {};
  auto *context = new CudaContext(cuda, ordinal);
  struct {
    int attribute;
    int *value;
  } attributes[] = {
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &context->major},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &context->minor},
      {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &context->multiprocessorCount},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
       &context->maxSharedMemory}};
  CUresult result = cuda.cuDeviceGet(&device, ordinal);
  if (result == CUDA_SUCCESS)
    result = cuda.cuDeviceGetName(name, sizeof(name) - 1, device);
  for (const auto &attribute : attributes)
    if (result == CUDA_SUCCESS)
      result = cuda.cuDeviceGetAttribute(attribute.value, attribute.attribute,
                                         device);
  if (result == CUDA_SUCCESS)
    result = cuda.cuDevicePrimaryCtxRetain(&context->handle, device);
  if (result != CUDA_SUCCESS) {
    delete context;
    return Error{what + " cannot be used: " + cuda.describe(result)};
  }
  context->name = what + " (" + name + ")";
  return context;
}

Result<void> CudaContext::checkArch(const std::string &arch) const {
  char *suffix = nullptr;
  long number =
      arch.rfind("sm_", 0) == 0 ? std::strtol(&arch[3], &suffix, 10) : 0;
  std::string kind = suffix ? suffix : "";
  if (number < 10 || (!kind.empty() && kind != "a" && kind != "f"))
    return Error{"arch: expected an architecture such as 'sm_90a', given '" +
                 arch + "'"};
  int capability = 10 * major + minor;
  bool able = kind == "a"   ? capability == number
              : kind == "f" ? capability >= number && major == number / 10
                            : capability >= number;
  if (able)
    return {};
  return Error{"compiled for " + arch + ", but " + name +
               " has compute capability " + std::to_string(major) + "." +
               std::to_string(minor)};
}

Result<bool> CudaContext::isDeviceMemory(const void *address) const {
  unsigned type = 0;
  CUresult result = api.cuPointerGetAttribute(
      &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address);
  // The driver knows nothing of memory that malloc gave.
  if (result == CUDA_ERROR_INVALID_VALUE)
    return false;
  if (auto ok = api.check(result, "cuPointerGetAttribute"); !ok)
    return Error{ok.error()};
  if (type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED)
    return false;
  int owner = -1;
  if (auto ok =
          api.check(api.cuPointerGetAttribute(
                        &owner, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address),
                    "cuPointerGetAttribute");
      !ok)
    return Error{ok.error()};
  if (owner != ordinal)
    return Error{"the data is on CUDA device " + std::to_string(owner) +
                 ", the module on " + std::to_string(ordinal)};
  return true;
}

static thread_local int32_t selectedDevice = 0;

Result<void> selectDevice(int32_t ordinal) {
  Result<const CudaContext *> context = CudaContext::get(ordinal);
  if (!context)
    return Error{context.error()};
  selectedDevice = ordinal;
  return {};
}

Result<const CudaContext *> getSelectedContext() {
  return CudaContext::get(selectedDevice);
}

} // namespace structured::runtime
