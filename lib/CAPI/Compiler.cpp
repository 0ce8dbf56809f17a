// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "structured-c/Compiler.h"

#include "Structured/InitAll.h"
#include "Structured/Target/Compile.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/SourceMgr.h"

#include <cstring>
#include <mutex>

using namespace mlir;

namespace {

/// A context and what its calls wait for. Models keep it alive.
struct State {
  State() {
    DialectRegistry registry;
    mlir::registerAllDialects(registry);
    registerAllExtensions(registry);
    structured::registerAllDialects(registry);
    context.appendDialectRegistry(registry);
  }

  MLIRContext context;
  std::mutex mutex;
};

/// A diagnostic that outlives its context.
struct StoredDiagnostic {
  DiagnosticSeverity severity;
  int32_t parent;
  std::string message, location, file;
  int32_t line = 0, column = 0;
};

} // namespace

struct structuredContext {
  std::shared_ptr<State> state;
};

struct structuredModel {
  std::shared_ptr<State> state;
  OwningOpRef<ModuleOp> module;
};

struct structuredCompileOptions {
  structured::CompileOptions options;
};

static std::string &getLastError() {
  static thread_local std::string error;
  return error;
}

static std::vector<StoredDiagnostic> &getDiagnostics() {
  static thread_local std::vector<StoredDiagnostic> diagnostics;
  return diagnostics;
}

static int32_t fail(const Twine &message) {
  getLastError() = message.str();
  return 1;
}

namespace {

/// One call on a context: waits for the others, and keeps what MLIR says for
/// the calling thread.
class Call {
public:
  explicit Call(State &state)
      : context(state.context), lock(state.mutex),
        diagnostics(getDiagnostics()),
        handler(&state.context, [this](Diagnostic &diagnostic) {
          store(diagnostic, /*parent=*/-1);
        }) {
    diagnostics.clear();
  }

  /// An error without a place in the model.
  void report(const Twine &message) {
    emitError(UnknownLoc::get(&context), message);
  }

  /// The status of the call. On failure the first error becomes the last one
  /// of the thread.
  int32_t finish(LogicalResult result) {
    if (succeeded(result))
      return 0;
    for (const StoredDiagnostic &diagnostic : diagnostics)
      if (diagnostic.severity == DiagnosticSeverity::Error)
        return fail(getPlace(diagnostic) + diagnostic.message);
    return fail("failed without a diagnostic");
  }

private:
  // The handlers of a context are called by one thread at a time.
  void store(Diagnostic &diagnostic, int32_t parent) {
    StoredDiagnostic &stored = diagnostics.emplace_back();
    stored.severity = diagnostic.getSeverity();
    stored.parent = parent;
    stored.message = diagnostic.str();
    Location location = diagnostic.getLocation();
    llvm::raw_string_ostream(stored.location) << location;
    if (auto place = location->findInstanceOf<FileLineColRange>()) {
      stored.file = place.getFilename().str();
      stored.line = place.getStartLine();
      stored.column = place.getStartColumn();
    } else if (auto name = location->findInstanceOf<NameLoc>()) {
      stored.file = name.getName().str();
    }
    auto index = static_cast<int32_t>(diagnostics.size() - 1);
    for (Diagnostic &note : diagnostic.getNotes())
      store(note, index);
  }

  static std::string getPlace(const StoredDiagnostic &diagnostic) {
    if (diagnostic.file.empty())
      return "";
    std::string place = diagnostic.file;
    if (diagnostic.line)
      place += ":" + std::to_string(diagnostic.line) + ":" +
               std::to_string(diagnostic.column);
    return place + ": ";
  }

  MLIRContext &context;
  std::lock_guard<std::mutex> lock;
  std::vector<StoredDiagnostic> &diagnostics;
  ScopedDiagnosticHandler handler;
};

} // namespace

int32_t structuredGetAbiVersion(void) { return STRUCTURED_C_ABI_VERSION; }

const char *structuredGetVersion(void) {
  return STRUCTURED_VERSION " (LLVM " LLVM_VERSION_STRING ")";
}

const char *structuredGetLastError(void) { return getLastError().c_str(); }

int32_t structuredGetNumDiagnostics(void) {
  return static_cast<int32_t>(getDiagnostics().size());
}

int32_t structuredGetDiagnostic(int32_t index,
                                structuredDiagnostic *diagnostic) {
  if (!diagnostic)
    return fail("a null pointer for the diagnostic");
  if (index < 0 || index >= structuredGetNumDiagnostics())
    return fail("no diagnostic " + Twine(index) + ": there are " +
                Twine(structuredGetNumDiagnostics()));
  static_assert(
      static_cast<int32_t>(DiagnosticSeverity::Note) == STRUCTURED_NOTE &&
      static_cast<int32_t>(DiagnosticSeverity::Warning) == STRUCTURED_WARNING &&
      static_cast<int32_t>(DiagnosticSeverity::Error) == STRUCTURED_ERROR &&
      static_cast<int32_t>(DiagnosticSeverity::Remark) == STRUCTURED_REMARK);
  const StoredDiagnostic &stored = getDiagnostics()[index];
  diagnostic->severity = static_cast<int32_t>(stored.severity);
  diagnostic->parent = stored.parent;
  diagnostic->message = stored.message.c_str();
  diagnostic->location = stored.location.c_str();
  diagnostic->file = stored.file.empty() ? nullptr : stored.file.c_str();
  diagnostic->line = stored.line;
  diagnostic->column = stored.column;
  return 0;
}

structuredContext *structuredContextCreate(void) {
  static std::once_flag registered;
  std::call_once(registered, [] {
    mlir::registerAllPasses();
    structured::registerAllPasses();
  });
  return new structuredContext{std::make_shared<State>()};
}

void structuredContextFree(structuredContext *context) { delete context; }

static int32_t parse(structuredContext &context,
                     std::unique_ptr<llvm::MemoryBuffer> buffer,
                     structuredModel **model) {
  Call call(*context.state);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  OwningOpRef<ModuleOp> module =
      parseSourceFile<ModuleOp>(sources, &context.state->context);
  if (!module)
    return call.finish(failure());
  *model = new structuredModel{context.state, std::move(module)};
  return call.finish(success());
}

int32_t structuredModelParse(structuredContext *context, const char *text,
                             int64_t size, const char *name,
                             structuredModel **model) {
  if (!context || !text || !model)
    return fail("a null pointer for the context, text or model");
  if (size < 0)
    return fail("a text of " + Twine(size) + " bytes");
  // A copy: the lexer reads on to a NUL.
  return parse(*context,
               llvm::MemoryBuffer::getMemBufferCopy(StringRef(text, size),
                                                    name ? name : "<string>"),
               model);
}

int32_t structuredModelParseFile(structuredContext *context, const char *path,
                                 structuredModel **model) {
  if (!context || !path || !model)
    return fail("a null pointer for the context, path or model");
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer) {
    getDiagnostics().clear();
    return fail(Twine(path) + ": " + buffer.getError().message());
  }
  return parse(*context, std::move(*buffer), model);
}

int32_t structuredModelClone(const structuredModel *model,
                             structuredModel **copy) {
  if (!model || !copy)
    return fail("a null pointer for the model or its copy");
  std::lock_guard<std::mutex> lock(model->state->mutex);
  *copy = new structuredModel{model->state, model->module.get().clone()};
  return 0;
}

void structuredModelFree(structuredModel *model) { delete model; }

int32_t structuredModelPrint(const structuredModel *model,
                             int32_t withLocations, char **text) {
  if (!model || !text)
    return fail("a null pointer for the model or text");
  std::lock_guard<std::mutex> lock(model->state->mutex);
  OpPrintingFlags flags;
  if (withLocations)
    flags.enableDebugInfo();
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  model->module.get()->print(stream, flags);
  *text = strdup(printed.c_str());
  return 0;
}

void structuredStringFree(char *text) { free(text); }

/// Adds the passes of a pipeline's text, with or without its builtin.module.
static LogicalResult parsePipeline(StringRef text, OpPassManager &pm,
                                   raw_ostream &errors) {
  if (!text.ltrim().starts_with("builtin.module("))
    return parsePassPipeline(text, pm, errors);
  FailureOr<OpPassManager> parsed = parsePassPipeline(text, errors);
  if (failed(parsed))
    return failure();
  pm = std::move(*parsed);
  return success();
}

int32_t structuredModelRunPipeline(structuredModel *model,
                                   const char *pipeline) {
  if (!model || !pipeline)
    return fail("a null pointer for the model or pipeline");
  Call call(*model->state);
  PassManager pm(&model->state->context);
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  if (failed(parsePipeline(pipeline, pm, stream))) {
    call.report(StringRef(errors).trim());
    return call.finish(failure());
  }
  OwningOpRef<ModuleOp> module = model->module.get().clone();
  LogicalResult result = pm.run(*module);
  if (succeeded(result))
    model->module = std::move(module);
  return call.finish(result);
}

structuredCompileOptions *structuredCompileOptionsCreate(void) {
  return new structuredCompileOptions;
}

void structuredCompileOptionsFree(structuredCompileOptions *options) {
  delete options;
}

int32_t structuredCompileOptionsSet(structuredCompileOptions *options,
                                    const char *name, const char *value) {
  if (!options || !name || !value)
    return fail("a null pointer for the options, name or value");
  if (llvm::Error error =
          structured::setCompileOption(options->options, name, value))
    return fail(llvm::toString(std::move(error)));
  return 0;
}

int32_t structuredModelCompile(const structuredModel *model, const char *output,
                               const structuredCompileOptions *options) {
  if (!model || !output)
    return fail("a null pointer for the model or output");
  structured::CompileOptions compileOptions;
  if (options)
    compileOptions = options->options;
  compileOptions.output = output;
  Call call(*model->state);
  if (compileOptions.output == "-") {
    call.report("the output must be a file");
    return call.finish(failure());
  }
  OwningOpRef<ModuleOp> module = model->module.get().clone();
  return call.finish(structured::compile(
      *module, compileOptions,
      [&](const Twine &message) { call.report(message); },
      [](PassManager &) { return success(); }));
}
