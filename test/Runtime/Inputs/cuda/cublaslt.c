// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// A libcublasLt.so.13 beside the driver of driver.c: products of f32 matrices,
// in column-major order as cuBLASLt's, with bias and activation. It proposes
// two algorithms, both of which compute the same; the second one needs a
// workspace, which it fills with 0xFF. FAKE_CUBLASLT_LOG is a file to which
// calls are appended, FAKE_CUBLASLT_FAIL a function that fails,
// FAKE_CUBLASLT_SECOND what the second algorithm seems to take, in milliseconds,
// where the first takes 0.25.

#include "image.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };

// Of driver.c: enqueues a function as a kernel.
int fakeCudaRun(void *stream, const ImageKernel *kernel, void **parameters);
extern float fakeCudaMilliseconds;

typedef struct {
  int computeType, scaleType;
  int32_t transA, transB;
  uint32_t epilogue;
  const float *bias;
  int64_t biasStride;
} Desc;

typedef struct {
  int type;
  int64_t rows, columns, leading, stride;
  int32_t count;
} Layout;

typedef struct {
  uint64_t workspace;
  uint32_t alignments[4];
} Preference;

typedef struct {
  uint64_t algo[8];
  size_t workspaceSize;
  int state;
  float waves;
  int reserved[4];
} Found;

static int enter(const char *function, const char *text) {
  const char *path = getenv("FAKE_CUBLASLT_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (log) {
    fprintf(log, "%s%s\n", function, text);
    fclose(log);
  }
  const char *fail = getenv("FAKE_CUBLASLT_FAIL");
  return fail && strcmp(fail, function) == 0 ? NOT_SUPPORTED : SUCCESS;
}

const char *cublasLtGetStatusName(int status) {
  return status == NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                 : "CUBLAS_STATUS_INVALID_VALUE";
}

int cublasLtCreate(void **handle) {
  *handle = malloc(1);
  return enter(__func__, "");
}

int cublasLtMatmulDescCreate(Desc **desc, int computeType, int scaleType) {
  *desc = malloc(sizeof(Desc));
  **desc = (Desc){computeType, scaleType, 0, 0, 1, NULL, 0};
  return SUCCESS;
}

int cublasLtMatmulDescDestroy(Desc *desc) {
  free(desc);
  return enter(__func__, "");
}

int cublasLtMatmulDescSetAttribute(Desc *desc, int attribute, const void *value,
                                   size_t bytes) {
  void *field = attribute == 3    ? (void *)&desc->transA
                : attribute == 4  ? (void *)&desc->transB
                : attribute == 7  ? (void *)&desc->epilogue
                : attribute == 8  ? (void *)&desc->bias
                : attribute == 10 ? (void *)&desc->biasStride
                                  : NULL;
  if (!field || bytes != (attribute >= 8 ? 8 : 4))
    return INVALID_VALUE;
  memcpy(field, value, bytes);
  return SUCCESS;
}

int cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows,
                               uint64_t columns, int64_t leading) {
  if (leading < (int64_t)rows)
    return INVALID_VALUE;
  *layout = malloc(sizeof(Layout));
  **layout = (Layout){type, (int64_t)rows, (int64_t)columns, leading, 0, 1};
  return SUCCESS;
}

int cublasLtMatrixLayoutDestroy(Layout *layout) {
  free(layout);
  return SUCCESS;
}

int cublasLtMatrixLayoutSetAttribute(Layout *layout, int attribute,
                                     const void *value, size_t bytes) {
  if (attribute == 5 && bytes == 4)
    memcpy(&layout->count, value, 4);
  else if (attribute == 6 && bytes == 8)
    memcpy(&layout->stride, value, 8);
  else
    return INVALID_VALUE;
  return SUCCESS;
}

int cublasLtMatmulPreferenceCreate(Preference **preference) {
  *preference = calloc(1, sizeof(Preference));
  return SUCCESS;
}

int cublasLtMatmulPreferenceDestroy(Preference *preference) {
  free(preference);
  return SUCCESS;
}

int cublasLtMatmulPreferenceSetAttribute(Preference *preference, int attribute,
                                         const void *value, size_t bytes) {
  if (attribute == 1 && bytes == 8)
    memcpy(&preference->workspace, value, 8);
  else if (attribute >= 5 && attribute <= 8 && bytes == 4)
    memcpy(&preference->alignments[attribute - 5], value, 4);
  else
    return INVALID_VALUE;
  return SUCCESS;
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, Desc *desc, Layout *a,
                                   Layout *b, Layout *c, Layout *d,
                                   Preference *preference, int requested,
                                   Found *found, int *count) {
  (void)handle, (void)a, (void)b, (void)c, (void)d, (void)desc;
  char text[128];
  snprintf(text, sizeof(text), " alignments %u %u %u %u",
           preference->alignments[0], preference->alignments[1],
           preference->alignments[2], preference->alignments[3]);
  int status = enter(__func__, text);
  *count = requested < 2 ? requested : 2;
  for (int i = 0; i < *count; ++i)
    found[i] = (Found){{(uint64_t)i + 1}, i ? 1024 : 0, 0, 1, {0}};
  return status;
}

typedef struct Product {
  Desc desc;
  Layout a, b, c, d;
  float alpha, beta;
  const float *aData, *bData, *cData;
  float *dData;
  void *workspace;
  struct Product *next;
} Product;
static Product *products; /* kept: a graph may run them again */

static void multiply(const Launch *launch, void **parameters) {
  (void)launch;
  Product *p = *(Product **)parameters[0];
  if (p->workspace)
    memset(p->workspace, 0xFF, 1024);
  int64_t m = p->d.rows, n = p->d.columns;
  int64_t k = p->desc.transA ? p->a.rows : p->a.columns;
  for (int32_t s = 0; s < p->d.count; ++s)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < m; ++i) {
        const float *a = p->aData + s * p->a.stride;
        const float *b = p->bData + s * p->b.stride;
        float sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum +=
              a[p->desc.transA ? l + i * p->a.leading : i + l * p->a.leading] *
              b[p->desc.transB ? j + l * p->b.leading : l + j * p->b.leading];
        sum *= p->alpha;
        if (p->beta != 0)
          sum += p->beta * p->cData[s * p->c.stride + i + j * p->c.leading];
        if (p->desc.epilogue & 4)
          sum += p->desc.bias[s * p->desc.biasStride + i];
        if (p->desc.epilogue & 2)
          sum = sum > 0 ? sum : 0;
        if (p->desc.epilogue & 32)
          sum =
              0.5f * sum *
              (1 + tanhf(0.7978845608f * (sum + 0.044715f * sum * sum * sum)));
        p->dData[s * p->d.stride + i + j * p->d.leading] = sum;
      }
}

int cublasLtMatmul(void *handle, Desc *desc, const float *alpha, const void *a,
                   Layout *aLayout, const void *b, Layout *bLayout,
                   const float *beta, const void *c, Layout *cLayout, void *d,
                   Layout *dLayout, const uint64_t *algo, void *workspace,
                   size_t workspaceSize, void *stream) {
  (void)handle;
  int64_t k = desc->transA ? aLayout->rows : aLayout->columns;
  int64_t m = desc->transA ? aLayout->columns : aLayout->rows;
  if (k != (desc->transB ? bLayout->columns : bLayout->rows) ||
      m != dLayout->rows ||
      dLayout->columns != (desc->transB ? bLayout->rows : bLayout->columns) ||
      cLayout->rows != dLayout->rows || cLayout->columns != dLayout->columns ||
      aLayout->type || dLayout->type || desc->computeType != 68 ||
      (*algo == 2) != (workspaceSize == 1024 && workspace))
    return INVALID_VALUE;
  Product *product = malloc(sizeof(Product));
  *product =
      (Product){*desc, *aLayout, *bLayout, *cLayout, *dLayout,  *alpha,  *beta,
                a,     b,        c,        d,        workspace, products};
  products = product;
  static const ImageKernel kernel = {"multiply", multiply, 1};
  fakeCudaRun(stream, &kernel, (void *[]){&product});
  const char *second = getenv("FAKE_CUBLASLT_SECOND");
  fakeCudaMilliseconds = *algo == 2 && second ? strtof(second, NULL) : 0.25f;
  char text[32];
  snprintf(text, sizeof(text), " algorithm %d", (int)*algo);
  return enter(__func__, text);
}
