//===- ResidentTurn.cpp - One after the other on a device -----------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/ResidentTurn.h"

#include <atomic>

namespace structured::runtime {

static std::atomic<bool> callerKeepsTurns{false};

void setCallerKeepsTurns(bool enabled) { callerKeepsTurns = enabled; }
bool doesCallerKeepTurns() { return callerKeepsTurns; }

Result<void> ResidentTurn::begin(CUstream stream) {
  if (lock)
    return {};
  ResidentOrder &order = context.residentOrder;
  lock = std::unique_lock(order.mutex);
  if (order.last)
    return context.api.check(
        context.api.cuStreamWaitEvent(stream, order.last, 0),
        "cuStreamWaitEvent");
  return context.api.check(
      context.api.cuEventCreate(&order.last, CU_EVENT_DISABLE_TIMING),
      "an event");
}

Result<void> ResidentTurn::end(CUstream stream) {
  if (!lock)
    return {};
  CUevent last = context.residentOrder.last;
  Result<void> done;
  if (last)
    done = context.api.check(context.api.cuEventRecord(last, stream),
                             "cuEventRecord");
  lock.unlock();
  return done;
}

} // namespace structured::runtime
