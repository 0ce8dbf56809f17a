// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What can be done to a product's result before it is stored: D = act(A·B +
// bias).

#ifndef STRUCTURED_LIB_CONVERSION_PRODUCTEPILOGUE_H
#define STRUCTURED_LIB_CONVERSION_PRODUCTEPILOGUE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <optional>
#include <string>

namespace structured {

/// What cuBLASLt can apply to a sum before it stores it, by the runtime's
/// numbers. GELU is the form by tanh, with errors of up to 5.4e-6 (measured on
/// an H200): it is for f16 and bf16.
enum class Activation { None = 0, Relu = 1, Gelu = 2 };

struct ProductEpilogue {
  /// The op that does it now, in place.
  mlir::linalg::GenericOp op;
  /// A vector over the last dimensions of the product's result, as many as
  /// `biasDims`, of its element type; null: none.
  mlir::Value bias;
  int64_t biasDims = 0;
  Activation activation = Activation::None;
};

/// The bias and the activation that are applied to all of the result of
/// `product`, on memrefs, before anything else reads it; nullopt if there is
/// none. Then `reason` says why if it was an activation that is known, but none
/// of cuBLASLt's.
std::optional<ProductEpilogue>
findEpilogue(mlir::DestinationStyleOpInterface product, std::string &reason);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_PRODUCTEPILOGUE_H
