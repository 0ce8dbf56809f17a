// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Pipelines/Cuda.h"

#include "Shared.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include <limits>

using namespace mlir;
using namespace structured;

/// Alignment of device buffers: a tensor map's and cuBLAS's best.
static constexpr int64_t kBufferAlignment = 256;

/// Whether the kernels of Structured/Kernels/Hopper.h can be used.
static bool isHopper(const CudaPipelineOptions &options) {
  return StringRef(options.chip).starts_with("sm_90a");
}

/// Whether the chip has programmatic dependent launch.
static bool canOverlapLaunches(const CudaPipelineOptions &options) {
  constexpr int64_t minCapability = 90;
  int64_t capability = 0;
  StringRef number = options.chip;
  return number.consume_front("sm_") &&
         !number.consumeInteger(10, capability) && capability >= minCapability;
}

/// The table that `costs` means for the chip; empty: none.
static StringRef getCosts(const CudaPipelineOptions &options) {
  StringRef costs = options.costs.getValue();
  if (costs == "auto")
    return StringRef(options.chip).starts_with("sm_90") ? "h200" : "";
  return costs == "none" ? "" : costs;
}

void structured::buildCudaTensorPipeline(OpPassManager &pm,
                                         const CudaPipelineOptions &options) {
  pm.addPass(createBindParameters());
  addExpandUnprofitable(pm, getCosts(options), options.tokens);
  // Ops of arith and math on whole tensors.
  pm.addPass(createConvertElementwiseToLinalgPass());
  if (isHopper(options))
    pm.addPass(createGblrToBsr());
  GblrToBlockSparseOptions gblr;
  gblr.vectorBits = 256;
  pm.addPass(createGblrToBlockSparse(gblr));
  addCleanup(pm);
  addTensorFusion(pm);
  if (options.mergeSiblings) {
    pm.addPass(createMergeSiblings());
    addCleanup(pm);
  }
  // Attention is one kernel where there is one for it.
  AttentionToLinalgOptions attention;
  attention.keepHopper = isHopper(options);
  if (attention.keepHopper)
    pm.addPass(createRaiseAttention());
  pm.addPass(createAttentionToLinalg(attention));
  pm.addPass(createParametersToArguments());
  pm.addPass(createConstantsToArguments());
  pm.addPass(createPrepareEntries());
}

void structured::buildCudaBufferPipeline(OpPassManager &pm,
                                         const CudaPipelineOptions &options) {
  // Tensors to buffers.
  pm.addPass(createWriteInPlace());
  pm.addPass(createCloneFills());
  addBufferization(pm);
  pm.addPass(createConvertBufferizationToMemRefPass());
  pm.addPass(createSinkDeviceReads());

  // Layers to kernels of ours where these are faster, all others and
  // contractions to library calls.
  BlastKernel kernel = options.blastKernel;
  if (isHopper(options) && kernel != BlastKernel::Library) {
    BlastToHopperOptions hopper;
    hopper.multiprocessors = options.multiprocessors;
    if (kernel == BlastKernel::Auto) {
      hopper.costs = getCosts(options).str();
      hopper.expectedTokens = options.tokens;
    } else if (kernel == BlastKernel::Decode) {
      hopper.minTokens = std::numeric_limits<int64_t>::max();
    } else {
      hopper.maxDecodeTokens = 0;
      hopper.minTokens = 0;
      hopper.minExchangeTokens = kernel == BlastKernel::Exchange
                                     ? 0
                                     : std::numeric_limits<int64_t>::max();
      hopper.allStages = kernel == BlastKernel::Whole;
      hopper.maxFusedBlocks =
          kernel == BlastKernel::Unfused || kernel == BlastKernel::Exchange
              ? 0
              : std::numeric_limits<int64_t>::max();
    }
    pm.addPass(createBlastToHopper(hopper));
  }
  if (isHopper(options)) {
    pm.addPass(createBsrToHopper());
    pm.addPass(createAttentionToHopper());
  }
  pm.addPass(createMatmulsToCublas());
  // Everything else to kernels. They are outlined before buffers are placed, so
  // that their operands are in plain sight.
  LinalgToGpuOptions linalg;
  linalg.fuse = options.fuse;
  pm.addPass(createLinalgToGpu(linalg));
  addCleanup(pm);
  if (options.fuse)
    pm.addPass(createMergeLaunches());
  ApproximateMathOptions math;
  math.exp = false;
  pm.addPass(createApproximateMath(math));
  pm.addPass(createGpuLaunchSinkIndexComputationsPass());
  pm.addPass(createGpuKernelOutliningPass());
  addCleanup(pm);
  pm.addPass(createDeduplicateKernels());

  pm.addNestedPass<func::FuncOp>(
      bufferization::createOptimizeAllocationLivenessPass());
  PlanBuffersOptions plan;
  plan.alignment = kBufferAlignment;
  pm.addNestedPass<func::FuncOp>(createPlanBuffers(plan));
  pm.addNestedPass<func::FuncOp>(createBuffersToGpu());

  // Host and device code to control flow on scalars.
  pm.addPass(createExpandShapeToReinterpretCast());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  // Not in kernels, for which there are instructions for maxima.
  pm.addNestedPass<func::FuncOp>(arith::createArithExpandOpsPass());
  pm.addNestedPass<func::FuncOp>(createGpuAsyncRegionPass());
  if (canOverlapLaunches(options))
    pm.addPass(createOverlapLaunches());
  pm.addPass(createSCFToControlFlowPass());
  addCleanup(pm);

  // Kernels to PTX.
  GpuNVVMAttachTargetOptions target;
  target.chip = options.chip;
  target.features = "+ptx80";
  target.optLevel = 3;
  pm.addPass(createGpuNVVMAttachTarget(target));
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  kernels.addPass(createAlignSharedMemory());
  kernels.addPass(createMathToNvvm());
  kernels.addPass(createConvertVectorToLLVMPass());
  kernels.addPass(createConvertGpuOpsToNVVMOps());
  kernels.addPass(createConvertNVVMToLLVMPass());
  kernels.addPass(createArithToLLVMConversionPass());
  addCleanup(kernels);
  kernels.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createKernelsToPtx());

  // Host code to the LLVM dialect.
  pm.addPass(createGpuToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  addCleanup(pm);
}

void structured::registerCudaPipelines() {
  PassPipelineRegistration<CudaPipelineOptions>(
      "structured-to-cuda",
      "Lower a model to PTX and the LLVM dialect, for NVIDIA GPUs",
      [](OpPassManager &pm, const CudaPipelineOptions &options) {
        buildCudaTensorPipeline(pm, options);
        buildCudaBufferPipeline(pm, options);
      });
  PassPipelineRegistration<CudaPipelineOptions>(
      "structured-to-cuda-tensors",
      "The first half of structured-to-cuda, on tensors",
      buildCudaTensorPipeline);
  PassPipelineRegistration<CudaPipelineOptions>(
      "structured-to-cuda-buffers",
      "The second half of structured-to-cuda, from bufferization on",
      buildCudaBufferPipeline);
}
