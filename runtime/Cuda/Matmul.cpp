//===- Matmul.cpp - Matrix products through cuBLASLt ----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/Matmul.h"

#include "structured-runtime.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>

namespace structured::runtime {

static std::atomic<bool> isTuning = false;

void setMatmulTuning(bool enabled) { isTuning = enabled; }

/// What an algorithm may use; as much as NVIDIA recommends for Hopper.
static constexpr uint64_t maxWorkspace = uint64_t(32) << 20;
/// How many algorithms are timed, and how often each one.
static constexpr int maxCandidates = 8;
static constexpr int numTimedRuns = 5;
/// What an algorithm that is taken instead of cuBLASLt's own choice must gain:
/// a part of the latter's time, and milliseconds. Less is noise.
static constexpr float minGain = 0.01f, minGainMs = 0.00025f;
/// What is written before each of them, more than an L2 cache holds: in a model
/// the operands have not just been read.
static constexpr size_t flushedBytes = size_t(128) << 20;

/// The type's cudaDataType_t; -1 if products of it are not supported.
static int getDataType(int32_t dtype) {
  switch (dtype) {
  case STRUCTURED_RT_F64:
    return CUDA_R_64F;
  case STRUCTURED_RT_F32:
    return CUDA_R_32F;
  case STRUCTURED_RT_F16:
    return CUDA_R_16F;
  case STRUCTURED_RT_BF16:
    return CUDA_R_16BF;
  default:
    return -1;
  }
}

static Result<cublasLtHandle_t> getHandle(const CudaContext &context,
                                          const CublasLt &library) {
  static std::mutex mutex;
  static auto &handles = *new std::map<const CudaContext *, cublasLtHandle_t>;
  std::lock_guard<std::mutex> lock(mutex);
  cublasLtHandle_t &handle = handles[&context];
  if (!handle)
    if (auto ok =
            library.check(library.cublasLtCreate(&handle), "cublasLtCreate");
        !ok)
      return Error{ok.error()};
  return handle;
}

/// The largest power of two, at most 256, that divides the address of each
/// matrix of the batch.
static int64_t getAlignment(const BatchedMatrix &matrix, int64_t batch,
                            int64_t elementSize) {
  uint64_t bits = reinterpret_cast<uintptr_t>(matrix.data) | 256;
  if (batch > 1)
    bits |= static_cast<uint64_t>(matrix.batchStride * elementSize);
  return static_cast<int64_t>(bits & -bits);
}

static Result<void> checkRequest(const MatmulRequest &r) {
  if (r.batch < 0 || r.m < 0 || r.n < 0 || r.k < 1)
    return Error{"the sizes must be positive"};
  if (getDataType(r.dtypeAB) < 0 || getDataType(r.dtypeCD) < 0 ||
      (r.dtypeAB == STRUCTURED_RT_F64) != (r.dtypeCD == STRUCTURED_RT_F64))
    return Error{"the dtypes must be f32, f16 or bf16, or all f64"};
  if (r.activation < 0 || r.activation > 2)
    return Error{"activation " + std::to_string(r.activation) +
                 " is not 0 (none), 1 (ReLU) or 2 (GELU)"};
  struct {
    char name;
    int64_t columns;
    const BatchedMatrix &matrix;
  } matrices[] = {{'A', r.transA ? r.m : r.k, r.a},
                  {'B', r.transB ? r.k : r.n, r.b},
                  {'C', r.n, r.c},
                  {'D', r.n, r.d}};
  for (const auto &[name, columns, matrix] : matrices) {
    if (!matrix.data)
      return Error{std::string(1, name) + " is null"};
    if (matrix.leadingDimension < columns)
      return Error{"the leading dimension of " + std::string(1, name) + " is " +
                   std::to_string(matrix.leadingDimension) + ", a row has " +
                   std::to_string(columns) + " elements"};
  }
  return {};
}

Matmuls::~Matmuls() {
  for (auto &[key, plan] : plans)
    destroy(plan);
}

void Matmuls::destroy(Plan &plan) const {
  if (plan.desc)
    library->cublasLtMatmulDescDestroy(plan.desc);
  for (cublasLtMatrixLayout_t layout : plan.layouts)
    if (layout)
      library->cublasLtMatrixLayoutDestroy(layout);
}

Result<void> Matmuls::describe(const MatmulRequest &r, Plan &plan) const {
  int typeAB = getDataType(r.dtypeAB), typeCD = getDataType(r.dtypeCD);
  bool isDouble = typeAB == CUDA_R_64F;
  cublasStatus_t status = library->cublasLtMatmulDescCreate(
      &plan.desc, isDouble ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
      isDouble ? CUDA_R_64F : CUDA_R_32F);
  auto set = [&](int attribute, auto value) {
    if (status == 0)
      status = library->cublasLtMatmulDescSetAttribute(plan.desc, attribute,
                                                       &value, sizeof(value));
  };
  // A row-major matrix is the transpose of a column-major one, so
  // Dᵀ = op(B)ᵀ · op(A)ᵀ is what cuBLASLt computes.
  set(CUBLASLT_MATMUL_DESC_TRANSA,
      int32_t(r.transB ? CUBLAS_OP_T : CUBLAS_OP_N));
  set(CUBLASLT_MATMUL_DESC_TRANSB,
      int32_t(r.transA ? CUBLAS_OP_T : CUBLAS_OP_N));
  uint32_t epilogue = r.activation == 1   ? CUBLASLT_EPILOGUE_RELU
                      : r.activation == 2 ? CUBLASLT_EPILOGUE_GELU
                                          : 0;
  if (r.bias)
    epilogue |= CUBLASLT_EPILOGUE_BIAS;
  set(CUBLASLT_MATMUL_DESC_EPILOGUE,
      epilogue ? epilogue : uint32_t(CUBLASLT_EPILOGUE_DEFAULT));
  if (r.bias)
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, r.bias);
  if (r.bias && r.biasStride != 0)
    set(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, r.biasStride);

  struct {
    int type;
    int64_t rows, columns;
    const BatchedMatrix &matrix;
  } layouts[] = {
      {typeAB, r.transB ? r.k : r.n, r.transB ? r.n : r.k, r.b},
      {typeAB, r.transA ? r.m : r.k, r.transA ? r.k : r.m, r.a},
      {typeCD, r.n, r.m, r.c},
      {typeCD, r.n, r.m, r.d},
  };
  for (size_t i = 0; i < plan.layouts.size() && status == 0; ++i) {
    const auto &[type, rows, columns, matrix] = layouts[i];
    cublasLtMatrixLayout_t &layout = plan.layouts[i];
    status = library->cublasLtMatrixLayoutCreate(&layout, type, rows, columns,
                                                 matrix.leadingDimension);
    auto count = static_cast<int32_t>(r.batch);
    if (status == 0)
      status = library->cublasLtMatrixLayoutSetAttribute(
          layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count));
    if (status == 0)
      status = library->cublasLtMatrixLayoutSetAttribute(
          layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
          &matrix.batchStride, sizeof(matrix.batchStride));
  }
  return library->check(status, "its description for cuBLASLt");
}

Result<void> Matmuls::choose(const MatmulRequest &r, Plan &plan, Arena &arena,
                             CUstream stream) const {
  auto sizeAB = structuredRtDTypeGetSize(r.dtypeAB);
  auto sizeCD = structuredRtDTypeGetSize(r.dtypeCD);
  cublasLtMatmulPreference_t preference = nullptr;
  cublasStatus_t status = library->cublasLtMatmulPreferenceCreate(&preference);
  auto set = [&](int attribute, auto value) {
    if (status == 0)
      status = library->cublasLtMatmulPreferenceSetAttribute(
          preference, attribute, &value, sizeof(value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, maxWorkspace);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
      uint32_t(getAlignment(r.b, r.batch, sizeAB)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      uint32_t(getAlignment(r.a, r.batch, sizeAB)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
      uint32_t(getAlignment(r.c, r.batch, sizeCD)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
      uint32_t(getAlignment(r.d, r.batch, sizeCD)));

  int numFound = 0;
  std::vector<cublasLtMatmulHeuristicResult_t> found(isTuning ? maxCandidates
                                                              : 1);
  if (status == 0)
    status = library->cublasLtMatmulAlgoGetHeuristic(
        handle, plan.desc, plan.layouts[0], plan.layouts[1], plan.layouts[2],
        plan.layouts[3], preference, static_cast<int>(found.size()),
        found.data(), &numFound);
  if (preference)
    library->cublasLtMatmulPreferenceDestroy(preference);
  if (auto ok = library->check(status, "cublasLtMatmulAlgoGetHeuristic"); !ok)
    return ok;
  found.resize(numFound);
  found.erase(std::remove_if(found.begin(), found.end(),
                             [](const auto &result) { return result.state; }),
              found.end());
  if (found.empty())
    return Error{"cuBLASLt has no algorithm for it"};
  plan.algo = found[0].algo;
  plan.workspaceSize = found[0].workspaceSize;
  return found.size() > 1 ? tune(r, plan, found, arena, stream)
                          : Result<void>();
}

/// Times the algorithms on the request's own data and keeps the fastest one, if
/// it is clearly faster than the first.
Result<void>
Matmuls::tune(const MatmulRequest &r, Plan &plan,
              const std::vector<cublasLtMatmulHeuristicResult_t> &found,
              Arena &arena, CUstream stream) const {
  const CudaApi &cuda = context.api;
  // A product that adds to D may be computed into D only once.
  void *d = const_cast<void *>(r.d.data), *scratch = nullptr;
  if (r.beta != 0 && r.c.data == r.d.data) {
    Result<void *> block = arena.allocate(
        ((r.batch - 1) * r.d.batchStride + r.m * r.d.leadingDimension) *
            structuredRtDTypeGetSize(r.dtypeCD),
        /*mayGrow=*/true);
    if (!block)
      return Error{block.error()};
    d = scratch = *block;
  }
  CUevent start = nullptr, end = nullptr;
  CUresult result = cuda.cuEventCreate(&start, CU_EVENT_DEFAULT);
  if (result == CUDA_SUCCESS)
    result = cuda.cuEventCreate(&end, CU_EVENT_DEFAULT);
  // Without room for it the cache is left as it is.
  void *flushed = nullptr;
  if (cuda.cuMemAlloc(&flushed, flushedBytes) != CUDA_SUCCESS)
    flushed = nullptr;
  struct Candidate {
    Plan plan;
    bool works;
    float time = std::numeric_limits<float>::infinity();
  };
  std::vector<Candidate> candidates;
  for (const cublasLtMatmulHeuristicResult_t &algorithm : found) {
    Candidate candidate{plan, true};
    candidate.plan.algo = algorithm.algo;
    candidate.plan.workspaceSize = algorithm.workspaceSize;
    // The first run may load the algorithm's code; one that cannot run at all
    // is no candidate.
    candidate.works =
        bool(enqueue(r, candidate.plan, d, arena, stream, /*mayGrow=*/true));
    candidates.push_back(candidate);
  }
  // By turns, so that what disturbs one run does not decide.
  for (int i = 0; i < numTimedRuns; ++i)
    for (Candidate &candidate : candidates) {
      if (!candidate.works || result != CUDA_SUCCESS)
        continue;
      if (flushed)
        result = cuda.cuMemsetD32Async(flushed, 0, flushedBytes / 4, stream);
      if (result == CUDA_SUCCESS)
        result = cuda.cuEventRecord(start, stream);
      candidate.works =
          bool(enqueue(r, candidate.plan, d, arena, stream, /*mayGrow=*/true));
      float time = 0;
      if (result == CUDA_SUCCESS)
        result = cuda.cuEventRecord(end, stream);
      if (result == CUDA_SUCCESS)
        result = cuda.cuEventSynchronize(end);
      if (result == CUDA_SUCCESS)
        result = cuda.cuEventElapsedTime(&time, start, end);
      candidate.time = std::min(candidate.time, time);
    }
  // `plan` is that of the first one.
  float best = std::numeric_limits<float>::infinity();
  if (candidates.front().works)
    best = (1 - minGain) * candidates.front().time - minGainMs;
  for (const Candidate &candidate : candidates)
    if (candidate.works && candidate.time < best) {
      best = candidate.time;
      plan = candidate.plan;
    }
  if (flushed)
    cuda.cuMemFree(flushed);
  if (start)
    cuda.cuEventDestroy(start);
  if (end)
    cuda.cuEventDestroy(end);
  if (scratch)
    arena.free(scratch);
  return cuda.check(result, "timing the algorithms");
}

Result<void> Matmuls::enqueue(const MatmulRequest &r, const Plan &plan, void *d,
                              Arena &arena, CUstream stream,
                              bool mayGrow) const {
  void *workspace = nullptr;
  if (plan.workspaceSize) {
    Result<void *> block = arena.allocate(plan.workspaceSize, mayGrow);
    if (!block)
      return Error{block.error()};
    workspace = *block;
  }
  double doubles[] = {r.alpha, r.beta};
  bool isDouble = r.dtypeCD == STRUCTURED_RT_F64;
  cublasStatus_t status = library->cublasLtMatmul(
      handle, plan.desc,
      isDouble ? static_cast<const void *>(&doubles[0]) : &r.alpha, r.b.data,
      plan.layouts[0], r.a.data, plan.layouts[1],
      isDouble ? static_cast<const void *>(&doubles[1]) : &r.beta, r.c.data,
      plan.layouts[2], d, plan.layouts[3], &plan.algo, workspace,
      plan.workspaceSize, stream);
  if (workspace)
    arena.free(workspace);
  return library->check(status, "cublasLtMatmul");
}

Result<void> Matmuls::run(const MatmulRequest &given, Arena &arena,
                          CUstream stream, bool mayBeNew) {
  MatmulRequest r = given;
  if (!r.c.data && r.beta == 0)
    r.c = r.d;
  auto fail = [&](const std::string &reason) -> Result<void> {
    auto dtype = [](int32_t dtype) {
      const char *name = structuredRtDTypeGetName(dtype);
      return name ? std::string(name) : std::to_string(dtype);
    };
    return Error{"matmul of " + dtype(r.dtypeAB) + " to " + dtype(r.dtypeCD) +
                 ", batch " + std::to_string(r.batch) + ", m " +
                 std::to_string(r.m) + ", n " + std::to_string(r.n) + ", k " +
                 std::to_string(r.k) + ": " + reason};
  };
  if (Result<void> valid = checkRequest(r); !valid)
    return fail(valid.error());
  if (r.batch == 0 || r.m == 0 || r.n == 0)
    return {};
  if (!handle) {
    Result<const CublasLt *> found = CublasLt::get();
    if (!found)
      return fail(found.error());
    library = *found;
    Result<cublasLtHandle_t> created = getHandle(context, *library);
    if (!created)
      return fail(created.error());
    handle = *created;
  }

  auto sizeAB = structuredRtDTypeGetSize(r.dtypeAB);
  auto sizeCD = structuredRtDTypeGetSize(r.dtypeCD);
  BatchedMatrix bias = {r.bias, 0, r.biasStride};
  Key key = {r.batch,
             r.m,
             r.n,
             r.k,
             r.a.leadingDimension,
             r.b.leadingDimension,
             r.c.leadingDimension,
             r.d.leadingDimension,
             r.a.batchStride,
             r.b.batchStride,
             r.c.batchStride,
             r.d.batchStride,
             r.transA,
             r.transB,
             r.dtypeAB,
             r.dtypeCD,
             r.activation,
             r.bias ? getAlignment(bias, r.batch, sizeCD) : 0,
             r.biasStride,
             getAlignment(r.a, r.batch, sizeAB),
             getAlignment(r.b, r.batch, sizeAB),
             getAlignment(r.c, r.batch, sizeCD),
             getAlignment(r.d, r.batch, sizeCD)};
  auto it = plans.find(key);
  if (it == plans.end()) {
    if (!mayBeNew)
      return fail("a captured run needs it, the run before it did not");
    Plan plan;
    Result<void> done = describe(r, plan);
    if (done)
      done = choose(r, plan, arena, stream);
    if (!done) {
      destroy(plan);
      return fail(done.error());
    }
    it = plans.emplace(key, plan).first;
  }
  if (r.bias)
    if (auto ok = library->check(library->cublasLtMatmulDescSetAttribute(
                                     it->second.desc,
                                     CUBLASLT_MATMUL_DESC_BIAS_POINTER, &r.bias,
                                     sizeof(r.bias)),
                                 "its bias");
        !ok)
      return fail(ok.error());
  if (auto ok = enqueue(r, it->second, const_cast<void *>(r.d.data), arena,
                        stream, mayBeNew);
      !ok)
    return fail(ok.error());
  return {};
}

} // namespace structured::runtime
