// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// From a model's IR and weights to a compiled module: what structured-compile
// does.

#ifndef STRUCTURED_TARGET_COMPILE_H
#define STRUCTURED_TARGET_COMPILE_H

#include "Structured/Pipelines/Cuda.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace structured {

/// What to compile for.
enum class TargetKind { Cpu, Cuda };

/// What to write.
enum class EmitKind {
  Tensors, ///< MLIR after the first half of the pipeline
  MLIR,    ///< the LLVM dialect
  LLVMIR,  ///< optimised LLVM IR
  Assembly,
  Object,
  Ptx,         ///< the kernels' assembly
  Cubin,       ///< the kernels' machine code
  SharedObject ///< a compiled module and its weights
};

/// Their names on the command line.
llvm::cl::ValuesClass getTargetKindNames();
llvm::cl::ValuesClass getEmitKindNames();

struct CompileOptions {
  /// MLIR file; "-" is standard input.
  std::string input;
  /// Output file; "-" is standard output, except for a shared object. The
  /// parameters of a shared object are written beside it, with the extension
  /// .safetensors.
  std::string output;
  /// Safetensors files that hold the parameters.
  std::vector<std::string> weights;
  EmitKind emit = EmitKind::SharedObject;
  TargetKind target = TargetKind::Cpu;
  /// LLVM's name of the processor, or `native`. For CUDA, `native` is any
  /// processor of this architecture: host code only starts kernels.
  std::string cpu = "native";
  /// The GPU's architecture, by NVIDIA's name.
  std::string chip = "sm_90a";
  /// Multiprocessors of the GPU; layers for few tokens run on all of them.
  int64_t multiprocessors = 132;
  /// NVIDIA's assembler; empty: looked for (findPtxas).
  std::string ptxas;
  /// Run on OpenMP's threads.
  bool parallel = true;
  /// Tokens in a tile of a structured layer.
  int64_t tileTokens = 32;
  /// How BLAST layers are computed on a GPU.
  BlastKernel blastKernel = BlastKernel::Auto;
  /// Make one layer of dense layers that share their input, on a GPU.
  bool mergeSiblings = true;
  /// Measured times by which layers whose structure does not pay become dense:
  /// "none", a built-in table's name, a file, or "auto", the target's.
  std::string costs = "auto";
  /// What a dynamic number of tokens is taken to be when times are estimated;
  /// 0: unknown.
  int64_t tokens = 0;
  /// Print what passes say of what they did not do.
  bool remarks = false;
  /// The OpenMP library to link with; empty: getDefaultOmpLibrary().
  std::string ompLibrary;
};

/// Sets an option by its name on structured-compile's command line, from the
/// text that would follow it there (`weights` adds a file; the ways in and out
/// and `remarks` have no name here). The error says what is allowed.
llvm::Error setCompileOption(CompileOptions &options, llvm::StringRef name,
                             llvm::StringRef value);

/// Compiles `options.input`. `configure` is called on each pass manager before
/// it runs. Errors go to standard error; a file is written whole or not at all.
mlir::LogicalResult
compile(const CompileOptions &options, const mlir::DialectRegistry &registry,
        llvm::function_ref<mlir::LogicalResult(mlir::PassManager &)> configure);

/// Compiles `module`, which it changes; `options.input` and `options.remarks`
/// mean nothing. Diagnostics of the model go to the handlers of its context,
/// errors of options and files to `report`.
mlir::LogicalResult
compile(mlir::ModuleOp module, const CompileOptions &options,
        llvm::function_ref<void(const llvm::Twine &)> report,
        llvm::function_ref<mlir::LogicalResult(mlir::PassManager &)> configure);

} // namespace structured

#endif // STRUCTURED_TARGET_COMPILE_H
