//===- EntryState.cpp - What the runs of one CUDA entry share -------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/EntryState.h"

namespace structured::runtime {

EntryState::~EntryState() {
  ContextScope scope(context);
  if (hasRun)
    context.api.cuEventSynchronize(done);
  if (done)
    context.api.cuEventDestroy(done);
  if (stream)
    context.api.cuStreamDestroy(stream);
}

Result<void> EntryState::waitForLast(CUstream stream) const {
  if (!hasRun)
    return {};
  return context.api.check(context.api.cuStreamWaitEvent(stream, done, 0),
                           "cuStreamWaitEvent");
}

Result<void> EntryState::recordLast(CUstream stream) {
  hasRun = true;
  return context.api.check(context.api.cuEventRecord(done, stream),
                           "cuEventRecord");
}

} // namespace structured::runtime
