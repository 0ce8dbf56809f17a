/* Part of the Structured project, under the Apache License v2.0 with LLVM
 * Exceptions. See LICENSE for license information.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Uses the C API from C (c-api.test): c-api MODULE RESULTS, the linear module
 * whose weights give y = x·[[1,0,-2],[.5,.5,.5]]ᵀ + [10,-1], and results.c.
 */
#include "structured-runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_ERROR structuredRtGetLastError()
#include "../../Inputs/check.h"

static structuredRtModule *module;

static void run(float x0) {
  float x[2][3] = {{x0, 2, 3}, {4, 5, 6}};
  structuredRtTensor input = {STRUCTURED_RT_F32, 2, {2, 3}, x, NULL};
  structuredRtTensor output;
  CHECK(structuredRtEntryRun(module, 0, &input, 1, &output, 1) == 0);
  CHECK(output.dtype == STRUCTURED_RT_F32 && output.rank == 2);
  CHECK(output.shape[0] == 2 && output.shape[1] == 2);
  const float *y = output.data;
  CHECK(y[0] == x0 + 4 && y[1] == x0 / 2 + 1.5f && y[2] == 2 && y[3] == 6.5f);
  structuredRtTensorFree(&output);
  CHECK(!output.data && !output.owner);
  structuredRtTensorFree(&output);
  CHECK(input.data == x);
  structuredRtTensorFree(&input); /* not ours: no effect */
  CHECK(input.data == x);
}

static void *runMany(void *x0) {
  for (int i = 0; i < 1000; ++i)
    run(*(float *)x0);
  /* Errors belong to the thread. */
  CHECK(strcmp(structuredRtGetLastError(), "") == 0);
  return NULL;
}

static void testModule(const char *path) {
  CHECK_FAILS(structuredRtModuleLoad(NULL, NULL, &module), "null");
  CHECK_FAILS(structuredRtModuleLoad(path, NULL, NULL), "null");
  CHECK_FAILS(structuredRtModuleLoad("nowhere.so", NULL, &module),
              "nowhere.so");
  CHECK_FAILS(structuredRtModuleLoad(path, "none.safetensors", &module),
              "none.safetensors");
  CHECK(module == NULL);
  CHECK(structuredRtModuleLoad(path, NULL, &module) == 0);
  CHECK(strstr(structuredRtModuleGetInfo(module), "\"abi_version\": 1"));
  CHECK(structuredRtModuleGetInfo(NULL) == NULL);
  CHECK(structuredRtModuleGetNumEntries(module) == 1);
  CHECK(structuredRtModuleGetNumEntries(NULL) == -1);

  int32_t entry = -1;
  CHECK(structuredRtModuleFindEntry(module, "main", &entry) == 0);
  CHECK(entry == 0);
  CHECK_FAILS(structuredRtModuleFindEntry(module, "other", &entry), "'main'");
  CHECK_FAILS(structuredRtModuleFindEntry(module, NULL, &entry), "null");
}

static void testEntry(void) {
  CHECK(strcmp(structuredRtEntryGetName(module, 0), "main") == 0);
  CHECK(structuredRtEntryGetName(module, 1) == NULL);
  CHECK(structuredRtEntryGetName(NULL, 0) == NULL);
  CHECK(structuredRtEntryGetNumInputs(module, 0) == 1);
  CHECK(structuredRtEntryGetNumInputs(module, -1) == -1);
  CHECK(structuredRtEntryGetNumOutputs(module, 0) == 1);
  CHECK(structuredRtEntryGetNumOutputs(module, 7) == -1);

  structuredRtTensorType type;
  CHECK(structuredRtEntryGetInputType(module, 0, 0, &type) == 0);
  CHECK(strcmp(type.name, "x") == 0 && type.dtype == STRUCTURED_RT_F32);
  CHECK(type.rank == 2 && type.shape[0] == -1 && type.shape[1] == 3);
  CHECK(structuredRtEntryGetOutputType(module, 0, 0, &type) == 0);
  CHECK(strcmp(type.name, "y") == 0 && type.dtype == STRUCTURED_RT_F32);
  CHECK(type.rank == 2 && type.shape[0] == -1 && type.shape[1] == 2);
  CHECK_FAILS(structuredRtEntryGetInputType(module, 0, 1, &type), "input 1");
  CHECK_FAILS(structuredRtEntryGetOutputType(module, 0, -1, &type),
              "output -1");
  CHECK_FAILS(structuredRtEntryGetInputType(module, 0, 0, NULL), "null");
  int32_t updated = 0;
  CHECK(structuredRtEntryGetUpdatedInput(module, 0, 0, &updated) == 0);
  CHECK(updated == -1);
}

static void testRunErrors(void) {
  float x[7] = {0};
  const structuredRtTensor good = {STRUCTURED_RT_F32, 2, {2, 3}, x, NULL};
  structuredRtTensor bad = good, output;
  memset(&output, 0x55, sizeof(output));
  const structuredRtTensor before = output;
#define RUN(input, numInputs, numOutputs)                                      \
  structuredRtEntryRun(module, 0, input, numInputs, &output, numOutputs)
  CHECK_FAILS(structuredRtEntryRun(NULL, 0, &good, 1, &output, 1), "null");
  CHECK_FAILS(structuredRtEntryRun(module, 3, &good, 1, &output, 1), "entry 3");
  CHECK_FAILS(structuredRtEntryRun(module, 0, NULL, 1, &output, 1), "null");
  CHECK_FAILS(structuredRtEntryRun(module, 0, &good, 1, NULL, 1), "null");
  CHECK_FAILS(RUN(&good, 2, 1), "entry 'main' has 1 inputs, given 2");
  CHECK_FAILS(RUN(&good, 1, 0), "entry 'main' has 1 outputs, given 0");
  bad.dtype = 99;
  CHECK_FAILS(RUN(&bad, 1, 1), "input 'x': 99 is not a dtype");
  bad = good, bad.dtype = STRUCTURED_RT_I32;
  CHECK_FAILS(RUN(&bad, 1, 1), "expected f32[?x3], given i32[2x3]");
  bad = good, bad.rank = 9;
  CHECK_FAILS(RUN(&bad, 1, 1), "rank 9");
  bad = good, bad.rank = -1;
  CHECK_FAILS(RUN(&bad, 1, 1), "rank -1");
  bad = good, bad.rank = 1;
  CHECK_FAILS(RUN(&bad, 1, 1), "given f32[2]");
  bad = good, bad.shape[0] = -2;
  CHECK_FAILS(RUN(&bad, 1, 1), "given f32[-2x3]");
  bad = good, bad.shape[0] = INT64_MAX;
  CHECK_FAILS(RUN(&bad, 1, 1), "f32[9223372036854775807x3] is too large");
  bad = good, bad.data = NULL;
  CHECK_FAILS(RUN(&bad, 1, 1), "input 'x': no data");
  bad = good, bad.data = (char *)x + 2;
  CHECK_FAILS(RUN(&bad, 1, 1), "not aligned");
  CHECK(memcmp(&output, &before, sizeof(output)) == 0);
#undef RUN
}

/* The entry `update` of results.c: sum += x and count += 1. */
static void testUpdate(const char *path) {
  structuredRtModule *results;
  int32_t entry, input;
  CHECK(structuredRtModuleLoad(path, NULL, &results) == 0);
  CHECK(structuredRtModuleFindEntry(results, "update", &entry) == 0);
  const int32_t updated[] = {2, -1, 1};
#define GET(output, input)                                                     \
  structuredRtEntryGetUpdatedInput(results, entry, output, input)
  for (int32_t i = 0; i < 3; ++i)
    CHECK(GET(i, &input) == 0 && input == updated[i]);
  CHECK_FAILS(GET(3, &input), "output 3");
  CHECK_FAILS(GET(-1, &input), "output -1");
  CHECK_FAILS(GET(0, NULL), "null");
  CHECK_FAILS(structuredRtEntryGetUpdatedInput(NULL, 0, 0, &input), "null");
#undef GET

  /* One next to the other, which is not to share. */
  float memory[13], *x = memory, *sum = memory + 6, *count = memory + 12;
  for (int i = 0; i < 6; ++i)
    x[i] = (float)i, sum[i] = 10;
  *count = 0;
  structuredRtTensor inputs[] = {{STRUCTURED_RT_F32, 2, {2, 3}, x, NULL},
                                 {STRUCTURED_RT_F32, 2, {2, 3}, sum, NULL},
                                 {STRUCTURED_RT_F32, 0, {0}, count, NULL}};
  structuredRtTensor outputs[3];
#define RUN() structuredRtEntryRun(results, entry, inputs, 3, outputs, 3)
  for (int run = 1; run < 3; ++run) {
    CHECK(RUN() == 0);
    CHECK(*count == (float)run);
    for (int i = 0; i < 6; ++i)
      CHECK(x[i] == (float)i && sum[i] == 10 + (float)(run * i));
    CHECK(outputs[0].data == count && !outputs[0].owner);
    CHECK(outputs[0].dtype == STRUCTURED_RT_F32 && outputs[0].rank == 0);
    CHECK(outputs[2].data == sum && !outputs[2].owner && outputs[2].rank == 2);
    CHECK(outputs[2].shape[0] == 2 && outputs[2].shape[1] == 3);
    /* The other output is the caller's own, though the entry returned a part of
     * an input. */
    CHECK(outputs[1].data != sum + 3 && outputs[1].owner);
    CHECK(memcmp(outputs[1].data, sum + 3, 3 * sizeof(float)) == 0);
    for (int i = 0; i < 3; ++i)
      structuredRtTensorFree(&outputs[i]);
  }

  /* Memory that is shared, in part. Nothing is updated. */
  inputs[0].data = sum - 5;
  CHECK_FAILS(RUN(), "input 'sum', which is updated, shares memory with input "
                     "'x'");
  inputs[0].data = x;
  inputs[2].data = sum + 5;
  CHECK_FAILS(RUN(), "input 'count', which is updated, shares memory with "
                     "input 'sum'");
  CHECK(*count == 2 && sum[5] == 20);
#undef RUN
  structuredRtModuleFree(results);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  CHECK(structuredRtGetAbiVersion() == STRUCTURED_RT_ABI_VERSION);
  CHECK(strcmp(structuredRtGetLastError(), "") == 0);
  CHECK(strcmp(structuredRtDTypeGetName(STRUCTURED_RT_BF16), "bf16") == 0);
  CHECK(strcmp(structuredRtDTypeGetName(STRUCTURED_RT_I1), "i1") == 0);
  CHECK(structuredRtDTypeGetName(10) == NULL);
  CHECK(structuredRtDTypeGetName(-1) == NULL);
  CHECK(structuredRtDTypeGetSize(STRUCTURED_RT_F64) == 8);
  CHECK(structuredRtDTypeGetSize(STRUCTURED_RT_I1) == 1);
  CHECK(structuredRtDTypeGetSize(10) == 0);

  testModule(argv[1]);
  testEntry();
  testRunErrors();
  testUpdate(argv[2]);
  run(1);

  /* Two threads in one module. */
  float values[2] = {1, 2};
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_create(&threads[i], NULL, runMany, &values[i]) == 0);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_join(threads[i], NULL) == 0);

  CHECK_FAILS(structuredRtSetNumThreads(0), "at least 1");
  CHECK(structuredRtSetNumThreads(3) == 0);
  CHECK(structuredRtGetNumThreads() == 3);

  /* Outputs outlive their module. */
  float x[3] = {1, 2, 3};
  structuredRtTensor input = {STRUCTURED_RT_F32, 2, {1, 3}, x, NULL}, output;
  CHECK(structuredRtEntryRun(module, 0, &input, 1, &output, 1) == 0);
  structuredRtModuleFree(module);
  CHECK(((float *)output.data)[0] == 5);
  structuredRtTensorFree(&output);
  structuredRtModuleFree(NULL);
  structuredRtTensorFree(NULL);
  puts("passed");
  return 0;
}
