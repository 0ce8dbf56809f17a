//===- TensorMaps.h - Descriptors of tensors for the TMA --------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_TENSORMAPS_H
#define STRUCTURED_RUNTIME_CUDA_TENSORMAPS_H

#include "Cuda/CudaContext.h"

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

namespace structured::runtime {

/// What cuTensorMapEncodeTiled takes; the first dimension is the innermost one.
struct TensorMapRequest {
  static constexpr int64_t maxRank = 5;

  const void *address = nullptr;
  /// A CUtensorMapDataType.
  int64_t dataType = 0;
  int64_t rank = 0;
  /// In elements.
  std::array<int64_t, maxRank> sizes = {};
  /// In bytes; that of dimension i + 1 at i.
  std::array<int64_t, maxRank - 1> strides = {};
  /// In elements.
  std::array<int64_t, maxRank> box = {};
  int64_t interleave = 0, swizzle = 0, l2Promotion = 0, oobFill = 0;

  bool operator==(const TensorMapRequest &other) const;

  /// Checks what the TMA demands of rank, data type, alignment, sizes, strides
  /// and box (CUDA driver API, "Tensor Map Object Management"); an error says
  /// which number is wrong and what it may be.
  Result<void> check() const;
};

/// Bytes of an element of a CUtensorMapDataType; 0 if there is no such type.
int64_t getTensorMapElementSize(int64_t dataType);

/// The descriptors that the runs of one entry use, in device memory, each one
/// encoded once.
class TensorMaps {
public:
  /// The most descriptors that are kept: when inputs come at ever new addresses
  /// the old ones are dropped together.
  static constexpr size_t capacity = 4096;

  explicit TensorMaps(const CudaContext &context) : context(context) {}
  ~TensorMaps();
  TensorMaps(const TensorMaps &) = delete;
  TensorMaps &operator=(const TensorMaps &) = delete;

  /// The address of the descriptor, which work enqueued on `stream` from now on
  /// may use. A new one is copied there on the stream; an error if `isNew` is
  /// not allowed, as in a capture.
  Result<void *> get(const TensorMapRequest &request, CUstream stream,
                     bool mayBeNew);

  /// Keeps all descriptors given so far for good, for a graph that uses them.
  void pin() { used.clear(), room = 0; }

private:
  struct Hash {
    size_t operator()(const TensorMapRequest &request) const;
  };

  Result<void *> allocate();

  const CudaContext &context;
  std::unordered_map<TensorMapRequest, void *, Hash> addresses;
  std::vector<void *> chunks;
  /// The chunks that may be written again, and the room in the last one.
  std::vector<void *> used;
  size_t room = 0;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_TENSORMAPS_H
