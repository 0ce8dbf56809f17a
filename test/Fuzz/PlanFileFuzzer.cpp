//===- PlanFileFuzzer.cpp - Fuzzes the readers of plans and curves ----===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CurvesFile.h"
#include "InputFile.h"
#include "PlanFile.h"

using namespace structured;
using namespace structured::fuzz;

/// What was read can be written, and is then read as the same.
static void checkPlan(const std::vector<LayerPlan> &plan) {
  // Files are written beside and renamed: one in memory would not do.
  static const std::string path =
      "plan-fuzzer-" + std::to_string(::getpid()) + ".json";
  Result<void> written = writePlanFile(path, plan, std::nullopt);
  require(static_cast<bool>(written), "a plan that was read is not written");
  Result<std::vector<LayerPlan>> again = readPlanFile(path);
  ::unlink(path.c_str());
  require(static_cast<bool>(again), "a plan that was written is not read");
  require(again->size() == plan.size(), "layers are lost");
  for (size_t i = 0; i < plan.size(); ++i) {
    const LayerPlan &a = plan[i], &b = (*again)[i];
    require(a.layer == b.layer && a.m == b.m && a.n == b.n &&
                a.structure == b.structure && a.bOut == b.bOut &&
                a.bIn == b.bIn && a.rank == b.rank && a.budget == b.budget &&
                a.reason == b.reason,
            "a layer changes when it is written and read");
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  InputFile input(bytes, size);
  Result<std::vector<LayerPlan>> plan = readPlanFile(input.getPath());
  if (plan)
    checkPlan(*plan);
  else
    requireError(plan.error(), input);

  Result<std::vector<LayerCurves>> curves = readCurvesFile(input.getPath());
  if (!curves)
    requireError(curves.error(), input);
  return 0;
}
