// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Shared.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void structured::addCleanup(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void structured::addExpandUnprofitable(OpPassManager &pm, StringRef costs,
                                       int64_t tokens) {
  if (costs.empty())
    return;
  ExpandUnprofitableOptions options;
  options.costs = costs.str();
  options.tokens = tokens;
  pm.addPass(createExpandUnprofitable(options));
}

void structured::addTensorFusion(OpPassManager &pm) {
  pm.addPass(createFoldIntoContractions());
  pm.addPass(createLinalgFoldUnitExtentDimsPass());
  addCleanup(pm);
  pm.addPass(createFoldIntoContractions());
  pm.addPass(createFuseElementwise());
  addCleanup(pm);
}

void structured::addBufferization(OpPassManager &pm) {
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  addCleanup(pm);
  pm.addPass(createDropUpdatedResults());
  bufferization::buildBufferDeallocationPipeline(pm, {});
}
