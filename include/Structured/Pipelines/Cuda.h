// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The pipelines that lower a model to code for NVIDIA GPUs; docs/Cuda.md
// describes their stages.

#ifndef STRUCTURED_PIPELINES_CUDA_H
#define STRUCTURED_PIPELINES_CUDA_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace structured {

/// How BLAST layers are computed.
enum class BlastKernel {
  Auto,
  Decode,
  Whole,
  Exchange,
  Fused,
  Unfused,
  Library
};

/// Their names on the command line.
inline llvm::cl::ValuesClass getBlastKernelNames() {
  return llvm::cl::values(
      clEnumValN(BlastKernel::Auto, "auto", "as is fastest"),
      clEnumValN(BlastKernel::Decode, "decode",
                 "one kernel for few tokens, else the library"),
      clEnumValN(BlastKernel::Whole, "whole",
                 "all stages in one kernel, or else as fused"),
      clEnumValN(BlastKernel::Exchange, "exchange",
                 "stages 1 and 2 by groups of thread blocks that exchange Y"),
      clEnumValN(BlastKernel::Fused, "fused", "stages 1 and 2 in one kernel"),
      clEnumValN(BlastKernel::Unfused, "unfused", "a kernel for stage 2"),
      clEnumValN(BlastKernel::Library, "library",
                 "products of cuBLASLt and a plain mix"));
}

struct CudaPipelineOptions : mlir::PassPipelineOptions<CudaPipelineOptions> {
  Option<std::string> chip{*this, "chip",
                           llvm::cl::desc("GPU to compile for, by LLVM's name"),
                           llvm::cl::init("sm_90a")};
  Option<int64_t> multiprocessors{
      *this, "multiprocessors",
      llvm::cl::desc("Multiprocessors of the GPU, for kernels that take all"),
      llvm::cl::init(132)};
  Option<bool> fuse{*this, "fuse",
                    llvm::cl::desc("Put ops on the same rows into one kernel"),
                    llvm::cl::init(true)};
  Option<bool> mergeSiblings{
      *this, "merge-siblings",
      llvm::cl::desc("Make one layer of dense layers that share their input"),
      llvm::cl::init(true)};
  Option<BlastKernel> blastKernel{
      *this, "blast-kernel",
      llvm::cl::desc("How BLAST layers are computed, where that is possible"),
      llvm::cl::init(BlastKernel::Auto), getBlastKernelNames()};
  Option<std::string> costs{
      *this, "costs",
      llvm::cl::desc("Measured times by which layers whose structure does not "
                     "pay become dense: auto (those of the chip), none, a "
                     "built-in table's name, or a file"),
      llvm::cl::init("auto")};
  Option<int64_t> tokens{
      *this, "tokens",
      llvm::cl::desc(
          "What a dynamic number of tokens is taken to be when times "
          "are estimated; 0: unknown"),
      llvm::cl::init(0)};
};

/// First half, on tensors: parameters bound, elementwise ops fused, parameters
/// and constants made arguments of the entries. Layers stay as they are.
void buildCudaTensorPipeline(mlir::OpPassManager &pm,
                             const CudaPipelineOptions &options);

/// Second half: bufferization, kernels, PTX (in `gpu.binary` ops), and the host
/// code in the LLVM dialect.
void buildCudaBufferPipeline(mlir::OpPassManager &pm,
                             const CudaPipelineOptions &options);

/// Registers `structured-to-cuda` (both halves) and the halves:
/// `structured-to-cuda-tensors` and `structured-to-cuda-buffers`.
void registerCudaPipelines();

} // namespace structured

#endif // STRUCTURED_PIPELINES_CUDA_H
