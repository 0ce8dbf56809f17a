//===- Times.h - Times of runs ----------------------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_RUN_TIMES_H
#define STRUCTURED_RUNTIME_RUN_TIMES_H

#include <vector>

namespace structured::runtime {

/// Times of the timed runs, in milliseconds.
struct Times {
  explicit Times(std::vector<double> times);
  double min, median, mean;
  std::vector<double> all;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_RUN_TIMES_H
