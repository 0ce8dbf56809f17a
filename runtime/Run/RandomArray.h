//===- RandomArray.h - Reproducible random inputs ---------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_RUN_RANDOMARRAY_H
#define STRUCTURED_RUNTIME_RUN_RANDOMARRAY_H

#include "Run/Npy.h"

namespace structured::runtime {

/// An array of random elements, the same for the same arguments: floats are
/// normally distributed (mean 0, variance 1), integers uniform over
/// 0 … `integerMax` (or the dtype's largest value where that is less), booleans
/// uniform over 0 and 1. `stream` tells apart arrays of one seed. An error if
/// the array does not fit into memory's address space.
Result<Array> makeRandomArray(DType dtype, std::vector<int64_t> shape,
                              uint64_t seed, uint64_t stream,
                              int64_t integerMax);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_RUN_RANDOMARRAY_H
