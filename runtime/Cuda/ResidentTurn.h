//===- ResidentTurn.h - One after the other on a device ---------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_RESIDENTTURN_H
#define STRUCTURED_RUNTIME_CUDA_RESIDENTTURN_H

#include "Cuda/CudaContext.h"

namespace structured::runtime {

/// Whether the caller takes care of turns, so that its graphs may have resident
/// kernels.
void setCallerKeepsTurns(bool enabled);
bool doesCallerKeepTurns();

/// The turn of a run with resident kernels, those whose blocks wait for each
/// other. Of two of them at the same time each could hold multiprocessors that
/// the other's missing blocks need, and both would wait for ever. So such runs
/// take turns on a device, whatever their streams: what is enqueued in a turn
/// begins when what was enqueued in the last one has ended.
class ResidentTurn {
public:
  explicit ResidentTurn(const CudaContext &context) : context(context) {}

  /// Begins the turn, if it has not begun; other threads wait until its end.
  Result<void> begin(CUstream stream);

  /// Ends the turn, if it has begun, with what `stream` has been given so far.
  Result<void> end(CUstream stream);

private:
  const CudaContext &context;
  std::unique_lock<std::mutex> lock;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_RESIDENTTURN_H
