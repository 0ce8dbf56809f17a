/* Part of the Structured project, under the Apache License v2.0 with LLVM
 * Exceptions. See LICENSE for license information.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * C API of the Structured runtime: load a compiled module (a shared object
 * and its safetensors file) and run it. The runtime has no LLVM inside.
 *
 * Conventions
 *  - Functions that can fail return 0 on success and a non-zero value on
 *    failure; the reason is then the text of structuredRtGetLastError().
 *    Nothing is printed, no output argument is changed on failure unless its
 *    comment says so.
 *  - Strings are UTF-8 and NUL-terminated. A returned `const char *` belongs
 *    to the runtime; each function says how long it lives.
 *  - Shapes are in elements. Data is dense and row-major (the last dimension
 *    is contiguous).
 *  - Indices out of range and null handles are errors, not undefined behaviour.
 *
 * Versioning: STRUCTURED_RT_ABI_VERSION grows when a function, a struct or the
 * format of a compiled module changes incompatibly. Functions may be added
 * without changing it.
 */
#ifndef STRUCTURED_RUNTIME_H
#define STRUCTURED_RUNTIME_H

#include <stdint.h>

#if defined(__GNUC__)
#define STRUCTURED_RT_EXPORT __attribute__((visibility("default")))
#else
#define STRUCTURED_RT_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header and of the compiled modules it can run. */
#define STRUCTURED_RT_ABI_VERSION 1

/* The largest rank of an input, an output or a parameter. */
#define STRUCTURED_RT_MAX_RANK 8

/* Element types. The numbers are part of the ABI. */
enum structuredRtDType {
  STRUCTURED_RT_F64 = 0,
  STRUCTURED_RT_F32 = 1,
  STRUCTURED_RT_F16 = 2,  /* IEEE 754 binary16 */
  STRUCTURED_RT_BF16 = 3, /* the upper half of an IEEE 754 binary32 */
  STRUCTURED_RT_I64 = 4,
  STRUCTURED_RT_I32 = 5,
  STRUCTURED_RT_I16 = 6,
  STRUCTURED_RT_I8 = 7,
  STRUCTURED_RT_U8 = 8,
  STRUCTURED_RT_I1 = 9 /* one byte an element, 0 or 1 */
};

/* A loaded module. Opaque. */
typedef struct structuredRtModule structuredRtModule;

/* A captured run of an entry of a CUDA module. Opaque. */
typedef struct structuredRtGraph structuredRtGraph;

/* DLPack's struct of version 0.x (https://github.com/dmlc/dlpack); include
 * dlpack.h to look into it. */
struct DLManagedTensor;

/* A tensor: dense, row-major, at `data` (aligned to the element size; may be
 * null when a dimension is 0). Whether the data is on the host or on a CUDA
 * device, the address says. */
typedef struct structuredRtTensor {
  int32_t dtype; /* one of enum structuredRtDType */
  int32_t rank;  /* 0 (a scalar) to STRUCTURED_RT_MAX_RANK */
  int64_t shape[STRUCTURED_RT_MAX_RANK]; /* the first `rank` ones count */
  void *data;
  void *owner; /* null: the memory is the caller's. Otherwise the allocation
                  that structuredRtTensorFree() frees. */
} structuredRtTensor;

/* What an entry declares of one of its inputs or outputs. */
typedef struct structuredRtTensorType {
  const char *name; /* lives as long as the module */
  int32_t dtype;
  int32_t rank;
  int64_t shape[STRUCTURED_RT_MAX_RANK]; /* -1: a dynamic dimension */
} structuredRtTensorType;

/* Returns STRUCTURED_RT_ABI_VERSION of the library in use, to be compared with
 * that of the header compiled against. */
STRUCTURED_RT_EXPORT int32_t structuredRtGetAbiVersion(void);

/* Returns the reason of the calling thread's last failure; empty if there was
 * none. Lives until the thread's next failing call. */
STRUCTURED_RT_EXPORT const char *structuredRtGetLastError(void);

/* Returns the name of a dtype as modules spell it ("f32"), null if there is no
 * such dtype. Lives forever. */
STRUCTURED_RT_EXPORT const char *structuredRtDTypeGetName(int32_t dtype);

/* Returns the bytes of one element, 0 if there is no such dtype. */
STRUCTURED_RT_EXPORT int64_t structuredRtDTypeGetSize(int32_t dtype);

/* Loads the compiled module `modulePath` and maps its weights read-only from
 * `weightsPath`; null means the file beside the module with the extension
 * replaced by `.safetensors` (not looked for if no entry has parameters).
 * Neither file may be changed while the module is loaded.
 *
 * Loading a module runs code of it: load only what you trust.
 *
 * Fails if a file is missing or malformed, if the module is of another ABI
 * version, target or architecture, if this machine's CPU lacks a feature the
 * module was compiled for, and if a parameter is missing from the weights or
 * has another dtype or shape there. A module for CUDA also if there is no
 * driver or device, if the device is of another architecture, and if its memory
 * does not suffice for the parameters.
 *
 * On success `*module` is a handle to be freed by structuredRtModuleFree(). */
STRUCTURED_RT_EXPORT int32_t
structuredRtModuleLoad(const char *modulePath, const char *weightsPath,
                       structuredRtModule **module);

/* Unloads a module. Tensors that it returned on the host stay valid. What
 * structuredRtTensorToDLPack() and structuredRtGraphCapture() made keeps it
 * loaded until the last of that is freed. Null is allowed. */
STRUCTURED_RT_EXPORT void structuredRtModuleFree(structuredRtModule *module);

/* Returns the module's description of itself, JSON text (see docs/Runtime.md),
 * null if `module` is null. Lives as long as the module. */
STRUCTURED_RT_EXPORT const char *
structuredRtModuleGetInfo(const structuredRtModule *module);

/* Returns how many entries the module has, -1 if `module` is null. */
STRUCTURED_RT_EXPORT int32_t
structuredRtModuleGetNumEntries(const structuredRtModule *module);

/* Sets `*entry` to the index of the entry called `name`. */
STRUCTURED_RT_EXPORT int32_t structuredRtModuleFindEntry(
    const structuredRtModule *module, const char *name, int32_t *entry);

/* Returns the name of an entry, null on failure. Lives as long as the module.
 */
STRUCTURED_RT_EXPORT const char *
structuredRtEntryGetName(const structuredRtModule *module, int32_t entry);

/* Returns how many inputs an entry takes, -1 on failure. Parameters are not
 * inputs: they come from the weights. */
STRUCTURED_RT_EXPORT int32_t
structuredRtEntryGetNumInputs(const structuredRtModule *module, int32_t entry);

/* Returns how many outputs an entry gives, -1 on failure. */
STRUCTURED_RT_EXPORT int32_t
structuredRtEntryGetNumOutputs(const structuredRtModule *module, int32_t entry);

/* Sets `*type` to what the entry declares of its input `index`. */
STRUCTURED_RT_EXPORT int32_t
structuredRtEntryGetInputType(const structuredRtModule *module, int32_t entry,
                              int32_t index, structuredRtTensorType *type);

/* Sets `*type` to what the entry declares of its output `index`. */
STRUCTURED_RT_EXPORT int32_t
structuredRtEntryGetOutputType(const structuredRtModule *module, int32_t entry,
                               int32_t index, structuredRtTensorType *type);

/* Sets `*input` to the index of the input that output `output` updates: the
 * entry writes it to that input's memory. -1 if it has memory of its own. */
STRUCTURED_RT_EXPORT int32_t
structuredRtEntryGetUpdatedInput(const structuredRtModule *module,
                                 int32_t entry, int32_t output, int32_t *input);

/* Runs an entry: on the calling thread and the OpenMP threads it starts, or, of
 * a CUDA module, on its device; then inputs may be on the host or the device,
 * and outputs come to the host.
 *
 * `inputs` are the entry's inputs in their declared order; each one must have
 * the declared dtype, rank and static dimensions. They are only read, but for
 * those that the entry updates (structuredRtEntryGetUpdatedInput()): these are
 * written to, whether or not the run succeeds, and share memory with no other.
 * `outputs` has room for exactly the entry's outputs; on success each one is
 * set to a tensor owned by the caller, to be freed by structuredRtTensorFree(),
 * or, if it updates an input, to that input, without an owner.
 *
 * A module may be run from several threads at once. */
STRUCTURED_RT_EXPORT int32_t
structuredRtEntryRun(const structuredRtModule *module, int32_t entry,
                     const structuredRtTensor *inputs, int32_t numInputs,
                     structuredRtTensor *outputs, int32_t numOutputs);

/* Frees what `tensor->owner` holds and sets `data` and `owner` to null. Null is
 * allowed, as is a tensor without an owner. */
STRUCTURED_RT_EXPORT void structuredRtTensorFree(structuredRtTensor *tensor);

/* Sets how many OpenMP threads later runs from the calling thread use (at
 * least 1). Without it, OMP_NUM_THREADS or else the number of processors. */
STRUCTURED_RT_EXPORT int32_t structuredRtSetNumThreads(int32_t numThreads);

/* Returns how many OpenMP threads a run from the calling thread would use. */
STRUCTURED_RT_EXPORT int32_t structuredRtGetNumThreads(void);

/*===-- CUDA -------------------------------------------------------------===
 *
 * The driver (libcuda.so.1) is loaded by the first of these functions, or by
 * the load of a module for CUDA. A `stream` is a CUstream or cudaStream_t; null
 * is the legacy default stream. Memory and streams belong to the device that
 * the calling thread has selected; a module stays on the device on which it was
 * loaded.
 */

/* Sets `*count` to the number of CUDA devices. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaGetDeviceCount(int32_t *count);

/* Selects the device of the calling thread's later module loads and of the
 * functions below; 0 at the beginning. Devices are counted from 0 among those
 * that CUDA_VISIBLE_DEVICES leaves. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaSetDevice(int32_t device);

/* Returns the selected device's name, such as "CUDA device 0 (NVIDIA H100 80GB
 * HBM3)", null on failure. Lives forever. */
STRUCTURED_RT_EXPORT const char *structuredRtCudaGetDeviceName(void);

/* Runs an entry of a CUDA module on `stream` and returns when everything is
 * enqueued there. Inputs are on the device, where they are read in the stream's
 * order, or on the host, from where they are copied; page-locked ones must stay
 * as they are until the stream has come to that. Outputs are on the device:
 * ready when the stream has come to this point, and valid until the entry's
 * next run or its graph's next launch (which may take them as inputs), as long
 * as the module is loaded. They have no owner. Inputs that the entry updates
 * must be on the device, and are the outputs that update them.
 *
 * Runs of one entry wait for each other on the device, whatever their streams.
 *
 * If the caller is capturing the stream, the run becomes part of the caller's
 * graph. What a capture cannot do, an earlier run with the same shapes and
 * inputs at the same addresses must have done; it is an error otherwise, and
 * for entries with kernels whose blocks wait for each other (BLAST layers):
 * capture these with structuredRtGraphCapture(), or see
 * structuredRtCudaCallerKeepsTurns(). The caller sees to it that the module
 * outlives the graph, and that the graph does not run while the entry runs
 * elsewhere.
 *
 * On failure of the enqueuing, what was enqueued before it still executes. A
 * kernel's own error shows in the next function that waits for the stream. */
STRUCTURED_RT_EXPORT int32_t structuredRtEntryRunOnStream(
    const structuredRtModule *module, int32_t entry,
    const structuredRtTensor *inputs, int32_t numInputs,
    structuredRtTensor *outputs, int32_t numOutputs, void *stream);

/* Runs an entry of a CUDA module twice, once to capture it as a CUDA graph, and
 * sets `*graph`, to be freed by structuredRtGraphFree(). Inputs must be on the
 * device; each launch reads them anew at the same addresses, and updates those
 * that the entry updates; the capture leaves them as they are. `outputs` are
 * where each launch leaves its results, as of structuredRtEntryRunOnStream().
 */
STRUCTURED_RT_EXPORT int32_t structuredRtGraphCapture(
    structuredRtModule *module, int32_t entry, const structuredRtTensor *inputs,
    int32_t numInputs, structuredRtTensor *outputs, int32_t numOutputs,
    structuredRtGraph **graph);

/* Enqueues a graph on `stream`. */
STRUCTURED_RT_EXPORT int32_t structuredRtGraphLaunch(structuredRtGraph *graph,
                                                     void *stream);

/* Frees a graph; its launches must have ended. Null is allowed. */
STRUCTURED_RT_EXPORT void structuredRtGraphFree(structuredRtGraph *graph);

/* Whether (1) or not (0, the default) matrix products that run for the first
 * time from now on time the algorithms that cuBLASLt proposes and keep the
 * fastest one, in all modules. */
STRUCTURED_RT_EXPORT void structuredRtCudaTuneMatmul(int32_t enabled);

/* Whether (1) or not (0, the default) the caller sees to it that no two runs
 * or graphs with kernels whose blocks wait for each other are on a device at
 * the same time. Runs with such kernels can then become part of a graph that
 * the caller captures. */
STRUCTURED_RT_EXPORT void structuredRtCudaCallerKeepsTurns(int32_t enabled);

/* Whether (1) or not (0, the default) every launch waits for its kernel, in all
 * modules, so that a kernel's own error (an illegal address) is reported under
 * its name. Slow: for finding errors. */
STRUCTURED_RT_EXPORT void structuredRtCudaCheckLaunches(int32_t enabled);

/* Allocates device memory, to be freed by structuredRtCudaFree(). */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaAlloc(int64_t bytes, void **data);
STRUCTURED_RT_EXPORT int32_t structuredRtCudaFree(void *data);

/* Enqueues a copy between any two of device and host memory on `stream`. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaCopy(void *target,
                                                  const void *source,
                                                  int64_t bytes, void *stream);

/* A stream that does not wait for the legacy default stream. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaStreamCreate(void **stream);
STRUCTURED_RT_EXPORT int32_t structuredRtCudaStreamDestroy(void *stream);
/* Waits until the stream is done. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaStreamSynchronize(void *stream);

/* Events, to take times on a stream. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaEventCreate(void **event);
STRUCTURED_RT_EXPORT int32_t structuredRtCudaEventDestroy(void *event);
STRUCTURED_RT_EXPORT int32_t structuredRtCudaEventRecord(void *event,
                                                         void *stream);
/* Sets `*milliseconds` to the time between two events that have happened. */
STRUCTURED_RT_EXPORT int32_t structuredRtCudaEventElapsed(void *start,
                                                          void *end,
                                                          float *milliseconds);

/*===-- DLPack -----------------------------------------------------------===
 *
 * Tensors of other libraries, without a copy.
 */

/* Sets `*tensor` to the contents of `managed`, which still owns them and must
 * outlive the tensor's use. Fails if they are not dense and row-major, of a
 * dtype without a structuredRtDType, or neither on the host nor on a CUDA
 * device. */
STRUCTURED_RT_EXPORT int32_t structuredRtTensorFromDLPack(
    const struct DLManagedTensor *managed, structuredRtTensor *tensor);

/* Sets `*managed` to a struct with the tensor's contents, whose deleter frees
 * them; `tensor` loses its owner. A tensor without one belongs to a module:
 * `module` must be that, and the struct keeps it loaded. */
STRUCTURED_RT_EXPORT int32_t structuredRtTensorToDLPack(
    structuredRtModule *module, structuredRtTensor *tensor,
    struct DLManagedTensor **managed);

#ifdef __cplusplus
}
#endif

#endif /* STRUCTURED_RUNTIME_H */
