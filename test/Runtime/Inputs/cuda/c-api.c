/* Part of the Structured project, under the Apache License v2.0 with LLVM
 * Exceptions. See LICENSE for license information.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Uses the CUDA part of the C API (cuda-c-api.test) on the module of entries.c,
 * with the driver of driver.c: c-api MODULE, FAKE_CUDA_LOG set.
 */
#include "structured-runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_ERROR structuredRtGetLastError()
#include "../../../Inputs/check.h"

/* DLPack's structs. */
typedef struct DLManagedTensor {
  void *data;
  int32_t deviceType, deviceId, ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byteOffset;
  void *context;
  void (*deleter)(struct DLManagedTensor *);
} DLManagedTensor;

static structuredRtModule *module;

static int32_t find(const char *name) {
  int32_t entry;
  CHECK(structuredRtModuleFindEntry(module, name, &entry) == 0);
  return entry;
}

/* How often the log has the call since it was last emptied. */
static int countCalls(const char *name) {
  FILE *log = fopen(getenv("FAKE_CUDA_LOG"), "r");
  int count = 0;
  char line[512];
  while (log && fgets(line, sizeof(line), log))
    count += strncmp(line, name, strlen(name)) == 0 &&
             (line[strlen(name)] == ' ' || line[strlen(name)] == '\n');
  if (log)
    fclose(log);
  return count;
}
static void emptyLog(void) { fclose(fopen(getenv("FAKE_CUDA_LOG"), "w")); }

static structuredRtTensor makeInput(float *data, int64_t rows) {
  structuredRtTensor tensor = {STRUCTURED_RT_F32, 2, {rows, 4}, data, NULL};
  return tensor;
}

static void *deviceCopy(const float *data, int64_t bytes) {
  void *memory;
  CHECK(structuredRtCudaAlloc(bytes, &memory) == 0);
  CHECK(structuredRtCudaCopy(memory, data, bytes, NULL) == 0);
  return memory;
}

/* The tensor on the device holds x[i] + plus. */
static void checkOnDevice(const structuredRtTensor *y, const float *x,
                          float plus) {
  float data[64];
  int64_t elements = y->shape[0] * y->shape[1];
  CHECK(y->dtype == STRUCTURED_RT_F32 && y->rank == 2 && y->shape[1] == 4);
  CHECK(!y->owner);
  CHECK(structuredRtCudaCopy(data, y->data, elements * 4, NULL) == 0);
  CHECK(structuredRtCudaStreamSynchronize(NULL) == 0);
  for (int64_t i = 0; i < elements; ++i)
    CHECK(data[i] == x[i] + plus);
}

static void testHost(float *x, int isFirst) {
  emptyLog();
  structuredRtTensor input = makeInput(x, 4), y;
  for (int i = 0; i < 3; ++i) {
    CHECK(structuredRtEntryRun(module, find("plus3"), &input, 1, &y, 1) == 0);
    for (int e = 0; e < 16; ++e)
      CHECK(((float *)y.data)[e] == x[e] + 3);
    structuredRtTensorFree(&y);
    /* arena_bytes was enough: nothing is allocated, not in the first run. */
    CHECK(countCalls("cuMemAlloc_v2") == 0);
    CHECK(countCalls("cuModuleLoadDataEx") == isFirst);
    CHECK(countCalls("cuModuleGetFunction") == isFirst);
  }
  CHECK(countCalls("cuModuleUnload") == 0);

  CHECK(structuredRtEntryRun(module, find("memory"), &input, 1, &y, 1) == 0);
  uint32_t *words = y.data;
  for (int e = 0; e < 4; ++e)
    CHECK(words[e] == 0x40404040);
  CHECK(memcmp((float *)y.data + 4, x, 12 * sizeof(float)) == 0);
  structuredRtTensorFree(&y);

  CHECK(structuredRtEntryRun(module, find("strided"), &input, 1, &y, 1) == 0);
  CHECK(y.shape[0] == 4 && y.shape[1] == 4);
  for (int e = 0; e < 16; ++e)
    CHECK(((float *)y.data)[e] == x[e % 4 * 4 + e / 4] + 1);
  structuredRtTensorFree(&y);

  CHECK(structuredRtEntryRun(module, find("input"), &input, 1, &y, 1) == 0);
  CHECK(y.data != x && memcmp(y.data, x, 64) == 0);
  structuredRtTensorFree(&y);

  CHECK(structuredRtEntryRun(module, find("constant"), &input, 1, &y, 1) == 0);
  CHECK(((float *)y.data)[0] == 1 && ((float *)y.data)[3] == 4);
  structuredRtTensorFree(&y);

  /* An empty batch launches nothing. */
  emptyLog();
  input = makeInput(NULL, 0);
  CHECK(structuredRtEntryRun(module, find("plus1"), &input, 1, &y, 1) == 0);
  CHECK(y.shape[0] == 0 && countCalls("cuLaunchKernelEx") == 0);
  structuredRtTensorFree(&y);
}

static void testStream(float *x) {
  void *stream, *memory = deviceCopy(x, 64);
  CHECK(structuredRtCudaStreamCreate(&stream) == 0);
  structuredRtTensor input = makeInput(memory, 4), y, z;
  emptyLog();
  CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &input, 1, &y, 1,
                                     stream) == 0);
  /* The input is used in place, and nothing waits. */
  CHECK(countCalls("cuMemcpyHtoDAsync_v2") == 0);
  CHECK(countCalls("cuStreamSynchronize") == 0);
  checkOnDevice(&y, x, 1);
  /* The same addresses in every run. */
  emptyLog();
  CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &input, 1, &z, 1,
                                     stream) == 0);
  CHECK(z.data == y.data && countCalls("cuMemAlloc_v2") == 0);
  /* Runs wait for the one before them. */
  CHECK(countCalls("cuStreamWaitEvent") == 1);
  CHECK(countCalls("cuEventRecord") == 1);
  /* An output may be the next run's input. */
  for (int i = 2; i < 6; ++i) {
    CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &z, 1, &y, 1,
                                       stream) == 0);
    CHECK(y.data != z.data);
    checkOnDevice(&y, x, (float)i);
    z = y;
  }
  /* Inputs on the host are copied. */
  input = makeInput(x, 2);
  CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &input, 1, &y, 1,
                                     stream) == 0);
  checkOnDevice(&y, x, 1);
  CHECK_FAILS(structuredRtEntryRunOnStream(module, find("strided"), &input, 1,
                                           &y, 1, stream),
              "output 'y': the module returned it strided");
  CHECK_FAILS(structuredRtEntryRunOnStream(module, find("constant"), &input, 1,
                                           &y, 1, stream),
              "output 'y': the module returned a constant on the host");
  CHECK(structuredRtCudaFree(memory) == 0);
  CHECK(structuredRtCudaStreamDestroy(stream) == 0);
}

static void testMaps(float *x) {
  void *memory = deviceCopy(x, 64);
  structuredRtTensor input = makeInput(memory, 4), y;
  emptyLog();
  for (int i = 0; i < 3; ++i) {
    CHECK(structuredRtEntryRunOnStream(module, find("maps"), &input, 1, &y, 1,
                                       NULL) == 0);
    checkOnDevice(&y, x, 0);
  }
  CHECK(countCalls("cuTensorMapEncodeTiled") == 1);
  CHECK(structuredRtCudaFree(memory) == 0);
}

/* Inputs at ever new addresses: the descriptors' memory does not grow for ever.
 */
static void testManyMaps(const float *x) {
  enum { CAPACITY = 4096, CHUNKS = CAPACITY / 512 };
  float *data = calloc(4 * (CAPACITY + 8), sizeof(float));
  for (int e = 0; e < 4 * (CAPACITY + 8); ++e)
    data[e] = (float)e + x[0];
  char *memory = deviceCopy(data, 16 * (CAPACITY + 8));
  structuredRtTensor y;
  emptyLog();
  for (int i = 0; i < CAPACITY + 4; ++i) {
    structuredRtTensor input = makeInput((float *)(memory + 16 * i), 4);
    CHECK(structuredRtEntryRunOnStream(module, find("maps"), &input, 1, &y, 1,
                                       NULL) == 0);
    if (i % 1000 == 0 || i > CAPACITY - 4)
      checkOnDevice(&y, data + 4 * i, 0);
  }
  CHECK(countCalls("cuTensorMapEncodeTiled") == CAPACITY + 4);
  CHECK(countCalls("cuMemFree_v2") == CHUNKS);
  CHECK(structuredRtCudaFree(memory) == 0);
  free(data);
}

static void testGraph(float *x) {
  void *memory = deviceCopy(x, 64);
  structuredRtTensor input = makeInput(memory, 4), y, onHost = makeInput(x, 4);
  structuredRtGraph *graph = NULL;
  memset(&y, 0x55, sizeof(y));
  const structuredRtTensor before = y;
  CHECK_FAILS(structuredRtGraphCapture(module, find("plus3"), &onHost, 1, &y, 1,
                                       &graph),
              "input 'x': a graph reads its inputs at each launch");
  CHECK_FAILS(structuredRtGraphCapture(module, find("growing"), &input, 1, &y,
                                       1, &graph),
              "a captured run needs more memory than the run before it");
  CHECK_FAILS(structuredRtGraphCapture(module, 0, &input, 1, &y, 1, NULL),
              "null");
  CHECK_FAILS(structuredRtGraphLaunch(NULL, NULL), "null");
  CHECK(!graph && memcmp(&y, &before, sizeof(y)) == 0);

  CHECK(structuredRtGraphCapture(module, find("maps"), &input, 1, &y, 1,
                                 &graph) == 0);
  CHECK(structuredRtGraphLaunch(graph, NULL) == 0);
  checkOnDevice(&y, x, 0);
  structuredRtGraphFree(graph);

  CHECK(structuredRtGraphCapture(module, find("plus3"), &input, 1, &y, 1,
                                 &graph) == 0);
  emptyLog();
  for (int i = 1; i < 4; ++i) {
    float other[16];
    for (int e = 0; e < 16; ++e)
      other[e] = i * x[e];
    CHECK(structuredRtCudaCopy(memory, other, 64, NULL) == 0);
    CHECK(structuredRtGraphLaunch(graph, NULL) == 0);
    checkOnDevice(&y, other, 3);
  }
  CHECK(countCalls("cuGraphLaunch") == 3);
  CHECK(countCalls("cuLaunchKernelEx") == 0);
  structuredRtGraphFree(graph);
  structuredRtGraphFree(NULL);
  CHECK(countCalls("cuGraphExecDestroy") == 1);
  CHECK(structuredRtCudaFree(memory) == 0);
}

/* The entry `update` adds 1 to sum, its second input. */
static void testUpdate(float *x) {
  int32_t update = find("update"), updated;
  CHECK(structuredRtEntryGetUpdatedInput(module, update, 0, &updated) == 0);
  CHECK(updated == 1);
  CHECK(structuredRtEntryGetUpdatedInput(module, update, 1, &updated) == 0);
  CHECK(updated == -1);

  /* On the host: it is updated there. */
  float sum[16];
  memcpy(sum, x, sizeof(sum));
  structuredRtTensor inputs[] = {makeInput(x, 4), makeInput(sum, 4)}, y[2];
  for (int i = 1; i < 3; ++i) {
    CHECK(structuredRtEntryRun(module, update, inputs, 2, y, 2) == 0);
    CHECK(y[0].data == sum && !y[0].owner && y[0].shape[0] == 4);
    for (int e = 0; e < 16; ++e)
      CHECK(sum[e] == x[e] + (float)i && ((float *)y[1].data)[e] == x[e] + 1);
    structuredRtTensorFree(&y[1]);
  }
  CHECK_FAILS(
      structuredRtEntryRunOnStream(module, update, inputs, 2, y, 2, NULL),
      "input 'sum': it is updated there, so it must be on the device");
  CHECK(sum[0] == x[0] + 2);

  /* On the device: it stays there, in either kind of run. */
  void *memory[] = {deviceCopy(x, 64), deviceCopy(x, 64)};
  structuredRtTensor device[] = {makeInput(memory[0], 4),
                                 makeInput(memory[1], 4)};
  inputs[1] = device[1];
  emptyLog();
  CHECK(structuredRtEntryRun(module, update, inputs, 2, y, 2) == 0);
  CHECK(countCalls("cuMemcpyDtoHAsync_v2") == 1);
  CHECK(y[0].data == memory[1] && ((float *)y[1].data)[0] == x[0] + 1);
  structuredRtTensorFree(&y[1]);
  checkOnDevice(&y[0], x, 1);
  CHECK(structuredRtEntryRunOnStream(module, update, inputs, 2, y, 2, NULL) ==
        0);
  CHECK(y[0].data == memory[1]);
  checkOnDevice(&y[0], x, 2);
  checkOnDevice(&y[1], x, 1);

  /* A capture leaves it as it is, launches do not. */
  structuredRtGraph *graph = NULL;
  inputs[0] = device[0], inputs[1] = makeInput(sum, 4);
#define CAPTURE(entry, given)                                                  \
  structuredRtGraphCapture(module, entry, given, 2, y, 2, &graph)
  CHECK_FAILS(CAPTURE(update, inputs),
              "input 'sum': it is updated there, so it must be on the device");
  CHECK_FAILS(CAPTURE(find("halfway"), device),
              "entry 'halfway': kernel 'decrement' is not in the module's");
  checkOnDevice(&device[1], x, 2);
  emptyLog();
  CHECK(CAPTURE(update, device) == 0);
#undef CAPTURE
  CHECK(countCalls("cuMemAlloc_v2") == 1 && countCalls("cuMemFree_v2") == 1);
  CHECK(y[0].data == memory[1] && !y[0].owner);
  checkOnDevice(&y[0], x, 2);
  for (int i = 3; i < 5; ++i) {
    CHECK(structuredRtGraphLaunch(graph, NULL) == 0);
    checkOnDevice(&y[0], x, (float)i);
    checkOnDevice(&y[1], x, 1);
  }
  checkOnDevice(&device[0], x, 0);
  structuredRtGraphFree(graph);
  for (int i = 0; i < 2; ++i)
    CHECK(structuredRtCudaFree(memory[i]) == 0);
}

/* Memory that kernels keep from run to run, and runs that take turns. */
static void testResident(float *x) {
  void *streams[2], *memory = deviceCopy(x, 64);
  for (int i = 0; i < 2; ++i)
    CHECK(structuredRtCudaStreamCreate(&streams[i]) == 0);
  structuredRtTensor input = makeInput(memory, 4), y, z;
  structuredRtGraph *graph = NULL;
  CHECK_FAILS(structuredRtGraphCapture(module, find("forgetful"), &input, 1, &y,
                                       1, &graph),
              "entry 'forgetful': scratch memory 1: the run before the capture "
              "did not use it");
  emptyLog();
  CHECK(structuredRtEntryRunOnStream(module, find("resident"), &input, 1, &y, 1,
                                     streams[0]) == 0);
  checkOnDevice(&y, x, 1);
  /* Both memories are zeroed, and that is waited for (the last wait is
   * checkOnDevice's), before a kernel may see them. */
  CHECK(countCalls("cuMemsetD32Async") == 2);
  CHECK(countCalls("cuStreamSynchronize") == 3);
  /* A run of another entry on another stream waits for that one. */
  emptyLog();
  CHECK(structuredRtEntryRunOnStream(module, find("resident2"), &input, 1, &y,
                                     1, streams[1]) == 0);
  checkOnDevice(&y, x, 1);
  CHECK(countCalls("cuStreamWaitEvent") == 1);
  CHECK(countCalls("cuEventRecord") == 2);
  /* From then on also for the last one of its own; one without such kernels
   * only for that. */
  emptyLog();
  CHECK(structuredRtEntryRunOnStream(module, find("resident"), &input, 1, &y, 1,
                                     streams[0]) == 0);
  checkOnDevice(&y, x, 2);
  CHECK(countCalls("cuStreamWaitEvent") == 2);
  CHECK(countCalls("cuEventRecord") == 2);
  CHECK(countCalls("cuMemsetD32Async") == 0);
  CHECK(countCalls("cuMemAlloc_v2") == 0);
  CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &input, 1, &y, 1,
                                     streams[1]) == 0);
  CHECK(countCalls("cuStreamWaitEvent") == 3);
  CHECK(countCalls("cuEventRecord") == 3);
  /* A graph takes its turn when it is launched; the capture has one in the run
   * before it. */
  emptyLog();
  CHECK(structuredRtGraphCapture(module, find("resident"), &input, 1, &z, 1,
                                 &graph) == 0);
  CHECK(countCalls("cuStreamWaitEvent") == 2);
  CHECK(countCalls("cuEventRecord") == 2);
  CHECK(countCalls("cuMemsetD32Async") == 0);
  for (int i = 4; i < 7; ++i) {
    emptyLog();
    CHECK(structuredRtGraphLaunch(graph, streams[i % 2]) == 0);
    CHECK(countCalls("cuStreamWaitEvent") == 2);
    CHECK(countCalls("cuEventRecord") == 2);
    checkOnDevice(&z, x, (float)i);
  }
  /* One without such kernels does not. */
  structuredRtGraphFree(graph);
  CHECK(structuredRtGraphCapture(module, find("plus3"), &input, 1, &z, 1,
                                 &graph) == 0);
  emptyLog();
  CHECK(structuredRtGraphLaunch(graph, streams[0]) == 0);
  CHECK(countCalls("cuStreamWaitEvent") == 1);
  CHECK(countCalls("cuEventRecord") == 1);
  structuredRtGraphFree(graph);
  for (int i = 0; i < 2; ++i)
    CHECK(structuredRtCudaStreamDestroy(streams[i]) == 0);
  CHECK(structuredRtCudaFree(memory) == 0);
}

static void *countMany(void *entry) {
  float x[16] = {0};
  structuredRtTensor input = makeInput(x, 4), y;
  float before = 0;
  for (int i = 0; i < 100; ++i) {
    CHECK(structuredRtEntryRun(module, find(entry), &input, 1, &y, 1) == 0);
    CHECK(((float *)y.data)[0] > before);
    before = ((float *)y.data)[0];
    structuredRtTensorFree(&y);
  }
  return NULL;
}

/* Runs as parts of a graph that the caller captures. */
static void testCallersCapture(float *x) {
  void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  CHECK(driver);
  int (*begin)(void *, unsigned), (*end)(void *, void **),
      (*instantiate)(void **, void *, unsigned long long),
      (*launch)(void *, void *), (*destroyExec)(void *), (*destroy)(void *);
  *(void **)&begin = dlsym(driver, "cuStreamBeginCapture_v2");
  *(void **)&end = dlsym(driver, "cuStreamEndCapture");
  *(void **)&instantiate = dlsym(driver, "cuGraphInstantiateWithFlags");
  *(void **)&launch = dlsym(driver, "cuGraphLaunch");
  *(void **)&destroyExec = dlsym(driver, "cuGraphExecDestroy");
  *(void **)&destroy = dlsym(driver, "cuGraphDestroy");

  void *memory = deviceCopy(x, 64), *stream, *graph, *exec;
  structuredRtTensor input = makeInput(memory, 4), y, z;
  CHECK(structuredRtCudaStreamCreate(&stream) == 0);
  CHECK(structuredRtEntryRunOnStream(module, find("resident"), &input, 1, &y, 1,
                                     stream) == 0);
  CHECK(structuredRtEntryRunOnStream(module, find("plus3"), &input, 1, &y, 1,
                                     stream) == 0);
  CHECK(structuredRtEntryRunOnStream(module, find("queue"), &input, 1, &z, 1,
                                     stream) == 0);
  CHECK(begin(stream, 1) == 0);
  CHECK_FAILS(structuredRtEntryRunOnStream(module, find("resident"), &input, 1,
                                           &y, 1, stream),
              "entry 'resident': it has kernels whose blocks wait for each "
              "other");
  structuredRtCudaCallerKeepsTurns(1);
  CHECK(structuredRtEntryRunOnStream(module, find("resident"), &input, 1, &y, 1,
                                     stream) == 0);
  structuredRtCudaCallerKeepsTurns(0);
  CHECK(structuredRtEntryRunOnStream(module, find("queue"), &input, 1, &z, 1,
                                     stream) == 0);
  CHECK(structuredRtEntryRunOnStream(module, find("plus3"), &input, 1, &y, 1,
                                     stream) == 0);
  CHECK_FAILS(structuredRtEntryRunOnStream(module, find("growing"), &input, 1,
                                           &y, 1, stream),
              "a captured run needs more memory than the run before it");
  CHECK(end(stream, &graph) == 0 && instantiate(&exec, graph, 0) == 0);
  emptyLog();
  float other[16];
  for (int e = 0; e < 16; ++e)
    other[e] = 2 * x[e];
  CHECK(structuredRtCudaCopy(memory, other, 64, NULL) == 0);
  CHECK(launch(exec, stream) == 0);
  checkOnDevice(&y, other, 3);
  checkOnDevice(&z, other, 2);
  CHECK(countCalls("cuLaunchKernelEx") == 0);
  /* The entry itself runs as before. */
  CHECK(structuredRtEntryRunOnStream(module, find("plus3"), &input, 1, &y, 1,
                                     stream) == 0);
  checkOnDevice(&y, other, 3);
  CHECK(destroyExec(exec) == 0 && destroy(graph) == 0);
  CHECK(structuredRtCudaStreamDestroy(stream) == 0);
  CHECK(structuredRtCudaFree(memory) == 0);
  dlclose(driver);
}

static int deleted;
static void noteDeletion(DLManagedTensor *managed) {
  (void)managed;
  ++deleted;
}

static void testDLPack(float *x) {
  void *memory = deviceCopy(x, 64);
  int64_t shape[] = {2, 4}, strides[] = {4, 1};
  DLManagedTensor given = {memory, 2,     0,       2,  2,    32,
                           1,      shape, strides, 32, NULL, noteDeletion};
  structuredRtTensor input, y;
  CHECK(structuredRtTensorFromDLPack(&given, &input) == 0);
  CHECK(input.data == (char *)memory + 32 && !input.owner);
  CHECK(input.dtype == STRUCTURED_RT_F32 && input.rank == 2);
  CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &input, 1, &y, 1,
                                     NULL) == 0);
  checkOnDevice(&y, x + 8, 1);
  CHECK(deleted == 0);

  /* Out, and in again. */
  DLManagedTensor *managed = NULL;
  CHECK_FAILS(structuredRtTensorToDLPack(NULL, &y, &managed), "its module");
  CHECK(structuredRtTensorToDLPack(module, &y, &managed) == 0);
  CHECK(managed->deviceType == 2 && managed->deviceId == 0);
  CHECK(managed->data == y.data && managed->ndim == 2);
  CHECK(managed->code == 2 && managed->bits == 32 && managed->lanes == 1);
  CHECK(managed->shape[0] == 2 && managed->shape[1] == 4);
  CHECK(managed->strides[0] == 4 && managed->strides[1] == 1);
  CHECK(structuredRtTensorFromDLPack(managed, &input) == 0);
  checkOnDevice(&input, x + 8, 1);
  managed->deleter(managed);

  /* A tensor on the host gives its memory away. */
  structuredRtTensor onHost = makeInput(x, 4);
  CHECK(structuredRtEntryRun(module, find("plus1"), &onHost, 1, &y, 1) == 0);
  CHECK(structuredRtTensorToDLPack(NULL, &y, &managed) == 0);
  CHECK(!y.owner && managed->deviceType == 1);
  CHECK(((float *)managed->data)[0] == x[0] + 1);
  managed->deleter(managed);

  /* What cannot be taken. */
  const DLManagedTensor good = given;
#define REFUSED(change, text)                                                  \
  given = good, change;                                                        \
  CHECK_FAILS(structuredRtTensorFromDLPack(&given, &input), text)
  REFUSED(given.deviceType = 4, "a device of type 4");
  REFUSED(given.bits = 128, "code 2, 128 bits, 1 lanes");
  REFUSED(given.lanes = 2, "2 lanes");
  REFUSED(given.ndim = 9, "rank 9");
  int64_t transposed[] = {1, 2};
  REFUSED(given.strides = transposed, "dimension 1 has stride 2, not 1");
  CHECK_FAILS(structuredRtTensorFromDLPack(NULL, &input), "null");
#undef REFUSED
  CHECK(structuredRtCudaFree(memory) == 0);
}

static void testErrors(float *x) {
  structuredRtTensor input = makeInput(x, 4), y;
  memset(&y, 0x55, sizeof(y));
  const structuredRtTensor before = y;
  /* Every failure leaves the outputs alone and does not spoil the next run. */
#define FAILS(entry, text)                                                     \
  CHECK_FAILS(structuredRtEntryRun(module, find(entry), &input, 1, &y, 1),     \
              text);                                                           \
  CHECK_FAILS(structuredRtEntryRunOnStream(module, find(entry), &input, 1, &y, \
                                           1, NULL),                           \
              text);                                                           \
  CHECK(memcmp(&y, &before, sizeof(y)) == 0)
  emptyLog();
  FAILS("missing", "entry 'missing': kernel 'decrement' is not in the module's "
                   "device code: CUDA_ERROR_NOT_FOUND");
  FAILS("unloaded", "entry 'unloaded': kernel 'increment': the module has not "
                    "handed over its device code");
  FAILS("code", "entry 'code': kernel 'increment': its code cannot be loaded "
                "on CUDA device 0 (Fake): CUDA_ERROR_INVALID_IMAGE (as the "
                "fake driver says): no KERNELS");
  FAILS("much", "entry 'much': CUDA device 0 (Fake): 4398046511104 bytes of "
                "memory, beside the 2097152 that the entry has: "
                "CUDA_ERROR_OUT_OF_MEMORY");
  FAILS("shared", "entry 'shared': memory that host and device share");
  FAILS("foreign", "entry 'foreign': the module frees memory that it did not "
                   "allocate");
  FAILS("shape", "output 'y': the module declares f32[?x4] but returned "
                 "f32[1x3]");
  /* Nothing was launched after the failures. */
  CHECK(countCalls("cuLaunchKernelEx") == 0);
  CHECK_FAILS(structuredRtCudaSetDevice(7), "there is no CUDA device 7");
  CHECK_FAILS(structuredRtCudaAlloc(-1, &y.data), "negative");
  CHECK_FAILS(structuredRtCudaAlloc((int64_t)1 << 40, &y.data),
              "CUDA device 0 (Fake): allocating 1099511627776 bytes: "
              "CUDA_ERROR_OUT_OF_MEMORY");
#undef FAILS
}

static void *runMany(void *x) {
  structuredRtTensor input = makeInput(x, 4), y;
  for (int i = 0; i < 100; ++i) {
    CHECK(structuredRtEntryRun(module, find("plus3"), &input, 1, &y, 1) == 0);
    for (int e = 0; e < 16; ++e)
      CHECK(((float *)y.data)[e] == ((float *)x)[e] + 3);
    structuredRtTensorFree(&y);
  }
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  float x[2][16];
  for (int e = 0; e < 16; ++e)
    x[0][e] = (float)(e * e), x[1][e] = (float)-e;
  int32_t count = 0;
  CHECK(structuredRtCudaGetDeviceCount(&count) == 0 && count == 1);
  CHECK(strcmp(structuredRtCudaGetDeviceName(), "CUDA device 0 (Fake)") == 0);
  CHECK(structuredRtModuleLoad(argv[1], NULL, &module) == 0);
  testHost(x[0], 1);
  testStream(x[0]);
  testMaps(x[0]);
  testManyMaps(x[0]);
  testGraph(x[0]);
  testUpdate(x[0]);
  testResident(x[0]);
  testCallersCapture(x[0]);
  testDLPack(x[0]);
  testErrors(x[0]);
  testHost(x[1], 0);

  pthread_t threads[2];
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_create(&threads[i], NULL, runMany, x[i]) == 0);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_join(threads[i], NULL) == 0);

  for (int i = 0; i < 2; ++i)
    CHECK(pthread_create(&threads[i], NULL, countMany,
                         i ? "resident" : "resident2") == 0);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_join(threads[i], NULL) == 0);

  /* An output in DLPack and a graph keep the module loaded. */
  structuredRtTensor input = makeInput(deviceCopy(x[0], 64), 4), y, z;
  structuredRtGraph *graph;
  DLManagedTensor *managed;
  CHECK(structuredRtGraphCapture(module, find("plus3"), &input, 1, &z, 1,
                                 &graph) == 0);
  CHECK(structuredRtEntryRunOnStream(module, find("plus1"), &input, 1, &y, 1,
                                     NULL) == 0);
  CHECK(structuredRtTensorToDLPack(module, &y, &managed) == 0);
  emptyLog();
  structuredRtModuleFree(module);
  CHECK(structuredRtGraphLaunch(graph, NULL) == 0);
  checkOnDevice(&z, x[0], 3);
  structuredRtGraphFree(graph);
  checkOnDevice(&y, x[0], 1);
  CHECK(countCalls("cuMemFree_v2") == 0);
  managed->deleter(managed);
  CHECK(countCalls("cuMemFree_v2") > 0 && countCalls("cuModuleUnload") == 1);
  CHECK_FAILS(structuredRtCudaCopy(x[1], y.data, 64, NULL),
              "copying 64 bytes: CUDA_ERROR_INVALID_VALUE");
  puts("passed");
  return 0;
}
