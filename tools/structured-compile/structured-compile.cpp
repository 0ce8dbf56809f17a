// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compiles a model's IR and weights to a module for the runtime.

#include "Structured/InitAll.h"
#include "Structured/Target/Compile.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

namespace cl = llvm::cl;
using structured::EmitKind;
using structured::TargetKind;

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::OptionCategory category("Options of structured-compile");
  structured::CompileOptions options;
  cl::opt<std::string, true> input(cl::Positional, cl::desc("<model.mlir>"),
                                   cl::location(options.input), cl::init("-"),
                                   cl::cat(category));
  cl::opt<std::string, true> output(
      "o", cl::desc("Output file"), cl::value_desc("file"),
      cl::location(options.output), cl::init("-"), cl::cat(category));
  cl::list<std::string> weights(
      "weights", cl::desc("Safetensors file with parameters (repeatable)"),
      cl::value_desc("file"), cl::cat(category));
  cl::opt<EmitKind, true> emit(
      "emit", cl::desc("What to write"), cl::location(options.emit),
      structured::getEmitKindNames(), cl::init(EmitKind::SharedObject),
      cl::cat(category));
  cl::opt<TargetKind, true> target(
      "target", cl::desc("What to compile for"), cl::location(options.target),
      structured::getTargetKindNames(), cl::init(TargetKind::Cpu),
      cl::cat(category));
  cl::opt<std::string, true> chip(
      "chip", cl::desc("GPU to compile for (default: sm_90a)"),
      cl::location(options.chip), cl::init("sm_90a"), cl::cat(category));
  cl::opt<int64_t, true> multiprocessors(
      "multiprocessors",
      cl::desc("Multiprocessors of the GPU (default: 132, as H100 SXM and "
               "H200)"),
      cl::location(options.multiprocessors), cl::init(132), cl::cat(category));
  cl::opt<std::string, true> ptxas(
      "ptxas", cl::desc("NVIDIA's assembler (default: looked for)"),
      cl::value_desc("file"), cl::location(options.ptxas), cl::cat(category));
  cl::opt<std::string, true> cpu(
      "mcpu",
      cl::desc("Processor to compile for, by LLVM's name (default: native)"),
      cl::location(options.cpu), cl::init("native"), cl::cat(category));
  cl::opt<bool, true> parallel(
      "parallel",
      cl::desc("Run large loops on OpenMP's threads (default: true)"),
      cl::location(options.parallel), cl::init(true), cl::cat(category));
  cl::opt<int64_t, true> tileTokens(
      "tile-tokens",
      cl::desc("Tokens in a tile of a structured layer (default: 32)"),
      cl::location(options.tileTokens), cl::init(32), cl::cat(category));
  cl::opt<structured::BlastKernel, true> blastKernel(
      "blast-kernel",
      cl::desc(
          "How BLAST layers are computed on a GPU, where that is possible"),
      cl::location(options.blastKernel), structured::getBlastKernelNames(),
      cl::init(structured::BlastKernel::Auto), cl::cat(category));
  cl::opt<bool, true> mergeSiblings(
      "merge-siblings",
      cl::desc(
          "Make one layer of dense layers that share their input, on a GPU "
          "(default: true)"),
      cl::location(options.mergeSiblings), cl::init(true), cl::cat(category));
  cl::opt<std::string, true> costs(
      "costs",
      cl::desc("Measured times by which layers whose structure does not pay "
               "become dense: auto (the GPU's; default), none, a built-in "
               "table's name (h200), or a file of structured-bench"),
      cl::value_desc("table"), cl::location(options.costs), cl::init("auto"),
      cl::cat(category));
  cl::opt<int64_t, true> tokens(
      "tokens",
      cl::desc("What a dynamic number of tokens is taken to be when times are "
               "estimated (default: unknown)"),
      cl::location(options.tokens), cl::init(0), cl::cat(category));
  cl::opt<bool, true> remarks(
      "remarks", cl::desc("Print what passes say of what they did not do"),
      cl::location(options.remarks), cl::init(false), cl::cat(category));
  cl::opt<std::string, true> ompLibrary(
      "omp-library", cl::desc("OpenMP library to link with"),
      cl::location(options.ompLibrary), cl::cat(category));
  mlir::registerPassManagerCLOptions();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv,
                              "Compile a model for the Structured runtime\n");
  options.weights.assign(weights.begin(), weights.end());

  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  structured::registerAllDialects(registry);
  mlir::DefaultTimingManager timing;
  mlir::applyDefaultTimingManagerCLOptions(timing);
  mlir::TimingScope scope = timing.getRootScope();
  auto configure = [&](mlir::PassManager &pm) {
    pm.enableTiming(scope);
    return mlir::applyPassManagerCLOptions(pm);
  };
  return mlir::failed(structured::compile(options, registry, configure));
}
