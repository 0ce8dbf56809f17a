//===- Module.cpp - A loaded module ---------------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/Module.h"

#include "Cpu/CpuEntry.h"
#include "Cpu/CpuFeatures.h"
#include "Cuda/CudaEntry.h"

#include <algorithm>

namespace structured::runtime {

static std::string getSiblingWeights(const std::string &modulePath) {
  size_t dot = modulePath.rfind('.');
  size_t slash = modulePath.rfind('/');
  bool hasExtension =
      dot != std::string::npos && (slash == std::string::npos || dot > slash);
  return modulePath.substr(0, hasExtension ? dot : std::string::npos) +
         ".safetensors";
}

Result<std::unique_ptr<Module>>
Module::load(const std::string &modulePath,
             const std::optional<std::string> &weightsPath) {
  Result<SharedObject> object = SharedObject::open(modulePath);
  if (!object)
    return Error{object.error()};
  std::unique_ptr<Module> module(new Module(std::move(*object)));

  module->infoText =
      static_cast<const char *>(module->object.find("structured_module_info"));
  if (!module->infoText)
    return Error{modulePath + ": not a compiled module (it does not export "
                              "structured_module_info)"};
  Result<ModuleInfo> info = parseModuleInfo(module->infoText);
  if (!info)
    return Error{modulePath + ": " + info.error()};
  module->info = std::move(*info);

  if (module->info.target != "cpu" && module->info.target != "cuda")
    return Error{modulePath + ": compiled for target '" + module->info.target +
                 "', this runtime runs 'cpu' and 'cuda'"};
  if (Result<void> able = checkCpuFeatures(module->info.features); !able)
    return Error{modulePath + ": " + able.error()};

  const std::vector<EntryInfo> &entries = module->info.entries;
  bool needsWeights =
      std::any_of(entries.begin(), entries.end(), [](const EntryInfo &entry) {
        return !entry.parameters.empty();
      });
  if (needsWeights || weightsPath) {
    Result<SafetensorsFile> weights = SafetensorsFile::open(
        weightsPath ? *weightsPath : getSiblingWeights(modulePath));
    if (!weights)
      return Error{weights.error()};
    module->weights.emplace(std::move(*weights));
  }

  if (Result<void> done = module->loadEntries(modulePath); !done)
    return Error{done.error()};
  return module;
}

Result<void> Module::loadEntries(const std::string &modulePath) {
  const SafetensorsFile *file = weights ? &*weights : nullptr;
  std::vector<Entry::Function> functions;
  for (const EntryInfo &entryInfo : info.entries) {
    void *symbol = object.find(entryInfo.symbol);
    if (!symbol)
      return Error{modulePath + ": entry '" + entryInfo.name +
                   "': the symbol '" + entryInfo.symbol + "' is not exported"};
    functions.push_back(reinterpret_cast<Entry::Function>(symbol));
  }
  std::shared_ptr<CudaProgram> program;
  if (info.target == "cuda") {
    Result<std::shared_ptr<CudaProgram>> created =
        CudaProgram::create(info, file);
    if (!created)
      return Error{modulePath + ": " + created.error()};
    program = *created;
  }
  for (size_t i = 0; i < functions.size(); ++i) {
    const EntryInfo &entryInfo = info.entries[i];
    Result<std::unique_ptr<Entry>> entry =
        program ? CudaEntry::create(entryInfo, functions[i], program)
                : CpuEntry::create(entryInfo, functions[i], file);
    if (!entry)
      return Error{entry.error()};
    entries.push_back(std::move(*entry));
  }
  return {};
}

} // namespace structured::runtime
