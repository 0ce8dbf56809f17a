// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Compile.h"

#include <functional>

using namespace structured;

llvm::cl::ValuesClass structured::getTargetKindNames() {
  return llvm::cl::values(
      clEnumValN(TargetKind::Cpu, "cpu", "This machine (default)"),
      clEnumValN(TargetKind::Cuda, "cuda", "NVIDIA GPUs"));
}

llvm::cl::ValuesClass structured::getEmitKindNames() {
  return llvm::cl::values(
      clEnumValN(EmitKind::Tensors, "tensors",
                 "MLIR on tensors, lowered to linalg"),
      clEnumValN(EmitKind::MLIR, "mlir", "MLIR's LLVM dialect"),
      clEnumValN(EmitKind::LLVMIR, "llvm", "LLVM IR"),
      clEnumValN(EmitKind::Assembly, "asm", "Assembly"),
      clEnumValN(EmitKind::Object, "obj", "Object file"),
      clEnumValN(EmitKind::Ptx, "ptx", "Kernels' assembly"),
      clEnumValN(EmitKind::Cubin, "cubin", "Kernels' machine code"),
      clEnumValN(EmitKind::SharedObject, "so", "Module and weights (default)"));
}

namespace {
/// Takes the names of an option's values, as the command line's parser does.
struct NamedValues {
  explicit NamedValues(const llvm::cl::ValuesClass &values) {
    values.apply(*this);
  }
  NamedValues &getParser() { return *this; }
  void addLiteralOption(llvm::StringRef name, int value, llvm::StringRef) {
    values.push_back({name, value});
  }
  std::vector<std::pair<llvm::StringRef, int>> values;
};
} // namespace

/// Sets `target` to the value called `text`; the error lists the names.
template <typename T>
static llvm::Error setNamed(T &target, llvm::StringRef name,
                            llvm::StringRef text,
                            const llvm::cl::ValuesClass &values) {
  std::string message =
      ("option '" + name + "': '" + text + "' is none of").str();
  NamedValues named(values);
  for (auto [key, value] : named.values) {
    if (key == text) {
      target = static_cast<T>(value);
      return llvm::Error::success();
    }
    message += (" " + key).str();
  }
  return llvm::createStringError(message);
}

static llvm::Error setBool(bool &target, llvm::StringRef name,
                           llvm::StringRef text) {
  return setNamed(target, name, text,
                  llvm::cl::values(clEnumValN(true, "true", ""),
                                   clEnumValN(false, "false", "")));
}

static llvm::Error setInteger(int64_t &target, llvm::StringRef name,
                              llvm::StringRef text) {
  if (text.getAsInteger(10, target))
    return llvm::createStringError("option '" + name + "': '" + text +
                                   "' is not a whole number");
  return llvm::Error::success();
}

static llvm::Error setString(std::string &target, llvm::StringRef text) {
  target = text.str();
  return llvm::Error::success();
}

llvm::Error structured::setCompileOption(CompileOptions &options,
                                         llvm::StringRef name,
                                         llvm::StringRef value) {
  const std::pair<llvm::StringLiteral, std::function<llvm::Error()>> setters[] =
      {
          {"blast-kernel",
           [&] {
             return setNamed(options.blastKernel, name, value,
                             getBlastKernelNames());
           }},
          {"chip", [&] { return setString(options.chip, value); }},
          {"costs", [&] { return setString(options.costs, value); }},
          {"emit",
           [&] {
             return setNamed(options.emit, name, value, getEmitKindNames());
           }},
          {"mcpu", [&] { return setString(options.cpu, value); }},
          {"merge-siblings",
           [&] { return setBool(options.mergeSiblings, name, value); }},
          {"multiprocessors",
           [&] { return setInteger(options.multiprocessors, name, value); }},
          {"omp-library", [&] { return setString(options.ompLibrary, value); }},
          {"parallel", [&] { return setBool(options.parallel, name, value); }},
          {"ptxas", [&] { return setString(options.ptxas, value); }},
          {"target",
           [&] {
             return setNamed(options.target, name, value, getTargetKindNames());
           }},
          {"tile-tokens",
           [&] { return setInteger(options.tileTokens, name, value); }},
          {"tokens", [&] { return setInteger(options.tokens, name, value); }},
          {"weights",
           [&] {
             options.weights.push_back(value.str());
             return llvm::Error::success();
           }},
      };
  std::string names;
  for (const auto &[key, set] : setters) {
    if (key == name)
      return set();
    names += (" " + key).str();
  }
  return llvm::createStringError("there is no option '" + name +
                                 "'; there are:" + names);
}
