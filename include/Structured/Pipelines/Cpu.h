// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The pipelines that lower a model to code for the CPU; docs/Cpu.md describes
// their stages.

#ifndef STRUCTURED_PIPELINES_CPU_H
#define STRUCTURED_PIPELINES_CPU_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace structured {

struct CpuPipelineOptions : mlir::PassPipelineOptions<CpuPipelineOptions> {
  Option<bool> parallel{*this, "parallel",
                        llvm::cl::desc("Run large loops on OpenMP's threads"),
                        llvm::cl::init(true)};
  Option<int64_t> vectorBits{
      *this, "vector-bits",
      llvm::cl::desc("Size of the target's vector registers in bits"),
      llvm::cl::init(256)};
  Option<int64_t> vectorRegisters{
      *this, "vector-registers",
      llvm::cl::desc("Number of the target's vector registers"),
      llvm::cl::init(16)};
  Option<int64_t> tileTokens{
      *this, "tile-tokens",
      llvm::cl::desc("Tokens in a tile of a structured layer"),
      llvm::cl::init(32)};
  Option<std::string> costs{
      *this, "costs",
      llvm::cl::desc("Measured times by which layers whose structure does not "
                     "pay become dense: none, a built-in table's name, or a "
                     "file"),
      llvm::cl::init("none")};
  Option<int64_t> tokens{
      *this, "tokens",
      llvm::cl::desc(
          "What a dynamic number of tokens is taken to be when times "
          "are estimated; 0: unknown"),
      llvm::cl::init(0)};
};

/// First half, on tensors: parameters bound, layers tiled and lowered to
/// linalg, elementwise ops fused, parameters made arguments of the entries.
void buildCpuTensorPipeline(mlir::OpPassManager &pm,
                            const CpuPipelineOptions &options);

/// Second half: bufferization, loops, vectors, threads, the LLVM dialect.
void buildCpuBufferPipeline(mlir::OpPassManager &pm,
                            const CpuPipelineOptions &options);

/// Registers `structured-to-cpu` (both halves) and the halves:
/// `structured-to-cpu-tensors` and `structured-to-cpu-buffers`.
void registerCpuPipelines();

} // namespace structured

#endif // STRUCTURED_PIPELINES_CPU_H
