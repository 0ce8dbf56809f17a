//===- CudaEntry.cpp - An entry of a module for CUDA ----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/CudaEntry.h"

#include "Cuda/CudaRun.h"
#include "Cuda/Graph.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace structured::runtime {

CudaEntry::CudaEntry(const EntryInfo &info, Function function,
                     std::shared_ptr<CudaProgram> program)
    : info(&info), function(function), program(std::move(program)),
      state(std::make_unique<EntryState>(this->program->getContext())) {}

Result<std::unique_ptr<Entry>>
CudaEntry::create(const EntryInfo &info, Function function,
                  std::shared_ptr<CudaProgram> program) {
  std::unique_ptr<CudaEntry> entry(
      new CudaEntry(info, function, std::move(program)));
  std::vector<size_t> begins;
  for (const TensorType &parameter : info.parameters) {
    begins.push_back(entry->descriptors.size());
    appendDescriptor(entry->program->getParameter(parameter.name),
                     parameter.shape.data(), parameter.shape.size(),
                     entry->descriptors);
  }
  for (size_t begin : begins)
    entry->descriptorOfParameter.push_back(&entry->descriptors[begin]);

  EntryState &state = *entry->state;
  ContextScope scope(state.context);
  const CudaApi &cuda = state.context.api;
  CUresult result = cuda.cuStreamCreate(&state.stream, CU_STREAM_NON_BLOCKING);
  if (result == CUDA_SUCCESS)
    result = cuda.cuEventCreate(&state.done, CU_EVENT_DISABLE_TIMING);
  Result<void> ready = cuda.check(result, "a stream and an event");
  if (ready)
    ready = state.arena.reserve(info.arenaBytes);
  if (!ready)
    return Error{"entry '" + info.name + "': " + ready.error()};
  return std::unique_ptr<Entry>(std::move(entry));
}

/// Enqueues a run: brings the inputs that are on the host to the device, calls
/// the host code, and fills in the results' descriptors.
Result<void> CudaEntry::enqueue(const structuredRtTensor *inputs,
                                CUstream stream, bool isCapturing,
                                Descriptors &words) const {
  const CudaContext &context = program->getContext();
  const CudaApi &cuda = context.api;
  auto fail = [&](const std::string &reason) -> Result<void> {
    return Error{"entry '" + info->name + "': " + reason};
  };
  // The run before this one may be on another stream. Inputs may be its
  // outputs: their blocks stay.
  if (!isCapturing)
    if (Result<void> ordered = state->waitForLast(stream); !ordered)
      return fail(ordered.error());
  std::vector<const void *> kept;
  for (size_t i = 0; i < info->inputs.size(); ++i)
    kept.push_back(inputs[i].data);
  state->arena.reset(kept);

  words.inputs.clear();
  for (size_t i = 0; i < info->inputs.size(); ++i) {
    const structuredRtTensor &input = inputs[i];
    std::string what = "input '" + info->inputs[i].name + "': ";
    const void *data = input.data;
    size_t bytes = getNumBytes(input);
    Result<bool> isOnDevice = bytes ? context.isDeviceMemory(data) : true;
    if (!isOnDevice)
      return Error{what + isOnDevice.error()};
    if (!*isOnDevice) {
      if (isCapturing)
        return Error{what + "a graph reads its inputs at each launch, so they "
                            "must be on the device"};
      Result<void *> copy = state->arena.allocate(bytes, /*mayGrow=*/true);
      if (!copy)
        return Error{what + copy.error()};
      if (auto ok =
              cuda.check(cuda.cuMemcpyHtoDAsync(*copy, data, bytes, stream),
                         what + "copying it to " + context.name);
          !ok)
        return ok;
      data = *copy;
    }
    appendDescriptor(data, input.shape, input.rank, words.inputs);
  }

  CudaRun run(*program, state->arena, state->tensorMaps, state->matmuls,
              state->scratch, stream, isCapturing);
  {
    CudaRun::Scope scope(run);
    callEntry(function, *info, words, descriptorOfParameter);
  }
  if (run.lastKernel)
    state->lastKernel = run.lastKernel->getName();
  run.end();
  state->hasResidentKernels = run.hasResidentKernels;
  if (!isCapturing)
    run.note(state->recordLast(stream));
  if (Result<void> done = run.getResult(); !done)
    return fail(done.error());
  return {};
}

/// Waits for the entry's stream. An error of a kernel's own shows here, without
/// the kernel's name.
Result<void> CudaEntry::finish() const {
  const CudaApi &cuda = program->getContext().api;
  CUresult result = cuda.cuStreamSynchronize(state->stream);
  if (result == CUDA_SUCCESS)
    return {};
  return Error{"entry '" + info->name + "': one of its kernels failed" +
               (state->lastKernel.empty()
                    ? ""
                    : " (launched last: '" + state->lastKernel +
                          "'; structuredRtCudaCheckLaunches finds the one)") +
               ": " + cuda.describe(result)};
}

Result<void> CudaEntry::run(const structuredRtTensor *inputs,
                            structuredRtTensor *outputs) const {
  if (Result<void> valid = checkInputs(*info, inputs); !valid)
    return valid;
  std::lock_guard<std::mutex> lock(state->mutex);
  ContextScope scope(state->context);
  Descriptors words;
  Result<void> done =
      enqueue(inputs, state->stream, /*isCapturing=*/false, words);
  std::vector<MemRef> results;
  if (done) {
    results = readOutputs(*info, words);
    done = checkOutputs(*info, results);
  }
  if (done)
    return copyToHost(inputs, results, outputs);
  // Nothing may read the caller's memory when this has returned.
  (void)finish();
  return done;
}

/// Brings the results to the host: those that update inputs to where these are,
/// if they are on the host.
Result<void> CudaEntry::copyToHost(const structuredRtTensor *inputs,
                                   const std::vector<MemRef> &results,
                                   structuredRtTensor *outputs) const {
  struct Free {
    void operator()(char *data) const { std::free(data); }
  };
  using Buffer = std::unique_ptr<char, Free>;
  const CudaContext &context = state->context;
  std::vector<Buffer> buffers(results.size()), strided(results.size());
  Result<void> done;
  for (size_t i = 0; i < results.size() && done; ++i) {
    const MemRef &result = results[i];
    std::string what = "output '" + info->outputs[i].name + "': ";
    size_t bytes = result.getNumElements() * result.elementSize;
    size_t span = result.getSpanBytes();
    bool isDense = result.isRowMajor();
    if (std::optional<size_t> updates = info->outputs[i].updates) {
      void *data = inputs[*updates].data;
      if (data != result.data && bytes)
        done = context.api.check(context.api.cuMemcpyDtoHAsync(
                                     data, result.data, bytes, state->stream),
                                 what + "copying it from " + context.name);
      continue;
    }
    buffers[i].reset(static_cast<char *>(std::malloc(bytes ? bytes : 1)));
    if (!isDense)
      strided[i].reset(static_cast<char *>(std::malloc(span ? span : 1)));
    if (!buffers[i] || (!isDense && !strided[i])) {
      done = Error{what + "out of memory"};
      break;
    }
    char *target = isDense ? buffers[i].get() : strided[i].get();
    // A constant of the module may be the host code's.
    Result<bool> isOnDevice = result.allocated == getStaticMemoryMark() && bytes
                                  ? context.isDeviceMemory(result.data)
                                  : true;
    if (!isOnDevice)
      done = Error{what + isOnDevice.error()};
    else if (!*isOnDevice)
      std::memcpy(target, result.data, span);
    else if (bytes)
      done = context.api.check(context.api.cuMemcpyDtoHAsync(
                                   target, result.data, span, state->stream),
                               what + "copying it from " + context.name);
  }
  Result<void> finished = finish();
  if (!done || !finished)
    return done ? finished : done;
  for (size_t i = 0; i < results.size(); ++i) {
    if (std::optional<size_t> updates = info->outputs[i].updates) {
      outputs[i] = makeTensor(info->outputs[i], results[i],
                              inputs[*updates].data, /*owner=*/nullptr);
      continue;
    }
    if (strided[i] && results[i].getNumElements())
      results[i].copyFrom(strided[i].get(), buffers[i].get());
    char *data = buffers[i].release();
    outputs[i] = makeTensor(info->outputs[i], results[i], data, data);
  }
  return {};
}

Result<void> CudaEntry::keepOnDevice(const std::vector<MemRef> &results,
                                     structuredRtTensor *outputs) const {
  if (Result<void> valid = checkOutputs(*info, results); !valid)
    return valid;
  for (size_t i = 0; i < results.size(); ++i) {
    const MemRef &result = results[i];
    if (!result.getNumElements())
      continue;
    std::string what = "output '" + info->outputs[i].name + "': the module ";
    if (!result.isRowMajor())
      return Error{what + "returned it strided; only a dense output can stay "
                          "on the device"};
    if (result.allocated != getStaticMemoryMark())
      continue;
    Result<bool> isOnDevice = state->context.isDeviceMemory(result.data);
    if (!isOnDevice)
      return Error{what + "returned a constant: " + isOnDevice.error()};
    if (!*isOnDevice)
      return Error{what + "returned a constant on the host"};
  }
  for (size_t i = 0; i < results.size(); ++i)
    outputs[i] = makeTensor(info->outputs[i], results[i], results[i].data,
                            /*owner=*/nullptr);
  return {};
}

/// An error if an input that is to be updated is on the host, where nobody
/// would see that.
Result<void>
CudaEntry::checkUpdatesStay(const structuredRtTensor *inputs) const {
  for (const TensorType &output : info->outputs) {
    if (!output.updates)
      continue;
    const structuredRtTensor &input = inputs[*output.updates];
    if (!getNumBytes(input))
      continue;
    std::string what = "input '" + info->inputs[*output.updates].name + "': ";
    Result<bool> isOnDevice = state->context.isDeviceMemory(input.data);
    if (!isOnDevice)
      return Error{what + isOnDevice.error()};
    if (!*isOnDevice)
      return Error{what + "it is updated there, so it must be on the device"};
  }
  return {};
}

Result<void> CudaEntry::runOnStream(const structuredRtTensor *inputs,
                                    structuredRtTensor *outputs,
                                    void *stream) const {
  if (Result<void> valid = checkInputs(*info, inputs); !valid)
    return valid;
  std::lock_guard<std::mutex> lock(state->mutex);
  ContextScope scope(state->context);
  if (Result<void> valid = checkUpdatesStay(inputs); !valid)
    return valid;
  auto *cudaStream = static_cast<CUstream>(stream);
  // The caller may be capturing a graph of its own.
  int captureStatus = 0;
  Result<void> done = state->context.api.check(
      state->context.api.cuStreamIsCapturing(cudaStream, &captureStatus),
      "entry '" + info->name + "': cuStreamIsCapturing");
  if (!done)
    return done;
  bool isCapturing = captureStatus != 0;
  if (isCapturing && state->hasResidentKernels && !doesCallerKeepTurns())
    return Error{"entry '" + info->name +
                 "': it has kernels whose blocks wait for each other, whose "
                 "turns on the device a graph of the caller would not keep; "
                 "capture it with structuredRtGraphCapture, or see "
                 "structuredRtCudaCallerKeepsTurns"};
  Descriptors words;
  done = enqueue(inputs, cudaStream, isCapturing, words);
  if (!done)
    return done;
  if (isCapturing)
    state->tensorMaps.pin();
  return keepOnDevice(readOutputs(*info, words), outputs);
}

namespace {
/// Copies of the inputs on the device that an entry updates.
class SavedInputs {
public:
  explicit SavedInputs(const EntryState &state)
      : state(state), context(state.context) {}
  SavedInputs(const SavedInputs &) = delete;
  SavedInputs &operator=(const SavedInputs &) = delete;
  ~SavedInputs() {
    for (const Saved &input : inputs)
      context.api.cuMemFree(input.copy);
  }

  Result<void> save(const EntryInfo &info, const structuredRtTensor *tensors) {
    for (const TensorType &output : info.outputs) {
      if (!output.updates)
        continue;
      const structuredRtTensor &tensor = tensors[*output.updates];
      Saved input = {"input '" + info.inputs[*output.updates].name + "': ",
                     tensor.data, nullptr, getNumBytes(tensor)};
      if (!input.bytes)
        continue;
      // The run before this one may be updating it.
      if (auto ok = state.waitForLast(state.stream); !ok)
        return ok;
      if (auto ok = context.api.check(
              context.api.cuMemAlloc(&input.copy, input.bytes),
              input.what + "a copy of " + std::to_string(input.bytes) +
                  " bytes on " + context.name);
          !ok)
        return ok;
      inputs.push_back(input);
      if (auto ok = copy(input, input.copy, input.data); !ok) {
        // Nothing is to be restored from it.
        inputs.back().bytes = 0;
        return ok;
      }
    }
    return {};
  }

  Result<void> restore() const {
    Result<void> done;
    for (const Saved &input : inputs)
      if (Result<void> copied = copy(input, input.data, input.copy); done)
        done = copied;
    return done;
  }

private:
  struct Saved {
    std::string what; ///< for errors
    void *data, *copy;
    size_t bytes;
  };

  Result<void> copy(const Saved &input, void *target,
                    const void *source) const {
    return context.api.check(
        context.api.cuMemcpyAsync(target, source, input.bytes, state.stream),
        input.what + "copying it on " + context.name);
  }

  const EntryState &state;
  const CudaContext &context;
  std::vector<Saved> inputs;
};
} // namespace

Result<std::unique_ptr<Graph>>
CudaEntry::capture(const structuredRtTensor *inputs,
                   structuredRtTensor *outputs) const {
  if (Result<void> valid = checkInputs(*info, inputs); !valid)
    return Error{valid.error()};
  std::lock_guard<std::mutex> lock(state->mutex);
  ContextScope scope(state->context);
  const CudaApi &cuda = state->context.api;

  if (Result<void> valid = checkUpdatesStay(inputs); !valid)
    return Error{valid.error()};

  // What a capture cannot do, the run before it does: grow the arena, load
  // code, encode descriptors, choose algorithms. What it updates is put back.
  SavedInputs saved(*state);
  Result<void> done = saved.save(*info, inputs);
  Descriptors words;
  if (done)
    done = enqueue(inputs, state->stream, /*isCapturing=*/false, words);
  if (Result<void> restored = saved.restore(); done)
    done = restored;
  if (Result<void> finished = finish(); done)
    done = finished;
  if (!done)
    return Error{done.error()};
  done = cuda.check(cuda.cuStreamBeginCapture(
                        state->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                    "cuStreamBeginCapture");
  if (!done)
    return Error{done.error()};
  done = enqueue(inputs, state->stream, /*isCapturing=*/true, words);
  CUgraph graph = nullptr;
  CUresult ended = cuda.cuStreamEndCapture(state->stream, &graph);
  if (done)
    done = cuda.check(ended, "entry '" + info->name + "': cuStreamEndCapture");
  CUgraphExec exec = nullptr;
  if (done)
    done =
        cuda.check(cuda.cuGraphInstantiate(&exec, graph, 0),
                   "entry '" + info->name + "': cuGraphInstantiateWithFlags");
  if (graph)
    cuda.cuGraphDestroy(graph);
  if (!done)
    return Error{done.error()};
  std::unique_ptr<Graph> result(
      new CudaGraph(*state, exec, state->hasResidentKernels));
  if (Result<void> kept = keepOnDevice(readOutputs(*info, words), outputs);
      !kept)
    return Error{kept.error()};
  state->tensorMaps.pin();
  return result;
}

} // namespace structured::runtime
