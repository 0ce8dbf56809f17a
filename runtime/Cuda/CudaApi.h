//===- CudaApi.h - The CUDA driver, loaded at run time ----------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions, types and numbers of the CUDA driver API that the runtime
// uses, declared here from its documentation so that neither building nor
// loading the runtime needs CUDA.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_CUDAAPI_H
#define STRUCTURED_RUNTIME_CUDA_CUDAAPI_H

#include "Structured/Weights/Result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace structured::runtime {

using CUresult = int;
using CUdevice = int;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

enum : CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2
};
enum : int { // CUdevice_attribute
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97
};
enum : int { // CUpointer_attribute, CUmemorytype
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
  CU_MEMORYTYPE_DEVICE = 2,
  CU_MEMORYTYPE_UNIFIED = 4
};
enum : int { // CUfunction_attribute
  CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9,
  CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 14
};
enum : int { // CUjit_option
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
  CU_JIT_OPTIMIZATION_LEVEL = 7
};
enum : unsigned {
  CU_STREAM_NON_BLOCKING = 1,
  CU_EVENT_DEFAULT = 0,
  CU_EVENT_DISABLE_TIMING = 2,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1
};
enum : int { // CUlaunchAttributeID
  CU_LAUNCH_ATTRIBUTE_COOPERATIVE = 2,
  CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4,
  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6
};

struct CUlaunchAttribute {
  int id;
  union {
    alignas(8) char size[64];
    struct {
      unsigned x, y, z;
    } clusterDim;
    int programmaticStreamSerializationAllowed;
    int cooperative;
  } value;
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned numAttrs;
};

struct alignas(128) CUtensorMap {
  uint64_t opaque[16];
};

// X(member, symbol, parameters). A CUdeviceptr is written `void *`: one address
// space, and the same in the calling convention.
#define STRUCTURED_CUDA_FUNCTIONS(X)                                           \
  X(cuInit, cuInit, (unsigned flags))                                          \
  X(cuGetErrorName, cuGetErrorName, (CUresult error, const char **text))       \
  X(cuGetErrorString, cuGetErrorString, (CUresult error, const char **text))   \
  X(cuDeviceGetCount, cuDeviceGetCount, (int *count))                          \
  X(cuDeviceGet, cuDeviceGet, (CUdevice * device, int ordinal))                \
  X(cuDeviceGetName, cuDeviceGetName,                                          \
    (char *name, int length, CUdevice device))                                 \
  X(cuDeviceGetAttribute, cuDeviceGetAttribute,                                \
    (int *value, int attribute, CUdevice device))                              \
  X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain,                        \
    (CUcontext * context, CUdevice device))                                    \
  X(cuCtxPushCurrent, cuCtxPushCurrent_v2, (CUcontext context))                \
  X(cuCtxPopCurrent, cuCtxPopCurrent_v2, (CUcontext * context))                \
  X(cuPointerGetAttribute, cuPointerGetAttribute,                              \
    (void *value, int attribute, const void *address))                         \
  X(cuMemAlloc, cuMemAlloc_v2, (void **address, size_t bytes))                 \
  X(cuMemFree, cuMemFree_v2, (void *address))                                  \
  X(cuMemcpyHtoD, cuMemcpyHtoD_v2,                                             \
    (void *target, const void *source, size_t bytes))                          \
  X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2,                                   \
    (void *target, const void *source, size_t bytes, CUstream stream))         \
  X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2,                                   \
    (void *target, const void *source, size_t bytes, CUstream stream))         \
  X(cuMemcpyAsync, cuMemcpyAsync,                                              \
    (void *target, const void *source, size_t bytes, CUstream stream))         \
  X(cuMemsetD32Async, cuMemsetD32Async,                                        \
    (void *target, unsigned value, size_t count, CUstream stream))             \
  X(cuMemsetD16Async, cuMemsetD16Async,                                        \
    (void *target, unsigned short value, size_t count, CUstream stream))       \
  X(cuMemHostRegister, cuMemHostRegister_v2,                                   \
    (void *address, size_t bytes, unsigned flags))                             \
  X(cuMemHostUnregister, cuMemHostUnregister, (void *address))                 \
  X(cuModuleLoadDataEx, cuModuleLoadDataEx,                                    \
    (CUmodule * module, const void *image, unsigned numOptions, int *options,  \
     void **values))                                                           \
  X(cuModuleUnload, cuModuleUnload, (CUmodule module))                         \
  X(cuModuleGetFunction, cuModuleGetFunction,                                  \
    (CUfunction * function, CUmodule module, const char *name))                \
  X(cuFuncGetAttribute, cuFuncGetAttribute,                                    \
    (int *value, int attribute, CUfunction function))                          \
  X(cuFuncSetAttribute, cuFuncSetAttribute,                                    \
    (CUfunction function, int attribute, int value))                           \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor,                               \
    cuOccupancyMaxActiveBlocksPerMultiprocessor,                               \
    (int *blocks, CUfunction function, int threads, size_t sharedMemory))      \
  X(cuLaunchKernelEx, cuLaunchKernelEx,                                        \
    (const CUlaunchConfig *config, CUfunction function, void **parameters,     \
     void **extra))                                                            \
  X(cuStreamCreate, cuStreamCreate, (CUstream * stream, unsigned flags))       \
  X(cuStreamDestroy, cuStreamDestroy_v2, (CUstream stream))                    \
  X(cuStreamSynchronize, cuStreamSynchronize, (CUstream stream))               \
  X(cuStreamWaitEvent, cuStreamWaitEvent,                                      \
    (CUstream stream, CUevent event, unsigned flags))                          \
  X(cuStreamIsCapturing, cuStreamIsCapturing, (CUstream stream, int *status))  \
  X(cuStreamBeginCapture, cuStreamBeginCapture_v2,                             \
    (CUstream stream, unsigned mode))                                          \
  X(cuStreamEndCapture, cuStreamEndCapture,                                    \
    (CUstream stream, CUgraph * graph))                                        \
  X(cuGraphInstantiate, cuGraphInstantiateWithFlags,                           \
    (CUgraphExec * exec, CUgraph graph, unsigned long long flags))             \
  X(cuGraphLaunch, cuGraphLaunch, (CUgraphExec exec, CUstream stream))         \
  X(cuGraphExecDestroy, cuGraphExecDestroy, (CUgraphExec exec))                \
  X(cuGraphDestroy, cuGraphDestroy, (CUgraph graph))                           \
  X(cuEventCreate, cuEventCreate, (CUevent * event, unsigned flags))           \
  X(cuEventDestroy, cuEventDestroy_v2, (CUevent event))                        \
  X(cuEventRecord, cuEventRecord, (CUevent event, CUstream stream))            \
  X(cuEventSynchronize, cuEventSynchronize, (CUevent event))                   \
  X(cuEventElapsedTime, cuEventElapsedTime,                                    \
    (float *milliseconds, CUevent start, CUevent end))                         \
  X(cuTensorMapEncodeTiled, cuTensorMapEncodeTiled,                            \
    (CUtensorMap * map, int dataType, unsigned rank, void *address,            \
     const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,      \
     const uint32_t *elementStrides, int interleave, int swizzle,              \
     int l2Promotion, int oobFill))

/// The driver's functions.
struct CudaApi {
#define STRUCTURED_CUDA_MEMBER(member, symbol, parameters)                     \
  CUresult(*member) parameters;
  STRUCTURED_CUDA_FUNCTIONS(STRUCTURED_CUDA_MEMBER)
#undef STRUCTURED_CUDA_MEMBER

  /// Loads libcuda.so.1 and initialises it, once in the process; a failure is
  /// remembered too. Fails, saying so, where there is no driver, where it is
  /// older than CUDA 12.0, and where it finds no device.
  static Result<const CudaApi *> get();

  /// The driver if get() has succeeded, else null: loads nothing.
  static const CudaApi *getIfLoaded();

  /// Success, or "<what>: CUDA_ERROR_INVALID_VALUE (invalid argument)".
  Result<void> check(CUresult result, const std::string &what) const;

  /// The name and the text of an error.
  std::string describe(CUresult result) const;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_CUDAAPI_H
