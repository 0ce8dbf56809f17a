// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Pipelines/Cpu.h"

#include "Shared.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace structured;

void structured::buildCpuTensorPipeline(OpPassManager &pm,
                                        const CpuPipelineOptions &options) {
  pm.addPass(createBindParameters());
  StringRef costs = options.costs.getValue();
  addExpandUnprofitable(pm, costs == "none" ? "" : costs, options.tokens);
  // Ops of arith and math on whole tensors.
  pm.addPass(createConvertElementwiseToLinalgPass());
  GblrToBlockSparseOptions gblr;
  gblr.vectorBits = options.vectorBits;
  gblr.vectorRegisters = options.vectorRegisters;
  pm.addPass(createGblrToBlockSparse(gblr));
  TileLayersOptions tile;
  tile.tokens = options.tileTokens;
  pm.addPass(createTileLayers(tile));
  addCleanup(pm);
  pm.addPass(createStructuredToLinalg());
  // Elementwise ops are fused around the contractions, which are kept whole as
  // linalg.contract.
  addTensorFusion(pm);
  pm.addPass(createParametersToArguments());
  pm.addPass(createPrepareEntries());
}

void structured::buildCpuBufferPipeline(OpPassManager &pm,
                                        const CpuPipelineOptions &options) {
  // Tensors to buffers.
  addBufferization(pm);
  pm.addNestedPass<func::FuncOp>(
      bufferization::createOptimizeAllocationLivenessPass());
  pm.addPass(createConvertBufferizationToMemRefPass());
  pm.addNestedPass<func::FuncOp>(createPlanBuffers());

  // Linalg to loops of vectors.
  ContractionsToVectorOptions contractions;
  contractions.vectorBits = options.vectorBits;
  contractions.vectorRegisters = options.vectorRegisters;
  contractions.parallel = options.parallel;
  pm.addPass(createContractionsToVector(contractions));
  BlockSparseToVectorOptions blockSparse;
  blockSparse.vectorBits = options.vectorBits;
  blockSparse.vectorRegisters = options.vectorRegisters;
  blockSparse.parallel = options.parallel;
  pm.addPass(createBlockSparseToVector(blockSparse));
  LinalgToVectorOptions linalg;
  linalg.vectorBits = options.vectorBits;
  linalg.parallel = options.parallel;
  pm.addPass(createLinalgToVector(linalg));
  addCleanup(pm);
  pm.addPass(createApproximateMath());

  // Threads.
  OpPassManager &functions = pm.nest<func::FuncOp>();
  functions.addPass(createForallToParallelLoopPass());
  if (options.parallel)
    pm.addPass(createConvertSCFToOpenMPPass());
  pm.addPass(createCanonicalizerPass()); // inlines empty memref.alloca_scopes

  // The LLVM dialect.
  pm.addPass(createExpandShapeToReinterpretCast());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  addCleanup(pm);
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true;
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  addCleanup(pm); // folds what is taken out of and put into descriptors
}

void structured::registerCpuPipelines() {
  PassPipelineRegistration<CpuPipelineOptions>(
      "structured-to-cpu", "Lower a model to the LLVM dialect, for the CPU",
      [](OpPassManager &pm, const CpuPipelineOptions &options) {
        buildCpuTensorPipeline(pm, options);
        buildCpuBufferPipeline(pm, options);
      });
  PassPipelineRegistration<CpuPipelineOptions>(
      "structured-to-cpu-tensors",
      "The first half of structured-to-cpu, on tensors",
      buildCpuTensorPipeline);
  PassPipelineRegistration<CpuPipelineOptions>(
      "structured-to-cpu-buffers",
      "The second half of structured-to-cpu, from bufferization on",
      buildCpuBufferPipeline);
}
