//===- Matmul.h - Matrix products through cuBLASLt --------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_MATMUL_H
#define STRUCTURED_RUNTIME_CUDA_MATMUL_H

#include "Cuda/Arena.h"
#include "Cuda/CublasLt.h"
#include "Cuda/CudaContext.h"

#include <array>
#include <map>

namespace structured::runtime {

/// One of the matrices of a batch: row-major, leading dimension and distance
/// from one to the next (0: the same one) in elements.
struct BatchedMatrix {
  const void *data;
  int64_t leadingDimension;
  int64_t batchStride;
};

/// D = act(alpha · op(A) · op(B) + beta · C + bias), for each of a batch; see
/// structuredCudaMatmul().
struct MatmulRequest {
  BatchedMatrix a, b, c, d;
  /// Over the columns of D; null: none.
  const void *bias;
  /// Elements from the bias of one matrix of the batch to that of the next.
  int64_t biasStride;
  int64_t batch, m, n, k;
  bool transA, transB;
  /// Of enum structuredRtDType.
  int32_t dtypeAB, dtypeCD;
  float alpha, beta;
  int32_t activation;
};

/// The products that the runs of one entry compute, the algorithm of each one
/// chosen once.
class Matmuls {
public:
  explicit Matmuls(const CudaContext &context) : context(context) {}
  ~Matmuls();
  Matmuls(const Matmuls &) = delete;
  Matmuls &operator=(const Matmuls &) = delete;

  /// Enqueues the product; its workspace is a block of the arena. An error if
  /// its algorithm is still to be chosen and `mayBeNew` is false, as in a
  /// capture.
  Result<void> run(const MatmulRequest &request, Arena &arena, CUstream stream,
                   bool mayBeNew);

private:
  /// Shape, layout, types and the alignment of the addresses.
  using Key = std::array<int64_t, 25>;
  struct Plan {
    cublasLtMatmulDesc_t desc = nullptr;
    /// Of cuBLASLt's A, B, C and D, which are column-major: our B, A, C and D
    /// transposed.
    std::array<cublasLtMatrixLayout_t, 4> layouts = {};
    cublasLtMatmulAlgo_t algo;
    size_t workspaceSize = 0;
  };

  Result<void> describe(const MatmulRequest &request, Plan &plan) const;
  Result<void> choose(const MatmulRequest &request, Plan &plan, Arena &arena,
                      CUstream stream) const;
  Result<void> tune(const MatmulRequest &request, Plan &plan,
                    const std::vector<cublasLtMatmulHeuristicResult_t> &found,
                    Arena &arena, CUstream stream) const;
  Result<void> enqueue(const MatmulRequest &request, const Plan &plan, void *d,
                       Arena &arena, CUstream stream, bool mayGrow) const;
  void destroy(Plan &plan) const;

  const CudaContext &context;
  const CublasLt *library = nullptr;
  cublasLtHandle_t handle = nullptr;
  std::map<Key, Plan> plans;
};

/// Whether new products time the algorithms that cuBLASLt proposes and take the
/// fastest one, instead of the one that it proposes first.
void setMatmulTuning(bool enabled);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_MATMUL_H
