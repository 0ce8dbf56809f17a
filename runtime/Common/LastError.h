//===- LastError.h - The thread's last error of the C API -------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_LASTERROR_H
#define STRUCTURED_RUNTIME_COMMON_LASTERROR_H

#include "Structured/Weights/Result.h"

#include <cstdint>
#include <string>

namespace structured::runtime {

/// Keeps the message for structuredRtGetLastError() and returns 1.
int32_t fail(std::string message);

/// 0, or the failure.
inline int32_t finish(const Result<void> &done) {
  return done ? 0 : fail(done.error());
}

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_LASTERROR_H
