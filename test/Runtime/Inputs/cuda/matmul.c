// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// structuredCudaMatmul with the numbers in MATMUL: dtypeAB dtypeCD batch m n k
// lda ldb ldd transA transB useBias useC alpha beta activation offset. All
// operands are parts of x: f32[4096]: A at `offset`, B at 1024, bias at 2048;
// y, in which C and D are one if useC is 1, is a copy of its last 1024
// elements. A batch stride is 256 elements, of B 0, of the bias 64 if useBias
// is 2, else 0.

#include "../module.h"
#include "abi.h"

void structured_entry_main(void **args) {
  MemRef1 *y = ARGUMENT(MemRef1, 0), *x = ARGUMENT(MemRef1, 1);
  double v[17];
  char *text = getenv("MATMUL");
  for (int i = 0; i < 17; ++i)
    v[i] = strtod(text, &text);
  float *d = mgpuMemAlloc(1024 * sizeof(float), NULL, false);
  mgpuMemcpy(d, x->aligned + 3072, 1024 * sizeof(float), NULL);
  int64_t ldd = (int64_t)v[8];
  structuredCudaMatmul(
      x->aligned + (int)v[16], x->aligned + 1024, v[12] ? d : NULL, d,
      v[11] ? x->aligned + 2048 : NULL, (int64_t)v[2], (int64_t)v[3],
      (int64_t)v[4], (int64_t)v[5], (int64_t)v[6], (int64_t)v[7], ldd, ldd, 256,
      0, 256, 256, v[11] == 2 ? 64 : 0, (int)v[9], (int)v[10], (int)v[0],
      (int)v[1], (float)v[13], (float)v[14], (int)v[15]);
  *y = (MemRef1){d, d, 0, {1024}, {1}};
}
