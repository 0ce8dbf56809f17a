//===- CpuEntry.cpp - An entry of a module for the CPU --------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cpu/CpuEntry.h"

#include <algorithm>
#include <cstring>

namespace structured::runtime {

//===----------------------------------------------------------------------===//
// Memref descriptors
//===----------------------------------------------------------------------===//
//
// A ranked memref is {T *allocated, T *aligned, int64_t offset,
// int64_t sizes[rank], int64_t strides[rank]} (offset and strides in elements):
// an array of words of 64 bits.

static_assert(sizeof(void *) == sizeof(int64_t));

static size_t getNumWords(size_t rank) { return 3 + 2 * rank; }

/// Appends the descriptor of a dense row-major tensor.
static void appendDescriptor(const void *data, const int64_t *shape,
                             size_t rank, std::vector<int64_t> &words) {
  auto address = static_cast<int64_t>(reinterpret_cast<intptr_t>(data));
  words.insert(words.end(), {address, address, 0});
  words.insert(words.end(), shape, shape + rank);
  size_t strides = words.size();
  words.resize(strides + rank);
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    words[strides + i] = stride;
    stride *= shape[i];
  }
}

namespace {
/// A descriptor that the module has filled in.
struct MemRef {
  MemRef(const int64_t *words, size_t rank, size_t elementSize)
      : allocated(reinterpret_cast<void *>(words[0])),
        data(reinterpret_cast<char *>(words[1]) +
             words[2] * static_cast<int64_t>(elementSize)),
        sizes(words + 3), strides(words + 3 + rank), rank(rank),
        elementSize(elementSize) {}

  int64_t getNumElements() const {
    int64_t count = 1;
    for (size_t i = 0; i < rank; ++i)
      count *= sizes[i];
    return count;
  }

  bool isRowMajor() const {
    int64_t stride = 1;
    for (size_t i = rank; i-- > 0;) {
      if (sizes[i] != 1 && strides[i] != stride)
        return false;
      stride *= sizes[i];
    }
    return true;
  }

  /// Copies the elements to `target` in row-major order.
  void copyTo(char *target) const { copyDim(0, data, target); }

  void *allocated;
  char *data;
  const int64_t *sizes;
  const int64_t *strides;
  size_t rank;
  size_t elementSize;

private:
  char *copyDim(size_t dim, const char *source, char *target) const {
    if (dim == rank) {
      std::memcpy(target, source, elementSize);
      return target + elementSize;
    }
    for (int64_t i = 0; i < sizes[dim]; ++i)
      target =
          copyDim(dim + 1,
                  source + i * strides[dim] * static_cast<int64_t>(elementSize),
                  target);
    return target;
  }
};
} // namespace

/// What MLIR puts into `allocated` for memory that is not to be freed.
static void *const staticMemory = reinterpret_cast<void *>(0xdeadbeef);

static bool isAligned(const void *data, DType dtype) {
  return reinterpret_cast<uintptr_t>(data) % getByteWidth(dtype) == 0;
}

//===----------------------------------------------------------------------===//
// CpuEntry
//===----------------------------------------------------------------------===//

Result<CpuEntry> CpuEntry::create(const EntryInfo &info, Function function,
                                  const SafetensorsFile *weights) {
  CpuEntry entry(info, function);
  std::vector<size_t> begins;
  for (const TensorType &parameter : info.parameters) {
    Result<const TensorView *> found = weights->get(parameter.name);
    if (!found)
      return Error{found.error()};
    const TensorView &tensor = **found;
    if (tensor.dtype != parameter.dtype || tensor.shape != parameter.shape)
      return Error{
          weights->path() + ": tensor '" + parameter.name + "' is " +
          formatType(tensor.dtype, tensor.shape.data(), tensor.shape.size()) +
          ", the module expects " + formatType(parameter)};
    const void *data = tensor.data;
    if (!isAligned(data, tensor.dtype)) {
      std::unique_ptr<void, Free> copy(std::malloc(tensor.bytes));
      if (!copy)
        return Error{"out of memory for parameter '" + parameter.name + "'"};
      std::memcpy(copy.get(), data, tensor.bytes);
      data = copy.get();
      entry.alignedCopies.push_back(std::move(copy));
    }
    begins.push_back(entry.descriptors.size());
    appendDescriptor(data, tensor.shape.data(), tensor.shape.size(),
                     entry.descriptors);
  }
  for (size_t begin : begins)
    entry.descriptorOfParameter.push_back(&entry.descriptors[begin]);
  return entry;
}

Result<void> CpuEntry::checkInputs(const structuredRtTensor *inputs) const {
  for (size_t i = 0; i < info->inputs.size(); ++i) {
    const TensorType &type = info->inputs[i];
    const structuredRtTensor &input = inputs[i];
    std::string what = "input '" + type.name + "'";
    if (!structuredRtDTypeGetName(input.dtype))
      return Error{what + ": " + std::to_string(input.dtype) +
                   " is not a dtype"};
    if (input.rank < 0 || input.rank > STRUCTURED_RT_MAX_RANK)
      return Error{what + ": rank " + std::to_string(input.rank) +
                   " is not in 0.." + std::to_string(STRUCTURED_RT_MAX_RANK)};
    auto dtype = static_cast<DType>(input.dtype);
    if (dtype != type.dtype ||
        !isCompatibleShape(type, input.shape, input.rank))
      return Error{what + ": expected " + formatType(type) + ", given " +
                   formatType(dtype, input.shape, input.rank)};
    std::optional<size_t> bytes =
        getByteSize(dtype, {input.shape, input.shape + input.rank});
    if (!bytes)
      return Error{what + ": " + formatType(dtype, input.shape, input.rank) +
                   " is too large"};
    if (!input.data && *bytes)
      return Error{what + ": no data"};
    if (!isAligned(input.data, dtype))
      return Error{what + ": the data is not aligned to its element size of " +
                   std::to_string(getByteWidth(dtype)) + " bytes"};
  }
  return {};
}

Result<void> CpuEntry::run(const structuredRtTensor *inputs,
                           structuredRtTensor *outputs) const {
  if (Result<void> valid = checkInputs(inputs); !valid)
    return valid;

  size_t resultWords = 0;
  for (const TensorType &type : info->outputs)
    resultWords += getNumWords(type.shape.size());
  std::vector<int64_t> results(resultWords);
  std::vector<int64_t> inputWords;
  std::vector<size_t> begins;
  for (size_t i = 0; i < info->inputs.size(); ++i) {
    begins.push_back(inputWords.size());
    appendDescriptor(inputs[i].data, inputs[i].shape, inputs[i].rank,
                     inputWords);
  }

  std::vector<const void *> pointers;
  if (!results.empty())
    pointers.push_back(results.data());
  for (size_t begin : begins)
    pointers.push_back(&inputWords[begin]);
  pointers.insert(pointers.end(), descriptorOfParameter.begin(),
                  descriptorOfParameter.end());
  std::vector<void *> arguments;
  for (const void *&pointer : pointers)
    arguments.push_back(&pointer);

  function(arguments.data());
  return takeOutputs(inputs, results.data(), outputs);
}

/// Turns the results that the module has filled in into dense tensors of the
/// caller's. A result may be strided, may share memory with another one, and
/// may be (a view of) an input, a parameter or a constant of the module.
Result<void> CpuEntry::takeOutputs(const structuredRtTensor *inputs,
                                   const int64_t *results,
                                   structuredRtTensor *outputs) const {
  std::vector<MemRef> memrefs;
  for (const TensorType &type : info->outputs) {
    memrefs.emplace_back(results, type.shape.size(), getByteWidth(type.dtype));
    results += getNumWords(type.shape.size());
  }

  // The allocations that are ours to free or to hand on.
  std::vector<std::unique_ptr<void, Free>> owned;
  auto isBorrowed = [&](void *memory) {
    for (size_t i = 0; i < info->inputs.size(); ++i)
      if (memory == inputs[i].data)
        return true;
    for (const void *descriptor : descriptorOfParameter)
      if (memory == *static_cast<void *const *>(descriptor))
        return true;
    return memory == nullptr || memory == staticMemory;
  };
  auto findOwned = [&](void *memory) {
    return std::find_if(
        owned.begin(), owned.end(),
        [&](const auto &allocation) { return allocation.get() == memory; });
  };
  for (const MemRef &memref : memrefs)
    if (!isBorrowed(memref.allocated) &&
        findOwned(memref.allocated) == owned.end())
      owned.emplace_back(memref.allocated);

  for (size_t i = 0; i < memrefs.size(); ++i)
    if (!isCompatibleShape(info->outputs[i], memrefs[i].sizes, memrefs[i].rank))
      return Error{"output '" + info->outputs[i].name + "': the module " +
                   "declares " + formatType(info->outputs[i]) +
                   " but returned " +
                   formatType(info->outputs[i].dtype, memrefs[i].sizes,
                              memrefs[i].rank)};

  // Hand an allocation on where it is one output's dense data, copy otherwise.
  std::vector<std::unique_ptr<void, Free>> allocations(memrefs.size());
  std::vector<char *> data(memrefs.size());
  for (size_t i = 0; i < memrefs.size(); ++i) {
    const MemRef &memref = memrefs[i];
    bool isShared =
        std::count_if(memrefs.begin(), memrefs.end(), [&](const MemRef &other) {
          return other.allocated == memref.allocated;
        }) > 1;
    auto allocation = findOwned(memref.allocated);
    if (allocation != owned.end() && !isShared && memref.isRowMajor()) {
      allocations[i] = std::move(*allocation);
      data[i] = memref.data;
      continue;
    }
    size_t bytes = memref.getNumElements() * memref.elementSize;
    allocations[i].reset(std::malloc(std::max<size_t>(bytes, 1)));
    if (!allocations[i])
      return Error{"out of memory for output '" + info->outputs[i].name + "'"};
    data[i] = static_cast<char *>(allocations[i].get());
    if (bytes)
      memref.copyTo(data[i]);
  }

  for (size_t i = 0; i < memrefs.size(); ++i) {
    structuredRtTensor output = {};
    output.dtype = static_cast<int32_t>(info->outputs[i].dtype);
    output.rank = static_cast<int32_t>(memrefs[i].rank);
    std::copy_n(memrefs[i].sizes, memrefs[i].rank, output.shape);
    output.data = data[i];
    output.owner = allocations[i].release();
    outputs[i] = output;
  }
  return {};
}

} // namespace structured::runtime
