// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The first two stages of a BLAST product, or all three. A thread block makes
// the Y[j] of a tile, one after the other, each as a product of its own. A
// thread puts its part of Y[j] aside, in memory of its block that stays in the
// L2 cache; when all are made, the copy engine brings them back through the
// stages that the operands came through, each thread's part to this thread. The
// last Y[j] need not leave the registers. With few tiles several blocks, a
// group, share one: each makes some of the Y[j] and, when the group is done,
// mixes some of the columns; of its own last Y[j] these stay in its registers.
// Such a kernel can go on with the third stage: each block makes a tile of the
// result, whose U it has begun to bring while Z is being made, and waits until
// a counter says that all of the tokens' Z is there.
//
// The tensor cores mix. An operand of mma.m16n8k16 holds 16 tokens by 4 ranks
// of 4 block columns, the other one S of these for 2 block rows, zero where the
// ranks differ. The accumulators of the warpgroup's products have the layout
// of the operand up to the order of halves of registers, and the result has it
// again.

#include "BlastMixPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

static constexpr int64_t kConsumers = 2;
static constexpr int64_t kConsumerThreads = kConsumers * kWarpgroup;
static constexpr int64_t kVectorBytes = 16;
static constexpr int64_t kBlocks = kPartN / 8;

namespace {
class BlastMixBuilder {
public:
  BlastMixBuilder(gpu::GPUModuleOp module, const BlastProblem &problem,
                  const BlastMixSchedule &schedule)
      : module(module), problem(problem), schedule(schedule),
        plan{problem, schedule}, shape(plan.getShape()),
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  /// Words (two ranks of a token each) of a thread: for each 8 ranks two, of
  /// its upper and its lower token.
  using Words = SmallVector<Value>;
  using Operands = SmallVector<Words>;

  void produce();
  void consume(Value warpgroup);
  /// Calls `body` for each tile of the block, with the ring.
  void
  forEachTile(ValueRange ring,
              function_ref<SmallVector<Value>(TilePosition, ValueRange)> body);
  /// The words of the parts of a product.
  SmallVector<Words> packParts(ArrayRef<Value> product);
  /// Those that the block mixes.
  SmallVector<Words> selectOwn(ArrayRef<Words> parts);
  /// The block column that comes at `position` where Y[j] are mixed: the
  /// block's last one comes last.
  Value getColumn(int64_t position);
  /// Part `index` of Y[j] in the tile's scratch memory: vectors of 16 bytes,
  /// those of all threads side by side.
  Value getPart(Value j, Value index);
  /// Puts Y[j] aside; of the last one, all but what the block mixes.
  void keep(Value j, ArrayRef<Words> parts, bool isLast = false);
  /// Waits until all blocks of the group have put their Y[j] aside.
  void waitForKept(Value parity);
  /// Has part `index` of the Y[j] that were put aside brought back.
  SmallVector<Value> bring(ValueRange ring, Value index);
  /// The thread's words of what was brought.
  SmallVector<Words> take(SmallVector<Value> &ring);
  /// Brings Z and U of the block's tile of the result; `row` is the first token
  /// of its own Z.
  void produceResult(ValueRange ring, Value row);
  /// Stores the block's tile of the result.
  void storeResult(Value warpgroup, ArrayRef<Value> product);
  TilePosition locateResult();
  /// Says that all warps are done with what they had to store.
  void arriveStored();
  /// Has S of each tile in shared memory, as `mixPair` needs it.
  void assist(Value thread);
  /// S of two block rows and 8 ranks.
  Value getScales(Value pair, Value block);
  /// Mixes the words `y` of all Y[j] in part `index` of the tile, of which the
  /// warp has the first rows, and stores them.
  void mix(ArrayRef<Words> y, Value index, TilePosition tile);
  void mixPair(ArrayRef<Words> tokens, Value pair, Value index,
               TilePosition tile);
  /// Writes the words of two blocks of 8 ranks.
  void writeShared(Value target, int64_t block, ArrayRef<Value> words);
  Value getSharedBytes(Value row, Value chunk);
  /// Copies the warp's 16 rows of a part to Z[i].
  void copyOut(Value source, Value i, Value rank, Value row);

  int64_t getPartBytes() const {
    return schedule.tileM * kPartN * kElementBytes;
  }
  /// The Y[j] that are brought back in one stage.
  int64_t getTakenInStage() const {
    return shape.getStageBytes() / getPartBytes();
  }
  int64_t getPairs() const { return llvm::divideCeil(problem.bOut, kPair); }
  int64_t getQuads() const { return llvm::divideCeil(problem.bIn, kQuad); }
  int64_t getWords() const { return kPartN / 8 * 2; }
  int64_t getSteps() const {
    return llvm::divideCeil(problem.n / problem.bIn, kTileK);
  }
  int64_t getResultSteps() const {
    return llvm::divideCeil(problem.rank, kTileK);
  }
  gpu::GPUModuleOp module;
  const BlastProblem &problem;
  const BlastMixSchedule &schedule;
  BlastMixPlan plan;
  TilePipelineShape shape;
  HopperBuilder b;
  std::optional<TilePipeline> pipeline;
  // Arguments and what follows from them.
  Value x, vt, z, s, scratchMemory, counters, zTiles, u, o;
  Value tokens, numTiles, tilesM;
  // Of the block: its group, the number of groups, and its place in its own.
  Value group, groups, member;
  // The memory of the group's tile, and the barrier that the block's part of
  // it is there, and then its Z; S of a tile, and its barriers.
  Value scratch, kept, scales, scalesFull, scalesEmpty;
  // With this one, of the thread that has tiles brought.
  Value launches;
  // Of the thread that multiplies.
  Value lane, consumer, storage, onDiagonal;
};
} // namespace

Kernel BlastMixBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroup * (1 + kConsumers);
  kernel.sharedMemoryBytes = getBlastMixSharedMemory(problem, schedule);

  SmallVector<Type> types(6, b.getPointerType());
  types.push_back(b.getI32Type());
  if (schedule.allStages)
    types.append(3, b.getPointerType());
  LLVM::LLVMFuncOp function =
      createKernel(b, module, name, types, kernel.threads);
  x = function.getArgument(0);
  vt = function.getArgument(1);
  z = function.getArgument(2);
  s = function.getArgument(3);
  scratchMemory = function.getArgument(4);
  counters = function.getArgument(5);
  tokens = function.getArgument(6);
  SmallVector<Value> descriptors{x, vt};
  if (schedule.allStages) {
    zTiles = function.getArgument(7);
    u = function.getArgument(8);
    o = function.getArgument(9);
    descriptors.append({zTiles, u, o});
  }

  b.ifThen(b.isEqual(b.threadIdx(), 0), [&] {
    for (Value descriptor : descriptors)
      b.prefetchDescriptor(descriptor);
  });
  Value shared = getSharedMemory(b, module);
  pipeline.emplace(b, shape, shared);
  kept = b.offset(shared, shape.getSharedBytes());
  scalesFull = b.offset(kept, 16);
  scalesEmpty = b.offset(kept, 32);
  scales = b.offset(kept, kMixBarrierBytes);
  b.ifThen(b.isEqual(b.threadIdx(), 0), [&] {
    b.initBarrier(kept, kConsumerThreads / 32);
    b.initBarrier(scalesFull, kAssistants / 32);
    b.initBarrier(scalesEmpty, kConsumerThreads / 32);
  });
  tilesM = b.ceilDiv(tokens, schedule.tileM);
  numTiles = b.mul(tilesM, llvm::divideCeil(problem.rank, schedule.tileN));
  group = b.div(b.blockIdx(), schedule.split);
  groups = b.div(b.gridDim(), schedule.split);
  member = b.rem(b.blockIdx(), schedule.split);
  scratch = b.offset(
      scratchMemory,
      b.mul(group, getBlastMixScratch(problem, schedule) * schedule.split));

  pipeline->run([&] { produce(); },
                [&](Value warpgroup) { consume(warpgroup); },
                [&](Value thread) { assist(thread); });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

void BlastMixBuilder::forEachTile(
    ValueRange ring,
    function_ref<SmallVector<Value>(TilePosition, ValueRange)> body) {
  b.forLoop(group, numTiles, groups, ring, [&](Value index, ValueRange ring) {
    return body(locateTile(b, index, tilesM,
                           llvm::divideCeil(problem.rank, schedule.tileN),
                           /*batch=*/1, schedule.groupM, schedule.tileM,
                           schedule.tileN),
                ring);
  });
}

void BlastMixBuilder::produce() {
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  if (schedule.split > 1) {
    Value memory = b.offset(counters, b.mul(numTiles, kCounterBytes));
    memory = b.offset(memory, b.mul(b.blockIdx(), kLaunchBytes));
    launches = b.add(b.load(b.getI32Type(), memory), 1);
    b.store(launches, memory);
  }
  Value first = b.mul(member, plan.getOwn());
  SmallVector<Value> carried{b.i32(0)};
  llvm::append_range(carried, pipeline->startProducing());
  forEachTile(carried, [&](TilePosition tile, ValueRange carried) {
    SmallVector<Value> ring =
        b.forLoop(first, b.add(first, plan.getOwn()), b.i32(1),
                  carried.drop_front(), [&](Value j, ValueRange ring) {
                    return pipeline->produce(ring, x, vt, tile.row, tile.col, j,
                                             b.i32(getSteps()));
                  });
    if (plan.getTaken() > 0) {
      waitForKept(carried[0]);
      ring = b.forLoop(
          member, b.i32(plan.getParts()), b.i32(schedule.split), ring,
          [&](Value index, ValueRange ring) { return bring(ring, index); });
      if (schedule.allStages)
        produceResult(ring, tile.row);
    }
    SmallVector<Value> next{b.bitXor(carried[0], b.i32(1))};
    llvm::append_range(next, ring);
    return next;
  });
}

void BlastMixBuilder::consume(Value warpgroup) {
  lane = b.laneIdx();
  consumer = b.add(b.threadIdx(), -kWarpgroup);
  Value warp = b.div(consumer, 32);
  storage =
      b.offset(pipeline->getStorage(),
               b.mul(warp, kPair * kRowsPerWarp * kPartN * kElementBytes));
  // Of S, only what multiplies a rank with itself.
  onDiagonal = b.select(arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                              b.rem(lane, 4), b.div(lane, 8)),
                        b.i32(-1), b.i32(0));
  Value steps = b.i32(getSteps());
  Value first = b.mul(member, plan.getOwn());
  SmallVector<Value> carried{b.i32(0)};
  llvm::append_range(carried, pipeline->startConsuming());
  forEachTile(carried, [&](TilePosition tile, ValueRange carried) {
    int64_t beforeLast = plan.getOwn() - plan.staysLast();
    SmallVector<Value> ring = b.forLoop(
        first, b.add(first, beforeLast), b.i32(1), carried.drop_front(),
        [&](Value j, ValueRange values) {
          SmallVector<Value> ring(values);
          keep(j, packParts(pipeline->consume(warpgroup, ring, steps)));
          return ring;
        });
    SmallVector<Words> last;
    auto multiplyLast = [&] {
      last = packParts(pipeline->consume(warpgroup, ring, steps));
    };
    if (plan.staysLast() && schedule.split > 1) {
      multiplyLast();
      keep(b.add(first, beforeLast), last, /*isLast=*/true);
      last = selectOwn(last);
    }
    if (plan.getTaken() > 0) {
      b.fenceGlobalWrites();
      arriveStored();
    }
    if (plan.staysLast() && schedule.split == 1)
      multiplyLast();
    tile.row = b.add(tile.row, b.mul(warp, kRowsPerWarp));
    b.wait(scalesFull, carried[0]);
    if (plan.staysLast())
      for (auto [part, words] : llvm::enumerate(last)) {
        SmallVector<Words> y = take(ring);
        y.push_back(words);
        mix(y, b.add(member, part * schedule.split), tile);
      }
    else
      ring = b.forLoop(member, b.i32(plan.getParts()), b.i32(schedule.split),
                       ring, [&](Value index, ValueRange values) {
                         SmallVector<Value> ring(values);
                         mix(take(ring), index, tile);
                         return ring;
                       });
    b.syncWarp();
    b.ifThen(b.isEqual(lane, 0), [&] { b.arrive(scalesEmpty); });
    if (schedule.allStages) {
      b.fenceGlobalWrites();
      arriveStored();
      storeResult(warpgroup,
                  pipeline->consume(warpgroup, ring, b.i32(getResultSteps())));
    }
    SmallVector<Value> next{b.bitXor(carried[0], b.i32(1))};
    llvm::append_range(next, ring);
    return next;
  });
}

void BlastMixBuilder::arriveStored() {
  b.syncWarp();
  b.ifThen(b.isEqual(lane, 0), [&] { b.arrive(kept); });
}

void BlastMixBuilder::waitForKept(Value parity) {
  b.wait(kept, parity);
  if (schedule.split == 1)
    return b.fenceGlobalWrites();
  // Each launch adds the number of blocks.
  Value counter = b.offset(counters, b.mul(group, kCounterBytes));
  b.addRelease(counter, b.i32(1));
  b.waitForCount(counter, b.mul(launches, schedule.split));
}

TilePosition BlastMixBuilder::locateResult() {
  int64_t tilesP = llvm::divideCeil(problem.m / problem.bOut, schedule.tileN);
  Value column = b.div(b.blockIdx(), tilesM);
  TilePosition tile;
  tile.row = b.mul(b.rem(b.blockIdx(), tilesM), schedule.tileM);
  tile.batch = b.div(column, tilesP);
  tile.col = b.mul(b.rem(column, tilesP), schedule.tileN);
  return tile;
}

void BlastMixBuilder::produceResult(ValueRange ring, Value row) {
  StageRing &stages = pipeline->getRing();
  TilePosition tile = locateResult();
  auto bringU = [&](ValueRange ring, Value step) {
    b.wait(stages.getEmpty(ring[0]), ring[1]);
    Value full = stages.getFull(ring[0]);
    b.arriveExpectBytes(full, shape.getStageBytes());
    b.loadTile(b.offset(pipeline->getStage(ring[0]), pipeline->getOffsetB()), u,
               {b.mul(step, kTileK), tile.col, tile.batch}, full);
  };
  auto bringZ = [&](ValueRange ring, Value step) {
    b.loadTile(pipeline->getStage(ring[0]), zTiles,
               {b.mul(step, kTileK), tile.row, tile.batch},
               stages.getFull(ring[0]));
  };
  auto getCounter = [&](Value row) {
    return b.offset(counters,
                    b.add(b.mul(b.div(row, schedule.tileM), kCounterBytes),
                          kRowCounterOffset));
  };
  // As much of U as there is room for, before Z is there.
  int64_t steps = getResultSteps(), ahead = std::min(steps, schedule.stages);
  SmallVector<Value> next(ring);
  for (int64_t step = 0; step < ahead; ++step) {
    bringU(next, b.i32(step));
    next = stages.advance(next);
  }
  b.wait(kept, b.i32(1));
  b.addRelease(getCounter(row), b.i32(1));
  b.waitForCount(getCounter(tile.row), b.mul(launches, plan.getBlocksPerRow()));
  next.assign(ring.begin(), ring.end());
  for (int64_t step = 0; step < ahead; ++step) {
    bringZ(next, b.i32(step));
    next = stages.advance(next);
  }
  b.forLoop(b.i32(ahead), b.i32(steps), b.i32(1), next,
            [&](Value step, ValueRange ring) {
              bringU(ring, step);
              bringZ(ring, step);
              return stages.advance(ring);
            });
}

void BlastMixBuilder::storeResult(Value warpgroup, ArrayRef<Value> product) {
  TilePosition tile = locateResult();
  // What the warpgroup alone reads of the stages is free: its rows of Z.
  Value rows = b.mul(warpgroup, kRowsPerWarpgroup);
  Value isStoring = pipeline->isStoringThread();
  for (int64_t first = 0; first < schedule.tileN; first += kStoreN) {
    int64_t index = first / kStoreN;
    Value target = b.offset(pipeline->getStage(b.i32(index % schedule.stages)),
                            b.mul(rows, kTileK * kElementBytes));
    if (index >= schedule.stages) {
      b.ifThen(isStoring, [&] {
        b.waitForStores(schedule.stages - 1, /*readOnly=*/true);
      });
      b.namedBarrier(b.add(warpgroup, 1), kWarpgroup);
    }
    pipeline->storeBy(warpgroup, target, o, b.add(tile.col, first),
                      b.add(tile.row, rows), tile.batch,
                      [&](int64_t block, bool lower) {
                        int64_t element = 4 * (first / 8 + block) + 2 * lower;
                        return b.pack(product[element], product[element + 1],
                                      problem.elementType);
                      });
  }
  b.ifThen(isStoring, [&] { b.waitForStores(0, /*readOnly=*/true); });
}

SmallVector<BlastMixBuilder::Words>
BlastMixBuilder::packParts(ArrayRef<Value> product) {
  SmallVector<Words> parts(plan.getParts());
  for (size_t element = 0; element < product.size(); element += 2)
    parts[element / (2 * getWords())].push_back(
        b.pack(product[element], product[element + 1], problem.elementType));
  return parts;
}

SmallVector<BlastMixBuilder::Words>
BlastMixBuilder::selectOwn(ArrayRef<Words> parts) {
  SmallVector<Words> own;
  for (int64_t first = 0; first < plan.getParts(); first += schedule.split) {
    Words &words = own.emplace_back(parts[first]);
    for (int64_t next = 1; next < schedule.split; ++next)
      for (auto [word, other] : llvm::zip_equal(words, parts[first + next]))
        word = b.select(b.isEqual(member, next), other, word);
  }
  return own;
}

Value BlastMixBuilder::getColumn(int64_t position) {
  if (!plan.staysLast())
    return b.i32(position);
  return b.rem(b.add(b.mul(b.add(member, 1), plan.getOwn()), position),
               problem.bIn);
}

Value BlastMixBuilder::getPart(Value j, Value index) {
  return b.offset(
      scratch, b.mul(b.add(b.mul(j, plan.getParts()), index), getPartBytes()));
}

void BlastMixBuilder::keep(Value j, ArrayRef<Words> parts, bool isLast) {
  for (auto [index, words] : llvm::enumerate(parts)) {
    auto store = [&, index = index, &words = words] {
      Value pointer =
          b.offset(getPart(j, b.i32(index)), b.mul(consumer, kVectorBytes));
      for (int64_t i = 0; i < getWords(); i += 4)
        b.storeGlobal(
            ArrayRef(words).slice(i, 4),
            b.offset(pointer, i / 4 * kVectorBytes * kConsumerThreads));
    };
    if (isLast)
      b.ifThen(arith::CmpIOp::create(b, arith::CmpIPredicate::ne, member,
                                     b.i32(index % schedule.split)),
               store);
    else
      store();
  }
}

SmallVector<Value> BlastMixBuilder::bring(ValueRange ring, Value index) {
  SmallVector<Value> next(ring);
  for (int64_t j = 0; j < plan.getTaken(); j += getTakenInStage()) {
    int64_t count = std::min(getTakenInStage(), plan.getTaken() - j);
    next = pipeline->fill(
        next, count * getPartBytes(), [&](Value stage, Value full) {
          for (int64_t i = 0; i < count; ++i)
            b.loadBulk(b.offset(stage, i * getPartBytes()),
                       getPart(getColumn(j + i), index), getPartBytes(), full);
        });
  }
  return next;
}

SmallVector<BlastMixBuilder::Words>
BlastMixBuilder::take(SmallVector<Value> &ring) {
  SmallVector<Words> y;
  auto type = VectorType::get(4, b.getI32Type());
  for (int64_t j = 0; j < plan.getTaken(); j += getTakenInStage()) {
    int64_t count = std::min(getTakenInStage(), plan.getTaken() - j);
    ring = pipeline->drain(ring, [&](Value stage) {
      for (int64_t i = 0; i < count; ++i) {
        Words words;
        for (int64_t vector = 0; vector < getWords() / 4; ++vector) {
          Value loaded =
              b.load(type, b.offset(stage, b.add(b.mul(consumer, kVectorBytes),
                                                 i * getPartBytes() +
                                                     vector * kVectorBytes *
                                                         kConsumerThreads)));
          for (int64_t word = 0; word < 4; ++word)
            words.push_back(b.extract(loaded, word));
        }
        y.push_back(words);
      }
    });
  }
  return y;
}

void BlastMixBuilder::assist(Value thread) {
  // S may be what an earlier kernel wrote.
  b.waitForPrerequisiteGrids();
  int64_t blocks = schedule.tileN / 8;
  Value isFirstLane = b.isEqual(b.rem(thread, 32), 0);
  forEachTile(ValueRange{b.i32(1)}, [&](TilePosition tile, ValueRange carried) {
    b.wait(scalesEmpty, carried[0]);
    b.forLoop(
        thread, b.i32(getPairs() * kPair * blocks * 4), b.i32(kAssistants), {},
        [&](Value index, ValueRange) -> SmallVector<Value> {
          // Two ranks of a block row.
          Value ranks = b.rem(index, 4);
          Value block = b.rem(b.div(index, 4), blocks);
          Value i = b.div(index, 4 * blocks);
          // What lies beyond the matrix is not stored.
          Value rank =
              b.min(b.add(tile.col, b.mul(block, 8)), b.i32(problem.rank - 8));
          Value row = b.mul(b.min(i, b.i32(problem.bOut - 1)), problem.bIn);
          Value source =
              b.offset(s, b.mul(b.add(b.add(b.mul(row, problem.rank), rank),
                                      b.mul(ranks, 2)),
                                kElementBytes));
          Value target = b.offset(
              getScales(b.div(i, kPair), block),
              b.mul(b.add(b.mul(ranks, kPair), b.rem(i, kPair)), kVectorBytes));
          for (int64_t j = 0; j < problem.bIn; j += kQuad) {
            Words loaded;
            for (int64_t next = j; next < j + kQuad; ++next)
              loaded.push_back(
                  next < problem.bIn
                      ? b.load(b.getI32Type(),
                               b.offset(source,
                                        b.mul(getColumn(next),
                                              problem.rank * kElementBytes)),
                               /*invariant=*/true)
                      : b.i32(0));
            Value words =
                LLVM::UndefOp::create(b, VectorType::get(4, b.getI32Type()));
            for (int64_t word = 0; word < 4; ++word)
              words = LLVM::InsertElementOp::create(
                  b, words,
                  b.interleave(loaded[word % 2 * 2], loaded[word % 2 * 2 + 1],
                               word / 2),
                  b.i32(word));
            b.store(words, b.offset(target, j / kQuad * kScaleBytes));
          }
          return {};
        });
    b.syncWarp();
    b.ifThen(isFirstLane, [&] { b.arrive(scalesFull); });
    return SmallVector<Value>{b.bitXor(carried[0], b.i32(1))};
  });
}

Value BlastMixBuilder::getScales(Value pair, Value block) {
  return b.offset(scales, b.mul(b.add(b.mul(pair, schedule.tileN / 8), block),
                                getQuads() * kScaleBytes));
}

void BlastMixBuilder::mix(ArrayRef<Words> y, Value index, TilePosition tile) {
  // The first operands of the products: for each block of 8 ranks, the even
  // and the odd ones, and each four block columns.
  Operands tokens;
  for (int64_t block = 0; block < kBlocks; ++block)
    for (int64_t odd = 0; odd < 2; ++odd)
      for (int64_t j = 0; j < problem.bIn; j += kQuad) {
        Words &words = tokens.emplace_back();
        auto get = [&](int64_t j, int64_t lower) {
          return j < problem.bIn ? y[j][2 * block + lower] : b.i32(0);
        };
        for (int64_t next = j; next < j + kQuad; next += 2)
          for (int64_t lower = 0; lower < 2; ++lower)
            words.push_back(
                b.interleave(get(next, lower), get(next + 1, lower), odd));
      }
  if (getPairs() * kPair <= kQuad)
    for (int64_t pair = 0; pair < getPairs(); ++pair)
      mixPair(tokens, b.i32(pair), index, tile);
  else
    b.forLoop(b.i32(0), b.i32(getPairs()), b.i32(1), {},
              [&](Value pair, ValueRange) -> SmallVector<Value> {
                mixPair(tokens, pair, index, tile);
                return {};
              });
}

void BlastMixBuilder::mixPair(ArrayRef<Words> tokens, Value pair, Value index,
                              TilePosition tile) {
  Value source = b.offset(
      getScales(pair, b.mul(index, kBlocks)),
      b.mul(b.add(b.mul(b.rem(lane, 4), kPair), b.rem(b.div(lane, 4), kPair)),
            kVectorBytes));
  constexpr int64_t bytes = kRowsPerWarp * kPartN * kElementBytes;
  auto type = VectorType::get(4, b.getI32Type());
  Words words[kPair];
  for (int64_t block = 0; block < kBlocks; ++block) {
    // Of the even ranks and of the odd ones.
    std::array<Value, 4> sums[2];
    Value zero = b.f32(0);
    sums[0] = sums[1] = {zero, zero, zero, zero};
    for (int64_t quad = 0; quad < getQuads(); ++quad) {
      Value loaded = b.load(
          type, b.offset(source, (block * getQuads() + quad) * kScaleBytes));
      for (int64_t odd = 0; odd < 2; ++odd) {
        Words factor;
        for (int64_t half = 0; half < 2; ++half)
          factor.push_back(
              b.bitAnd(b.extract(loaded, 2 * odd + half), onDiagonal));
        sums[odd] =
            b.multiplySmall(tokens[(2 * block + odd) * getQuads() + quad],
                            factor, sums[odd], problem.elementType);
      }
    }
    for (int64_t lower = 0; lower < 2; ++lower)
      for (int64_t next = 0; next < kPair; ++next)
        words[next].push_back(b.pack(sums[0][2 * lower + next],
                                     sums[1][2 * lower + next],
                                     problem.elementType));
  }
  // All lanes have copied out what was there.
  b.syncWarp();
  for (int64_t next = 0; next < kPair; ++next)
    for (int64_t block = 0; block < kBlocks; block += 2)
      writeShared(b.offset(storage, next * bytes), block,
                  ArrayRef(words[next]).slice(2 * block, 4));
  b.syncWarp();
  for (int64_t next = 0; next < kPair; ++next) {
    Value i = b.add(b.mul(pair, kPair), next);
    auto copy = [&] {
      copyOut(b.offset(storage, next * bytes), i,
              b.add(tile.col, b.mul(index, kPartN)), tile.row);
    };
    if (next == 0 || problem.bOut % kPair == 0)
      copy();
    else
      b.ifThen(b.isLess(i, b.i32(problem.bOut)), copy);
  }
}

/// The byte of a warp's 16 rows at which the 16 bytes `chunk` of `row` lie.
Value BlastMixBuilder::getSharedBytes(Value row, Value chunk) {
  // 4 chunks of two rows share the banks.
  Value swizzled = b.bitXor(chunk, b.rem(b.div(row, 2), 4));
  return b.add(b.mul(row, kPartN * kElementBytes), b.mul(swizzled, 16));
}

void BlastMixBuilder::copyOut(Value source, Value i, Value rank, Value row) {
  int64_t chunks = kPartN / 8, rows = 32 / chunks;
  int64_t rowBytes = getBlastPitchZ(problem) * kElementBytes;
  Value chunk = b.rem(lane, chunks), rowOfLane = b.div(lane, chunks);
  Value column = b.add(rank, b.mul(chunk, 8));
  Value token = b.add(row, rowOfLane);
  auto extend = [&](Value value) -> Value {
    return arith::ExtUIOp::create(b, b.getI64Type(), value);
  };
  Value index = arith::AddIOp::create(
      b, arith::MulIOp::create(b, extend(i), extend(tokens)), extend(token));
  index =
      arith::AddIOp::create(b, arith::MulIOp::create(b, index, b.i64(rowBytes)),
                            extend(b.mul(column, kElementBytes)));
  Value target = b.offset(z, index);
  // Tokens of the lane's that are there.
  Value count = b.select(b.isLess(column, b.i32(problem.rank)),
                         b.sub(tokens, b.min(token, tokens)), b.i32(0));
  auto type = VectorType::get(4, b.getI32Type());
  for (int64_t offset = 0; offset < kRowsPerWarp; offset += rows)
    b.ifThen(b.isLess(b.i32(offset), count), [&] {
      Value words = b.load(
          type,
          b.offset(source, getSharedBytes(b.add(rowOfLane, offset), chunk)));
      b.store(words, b.offset(target, offset * rowBytes));
    });
}

void BlastMixBuilder::writeShared(Value target, int64_t block,
                                  ArrayRef<Value> words) {
  Value chunk = b.add(b.div(lane, 16), block);
  b.storeMatrices(b.offset(target, getSharedBytes(b.rem(lane, 16), chunk)),
                  words);
}

Kernel structured::buildBlastMix(gpu::GPUModuleOp module, StringRef name,
                                 const BlastProblem &problem,
                                 const BlastMixSchedule &schedule) {
  return BlastMixBuilder(module, problem, schedule).build(name);
}
