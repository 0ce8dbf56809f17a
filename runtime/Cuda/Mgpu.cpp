//===- Mgpu.cpp - What the host code of CUDA modules calls ----------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions that MLIR's `gpu-to-llvm` calls, under its names, and those of
// ours that `--target=cuda` emits; see docs/Runtime.md. All act on the calling
// thread's run; after a failure, and outside of a run, they do nothing and
// return null. Streams and events are no more than tokens here: everything is
// enqueued on the run's stream, in the order of the calls.
//
//===----------------------------------------------------------------------===//

#include "Cuda/CudaRun.h"
#include "structured-runtime.h"

#include <set>

using namespace structured;
using namespace structured::runtime;

#define STRUCTURED_MGPU extern "C" STRUCTURED_RT_EXPORT

//===----------------------------------------------------------------------===//
// Device code
//===----------------------------------------------------------------------===//

// The images that constructors of modules load: before there is a run, while
// the dynamic loader loads the module. Their destructors unload them.
static std::mutex imagesMutex;
static std::set<KernelImage *> &getImages() {
  static auto &images = *new std::set<KernelImage *>;
  return images;
}

static void *loadImage(const void *data, int optimization) {
  if (CudaRun *run = CudaRun::get())
    return &run->program.getImage(data, optimization);
  auto *image = new KernelImage(data, optimization);
  std::lock_guard<std::mutex> lock(imagesMutex);
  getImages().insert(image);
  return image;
}

STRUCTURED_MGPU void *mgpuModuleLoad(void *data, size_t) {
  return loadImage(data, /*optimization=*/-1);
}

STRUCTURED_MGPU void *mgpuModuleLoadJIT(void *data, int32_t optimization) {
  return loadImage(data, optimization);
}

STRUCTURED_MGPU void mgpuModuleUnload(void *module) {
  auto *image = static_cast<KernelImage *>(module);
  {
    // What a run has loaded stays for the next one.
    std::lock_guard<std::mutex> lock(imagesMutex);
    if (!getImages().erase(image))
      return;
  }
  delete image;
}

STRUCTURED_MGPU void *mgpuModuleGetFunction(void *module, const char *name) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return nullptr;
  if (!module) {
    // A constructor of the module hands it over when it is loaded.
    run->note(Error{"kernel '" + std::string(name) +
                    "': the module has not handed over its device code"});
    return nullptr;
  }
  Result<Kernel *> kernel =
      static_cast<KernelImage *>(module)->getKernel(run->context(), name);
  if (kernel)
    return *kernel;
  run->note(Error{kernel.error()});
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

static void launch(void *function, const LaunchConfig &config,
                   void **parameters) {
  CudaRun *run = CudaRun::get();
  if (run && function)
    run->launch(*static_cast<Kernel *>(function), config, parameters);
}

STRUCTURED_MGPU void mgpuLaunchKernel(void *function, intptr_t gridX,
                                      intptr_t gridY, intptr_t gridZ,
                                      intptr_t blockX, intptr_t blockY,
                                      intptr_t blockZ, int32_t sharedMemory,
                                      void * /*stream*/, void **parameters,
                                      void ** /*extra*/, size_t) {
  LaunchConfig config = {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}};
  config.dynamicSharedMemory = sharedMemory;
  launch(function, config, parameters);
}

STRUCTURED_MGPU void mgpuLaunchClusterKernel(
    void *function, intptr_t clusterX, intptr_t clusterY, intptr_t clusterZ,
    intptr_t gridX, intptr_t gridY, intptr_t gridZ, intptr_t blockX,
    intptr_t blockY, intptr_t blockZ, int32_t sharedMemory, void * /*stream*/,
    void **parameters, void ** /*extra*/) {
  LaunchConfig config = {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}};
  config.cluster = {clusterX, clusterY, clusterZ};
  config.dynamicSharedMemory = sharedMemory;
  launch(function, config, parameters);
}

/// As mgpuLaunchKernel, with launch attributes: cluster sizes (0: none) and, in
/// `flags`, 1 for programmatic dependent launch and 2 for a cooperative one.
STRUCTURED_MGPU void structuredCudaLaunch(
    void *function, int64_t gridX, int64_t gridY, int64_t gridZ, int64_t blockX,
    int64_t blockY, int64_t blockZ, int32_t clusterX, int32_t clusterY,
    int32_t clusterZ, int32_t sharedMemory, int32_t flags, void **parameters) {
  LaunchConfig config = {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}};
  config.cluster = {clusterX, clusterY, clusterZ};
  config.dynamicSharedMemory = sharedMemory;
  config.isProgrammatic = flags & 1;
  config.isCooperative = flags & 2;
  launch(function, config, parameters);
}

/// Attributes of the next launch by one of the functions above, in addition to
/// its own: `flags` as for structuredCudaLaunch.
STRUCTURED_MGPU void structuredCudaNextLaunch(int32_t flags) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return;
  run->isNextProgrammatic = flags & 1;
  run->isNextCooperative = flags & 2;
}

/// `bytes` (a multiple of 4) of memory of the entry, zeroed before the first
/// run, that keep their contents from run to run, for a kernel. Each such
/// kernel of an entry has a `number` of its own. If it has `blocks` blocks that
/// must run at the same time, it is an error if the device has fewer
/// multiprocessors, and runs and graphs that call this take turns on their
/// device; otherwise `blocks` is 0.
STRUCTURED_MGPU void *structuredCudaScratch(int64_t number, int64_t bytes,
                                            int32_t blocks) {
  CudaRun *run = CudaRun::get();
  return run ? run->getScratch(number, bytes, blocks) : nullptr;
}

/// The number of multiprocessors of the run's device, for persistent grids.
STRUCTURED_MGPU int32_t structuredCudaMultiprocessorCount(void) {
  CudaRun *run = CudaRun::get();
  return run ? run->context().multiprocessorCount : 0;
}

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

STRUCTURED_MGPU void *mgpuStreamCreate(void) {
  CudaRun *run = CudaRun::get();
  return run ? run->stream : nullptr;
}

STRUCTURED_MGPU void mgpuStreamDestroy(void *) {}
STRUCTURED_MGPU void mgpuStreamSynchronize(void *) {}
STRUCTURED_MGPU void mgpuStreamWaitEvent(void *, void *) {}
STRUCTURED_MGPU void *mgpuEventCreate(void) { return nullptr; }
STRUCTURED_MGPU void mgpuEventDestroy(void *) {}
STRUCTURED_MGPU void mgpuEventSynchronize(void *) {}
STRUCTURED_MGPU void mgpuEventRecord(void *, void *) {}

/// Who loads a module chooses its device.
STRUCTURED_MGPU void mgpuSetDefaultDevice(int32_t) {}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

STRUCTURED_MGPU void *mgpuMemAlloc(uint64_t bytes, void * /*stream*/,
                                   bool isHostShared) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return nullptr;
  Result<void *> block =
      isHostShared ? Result<void *>(Error{"memory that host and device share "
                                          "is not supported"})
                   : run->arena.allocate(bytes, !run->isCapturing);
  if (block)
    return *block;
  run->note(Error{block.error()});
  return nullptr;
}

STRUCTURED_MGPU void mgpuMemFree(void *block, void * /*stream*/) {
  CudaRun *run = CudaRun::get();
  if (run && block && !run->arena.free(block))
    run->note(Error{"the module frees memory that it did not allocate"});
}

STRUCTURED_MGPU void mgpuMemcpy(void *target, void *source, size_t bytes,
                                void * /*stream*/) {
  CudaRun *run = CudaRun::get();
  if (run && bytes)
    run->note(
        run->context().api.cuMemcpyAsync(target, source, bytes, run->stream),
        "a copy of " + std::to_string(bytes) + " bytes");
}

STRUCTURED_MGPU void mgpuMemset32(void *target, uint32_t value, size_t count,
                                  void * /*stream*/) {
  CudaRun *run = CudaRun::get();
  if (run && count)
    run->note(
        run->context().api.cuMemsetD32Async(target, value, count, run->stream),
        "setting " + std::to_string(count) + " words of 32 bits");
}

STRUCTURED_MGPU void mgpuMemset16(void *target, uint16_t value, size_t count,
                                  void * /*stream*/) {
  CudaRun *run = CudaRun::get();
  if (run && count)
    run->note(
        run->context().api.cuMemsetD16Async(target, value, count, run->stream),
        "setting " + std::to_string(count) + " words of 16 bits");
}

STRUCTURED_MGPU void mgpuMemHostRegisterMemRef(int64_t rank, void *descriptor,
                                               int64_t elementSize) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return;
  MemRef memref(static_cast<const int64_t *>(descriptor), rank, elementSize);
  run->note(run->context().api.cuMemHostRegister(
                memref.data, memref.getSpanBytes(), /*flags=*/0),
            "cuMemHostRegister");
}

STRUCTURED_MGPU void mgpuMemHostUnregisterMemRef(int64_t rank, void *descriptor,
                                                 int64_t elementSize) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return;
  MemRef memref(static_cast<const int64_t *>(descriptor), rank, elementSize);
  run->note(run->context().api.cuMemHostUnregister(memref.data),
            "cuMemHostUnregister");
}

//===----------------------------------------------------------------------===//
// Descriptors for the TMA
//===----------------------------------------------------------------------===//

static void *encode(CudaRun &run, const TensorMapRequest &request) {
  Result<void *> map =
      run.tensorMaps.get(request, run.stream, !run.isCapturing);
  if (map)
    return *map;
  run.note(Error{map.error()});
  return nullptr;
}

STRUCTURED_MGPU void *mgpuTensorMapEncodeTiledMemref(
    int64_t rank, void *descriptor, int64_t dataType, int64_t interleave,
    int64_t swizzle, int64_t l2Promotion, int64_t oobFill, int64_t *box) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return nullptr;
  TensorMapRequest request;
  request.dataType = dataType;
  request.rank = rank;
  request.interleave = interleave;
  request.swizzle = swizzle;
  request.l2Promotion = l2Promotion;
  request.oobFill = oobFill;
  if (rank >= 1 && rank <= TensorMapRequest::maxRank) {
    int64_t elementSize = getTensorMapElementSize(dataType);
    MemRef memref(static_cast<const int64_t *>(descriptor), rank, elementSize);
    request.address = memref.data;
    // The memref's last dimension is the innermost one.
    for (int64_t i = 0; i < rank; ++i) {
      request.sizes[i] = memref.sizes[rank - 1 - i];
      request.box[i] = box[rank - 1 - i];
      if (i + 1 < rank)
        request.strides[i] = memref.strides[rank - 2 - i] * elementSize;
    }
  }
  return encode(*run, request);
}

/// The CUtensorMapDataType of a structuredRtDType; -1 if there is none.
static int64_t getTensorMapDataType(int32_t dtype) {
  // f64 f32 f16 bf16 i64 i32 i16 (as U16) i8 (as U8) u8 i1 (as U8)
  static constexpr int64_t types[] = {8, 7, 6, 9, 5, 3, 1, 0, 0, 0};
  return dtype >= 0 && dtype < int64_t(std::size(types)) ? types[dtype] : -1;
}

/// The rest of a request is `rank` and what follows from it.
static void *encodeTensor(void *base, int32_t dtype, int32_t swizzle,
                          TensorMapRequest request) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return nullptr;
  request.address = base;
  request.dataType = getTensorMapDataType(dtype);
  request.swizzle = swizzle;
  request.l2Promotion = 2; // 128 bytes
  return encode(*run, request);
}

/// The descriptor of a 3-D tensor, in device memory, encoded once for the same
/// arguments. Sizes and box in elements, innermost first; the strides of the
/// dimensions after the first in bytes; `dtype` a structuredRtDType; `swizzle`
/// 0 for none, 1, 2, 3 for 32, 64, 128 bytes. Elements out of bounds are read
/// as zeros and not written.
STRUCTURED_MGPU void *structuredCudaTensorMap3D(void *base, int32_t dtype,
                                                int64_t size0, int64_t size1,
                                                int64_t size2, int64_t stride1,
                                                int64_t stride2, int32_t box0,
                                                int32_t box1, int32_t box2,
                                                int32_t swizzle) {
  TensorMapRequest request;
  request.rank = 3;
  request.sizes = {size0, size1, size2};
  request.strides = {stride1, stride2};
  request.box = {box0, box1, box2};
  return encodeTensor(base, dtype, swizzle, request);
}

/// The same of a 4-D tensor.
STRUCTURED_MGPU void *structuredCudaTensorMap4D(
    void *base, int32_t dtype, int64_t size0, int64_t size1, int64_t size2,
    int64_t size3, int64_t stride1, int64_t stride2, int64_t stride3,
    int32_t box0, int32_t box1, int32_t box2, int32_t box3, int32_t swizzle) {
  TensorMapRequest request;
  request.rank = 4;
  request.sizes = {size0, size1, size2, size3};
  request.strides = {stride1, stride2, stride3};
  request.box = {box0, box1, box2, box3};
  return encodeTensor(base, dtype, swizzle, request);
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// For each b of the batch D[b] = act(alpha · op(A[b]) · op(B[b]) + beta · C[b]
/// + bias), row-major: D is m × n, op(A) m × k, op(B) k × n, where op
/// transposes if `transA` or `transB` is not 0, so that A is k × m and B n × k
/// in memory. Leading dimensions and the strides from one matrix of the batch
/// to the next in elements; a stride of 0 shares the matrix. `c` may be null if
/// beta is 0, and may be `d`; `bias`, over n, may be null. The dtypes are
/// structuredRtDTypes; sums are in f32 (f64 for f64). Activation: 0 none, 1
/// ReLU, 2 GELU by tanh.
STRUCTURED_MGPU void structuredCudaMatmul(
    void *a, void *b, void *c, void *d, void *bias, int64_t batch, int64_t m,
    int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc, int64_t ldd,
    int64_t strideA, int64_t strideB, int64_t strideC, int64_t strideD,
    int64_t strideBias, int32_t transA, int32_t transB, int32_t dtypeAB,
    int32_t dtypeCD, float alpha, float beta, int32_t activation) {
  CudaRun *run = CudaRun::get();
  if (!run)
    return;
  MatmulRequest request = {{a, lda, strideA},
                           {b, ldb, strideB},
                           {c, ldc, strideC},
                           {d, ldd, strideD},
                           bias,
                           strideBias,
                           batch,
                           m,
                           n,
                           k,
                           transA != 0,
                           transB != 0,
                           dtypeAB,
                           dtypeCD,
                           alpha,
                           beta,
                           activation};
  run->note(
      run->matmuls.run(request, run->arena, run->stream, !run->isCapturing));
}
