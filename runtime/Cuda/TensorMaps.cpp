//===- TensorMaps.cpp - Descriptors of tensors for the TMA ----------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/TensorMaps.h"

#include <algorithm>

namespace structured::runtime {

static constexpr size_t mapsPerChunk = 512;

int64_t getTensorMapElementSize(int64_t dataType) {
  // U8, U16, U32, I32, U64, I64, F16, F32, F64, BF16, F32_FTZ, TF32, TF32_FTZ
  static constexpr int64_t sizes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  return dataType >= 0 && dataType < int64_t(std::size(sizes)) ? sizes[dataType]
                                                               : 0;
}

bool TensorMapRequest::operator==(const TensorMapRequest &other) const {
  return address == other.address && dataType == other.dataType &&
         rank == other.rank && sizes == other.sizes &&
         strides == other.strides && box == other.box &&
         interleave == other.interleave && swizzle == other.swizzle &&
         l2Promotion == other.l2Promotion && oobFill == other.oobFill;
}

size_t TensorMaps::Hash::operator()(const TensorMapRequest &request) const {
  // FNV-1a, a word at a time.
  uint64_t hash = 0xcbf29ce484222325;
  auto add = [&](uint64_t word) { hash = (hash ^ word) * 0x100000001b3; };
  add(reinterpret_cast<uintptr_t>(request.address));
  for (int64_t word : {request.dataType, request.rank, request.interleave,
                       request.swizzle, request.l2Promotion, request.oobFill})
    add(word);
  for (int64_t word : request.sizes)
    add(word);
  for (int64_t word : request.strides)
    add(word);
  for (int64_t word : request.box)
    add(word);
  return hash ^ hash >> 32;
}

Result<void> TensorMapRequest::check() const {
  auto fail = [&](const std::string &what) -> Result<void> {
    return Error{"tensor map: " + what};
  };
  auto inDim = [](int64_t dim) {
    return " of dimension " + std::to_string(dim) + " (0 is the innermost)";
  };
  int64_t elementSize = getTensorMapElementSize(dataType);
  if (!elementSize)
    return fail("data type " + std::to_string(dataType) + " is not one");
  int64_t minRank = interleave ? 3 : 1;
  if (rank < minRank || rank > maxRank)
    return fail("rank " + std::to_string(rank) + " is not in " +
                std::to_string(minRank) + ".." + std::to_string(maxRank));
  if (interleave < 0 || interleave > 2)
    return fail("interleave " + std::to_string(interleave) + " is not in 0..2");
  if (swizzle < 0 || swizzle > 3)
    return fail("swizzle " + std::to_string(swizzle) +
                " is not 0 (none), 1 (32 bytes), 2 (64) or 3 (128)");
  // Interleaving in units of 32 bytes demands as much of addresses.
  int64_t unit = interleave == 2 ? 32 : 16;
  if (reinterpret_cast<uintptr_t>(address) % unit)
    return fail("the address is not aligned to " + std::to_string(unit) +
                " bytes");
  if (!address)
    return fail("the address is null");
  for (int64_t i = 0; i < rank; ++i)
    if (sizes[i] < 1 || sizes[i] > int64_t(1) << 32)
      return fail("size " + std::to_string(sizes[i]) + inDim(i) +
                  " is not in 1..2^32");
  for (int64_t i = 0; i + 1 < rank; ++i) {
    if (strides[i] < 0 || strides[i] >= int64_t(1) << 40)
      return fail("stride " + std::to_string(strides[i]) + inDim(i + 1) +
                  " is not in 0..2^40-1 bytes");
    if (strides[i] % unit)
      return fail("stride " + std::to_string(strides[i]) + inDim(i + 1) +
                  " is not a multiple of " + std::to_string(unit) + " bytes");
  }
  for (int64_t i = 0; i < rank; ++i)
    if (box[i] < 1 || box[i] > 256)
      return fail("box size " + std::to_string(box[i]) + inDim(i) +
                  " is not in 1..256");
  int64_t rowBytes = box[0] * elementSize;
  if (interleave)
    return {};
  if (rowBytes % 16)
    return fail("a row of the box has " + std::to_string(rowBytes) +
                " bytes, not a multiple of 16");
  if (swizzle && rowBytes > 16 << swizzle)
    return fail("a row of the box has " + std::to_string(rowBytes) +
                " bytes, more than the " + std::to_string(16 << swizzle) +
                " of its swizzle");
  return {};
}

TensorMaps::~TensorMaps() {
  ContextScope scope(context);
  for (void *chunk : chunks)
    context.api.cuMemFree(chunk);
}

Result<void *> TensorMaps::allocate() {
  if (!room) {
    void *chunk = nullptr;
    if (auto ok = context.api.check(
            context.api.cuMemAlloc(&chunk, mapsPerChunk * sizeof(CUtensorMap)),
            "tensor maps: cuMemAlloc");
        !ok)
      return Error{ok.error()};
    chunks.push_back(chunk);
    used.push_back(chunk);
    room = mapsPerChunk;
  }
  return static_cast<CUtensorMap *>(used.back()) + (mapsPerChunk - room--);
}

Result<void *> TensorMaps::get(const TensorMapRequest &request, CUstream stream,
                               bool mayBeNew) {
  if (auto it = addresses.find(request); it != addresses.end())
    return it->second;
  if (Result<void> valid = request.check(); !valid)
    return Error{valid.error()};
  if (!mayBeNew)
    return Error{"tensor map: a captured run needs one that the run before it "
                 "did not"};

  if (addresses.size() >= capacity) {
    // Work that uses the old ones is done before their memory is given back.
    if (auto ok = context.api.check(context.api.cuStreamSynchronize(stream),
                                    "cuStreamSynchronize");
        !ok)
      return Error{ok.error()};
    for (void *chunk : used) {
      context.api.cuMemFree(chunk);
      chunks.erase(std::find(chunks.begin(), chunks.end(), chunk));
    }
    addresses.clear();
    pin();
  }

  uint64_t sizes[TensorMapRequest::maxRank] = {};
  uint64_t strides[TensorMapRequest::maxRank - 1] = {};
  uint32_t box[TensorMapRequest::maxRank] = {},
           elementStrides[] = {1, 1, 1, 1, 1};
  for (int64_t i = 0; i < request.rank; ++i) {
    sizes[i] = request.sizes[i];
    box[i] = static_cast<uint32_t>(request.box[i]);
    if (i + 1 < request.rank)
      strides[i] = request.strides[i];
  }
  CUtensorMap map;
  CUresult result = context.api.cuTensorMapEncodeTiled(
      &map, static_cast<int>(request.dataType),
      static_cast<unsigned>(request.rank), const_cast<void *>(request.address),
      sizes, strides, box, elementStrides, static_cast<int>(request.interleave),
      static_cast<int>(request.swizzle), static_cast<int>(request.l2Promotion),
      static_cast<int>(request.oobFill));
  if (auto ok = context.api.check(result, "tensor map: cuTensorMapEncodeTiled");
      !ok)
    return Error{ok.error()};
  Result<void *> address = allocate();
  if (!address)
    return address;
  // The driver has read `map` when this returns: it is no page-locked memory.
  if (auto ok = context.api.check(
          context.api.cuMemcpyHtoDAsync(*address, &map, sizeof(map), stream),
          "tensor map: cuMemcpyHtoDAsync");
      !ok)
    return Error{ok.error()};
  addresses.emplace(request, *address);
  return address;
}

} // namespace structured::runtime
