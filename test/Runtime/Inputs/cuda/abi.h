// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// What the host code of a CUDA module calls (docs/Runtime.md), for modules by
// hand.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mgpuModuleLoad(void *blob, size_t bytes);
void *mgpuModuleLoadJIT(void *ptx, int32_t optimization);
void mgpuModuleUnload(void *module);
void *mgpuModuleGetFunction(void *module, const char *name);
void mgpuLaunchKernel(void *function, intptr_t gx, intptr_t gy, intptr_t gz,
                      intptr_t bx, intptr_t by, intptr_t bz, int32_t smem,
                      void *stream, void **params, void **extra,
                      size_t numParams);
void mgpuLaunchClusterKernel(void *function, intptr_t cx, intptr_t cy,
                             intptr_t cz, intptr_t gx, intptr_t gy, intptr_t gz,
                             intptr_t bx, intptr_t by, intptr_t bz,
                             int32_t smem, void *stream, void **params,
                             void **extra);
void *mgpuStreamCreate(void);
void mgpuStreamDestroy(void *stream);
void mgpuStreamSynchronize(void *stream);
void mgpuStreamWaitEvent(void *stream, void *event);
void *mgpuEventCreate(void);
void mgpuEventDestroy(void *event);
void mgpuEventSynchronize(void *event);
void mgpuEventRecord(void *event, void *stream);
void *mgpuMemAlloc(uint64_t bytes, void *stream, bool hostShared);
void mgpuMemFree(void *data, void *stream);
void mgpuMemcpy(void *target, void *source, size_t bytes, void *stream);
void mgpuMemset32(void *target, uint32_t value, size_t count, void *stream);
void mgpuMemset16(void *target, uint16_t value, size_t count, void *stream);
void mgpuMemHostRegisterMemRef(int64_t rank, void *descriptor,
                               int64_t elementSize);
void mgpuMemHostUnregisterMemRef(int64_t rank, void *descriptor,
                                 int64_t elementSize);
void mgpuSetDefaultDevice(int32_t device);
void *mgpuTensorMapEncodeTiledMemref(int64_t rank, void *descriptor,
                                     int64_t dataType, int64_t interleave,
                                     int64_t swizzle, int64_t l2Promotion,
                                     int64_t oobFill, int64_t *box);

void *structuredCudaTensorMap3D(void *base, int32_t dtype, int64_t size0,
                                int64_t size1, int64_t size2, int64_t stride1,
                                int64_t stride2, int32_t box0, int32_t box1,
                                int32_t box2, int32_t swizzle);
void *structuredCudaTensorMap4D(void *base, int32_t dtype, int64_t size0,
                                int64_t size1, int64_t size2, int64_t size3,
                                int64_t stride1, int64_t stride2,
                                int64_t stride3, int32_t box0, int32_t box1,
                                int32_t box2, int32_t box3, int32_t swizzle);
void structuredCudaMatmul(void *a, void *b, void *c, void *d, void *bias,
                          int64_t batch, int64_t m, int64_t n, int64_t k,
                          int64_t lda, int64_t ldb, int64_t ldc, int64_t ldd,
                          int64_t strideA, int64_t strideB, int64_t strideC,
                          int64_t strideD, int64_t strideBias, int32_t transA,
                          int32_t transB, int32_t dtypeAB, int32_t dtypeCD,
                          float alpha, float beta, int32_t activation);
void structuredCudaLaunch(void *function, int64_t gx, int64_t gy, int64_t gz,
                          int64_t bx, int64_t by, int64_t bz, int32_t cx,
                          int32_t cy, int32_t cz, int32_t dynamicSmem,
                          int32_t flags, void **params);
void structuredCudaNextLaunch(int32_t flags);
void *structuredCudaScratch(int64_t number, int64_t bytes, int32_t blocks);
int32_t structuredCudaMultiprocessorCount(void);
