// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// What a compiled module consists of (docs/Runtime.md), for modules by hand.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const char structured_module_info[] = {
#embed "info.json"
    , 0};

/* A memref descriptor of each rank; offset and strides in elements. */
typedef struct {
  float *allocated, *aligned;
  int64_t offset;
} MemRef0;
typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} MemRef1;
typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} MemRef2;

/* Argument `index` of an entry. */
#define ARGUMENT(type, index) (*(type **)args[index])
