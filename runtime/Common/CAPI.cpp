//===- CAPI.cpp - The C API -----------------------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/DLPack.h"
#include "Common/LastError.h"
#include "Common/Module.h"
#include "structured-runtime.h"

#include <cstdlib>
#include <omp.h>

using namespace structured;
using namespace structured::runtime;

static thread_local std::string lastError;

int32_t structured::runtime::fail(std::string message) {
  lastError = std::move(message);
  return 1;
}

static const Module *unwrap(const structuredRtModule *module) {
  return reinterpret_cast<const Module *>(module);
}

/// The entry's description, or null with the error noted.
static const EntryInfo *getEntry(const structuredRtModule *module,
                                 int32_t entry) {
  if (!module) {
    fail("the module is null");
    return nullptr;
  }
  const std::vector<EntryInfo> &entries = unwrap(module)->getInfo().entries;
  if (entry < 0 || static_cast<size_t>(entry) >= entries.size()) {
    fail("there is no entry " + std::to_string(entry) + ": the module has " +
         std::to_string(entries.size()));
    return nullptr;
  }
  return &entries[entry];
}

static int32_t getType(const std::vector<TensorType> &types, const char *kind,
                       int32_t index, structuredRtTensorType *result) {
  if (!result)
    return fail("the type is null");
  if (index < 0 || static_cast<size_t>(index) >= types.size())
    return fail("there is no " + std::string(kind) + " " +
                std::to_string(index) + ": the entry has " +
                std::to_string(types.size()));
  const TensorType &type = types[index];
  *result = {};
  result->name = type.name.c_str();
  result->dtype = static_cast<int32_t>(type.dtype);
  result->rank = static_cast<int32_t>(type.shape.size());
  for (size_t i = 0; i < type.shape.size(); ++i)
    result->shape[i] = type.shape[i];
  return 0;
}

int32_t structuredRtGetAbiVersion(void) { return STRUCTURED_RT_ABI_VERSION; }

const char *structuredRtGetLastError(void) { return lastError.c_str(); }

const char *structuredRtDTypeGetName(int32_t dtype) {
  if (dtype < STRUCTURED_RT_F64 || dtype > STRUCTURED_RT_I1)
    return nullptr;
  return getModuleDTypeName(static_cast<DType>(dtype));
}

int64_t structuredRtDTypeGetSize(int32_t dtype) {
  if (dtype < STRUCTURED_RT_F64 || dtype > STRUCTURED_RT_I1)
    return 0;
  return static_cast<int64_t>(getByteWidth(static_cast<DType>(dtype)));
}

int32_t structuredRtModuleLoad(const char *modulePath, const char *weightsPath,
                               structuredRtModule **module) {
  if (!modulePath || !module)
    return fail("the module path or the handle is null");
  Result<std::unique_ptr<Module>> loaded = Module::load(
      modulePath,
      weightsPath ? std::optional<std::string>(weightsPath) : std::nullopt);
  if (!loaded)
    return fail(loaded.error());
  *module = reinterpret_cast<structuredRtModule *>(loaded->release());
  return 0;
}

void structuredRtModuleFree(structuredRtModule *module) {
  if (module)
    unwrap(module)->release();
}

const char *structuredRtModuleGetInfo(const structuredRtModule *module) {
  if (!module) {
    fail("the module is null");
    return nullptr;
  }
  return unwrap(module)->getInfoText();
}

int32_t structuredRtModuleGetNumEntries(const structuredRtModule *module) {
  if (!module) {
    fail("the module is null");
    return -1;
  }
  return static_cast<int32_t>(unwrap(module)->getInfo().entries.size());
}

int32_t structuredRtModuleFindEntry(const structuredRtModule *module,
                                    const char *name, int32_t *entry) {
  if (!module || !name || !entry)
    return fail("the module, the name or the entry is null");
  const std::vector<EntryInfo> &entries = unwrap(module)->getInfo().entries;
  std::string names;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].name == name) {
      *entry = static_cast<int32_t>(i);
      return 0;
    }
    names += (i ? ", '" : "'") + entries[i].name + "'";
  }
  return fail("there is no entry '" + std::string(name) + "': the module has " +
              (names.empty() ? "none" : names));
}

const char *structuredRtEntryGetName(const structuredRtModule *module,
                                     int32_t entry) {
  const EntryInfo *info = getEntry(module, entry);
  return info ? info->name.c_str() : nullptr;
}

int32_t structuredRtEntryGetNumInputs(const structuredRtModule *module,
                                      int32_t entry) {
  const EntryInfo *info = getEntry(module, entry);
  return info ? static_cast<int32_t>(info->inputs.size()) : -1;
}

int32_t structuredRtEntryGetNumOutputs(const structuredRtModule *module,
                                       int32_t entry) {
  const EntryInfo *info = getEntry(module, entry);
  return info ? static_cast<int32_t>(info->outputs.size()) : -1;
}

int32_t structuredRtEntryGetInputType(const structuredRtModule *module,
                                      int32_t entry, int32_t index,
                                      structuredRtTensorType *type) {
  const EntryInfo *info = getEntry(module, entry);
  return info ? getType(info->inputs, "input", index, type) : 1;
}

int32_t structuredRtEntryGetOutputType(const structuredRtModule *module,
                                       int32_t entry, int32_t index,
                                       structuredRtTensorType *type) {
  const EntryInfo *info = getEntry(module, entry);
  return info ? getType(info->outputs, "output", index, type) : 1;
}

int32_t structuredRtEntryGetUpdatedInput(const structuredRtModule *module,
                                         int32_t entry, int32_t output,
                                         int32_t *input) {
  const EntryInfo *info = getEntry(module, entry);
  structuredRtTensorType type;
  if (!info || getType(info->outputs, "output", output, &type))
    return 1;
  if (!input)
    return fail("the input is null");
  std::optional<size_t> updates = info->outputs[output].updates;
  *input = updates ? static_cast<int32_t>(*updates) : -1;
  return 0;
}

/// Checks what a run is given but for the inputs themselves.
static int32_t checkRun(const structuredRtModule *module, int32_t entry,
                        const structuredRtTensor *inputs, int32_t numInputs,
                        const structuredRtTensor *outputs, int32_t numOutputs) {
  const EntryInfo *info = getEntry(module, entry);
  if (!info)
    return 1;
  auto checkCount = [&](const char *kind, int32_t given, size_t expected,
                        const void *array) -> Result<void> {
    if (given < 0 || static_cast<size_t>(given) != expected)
      return Error{"entry '" + info->name + "' has " +
                   std::to_string(expected) + " " + kind + ", given " +
                   std::to_string(given)};
    if (!array && expected)
      return Error{std::string(kind) + " are null"};
    return {};
  };
  if (auto ok = checkCount("inputs", numInputs, info->inputs.size(), inputs);
      !ok)
    return fail(ok.error());
  return finish(
      checkCount("outputs", numOutputs, info->outputs.size(), outputs));
}

int32_t structuredRtEntryRun(const structuredRtModule *module, int32_t entry,
                             const structuredRtTensor *inputs,
                             int32_t numInputs, structuredRtTensor *outputs,
                             int32_t numOutputs) {
  if (checkRun(module, entry, inputs, numInputs, outputs, numOutputs))
    return 1;
  return finish(unwrap(module)->getEntry(entry).run(inputs, outputs));
}

int32_t structuredRtEntryRunOnStream(const structuredRtModule *module,
                                     int32_t entry,
                                     const structuredRtTensor *inputs,
                                     int32_t numInputs,
                                     structuredRtTensor *outputs,
                                     int32_t numOutputs, void *stream) {
  if (checkRun(module, entry, inputs, numInputs, outputs, numOutputs))
    return 1;
  return finish(
      unwrap(module)->getEntry(entry).runOnStream(inputs, outputs, stream));
}

namespace {
/// A graph with the module that it needs.
struct OwnedGraph {
  ~OwnedGraph() {
    graph.reset();
    module->release();
  }
  const Module *module;
  std::unique_ptr<Graph> graph;
};
} // namespace

int32_t structuredRtGraphCapture(structuredRtModule *module, int32_t entry,
                                 const structuredRtTensor *inputs,
                                 int32_t numInputs, structuredRtTensor *outputs,
                                 int32_t numOutputs,
                                 structuredRtGraph **graph) {
  if (!graph)
    return fail("the graph is null");
  if (checkRun(module, entry, inputs, numInputs, outputs, numOutputs))
    return 1;
  Result<std::unique_ptr<Graph>> captured =
      unwrap(module)->getEntry(entry).capture(inputs, outputs);
  if (!captured)
    return fail(captured.error());
  unwrap(module)->retain();
  *graph = reinterpret_cast<structuredRtGraph *>(
      new OwnedGraph{unwrap(module), std::move(*captured)});
  return 0;
}

int32_t structuredRtGraphLaunch(structuredRtGraph *graph, void *stream) {
  if (!graph)
    return fail("the graph is null");
  return finish(reinterpret_cast<OwnedGraph *>(graph)->graph->launch(stream));
}

void structuredRtGraphFree(structuredRtGraph *graph) {
  delete reinterpret_cast<OwnedGraph *>(graph);
}

int32_t structuredRtTensorFromDLPack(const DLManagedTensor *managed,
                                     structuredRtTensor *tensor) {
  if (!managed || !tensor)
    return fail("the DLManagedTensor or the tensor is null");
  return finish(fromDLPack(*managed, *tensor));
}

int32_t structuredRtTensorToDLPack(structuredRtModule *module,
                                   structuredRtTensor *tensor,
                                   DLManagedTensor **managed) {
  if (!tensor || !managed)
    return fail("the tensor or the DLManagedTensor is null");
  if (!tensor->owner && !module)
    return fail("a tensor without an owner needs its module");
  if (!structuredRtDTypeGetName(tensor->dtype) || tensor->rank < 0 ||
      tensor->rank > STRUCTURED_RT_MAX_RANK)
    return fail("the tensor has no valid dtype or rank");
  return finish(toDLPack(unwrap(module), *tensor, *managed));
}

void structuredRtTensorFree(structuredRtTensor *tensor) {
  if (!tensor || !tensor->owner)
    return;
  std::free(tensor->owner);
  tensor->data = nullptr;
  tensor->owner = nullptr;
}

int32_t structuredRtSetNumThreads(int32_t numThreads) {
  if (numThreads < 1)
    return fail("the number of threads must be at least 1, given " +
                std::to_string(numThreads));
  omp_set_num_threads(numThreads);
  return 0;
}

int32_t structuredRtGetNumThreads(void) { return omp_get_max_threads(); }
