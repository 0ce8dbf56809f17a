//===- Times.cpp - Times of runs ------------------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/Times.h"

#include <algorithm>
#include <numeric>

namespace structured::runtime {

Times::Times(std::vector<double> times) : all(std::move(times)) {
  std::vector<double> sorted = all;
  std::sort(sorted.begin(), sorted.end());
  size_t half = sorted.size() / 2;
  min = sorted.front();
  median =
      sorted.size() % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  mean = std::accumulate(all.begin(), all.end(), 0.0) / all.size();
}

} // namespace structured::runtime
