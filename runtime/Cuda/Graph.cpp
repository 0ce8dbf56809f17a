//===- Graph.cpp - A captured run of an entry -----------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/Graph.h"

#include "Cuda/ResidentTurn.h"

namespace structured::runtime {

CudaGraph::~CudaGraph() {
  ContextScope scope(state.context);
  state.context.api.cuGraphExecDestroy(exec);
}

Result<void> CudaGraph::launch(void *stream) const {
  std::lock_guard<std::mutex> lock(state.mutex);
  ContextScope scope(state.context);
  auto *cudaStream = static_cast<CUstream>(stream);
  Result<void> done = state.waitForLast(cudaStream);
  ResidentTurn turn(state.context);
  if (done && hasResidentKernels)
    done = turn.begin(cudaStream);
  if (done)
    done = state.context.api.check(
        state.context.api.cuGraphLaunch(exec, cudaStream), "cuGraphLaunch");
  if (Result<void> ended = turn.end(cudaStream); done)
    done = ended;
  if (done)
    done = state.recordLast(cudaStream);
  return done;
}

} // namespace structured::runtime
