// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// What host code of a CUDA module may do, right and wrong, one entry each. All
// take x: f32[?x4]; most return y: f32[?x4]; some update sum: f32[?x4], which
// comes after x. Numbers that a test chooses come from the environment, since
// host code does not read what is on the device.
// With -DDEVICE the kernels are those of kernels.ptx.

#include "../module.h"
#include "abi.h"
#include "image.h"

#ifdef DEVICE
static const char image[] = {
#embed "kernels.ptx"
    , 0};
#else
//===-- Kernels -----------------------------------------------------------===//

// y[i] = x[i] + 1
static void increment(const Launch *launch, void **parameters) {
  float *y = *(float **)parameters[0], *x = *(float **)parameters[1];
  for (unsigned i = 0; i < launch->grid[0] * launch->block[0]; ++i)
    y[i] = x[i] + 1;
}

// Copies the box at the origin of the tensor that a descriptor of driver.c
// describes, row by row.
static void load(const Launch *launch, void **parameters) {
  struct {
    char *address;
    uint32_t dataType, rank, swizzle, interleave;
    uint64_t sizes[5], strides[4];
    uint16_t box[5];
  } *map = *(void **)parameters[1];
  float *y = *(float **)parameters[0];
  if ((uintptr_t)map % 64 || map->rank != 3 || map->dataType != 7)
    abort();
  for (unsigned i = 0; i < map->box[2]; ++i)
    for (unsigned j = 0; j < map->box[1]; ++j)
      for (unsigned k = 0; k < map->box[0]; ++k)
        *y++ = *(float *)(map->address + i * map->strides[1] +
                          j * map->strides[0] + k * 4);
}

// Adds how often it has run with this memory to each word of it: y[i] = x[i] +
// that number. The words must be equal before, 0 the first time.
static void count_(const Launch *launch, void **parameters) {
  float *y = *(float **)parameters[0], *x = *(float **)parameters[1];
  uint32_t *scratch = *(uint32_t **)parameters[2];
  for (int i = 0; i < 16; ++i)
    if (scratch[i]++ != scratch[15] - (i == 15))
      abort();
  for (unsigned i = 0; i < launch->grid[0] * launch->block[0]; ++i)
    y[i] = x[i] + scratch[0];
}

static const Image image = {
    "KERNELS",
    3,
    {{"increment", increment, 2}, {"load", load, 2}, {"count", count_, 3}}};
#endif
static const char ptx[] = "this is no code";

//===-- Helpers -----------------------------------------------------------===//

static void *stream;

static int64_t count(const MemRef2 *x) { return x->sizes[0] * x->sizes[1]; }

static void returnDense(void **args, float *data) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  *ARGUMENT(MemRef2, 0) = (MemRef2){data, data, 0, {x->sizes[0], 4}, {4, 1}};
}

static float *allocate(int64_t elements) {
  return mgpuMemAlloc(elements * sizeof(float), stream, false);
}

// As older versions of gpu-to-llvm: the code is loaded and unloaded in the run.
static void incrementTo(float *y, float *x, int64_t elements) {
  void *params[] = {&y, &x};
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "increment"), elements / 4, 1,
                   1, 4, 1, 1, 0, stream, params, NULL, 2);
  mgpuModuleUnload(module);
}

static float *increment4(float *x, int64_t elements) {
  float *y = allocate(elements);
  incrementTo(y, x, elements);
  return y;
}

//===-- Entries that work -------------------------------------------------===//

void plus1(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  returnDense(args, increment4(x->aligned, count(x)));
}

// x + 3, by way of memory that is freed and given out again.
void plus3(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  float *one = increment4(x->aligned, count(x));
  float *two = increment4(one, count(x));
  mgpuMemFree(one, stream);
  float *three = increment4(two, count(x));
  if (three != one)
    abort();
  mgpuMemFree(two, stream);
  returnDense(args, three);
}

// x + 1, with every launch attribute.
void attributes(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  if (structuredCudaMultiprocessorCount() != 132)
    abort();
  float *y = allocate(count(x));
  void *params[] = {&y, &x->aligned};
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  void *function = mgpuModuleGetFunction(module, "increment");
  structuredCudaLaunch(function, x->sizes[0], 1, 1, 4, 1, 1, 0, 0, 0, 0, 0,
                       params);
  structuredCudaLaunch(function, x->sizes[0], 1, 1, 4, 1, 1, 2, 1, 1, 100000, 1,
                       params);
  structuredCudaLaunch(function, x->sizes[0], 1, 1, 4, 1, 1, 16, 1, 1, 90000, 3,
                       params);
  mgpuLaunchClusterKernel(function, 1, 2, 1, x->sizes[0], 1, 1, 4, 1, 1, 0,
                          stream, params, NULL);
  returnDense(args, y);
}

// x, by copies and fills.
void memory(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  float *y = allocate(count(x) + 4);
  mgpuMemset32(y, 0x3F800000, count(x), stream); /* 1.0f */
  mgpuMemset16(y, 0x4040, 2 * 4, stream);        /* 3.00392… */
  mgpuMemcpy(y + 4, x->aligned, (count(x) - 4) * sizeof(float), stream);
  returnDense(args, y);
}

// The first rows of x through descriptors, in both functions that make them.
void maps(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  float *y = allocate(count(x));
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  int64_t rows = x->sizes[0] / 2;
  void *map = structuredCudaTensorMap3D(x->aligned, 1, 4, 2, rows, 16, 32, 4, 2,
                                        (int32_t)rows, 0);
  struct {
    float *allocated, *aligned;
    int64_t offset, sizes[3], strides[3];
  } memref = {x->aligned, x->aligned - 4, 4, {rows, 2, 4}, {8, 4, 1}};
  int64_t box[] = {rows, 2, 4};
  void *other = mgpuTensorMapEncodeTiledMemref(3, &memref, 7, 0, 0, 2, 0, box);
  if (map != other)
    abort();
  void *params[] = {&y, &map};
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "load"), 1, 1, 1, 1, 1, 1, 0,
                   stream, params, NULL, 2);
  returnDense(args, y);
}

// The transpose of x + 1, not dense.
void strided(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  float *y = increment4(x->aligned, count(x));
  *ARGUMENT(MemRef2, 0) = (MemRef2){y, y, 0, {4, x->sizes[0]}, {1, 4}};
}

void input(void **args) { *ARGUMENT(MemRef2, 0) = *ARGUMENT(MemRef2, 1); }

// A constant of the host code.
void constant(void **args) {
  static float data[4] = {1, 2, 3, 4};
  *ARGUMENT(MemRef2, 0) =
      (MemRef2){(float *)0xdeadbeef, data, 0, {1, 4}, {4, 1}};
}

// x plus the number of the run: a kernel whose memory keeps its contents, and
// another one with its own. Only the first is launched programmatically.
static void countRuns(void **args, int64_t number) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  void *function = mgpuModuleGetFunction(module, "count");
  float *y = allocate(count(x)), *z = allocate(count(x));
  void *scratch = structuredCudaScratch(number, 64, 132);
  void *params[] = {&y, &x->aligned, &scratch};
  structuredCudaNextLaunch(1);
  mgpuLaunchKernel(function, x->sizes[0], 1, 1, 4, 1, 1, 0, stream, params,
                   NULL, 3);
  void *other = structuredCudaScratch(number + 1, 64, 1);
  if (scratch == other)
    abort();
  void *otherParams[] = {&z, &x->aligned, &other};
  mgpuLaunchKernel(function, x->sizes[0], 1, 1, 4, 1, 1, 0, stream, otherParams,
                   NULL, 3);
  returnDense(args, y);
}

void resident(void **args) { countRuns(args, 0); }
void resident2(void **args) { countRuns(args, -7); }

// The same memory for a kernel whose blocks need not run at the same time.
void queue(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  float *y = allocate(count(x));
  void *scratch = structuredCudaScratch(0, 64, 0);
  void *params[] = {&y, &x->aligned, &scratch};
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "count"), x->sizes[0], 1, 1, 4,
                   1, 1, 0, stream, params, NULL, 3);
  returnDense(args, y);
}

// x + 1, and 1 more in sum.
void update(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1), *sum = ARGUMENT(MemRef2, 2);
  incrementTo(sum->aligned, sum->aligned, count(sum));
  returnDense(args, increment4(x->aligned, count(x)));
}

//===-- Entries that fail -------------------------------------------------===//

// A launch with the sizes GRID, BLOCK, CLUSTER, SHARED of the environment.
void launch(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  float *y = allocate(count(x));
  void *params[] = {&y, &x->aligned};
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  structuredCudaLaunch(mgpuModuleGetFunction(module, "increment"),
                       atoll(getenv("GRID")), 1, 1, atoll(getenv("BLOCK")), 1,
                       1, atoi(getenv("CLUSTER")), 1, 1, atoi(getenv("SHARED")),
                       0, params);
  returnDense(args, y);
}

void missing(void **args) {
  void *module = mgpuModuleLoad((void *)&image, sizeof(image));
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "decrement"), 1, 1, 1, 1, 1, 1,
                   0, stream, NULL, NULL, 0);
  /* Not reached by the driver: the run has failed. */
  returnDense(args, increment4(NULL, 4));
}

// Fails when sum has been updated.
void halfway(void **args) {
  update(args);
  missing(args);
}

void unloaded(void **args) {
  mgpuLaunchKernel(mgpuModuleGetFunction(NULL, "increment"), 1, 1, 1, 1, 1, 1,
                   0, stream, NULL, NULL, 0);
  returnDense(args, NULL);
}

void code(void **args) {
  void *module = mgpuModuleLoadJIT((void *)ptx, 3);
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "increment"), 1, 1, 1, 1, 1, 1,
                   0, stream, NULL, NULL, 0);
  returnDense(args, NULL);
}

void much(void **args) { returnDense(args, allocate((int64_t)1 << 40)); }

void shared(void **args) { returnDense(args, mgpuMemAlloc(64, stream, true)); }

void foreign(void **args) {
  mgpuMemFree(ARGUMENT(MemRef2, 1)->aligned + 1, stream);
  returnDense(args, NULL);
}

void shape(void **args) {
  float *y = allocate(4);
  *ARGUMENT(MemRef2, 0) = (MemRef2){y, y, 0, {1, 3}, {4, 1}};
}

// Both functions for four dimensions give the same descriptor.
void maps4(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  int64_t rows = x->sizes[0] / 2;
  void *map = structuredCudaTensorMap4D(x->aligned, 1, 4, 2, rows, 1, 16, 32,
                                        32 * rows, 4, 2, (int32_t)rows, 1, 0);
  struct {
    float *allocated, *aligned;
    int64_t offset, sizes[4], strides[4];
  } memref = {x->aligned, x->aligned, 0, {1, rows, 2, 4}, {8 * rows, 8, 4, 1}};
  int64_t box[] = {1, rows, 2, 4};
  if (!map ||
      map != mgpuTensorMapEncodeTiledMemref(4, &memref, 7, 0, 0, 2, 0, box))
    abort();
  returnDense(args, ARGUMENT(MemRef2, 1)->aligned);
}

// A descriptor of the numbers in MAP: dtype, three sizes, two strides, three
// box sizes, swizzle, offset of the address in bytes.
void map(void **args) {
  int64_t n[11];
  char *text = getenv("MAP");
  for (int i = 0; i < 11; ++i)
    n[i] = strtoll(text, &text, 10);
  structuredCudaTensorMap3D((char *)ARGUMENT(MemRef2, 1)->aligned + n[10],
                            (int32_t)n[0], n[1], n[2], n[3], n[4], n[5],
                            (int32_t)n[6], (int32_t)n[7], (int32_t)n[8],
                            (int32_t)n[9]);
  returnDense(args, ARGUMENT(MemRef2, 1)->aligned);
}

// One of the rank RANK.
void rank(void **args) {
  mgpuTensorMapEncodeTiledMemref(atoll(getenv("RANK")), ARGUMENT(MemRef2, 1), 7,
                                 0, 0, 0, 0, NULL);
  returnDense(args, ARGUMENT(MemRef2, 1)->aligned);
}

// A capture that would differ from the run before it.
void growing(void **args) {
  static int numRuns = 0;
  MemRef2 *x = ARGUMENT(MemRef2, 1);
  returnDense(args, increment4(x->aligned, count(x)));
  allocate((numRuns++ + 1) << 20);
}

// Scratch memory of SCRATCH bytes for BLOCKS blocks, after 64 bytes for 1.
void scratch(void **args) {
  structuredCudaScratch(0, 64, 1);
  structuredCudaScratch(atoll(getenv("NUMBER")), atoll(getenv("SCRATCH")),
                        atoi(getenv("BLOCKS")));
  returnDense(args, ARGUMENT(MemRef2, 1)->aligned);
}

// Scratch memory that the run before did not use.
void forgetful(void **args) {
  static int numRuns = 0;
  structuredCudaScratch(numRuns++, 64, 1);
  returnDense(args, ARGUMENT(MemRef2, 1)->aligned);
}
