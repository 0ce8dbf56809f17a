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

/// The numbers of a layer's weight matrix [m, n], wherever they are (see
/// `traceWeight`). An error says which tensor is missing or differs in shape or
/// type from the file's, or that nothing holds the numbers.
Result<HostTensor> readWeight(mlir::Value weight, const WeightsSet &weights);

/// True if the weight comes from a parameter or a constant, so that its numbers
/// can be read, as opposed to an argument.
bool hasReadableWeight(mlir::Value weight);

/// A key that is the same for two readable weights with the same numbers from
/// the same source.
std::string getWeightKey(mlir::Value weight);

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_DENSEWEIGHT_H
