// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A persistent product with a block-sparse matrix, or two in a row. A tile is
// made as in Gemm.cpp, but for the steps of k, which are those of a list: each
// tile walks through the blocks of its panel.
//
// Tiles are of unequal length. So thread blocks take them from a queue, a
// counter in device memory, those of the longest panels first. The tiles of a
// second product follow those of the first, in groups of groupM rows of tiles:
// who takes one waits, block of k by block of k, for the tiles of the first
// that have made it. These were all taken before and wait for nothing, so that
// this cannot last for ever, however many thread blocks run at the same time.
//
// A thread for each warpgroup that multiplies stores what this has put into
// shared memory, so that nobody who multiplies waits until a tile is in device
// memory. Who stores a tile of the first product adds to a counter of its own.
// These counters only grow: a launch knows by its number, which is in device
// memory too, where they end. So none has to be set back while others may still
// add.

#include "Structured/Kernels/Hopper.h"

#include "TilePipeline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

/// Tiles that the thread that takes them may be ahead of those who multiply.
static constexpr int64_t kTilesAhead = 2;
/// Bytes of a tile in shared memory: its product, row, panel and steps.
static constexpr int64_t kTileBytes = 16;
/// Bytes of the barriers of a warpgroup's buffers for storing.
static constexpr int64_t kStoreBarrierBytes =
    StageRing::getBarrierBytes(TilePipelineShape::kStoreBuffers);
/// Words of device memory: the queue, the number of launches before this one,
/// and a counter for each tile of the first of two products.
static constexpr int64_t kQueue = 0, kLaunches = 1, kSignals = 2;

static TilePipelineShape getShape(const BlockSparseGemmProblem &problem,
                                  const GemmSchedule &schedule) {
  return {schedule.tileM, schedule.tileN, schedule.stages, problem.elementType};
}

std::optional<std::string>
structured::checkBlockSparseGemm(const BlockSparseGemmProblem &problem,
                                 const GemmSchedule &schedule) {
  auto toString = [](int64_t number) { return std::to_string(number); };
  if (!problem.elementType.isF16() && !problem.elementType.isBF16())
    return "its element type is neither f16 nor bf16";
  if (problem.n < 1 || problem.n % 8)
    return "its " + toString(problem.n) +
           " output features are not a positive multiple of 8";
  // A tile fills each of a warpgroup's two buffers for storing as often.
  if (schedule.tileM != 128 || (schedule.tileN != 128 && schedule.tileN != 256))
    return "tiles must have 128 rows, and 128 or 256 columns, not " +
           toString(schedule.tileM) + " and " + toString(schedule.tileN);
  if (problem.ranks % schedule.tileN)
    return "the " + toString(problem.ranks) +
           " columns between the products are no multiple of the tiles' " +
           toString(schedule.tileN);
  if (schedule.stages < 2)
    return "there must be at least 2 stages";
  if (schedule.groupM < 1)
    return "groups must have at least 1 tile";
  if (int64_t bytes = getBlockSparseGemmSharedMemory(problem, schedule);
      bytes > kHopperSharedMemory)
    return "it takes " + toString(bytes) +
           " bytes of shared memory, of which there are " +
           toString(kHopperSharedMemory);
  return std::nullopt;
}

int64_t structured::getBlockSparseGemmSharedMemory(
    const BlockSparseGemmProblem &problem, const GemmSchedule &schedule) {
  TilePipelineShape shape = getShape(problem, schedule);
  return shape.getSharedBytes() + StageRing::getBarrierBytes(kTilesAhead) +
         kTilesAhead * kTileBytes + shape.getConsumers() * kStoreBarrierBytes;
}

int64_t
structured::getBlockSparseGemmTilesPerRow(const BlockSparseGemmProblem &problem,
                                          const GemmSchedule &schedule) {
  return problem.ranks / schedule.tileN +
         llvm::divideCeil(problem.n, schedule.tileN);
}

int64_t
structured::getBlockSparseGemmScratch(const BlockSparseGemmProblem &problem,
                                      const GemmSchedule &schedule,
                                      int64_t rows) {
  int64_t tilesM = llvm::divideCeil(rows, schedule.tileM);
  return 4 * (kSignals + tilesM * (problem.ranks / schedule.tileN));
}

namespace {
class BlockSparseGemmBuilder {
public:
  BlockSparseGemmBuilder(gpu::GPUModuleOp module,
                         const BlockSparseGemmProblem &problem,
                         const GemmSchedule &schedule)
      : module(module), problem(problem), schedule(schedule),
        shape(getShape(problem, schedule)),
        ranksPanels(problem.ranks / schedule.tileN),
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  /// What a product reads and writes.
  struct Product {
    Value descriptorA, descriptorB, descriptorD;
    Value positions, coordinates, order;
  };
  /// A tile of a result: whether it is one of the first of two products, its
  /// first row, its panel, and its steps of 64 columns.
  struct Tile {
    Value isFirst, row, panel, numSteps;
  };

  bool hasTwo() const { return ranksPanels > 0; }
  Product select(Value isFirst);
  Value loadTable(Value table, Value index);
  /// A word of device memory.
  Value getWord(Value index) { return b.offset(words, b.mul(index, 4)); }
  /// The counter of a tile of the first product, to which each warpgroup adds.
  Value getSignals(Value row, Value panel);
  void produce();
  SmallVector<Value> loadTiles(const Product &product, const Tile &tile,
                               Value firstBlock, Value signals,
                               ValueRange ring);
  void consume(Value warpgroup);
  /// Puts the parts of a tile into the buffers for storing.
  void giveTile(Value warpgroup, const Tile &tile, ArrayRef<Value> elements,
                Value phase);
  /// Stores a warpgroup's parts of all tiles, by one thread.
  void store(Value warpgroup);
  void storeTile(Value warpgroup, const Tile &tile, Value phase);
  /// The next tile, taken by a warp or by one thread.
  Tile takeTile(ValueRange tiles, bool isWarp);
  /// The two elements of D at (row, col) and the next column; some others if
  /// they lie beyond D.
  std::pair<Value, Value> loadOld(Value row, Value col);

  Value getSlot(Value stage) {
    return b.offset(tileSlots, b.mul(stage, kTileBytes));
  }

  // The buffers for storing. A tile fills each of them so many times, `phase`
  // being the parity of those before.
  int64_t getNumParts() const { return schedule.tileN / kStoreN; }
  int64_t getRounds() const {
    return getNumParts() / TilePipelineShape::kStoreBuffers;
  }
  StageRing getStoreRing(Value warpgroup) {
    return StageRing(
        b, TilePipelineShape::kStoreBuffers,
        b.offset(storeBarriers, b.mul(warpgroup, kStoreBarrierBytes)));
  }
  Value getBuffer(Value warpgroup, int64_t part) {
    constexpr int64_t buffers = TilePipelineShape::kStoreBuffers;
    constexpr int64_t bytes = TilePipelineShape::kStoreBytes;
    return b.offset(
        pipeline->getStorage(),
        b.add(b.mul(warpgroup, buffers * bytes), part % buffers * bytes));
  }
  Value getParity(Value phase, int64_t part) {
    return b.bitXor(phase, b.i32(part / TilePipelineShape::kStoreBuffers % 2));
  }
  Value advancePhase(Value phase) {
    return getRounds() % 2 ? b.bitXor(phase, b.i32(1)) : phase;
  }

  gpu::GPUModuleOp module;
  const BlockSparseGemmProblem &problem;
  const GemmSchedule &schedule;
  TilePipelineShape shape;
  int64_t ranksPanels; ///< of the first of two products
  HopperBuilder b;
  std::optional<TilePipeline> pipeline;
  // Tiles on their way from the thread that takes them.
  std::optional<StageRing> tileRing;
  Value tileSlots, storeBarriers;
  // Arguments and what follows from them.
  SmallVector<Product> products;
  Value result, words, rows;
  Value tilesM, lane;
};
} // namespace

Kernel BlockSparseGemmBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroup * (1 + shape.getConsumers());
  kernel.sharedMemoryBytes = getBlockSparseGemmSharedMemory(problem, schedule);

  int64_t numProducts = hasTwo() ? 2 : 1;
  SmallVector<Type> types(6 * numProducts + 2, b.getPointerType());
  types.push_back(b.getI32Type());
  LLVM::LLVMFuncOp function =
      createKernel(b, module, name, types, kernel.threads);
  auto arguments = function.getArguments();
  for (int64_t i = 0; i < numProducts; ++i) {
    auto own = arguments.slice(6 * i, 6);
    products.push_back({own[0], own[1], own[2], own[3], own[4], own[5]});
  }
  auto rest = arguments.drop_front(6 * numProducts);
  result = rest[0];
  words = rest[1];
  rows = rest[2];

  Value shared = getSharedMemory(b, module);
  pipeline.emplace(b, shape, shared);
  Value barriers = b.offset(shared, shape.getSharedBytes());
  tileRing.emplace(b, kTilesAhead, barriers);
  tileSlots = b.offset(barriers, StageRing::getBarrierBytes(kTilesAhead));
  storeBarriers = b.offset(tileSlots, kTilesAhead * kTileBytes);
  b.ifThen(b.isEqual(b.threadIdx(), 0), [&] {
    // One arrival of each warp that multiplies, and of each thread that stores.
    tileRing->initBarriers(5 * shape.getConsumers());
    for (int64_t i = 0; i < shape.getConsumers(); ++i)
      getStoreRing(b.i32(i)).initBarriers(1, 4);
  });
  tilesM = b.ceilDiv(rows, schedule.tileM);
  lane = b.laneIdx();

  pipeline->run(
      [&] { produce(); }, [&](Value warpgroup) { consume(warpgroup); },
      [&](Value thread) {
        Value stores =
            b.bitAnd(b.isEqual(b.rem(thread, 32), 0),
                     b.isLess(thread, b.i32(32 * shape.getConsumers())));
        b.ifThen(stores, [&] { store(b.div(thread, 32)); });
      });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

BlockSparseGemmBuilder::Product BlockSparseGemmBuilder::select(Value isFirst) {
  const Product &last = products.back();
  if (!hasTwo())
    return last;
  const Product &first = products.front();
  return {b.select(isFirst, first.descriptorA, last.descriptorA),
          b.select(isFirst, first.descriptorB, last.descriptorB),
          b.select(isFirst, first.descriptorD, last.descriptorD),
          b.select(isFirst, first.positions, last.positions),
          b.select(isFirst, first.coordinates, last.coordinates),
          b.select(isFirst, first.order, last.order)};
}

Value BlockSparseGemmBuilder::loadTable(Value table, Value index) {
  return b.load(b.getI32Type(), b.offset(table, b.mul(index, 4)),
                /*invariant=*/true);
}

Value BlockSparseGemmBuilder::getSignals(Value row, Value panel) {
  Value tile = b.add(b.mul(b.div(row, schedule.tileM), ranksPanels), panel);
  return getWord(b.add(tile, kSignals));
}

void BlockSparseGemmBuilder::produce() {
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  Value queue = getWord(b.i32(kQueue)), launches = getWord(b.i32(kLaunches));
  // What the counters of the first product's tiles are when these are there.
  Value before, signals;
  if (hasTwo()) {
    before = b.loadAcquire(launches);
    signals = b.mul(b.add(before, 1), shape.getConsumers());
  }
  int64_t panels = getBlockSparseGemmTilesPerRow(problem, schedule);
  Value numFirst = b.mul(tilesM, ranksPanels);
  Value numTiles = b.mul(tilesM, panels), last = b.add(numTiles, -1);
  SmallVector<Value> carried = pipeline->startProducing();
  carried.append(tileRing->startFilling());
  carried.push_back(b.i32(0));
  carried = b.repeatWhile(carried, [&](ValueRange carried) {
    ValueRange ring = carried.take_front(2), tiles = carried.slice(2, 2);
    Value taken = b.atomicAddRelaxed(queue, b.i32(1));
    Value exists = b.isLess(taken, numTiles), index = b.min(taken, last);
    Tile tile;
    tile.isFirst = b.isLess(index, numFirst);
    index = b.sub(index, b.select(tile.isFirst, b.i32(0), numFirst));
    Product product = select(tile.isFirst);
    // The tiles of Y are made panel by panel, so that the longest come first;
    // those of O by groups.
    Value firstRow = b.i32(0), rowsOfGroup = tilesM;
    if (hasTwo()) {
      Value perGroup =
          b.select(tile.isFirst, numFirst,
                   b.i32(schedule.groupM * (panels - ranksPanels)));
      Value group = b.div(index, perGroup);
      index = b.rem(index, perGroup);
      firstRow = b.mul(group, schedule.groupM);
      rowsOfGroup =
          b.select(tile.isFirst, tilesM,
                   b.min(b.sub(tilesM, firstRow), b.i32(schedule.groupM)));
    }
    tile.row =
        b.mul(b.add(firstRow, b.rem(index, rowsOfGroup)), schedule.tileM);
    tile.panel = loadTable(product.order, b.div(index, rowsOfGroup));
    Value firstBlock = loadTable(product.positions, tile.panel);
    Value end = loadTable(product.positions, b.add(tile.panel, 1));
    // None tells those who multiply that there are no more tiles.
    tile.numSteps = b.select(exists, b.sub(end, firstBlock), b.i32(0));

    b.wait(tileRing->getEmpty(tiles[0]), tiles[1]);
    Value isFirst = arith::ExtUIOp::create(b, b.getI32Type(), tile.isFirst);
    b.storeShared({isFirst, tile.row, tile.panel, tile.numSteps},
                  getSlot(tiles[0]));
    b.arrive(tileRing->getFull(tiles[0]));

    SmallVector<Value> next{exists};
    next.append(loadTiles(product, tile, firstBlock, signals, ring));
    next.append(tileRing->advance(tiles));
    next.push_back(taken);
    return next;
  });
  // Who finds the queue empty last makes it ready for the next launch: each
  // thread block has asked it for the last time, and knows its launch's number.
  Value lastTaken = b.add(last, b.gridDim());
  b.ifThen(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, carried.back(),
                                 lastTaken),
           [&] {
             b.store(b.i32(0), queue);
             if (hasTwo())
               b.store(b.add(before, 1), launches);
           });
}

SmallVector<Value> BlockSparseGemmBuilder::loadTiles(const Product &product,
                                                     const Tile &tile,
                                                     Value firstBlock,
                                                     Value signals,
                                                     ValueRange ring) {
  // The column of a step is loaded during the one before.
  Value lastBlock = b.add(firstBlock, b.add(tile.numSteps, -1));
  SmallVector<Value> carried(ring);
  carried.push_back(loadTable(product.coordinates, firstBlock));
  // The panel of the first product that was waited for.
  if (hasTwo())
    carried.push_back(b.i32(ranksPanels));
  carried = pipeline->produce(
      carried, tile.numSteps,
      [&](Value step, Value stage, Value full,
          ValueRange values) -> SmallVector<Value> {
        Value zero = b.i32(0), block = b.add(firstBlock, step);
        Value column = b.mul(values[0], kTileK);
        b.loadTile(b.offset(stage, pipeline->getOffsetB()), product.descriptorB,
                   {zero, zero, block}, full);
        SmallVector<Value> next{
            loadTable(product.coordinates, b.min(b.add(block, 1), lastBlock))};
        if (hasTwo()) {
          Value panel =
              b.select(tile.isFirst, values[1], b.div(column, schedule.tileN));
          b.ifThen(
              arith::CmpIOp::create(b, arith::CmpIPredicate::ne, panel,
                                    values[1]),
              [&] { b.waitForCount(getSignals(tile.row, panel), signals); });
          next.push_back(panel);
        }
        b.loadTile(stage, product.descriptorA, {column, tile.row, zero}, full);
        return next;
      });
  carried.resize(2);
  return carried;
}

BlockSparseGemmBuilder::Tile BlockSparseGemmBuilder::takeTile(ValueRange tiles,
                                                              bool isWarp) {
  b.wait(tileRing->getFull(tiles[0]), tiles[1]);
  SmallVector<Value> words = b.loadShared(getSlot(tiles[0]));
  auto arrive = [&] { b.arrive(tileRing->getEmpty(tiles[0])); };
  if (isWarp) {
    b.syncWarp();
    b.ifThen(b.isEqual(lane, 0), arrive);
  } else {
    arrive();
  }
  return {b.isPositive(words[0]), words[1], words[2], words[3]};
}

void BlockSparseGemmBuilder::consume(Value warpgroup) {
  if (problem.accumulates)
    b.waitForPrerequisiteGrids();
  SmallVector<Value> carried = pipeline->startConsuming();
  carried.append(tileRing->startEmptying());
  carried.push_back(b.i32(0));
  b.repeatWhile(carried, [&](ValueRange carried) {
    ValueRange ring = carried.take_front(2), tiles = carried.slice(2, 2);
    Value phase = carried.back();
    Tile tile = takeTile(tiles, /*isWarp=*/true);
    Value exists = b.isPositive(tile.numSteps);
    SmallVector<Value> next{exists};
    next.append(b.ifResults(
        exists,
        [&] {
          SmallVector<Value> after(ring);
          SmallVector<Value> elements =
              pipeline->consume(warpgroup, after, tile.numSteps);
          giveTile(warpgroup, tile, elements, phase);
          return after;
        },
        [&] { return SmallVector<Value>(ring); }));
    next.append(tileRing->advance(tiles));
    next.push_back(advancePhase(phase));
    return next;
  });
}

void BlockSparseGemmBuilder::store(Value warpgroup) {
  // Outputs of earlier kernels may have the same place.
  b.waitForPrerequisiteGrids();
  SmallVector<Value> carried = tileRing->startEmptying();
  carried.push_back(b.i32(0));
  b.repeatWhile(carried, [&](ValueRange carried) {
    ValueRange tiles = carried.take_front(2);
    Value phase = carried.back();
    Tile tile = takeTile(tiles, /*isWarp=*/false);
    Value exists = b.isPositive(tile.numSteps);
    b.ifThen(exists, [&] { storeTile(warpgroup, tile, phase); });
    SmallVector<Value> next{exists};
    next.append(tileRing->advance(tiles));
    next.push_back(advancePhase(phase));
    return next;
  });
  // Shared memory must outlive the copies from it.
  b.waitForStores(0, /*readOnly=*/false);
}

std::pair<Value, Value> BlockSparseGemmBuilder::loadOld(Value row, Value col) {
  auto extend = [&](Value value) -> Value {
    return arith::ExtUIOp::create(b, b.getI64Type(), value);
  };
  Value inside = b.min(row, b.add(rows, -1));
  Value start = arith::MulIOp::create(b, extend(inside),
                                      b.i64(problem.n * kElementBytes));
  Value pair = b.mul(b.min(col, b.i32(problem.n - 2)), kElementBytes);
  Value pointer = b.offset(b.offset(result, start), pair);
  return b.unpack(b.load(b.getI32Type(), pointer), problem.elementType);
}

void BlockSparseGemmBuilder::giveTile(Value warpgroup, const Tile &tile,
                                      ArrayRef<Value> elements, Value phase) {
  StageRing buffers = getStoreRing(warpgroup);
  Value warp = b.div(b.rem(b.threadIdx(), kWarpgroup), 32);
  Value firstRow = b.add(b.add(tile.row, b.mul(warpgroup, kRowsPerWarpgroup)),
                         b.add(b.mul(warp, 16), b.div(lane, 4)));
  Value firstCol =
      b.add(b.mul(tile.panel, schedule.tileN), b.mul(b.rem(lane, 4), 2));
  auto give = [&](bool accumulates) {
    for (int64_t part = 0; part < getNumParts(); ++part) {
      Value buffer = b.i32(part % TilePipelineShape::kStoreBuffers);
      b.wait(buffers.getEmpty(buffer),
             b.bitXor(getParity(phase, part), b.i32(1)));
      pipeline->writeShared(getBuffer(warpgroup, part), [&](int64_t block,
                                                            bool lower) {
        int64_t blocks = part * (kStoreN / 8) + block;
        Value low = elements[4 * blocks + 2 * lower],
              high = elements[4 * blocks + 2 * lower + 1];
        if (accumulates) {
          auto [oldLow, oldHigh] =
              loadOld(b.add(firstRow, 8 * lower), b.add(firstCol, 8 * blocks));
          low = arith::AddFOp::create(b, low, oldLow);
          high = arith::AddFOp::create(b, high, oldHigh);
        }
        return b.pack(low, high, problem.elementType);
      });
      b.fenceSharedAccesses();
      b.syncWarp();
      b.ifThen(b.isEqual(lane, 0), [&] { b.arrive(buffers.getFull(buffer)); });
    }
  };
  if (hasTwo() && problem.accumulates)
    b.ifThenElse(tile.isFirst, [&] { give(false); }, [&] { give(true); });
  else
    give(problem.accumulates);
}

void BlockSparseGemmBuilder::storeTile(Value warpgroup, const Tile &tile,
                                       Value phase) {
  StageRing buffers = getStoreRing(warpgroup);
  Value descriptor = select(tile.isFirst).descriptorD;
  Value row = b.add(tile.row, b.mul(warpgroup, kRowsPerWarpgroup));
  Value col = b.mul(tile.panel, schedule.tileN);
  // A buffer is free when the copy engine has read it.
  auto free = [&](int64_t part, int64_t pending) {
    b.waitForStores(pending, /*readOnly=*/true);
    b.arrive(buffers.getEmpty(b.i32(part % TilePipelineShape::kStoreBuffers)));
  };
  for (int64_t part = 0; part < getNumParts(); ++part) {
    b.wait(buffers.getFull(b.i32(part % TilePipelineShape::kStoreBuffers)),
           getParity(phase, part));
    b.storeTile(descriptor, getBuffer(warpgroup, part),
                {b.add(col, part * kStoreN), row, b.i32(0)});
    b.commitStores();
    if (part)
      free(part - 1, 1);
  }
  free(getNumParts() - 1, 0);
  if (!hasTwo())
    return;
  b.ifThen(tile.isFirst, [&] {
    b.waitForStores(0, /*readOnly=*/false);
    b.signal(getSignals(tile.row, tile.panel));
  });
}

Kernel structured::buildBlockSparseGemm(gpu::GPUModuleOp module, StringRef name,
                                        const BlockSparseGemmProblem &problem,
                                        const GemmSchedule &schedule) {
  return BlockSparseGemmBuilder(module, problem, schedule).build(name);
}
