// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_PLANFILE_H
#define STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_PLANFILE_H

#include "Structured/Weights/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace structured {

/// The decision for one layer with an m x n weight.
struct LayerPlan {
  std::string layer;
  int64_t m = 0, n = 0;
  std::string structure = "dense";     ///< dense, blast or gblr
  int64_t bOut = 0, bIn = 0, rank = 0; ///< of BLAST
  int64_t budget = 0;                  ///< of GBLR, in parameters
  /// Relative error to expect of the weight, or of the outputs if the plan was
  /// made with moments; 0 if it is not known or the layer stays dense.
  double expectedError = 0;
  std::string reason; ///< why the layer stays dense; may be empty

  /// Parameters of the layer under the plan; GBLR takes so many at most.
  int64_t getParameterCount() const {
    if (structure == "gblr")
      return budget;
    return structure == "blast" ? rank * (m + n + bOut * bIn) : m * n;
  }
};

/// How an allocation shared a budget among the planned layers, in parameters or
/// in multiply-adds.
struct PlanAllocation {
  std::string budget = "parameters"; ///< or multiply-adds
  int64_t cost = 0, denseCost = 0;   ///< of the planned layers together
  double loss = 0; ///< the sum of importance · (error to expect)²
  /// The bound that it kept: on the cost, or on the loss.
  std::optional<int64_t> maxCost;
  std::optional<double> maxLoss;
};

/// Reads a plan file, the format of docs/Plan.md:
///
///     {"version": 1, "layers": [{"layer": "fc", "shape": [32, 16],
///       "structure": "blast", "b_out": 2, "b_in": 2, "rank": 4},
///      {"layer": "out", "shape": [32, 16], "structure": "gblr",
///       "budget": 256}, ...]}
///
/// Errors name the file and the entry: unreadable, not JSON, another version,
/// an unknown or missing key (there or of the file), a value of the wrong kind,
/// a layer named twice.
Result<std::vector<LayerPlan>> readPlanFile(const std::string &path);

/// Writes a plan file, whole or not at all. For the reader's sake each entry
/// also says the layer's parameters, dense and planned, and the error to
/// expect, and the file how they were allocated; `readPlanFile` ignores these.
Result<void> writePlanFile(const std::string &path,
                           const std::vector<LayerPlan> &plan,
                           const std::optional<PlanAllocation> &allocation);

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_PLANFILE_H
