//===- DLPack.cpp - Tensors of other libraries ----------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/DLPack.h"

#include "Cuda/CudaContext.h"

#include <algorithm>
#include <array>

namespace structured::runtime {

namespace {

enum : int32_t { // DLDeviceType
  kDLCPU = 1,
  kDLCUDA = 2,
  kDLCUDAHost = 3,
  kDLCUDAManaged = 13
};
enum : uint8_t { // DLDataTypeCode
  kDLInt = 0,
  kDLUInt = 1,
  kDLFloat = 2,
  kDLBfloat = 4,
  kDLBool = 6
};

/// What a struct that was handed out keeps alive.
struct Owned {
  DLManagedTensor managed;
  std::array<int64_t, STRUCTURED_RT_MAX_RANK> shape, strides;
  structuredRtTensor tensor;
  const Module *module;
};

} // namespace

/// In the order of enum structuredRtDType.
static constexpr DLDataType types[] = {
    {kDLFloat, 64, 1}, {kDLFloat, 32, 1}, {kDLFloat, 16, 1}, {kDLBfloat, 16, 1},
    {kDLInt, 64, 1},   {kDLInt, 32, 1},   {kDLInt, 16, 1},   {kDLInt, 8, 1},
    {kDLUInt, 8, 1},   {kDLBool, 8, 1}};

Result<void> fromDLPack(const DLManagedTensor &managed,
                        structuredRtTensor &tensor) {
  const DLTensor &given = managed.dl_tensor;
  int32_t device = given.device.device_type;
  if (device != kDLCPU && device != kDLCUDA && device != kDLCUDAHost &&
      device != kDLCUDAManaged)
    return Error{"a DLPack tensor is on a device of type " +
                 std::to_string(device) +
                 "; the CPU (1) and CUDA (2, 3, 13) are supported"};
  const auto *type =
      std::find_if(std::begin(types), std::end(types), [&](DLDataType type) {
        return type.code == given.dtype.code && type.bits == given.dtype.bits &&
               type.lanes == given.dtype.lanes;
      });
  if (type == std::end(types))
    return Error{"a DLPack tensor has the dtype (code " +
                 std::to_string(given.dtype.code) + ", " +
                 std::to_string(given.dtype.bits) + " bits, " +
                 std::to_string(given.dtype.lanes) +
                 " lanes), which is not supported"};
  if (given.ndim < 0 || given.ndim > STRUCTURED_RT_MAX_RANK)
    return Error{"a DLPack tensor has rank " + std::to_string(given.ndim) +
                 ", not in 0.." + std::to_string(STRUCTURED_RT_MAX_RANK)};
  int64_t stride = 1;
  bool isEmpty = std::find(given.shape, given.shape + given.ndim, 0) !=
                 given.shape + given.ndim;
  for (int32_t i = given.ndim; i-- > 0;) {
    if (given.strides && !isEmpty && given.shape[i] != 1 &&
        given.strides[i] != stride)
      return Error{"a DLPack tensor is not dense and row-major: dimension " +
                   std::to_string(i) + " has stride " +
                   std::to_string(given.strides[i]) + ", not " +
                   std::to_string(stride)};
    stride *= given.shape[i];
  }
  tensor = {};
  tensor.dtype = static_cast<int32_t>(type - std::begin(types));
  tensor.rank = given.ndim;
  std::copy_n(given.shape, given.ndim, tensor.shape);
  tensor.data = static_cast<char *>(given.data) + given.byte_offset;
  return {};
}

/// Where the tensor lies, by its address.
static Result<DLDevice> getDevice(const structuredRtTensor &tensor) {
  const CudaApi *cuda = CudaApi::getIfLoaded();
  unsigned type = 0;
  if (!cuda || !tensor.data ||
      cuda->cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                  tensor.data) != CUDA_SUCCESS ||
      (type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED))
    return DLDevice{kDLCPU, 0};
  int ordinal = 0;
  if (auto ok = cuda->check(
          cuda->cuPointerGetAttribute(
              &ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, tensor.data),
          "cuPointerGetAttribute");
      !ok)
    return Error{ok.error()};
  return DLDevice{kDLCUDA, ordinal};
}

Result<void> toDLPack(const Module *module, structuredRtTensor &tensor,
                      DLManagedTensor *&managed) {
  Result<DLDevice> device = getDevice(tensor);
  if (!device)
    return Error{device.error()};
  auto *owned = new Owned;
  owned->tensor = tensor;
  owned->module = tensor.owner ? nullptr : module;
  if (owned->module)
    owned->module->retain();
  int64_t stride = 1;
  for (int32_t i = tensor.rank; i-- > 0;) {
    owned->shape[i] = tensor.shape[i];
    owned->strides[i] = stride;
    stride *= tensor.shape[i];
  }
  owned->managed.dl_tensor = {tensor.data,         *device,
                              tensor.rank,         types[tensor.dtype],
                              owned->shape.data(), owned->strides.data(),
                              /*byte_offset=*/0};
  owned->managed.manager_ctx = owned;
  owned->managed.deleter = [](DLManagedTensor *self) {
    auto *owned = static_cast<Owned *>(self->manager_ctx);
    structuredRtTensorFree(&owned->tensor);
    if (owned->module)
      owned->module->release();
    delete owned;
  };
  tensor.owner = nullptr;
  managed = &owned->managed;
  return {};
}

} // namespace structured::runtime
