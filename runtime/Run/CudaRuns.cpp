//===- CudaRuns.cpp - Timed runs of CUDA modules --------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/CudaRuns.h"

#include <cstdlib>
#include <memory>

namespace structured::runtime {

namespace {

/// What is freed at the end, whatever happened.
template <auto free>
struct Freed {
  Freed() = default;
  Freed(const Freed &) = delete;
  Freed &operator=(const Freed &) = delete;
  ~Freed() {
    if (handle)
      free(handle);
  }
  void *handle = nullptr;
};
using DeviceMemory = Freed<structuredRtCudaFree>;
using Stream = Freed<structuredRtCudaStreamDestroy>;
using Event = Freed<structuredRtCudaEventDestroy>;

} // namespace

static Error getRuntimeError() { return Error{structuredRtGetLastError()}; }

int64_t getNumBytes(const structuredRtTensor &tensor) {
  int64_t bytes = structuredRtDTypeGetSize(tensor.dtype);
  for (int32_t i = 0; i < tensor.rank; ++i)
    bytes *= tensor.shape[i];
  return bytes;
}

Result<Times> timeCudaRuns(structuredRtModule *module, int32_t entry,
                           const std::vector<structuredRtTensor> &inputs,
                           const std::vector<int32_t> &updated,
                           std::vector<structuredRtTensor> &outputs,
                           const RunOptions &options) {
  Stream stream;
  if (structuredRtCudaStreamCreate(&stream.handle))
    return getRuntimeError();
  std::vector<structuredRtTensor> onDevice = inputs;
  std::vector<DeviceMemory> memory(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    int64_t bytes = getNumBytes(inputs[i]);
    if (structuredRtCudaAlloc(bytes, &memory[i].handle) ||
        structuredRtCudaCopy(memory[i].handle, inputs[i].data, bytes,
                             stream.handle))
      return getRuntimeError();
    onDevice[i].data = memory[i].handle;
  }

  auto numInputs = static_cast<int32_t>(inputs.size());
  auto numOutputs = static_cast<int32_t>(outputs.size());
  std::vector<structuredRtTensor> results(outputs.size());
  std::unique_ptr<structuredRtGraph, decltype(&structuredRtGraphFree)> graph(
      nullptr, structuredRtGraphFree);
  // A capture runs on a stream of its own: the inputs must be there.
  if (options.graph) {
    structuredRtGraph *captured = nullptr;
    if (structuredRtCudaStreamSynchronize(stream.handle) ||
        structuredRtGraphCapture(module, entry, onDevice.data(), numInputs,
                                 results.data(), numOutputs, &captured))
      return getRuntimeError();
    graph.reset(captured);
  }

  std::vector<Event> events(2 * options.repeat);
  for (Event &event : events)
    if (structuredRtCudaEventCreate(&event.handle))
      return getRuntimeError();
  for (int64_t i = -options.warmup; i < options.repeat; ++i) {
    for (int32_t index : updated)
      if (structuredRtCudaCopy(onDevice[index].data, inputs[index].data,
                               getNumBytes(inputs[index]), stream.handle))
        return getRuntimeError();
    if (i >= 0 &&
        structuredRtCudaEventRecord(events[2 * i].handle, stream.handle))
      return getRuntimeError();
    if (graph ? structuredRtGraphLaunch(graph.get(), stream.handle)
              : structuredRtEntryRunOnStream(module, entry, onDevice.data(),
                                             numInputs, results.data(),
                                             numOutputs, stream.handle))
      return getRuntimeError();
    if (i >= 0 &&
        structuredRtCudaEventRecord(events[2 * i + 1].handle, stream.handle))
      return getRuntimeError();
  }

  for (size_t i = 0; i < outputs.size(); ++i) {
    int64_t bytes = getNumBytes(results[i]);
    structuredRtTensor output = results[i];
    output.data = output.owner = std::malloc(bytes ? bytes : 1);
    if (!output.data)
      return Error{"out of memory for the outputs"};
    outputs[i] = output;
    if (structuredRtCudaCopy(output.data, results[i].data, bytes,
                             stream.handle))
      return getRuntimeError();
  }
  if (structuredRtCudaStreamSynchronize(stream.handle))
    return getRuntimeError();
  std::vector<double> times;
  for (int64_t i = 0; i < options.repeat; ++i) {
    float time = 0;
    if (structuredRtCudaEventElapsed(events[2 * i].handle,
                                     events[2 * i + 1].handle, &time))
      return getRuntimeError();
    times.push_back(time);
  }
  return Times(std::move(times));
}

} // namespace structured::runtime
