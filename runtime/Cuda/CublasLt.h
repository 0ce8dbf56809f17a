//===- CublasLt.h - cuBLASLt, loaded at run time ----------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions and numbers of cuBLASLt that the runtime uses, declared here
// from its documentation, as those of the driver are in CudaApi.h.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_CUBLASLT_H
#define STRUCTURED_RUNTIME_CUDA_CUBLASLT_H

#include "Cuda/CudaApi.h"

namespace structured::runtime {

using cublasStatus_t = int;
using cublasLtHandle_t = struct cublasLtContext *;
using cublasLtMatmulDesc_t = struct cublasLtMatmulDescOpaque_t *;
using cublasLtMatrixLayout_t = struct cublasLtMatrixLayoutOpaque_t *;
using cublasLtMatmulPreference_t = struct cublasLtMatmulPreferenceOpaque_t *;

enum : int {
  // cudaDataType_t
  CUDA_R_32F = 0,
  CUDA_R_64F = 1,
  CUDA_R_16F = 2,
  CUDA_R_16BF = 14,
  // cublasComputeType_t
  CUBLAS_COMPUTE_32F = 68,
  CUBLAS_COMPUTE_64F = 70,
  // cublasOperation_t
  CUBLAS_OP_N = 0,
  CUBLAS_OP_T = 1,
  // cublasLtMatrixLayoutAttribute_t
  CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT = 5,
  CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET = 6,
  // cublasLtMatmulDescAttributes_t
  CUBLASLT_MATMUL_DESC_TRANSA = 3,
  CUBLASLT_MATMUL_DESC_TRANSB = 4,
  CUBLASLT_MATMUL_DESC_EPILOGUE = 7,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8,
  CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE = 10,
  // cublasLtEpilogue_t
  CUBLASLT_EPILOGUE_DEFAULT = 1,
  CUBLASLT_EPILOGUE_RELU = 2,
  CUBLASLT_EPILOGUE_BIAS = 4,
  CUBLASLT_EPILOGUE_GELU = 32,
  // cublasLtMatmulPreferenceAttributes_t
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8
};

struct cublasLtMatmulAlgo_t {
  uint64_t data[8];
};

struct cublasLtMatmulHeuristicResult_t {
  cublasLtMatmulAlgo_t algo;
  size_t workspaceSize;
  cublasStatus_t state;
  float wavesCount;
  int reserved[4];
};

#define STRUCTURED_CUBLASLT_FUNCTIONS(X)                                       \
  X(cublasLtCreate, (cublasLtHandle_t * handle))                               \
  X(cublasLtMatmulDescCreate,                                                  \
    (cublasLtMatmulDesc_t * desc, int computeType, int scaleType))             \
  X(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t desc))                    \
  X(cublasLtMatmulDescSetAttribute, (cublasLtMatmulDesc_t desc, int attribute, \
                                     const void *value, size_t bytes))         \
  X(cublasLtMatrixLayoutCreate,                                                \
    (cublasLtMatrixLayout_t * layout, int type, uint64_t rows,                 \
     uint64_t columns, int64_t leadingDimension))                              \
  X(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout))              \
  X(cublasLtMatrixLayoutSetAttribute,                                          \
    (cublasLtMatrixLayout_t layout, int attribute, const void *value,          \
     size_t bytes))                                                            \
  X(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t * preference)) \
  X(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference))  \
  X(cublasLtMatmulPreferenceSetAttribute,                                      \
    (cublasLtMatmulPreference_t preference, int attribute, const void *value,  \
     size_t bytes))                                                            \
  X(cublasLtMatmulAlgoGetHeuristic,                                            \
    (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,                       \
     cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,                       \
     cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,                       \
     cublasLtMatmulPreference_t preference, int numRequested,                  \
     cublasLtMatmulHeuristicResult_t *results, int *numResults))               \
  X(cublasLtMatmul,                                                            \
    (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,    \
     const void *a, cublasLtMatrixLayout_t aLayout, const void *b,             \
     cublasLtMatrixLayout_t bLayout, const void *beta, const void *c,          \
     cublasLtMatrixLayout_t cLayout, void *d, cublasLtMatrixLayout_t dLayout,  \
     const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspaceSize,  \
     CUstream stream))

/// cuBLASLt's functions.
struct CublasLt {
#define STRUCTURED_CUBLASLT_MEMBER(name, parameters)                           \
  cublasStatus_t(*name) parameters;
  STRUCTURED_CUBLASLT_FUNCTIONS(STRUCTURED_CUBLASLT_MEMBER)
#undef STRUCTURED_CUBLASLT_MEMBER
  const char *(*cublasLtGetStatusName)(cublasStatus_t status);

  /// Loads libcublasLt.so.13 or .12, once in the process; a failure is
  /// remembered too.
  static Result<const CublasLt *> get();

  /// Success, or "<what>: CUBLAS_STATUS_NOT_SUPPORTED".
  Result<void> check(cublasStatus_t status, const std::string &what) const;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_CUBLASLT_H
