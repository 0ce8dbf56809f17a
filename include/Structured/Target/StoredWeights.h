// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_TARGET_STOREDWEIGHTS_H
#define STRUCTURED_TARGET_STOREDWEIGHTS_H

#include "Structured/Target/Entries.h"
#include "Structured/Weights/Result.h"
#include "Structured/Weights/Safetensors.h"
#include "Structured/Weights/WeightsSet.h"

namespace structured {

/// Checks that `weights` has every parameter of the entries with its dtype and
/// shape (before the permutation), and the factors of each product. The error
/// names the parameter.
Result<void> checkParameters(llvm::ArrayRef<Entry> entries,
                             const WeightsSet &weights);

/// Writes the parameters of the entries, each once, permuted or packed as they
/// want it. Products are computed, one at a time.
/// The file appears as `path` only when the returned writer's `finish` is
/// called.
Result<SafetensorsWriter> writeParameters(llvm::ArrayRef<Entry> entries,
                                          const WeightsSet &weights,
                                          const std::string &path);

} // namespace structured

#endif // STRUCTURED_TARGET_STOREDWEIGHTS_H
