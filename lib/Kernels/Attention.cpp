// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Two warpgroups have 64 queries each, in shared memory; one thread of a third
// has the copy engine bring blocks of keys and of values into a ring. While
// the tensor cores multiply queries by the next keys, and what the softmax has
// given by values, threads form the softmax of the scores before these.

#include "Structured/Kernels/Attention.h"

#include "TilePipeline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace structured;
using Values = SmallVector<Value>;

static constexpr int64_t kWarpgroups = kAttentionQueries / kRowsPerWarpgroup;
static constexpr int64_t kMaxFeatures = 128;
static constexpr int64_t kMaxStages = 6;
/// Bytes of a box of queries.
static constexpr int64_t kQueryBoxBytes =
    kAttentionBoxRows * kTileK * kElementBytes;
static constexpr float kLog2E = 1.44269504f;

namespace {
enum Operand { kQuery, kKey, kValue, kResult };

/// Boxes side by side.
int64_t getBoxes(int64_t features) {
  return llvm::divideCeil(features, kTileK);
}

/// Where things lie in shared memory: queries, which the result takes the place
/// of, the ring, barriers.
struct Shape {
  explicit Shape(const AttentionProblem &problem)
      : keyBoxes(getBoxes(problem.features)),
        valueBoxes(getBoxes(problem.valueFeatures)),
        keyBoxBytes(problem.blockKeys * kTileK * kElementBytes) {
    int64_t boxes = std::max(keyBoxes, valueBoxes);
    queryBytes = boxes * kQueryBoxBytes;
    stageBytes = boxes * keyBoxBytes;
    int64_t rest = kHopperSharedMemory - kWarpgroups * queryBytes - 8;
    stages = std::min(kMaxStages,
                      rest / (stageBytes + StageRing::getBarrierBytes(1)));
  }

  int64_t getBarrierOffset() const {
    return kWarpgroups * queryBytes + stages * stageBytes;
  }
  int64_t getSharedBytes() const {
    return getBarrierOffset() + StageRing::getBarrierBytes(stages) + 8;
  }

  int64_t keyBoxes, valueBoxes;
  /// Of a box of keys or values.
  int64_t keyBoxBytes;
  /// Of a warpgroup.
  int64_t queryBytes;
  int64_t stageBytes, stages;
};

class AttentionBuilder {
public:
  AttentionBuilder(gpu::GPUModuleOp module, const AttentionProblem &problem,
                   const AttentionScore &score)
      : module(module), problem(problem), score(score), shape(problem),
        b(module.getLoc(), module.getContext()) {}

  Kernel build(StringRef name);

private:
  /// What is carried from one block of keys to the next: the ring, sums of the
  /// result, and of both of a thread's rows the largest score and the sum, then
  /// what the values of this block are to be multiplied by.
  struct State {
    Values ring;
    Value sums;
    std::array<Value, 2> largest, total;
    Values weights;

    Values pack() const {
      Values values(ring);
      values.push_back(sums);
      llvm::append_range(values, largest);
      llvm::append_range(values, total);
      llvm::append_range(values, weights);
      return values;
    }
    static State unpack(ValueRange values) {
      return {Values(values.take_front(2)),
              values[2],
              {values[3], values[4]},
              {values[5], values[6]},
              Values(values.drop_front(7))};
    }
  };

  void locate();
  void produce();
  void consume(Value warpgroup);
  void load(Operand operand, Values &ring, Value block);
  Value issueScores(Values &ring);
  void issueSums(State &state, Value &stage);
  SmallVector<AttentionScore::OfKey> prepare(Value block, bool isMasked);
  std::array<Value, 2> softmax(State &state, Values &values, Value block,
                               ArrayRef<AttentionScore::OfKey> ofKey,
                               bool isMasked);
  void round(State &state, ArrayRef<Value> scores);
  void scale(State &state, const std::array<Value, 2> &factors);
  void storeResult(Value warpgroup, const State &state,
                   const std::array<Value, 2> &totals);
  void storePart(Value row, const State &state,
                 const std::array<Value, 2> &totals);
  void release(Value stage);
  /// The address of a stage of the ring, behind the queries.
  Value getStage(Value stage) {
    return b.offset(shared, b.add(b.mul(stage, shape.stageBytes),
                                  kWarpgroups * shape.queryBytes));
  }

  /// Which of a thread's two rows an element of its accumulators is in, and how
  /// many columns behind the thread's first one.
  static int64_t getRow(int64_t element) { return element / 2 % 2; }
  static int64_t getColumn(int64_t element) {
    return element / 4 * 8 + element % 2;
  }
  /// The coordinates of a box of an operand.
  Values getPlace(Operand operand, int64_t box, Value row) {
    return {b.i32(box * kTileK), row, places[operand][0], places[operand][1]};
  }
  Value getFirstKey(Value block);
  Value getSeenKeys(Value row);
  Value getIndex(Value value) {
    return arith::IndexCastUIOp::create(b, b.getIndexType(), value);
  }
  Value max(Value x, Value y) { return LLVM::MaxNumOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) {
    return LLVM::FMAOp::create(b, x, y, z);
  }
  Value exp2(Value x) { return function("ex2.approx.ftz.f32", x); }
  Value log2(Value x) { return function("lg2.approx.ftz.f32", x); }
  /// An instruction of one operand.
  Value function(StringRef name, Value x) {
    return LLVM::InlineAsmOp::create(
               b, b.getF32Type(), x, name.str() + " $0, $1;", "=f,f",
               /*has_side_effects=*/false, /*is_align_stack=*/false,
               LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
        .getResult(0);
  }

  gpu::GPUModuleOp module;
  const AttentionProblem &problem;
  const AttentionScore &score;
  Shape shape;
  HopperBuilder b;
  std::optional<StageRing> stageRing;
  // Arguments and what follows from them.
  std::array<Value, 4> descriptors;
  Value numKeys, numQueries, logs;
  Values scoreArguments;
  /// The tile: its first query and, by operand, its place in the descriptor's
  /// last two dimensions; the batch loops' indices.
  Value firstQuery;
  std::array<std::array<Value, 2>, 4> places;
  Values batch;
  /// Which split this is, and the result's place among those of all tiles.
  Value split, place;
  /// The blocks of keys, from the first one on: those up to `fullBlocks` are
  /// seen by all queries of the tile, those up to `endBlock` by some.
  Value firstBlock, fullBlocks, endBlock;
  /// Null, or whether the split has no keys.
  Value isEmpty;
  Value shared, queryBarrier, thread, lane, warp;
  // A consumer's.
  Value queries;
  std::array<Value, 2> seenKeys;
  std::array<AttentionScore::OfRow, 2> ofRow;
};
} // namespace

std::optional<std::string>
structured::checkAttention(const AttentionProblem &problem) {
  if (!problem.elementType.isF16() && !problem.elementType.isBF16())
    return "its element type is neither f16 nor bf16";
  for (int64_t features : {problem.features, problem.valueFeatures})
    if (features < 1 || features % 8 || features > kMaxFeatures)
      return "it has " + std::to_string(features) +
             " features, not a multiple of 8 of at most " +
             std::to_string(kMaxFeatures);
  if (problem.blockKeys != 64 && problem.blockKeys != 128)
    return "there are blocks of " + std::to_string(problem.blockKeys) +
           " keys, not 64 or 128";
  if (problem.splits < 1)
    return "there are no splits";
  for (int64_t size : problem.batch)
    if (size < 1)
      return "a batch is empty";
  return std::nullopt;
}

int64_t structured::getAttentionBlocksPerTile(const AttentionProblem &problem) {
  return llvm::product_of(problem.batch) * problem.splits;
}

int64_t structured::getAttentionSplits(const AttentionProblem &problem,
                                       int64_t queries, int64_t keys,
                                       int64_t multiprocessors) {
  // µs of a thread block, of each block of keys in it, and of putting the parts
  // together, measured on an H200.
  constexpr double perBlock = 3.3, perKeys = 0.0098, perSum = 4;
  constexpr int64_t maxSplits = 8;
  int64_t tiles = llvm::divideCeil(queries, kAttentionQueries) *
                  llvm::product_of(problem.batch);
  int64_t keyBlocks = llvm::divideCeil(keys, problem.blockKeys);
  auto estimate = [&](int64_t splits) {
    int64_t rounds = llvm::divideCeil(tiles * splits, multiprocessors);
    int64_t blockKeys = llvm::divideCeil(keyBlocks, splits) * problem.blockKeys;
    return rounds * (perBlock + perKeys * blockKeys) +
           (splits > 1 ? perSum : 0);
  };
  int64_t best = 1;
  for (int64_t splits = 2; splits <= std::min(maxSplits, keyBlocks); ++splits)
    if (estimate(splits) < estimate(best))
      best = splits;
  // None without keys.
  return llvm::divideCeil(keyBlocks, llvm::divideCeil(keyBlocks, best));
}

Kernel AttentionBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kWarpgroup * (1 + kWarpgroups);
  kernel.sharedMemoryBytes = shape.getSharedBytes();

  SmallVector<Type> types(4, b.getPointerType());
  types.push_back(b.getI32Type());
  bool isSplit = problem.splits > 1;
  if (isSplit)
    types.push_back(b.getPointerType());
  types.append(score.argumentTypes);
  types.push_back(b.getI32Type());
  LLVM::LLVMFuncOp function =
      createKernel(b, module, name, types, kernel.threads);
  for (auto [index, descriptor] : llvm::enumerate(descriptors))
    descriptor = function.getArgument(index);
  numKeys = function.getArgument(4);
  if (isSplit)
    logs = function.getArgument(5);
  llvm::append_range(
      scoreArguments,
      function.getArguments().drop_front(isSplit ? 6 : 5).drop_back());
  numQueries = function.getArguments().back();

  shared = getSharedMemory(b, module);
  Value barriers = b.offset(shared, shape.getBarrierOffset());
  stageRing.emplace(b, shape.stages, barriers);
  queryBarrier = b.offset(barriers, StageRing::getBarrierBytes(shape.stages));
  Value threadIdx = b.threadIdx();
  thread = b.rem(threadIdx, kWarpgroup);
  lane = b.laneIdx();
  warp = b.div(thread, 32);
  b.ifThen(b.isEqual(threadIdx, 0), [&] {
    b.initBarrier(queryBarrier, 1);
    // One arrival of each warp that multiplies.
    stageRing->initBarriers(4 * kWarpgroups);
  });
  b.syncThreads();
  b.launchDependents();
  // What an earlier kernel wrote is read from here on.
  b.waitForPrerequisiteGrids();
  locate();

  // Registers go to the warpgroups that multiply.
  Value warpgroup = b.div(threadIdx, kWarpgroup);
  b.ifThenElse(
      b.isEqual(warpgroup, 0),
      [&] {
        b.setMaxRegisters(24, /*increase=*/false);
        b.ifThen(b.isEqual(threadIdx, 0), [&] { produce(); });
      },
      [&] {
        b.setMaxRegisters(240, /*increase=*/true);
        consume(b.add(warpgroup, -1));
      });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

void AttentionBuilder::locate() {
  Value index = b.blockIdx();
  if (problem.splits > 1) {
    split = b.rem(index, problem.splits);
    index = b.div(index, problem.splits);
  }
  // The last queries come first: with a causal mask they see the most keys.
  int64_t perTile = llvm::product_of(problem.batch);
  place = b.rem(index, perTile);
  Value tiles = b.ceilDiv(numQueries, kAttentionQueries);
  firstQuery =
      b.mul(b.sub(b.add(tiles, -1), b.div(index, perTile)), kAttentionQueries);
  Values indices(problem.batch.size());
  Value rest = place;
  for (auto [index, size] :
       llvm::reverse(llvm::zip_equal(indices, problem.batch))) {
    index = b.rem(rest, size);
    rest = b.div(rest, size);
  }
  for (unsigned operand = 0; operand < places.size(); ++operand)
    for (auto [place, loops] :
         llvm::zip_equal(places[operand], problem.batchLoops[operand])) {
      place = b.i32(0);
      for (unsigned loop : loops)
        place = b.add(b.mul(place, problem.batch[loop]), indices[loop]);
    }
  for (Value index : indices)
    batch.push_back(getIndex(index));

  Value last =
      b.min(b.add(firstQuery, kAttentionQueries - 1), b.add(numQueries, -1));
  Value seenByFirst = getSeenKeys(firstQuery), seenByLast = getSeenKeys(last);
  Value isUnordered = b.isLess(seenByLast, seenByFirst);
  endBlock =
      b.ceilDiv(b.select(isUnordered, numKeys, seenByLast), problem.blockKeys);
  fullBlocks =
      b.div(b.select(isUnordered, b.i32(0), seenByFirst), problem.blockKeys);
  firstBlock = b.i32(0);
  if (problem.splits > 1) {
    Value share = b.ceilDiv(endBlock, problem.splits);
    firstBlock = b.min(b.mul(split, share), endBlock);
    endBlock = b.min(b.add(firstBlock, share), endBlock);
    isEmpty = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, firstBlock,
                                    endBlock);
    // There is a block, of which nothing is seen.
    firstBlock = b.select(isEmpty, b.i32(0), firstBlock);
    endBlock = b.select(isEmpty, b.i32(0), endBlock);
  }
  // Who sees no key at all has a row that is not a number.
  Value next = b.add(firstBlock, 1);
  endBlock = b.select(b.isLess(endBlock, next), next, endBlock);
  fullBlocks = b.min(fullBlocks, endBlock);
}

Value AttentionBuilder::getSeenKeys(Value row) {
  return score.getSeenKeys ? score.getSeenKeys(b, scoreArguments, batch,
                                               getIndex(row), numKeys)
                           : numKeys;
}

void AttentionBuilder::load(Operand operand, Values &ring, Value block) {
  int64_t boxes = operand == kKey ? shape.keyBoxes : shape.valueBoxes;
  b.wait(stageRing->getEmpty(ring[0]), ring[1]);
  Value full = stageRing->getFull(ring[0]);
  b.arriveExpectBytes(full, boxes * shape.keyBoxBytes);
  Value target = getStage(ring[0]);
  for (int64_t box = 0; box < boxes; ++box)
    b.loadTile(b.offset(target, box * shape.keyBoxBytes), descriptors[operand],
               getPlace(operand, box, b.mul(block, problem.blockKeys)), full);
  ring = stageRing->advance(ring);
}

void AttentionBuilder::produce() {
  b.arriveExpectBytes(queryBarrier,
                      kWarpgroups * shape.keyBoxes * kQueryBoxBytes);
  for (int64_t warpgroup = 0; warpgroup < kWarpgroups; ++warpgroup)
    for (int64_t box = 0; box < shape.keyBoxes; ++box)
      b.loadTile(
          b.offset(shared, warpgroup * shape.queryBytes + box * kQueryBoxBytes),
          descriptors[kQuery],
          getPlace(kQuery, box,
                   b.add(firstQuery, warpgroup * kRowsPerWarpgroup)),
          queryBarrier);
  // In the order in which they are used: the keys of a block before the values
  // of the one before it.
  Values ring = stageRing->startFilling();
  load(kKey, ring, firstBlock);
  ring = b.forLoop(b.add(firstBlock, 1), endBlock, b.i32(1), ring,
                   [&](Value block, ValueRange carried) {
                     Values ring(carried);
                     load(kKey, ring, block);
                     load(kValue, ring, b.add(block, -1));
                     return ring;
                   });
  load(kValue, ring, b.add(endBlock, -1));
}

void AttentionBuilder::release(Value stage) {
  b.ifThen(b.isEqual(lane, 0), [&] { b.arrive(stageRing->getEmpty(stage)); });
}

/// The products of the warpgroup's queries and the keys that come next.
Value AttentionBuilder::issueScores(Values &ring) {
  b.wait(stageRing->getFull(ring[0]), ring[1]);
  Value keys = getStage(ring[0]);
  Value scores = b.newAccumulators(problem.blockKeys);
  Value descriptorQ = b.matrixDescriptor(queries);
  Value descriptorK = b.matrixDescriptor(keys);
  b.fenceProducts();
  for (int64_t column = 0; column < problem.features; column += 16) {
    auto advance = [&](Value descriptor, int64_t boxBytes) -> Value {
      int64_t bytes =
          column / kTileK * boxBytes + column % kTileK * kElementBytes;
      return arith::AddIOp::create(b, descriptor, b.i64(bytes / 16));
    };
    scores =
        b.multiply(scores, advance(descriptorQ, kQueryBoxBytes),
                   advance(descriptorK, shape.keyBoxBytes), problem.blockKeys,
                   problem.elementType, /*isFirst=*/column == 0);
  }
  b.commitProducts();
  ring = stageRing->advance(ring);
  return scores;
}

/// The products with the values that come next are added to the sums; `stage`
/// is theirs.
void AttentionBuilder::issueSums(State &state, Value &stage) {
  stage = state.ring[0];
  b.wait(stageRing->getFull(stage), state.ring[1]);
  Value values = getStage(stage);
  Value descriptor = b.matrixDescriptor(values, shape.keyBoxBytes);
  b.fenceProducts();
  for (int64_t key = 0; key < problem.blockKeys; key += 16)
    state.sums = b.multiplyRegisters(
        state.sums, ArrayRef(state.weights).slice(key / 4, 4),
        arith::AddIOp::create(b, descriptor,
                              b.i64(key * kTileK * kElementBytes / 16)),
        shape.valueBoxes * kTileK, problem.elementType, /*isFirst=*/false);
  b.commitProducts();
  state.ring = stageRing->advance(state.ring);
}

/// The first of a thread's keys of a block.
Value AttentionBuilder::getFirstKey(Value block) {
  return b.add(b.mul(block, problem.blockKeys), b.mul(b.rem(lane, 4), 2));
}

/// What becomes of each of the thread's scores of a block; what of it depends
/// on none is added here.
SmallVector<AttentionScore::OfKey> AttentionBuilder::prepare(Value block,
                                                             bool isMasked) {
  SmallVector<AttentionScore::OfKey> ofKey;
  if (score.factor)
    return ofKey;
  Value firstKey = getFirstKey(block);
  for (int64_t element = 0; element < problem.blockKeys / 2; ++element) {
    Value key = b.add(firstKey, getColumn(element));
    int64_t multiple = 2 - element % 2;
    // What a mask has for a key that is none must not be read.
    if (isMasked) {
      key = b.min(key, b.add(numKeys, -1));
      multiple = 1;
    }
    ofKey.push_back(ofRow[getRow(element)](getIndex(key), multiple));
  }
  return ofKey;
}

/// Makes of the scores of a block what its values are to be multiplied by, in
/// f32; the factors that the sums of the two rows are to be multiplied by
/// before.
std::array<Value, 2>
AttentionBuilder::softmax(State &state, Values &values, Value block,
                          ArrayRef<AttentionScore::OfKey> ofKey,
                          bool isMasked) {
  Value firstKey = getFirstKey(block);
  Value infinity = b.f32(-std::numeric_limits<float>::infinity());
  std::array<Value, 2> largest = state.largest;
  for (auto [element, value] : llvm::enumerate(values)) {
    int64_t row = getRow(element);
    if (!score.factor)
      value = ofKey[element](value);
    if (isMasked) {
      Value key = b.add(firstKey, getColumn(element));
      value = b.select(b.isLess(key, seenKeys[row]), value, infinity);
    }
    largest[row] = max(largest[row], value);
  }

  std::array<Value, 2> offset, factors, total;
  float exponent = kLog2E * score.factor.value_or(1);
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t mask : {1, 2})
      largest[row] = max(largest[row], b.shuffleXor(largest[row], mask));
    // As long as no key has been seen: anything but -∞ less itself.
    Value isNone = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                         largest[row], infinity);
    Value base = b.select(isNone, b.f32(0), largest[row]);
    offset[row] = arith::MulFOp::create(b, base, b.f32(-exponent));
    factors[row] = exp2(fma(state.largest[row], b.f32(exponent), offset[row]));
    total[row] = b.f32(0);
  }
  for (auto [element, value] : llvm::enumerate(values)) {
    int64_t row = getRow(element);
    value = exp2(fma(value, b.f32(exponent), offset[row]));
    total[row] = arith::AddFOp::create(b, total[row], value);
  }
  for (int64_t row = 0; row < 2; ++row)
    state.total[row] = fma(state.total[row], factors[row], total[row]);
  state.largest = largest;
  return factors;
}

/// Rounds what the softmax has made of scores. The products with the weights
/// before must have been waited for.
void AttentionBuilder::round(State &state, ArrayRef<Value> scores) {
  for (auto [index, word] : llvm::enumerate(state.weights))
    word = b.pack(scores[2 * index], scores[2 * index + 1], problem.elementType,
                  /*inOrder=*/true);
}

void AttentionBuilder::scale(State &state,
                             const std::array<Value, 2> &factors) {
  Values sums = b.getElements(state.sums);
  Value scaled = b.newAccumulators(shape.valueBoxes * kTileK);
  for (auto [element, sum] : llvm::enumerate(sums))
    scaled = LLVM::InsertValueOp::create(
        b, scaled, arith::MulFOp::create(b, sum, factors[getRow(element)]),
        element);
  state.sums = scaled;
}

void AttentionBuilder::consume(Value warpgroup) {
  Value row = b.add(b.add(firstQuery, b.mul(warpgroup, kRowsPerWarpgroup)),
                    b.add(b.mul(warp, 16), b.div(lane, 4)));
  queries = b.offset(shared, b.mul(warpgroup, shape.queryBytes));
  for (int64_t i = 0; i < 2; ++i) {
    Value query = b.min(b.add(row, 8 * i), b.add(numQueries, -1));
    seenKeys[i] = getSeenKeys(query);
    if (isEmpty)
      seenKeys[i] = b.select(isEmpty, b.i32(0), seenKeys[i]);
    if (!score.factor)
      ofRow[i] = score.ofRow(b, scoreArguments, batch, getIndex(query));
  }
  b.wait(queryBarrier, b.i32(0));

  Value infinity = b.f32(-std::numeric_limits<float>::infinity());
  State first;
  first.ring = stageRing->startEmptying();
  first.sums = b.zeroAccumulators(shape.valueBoxes * kTileK);
  first.largest = {infinity, infinity};
  first.total = {b.f32(0), b.f32(0)};
  SmallVector<AttentionScore::OfKey> ofKey =
      prepare(firstBlock, /*isMasked=*/true);
  Value stage = first.ring[0];
  Values scores = b.getElements(b.waitForProducts(issueScores(first.ring)));
  release(stage);
  softmax(first, scores, firstBlock, ofKey, /*isMasked=*/true);
  first.weights.resize(problem.blockKeys / 4);
  round(first, scores);

  auto addBlocks = [&](Value begin, Value end, const State &state,
                       bool isMasked) {
    return State::unpack(b.forLoop(
        begin, end, b.i32(1), state.pack(),
        [&](Value block, ValueRange carried) {
          State state = State::unpack(carried);
          // What masks have is loaded while the tensor cores multiply.
          SmallVector<AttentionScore::OfKey> ofKey = prepare(block, isMasked);
          Value keyStage = state.ring[0], valueStage;
          Value products = issueScores(state.ring);
          issueSums(state, valueStage);
          Values scores =
              b.getElements(b.waitForProducts(products, /*pending=*/1));
          release(keyStage);
          std::array<Value, 2> factors =
              softmax(state, scores, block, ofKey, isMasked);
          state.sums = b.waitForProducts(state.sums);
          release(valueStage);
          scale(state, factors);
          round(state, scores);
          return state.pack();
        }));
  };
  Value second = b.add(firstBlock, 1);
  Value masked = b.select(b.isLess(fullBlocks, second), second, fullBlocks);
  State state = addBlocks(second, fullBlocks, first, /*isMasked=*/false);
  state = addBlocks(masked, endBlock, state, /*isMasked=*/true);
  issueSums(state, stage);
  state.sums = b.waitForProducts(state.sums);
  std::array<Value, 2> totals = state.total;
  for (Value &total : totals)
    for (int64_t mask : {1, 2})
      total = arith::AddFOp::create(b, total, b.shuffleXor(total, mask));
  if (problem.splits > 1)
    storePart(row, state, totals);
  else
    storeResult(warpgroup, state, totals);
}

void AttentionBuilder::storePart(Value row, const State &state,
                                 const std::array<Value, 2> &totals) {
  Values sums = b.getElements(state.sums);
  Value tile = b.add(b.mul(split, llvm::product_of(problem.batch)), place);
  Value zero = b.f32(0), column = b.mul(b.rem(lane, 4), 2);
  for (int64_t half = 0; half < 2; ++half) {
    Value query = b.add(row, 8 * half);
    Value isSeen =
        arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, totals[half], zero);
    Value factor = b.select(
        isSeen, arith::DivFOp::create(b, b.f32(1), totals[half]), zero);
    b.ifThen(b.isLess(query, numQueries), [&] {
      Value at = b.add(b.mul(tile, numQueries), query);
      Value first =
          b.offset(descriptors[kResult],
                   b.mul(b.add(b.mul(at, problem.valueFeatures), column), 4));
      for (int64_t block = 0; block < problem.valueFeatures / 8; ++block) {
        int64_t element = 4 * block + 2 * half;
        auto divide = [&](Value sum) -> Value {
          return arith::MulFOp::create(b, sum, factor);
        };
        b.inlineAsm(Type(), "st.global.v2.f32 [$0], {$1, $2};",
                    "l,f,f,~{memory}",
                    {b.offset(first, block * 8 * 4), divide(sums[element]),
                     divide(sums[element + 1])});
      }
      // In units of log 2, then natural.
      float exponent = kLog2E * score.factor.value_or(1);
      Value log = fma(state.largest[half], b.f32(exponent), log2(totals[half]));
      b.ifThen(b.isEqual(column, 0), [&] {
        b.store(arith::MulFOp::create(b, log, b.f32(1 / kLog2E)),
                b.offset(logs, b.mul(at, 4)));
      });
    });
  }
}

void AttentionBuilder::storeResult(Value warpgroup, const State &state,
                                   const std::array<Value, 2> &totals) {
  std::array<Value, 2> factors;
  for (auto [factor, total] : llvm::zip_equal(factors, totals))
    factor = arith::DivFOp::create(b, b.f32(1), total);
  Values sums = b.getElements(state.sums);
  Value barrier = b.add(warpgroup, 1);
  // The result takes the place of the queries, which all warps have read.
  b.namedBarrier(barrier, kWarpgroup);
  for (int64_t box = 0; box < shape.valueBoxes; ++box)
    writeSharedTile(b, b.offset(queries, box * kQueryBoxBytes), warp, lane,
                    [&](int64_t block, bool lower) {
                      int64_t element = 4 * (box * 8 + block) + 2 * lower;
                      auto divide = [&](Value sum) -> Value {
                        return arith::MulFOp::create(b, sum, factors[lower]);
                      };
                      return b.pack(divide(sums[element]),
                                    divide(sums[element + 1]),
                                    problem.elementType);
                    });
  b.fenceSharedAccesses();
  b.namedBarrier(barrier, kWarpgroup);
  b.ifThen(b.isEqual(thread, 0), [&] {
    for (int64_t box = 0; box < shape.valueBoxes; ++box)
      b.storeTile(
          descriptors[kResult], b.offset(queries, box * kQueryBoxBytes),
          getPlace(kResult, box,
                   b.add(firstQuery, b.mul(warpgroup, kRowsPerWarpgroup))));
    b.commitStores();
    // Shared memory must outlive the copies from it.
    b.waitForStores(0, /*readOnly=*/false);
  });
}

Kernel structured::buildAttention(gpu::GPUModuleOp module, StringRef name,
                                  const AttentionProblem &problem,
                                  const AttentionScore &score) {
  return AttentionBuilder(module, problem, score).build(name);
}
