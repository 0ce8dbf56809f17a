//===- Npy.h - NumPy array files --------------------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_RUN_NPY_H
#define STRUCTURED_RUNTIME_RUN_NPY_H

#include "Structured/Weights/Result.h"
#include "Structured/Weights/Safetensors.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace structured::runtime {

/// A dense row-major array in memory.
struct Array {
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

/// Reads a `.npy` file of format version 1, 2 or 3
/// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
/// little-endian f8, f4, f2, i8, i4, i2, i1, u1, b1, and u2 or V2, which stand
/// for bfloat16, a type that NumPy does not have. Fortran order is refused. The
/// file must hold exactly the bytes that its header announces. Errors name the
/// file.
Result<Array> readNpy(const std::string &path);

/// Writes `shape` × `dtype` bytes at `data` as a `.npy` file of version 1,
/// bfloat16 as u2. The file appears under its name when it is complete: until
/// then it is `<path>.tmp.<pid>`, removed on failure. What exists at `path` and
/// is no regular file (a pipe, a device) is written to directly. Errors name
/// the file.
Result<void> writeNpy(const std::string &path, DType dtype,
                      const std::vector<int64_t> &shape, const void *data);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_RUN_NPY_H
