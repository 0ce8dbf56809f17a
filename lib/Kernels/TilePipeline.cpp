// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TilePipeline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace structured;

TilePipeline::TilePipeline(HopperBuilder &builder,
                           const TilePipelineShape &shape, Value shared)
    : b(builder), shape(shape), shared(shared),
      storage(b.offset(shared, shape.getStoreOffset())),
      stageRing(b, shape.stages, b.offset(shared, shape.getBarrierOffset())) {
  lane = b.laneIdx();
  Value thread = b.rem(b.threadIdx(), kWarpgroup);
  warp = b.div(thread, 32);
  storingThread = b.isEqual(thread, 0);
}

void TilePipeline::run(function_ref<void()> produce,
                       function_ref<void(Value warpgroup)> consume,
                       function_ref<void(Value thread)> assist) {
  Value thread = b.threadIdx();
  b.ifThen(b.isEqual(thread, 0), [&] {
    // One arrival of each warp that multiplies.
    stageRing.initBarriers(4 * shape.getConsumers());
  });
  b.syncThreads();
  b.launchDependents();

  // Registers go to the warpgroups that multiply.
  bool areTwo = shape.getConsumers() == 2;
  Value warpgroup = b.div(thread, kWarpgroup);
  b.ifThenElse(
      b.isEqual(warpgroup, 0),
      [&] {
        b.setMaxRegisters(areTwo ? 56 : 32, /*increase=*/false);
        b.ifThen(b.isEqual(thread, 0), [&] { produce(); });
        if (assist)
          b.ifThen(b.isLess(b.i32(kWarpgroup - kAssistants - 1), thread),
                   [&] { assist(b.add(thread, kAssistants - kWarpgroup)); });
      },
      [&] {
        b.setMaxRegisters(areTwo ? 224 : 160, /*increase=*/true);
        consume(b.add(warpgroup, -1));
      });
}

void TilePipeline::release(Value stage, Value condition) {
  b.ifThen(condition, [&] { b.arrive(stageRing.getEmpty(stage)); });
}

SmallVector<Value> TilePipeline::produce(ValueRange ring, Value descriptorA,
                                         Value descriptorB, Value rowA,
                                         Value rowB, Value z, Value steps) {
  return produce(ring, steps,
                 [&](Value step, Value stage, Value full,
                     ValueRange) -> SmallVector<Value> {
                   Value k = b.mul(step, kTileK);
                   b.loadTile(stage, descriptorA, {k, rowA, z}, full);
                   b.loadTile(b.offset(stage, getOffsetB()), descriptorB,
                              {k, rowB, z}, full);
                   return {};
                 });
}

SmallVector<Value> TilePipeline::produce(
    ValueRange carried, Value steps,
    function_ref<SmallVector<Value>(Value step, Value stage, Value full,
                                    ValueRange carried)>
        load) {
  return b.forLoop(
      b.i32(0), steps, b.i32(1), carried, [&](Value step, ValueRange carried) {
        Value stage = carried[0];
        b.wait(stageRing.getEmpty(stage), carried[1]);
        Value full = stageRing.getFull(stage);
        b.arriveExpectBytes(full, shape.getStageBytes());
        SmallVector<Value> next = stageRing.advance(carried.take_front(2));
        next.append(load(step, getStage(stage), full, carried.drop_front(2)));
        return next;
      });
}

SmallVector<Value>
TilePipeline::fill(ValueRange ring, int64_t bytes,
                   function_ref<void(Value stage, Value full)> load) {
  b.wait(stageRing.getEmpty(ring[0]), ring[1]);
  Value full = stageRing.getFull(ring[0]);
  b.arriveExpectBytes(full, bytes);
  load(getStage(ring[0]), full);
  return stageRing.advance(ring);
}

SmallVector<Value> TilePipeline::drain(ValueRange ring,
                                       function_ref<void(Value stage)> read) {
  b.wait(stageRing.getFull(ring[0]), ring[1]);
  read(getStage(ring[0]));
  // Reading may take longer than the copy engine takes to bring what is next.
  b.fenceSharedAccesses();
  b.syncWarp();
  release(ring[0], b.isEqual(lane, 0));
  return stageRing.advance(ring);
}

SmallVector<Value>
TilePipeline::consume(Value warpgroup, SmallVector<Value> &ring, Value steps) {
  constexpr int64_t rowBytes = kRowsPerWarpgroup * kTileK * kElementBytes;
  Value offsetA = b.mul(warpgroup, rowBytes);
  Value isFirstLane = b.isEqual(lane, 0);
  SmallVector<Value> carried = ring;
  carried.push_back(b.zeroAccumulators(shape.tileN));
  carried = b.forLoop(
      b.i32(0), steps, b.i32(1), carried, [&](Value step, ValueRange values) {
        Value stage = values[0], accumulators = values[2];
        b.wait(stageRing.getFull(stage), values[1]);
        Value descriptorA =
            b.matrixDescriptor(b.offset(getStage(stage), offsetA));
        Value descriptorB =
            b.matrixDescriptor(b.offset(getStage(stage), getOffsetB()));
        b.fenceProducts();
        for (int64_t k = 0; k < kTileK; k += 16) {
          // In units of 16 bytes.
          Value advanceK = b.i64(k * kElementBytes / 16);
          accumulators = b.multiply(
              accumulators, arith::AddIOp::create(b, descriptorA, advanceK),
              arith::AddIOp::create(b, descriptorB, advanceK), shape.tileN,
              shape.elementType);
        }
        b.commitProducts();
        // The products before these are done with their stage.
        b.waitForPreviousProducts();
        release(stageRing.getPrevious(stage),
                arith::AndIOp::create(b, isFirstLane, b.isPositive(step)));
        SmallVector<Value> next = stageRing.advance(values.take_front(2));
        next.push_back(accumulators);
        return next;
      });
  Value accumulators = b.waitForProducts(carried[2]);
  release(stageRing.getPrevious(carried[0]), isFirstLane);
  ring = {carried[0], carried[1]};
  return b.getElements(accumulators);
}

void TilePipeline::store(
    Value warpgroup, int64_t index, Value descriptor, Value col, Value row,
    Value z, function_ref<Value(int64_t block, bool lower)> getPacked) {
  constexpr int64_t buffers = TilePipelineShape::kStoreBuffers;
  constexpr int64_t bytes = TilePipelineShape::kStoreBytes;
  Value target = b.offset(storage, b.add(b.mul(warpgroup, buffers * bytes),
                                         (index % buffers) * bytes));
  // The buffer is free once fewer stores than there are buffers have still to
  // read theirs; where a tile has an odd number of stores, the first store of
  // the next one takes the buffer of the last.
  bool isLastOnesBuffer = index == 0 && shape.tileN / kStoreN % buffers != 0;
  b.ifThen(storingThread, [&] {
    b.waitForStores(isLastOnesBuffer ? 0 : buffers - 1, /*readOnly=*/true);
  });
  b.namedBarrier(b.add(warpgroup, 1), kWarpgroup);
  storeBy(warpgroup, target, descriptor, col, row, z, getPacked);
}

void TilePipeline::storeBy(
    Value warpgroup, Value target, Value descriptor, Value col, Value row,
    Value z, function_ref<Value(int64_t block, bool lower)> getPacked) {
  writeShared(target, getPacked);
  b.fenceSharedAccesses();
  b.namedBarrier(b.add(warpgroup, 1), kWarpgroup);
  b.ifThen(storingThread, [&] {
    b.storeTile(descriptor, target, {col, row, z});
    b.commitStores();
  });
}

void structured::writeSharedTile(
    HopperBuilder &b, Value target, Value warp, Value lane,
    function_ref<Value(int64_t block, bool lower)> getPacked) {
  // A lane has the address of one row of one of four matrices: upper and lower
  // rows of a block of 8 columns, then of the next. The 16 bytes of a block in
  // the swizzled tile are found at its number xor the row's.
  Value matrixRow = b.rem(lane, 8);
  Value storedRow = b.add(b.add(b.mul(warp, 16), matrixRow),
                          b.mul(b.rem(b.div(lane, 8), 2), 8));
  Value blockOfLane = b.div(lane, 16);
  for (int64_t block = 0; block < kStoreN / 8; block += 2) {
    Value chunk = b.bitXor(b.add(blockOfLane, block), matrixRow);
    Value address =
        b.offset(target, b.add(b.mul(storedRow, kStoreN * kElementBytes),
                               b.mul(chunk, 16)));
    b.storeMatrices(address,
                    {getPacked(block, false), getPacked(block, true),
                     getPacked(block + 1, false), getPacked(block + 1, true)});
  }
}

TilePosition structured::locateTile(HopperBuilder &b, Value index, Value tilesM,
                                    int64_t tilesN, int64_t batch,
                                    int64_t groupM, int64_t tileM,
                                    int64_t tileN) {
  TilePosition tile;
  tile.batch = b.i32(0);
  if (batch > 1) {
    Value perProduct = b.mul(tilesM, tilesN);
    tile.batch = b.div(index, perProduct);
    index = b.rem(index, perProduct);
  }
  Value group = b.div(index, groupM * tilesN);
  Value within = b.rem(index, groupM * tilesN);
  Value firstM = b.mul(group, groupM);
  Value sizeM = b.min(b.sub(tilesM, firstM), b.i32(groupM));
  tile.row = b.mul(b.add(firstM, b.rem(within, sizeM)), tileM);
  tile.col = b.mul(b.div(within, sizeM), tileN);
  return tile;
}
