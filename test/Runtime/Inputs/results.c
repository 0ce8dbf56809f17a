// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// Every way in which an entry may return its results (results.test). The input
// is x: f32[2x3], the parameter p: f32[2]. Those that update inputs have sum:
// f32[2x3] and count: f32[] after x.

#include "module.h"

// Six floats of the module's own, 0 … 5 times `scale`.
static float *allocate(float scale) {
  float *data = malloc(6 * sizeof(float));
  for (int i = 0; i < 6; ++i)
    data[i] = scale * i;
  return data;
}

// Transposed, so not row-major.
void strided(void **args) {
  float *data = allocate(1);
  *ARGUMENT(MemRef2, 0) = (MemRef2){data, data, 0, {3, 2}, {1, 3}};
}

// The last four of the six elements.
void offset(void **args) {
  float *data = allocate(1);
  *ARGUMENT(MemRef1, 0) = (MemRef1){data, data, 2, {4}, {1}};
}

// One element, broadcast.
void broadcast(void **args) {
  float *data = allocate(1);
  *ARGUMENT(MemRef2, 0) = (MemRef2){data, data, 5, {2, 2}, {0, 0}};
}

// The input itself.
void input(void **args) { *ARGUMENT(MemRef2, 0) = *ARGUMENT(MemRef2, 1); }

// The parameter itself.
void parameter(void **args) { *ARGUMENT(MemRef1, 0) = *ARGUMENT(MemRef1, 2); }

// A constant of the module, which MLIR marks with 0xdeadbeef.
void constant(void **args) {
  static float data[2] = {7, 8};
  *ARGUMENT(MemRef1, 0) = (MemRef1){(float *)0xdeadbeef, data, 0, {2}, {1}};
}

// Two results in one allocation, one in another, one the input.
void several(void **args) {
  struct {
    MemRef1 head, tail;
    MemRef0 scalar;
    MemRef2 same;
  } *results = args[0] ? *(void **)args[0] : 0;
  float *data = allocate(1), *other = allocate(10);
  results->head = (MemRef1){data, data, 0, {2}, {1}};
  results->tail = (MemRef1){data, data, 2, {4}, {1}};
  results->scalar = (MemRef0){other, other, 3};
  results->same = *ARGUMENT(MemRef2, 1);
}

// No results, so no pointer to them: the input comes first.
void nothing(void **args) {
  MemRef2 *x = ARGUMENT(MemRef2, 0);
  MemRef1 *p = ARGUMENT(MemRef1, 1);
  if (x->sizes[0] != 2 || x->sizes[1] != 3 || p->sizes[0] != 2)
    abort();
}

static void addTo(MemRef2 *sum, const MemRef2 *x) {
  for (int i = 0; i < 6; ++i)
    sum->aligned[i] += x->aligned[i];
}

// Adds x to sum, and 1 to count. Between these outputs, a result: the last row
// of sum.
void update(void **args) {
  MemRef2 *sum = ARGUMENT(MemRef2, 2);
  addTo(sum, ARGUMENT(MemRef2, 1));
  ++*ARGUMENT(MemRef0, 3)->aligned;
  *ARGUMENT(MemRef1, 0) = (MemRef1){sum->allocated, sum->aligned, 3, {3}, {1}};
}

// Adds x to sum: there are no results, as in `nothing`.
void accumulate(void **args) {
  addTo(ARGUMENT(MemRef2, 1), ARGUMENT(MemRef2, 0));
}

// Not the shape that is declared.
void wrong(void **args) {
  float *data = allocate(1);
  *ARGUMENT(MemRef1, 0) = (MemRef1){data, data, 0, {6}, {1}};
}
