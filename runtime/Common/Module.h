//===- Module.h - A loaded module -------------------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_MODULE_H
#define STRUCTURED_RUNTIME_COMMON_MODULE_H

#include "Common/Entry.h"
#include "Common/ModuleInfo.h"
#include "Common/SharedObject.h"
#include "Structured/Weights/Safetensors.h"

#include <atomic>
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
  const Entry &getEntry(size_t index) const { return *entries[index]; }

  /// A module starts with one reference; the last one's release deletes it.
  void retain() const { ++references; }
  void release() const {
    if (--references == 0)
      delete this;
  }

private:
  explicit Module(SharedObject object) : object(std::move(object)) {}
  Result<void> loadEntries(const std::string &modulePath);

  SharedObject object;
  const char *infoText = nullptr;
  ModuleInfo info;
  std::optional<SafetensorsFile> weights;
  std::vector<std::unique_ptr<Entry>> entries;
  mutable std::atomic<int64_t> references = 1;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_MODULE_H
