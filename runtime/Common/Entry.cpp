//===- Entry.cpp - An entry of a module, of any target --------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/Entry.h"

#include <algorithm>

namespace structured::runtime {

Result<void> Entry::runOnStream(const structuredRtTensor *,
                                structuredRtTensor *, void *) const {
  return Error{"the module's target has no streams: it is not 'cuda'"};
}

Result<std::unique_ptr<Graph>> Entry::capture(const structuredRtTensor *,
                                              structuredRtTensor *) const {
  return Error{"the module's target has no graphs: it is not 'cuda'"};
}

/// An error if another input shares memory with one that is updated. The inputs
/// are valid.
static Result<void> checkUpdatedInputs(const EntryInfo &info,
                                       const structuredRtTensor *inputs) {
  auto getRange = [&](size_t i) {
    auto begin = reinterpret_cast<uintptr_t>(inputs[i].data);
    return std::pair(begin, begin + getNumBytes(inputs[i]));
  };
  for (const TensorType &output : info.outputs) {
    if (!output.updates)
      continue;
    auto [begin, end] = getRange(*output.updates);
    for (size_t i = 0; i < info.inputs.size(); ++i) {
      auto [otherBegin, otherEnd] = getRange(i);
      // What is empty shares nothing.
      if (i != *output.updates && begin != end && otherBegin != otherEnd &&
          begin < otherEnd && otherBegin < end)
        return Error{"input '" + info.inputs[*output.updates].name +
                     "', which is updated, shares memory with input '" +
                     info.inputs[i].name + "'"};
    }
  }
  return {};
}

Result<void> checkInputs(const EntryInfo &info,
                         const structuredRtTensor *inputs) {
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    const TensorType &type = info.inputs[i];
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
  return checkUpdatedInputs(info, inputs);
}

Result<const TensorView *> findParameter(const SafetensorsFile &weights,
                                         const TensorType &parameter) {
  Result<const TensorView *> found = weights.get(parameter.name);
  if (!found)
    return Error{found.error()};
  const TensorView &tensor = **found;
  if (tensor.dtype != parameter.dtype || tensor.shape != parameter.shape)
    return Error{
        weights.path() + ": tensor '" + parameter.name + "' is " +
        formatType(tensor.dtype, tensor.shape.data(), tensor.shape.size()) +
        ", the module expects " + formatType(parameter)};
  return &tensor;
}

std::vector<MemRef> readOutputs(const EntryInfo &info,
                                const Descriptors &descriptors) {
  std::vector<const int64_t *> inputs;
  const int64_t *input = descriptors.inputs.data();
  for (const TensorType &type : info.inputs) {
    inputs.push_back(input);
    input += getNumWords(type.shape.size());
  }
  std::vector<MemRef> outputs;
  const int64_t *result = descriptors.results.data();
  for (const TensorType &type : info.outputs) {
    size_t rank = type.shape.size();
    outputs.emplace_back(type.updates ? inputs[*type.updates] : result, rank,
                         getByteWidth(type.dtype));
    if (!type.updates)
      result += getNumWords(rank);
  }
  return outputs;
}

Result<void> checkOutputs(const EntryInfo &info,
                          const std::vector<MemRef> &outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorType &type = info.outputs[i];
    if (!isCompatibleShape(type, outputs[i].sizes, outputs[i].rank))
      return Error{"output '" + type.name + "': the module declares " +
                   formatType(type) + " but returned " +
                   formatType(type.dtype, outputs[i].sizes, outputs[i].rank)};
  }
  return {};
}

void callEntry(Entry::Function function, const EntryInfo &info,
               Descriptors &descriptors,
               const std::vector<const void *> &parameters) {
  size_t resultWords = 0;
  for (const TensorType &type : info.outputs)
    if (!type.updates)
      resultWords += getNumWords(type.shape.size());
  descriptors.results.assign(resultWords, 0);
  std::vector<const void *> pointers;
  if (resultWords)
    pointers.push_back(descriptors.results.data());
  const int64_t *input = descriptors.inputs.data();
  for (const TensorType &type : info.inputs) {
    pointers.push_back(input);
    input += getNumWords(type.shape.size());
  }
  pointers.insert(pointers.end(), parameters.begin(), parameters.end());
  std::vector<void *> arguments;
  for (const void *&pointer : pointers)
    arguments.push_back(&pointer);
  function(arguments.data());
}

structuredRtTensor makeTensor(const TensorType &type, const MemRef &memref,
                              void *data, void *owner) {
  structuredRtTensor tensor = {};
  tensor.dtype = static_cast<int32_t>(type.dtype);
  tensor.rank = static_cast<int32_t>(memref.rank);
  std::copy_n(memref.sizes, memref.rank, tensor.shape);
  tensor.data = data;
  tensor.owner = owner;
  return tensor;
}

} // namespace structured::runtime
