// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// y = x·Wᵀ + b, with x: f32[?xK], W: f32[NxK], b: f32[N].

#include "module.h"

void structured_entry_main(void **args) {
  MemRef2 *y = ARGUMENT(MemRef2, 0), *x = ARGUMENT(MemRef2, 1),
          *w = ARGUMENT(MemRef2, 2);
  MemRef1 *b = ARGUMENT(MemRef1, 3);
  int64_t T = x->sizes[0], N = w->sizes[0], K = w->sizes[1];
  float *data = malloc(T * N * sizeof(float) + 1);
  for (int64_t t = 0; t < T; ++t)
    for (int64_t n = 0; n < N; ++n) {
      float sum = b->aligned[n];
      for (int64_t k = 0; k < K; ++k)
        sum += x->aligned[t * x->strides[0] + k * x->strides[1]] *
               w->aligned[n * w->strides[0] + k * w->strides[1]];
      data[t * N + n] = sum;
    }
  *y = (MemRef2){data, data, 0, {T, N}, {N, 1}};
}
