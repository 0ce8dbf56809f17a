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
  return {};
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

size_t getNumResultWords(const EntryInfo &info) {
  size_t words = 0;
  for (const TensorType &type : info.outputs)
    words += getNumWords(type.shape.size());
  return words;
}

std::vector<MemRef> readResults(const EntryInfo &info, const int64_t *words) {
  std::vector<MemRef> results;
  for (const TensorType &type : info.outputs) {
    results.emplace_back(words, type.shape.size(), getByteWidth(type.dtype));
    words += getNumWords(type.shape.size());
  }
  return results;
}

Result<void> checkResults(const EntryInfo &info,
                          const std::vector<MemRef> &results) {
  for (size_t i = 0; i < results.size(); ++i) {
    const TensorType &type = info.outputs[i];
    if (!isCompatibleShape(type, results[i].sizes, results[i].rank))
      return Error{"output '" + type.name + "': the module declares " +
                   formatType(type) + " but returned " +
                   formatType(type.dtype, results[i].sizes, results[i].rank)};
  }
  return {};
}

void callEntry(Entry::Function function, const EntryInfo &info,
               std::vector<int64_t> &results,
               const std::vector<int64_t> &inputs,
               const std::vector<const void *> &parameters) {
  std::vector<const void *> pointers;
  if (!results.empty())
    pointers.push_back(results.data());
  const int64_t *input = inputs.data();
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
