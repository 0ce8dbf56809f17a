//===- ModuleFuzzer.cpp - Fuzzes what loads and runs modules ----------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The input is a module's description of itself, a NUL, and its weights file.
// No shared object is written: this program has a SharedObject of its own,
// whose entries fill in results as their description says.

#include "Common/Module.h"
#include "InputFile.h"
#include "structured-runtime.h"

#include <algorithm>
#include <cstring>

using namespace structured;
using namespace structured::fuzz;
using namespace structured::runtime;

static std::string description;
static const EntryInfo *runningEntry;
static constexpr size_t maxBytes = 1 << 16;

/// The sizes with which an input or result is made: dynamic ones are 2.
static std::vector<int64_t> getSizes(const TensorType &type) {
  std::vector<int64_t> sizes = type.shape;
  std::replace(sizes.begin(), sizes.end(), int64_t(-1), int64_t(2));
  return sizes;
}

static bool isSmall(const TensorType &type) {
  std::optional<size_t> bytes = getByteSize(type.dtype, getSizes(type));
  return bytes && *bytes <= maxBytes;
}

/// Allocates a result: its dimensions lie in memory in reverse order, so that
/// those of two dimensions and more are strided.
static void fillResult(const TensorType &type, int64_t *&words) {
  std::vector<int64_t> sizes = getSizes(type);
  size_t bytes = *getByteSize(type.dtype, sizes);
  void *memory = std::calloc(std::max<size_t>(bytes, 1), 1);
  std::memcpy(words, &memory, sizeof(memory));
  std::memcpy(words + 1, &memory, sizeof(memory));
  words[2] = 0;
  words += 3;
  words = std::copy(sizes.begin(), sizes.end(), words);
  int64_t stride = 1;
  for (int64_t size : sizes) {
    *words++ = stride;
    stride *= size;
  }
}

static void readTensor(const TensorType &type, const int64_t *words) {
  const char *data;
  std::memcpy(&data, words + 1, sizeof(data));
  const size_t bytes = *getByteSize(type.dtype, getSizes(type));
  unsigned sum = 0;
  for (size_t i = 0; i < bytes; ++i)
    sum += data[i];
  [[maybe_unused]] volatile unsigned use = sum;
}

static void runEntry(void **args) {
  if (!runningEntry->outputs.empty()) {
    auto *words = **reinterpret_cast<int64_t ***>(args++);
    for (const TensorType &output : runningEntry->outputs)
      fillResult(output, words);
  }
  for (const auto *types : {&runningEntry->inputs, &runningEntry->parameters})
    for (const TensorType &type : *types)
      readTensor(type, **reinterpret_cast<int64_t ***>(args++));
}

// Instead of Common/SharedObject.cpp.
Result<SharedObject> SharedObject::open(const std::string &) {
  return SharedObject(&description);
}

SharedObject::~SharedObject() = default;

void *SharedObject::find(const std::string &symbol) const {
  if (symbol == "structured_module_info")
    return description.data();
  return symbol.empty() ? nullptr : reinterpret_cast<void *>(runEntry);
}

static void run(const Module &module, size_t index) {
  const EntryInfo &info = module.getInfo().entries[index];
  if (!std::all_of(info.outputs.begin(), info.outputs.end(), isSmall) ||
      !std::all_of(info.inputs.begin(), info.inputs.end(), isSmall))
    return;
  runningEntry = &info;
  std::vector<std::vector<char>> memory;
  std::vector<structuredRtTensor> inputs, outputs(info.outputs.size());
  for (const TensorType &type : info.inputs) {
    std::vector<int64_t> sizes = getSizes(type);
    memory.emplace_back(*getByteSize(type.dtype, sizes));
    structuredRtTensor input = {};
    input.dtype = static_cast<int32_t>(type.dtype);
    input.rank = static_cast<int32_t>(sizes.size());
    std::copy(sizes.begin(), sizes.end(), input.shape);
    input.data = memory.back().data();
    inputs.push_back(input);
  }
  Result<void> done = module.getEntry(index).run(inputs.data(), outputs.data());
  require(static_cast<bool>(done), "an entry cannot be run");
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorType &type = info.outputs[i];
    require(isCompatibleShape(type, outputs[i].shape, outputs[i].rank),
            "an output has another shape");
    size_t bytes = *getByteSize(type.dtype, getSizes(type));
    const auto *data = static_cast<const char *>(outputs[i].data);
    require(std::count(data, data + bytes, 0) == static_cast<ptrdiff_t>(bytes),
            "an output has other numbers");
    std::free(outputs[i].owner);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  const uint8_t *end = std::find(bytes, bytes + size, uint8_t(0));
  description.assign(bytes, end);
  const uint8_t *weightsBegin = end == bytes + size ? end : end + 1;
  InputFile weights(weightsBegin, bytes + size - weightsBegin);
  Result<std::unique_ptr<Module>> module =
      Module::load("fuzz.so", weights.getPath());
  if (!module) {
    require(!module.error().empty(), "an error has no text");
    return 0;
  }
  for (size_t i = 0; i < (*module)->getInfo().entries.size(); ++i)
    run(**module, i);
  return 0;
}
