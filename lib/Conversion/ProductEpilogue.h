// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What can be done to a product's result before it is stored: D = act(A·B +
// bias).

#ifndef STRUCTURED_LIB_CONVERSION_PRODUCTEPILOGUE_H
#define STRUCTURED_LIB_CONVERSION_PRODUCTEPILOGUE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <optional>

namespace structured {

struct ProductEpilogue {
  /// The op that does it now, in place.
  mlir::linalg::GenericOp op;
  /// A vector over the last dimensions of the product's result, as many as
  /// `biasDims`, of its element type.
  mlir::Value bias;
  int64_t biasDims = 0;
  bool isRelu = false;
};

/// The bias, and ReLU, that are applied to all of the result of `product`, on
/// memrefs, before anything else reads it; nullopt if there is none.
std::optional<ProductEpilogue> findEpilogue(mlir::linalg::LinalgOp product);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_PRODUCTEPILOGUE_H
