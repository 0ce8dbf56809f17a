//===- Graph.h - A captured run of an entry ---------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_GRAPH_H
#define STRUCTURED_RUNTIME_CUDA_GRAPH_H

#include "Common/Entry.h"
#include "Cuda/EntryState.h"

namespace structured::runtime {

/// A graph of an entry's run; the entry must outlive it.
class CudaGraph : public Graph {
public:
  CudaGraph(EntryState &state, CUgraphExec exec, bool hasResidentKernels)
      : state(state), exec(exec), hasResidentKernels(hasResidentKernels) {}
  ~CudaGraph() override;

  Result<void> launch(void *stream) const override;

private:
  EntryState &state;
  CUgraphExec exec;
  bool hasResidentKernels;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_GRAPH_H
