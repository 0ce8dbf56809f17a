//===- CudaCAPI.cpp - The CUDA part of the C API --------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/LastError.h"
#include "Cuda/CudaContext.h"
#include "Cuda/CudaRun.h"
#include "structured-runtime.h"

using namespace structured;
using namespace structured::runtime;

/// Calls `function` with the driver and the selected device's context current;
/// `what` names it in an error.
template <typename Function>
static int32_t call(const char *what, Function function) {
  Result<const CudaContext *> context = getSelectedContext();
  if (!context)
    return fail(context.error());
  ContextScope scope(**context);
  const CudaApi &cuda = (*context)->api;
  return finish(
      cuda.check(function(cuda), (*context)->name + ": " + std::string(what)));
}

int32_t structuredRtCudaGetDeviceCount(int32_t *count) {
  if (!count)
    return fail("the count is null");
  Result<const CudaApi *> cuda = CudaApi::get();
  if (!cuda)
    return fail(cuda.error());
  return finish(
      (*cuda)->check((*cuda)->cuDeviceGetCount(count), "cuDeviceGetCount"));
}

int32_t structuredRtCudaSetDevice(int32_t device) {
  return finish(selectDevice(device));
}

const char *structuredRtCudaGetDeviceName(void) {
  Result<const CudaContext *> context = getSelectedContext();
  if (context)
    return (*context)->name.c_str();
  fail(context.error());
  return nullptr;
}

void structuredRtCudaTuneMatmul(int32_t enabled) { setMatmulTuning(enabled); }

void structuredRtCudaCallerKeepsTurns(int32_t enabled) {
  setCallerKeepsTurns(enabled);
}

void structuredRtCudaCheckLaunches(int32_t enabled) {
  setLaunchChecks(enabled);
}

int32_t structuredRtCudaAlloc(int64_t bytes, void **data) {
  if (!data || bytes < 0)
    return fail("the address is null or the size negative");
  void *memory = nullptr;
  std::string what = "allocating " + std::to_string(bytes) + " bytes";
  if (call(what.c_str(), [&](const CudaApi &cuda) {
        return cuda.cuMemAlloc(&memory, bytes ? bytes : 1);
      }))
    return 1;
  *data = memory;
  return 0;
}

int32_t structuredRtCudaFree(void *data) {
  if (!data)
    return 0;
  return call("freeing memory",
              [&](const CudaApi &cuda) { return cuda.cuMemFree(data); });
}

int32_t structuredRtCudaCopy(void *target, const void *source, int64_t bytes,
                             void *stream) {
  if (bytes < 0)
    return fail("the size is negative");
  std::string what = "copying " + std::to_string(bytes) + " bytes";
  return call(what.c_str(), [&](const CudaApi &cuda) {
    return bytes ? cuda.cuMemcpyAsync(target, source, bytes,
                                      static_cast<CUstream>(stream))
                 : CUDA_SUCCESS;
  });
}

int32_t structuredRtCudaStreamCreate(void **stream) {
  if (!stream)
    return fail("the stream is null");
  return call("creating a stream", [&](const CudaApi &cuda) {
    return cuda.cuStreamCreate(reinterpret_cast<CUstream *>(stream),
                               CU_STREAM_NON_BLOCKING);
  });
}

int32_t structuredRtCudaStreamDestroy(void *stream) {
  return call("destroying a stream", [&](const CudaApi &cuda) {
    return cuda.cuStreamDestroy(static_cast<CUstream>(stream));
  });
}

int32_t structuredRtCudaStreamSynchronize(void *stream) {
  return call("waiting for a stream", [&](const CudaApi &cuda) {
    return cuda.cuStreamSynchronize(static_cast<CUstream>(stream));
  });
}

int32_t structuredRtCudaEventCreate(void **event) {
  if (!event)
    return fail("the event is null");
  return call("creating an event", [&](const CudaApi &cuda) {
    return cuda.cuEventCreate(reinterpret_cast<CUevent *>(event),
                              CU_EVENT_DEFAULT);
  });
}

int32_t structuredRtCudaEventDestroy(void *event) {
  return call("destroying an event", [&](const CudaApi &cuda) {
    return cuda.cuEventDestroy(static_cast<CUevent>(event));
  });
}

int32_t structuredRtCudaEventRecord(void *event, void *stream) {
  return call("recording an event", [&](const CudaApi &cuda) {
    return cuda.cuEventRecord(static_cast<CUevent>(event),
                              static_cast<CUstream>(stream));
  });
}

int32_t structuredRtCudaEventElapsed(void *start, void *end,
                                     float *milliseconds) {
  if (!milliseconds)
    return fail("the time is null");
  return call("timing events", [&](const CudaApi &cuda) {
    return cuda.cuEventElapsedTime(milliseconds, static_cast<CUevent>(start),
                                   static_cast<CUevent>(end));
  });
}
