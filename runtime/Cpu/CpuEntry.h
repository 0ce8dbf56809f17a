//===- CpuEntry.h - An entry of a module for the CPU ------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CPU_CPUENTRY_H
#define STRUCTURED_RUNTIME_CPU_CPUENTRY_H

#include "Common/Entry.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace structured::runtime {

/// An entry that runs on the calling thread and OpenMP's. Immutable.
class CpuEntry : public Entry {
public:
  /// Finds the entry's parameters in `weights`, which must outlive this; null
  /// is allowed for an entry without parameters. An error names the weights
  /// file and the parameter.
  static Result<std::unique_ptr<Entry>> create(const EntryInfo &info,
                                               Function function,
                                               const SafetensorsFile *weights);

  Result<void> run(const structuredRtTensor *inputs,
                   structuredRtTensor *outputs) const override;

private:
  struct Free {
    void operator()(void *data) const { std::free(data); }
  };

  CpuEntry(const EntryInfo &info, Function function)
      : info(&info), function(function) {}

  Result<void> takeOutputs(const structuredRtTensor *inputs,
                           const Descriptors &words,
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
