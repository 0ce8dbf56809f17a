// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// y = x·Wᵀ + b for CUDA, with x: f32[?xK], W: f32[NxK], b: f32[N]: a module as
// gpu-to-llvm makes one, in two kernels, for the driver of driver.c.

#include "../module.h"
#include "abi.h"
#include "image.h"

// y[t][n] = Σ_k x[t][k] w[n][k]
static void multiply(const Launch *launch, void **parameters) {
  float *y = *(float **)parameters[0], *x = *(float **)parameters[1],
        *w = *(float **)parameters[2];
  int64_t K = *(int64_t *)parameters[3], N = launch->grid[0];
  for (int64_t t = 0; t < launch->grid[1]; ++t)
    for (int64_t n = 0; n < N; ++n) {
      y[t * N + n] = 0;
      for (int64_t k = 0; k < K; ++k)
        y[t * N + n] += x[t * K + k] * w[n * K + k];
    }
}

// y[t][n] = s[t][n] + b[n]
static void add(const Launch *launch, void **parameters) {
  float *y = *(float **)parameters[0], *s = *(float **)parameters[1],
        *b = *(float **)parameters[2];
  int64_t N = launch->grid[0];
  for (int64_t t = 0; t < launch->grid[1]; ++t)
    for (int64_t n = 0; n < N; ++n)
      y[t * N + n] = s[t * N + n] + b[n];
}

static const Image image = {
    "KERNELS", 2, {{"multiply", multiply, 4}, {"add", add, 3}}};

// The device code is loaded when the shared object is.
static void *module;
__attribute__((constructor)) static void load(void) {
  module = mgpuModuleLoad((void *)&image, sizeof(image));
}
__attribute__((destructor)) static void unload(void) {
  mgpuModuleUnload(module);
}

void structured_entry_main(void **args) {
  MemRef2 *y = ARGUMENT(MemRef2, 0), *x = ARGUMENT(MemRef2, 1),
          *w = ARGUMENT(MemRef2, 2);
  MemRef1 *b = ARGUMENT(MemRef1, 3);
  int64_t T = x->sizes[0], N = w->sizes[0], K = w->sizes[1];
  void *stream = mgpuStreamCreate();
  float *sums = mgpuMemAlloc(T * N * sizeof(float), stream, false);
  void *multiplyParams[] = {&sums, &x->aligned, &w->aligned, &K};
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "multiply"), N, T, 1, 1, 1, 1,
                   0, stream, multiplyParams, NULL, 4);
  float *data = mgpuMemAlloc(T * N * sizeof(float), stream, false);
  void *addParams[] = {&data, &sums, &b->aligned};
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "add"), N, T, 1, 1, 1, 1, 0,
                   stream, addParams, NULL, 3);
  mgpuMemFree(sums, stream);
  mgpuStreamSynchronize(stream);
  mgpuStreamDestroy(stream);
  *y = (MemRef2){data, data, 0, {T, N}, {N, 1}};
}
