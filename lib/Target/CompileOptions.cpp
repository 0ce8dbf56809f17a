// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Compile.h"

#include <functional>

using namespace structured;

/// Sets `target` to the value called `text`; the error lists the names.
template <typename T>
static llvm::Error
setNamed(T &target, llvm::StringRef name, llvm::StringRef text,
         llvm::ArrayRef<std::pair<llvm::StringLiteral, T>> values) {
  for (const auto &[key, value] : values)
    if (key == text) {
      target = value;
      return llvm::Error::success();
    }
  std::string message =
      ("option '" + name + "': '" + text + "' is none of").str();
  for (const auto &[key, value] : values)
    message += (" " + key).str();
  return llvm::createStringError(message);
}

static llvm::Error setBool(bool &target, llvm::StringRef name,
                           llvm::StringRef text) {
  return setNamed<bool>(target, name, text, {{"true", true}, {"false", false}});
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
             return setNamed<BlastKernel>(options.blastKernel, name, value,
                                          {{"auto", BlastKernel::Auto},
                                           {"decode", BlastKernel::Decode},
                                           {"whole", BlastKernel::Whole},
                                           {"exchange", BlastKernel::Exchange},
                                           {"fused", BlastKernel::Fused},
                                           {"unfused", BlastKernel::Unfused},
                                           {"library", BlastKernel::Library}});
           }},
          {"chip", [&] { return setString(options.chip, value); }},
          {"costs", [&] { return setString(options.costs, value); }},
          {"emit",
           [&] {
             return setNamed<EmitKind>(options.emit, name, value,
                                       {{"tensors", EmitKind::Tensors},
                                        {"mlir", EmitKind::MLIR},
                                        {"llvm", EmitKind::LLVMIR},
                                        {"asm", EmitKind::Assembly},
                                        {"obj", EmitKind::Object},
                                        {"ptx", EmitKind::Ptx},
                                        {"cubin", EmitKind::Cubin},
                                        {"so", EmitKind::SharedObject}});
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
             return setNamed<TargetKind>(
                 options.target, name, value,
                 {{"cpu", TargetKind::Cpu}, {"cuda", TargetKind::Cuda}});
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
