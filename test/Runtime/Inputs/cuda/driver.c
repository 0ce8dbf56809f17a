// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// A libcuda.so.1 for machines without a GPU: device memory is a piece of this
// process's memory that only the driver's own calls may touch (who else reads
// or writes it is ended by SIGSEGV), kernels are C functions (image.h), and
// everything enqueued happens at once, or, in a capture, when its graph is
// launched. Memory that was never written holds 0xCD. Errors are those of the
// driver where the runtime can cause them. The environment says the rest:
//
//   FAKE_CUDA_DEVICES    how many devices there are (1)
//   FAKE_CUDA_CAPABILITY 10 · major + minor (90)
//   FAKE_CUDA_MEMORY     bytes of device memory that can be allocated (64 MiB)
//   FAKE_CUDA_LOG        a file to which every call is appended
//   FAKE_CUDA_FAIL       FUNCTION:N:CODE: the N-th call of the function fails

#define _GNU_SOURCE
#include "image.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef int CUresult;
enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NO_DEVICE = 100,
  INVALID_IMAGE = 200,
  NOT_FOUND = 500,
  CAPTURE_UNSUPPORTED = 900
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

//===-- The environment ---------------------------------------------------===//

static long getNumber(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

// Logs a call; returns the code with which it is to fail, or 0.
static CUresult enter(const char *function, const char *format, ...) {
  const char *path = getenv("FAKE_CUDA_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (log) {
    fprintf(log, "%s", function);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(log, format, arguments);
    va_end(arguments);
    fputc('\n', log);
    fclose(log);
  }
  static int numCalls = 0;
  const char *fail = getenv("FAKE_CUDA_FAIL");
  size_t length = strlen(function);
  if (!fail || strncmp(fail, function, length) != 0 || fail[length] != ':')
    return SUCCESS;
  int at = 0, code = 0;
  sscanf(fail + length, ":%d:%d", &at, &code);
  return ++numCalls == at ? code : SUCCESS;
}

#define ENTER(...)                                                             \
  do {                                                                         \
    CUresult code = enter(__func__, "" __VA_ARGS__);                           \
    if (code)                                                                  \
      return code;                                                             \
  } while (0)

//===-- Device memory -----------------------------------------------------===//

enum { MAX_BLOCKS = 4096 };
static struct Block {
  char *data;
  size_t size;
} blocks[MAX_BLOCKS];
static int numBlocks;
static char *memory, *memoryEnd;
static size_t memorySize = (size_t)1 << 30;
static size_t allocated;

static int isDeviceMemory(const void *address) {
  for (int i = 0; i < numBlocks; ++i)
    if ((char *)address >= blocks[i].data &&
        (char *)address < blocks[i].data + blocks[i].size)
      return 1;
  return 0;
}

// Whether `bytes` at `address` are of one allocation, if of any.
static int isWhole(const void *address, size_t bytes) {
  if ((char *)address < memory || (char *)address >= memory + memorySize)
    return 1;
  for (int i = 0; i < numBlocks; ++i)
    if ((char *)address >= blocks[i].data &&
        (char *)address + bytes <= blocks[i].data + blocks[i].size)
      return 1;
  return 0;
}

// Opens and closes device memory for the driver.
static void open_(void) {
  if (memory)
    mprotect(memory, memoryEnd - memory, PROT_READ | PROT_WRITE);
}
static void close_(void) {
  if (memory)
    mprotect(memory, memoryEnd - memory, PROT_NONE);
}

CUresult cuMemAlloc_v2(void **address, size_t bytes) {
  ENTER(" %zu", bytes);
  pthread_mutex_lock(&mutex);
  CUresult result = OUT_OF_MEMORY;
  if (!memory)
    memory = memoryEnd =
        mmap(NULL, memorySize, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  size_t size = (bytes + 4095) / 4096 * 4096;
  if (bytes && numBlocks < MAX_BLOCKS &&
      allocated + bytes <= (size_t)getNumber("FAKE_CUDA_MEMORY", 64 << 20) &&
      memoryEnd + size <= memory + memorySize) {
    blocks[numBlocks++] = (struct Block){memoryEnd, bytes};
    *address = memoryEnd;
    memoryEnd += size; /* never used again, so that late uses show */
    allocated += bytes;
    open_();
    memset(*address, 0xCD, bytes);
    close_();
    result = SUCCESS;
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

CUresult cuMemFree_v2(void *address) {
  ENTER();
  pthread_mutex_lock(&mutex);
  CUresult result = INVALID_VALUE;
  for (int i = 0; i < numBlocks; ++i)
    if (blocks[i].data == address) {
      allocated -= blocks[i].size;
      blocks[i] = blocks[--numBlocks];
      result = SUCCESS;
      break;
    }
  pthread_mutex_unlock(&mutex);
  return result;
}

CUresult cuPointerGetAttribute(void *value, int attribute,
                               const void *address) {
  pthread_mutex_lock(&mutex);
  int known = isDeviceMemory(address);
  pthread_mutex_unlock(&mutex);
  if (!known)
    return INVALID_VALUE;
  if (attribute == 2)
    *(unsigned *)value = 2; /* CU_MEMORYTYPE_DEVICE */
  else
    *(int *)value = (int)getNumber("FAKE_CUDA_OWNER", 0);
  return SUCCESS;
}

//===-- What is enqueued --------------------------------------------------===//

typedef struct Operation {
  enum { COPY, SET32, SET16, KERNEL } kind;
  void *target;
  const void *source;
  size_t count;
  unsigned value;
  Launch launch;
  const ImageKernel *kernel;
  uint64_t parameters[32];
} Operation;

typedef struct Graph {
  Operation *operations;
  int count;
} Graph;

struct Stream {
  Graph *capture;
};
static struct Stream defaultStream;

// Whether the thread captures: then some functions are prohibited.
static _Thread_local int capturing;

static struct Stream *resolve(void *stream) {
  return stream ? stream : &defaultStream;
}

static CUresult execute(const Operation *operation) {
  CUresult result = SUCCESS;
  pthread_mutex_lock(&mutex);
  open_();
  switch (operation->kind) {
  case COPY:
    if (!isWhole(operation->target, operation->count) ||
        !isWhole(operation->source, operation->count))
      result = INVALID_VALUE;
    else
      memcpy(operation->target, operation->source, operation->count);
    break;
  case SET32:
  case SET16:
    if (!isWhole(operation->target,
                 operation->count * (operation->kind == SET32 ? 4 : 2))) {
      result = INVALID_VALUE;
      break;
    }
    for (size_t i = 0; i < operation->count; ++i)
      if (operation->kind == SET32)
        ((uint32_t *)operation->target)[i] = operation->value;
      else
        ((uint16_t *)operation->target)[i] = (uint16_t)operation->value;
    break;
  case KERNEL: {
    void *parameters[32];
    uint64_t values[32];
    memcpy(values, operation->parameters, sizeof(values));
    for (int i = 0; i < 32; ++i)
      parameters[i] = &values[i];
    operation->kernel->run(&operation->launch, parameters);
  }
  }
  close_();
  pthread_mutex_unlock(&mutex);
  return result;
}

static CUresult enqueue(void *stream, const Operation *operation) {
  Graph *capture = resolve(stream)->capture;
  if (!capture)
    return execute(operation);
  capture->operations =
      realloc(capture->operations, (capture->count + 1) * sizeof(Operation));
  capture->operations[capture->count++] = *operation;
  return SUCCESS;
}

// For cublaslt.c: runs `run` as if it were a kernel.
CUresult fakeCudaRun(void *stream, const ImageKernel *kernel,
                     void **parameters) {
  Operation operation = {.kind = KERNEL, .kernel = kernel};
  for (int i = 0; i < kernel->numParameters; ++i)
    memcpy(&operation.parameters[i], parameters[i], 8);
  return enqueue(stream, &operation);
}

CUresult cuMemcpyAsync(void *target, const void *source, size_t bytes,
                       void *stream) {
  ENTER(" %zu", bytes);
  return enqueue(stream, &(Operation){.kind = COPY,
                                      .target = target,
                                      .source = source,
                                      .count = bytes});
}

CUresult cuMemcpyHtoDAsync_v2(void *target, const void *source, size_t bytes,
                              void *stream) {
  ENTER(" %zu", bytes);
  return enqueue(stream, &(Operation){.kind = COPY,
                                      .target = target,
                                      .source = source,
                                      .count = bytes});
}

CUresult cuMemcpyDtoHAsync_v2(void *target, const void *source, size_t bytes,
                              void *stream) {
  ENTER(" %zu", bytes);
  return enqueue(stream, &(Operation){.kind = COPY,
                                      .target = target,
                                      .source = source,
                                      .count = bytes});
}

CUresult cuMemcpyHtoD_v2(void *target, const void *source, size_t bytes) {
  ENTER(" %zu", bytes);
  return execute(&(Operation){
      .kind = COPY, .target = target, .source = source, .count = bytes});
}

CUresult cuMemsetD32Async(void *target, unsigned value, size_t count,
                          void *stream) {
  ENTER(" %zu", count);
  return enqueue(stream, &(Operation){.kind = SET32,
                                      .target = target,
                                      .value = value,
                                      .count = count});
}

CUresult cuMemsetD16Async(void *target, unsigned short value, size_t count,
                          void *stream) {
  ENTER(" %zu", count);
  return enqueue(stream, &(Operation){.kind = SET16,
                                      .target = target,
                                      .value = value,
                                      .count = count});
}

CUresult cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) {
  (void)address, (void)flags;
  ENTER(" %zu", bytes);
  return SUCCESS;
}

CUresult cuMemHostUnregister(void *address) {
  (void)address;
  ENTER();
  return SUCCESS;
}

//===-- Devices -----------------------------------------------------------===//

CUresult cuInit(unsigned flags) {
  (void)flags;
  ENTER();
  return getNumber("FAKE_CUDA_DEVICES", 1) ? SUCCESS : NO_DEVICE;
}

CUresult cuGetErrorName(CUresult error, const char **text) {
  switch (error) {
  case INVALID_VALUE:
    *text = "CUDA_ERROR_INVALID_VALUE";
    return SUCCESS;
  case OUT_OF_MEMORY:
    *text = "CUDA_ERROR_OUT_OF_MEMORY";
    return SUCCESS;
  case NO_DEVICE:
    *text = "CUDA_ERROR_NO_DEVICE";
    return SUCCESS;
  case INVALID_IMAGE:
    *text = "CUDA_ERROR_INVALID_IMAGE";
    return SUCCESS;
  case NOT_FOUND:
    *text = "CUDA_ERROR_NOT_FOUND";
    return SUCCESS;
  case 700:
    *text = "CUDA_ERROR_ILLEGAL_ADDRESS";
    return SUCCESS;
  case CAPTURE_UNSUPPORTED:
    *text = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED";
    return SUCCESS;
  }
  return INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
  *text = "as the fake driver says";
  const char *name;
  return cuGetErrorName(error, &name);
}

CUresult cuDeviceGetCount(int *count) {
  ENTER();
  *count = (int)getNumber("FAKE_CUDA_DEVICES", 1);
  return SUCCESS;
}

CUresult cuDeviceGet(int *device, int ordinal) {
  ENTER(" %d", ordinal);
  *device = ordinal;
  return SUCCESS;
}

CUresult cuDeviceGetName(char *name, int length, int device) {
  (void)device;
  snprintf(name, length, "Fake");
  return SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  int capability = (int)getNumber("FAKE_CUDA_CAPABILITY", 90);
  switch (attribute) {
  case 75:
    *value = capability / 10;
    return SUCCESS;
  case 76:
    *value = capability % 10;
    return SUCCESS;
  case 16:
    *value = 132;
    return SUCCESS;
  case 97:
    *value = 232448;
    return SUCCESS;
  }
  return INVALID_VALUE;
}

CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
  ENTER(" %d", device);
  *context = malloc(1);
  return SUCCESS;
}

static _Thread_local int numContexts;
CUresult cuCtxPushCurrent_v2(void *context) {
  (void)context;
  ++numContexts;
  return SUCCESS;
}
CUresult cuCtxPopCurrent_v2(void **context) {
  *context = NULL;
  return --numContexts < 0 ? INVALID_VALUE : SUCCESS;
}

//===-- Code --------------------------------------------------------------===//

// A load of an image, which may be loaded more than once.
typedef struct Module {
  const Image *image;
} Module;

typedef struct Function {
  const ImageKernel *kernel;
  int maxDynamic, takesLargeClusters;
  void *module; /* frees it when it is unloaded */
  struct Function *next;
} Function;
static Function *functions;

CUresult cuModuleLoadDataEx(void **module, const void *image,
                            unsigned numOptions, int *options, void **values) {
  ENTER();
  if (capturing)
    return CAPTURE_UNSUPPORTED;
  if (memcmp(image, "KERNELS", 8) != 0) {
    for (unsigned i = 0; i < numOptions; ++i)
      if (options[i] == 5) /* CU_JIT_ERROR_LOG_BUFFER */
        strcpy(values[i], "no KERNELS");
    return INVALID_IMAGE;
  }
  Module *result = malloc(sizeof(Module));
  result->image = image;
  *module = result;
  return SUCCESS;
}

CUresult cuModuleUnload(void *module) {
  ENTER();
  pthread_mutex_lock(&mutex);
  for (Function **next = &functions; *next;) {
    Function *function = *next;
    if (function->module == module) {
      *next = function->next;
      free(function);
    } else {
      next = &function->next;
    }
  }
  pthread_mutex_unlock(&mutex);
  free(module);
  return SUCCESS;
}

CUresult cuModuleGetFunction(void **function, void *module, const char *name) {
  ENTER(" %s", name);
  const Image *image = ((Module *)module)->image;
  for (int i = 0; i < image->numKernels; ++i)
    if (strcmp(image->kernels[i].name, name) == 0) {
      Function *result = malloc(sizeof(Function));
      pthread_mutex_lock(&mutex);
      *result = (Function){&image->kernels[i], 48 << 10, 0, module, functions};
      functions = result;
      pthread_mutex_unlock(&mutex);
      *function = result;
      return SUCCESS;
    }
  return NOT_FOUND;
}

CUresult cuFuncGetAttribute(int *value, int attribute, void *function) {
  if (attribute != 1 && attribute != 8)
    return INVALID_VALUE;
  *value = attribute == 1 ? 0 : ((Function *)function)->maxDynamic;
  return SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks,
                                                     void *function,
                                                     int threads,
                                                     size_t sharedMemory) {
  (void)function;
  int byMemory = (int)(233472 / (sharedMemory + 1024));
  *blocks = threads < 64 ? 32 : 2048 / threads;
  if (*blocks > byMemory)
    *blocks = byMemory;
  return threads <= 1024 ? SUCCESS : INVALID_VALUE;
}

CUresult cuFuncSetAttribute(void *function, int attribute, int value) {
  ENTER(" %d %d", attribute, value);
  if (attribute == 8 && value <= 232448)
    ((Function *)function)->maxDynamic = value;
  else if (attribute == 9 && value >= -1 && value <= 100)
    return SUCCESS;
  else if (attribute == 14)
    ((Function *)function)->takesLargeClusters = value;
  else
    return INVALID_VALUE;
  return SUCCESS;
}

typedef struct {
  int id;
  union {
    char size[64];
    unsigned cluster[3];
    int flag;
    void *align;
  } value;
} Attribute;

typedef struct {
  unsigned grid[3], block[3], sharedMemory;
  void *stream;
  Attribute *attributes;
  unsigned numAttributes;
} Config;

CUresult cuLaunchKernelEx(const Config *config, void *function,
                          void **parameters, void **extra) {
  const Function *loaded = function;
  Operation operation = {.kind = KERNEL, .kernel = loaded->kernel};
  Launch *launch = &operation.launch;
  memcpy(launch->grid, config->grid, sizeof(launch->grid));
  memcpy(launch->block, config->block, sizeof(launch->block));
  launch->sharedMemory = config->sharedMemory;
  for (unsigned i = 0; i < config->numAttributes; ++i) {
    const Attribute *attribute = &config->attributes[i];
    if (attribute->id == 4)
      memcpy(launch->cluster, attribute->value.cluster,
             sizeof(launch->cluster));
    else if (attribute->id == 6)
      launch->isProgrammatic = attribute->value.flag;
    else if (attribute->id == 2)
      launch->isCooperative = attribute->value.flag;
    else
      return INVALID_VALUE;
  }
  ENTER(" %s grid %u %u %u block %u %u %u cluster %u %u %u shared %u pdl %d "
        "cooperative %d",
        loaded->kernel->name, launch->grid[0], launch->grid[1], launch->grid[2],
        launch->block[0], launch->block[1], launch->block[2],
        launch->cluster[0], launch->cluster[1], launch->cluster[2],
        launch->sharedMemory, launch->isProgrammatic, launch->isCooperative);
  unsigned cluster =
      launch->cluster[0] * launch->cluster[1] * launch->cluster[2];
  if (extra || launch->block[0] * launch->block[1] * launch->block[2] > 1024 ||
      !launch->grid[0] || !launch->grid[1] || !launch->grid[2] ||
      launch->sharedMemory > (unsigned)loaded->maxDynamic ||
      (cluster > 8 && !loaded->takesLargeClusters))
    return INVALID_VALUE;
  for (int i = 0; i < loaded->kernel->numParameters; ++i)
    memcpy(&operation.parameters[i], parameters[i], 8);
  return enqueue(config->stream, &operation);
}

//===-- Streams, events, graphs -------------------------------------------===//

CUresult cuStreamCreate(void **stream, unsigned flags) {
  (void)flags;
  ENTER();
  *stream = calloc(1, sizeof(struct Stream));
  return SUCCESS;
}

CUresult cuStreamDestroy_v2(void *stream) {
  ENTER();
  free(stream);
  return SUCCESS;
}

CUresult cuStreamSynchronize(void *stream) {
  ENTER();
  return resolve(stream)->capture ? CAPTURE_UNSUPPORTED : SUCCESS;
}

CUresult cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
  (void)event, (void)flags;
  ENTER();
  return resolve(stream)->capture ? CAPTURE_UNSUPPORTED : SUCCESS;
}

CUresult cuStreamIsCapturing(void *stream, int *status) {
  ENTER();
  *status = resolve(stream)->capture != NULL;
  return SUCCESS;
}

CUresult cuStreamBeginCapture_v2(void *stream, unsigned mode) {
  ENTER();
  if (!stream || mode != 1)
    return CAPTURE_UNSUPPORTED;
  resolve(stream)->capture = calloc(1, sizeof(Graph));
  capturing = 1;
  return SUCCESS;
}

CUresult cuStreamEndCapture(void *stream, void **graph) {
  *graph = resolve(stream)->capture;
  resolve(stream)->capture = NULL;
  capturing = 0;
  ENTER();
  return SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(void **exec, void *graph,
                                     unsigned long long flags) {
  (void)flags;
  ENTER();
  Graph *source = graph, *copy = malloc(sizeof(Graph));
  copy->count = source->count;
  copy->operations = malloc(source->count * sizeof(Operation) + 1);
  memcpy(copy->operations, source->operations,
         source->count * sizeof(Operation));
  *exec = copy;
  return SUCCESS;
}

CUresult cuGraphLaunch(void *exec, void *stream) {
  (void)stream;
  ENTER();
  const Graph *graph = exec;
  CUresult result = SUCCESS;
  for (int i = 0; i < graph->count && !result; ++i)
    result = execute(&graph->operations[i]);
  return result;
}

static CUresult destroy(void *graph) {
  free(((Graph *)graph)->operations);
  free(graph);
  return SUCCESS;
}

CUresult cuGraphExecDestroy(void *exec) {
  ENTER();
  return destroy(exec);
}

CUresult cuGraphDestroy(void *graph) {
  ENTER();
  return destroy(graph);
}

CUresult cuEventCreate(void **event, unsigned flags) {
  (void)flags;
  ENTER();
  *event = malloc(1);
  return SUCCESS;
}

CUresult cuEventDestroy_v2(void *event) {
  ENTER();
  free(event);
  return SUCCESS;
}

CUresult cuEventRecord(void *event, void *stream) {
  (void)event;
  ENTER();
  return resolve(stream)->capture ? CAPTURE_UNSUPPORTED : SUCCESS;
}

CUresult cuEventSynchronize(void *event) {
  (void)event;
  ENTER();
  return SUCCESS;
}

// Between any two events.
float fakeCudaMilliseconds = 0.25f;

CUresult cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  (void)start, (void)end;
  ENTER();
  *milliseconds = fakeCudaMilliseconds;
  return SUCCESS;
}

//===-- Tensor maps -------------------------------------------------------===//

// What kernels find in a descriptor.
typedef struct {
  void *address;
  uint32_t dataType, rank, swizzle, interleave;
  uint64_t sizes[5], strides[4];
  uint16_t box[5];
} FakeTensorMap;

CUresult cuTensorMapEncodeTiled(void *map, int dataType, unsigned rank,
                                void *address, const uint64_t *sizes,
                                const uint64_t *strides, const uint32_t *box,
                                const uint32_t *elementStrides, int interleave,
                                int swizzle, int l2Promotion, int oobFill) {
  (void)elementStrides, (void)l2Promotion, (void)oobFill;
  ENTER(" type %d rank %u", dataType, rank);
  FakeTensorMap result = {address,
                          (uint32_t)dataType,
                          rank,
                          (uint32_t)swizzle,
                          (uint32_t)interleave,
                          {0},
                          {0},
                          {0}};
  for (unsigned i = 0; i < rank; ++i) {
    result.sizes[i] = sizes[i];
    result.box[i] = (uint16_t)box[i];
    if (i + 1 < rank)
      result.strides[i] = strides[i];
  }
  _Static_assert(sizeof(result) <= 128, "the size of a CUtensorMap");
  memset(map, 0, 128);
  memcpy(map, &result, sizeof(result));
  return SUCCESS;
}
