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

Result<std::unique_ptr<Entry>>
CpuEntry::create(const EntryInfo &info, Function function,
                 const SafetensorsFile *weights) {
  std::unique_ptr<CpuEntry> entry(new CpuEntry(info, function));
  std::vector<size_t> begins;
  for (const TensorType &parameter : info.parameters) {
    Result<const TensorView *> found = findParameter(*weights, parameter);
    if (!found)
      return Error{found.error()};
    const TensorView &tensor = **found;
    const void *data = tensor.data;
    if (!isAligned(data, tensor.dtype)) {
      std::unique_ptr<void, Free> copy(std::malloc(tensor.bytes));
      if (!copy)
        return Error{"out of memory for parameter '" + parameter.name + "'"};
      std::memcpy(copy.get(), data, tensor.bytes);
      data = copy.get();
      entry->alignedCopies.push_back(std::move(copy));
    }
    begins.push_back(entry->descriptors.size());
    appendDescriptor(data, tensor.shape.data(), tensor.shape.size(),
                     entry->descriptors);
  }
  for (size_t begin : begins)
    entry->descriptorOfParameter.push_back(&entry->descriptors[begin]);
  return std::unique_ptr<Entry>(std::move(entry));
}

Result<void> CpuEntry::run(const structuredRtTensor *inputs,
                           structuredRtTensor *outputs) const {
  if (Result<void> valid = checkInputs(*info, inputs); !valid)
    return valid;
  Descriptors words;
  for (size_t i = 0; i < info->inputs.size(); ++i)
    appendDescriptor(inputs[i].data, inputs[i].shape, inputs[i].rank,
                     words.inputs);
  callEntry(function, *info, words, descriptorOfParameter);
  return takeOutputs(inputs, words, outputs);
}

/// Turns the results that the module has filled in into dense tensors of the
/// caller's. A result may be strided, may share memory with another one, and
/// may be (a view of) an input, a parameter or a constant of the module. An
/// input that was updated is an output as it is.
Result<void> CpuEntry::takeOutputs(const structuredRtTensor *inputs,
                                   const Descriptors &words,
                                   structuredRtTensor *outputs) const {
  std::vector<MemRef> memrefs = readOutputs(*info, words);

  // The allocations that are ours to free or to hand on.
  std::vector<std::unique_ptr<void, Free>> owned;
  auto isBorrowed = [&](void *memory) {
    for (size_t i = 0; i < info->inputs.size(); ++i)
      if (memory == inputs[i].data)
        return true;
    for (const void *descriptor : descriptorOfParameter)
      if (memory == *static_cast<void *const *>(descriptor))
        return true;
    return memory == nullptr || memory == getStaticMemoryMark();
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

  if (Result<void> valid = checkOutputs(*info, memrefs); !valid)
    return valid;

  // Hand an allocation on where it is one output's dense data, copy otherwise.
  std::vector<std::unique_ptr<void, Free>> allocations(memrefs.size());
  std::vector<char *> data(memrefs.size());
  for (size_t i = 0; i < memrefs.size(); ++i) {
    const MemRef &memref = memrefs[i];
    if (info->outputs[i].updates) {
      data[i] = memref.data;
      continue;
    }
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
      memref.copyFrom(memref.data, data[i]);
  }

  for (size_t i = 0; i < memrefs.size(); ++i)
    outputs[i] = makeTensor(info->outputs[i], memrefs[i], data[i],
                            allocations[i].release());
  return {};
}

} // namespace structured::runtime
