// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The first two stages of a BLAST product of many blocks. A group of 16 thread
// blocks makes Z of a tile of tokens after another. X is cut into at most 16
// pieces of 256 columns, one for each block, which stay in its shared memory
// for the whole tile. The ranks pass through the group in slices:
//
//  1. Each block makes Y of the slice for its piece, and writes it to the
//     group's memory.
//  2. When all have, each block takes 8 ranks of 128 tokens of all Y, mixes
//     them and writes Z, whose tokens are side by side.
//
// Y is in device memory, but only of a few slices, so that it stays in the L2
// cache. Counters, one for each slice that there is memory for, say when all
// blocks have written it. A block adds to that of a slice only after it has
// read all it needs of the slice `lag` before; so who sees a slice of all
// blocks knows that none needs the memory of this earlier one any more.
//
// Each of these is the work of warps of their own: one thread has Vt and X
// brought, two warpgroups multiply them, 64 ranks of 128 tokens each; another
// thread tells the group; a third one waits for the group and has Y brought; a
// warpgroup mixes, and meanwhile brings S of the next slice.
//
// Within a slice, Y is transposed, tokens side by side as they are in the
// accumulators of the first product: a rank of 64 tokens of a piece is a row of
// 128 bytes, whose 16 bytes number c + 4x (c < 4, x < 2) are the tokens
// 32x + 8y + 2c + e (y < 4, e < 2). The copy engine brings these as they are.

#include "Structured/Kernels/BlastExchange.h"

#include "BlockMixer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

static constexpr int64_t kGroup = 16;
static constexpr int64_t kWarpgroups = 4;
/// Of a slice, what one of the two warpgroups makes.
static constexpr int64_t kPartRanks = 64, kPartTokens = 128;
static constexpr int64_t kMakers = 2;
static constexpr int64_t kMaxColumns = 256;
/// What a block mixes of a slice: two tiles of one rank for each warp, all
/// block rows by so many tokens.
static constexpr int64_t kUnitRanks = 8, kUnitTokens = 128;
static constexpr int64_t kMixTiles = 2, kTileRanks = kUnitRanks / kMixTiles;
/// Pieces of X, and block rows, that one product mixes.
static constexpr int64_t kMaxMixed = 16;
/// A row of Y: a rank of 64 tokens of a piece; of all pieces; the ranks of a
/// tile; a tile, of twice as many tokens; a unit; a slice.
static constexpr int64_t kRowBytes = 128;
static constexpr int64_t kRankBytes = kMaxMixed * kRowBytes;
static constexpr int64_t kTileHalfBytes = kTileRanks * kRankBytes;
static constexpr int64_t kTileBytes = 2 * kTileHalfBytes;
static constexpr int64_t kUnitBytes = kMixTiles * kTileBytes;
static constexpr int64_t kSliceBytes = kGroup * kUnitBytes;
/// S of the ranks of a unit: of a block of the matrix, and of all.
static constexpr int64_t kScaleBytes = kUnitRanks * kElementBytes;
static constexpr int64_t kScalesBytes = kMaxMixed * kMaxMixed * kScaleBytes;
/// Counters of a group, i32, each in a line of its own: of launches, and for
/// each slice in memory.
static constexpr int64_t kCounterStride = 128;
static constexpr int64_t kMaxDepth = 15;
/// Rows of Z begin with a line of the L2 cache.
static constexpr int64_t kPitchTokens = 64;
static constexpr int64_t kCounterBytes = (1 + kMaxDepth) * kCounterStride;

namespace {
/// How a layer is divided.
struct Division {
  Division(const BlastProblem &problem, const BlastExchangeSchedule &schedule) {
    int64_t q = problem.n / problem.bIn;
    piecesQ = llvm::divideCeil(q, kMaxColumns);
    steps = llvm::divideCeil(llvm::divideCeil(q, piecesQ), kTileK);
    pieces = problem.bIn * piecesQ;
    sliceRanks = getBlastExchangeRanks(schedule);
    slices = llvm::divideCeil(problem.rank, sliceRanks);
    tokenUnits = schedule.tileM / kUnitTokens;
    tiles = llvm::divideCeil(schedule.tokens, schedule.tileM);
    groups = getBlastExchangeBlocks(schedule) / kGroup;
    stepBytesX = schedule.tileM * kTileK * kElementBytes;
    stageBytesV = sliceRanks * kTileK * kElementBytes;
    ahead = schedule.depth - schedule.lag;
    stagesY = schedule.tileM == 128 ? 4 : 3;
    stagesV = 8;
    // Both warpgroups go through these, one after the other.
    while (stagesV > steps && getSharedBytes() > kHopperSharedMemory)
      --stagesV;
  }
  /// Pieces of X: of each block column `piecesQ`, of `steps` times 64 columns.
  int64_t pieces, piecesQ, steps;
  int64_t sliceRanks, slices;
  /// Units of a slice side by side in its tokens.
  int64_t tokenUnits;
  int64_t tiles, groups;
  int64_t stepBytesX, stageBytesV;
  /// Slices that a block may make before it knows of the first that the group
  /// has it.
  int64_t ahead;
  int64_t stagesV, stagesY;

  // Offsets in shared memory.
  int64_t getOffsetV() const { return steps * stepBytesX; }
  int64_t getOffsetY() const { return getOffsetV() + stagesV * stageBytesV; }
  int64_t getOffsetS() const { return getOffsetY() + stagesY * kTileBytes; }
  int64_t getOffsetBarriers() const { return getOffsetS() + kScalesBytes; }
  int64_t getSharedBytes() const {
    return getOffsetBarriers() + StageRing::getBarrierBytes(
                                     steps + stagesV + stagesY + kMaxDepth + 1);
  }
};
} // namespace

int64_t
structured::getBlastExchangeBlocks(const BlastExchangeSchedule &schedule) {
  return kGroup *
         std::min<int64_t>(llvm::divideCeil(schedule.tokens, schedule.tileM),
                           schedule.multiprocessors / kGroup);
}

int64_t
structured::getBlastExchangeRanks(const BlastExchangeSchedule &schedule) {
  return kMakers * kPartRanks * kPartTokens / schedule.tileM;
}

int64_t
structured::getBlastExchangePitchZ(const BlastExchangeSchedule &schedule) {
  return llvm::alignTo(schedule.tokens, kPitchTokens);
}

int64_t
structured::getBlastExchangeScratch(const BlastExchangeSchedule &schedule) {
  return getBlastExchangeBlocks(schedule) / kGroup * schedule.depth *
         kSliceBytes;
}

int64_t
structured::getBlastExchangeCounters(const BlastExchangeSchedule &schedule) {
  return getBlastExchangeBlocks(schedule) / kGroup * kCounterBytes;
}

std::optional<std::string>
structured::checkBlastExchange(const BlastProblem &problem,
                               const BlastExchangeSchedule &schedule) {
  if (std::optional<std::string> reason = checkInput(problem))
    return reason;
  Division division(problem, schedule);
  if (division.pieces > kMaxMixed)
    return "its input has " + std::to_string(division.pieces) +
           " pieces of at most " + std::to_string(kMaxColumns) +
           " columns, of which a product mixes " + std::to_string(kMaxMixed);
  if (schedule.tokens < 1 || schedule.multiprocessors < kGroup)
    return "groups of " + std::to_string(kGroup) +
           " thread blocks need a number of tokens and as many multiprocessors";
  if (schedule.tileM != 128 && schedule.tileM != 256)
    return "tiles must have 128 or 256 tokens";
  if (schedule.lag < 1 || schedule.depth <= schedule.lag ||
      schedule.depth > kMaxDepth)
    return "at most " + std::to_string(kMaxDepth) +
           " slices can be in memory, more than the lag";
  if (int64_t bytes = division.getSharedBytes(); bytes > kHopperSharedMemory)
    return "its tiles take " + std::to_string(bytes) +
           " bytes of shared memory, of which there are " +
           std::to_string(kHopperSharedMemory);
  return std::nullopt;
}

BlastExchangeSchedule
structured::getBlastExchangeSchedule(int64_t tokens, int64_t multiprocessors) {
  BlastExchangeSchedule schedule;
  schedule.tokens = tokens;
  schedule.multiprocessors = multiprocessors;
  // Larger tiles read Vt half as often, if they leave no group idle.
  int64_t groups = std::max<int64_t>(multiprocessors / kGroup, 1);
  auto getRounds = [&](int64_t tileM) {
    return llvm::divideCeil(llvm::divideCeil(tokens, tileM), groups) * tileM;
  };
  if (getRounds(128) < getRounds(256))
    schedule.tileM = 128;
  return schedule;
}

namespace {
class BlastExchangeBuilder {
public:
  BlastExchangeBuilder(gpu::GPUModuleOp module, const BlastProblem &problem,
                       const BlastExchangeSchedule &schedule)
      : module(module), problem(problem), schedule(schedule),
        d(problem, schedule), b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  using Values = SmallVector<Value>;
  using Words = SmallVector<Value>;

  // The roles: of one thread each,
  void bringInput();
  void tell();
  void bringRanks();
  // and of warpgroups.
  void multiply(Value warpgroup);
  void mix();

  /// Calls `body` for each slice of each of the group's tiles.
  Values forEachSlice(
      ValueRange carried,
      function_ref<Values(Value tile, Value slice, ValueRange carried)> body);
  /// The slices of all of the group's tiles.
  Value getSlices() {
    return b.mul(b.div(b.sub(b.i32(d.tiles + d.groups - 1), group), d.groups),
                 d.slices);
  }
  Value advanceSlot(Value slot) {
    Value next = b.add(slot, 1);
    return b.select(b.isEqual(next, schedule.depth), b.i32(0), next);
  }
  Value getCounter(Value slot) {
    return b.offset(counters, b.mul(b.add(slot, 1), kCounterStride));
  }
  /// For what only blocks that have a piece of X do.
  void ifHasPiece(HopperBuilder::Body body) {
    if (d.pieces == kGroup)
      body();
    else
      b.ifThen(b.isLess(member, b.i32(d.pieces)), body);
  }
  void ifOneLane(HopperBuilder::Body body) {
    b.syncWarp();
    b.ifThen(b.isEqual(lane, 0), body);
  }
  /// Writes the thread's part of Y to the slice at `slot`.
  void storeY(Value target, ArrayRef<Value> chunks, Value slot,
              Value accumulators, Value policy);
  /// The first of the ranks that the block mixes of a slice.
  Value getFirstRank(Value slice) {
    return b.add(b.mul(slice, d.sliceRanks),
                 b.mul(b.div(member, d.tokenUnits), kUnitRanks));
  }
  /// Where in shared memory S of a block of the matrix is, in an order for
  /// which few of a warp's lanes read the same bank.
  Value getScales(Value block) {
    Value place = b.bitXor(block, b.rem(b.div(block, kMaxMixed), 8));
    return b.offset(sharedS, b.mul(place, kScaleBytes));
  }
  /// Begins to bring S of what the warpgroup mixes of a slice to shared memory.
  void bringScales(Value slice);
  /// When all threads' has come, that of the warp's two ranks: for two block
  /// rows, two groups of pieces and two neighbours.
  Values takeScales();
  /// The first operands of the products with these: of each tile four for each
  /// rank, zeros for those of other warps.
  Values getFactors(ValueRange scales);

  gpu::GPUModuleOp module;
  const BlastProblem &problem;
  const BlastExchangeSchedule &schedule;
  Division d;
  HopperBuilder b;
  // Arguments and what follows from them.
  Value x, vt, z, s, scratch, counters;
  /// `warp` is of a warpgroup.
  Value group, member, warp, lane;
  Value sharedX, sharedV, sharedY, sharedS;
  /// `exchange` is of the slices that the block has made and not yet seen of
  /// all blocks, `copied` of those that it has read, for `tell`; `turns` says
  /// who may multiply.
  std::optional<StageRing> ringX, ringV, ringY, exchange, copied, turns;
};
} // namespace

Kernel BlastExchangeBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroups * kWarpgroup;
  kernel.sharedMemoryBytes = d.getSharedBytes();

  LLVM::LLVMFuncOp function =
      createKernel(b, module, name, SmallVector<Type>(6, b.getPointerType()),
                   kernel.threads);
  x = function.getArgument(0);
  vt = function.getArgument(1);
  z = function.getArgument(2);
  s = function.getArgument(3);
  lane = b.laneIdx();
  warp = b.rem(b.div(b.threadIdx(), 32), 4);
  group = b.div(b.blockIdx(), kGroup);
  member = b.rem(b.blockIdx(), kGroup);
  scratch = b.offset(function.getArgument(4),
                     b.mul(group, schedule.depth * kSliceBytes));
  counters = b.offset(function.getArgument(5), b.mul(group, kCounterBytes));

  Value shared = getSharedMemory(b, module);
  sharedX = shared;
  sharedV = b.offset(shared, d.getOffsetV());
  sharedY = b.offset(shared, d.getOffsetY());
  sharedS = b.offset(shared, d.getOffsetS());
  Value barriers = b.offset(shared, d.getOffsetBarriers());
  auto addRing = [&](std::optional<StageRing> &ring, int64_t stages) {
    ring.emplace(b, stages, barriers);
    barriers = b.offset(barriers, StageRing::getBarrierBytes(stages));
  };
  addRing(ringX, d.steps);
  addRing(ringV, d.stagesV);
  addRing(ringY, d.stagesY);
  addRing(exchange, d.ahead);
  addRing(copied, schedule.lag);
  addRing(turns, 1);

  Value thread = b.threadIdx();
  b.ifThen(b.isEqual(thread, 0), [&] {
    for (Value descriptor : {x, vt})
      b.prefetchDescriptor(descriptor);
    ringX->initBarriers(4 * kMakers);
    ringV->initBarriers(4 * kMakers);
    ringY->initBarriers(4);
    exchange->initBarriers(1, /*arrivalsWhenFull=*/4 * kMakers);
    copied->initBarriers(1);
    turns->initBarriers(4, /*arrivalsWhenFull=*/4);
  });
  // The rows of pieces that there are not stay zero.
  if (d.pieces < kMaxMixed)
    b.forLoop(thread, b.i32(d.stagesY * kTileBytes / 4), b.i32(kernel.threads),
              {}, [&](Value index, ValueRange) -> Values {
                b.store(b.i32(0), b.offset(sharedY, b.mul(index, 4)));
                return {};
              });
  b.fenceSharedAccesses();
  b.syncThreads();

  Value warpgroup = b.div(thread, kWarpgroup);
  b.ifThenElse(
      b.isEqual(warpgroup, 0),
      [&] {
        b.setMaxRegisters(40, /*increase=*/false);
        b.ifThen(b.isEqual(thread, 0), [&] { bringInput(); });
        b.ifThen(b.isEqual(thread, 32), [&] { tell(); });
        b.ifThen(b.isEqual(thread, 64), [&] { bringRanks(); });
      },
      [&] {
        b.ifThenElse(
            b.isEqual(warpgroup, 1),
            [&] {
              b.setMaxRegisters(216, /*increase=*/true);
              mix();
            },
            [&] { ifHasPiece([&] { multiply(b.add(warpgroup, -2)); }); });
      });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

SmallVector<Value> BlastExchangeBuilder::forEachSlice(
    ValueRange carried,
    function_ref<Values(Value tile, Value slice, ValueRange carried)> body) {
  return b.forLoop(group, b.i32(d.tiles), b.i32(d.groups), carried,
                   [&](Value tile, ValueRange carried) {
                     return b.forLoop(b.i32(0), b.i32(d.slices), b.i32(1),
                                      carried,
                                      [&](Value slice, ValueRange carried) {
                                        return body(tile, slice, carried);
                                      });
                   });
}

void BlastExchangeBuilder::bringInput() {
  // X and Vt may be what an earlier kernel wrote.
  b.waitForPrerequisiteGrids();
  Value block = b.div(member, d.piecesQ);
  Value column = b.mul(b.rem(member, d.piecesQ), d.steps * kTileK);
  Value policy = b.createPolicy(/*keeps=*/false);
  Values carried{b.i32(1)};
  carried.append(ringV->startFilling());
  ifHasPiece([&] {
    forEachSlice(carried, [&](Value tile, Value slice, ValueRange carried) {
      Value parity = carried[0];
      Values ring(carried.drop_front());
      Value isFirst = b.isEqual(slice, 0);
      for (int64_t step = 0; step < d.steps; ++step) {
        Value from = b.add(column, step * kTileK);
        b.ifThen(isFirst, [&] {
          Value full = ringX->getFull(b.i32(step));
          b.wait(ringX->getEmpty(b.i32(step)), parity);
          b.arriveExpectBytes(full, d.stepBytesX);
          b.loadTile(b.offset(sharedX, step * d.stepBytesX), x,
                     {from, b.mul(tile, schedule.tileM), block}, full, policy);
        });
        Value full = ringV->getFull(ring[0]);
        b.wait(ringV->getEmpty(ring[0]), ring[1]);
        b.arriveExpectBytes(full, d.stageBytesV);
        b.loadTile(b.offset(sharedV, b.mul(ring[0], d.stageBytesV)), vt,
                   {from, b.mul(slice, d.sliceRanks), block}, full);
        ring = ringV->advance(ring);
      }
      // Of X there is one place for all tiles.
      Values next{b.select(isFirst, b.bitXor(parity, b.i32(1)), parity)};
      next.append(ring);
      return next;
    });
  });
}

void BlastExchangeBuilder::tell() {
  Values carried = exchange->startEmptying();
  carried.append(copied->startFilling());
  carried.push_back(b.i32(0));
  forEachSlice(carried, [&](Value, Value, ValueRange carried) {
    ValueRange made = carried.take_front(2), read = carried.slice(2, 2);
    Value slot = carried[4];
    ifHasPiece([&] { b.wait(exchange->getFull(made[0]), made[1]); });
    b.wait(copied->getEmpty(read[0]), read[1]);
    b.addRelease(getCounter(slot), b.i32(1));
    Values next = exchange->advance(made);
    next.append(copied->advance(read));
    next.push_back(advanceSlot(slot));
    return next;
  });
}

void BlastExchangeBuilder::bringRanks() {
  // Each launch has counted as many blocks as a group has, and each of its
  // slices in the places of memory by turns.
  Value launch = b.div(b.atomicAdd(counters, b.i32(1)), kGroup);
  Value slices = getSlices();
  Value uses = b.div(slices, schedule.depth);
  Value more = b.rem(slices, schedule.depth);
  Value source = b.offset(scratch, b.mul(member, kUnitBytes));
  Values carried = ringY->startFilling();
  carried.append(exchange->startEmptying());
  carried.append({b.i32(0), b.i32(1)});
  forEachSlice(carried, [&](Value, Value, ValueRange carried) {
    Values ring(carried.take_front(2));
    ValueRange seen = carried.slice(2, 2);
    Value slot = carried[4], use = carried[5];
    Value before =
        b.mul(launch,
              b.add(uses, b.select(b.isLess(slot, more), b.i32(1), b.i32(0))));
    b.waitForCount(getCounter(slot), b.mul(b.add(before, use), kGroup));
    b.arrive(exchange->getEmpty(seen[0]));
    Value from = b.offset(source, b.mul(slot, kSliceBytes));
    for (int64_t mixTile = 0; mixTile < kMixTiles; ++mixTile) {
      Value full = ringY->getFull(ring[0]);
      Value target = b.offset(sharedY, b.mul(ring[0], kTileBytes));
      Value place = b.offset(from, mixTile * kTileBytes);
      b.wait(ringY->getEmpty(ring[0]), ring[1]);
      b.arriveExpectBytes(full, 2 * kTileRanks * d.pieces * kRowBytes);
      if (d.pieces == kMaxMixed)
        b.loadBulk(target, place, kTileBytes, full);
      else
        for (int64_t byte = 0; byte < kTileBytes; byte += kRankBytes)
          b.loadBulk(b.offset(target, byte), b.offset(place, byte),
                     d.pieces * kRowBytes, full);
      ring = ringY->advance(ring);
    }
    Values next = ring;
    next.append(exchange->advance(seen));
    Value nextSlot = advanceSlot(slot);
    next.push_back(nextSlot);
    next.push_back(b.select(b.isEqual(nextSlot, 0), b.add(use, 1), use));
    return next;
  });
}

void BlastExchangeBuilder::multiply(Value warpgroup) {
  // The two parts of a slice are side by side in its ranks or in its tokens.
  bool areRanks = d.sliceRanks > kPartRanks;
  constexpr int64_t partBytesV = kPartRanks * kTileK * kElementBytes;
  constexpr int64_t partBytesX = kPartTokens * kTileK * kElementBytes;
  Value offsetV = b.mul(warpgroup, areRanks ? partBytesV : 0);
  Value offsetX = b.mul(warpgroup, areRanks ? 0 : partBytesX);
  // The unit of the thread's first rank, and where this rank and the block's
  // piece are in it.
  Value unit = b.add(
      b.mul(warp, 2 * d.tokenUnits),
      b.mul(warpgroup, areRanks ? kPartRanks / kUnitRanks * d.tokenUnits : 1));
  Value rank = b.div(lane, 4);
  Value target = b.offset(
      scratch, b.add(b.add(b.mul(unit, kUnitBytes), b.mul(member, kRowBytes)),
                     b.add(b.mul(b.rem(rank, kMixTiles), kTileBytes),
                           b.mul(b.div(rank, kMixTiles), kRankBytes))));
  // They are swizzled as products want them.
  Value chunks[2];
  for (int64_t part = 0; part < 2; ++part)
    chunks[part] =
        b.mul(b.bitXor(b.add(b.rem(lane, 4), 4 * part), b.rem(member, 8)), 16);
  // They come again and again, and are read soon.
  Value policy = b.createPolicy(/*keeps=*/true);
  Value isFirstLane = b.isEqual(lane, 0);
  auto release = [&](Value barrier, Value condition) {
    b.ifThen(condition, [&] { b.arrive(barrier); });
  };

  // The two multiply by turns, so that one stores meanwhile.
  Value isSecond = b.isPositive(warpgroup), zero = b.i32(0);
  Value full = turns->getFull(zero), empty = turns->getEmpty(zero);
  Value turn = b.select(isSecond, full, empty);
  Value otherTurn = b.select(isSecond, empty, full);
  Values carried{zero, zero};
  carried.append(ringV->startEmptying());
  carried.append(exchange->startFilling());
  carried.push_back(b.select(isSecond, zero, b.i32(1)));
  forEachSlice(carried, [&](Value, Value slice, ValueRange carried) {
    Value slot = carried[0], parityX = carried[1];
    Values ring(carried.slice(2, 2));
    ValueRange made = carried.slice(4, 2);
    Value isLast = b.isEqual(slice, d.slices - 1);
    Value releasesX = arith::AndIOp::create(b, isFirstLane, isLast);
    Value accumulators = b.newAccumulators(kPartTokens), previous;
    b.wait(turn, carried[6]);
    for (int64_t step = 0; step < d.steps; ++step) {
      Value stage = ring[0];
      b.wait(ringX->getFull(b.i32(step)), parityX);
      b.wait(ringV->getFull(stage), ring[1]);
      Value factor = b.matrixDescriptor(
          b.offset(sharedV, b.add(b.mul(stage, d.stageBytesV), offsetV)));
      Value input = b.matrixDescriptor(
          b.offset(sharedX, b.add(offsetX, step * d.stepBytesX)));
      b.fenceProducts();
      for (int64_t k = 0; k < kTileK; k += 16) {
        Value advanceK = b.i64(k * kElementBytes / 16);
        accumulators =
            b.multiply(accumulators, arith::AddIOp::create(b, factor, advanceK),
                       arith::AddIOp::create(b, input, advanceK), kPartTokens,
                       problem.elementType, /*isFirst=*/step == 0 && k == 0);
      }
      b.commitProducts();
      if (step == d.steps - 1)
        release(otherTurn, isFirstLane);
      if (step > 0) {
        b.waitForPreviousProducts();
        release(ringV->getEmpty(previous), isFirstLane);
        release(ringX->getEmpty(b.i32(step - 1)), releasesX);
      }
      previous = stage;
      ring = ringV->advance(ring);
    }
    accumulators = b.waitForProducts(accumulators);
    release(ringV->getEmpty(previous), isFirstLane);
    release(ringX->getEmpty(b.i32(d.steps - 1)), releasesX);

    b.wait(exchange->getEmpty(made[0]), made[1]);
    storeY(target, chunks, slot, accumulators, policy);
    ifOneLane([&] { b.arrive(exchange->getFull(made[0])); });
    Values next{advanceSlot(slot),
                b.select(isLast, b.bitXor(parityX, b.i32(1)), parityX)};
    next.append(ring);
    next.append(exchange->advance(made));
    next.push_back(b.bitXor(carried[6], b.i32(1)));
    return next;
  });
}

void BlastExchangeBuilder::storeY(Value target, ArrayRef<Value> chunks,
                                  Value slot, Value accumulators,
                                  Value policy) {
  SmallVector<Value> elements = b.getElements(accumulators);
  Value slice = b.offset(target, b.mul(slot, kSliceBytes));
  // The lower rank is 8 more.
  for (int64_t lower = 0; lower < 2; ++lower)
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t part = 0; part < 2; ++part) {
        Words words;
        for (int64_t i = 0; i < 4; ++i) {
          int64_t element = 4 * (8 * half + 4 * part + i) + 2 * lower;
          words.push_back(b.pack(elements[element], elements[element + 1],
                                 problem.elementType));
        }
        Value address =
            b.offset(b.offset(slice, chunks[part]),
                     lower * d.tokenUnits * kUnitBytes + half * kTileHalfBytes);
        b.storeGlobal(words, address, policy);
      }
}

void BlastExchangeBuilder::bringScales(Value slice) {
  Value rank = b.min(getFirstRank(slice), b.i32(problem.rank - kUnitRanks));
  int64_t count = problem.bOut * problem.bIn;
  for (int64_t first = 0; first < count; first += kWarpgroup) {
    Value block = b.add(b.rem(b.threadIdx(), kWarpgroup), first);
    auto bring = [&] {
      Value index = b.add(b.mul(block, problem.rank), rank);
      b.copyAsync(getScales(block), b.offset(s, b.mul(index, kElementBytes)),
                  kScaleBytes);
    };
    if (first + kWarpgroup <= count)
      bring();
    else
      b.ifThen(b.isLess(block, b.i32(count)), bring);
  }
}

SmallVector<Value> BlastExchangeBuilder::takeScales() {
  b.waitForCopies();
  b.namedBarrier(b.i32(1), kWarpgroup);
  Values scales;
  for (int64_t lower = 0; lower < 2; ++lower)
    for (int64_t upper = 0; upper < 2; ++upper)
      for (int64_t next = 0; next < 2; ++next) {
        Value i = b.add(b.div(lane, 4), 8 * lower);
        if (problem.bOut < kMaxMixed)
          i = b.min(i, b.i32(problem.bOut - 1));
        // Y of pieces that there are not is zero.
        Value piece = b.add(b.mul(b.rem(lane, 4), 2), 8 * upper + next);
        Value j = b.min(b.div(piece, d.piecesQ), b.i32(problem.bIn - 1));
        Value block = b.add(b.mul(i, problem.bIn), j);
        scales.push_back(b.load(
            b.getI32Type(), b.offset(getScales(block),
                                     b.mul(warp, kMixTiles * kElementBytes))));
      }
  b.namedBarrier(b.i32(1), kWarpgroup);
  return scales;
}

SmallVector<Value> BlastExchangeBuilder::getFactors(ValueRange scales) {
  Values factors;
  for (int64_t mixTile = 0; mixTile < kMixTiles; ++mixTile)
    for (int64_t rank = 0; rank < kTileRanks; ++rank)
      for (int64_t upper = 0; upper < 2; ++upper)
        for (int64_t lower = 0; lower < 2; ++lower) {
          Value word = b.interleave(scales[4 * lower + 2 * upper],
                                    scales[4 * lower + 2 * upper + 1], mixTile);
          factors.push_back(b.select(b.isEqual(warp, rank), word, b.i32(0)));
        }
  return factors;
}

void BlastExchangeBuilder::mix() {
  // S may be what an earlier kernel wrote.
  b.waitForPrerequisiteGrids();
  // Z is read by another kernel, and more than fits the L2 cache.
  Value policy = b.createPolicy(/*keeps=*/false);
  int64_t pitch = getBlastExchangePitchZ(schedule);
  // The thread's block row, another one is 8 more, and its first tokens.
  Value row = b.div(lane, 4);
  Value firstToken = b.add(b.mul(b.rem(member, d.tokenUnits), kUnitTokens),
                           b.mul(b.rem(lane, 4), 8));
  auto extend = [&](Value value) -> Value {
    return arith::ExtUIOp::create(b, b.getI64Type(), value);
  };
  // The warp's ranks of a slice, one of each of the tiles.
  auto getRank = [&](Value slice) {
    return b.add(getFirstRank(slice), b.mul(warp, kMixTiles));
  };
  struct Products {
    Value accumulators, stage;
  };
  // The products of a tile, rank by rank.
  auto issue = [&](Values &ring, ArrayRef<Value> factors, int64_t mixTile) {
    Products products{b.newAccumulators(kUnitTokens), ring[0]};
    b.wait(ringY->getFull(ring[0]), ring[1]);
    Value tokens = b.matrixDescriptor(
        b.offset(sharedY, b.mul(ring[0], kTileBytes)), kTileHalfBytes);
    b.fenceProducts();
    for (int64_t rank = 0; rank < kTileRanks; ++rank) {
      products.accumulators = b.multiplyRegisters(
          products.accumulators,
          factors.slice(4 * (kTileRanks * mixTile + rank), 4),
          arith::AddIOp::create(b, tokens, b.i64(rank * kRankBytes / 16)),
          kUnitTokens, problem.elementType, /*isFirst=*/rank == 0);
    }
    b.commitProducts();
    ring = ringY->advance(ring);
    return products;
  };
  // Waits for them: 16 bytes each of 8 tokens, for two block rows by four times
  // 32 tokens.
  auto finish = [&](const Products &products, int64_t pending) {
    Values elements =
        b.getElements(b.waitForProducts(products.accumulators, pending));
    ifOneLane([&] { b.arrive(ringY->getEmpty(products.stage)); });
    Words words;
    for (int64_t lower = 0; lower < 2; ++lower)
      for (int64_t block = 0; block < kUnitTokens / 8; ++block) {
        int64_t element = 4 * block + 2 * lower;
        words.push_back(b.pack(elements[element], elements[element + 1],
                               problem.elementType));
      }
    return words;
  };
  auto store = [&](ValueRange words, Value tile, Value slice, int64_t mixTile) {
    Value rank = b.add(getRank(slice), mixTile);
    Value token = b.add(b.mul(tile, schedule.tileM), firstToken);
    Value index = arith::AddIOp::create(
        b, arith::MulIOp::create(b, extend(row), b.i64(problem.rank)),
        extend(rank));
    index = arith::AddIOp::create(
        b, arith::MulIOp::create(b, index, b.i64(pitch)), extend(token));
    Value target =
        b.offset(z, arith::MulIOp::create(b, index, b.i64(kElementBytes)));
    // Tokens that are there from the first one on.
    Value count =
        b.sub(b.i32(schedule.tokens), b.min(token, b.i32(schedule.tokens)));
    bool isTokenSure = schedule.tokens % schedule.tileM == 0;
    if (problem.rank % d.sliceRanks)
      count = b.select(b.isLess(rank, b.i32(problem.rank)), count, b.i32(0));
    for (int64_t lower = 0; lower < 2; ++lower)
      for (int64_t part = 0; part < kUnitTokens / 32; ++part) {
        Value condition;
        auto require = [&](Value other) {
          condition =
              condition ? arith::AndIOp::create(b, condition, other) : other;
        };
        if (!isTokenSure || problem.rank % d.sliceRanks)
          require(b.isLess(b.i32(isTokenSure ? 0 : 32 * part), count));
        if (problem.bOut < 8 * (lower + 1))
          require(b.isLess(b.add(row, 8 * lower), b.i32(problem.bOut)));
        auto write = [&] {
          b.storeGlobal(
              SmallVector<Value>(words.slice(16 * lower + 4 * part, 4)),
              b.offset(target,
                       b.i64((8 * lower * problem.rank * pitch + 32 * part) *
                             kElementBytes)),
              policy);
        };
        if (condition)
          b.ifThen(condition, write);
        else
          write();
      }
  };

  // The second tile of a slice is stored while the next slice is multiplied,
  // whose S is taken from shared memory before. Carried are the rings, the
  // place of the slice and of the one before, S, and the words of the second
  // tile before.
  constexpr int64_t numScales = 8;
  auto getNext = [&](Value slice) {
    Value wraps = b.isEqual(slice, d.slices - 1);
    return b.select(wraps, b.i32(0), b.add(slice, 1));
  };
  Value zero = b.i32(0);
  Values carried = ringY->startEmptying();
  carried.append(copied->startEmptying());
  carried.append({group, zero, group, zero});
  bringScales(zero);
  carried.append(takeScales());
  bringScales(getNext(zero));
  auto step = [&](ValueRange carried, bool isFirst) {
    Values ring(carried.take_front(2));
    ValueRange read = carried.slice(2, 2);
    Value tile = carried[4], slice = carried[5];
    Value nextSlice = getNext(slice);
    Value nextTile =
        b.select(b.isEqual(nextSlice, 0), b.add(tile, d.groups), tile);
    Values factors = getFactors(carried.slice(8, numScales));
    Products first = issue(ring, factors, 0);
    if (!isFirst)
      store(carried.drop_front(8 + numScales), carried[6], carried[7], 1);
    Products second = issue(ring, factors, 1);
    // All that the block needs of the slice is in shared memory.
    b.ifThen(b.isEqual(b.rem(b.threadIdx(), kWarpgroup), 0),
             [&] { b.arrive(copied->getEmpty(read[0])); });
    Values scales = takeScales();
    bringScales(getNext(nextSlice));
    store(finish(first, 1), tile, slice, 0);
    Words words = finish(second, 0);
    Values next = ring;
    next.append(copied->advance(read));
    next.append({nextTile, nextSlice, tile, slice});
    next.append(scales);
    next.append(words);
    return next;
  };
  carried = step(carried, true);
  carried = b.forLoop(
      b.i32(1), getSlices(), b.i32(1), carried,
      [&](Value, ValueRange carried) { return step(carried, false); });
  store(ValueRange(carried).drop_front(8 + numScales), carried[6], carried[7],
        1);
}

Kernel structured::buildBlastExchange(gpu::GPUModuleOp module, StringRef name,
                                      const BlastProblem &problem,
                                      const BlastExchangeSchedule &schedule) {
  return BlastExchangeBuilder(module, problem, schedule).build(name);
}
