// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "StageRing.h"

using namespace mlir;
using namespace structured;

void StageRing::initBarriers(int64_t arrivalsWhenEmpty,
                             int64_t arrivalsWhenFull) {
  for (int64_t stage = 0; stage < stages; ++stage) {
    b.initBarrier(getFull(b.i32(stage)), arrivalsWhenFull);
    b.initBarrier(getEmpty(b.i32(stage)), arrivalsWhenEmpty);
  }
  b.fenceBarrierInit();
}

SmallVector<Value> StageRing::advance(ValueRange ring) {
  Value next = b.add(ring[0], 1);
  Value wraps = b.isEqual(next, stages);
  return {b.select(wraps, b.i32(0), next),
          b.select(wraps, b.bitXor(ring[1], b.i32(1)), ring[1])};
}

Value StageRing::getPrevious(Value stage) {
  return b.select(b.isEqual(stage, 0), b.i32(stages - 1), b.add(stage, -1));
}
