//===- NpyFuzzer.cpp - Fuzzes the reader of .npy files ----------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InputFile.h"
#include "Run/Npy.h"

using namespace structured;
using namespace structured::fuzz;
using namespace structured::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  InputFile input(bytes, size);
  Result<Array> array = readNpy(input.getPath());
  if (!array) {
    requireError(array.error(), input);
    return 0;
  }
  require(getByteSize(array->dtype, array->shape) == array->data.size(),
          "the data is not that of the shape");
  require(array->data.size() < size, "more data than the file has");
  return 0;
}
