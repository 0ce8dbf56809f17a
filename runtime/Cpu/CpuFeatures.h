//===- CpuFeatures.h - Features of the processor we run on ------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CPU_CPUFEATURES_H
#define STRUCTURED_RUNTIME_CPU_CPUFEATURES_H

#include "Structured/Weights/Result.h"

#include <string>
#include <vector>

namespace structured::runtime {

/// Fails, naming each one, if this processor (or its operating system, which
/// must save the registers) lacks one of `features`, named as LLVM names them
/// ("avx512f"), or if this runtime does not know one. Asks Linux for the
/// permission to use AMX tiles if a feature needs it.
Result<void> checkCpuFeatures(const std::vector<std::string> &features);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CPU_CPUFEATURES_H
