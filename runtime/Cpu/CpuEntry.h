//===- CpuEntry.h - An entry of a module for the CPU ------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CPU_CPUENTRY_H
#define STRUCTURED_RUNTIME_CPU_CPUENTRY_H

#include "Common/ModuleInfo.h"
#include "Structured/Weights/Result.h"
#include "Structured/Weights/Safetensors.h"
#include "structured-runtime.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace structured::runtime {

/// A function of a compiled module with its parameters bound: what remains for
/// a run is to describe the inputs. Immutable, so runs may be concurrent.
class CpuEntry {
public:
  /// The type of an entry's symbol: MLIR's packed calling convention. Each
  /// element of `arguments` points to a variable that holds a pointer to a
  /// memref descriptor: the results (absent if there are none), the inputs, the
  /// parameters.
  using Function = void (*)(void **arguments);

  /// Finds the entry's parameters in `weights`, which must outlive this; null
  /// is allowed for an entry without parameters. An error names the weights
  /// file and the parameter.
  static Result<CpuEntry> create(const EntryInfo &info, Function function,
                                 const SafetensorsFile *weights);

  /// Runs the entry; `inputs` and `outputs` have as many elements as the entry
  /// declares. See structuredRtEntryRun().
  Result<void> run(const structuredRtTensor *inputs,
                   structuredRtTensor *outputs) const;

private:
  struct Free {
    void operator()(void *data) const { std::free(data); }
  };

  CpuEntry(const EntryInfo &info, Function function)
      : info(&info), function(function) {}

  Result<void> checkInputs(const structuredRtTensor *inputs) const;
  Result<void> takeOutputs(const structuredRtTensor *inputs,
                           const int64_t *results,
                           structuredRtTensor *outputs) const;

  const EntryInfo *info;
  Function function;
  /// The parameters' descriptors, one after the other, and where each begins.
  std::vector<int64_t> descriptors;
  std::vector<const void *> descriptorOfParameter;
  /// Copies of the parameters that lie misaligned in the file.
  std::vector<std::unique_ptr<void, Free>> alignedCopies;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CPU_CPUENTRY_H
