// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Compile.h"

#include "Structured/Pipelines/Cpu.h"
#include "Structured/Target/Cpu.h"
#include "Structured/Target/Entries.h"
#include "Structured/Target/Linker.h"
#include "Structured/Target/StoredWeights.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace structured;

static LogicalResult fail(const Twine &message) {
  llvm::WithColor::error(llvm::errs(), "structured-compile") << message << "\n";
  return failure();
}

static LogicalResult fail(llvm::Error error) {
  return fail(llvm::toString(std::move(error)));
}

namespace {
/// A file that gets its name only when `keep` is called.
class StagedFile {
public:
  explicit StagedFile(StringRef path) : path(path) {}
  ~StagedFile() {
    if (!temporary.empty())
      llvm::sys::fs::remove(temporary);
  }

  /// Creates the temporary file beside the final one.
  LogicalResult create() {
    if (std::error_code error =
            llvm::sys::fs::createUniqueFile(path + ".tmp.%%%%%%", temporary)) {
      temporary.clear();
      return fail(path + ": cannot write: " + error.message());
    }
    return success();
  }
  StringRef getTemporary() const { return temporary; }
  LogicalResult keep() {
    if (std::error_code error = llvm::sys::fs::rename(temporary, path))
      return fail(path + ": cannot write: " + error.message());
    temporary.clear();
    return success();
  }

private:
  std::string path;
  SmallString<128> temporary;
};

/// One compilation.
class Compiler {
public:
  using Configure = function_ref<LogicalResult(PassManager &)>;

  Compiler(const CompileOptions &options, const DialectRegistry &registry,
           Configure configure)
      : options(options), context(registry), configure(configure) {}

  LogicalResult run();

private:
  using BuildPipeline = void (*)(OpPassManager &, const CpuPipelineOptions &);
  LogicalResult runPipeline(BuildPipeline build, const CpuTarget &target);
  LogicalResult
  write(function_ref<LogicalResult(llvm::raw_pwrite_stream &)> writer);
  LogicalResult writeModule(llvm::Module &llvmModule, const CpuTarget &target,
                            ArrayRef<Entry> entries, const WeightsSet &weights);

  const CompileOptions &options;
  MLIRContext context;
  Configure configure;
  OwningOpRef<ModuleOp> module;
};
} // namespace

LogicalResult Compiler::runPipeline(BuildPipeline build,
                                    const CpuTarget &target) {
  CpuPipelineOptions pipelineOptions;
  pipelineOptions.parallel = options.parallel;
  pipelineOptions.tileTokens = options.tileTokens;
  pipelineOptions.vectorBits = target.getVectorBits();
  pipelineOptions.vectorRegisters = target.getVectorRegisters();
  PassManager pm(&context);
  if (failed(configure(pm)))
    return failure();
  build(pm, pipelineOptions);
  return pm.run(*module);
}

LogicalResult
Compiler::write(function_ref<LogicalResult(llvm::raw_pwrite_stream &)> writer) {
  if (options.output == "-") {
    SmallVector<char, 0> buffer;
    llvm::raw_svector_ostream stream(buffer);
    if (failed(writer(stream)))
      return failure();
    llvm::outs() << stream.str();
    return success();
  }
  StagedFile file(options.output);
  if (failed(file.create()))
    return failure();
  std::error_code error;
  llvm::raw_fd_ostream stream(file.getTemporary(), error);
  if (error)
    return fail(options.output + ": cannot write: " + error.message());
  if (failed(writer(stream)))
    return failure();
  stream.close();
  if (stream.has_error()) {
    error = stream.error();
    stream.clear_error();
    return fail(options.output + ": cannot write: " + error.message());
  }
  return file.keep();
}

LogicalResult Compiler::writeModule(llvm::Module &llvmModule,
                                    const CpuTarget &target,
                                    ArrayRef<Entry> entries,
                                    const WeightsSet &weights) {
  StagedFile object(options.output + ".o"), module(options.output);
  if (failed(object.create()) || failed(module.create()))
    return failure();
  std::error_code error;
  llvm::raw_fd_ostream stream(object.getTemporary(), error);
  if (error)
    return fail(options.output + ": cannot write: " + error.message());
  if (llvm::Error emitError = emitCode(
          llvmModule, target, llvm::CodeGenFileType::ObjectFile, stream))
    return fail(std::move(emitError));
  stream.close();
  if (stream.has_error()) {
    error = stream.error();
    stream.clear_error();
    return fail(options.output + ": cannot write: " + error.message());
  }
  if (llvm::Error linkError = linkSharedObject(
          object.getTemporary(), module.getTemporary(),
          options.ompLibrary.empty() ? getDefaultOmpLibrary()
                                     : StringRef(options.ompLibrary)))
    return fail(std::move(linkError));

  bool hasParameters = llvm::any_of(
      entries, [](const Entry &entry) { return !entry.parameters.empty(); });
  if (hasParameters) {
    SmallString<128> path(options.output);
    llvm::sys::path::replace_extension(path, "safetensors");
    Result<SafetensorsWriter> writer =
        writeParameters(entries, weights, path.str().str());
    if (!writer)
      return fail(writer.error());
    if (Result<void> finished = writer->finish(); !finished)
      return fail(finished.error());
  }
  return module.keep();
}

LogicalResult Compiler::run() {
  if (options.emit == EmitKind::SharedObject && options.output == "-")
    return fail("a module cannot be written to standard output: name a file "
                "with -o");
  llvm::Expected<CpuTarget> target = CpuTarget::create(options.cpu);
  if (!target)
    return fail(target.takeError());
  Result<WeightsSet> weights = WeightsSet::open(options.weights);
  if (!weights)
    return fail(weights.error());

  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer =
      openInputFile(options.input, &message);
  if (!buffer)
    return fail(message);
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  SourceMgrDiagnosticHandler diagnostics(*sources, &context);
  ScopedDiagnosticHandler filter(&context, [&](Diagnostic &diagnostic) {
    // Success: the diagnostic goes no further.
    return success(diagnostic.getSeverity() == DiagnosticSeverity::Remark &&
                   !options.remarks);
  });
  module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return failure();

  if (failed(runPipeline(buildCpuTensorPipeline, *target)))
    return failure();
  if (options.emit == EmitKind::Tensors)
    return write([&](llvm::raw_pwrite_stream &stream) {
      module->print(stream);
      return success();
    });
  FailureOr<std::vector<Entry>> entries = collectEntries(*module);
  if (failed(entries))
    return failure();
  if (options.emit == EmitKind::SharedObject)
    if (Result<void> checked = checkParameters(*entries, *weights); !checked)
      return fail(checked.error());
  if (failed(runPipeline(buildCpuBufferPipeline, *target)))
    return failure();
  if (options.emit == EmitKind::MLIR)
    return write([&](llvm::raw_pwrite_stream &stream) {
      module->print(stream);
      return success();
    });

  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule =
      translateToLLVMIR(*module, *target, llvmContext);
  if (!llvmModule)
    return fail("translation to LLVM IR failed");
  addModuleInterface(
      *llvmModule, *entries,
      describeModule(*entries, target->getCpu(), target->getFeatures()));
  optimize(*llvmModule, *target);
  if (options.emit == EmitKind::SharedObject)
    return writeModule(*llvmModule, *target, *entries, *weights);
  return write([&](llvm::raw_pwrite_stream &stream) -> LogicalResult {
    if (options.emit == EmitKind::LLVMIR) {
      llvmModule->print(stream, nullptr);
      return success();
    }
    if (llvm::Error error = emitCode(*llvmModule, *target,
                                     options.emit == EmitKind::Assembly
                                         ? llvm::CodeGenFileType::AssemblyFile
                                         : llvm::CodeGenFileType::ObjectFile,
                                     stream))
      return fail(std::move(error));
    return success();
  });
}

LogicalResult
structured::compile(const CompileOptions &options,
                    const DialectRegistry &registry,
                    function_ref<LogicalResult(PassManager &)> configure) {
  return Compiler(options, registry, configure).run();
}
