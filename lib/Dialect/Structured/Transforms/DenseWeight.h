// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The numbers of a weight, read on the host.

#ifndef STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_DENSEWEIGHT_H
#define STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_DENSEWEIGHT_H

#include "Structured/Weights/WeightsSet.h"

#include "mlir/IR/Value.h"

#include <cstdint>
#include <string>
#include <vector>

namespace structured {

/// A tensor's numbers, row-major.
struct HostTensor {
  llvm::SmallVector<int64_t> shape;
  std::vector<float> values;
};

/// Evaluates a weight that comes from a `structured.parameter` or a constant
/// through transposes, reshapes and casts of static shape. An error says which
/// tensor is missing or differs in shape or type from the file's, or which op
/// on the way cannot be evaluated.
Result<HostTensor> readWeight(mlir::Value weight, const WeightsSet &weights);

/// A key that is the same for two weights whose numbers come from the same
/// source the same way.
std::string getWeightKey(mlir::Value weight);

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_DENSEWEIGHT_H
