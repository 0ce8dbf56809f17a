//===- Module.h - A loaded module -------------------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_MODULE_H
#define STRUCTURED_RUNTIME_COMMON_MODULE_H

#include "Common/ModuleInfo.h"
#include "Common/SharedObject.h"
#include "Cpu/CpuEntry.h"
#include "Structured/Weights/Safetensors.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace structured::runtime {

/// A compiled module that is ready to run: its code, its mapped weights, and
/// its entries with their parameters bound.
class Module {
public:
  /// See structuredRtModuleLoad(). No `weightsPath` means the sibling
  /// `.safetensors`.
  static Result<std::unique_ptr<Module>>
  load(const std::string &modulePath,
       const std::optional<std::string> &weightsPath);

  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;

  /// The JSON text that the module exports.
  const char *getInfoText() const { return infoText; }
  const ModuleInfo &getInfo() const { return info; }
  const CpuEntry &getEntry(size_t index) const { return entries[index]; }

private:
  explicit Module(SharedObject object) : object(std::move(object)) {}

  SharedObject object;
  const char *infoText = nullptr;
  ModuleInfo info;
  std::optional<SafetensorsFile> weights;
  std::vector<CpuEntry> entries;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_MODULE_H
