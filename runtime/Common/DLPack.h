//===- DLPack.h - Tensors of other libraries --------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_DLPACK_H
#define STRUCTURED_RUNTIME_COMMON_DLPACK_H

#include "Common/Module.h"

// DLPack's public structs (https://github.com/dmlc/dlpack, dlpack.h, without
// versions), declared here because the project needs nothing else of it.

struct DLDevice {
  int32_t device_type;
  int32_t device_id;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  /// In elements; null: dense and row-major.
  int64_t *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void *manager_ctx;
  void (*deleter)(DLManagedTensor *self);
};

namespace structured::runtime {

/// See structuredRtTensorFromDLPack().
Result<void> fromDLPack(const DLManagedTensor &managed,
                        structuredRtTensor &tensor);

/// See structuredRtTensorToDLPack(). `module` may be null if the tensor has an
/// owner.
Result<void> toDLPack(const Module *module, structuredRtTensor &tensor,
                      DLManagedTensor *&managed);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_DLPACK_H
