// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Compile.h"

#include "Structured/Pipelines/Cpu.h"
#include "Structured/Pipelines/Cuda.h"
#include "Structured/Target/Cpu.h"
#include "Structured/Target/Cuda.h"
#include "Structured/Target/Entries.h"
#include "Structured/Target/Linker.h"
#include "Structured/Target/StoredWeights.h"

#include "StagedFile.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace structured;

namespace {
/// One compilation.
class Compiler {
public:
  using Configure = function_ref<LogicalResult(PassManager &)>;
  using Report = function_ref<void(const Twine &)>;

  Compiler(const CompileOptions &options, Configure configure, Report onError)
      : options(options), configure(configure), onError(onError) {}

  /// Checks the options and opens what they name.
  LogicalResult prepare();
  /// Compiles, after `prepare`.
  LogicalResult run(ModuleOp model);

private:
  LogicalResult report(const Twine &message) {
    onError(message);
    return failure();
  }
  LogicalResult report(llvm::Error error) {
    return report(llvm::toString(std::move(error)));
  }

  enum class Half { Tensors, Buffers };
  LogicalResult runPipeline(Half half, const CpuTarget &target);
  llvm::Error
  write(function_ref<llvm::Error(llvm::raw_pwrite_stream &)> writer);
  llvm::Error writeModule(llvm::Module &llvmModule, const CpuTarget &target,
                          ArrayRef<Entry> entries, const WeightsSet &weights);
  llvm::Error checkWeightsPath();
  bool isCuda() const { return options.target == TargetKind::Cuda; }

  const CompileOptions &options;
  Configure configure;
  Report onError;
  std::string ptxas;
  std::optional<CpuTarget> cpuTarget;
  std::optional<WeightsSet> weights;
  ModuleOp module;
};
} // namespace

/// Where the parameters of the module `path` are stored.
static std::string getWeightsPath(StringRef path) {
  SmallString<128> weights(path);
  llvm::sys::path::replace_extension(weights, "safetensors");
  return weights.str().str();
}

LogicalResult Compiler::runPipeline(Half half, const CpuTarget &target) {
  PassManager pm(module.getContext());
  if (failed(configure(pm)))
    return failure();
  if (isCuda()) {
    CudaPipelineOptions pipelineOptions;
    pipelineOptions.chip = options.chip;
    pipelineOptions.multiprocessors = options.multiprocessors;
    pipelineOptions.blastKernel = options.blastKernel;
    pipelineOptions.mergeSiblings = options.mergeSiblings;
    pipelineOptions.costs = options.costs;
    pipelineOptions.tokens = options.tokens;
    (half == Half::Tensors ? buildCudaTensorPipeline
                           : buildCudaBufferPipeline)(pm, pipelineOptions);
    return pm.run(module);
  }
  CpuPipelineOptions pipelineOptions;
  pipelineOptions.parallel = options.parallel;
  pipelineOptions.tileTokens = options.tileTokens;
  pipelineOptions.costs = options.costs == "auto" ? "none" : options.costs;
  pipelineOptions.tokens = options.tokens;
  pipelineOptions.vectorBits = target.getVectorBits();
  pipelineOptions.vectorRegisters = target.getVectorRegisters();
  (half == Half::Tensors ? buildCpuTensorPipeline
                         : buildCpuBufferPipeline)(pm, pipelineOptions);
  return pm.run(module);
}

/// Writes text or an object file to the output.
llvm::Error
Compiler::write(function_ref<llvm::Error(llvm::raw_pwrite_stream &)> writer) {
  if (options.output == "-") {
    SmallVector<char, 0> buffer;
    llvm::raw_svector_ostream stream(buffer);
    if (llvm::Error error = writer(stream))
      return error;
    llvm::outs() << stream.str();
    return llvm::Error::success();
  }
  StagedFile file(options.output);
  if (llvm::Error error = file.create())
    return error;
  if (llvm::Error error = file.write(writer))
    return error;
  return file.keep();
}

/// Writes the shared object and its weights.
llvm::Error Compiler::writeModule(llvm::Module &llvmModule,
                                  const CpuTarget &target,
                                  ArrayRef<Entry> entries,
                                  const WeightsSet &weights) {
  StagedFile module(options.output), object(options.output + ".o");
  if (llvm::Error error = module.create())
    return error;
  if (llvm::Error error = object.create())
    return error;
  if (llvm::Error error = object.write([&](llvm::raw_pwrite_stream &stream) {
        return emitCode(llvmModule, target, llvm::CodeGenFileType::ObjectFile,
                        stream);
      }))
    return error;
  std::string ompLibrary = options.ompLibrary;
  if (ompLibrary.empty())
    ompLibrary = getDefaultOmpLibrary();
  if (llvm::Error error =
          isCuda()
              ? linkWithRuntime(object.getTemporary(), module.getTemporary())
              : linkSharedObject(object.getTemporary(), module.getTemporary(),
                                 ompLibrary))
    return error;

  if (llvm::any_of(entries, [](const Entry &entry) {
        return !entry.parameters.empty();
      })) {
    Result<SafetensorsWriter> writer =
        writeParameters(entries, weights, getWeightsPath(options.output));
    if (!writer)
      return llvm::createStringError(writer.error());
    if (Result<void> finished = writer->finish(); !finished)
      return llvm::createStringError(finished.error());
  }
  return module.keep();
}

/// An error if the stored parameters would replace weights that are read.
llvm::Error Compiler::checkWeightsPath() {
  std::string path = getWeightsPath(options.output);
  for (StringRef weights : options.weights)
    if (llvm::sys::fs::equivalent(weights, path))
      return llvm::createStringError("'" + path +
                                     "', where the module's weights go, holds "
                                     "the model's: choose another output");
  return llvm::Error::success();
}

LogicalResult Compiler::prepare() {
  bool isModule = options.emit == EmitKind::SharedObject;
  if (isModule && options.output == "-")
    return report("a module cannot be written to standard output: name a file "
                  "with -o");
  if (isModule)
    if (llvm::Error error = checkWeightsPath())
      return report(std::move(error));
  bool isKernels =
      options.emit == EmitKind::Ptx || options.emit == EmitKind::Cubin;
  if (isKernels && !isCuda())
    return report("kernels are code for CUDA: add --target=cuda");
  if (isCuda()) {
    if (llvm::Error error = checkChip(options.chip))
      return report(std::move(error));
    if (options.multiprocessors < 1)
      return report("--multiprocessors: a GPU has at least 1, not " +
                    std::to_string(options.multiprocessors));
    llvm::Expected<std::string> found = findPtxas(options.ptxas);
    if (!found)
      return report(found.takeError());
    ptxas = std::move(*found);
    if (options.emit == EmitKind::Cubin && ptxas.empty())
      return report("no ptxas found in PATH or /usr/local/cuda/bin: name one "
                    "with --ptxas");
  }
  bool isGeneric = isCuda() && options.cpu == "native";
  llvm::Expected<CpuTarget> target =
      CpuTarget::create(isGeneric ? "generic" : options.cpu);
  if (!target)
    return report(target.takeError());
  cpuTarget = std::move(*target);
  Result<WeightsSet> opened = WeightsSet::open(options.weights);
  if (!opened)
    return report(opened.error());
  weights = std::move(*opened);
  return success();
}

LogicalResult Compiler::run(ModuleOp model) {
  module = model;
  const CpuTarget &target = *cpuTarget;
  bool isModule = options.emit == EmitKind::SharedObject;
  bool isKernels =
      options.emit == EmitKind::Ptx || options.emit == EmitKind::Cubin;
  auto writeOrReport =
      [&](function_ref<llvm::Error(llvm::raw_pwrite_stream &)> writer)
      -> LogicalResult {
    if (llvm::Error error = write(writer))
      return report(std::move(error));
    return success();
  };
  auto printModule = [&](llvm::raw_pwrite_stream &stream) {
    module.print(stream);
    return llvm::Error::success();
  };

  if (failed(runPipeline(Half::Tensors, target)))
    return failure();
  if (options.emit == EmitKind::Tensors)
    return writeOrReport(printModule);
  FailureOr<std::vector<Entry>> entries = collectEntries(module);
  if (failed(entries))
    return failure();
  if (isModule)
    if (Result<void> checked = checkParameters(*entries, *weights); !checked)
      return report(checked.error());
  if (failed(runPipeline(Half::Buffers, target)))
    return failure();
  if (isCuda() && options.emit != EmitKind::Ptx &&
      failed(assembleKernels(module, options.chip, ptxas)))
    return failure();
  if (isKernels)
    return writeOrReport([&](llvm::raw_pwrite_stream &stream) {
      stream << getKernelCode(module);
      return llvm::Error::success();
    });
  if (options.emit == EmitKind::MLIR)
    return writeOrReport(printModule);

  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule =
      translateToLLVMIR(module, target, llvmContext);
  if (!llvmModule)
    return report("translation to LLVM IR failed");
  addModuleInterface(*llvmModule, *entries,
                     describeModule(*entries, target.getCpu(),
                                    target.getFeatures(),
                                    isCuda() ? options.chip : ""));
  optimize(*llvmModule, target);
  switch (options.emit) {
  case EmitKind::Tensors:
  case EmitKind::MLIR:
  case EmitKind::Ptx:
  case EmitKind::Cubin:
    break;
  case EmitKind::LLVMIR:
    return writeOrReport([&](llvm::raw_pwrite_stream &stream) {
      llvmModule->print(stream, nullptr);
      return llvm::Error::success();
    });
  case EmitKind::Assembly:
  case EmitKind::Object:
    return writeOrReport([&](llvm::raw_pwrite_stream &stream) {
      return emitCode(*llvmModule, target,
                      options.emit == EmitKind::Assembly
                          ? llvm::CodeGenFileType::AssemblyFile
                          : llvm::CodeGenFileType::ObjectFile,
                      stream);
    });
  case EmitKind::SharedObject:
    if (llvm::Error error =
            writeModule(*llvmModule, target, *entries, *weights))
      return report(std::move(error));
    return success();
  }
  llvm_unreachable("all kinds are handled");
}

LogicalResult
structured::compile(ModuleOp module, const CompileOptions &options,
                    function_ref<void(const Twine &)> report,
                    function_ref<LogicalResult(PassManager &)> configure) {
  Compiler compiler(options, configure, report);
  return failure(failed(compiler.prepare()) || failed(compiler.run(module)));
}

LogicalResult
structured::compile(const CompileOptions &options,
                    const DialectRegistry &registry,
                    function_ref<LogicalResult(PassManager &)> configure) {
  auto report = [](const Twine &message) {
    llvm::WithColor::error(llvm::errs(), "structured-compile")
        << message << "\n";
  };
  Compiler compiler(options, configure, report);
  if (failed(compiler.prepare()))
    return failure();

  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer =
      openInputFile(options.input, &message);
  if (!buffer) {
    report(message);
    return failure();
  }
  MLIRContext context(registry);
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  SourceMgrDiagnosticHandler diagnostics(*sources, &context);
  ScopedDiagnosticHandler filter(&context, [&](Diagnostic &diagnostic) {
    // Success: the diagnostic goes no further.
    return success(diagnostic.getSeverity() == DiagnosticSeverity::Remark &&
                   !options.remarks);
  });
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  return failure(!module || failed(compiler.run(*module)));
}
