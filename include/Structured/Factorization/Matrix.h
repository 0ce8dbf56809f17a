//===- Matrix.h - A matrix that is not owned ----------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_MATRIX_H
#define STRUCTURED_FACTORIZATION_MATRIX_H

#include <cstdint>

namespace structured {

/// A row-major `rows` × `cols` matrix without gaps, owned by somebody else. The
/// weight of a linear layer has one row per output feature.
struct MatrixRef {
  const float *data;
  int64_t rows;
  int64_t cols;
};

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_MATRIX_H
