// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A BLAST layer for at most 16 tokens.
//
// Each thread block owns a few of the ranks, for all block rows and columns,
// and a few rows of the output. It makes Y of its ranks and mixes them to its
// part of Z, both by itself; publishes that part; takes from the others the Z
// of its rows' block row; and makes its rows of the output. The weights of both
// products are on their way before the first is multiplied.
//
// The order of the terms of a sum is free. A thread takes 8 neighbours along
// the dimension that is summed over, 16 bytes, where the fragments of mma.sync
// would have it take 4 pairs that are apart: loads, operands and exchanged
// values all use the same order.
//
// A word of the exchange has two values of Z and the number of the launch, in 8
// bytes that are written and read as one: who reads the number has the values.
// Each block counts the launches in a word of its own.

#include "Structured/Kernels/BlastDecode.h"

#include "HopperBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <functional>
#include <limits>

using namespace mlir;
using namespace structured;
using llvm::alignTo;
using llvm::divideCeil;

static constexpr int64_t kWarpLanes = 32;
static constexpr int64_t kWarps = 16;
static constexpr int64_t kThreads = kWarps * kWarpLanes;
/// Tokens of an operand of mma.sync, and rows of a load of weights.
static constexpr int64_t kOctet = 8;
/// Elements of the dimension summed over that a warp loads at a time, of
/// which a lane loads `kLaneElements`.
static constexpr int64_t kChunk = 32;
static constexpr int64_t kLaneElements = 8;
/// Rows of U that a warp multiplies at a time.
static constexpr int64_t kTile = 16;
static constexpr int64_t kElementBytes = 2;
static constexpr int64_t kWordBytes = 4;
/// Bytes of a word of the exchange for each of its two values.
static constexpr int64_t kExchangeBytes = 4;
/// From so many tokens on a warp waits for one of them before it asks for all.
static constexpr int64_t kMinTokensToWaitForOne = 4;
/// Loads of weights of a thread that are in flight, 4 registers each: all if
/// they are so few, else at most 12, which leaves registers for the addresses;
/// at least 4 are needed to hide the latency of memory.
static constexpr int64_t kAllInFlight = 16;
static constexpr int64_t kMaxWindow = 12;
static constexpr int64_t kMinWindow = 4;
/// Registers that these and the thread's part of Z may take, of the 128 that
/// there are for each of 512 threads.
static constexpr int64_t kRegisterBudget = 88;
/// Loads of X of a thread that are in flight, if all those of the weights are
/// and if not.
static constexpr int64_t kMaxInputWindow = 8;
static constexpr int64_t kInputWindow = 4;
/// The most lanes that share a sum of the mix.
static constexpr int64_t kMaxMixLanes = 16;

namespace {
/// How the work is cut up.
struct DecodeShape {
  DecodeShape(const BlastProblem &problem, const BlastDecodeSchedule &schedule);

  int64_t p, q, tokens;
  /// Octets of tokens.
  int64_t tokenSets;

  // The first product. A slice is what one warp sums: a part of a block column
  // or, one after the other, some whole ones.
  int64_t ranks;      // of a thread block; even
  int64_t rankGroups; // of 8
  int64_t slicesPerColumn, columnsPerWarp, slices;
  int64_t chunksPerSlice;

  // The mix. An item is a block row, a pair of ranks and some tokens.
  int64_t tokensPerItem, paddedTokens;
  int64_t items, mixLanes;

  // The last product.
  int64_t blocksPerRow; // thread blocks for each block row
  int64_t rows;         // of a thread block; even
  int64_t tiles;
  int64_t chunksPerWarp; // of ranks

  int64_t blocks; // the grid
  int64_t window, inputWindow;

  /// Registers of a thread for the Z that it multiplies with.
  int64_t getExchangeRegisters() const { return chunksPerWarp * tokenSets * 4; }

  /// Loads of Vt of a thread.
  int64_t getFirstLoads() const {
    return columnsPerWarp * chunksPerSlice * rankGroups;
  }

  // Shared memory: S in words of two ranks, Y, partial sums of O. The strides
  // are in words: S of a block row, Y of a rank and of a slice.
  int64_t scaleStride, tokenStride, sliceStride;
  int64_t productOffset, partialOffset, sharedBytes;
  // Scratch memory: the exchange [b_out, tokens, r/2], a counter per block.
  int64_t counterOffset, scratchBytes;
};
} // namespace

DecodeShape::DecodeShape(const BlastProblem &problem,
                         const BlastDecodeSchedule &schedule)
    : p(problem.m / problem.bOut), q(problem.n / problem.bIn),
      tokens(schedule.tokens), tokenSets(divideCeil(tokens, kOctet)) {
  int64_t processors = schedule.multiprocessors / schedule.layers;
  ranks = 2 * divideCeil(problem.rank, 2 * processors);
  rankGroups = divideCeil(ranks, kOctet);
  slicesPerColumn = std::max<int64_t>(kWarps / problem.bIn, 1);
  columnsPerWarp = divideCeil(problem.bIn, kWarps);
  slices = problem.bIn * slicesPerColumn;
  chunksPerSlice = divideCeil(divideCeil(q, kChunk), slicesPerColumn);

  tokensPerItem = tokens <= 2 ? tokens : 4;
  paddedTokens = alignTo(tokens, tokensPerItem);
  items = problem.bOut * (ranks / 2) * (paddedTokens / tokensPerItem);
  mixLanes = 1;
  while (mixLanes < kMaxMixLanes && slices % (2 * mixLanes) == 0 &&
         items * 2 * mixLanes <= kThreads)
    mixLanes *= 2;

  blocksPerRow = std::max<int64_t>(processors / problem.bOut, 1);
  rows = 2 * divideCeil(p, 2 * blocksPerRow);
  blocksPerRow = divideCeil(p, rows);
  tiles = divideCeil(rows, kTile);
  chunksPerWarp = divideCeil(divideCeil(problem.rank, kChunk), kWarps);
  blocks = std::max<int64_t>(divideCeil(problem.rank, ranks),
                             blocksPerRow * problem.bOut);
  bool allInFlight =
      getFirstLoads() + 2 * tiles * chunksPerWarp <= kAllInFlight;
  window = std::min(allInFlight ? kAllInFlight : kMaxWindow,
                    (kRegisterBudget - getExchangeRegisters()) / 4);
  inputWindow = allInFlight ? kMaxInputWindow : kInputWindow;

  // The strides put what the lanes of the mix read at a time into different
  // banks.
  scaleStride = problem.bIn * ranks / 2 + ranks / 2;
  tokenStride = paddedTokens == 16 ? 20 : paddedTokens;
  sliceStride = rankGroups * kOctet * tokenStride + 4;
  productOffset = alignTo(problem.bOut * scaleStride * kWordBytes, 128);
  partialOffset =
      productOffset + alignTo(slices * sliceStride * kWordBytes, 128);
  sharedBytes = partialOffset + kWarps * tokens * tiles * kTile * kWordBytes;
  counterOffset = problem.bOut * tokens * problem.rank * kExchangeBytes;
  scratchBytes = alignTo(counterOffset + blocks * kWordBytes, 128);
}

std::optional<std::string>
structured::checkBlastDecode(const BlastProblem &problem,
                             const BlastDecodeSchedule &schedule) {
  auto text = [](int64_t number) { return std::to_string(number); };
  if (!problem.elementType.isF16() && !problem.elementType.isBF16())
    return "its element type is neither f16 nor bf16";
  if (problem.m < 1 || problem.n < 1 || problem.bOut < 1 || problem.bIn < 1 ||
      problem.rank < 1 || schedule.layers < 1 ||
      schedule.multiprocessors < schedule.layers)
    return "a size is not positive";
  if (problem.m % problem.bOut || problem.n % problem.bIn)
    return "its sizes " + text(problem.m) + " and " + text(problem.n) +
           " are not multiples of its numbers of blocks, " +
           text(problem.bOut) + " and " + text(problem.bIn);
  int64_t p = problem.m / problem.bOut, q = problem.n / problem.bIn;
  if (p % 8 || q % 8 || problem.rank % 8)
    return "its blocks of " + text(p) + " x " + text(q) + " or its rank " +
           text(problem.rank) + " are not multiples of 8";
  if (schedule.tokens < 1 || schedule.tokens > kMaxDecodeTokens)
    return "it is for 1 to " + text(kMaxDecodeTokens) + " tokens, not " +
           text(schedule.tokens);
  int64_t processors = schedule.multiprocessors / schedule.layers;
  if (problem.bOut > processors)
    return "it has " + text(problem.bOut) + " block rows, more than the " +
           text(processors) + " multiprocessors";
  // Offsets in a tensor are 32-bit numbers.
  int64_t largest =
      std::max({problem.n * problem.rank, problem.m * problem.rank,
                problem.bOut * problem.bIn * problem.rank,
                2 * problem.bOut * kMaxDecodeTokens * problem.rank});
  if (largest > std::numeric_limits<int32_t>::max() / kElementBytes)
    return "one of its factors has more than 2 GiB";
  DecodeShape shape(problem, schedule);
  if (shape.window < kMinWindow)
    return "its rank " + text(problem.rank) + " is too large for " +
           text(schedule.tokens) + " tokens";
  if (shape.sharedBytes > kHopperSharedMemory)
    return "it takes " + text(shape.sharedBytes) +
           " bytes of shared memory, of which there are " +
           text(kHopperSharedMemory);
  return std::nullopt;
}

int64_t structured::getBlastDecodeBlocks(const BlastProblem &problem,
                                         const BlastDecodeSchedule &schedule) {
  return DecodeShape(problem, schedule).blocks * schedule.layers;
}

int64_t structured::getBlastDecodeScratch(const BlastProblem &problem,
                                          const BlastDecodeSchedule &schedule) {
  return DecodeShape(problem, schedule).scratchBytes * schedule.layers;
}

namespace {
/// Loads that are issued in order, a few ahead of their use.
class LoadStream {
public:
  /// A condition, or null if it always holds.
  using Condition = std::function<Value()>;

  LoadStream(HopperBuilder &b, bool invariant) : b(b), invariant(invariant) {}

  /// Adds a load of what is `offset` bytes behind `base`. The condition is
  /// computed where the load is issued: all at once they would take too many
  /// registers.
  void add(Value base, int64_t offset, Condition valid) {
    loads.push_back({base, offset, std::move(valid), {}});
  }
  /// Issues the loads up to and without number `end`.
  void issue(size_t end) {
    for (; issued < std::min(end, loads.size()); ++issued) {
      Load &load = loads[issued];
      load.words = b.loadGlobal(b.offset(load.base, load.offset), load.valid(),
                                invariant);
    }
  }
  /// The words of the next load.
  ArrayRef<Value> take() { return loads[taken++].words; }
  /// Issues what may be in flight together with the loads that are not taken.
  void refill(int64_t window) { issue(taken + window); }

private:
  struct Load {
    Value base;
    int64_t offset;
    Condition valid;
    SmallVector<Value> words;
  };
  HopperBuilder &b;
  bool invariant;
  std::vector<Load> loads;
  size_t issued = 0, taken = 0;
};

class DecodeBuilder {
public:
  DecodeBuilder(gpu::GPUModuleOp module, const BlastProblem &problem,
                const BlastDecodeSchedule &schedule)
      : module(module), problem(problem), layers(schedule.layers),
        shape(problem, schedule), b(module.getLoc(), module.getContext()),
        weights(b, /*invariant=*/true), inputs(b, /*invariant=*/false) {}

  Kernel build(StringRef name);

private:
  void locate();
  void addFirstLoads();
  void addLastLoads();
  void copyScales();
  void multiplyFirst();
  void mix();
  void receive();
  void multiplyLast();
  void reduce();

  /// Both conditions, either of which may be null.
  Value both(Value x, Value y) { return !x ? y : !y ? x : b.bitAnd(x, y); }
  /// The address of an element (or, with `bytes`, of what else) of an array.
  Value at(Value base, Value index, int64_t bytes) {
    return b.offset(base, b.mul(index, bytes));
  }
  using Sums = std::array<Value, 4>;
  Sums getZeroSums() {
    Value zero = b.f32(0);
    return {zero, zero, zero, zero};
  }
  Value vectorElement(Value vector, int64_t index) {
    return shape.tokensPerItem == 1 ? vector : b.extract(vector, index);
  }

  gpu::GPUModuleOp module;
  const BlastProblem &problem;
  int64_t layers;
  DecodeShape shape;
  HopperBuilder b;
  LoadStream weights, inputs;

  // Arguments.
  Value x, vt, s, u, o, scratch;
  Value shared;
  /// The thread block among those of its layer.
  Value block;
  Value thread, warp, lane;
  /// The lane's row (or token) of an operand, and where the elements that it
  /// loads begin in a chunk.
  Value laneRow, laneElement;
  /// The number of the launch, from 1.
  Value counter, epoch;
  // What the block owns: its first rank; its block row and, in it, its rows
  // from `firstRow` to `endRow`.
  Value firstRank, blockRow, firstRow, endRow;
  /// Z for a chunk and octet of tokens: [chunk · tokenSets + set].
  std::vector<SmallVector<Value>> received;
};
} // namespace

Kernel DecodeBuilder::build(StringRef name) {
  Kernel kernel;
  kernel.name = name.str();
  kernel.threads = kThreads;
  kernel.sharedMemoryBytes = shape.sharedBytes;

  constexpr unsigned globalSpace = 1;
  LLVM::LLVMFuncOp function = createKernel(
      b, module, name,
      SmallVector<Type>(2 + 4 * layers, b.getPointerType(globalSpace)),
      kThreads);
  x = function.getArgument(0);
  block = b.blockIdx();
  scratch = function.getArgument(1 + 4 * layers);
  std::array<Value *, 4> pointers = {&vt, &s, &u, &o};
  for (auto [i, pointer] : llvm::enumerate(pointers))
    *pointer = function.getArgument(1 + i);
  if (layers > 1) {
    Value layer = b.div(block, shape.blocks);
    block = b.sub(block, b.mul(layer, shape.blocks));
    scratch = at(scratch, layer, shape.scratchBytes);
    for (int64_t other = 1; other < layers; ++other) {
      Value isOther = b.isEqual(layer, other);
      for (auto [i, pointer] : llvm::enumerate(pointers))
        *pointer = b.select(isOther, function.getArgument(1 + 4 * other + i),
                            *pointer);
    }
  }

  shared = getSharedMemory(b, module);
  locate();
  addFirstLoads();
  addLastLoads();

  weights.issue(std::min(shape.getFirstLoads(), shape.window));
  copyScales();
  b.launchDependents();
  // What earlier kernels wrote is read from here on. The loads of U come after
  // those of X, which are needed sooner.
  b.waitForPrerequisiteGrids();
  counter = at(b.offset(scratch, shape.counterOffset), block, kWordBytes);
  epoch = b.add(b.load(b.getI32Type(), counter), 1);
  inputs.refill(shape.inputWindow);
  weights.refill(shape.window);

  multiplyFirst();
  b.waitForCopies();
  b.syncThreads();
  mix();
  receive();
  multiplyLast();
  b.syncThreads();
  reduce();
  b.ifThen(b.isEqual(thread, 0), [&] { b.store(epoch, counter); });
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

void DecodeBuilder::locate() {
  thread = b.threadIdx();
  warp = b.div(thread, kWarpLanes);
  lane = b.rem(thread, kWarpLanes);
  laneRow = b.div(lane, 4);
  laneElement = b.mul(b.rem(lane, 4), kLaneElements);

  firstRank = b.mul(block, shape.ranks);
  // Blocks that have ranks only take part in the last product, without rows.
  blockRow = b.min(b.div(block, shape.blocksPerRow), b.i32(problem.bOut - 1));
  firstRow =
      b.mul(b.sub(block, b.mul(blockRow, shape.blocksPerRow)), shape.rows);
  endRow = b.min(b.add(firstRow, shape.rows), b.i32(shape.p));
}

/// The rows of Vt and, as often as the chunks change, of X.
void DecodeBuilder::addFirstLoads() {
  bool splitsColumns = shape.columnsPerWarp == 1;
  for (int64_t index = 0; index < shape.columnsPerWarp; ++index) {
    Value column, firstElement = laneElement, valid;
    if (splitsColumns) {
      column = b.div(warp, shape.slicesPerColumn);
      firstElement = b.add(b.mul(b.rem(warp, shape.slicesPerColumn),
                                 shape.chunksPerSlice * kChunk),
                           laneElement);
    } else {
      column = b.add(b.mul(warp, shape.columnsPerWarp), index);
    }
    if (shape.columnsPerWarp * kWarps != shape.slices)
      valid = b.isLess(column, b.i32(problem.bIn));
    bool checksElements =
        shape.q != shape.slicesPerColumn * shape.chunksPerSlice * kChunk;

    Value input =
        at(x,
           b.add(b.add(b.mul(laneRow, problem.n), b.mul(column, shape.q)),
                 firstElement),
           kElementBytes);
    Value row = b.add(b.add(b.mul(column, problem.rank), firstRank), laneRow);
    Value weight =
        at(vt, b.add(b.mul(row, shape.q), firstElement), kElementBytes);
    for (int64_t chunk = 0; chunk < shape.chunksPerSlice; ++chunk) {
      auto isChunkValid = [=] {
        if (!checksElements)
          return valid;
        return both(valid, b.isLess(b.add(firstElement, chunk * kChunk),
                                    b.i32(shape.q)));
      };
      for (int64_t set = 0; set < shape.tokenSets; ++set) {
        int64_t first = set * kOctet;
        inputs.add(input, (first * problem.n + chunk * kChunk) * kElementBytes,
                   [=] {
                     Value tokenValid;
                     if (first + kOctet > shape.tokens)
                       tokenValid =
                           b.isLess(b.add(laneRow, first), b.i32(shape.tokens));
                     return both(isChunkValid(), tokenValid);
                   });
      }
      for (int64_t group = 0; group < shape.rankGroups; ++group) {
        int64_t first = group * kOctet;
        weights.add(
            weight, (first * shape.q + chunk * kChunk) * kElementBytes, [=] {
              Value rankValid;
              if (first + kOctet > shape.ranks)
                rankValid = b.isLess(laneRow, b.i32(shape.ranks - first));
              if (problem.rank != shape.ranks * shape.blocks)
                rankValid = both(
                    rankValid, b.isLess(b.add(b.add(firstRank, first), laneRow),
                                        b.i32(problem.rank)));
              return both(isChunkValid(), rankValid);
            });
      }
    }
  }
}

/// The rows of U: two octets for each tile and chunk.
void DecodeBuilder::addLastLoads() {
  Value firstElement =
      b.add(b.mul(warp, shape.chunksPerWarp * kChunk), laneElement);
  Value row = b.add(b.add(b.mul(blockRow, shape.p), firstRow), laneRow);
  Value weight =
      at(u, b.add(b.mul(row, problem.rank), firstElement), kElementBytes);
  bool allRows = shape.rows % kTile == 0 && shape.p % shape.rows == 0 &&
                 shape.blocks == shape.blocksPerRow * problem.bOut;
  bool allRanks = problem.rank == shape.chunksPerWarp * kChunk * kWarps;
  for (int64_t tile = 0; tile < shape.tiles; ++tile) {
    for (int64_t chunk = 0; chunk < shape.chunksPerWarp; ++chunk) {
      for (int64_t octet = 0; octet < 2; ++octet) {
        int64_t first = tile * kTile + octet * kOctet;
        weights.add(
            weight, (first * problem.rank + chunk * kChunk) * kElementBytes,
            [=] {
              Value valid;
              if (!allRows)
                valid =
                    b.isLess(b.add(b.add(firstRow, first), laneRow), endRow);
              if (!allRanks)
                valid =
                    both(valid, b.isLess(b.add(firstElement, chunk * kChunk),
                                         b.i32(problem.rank)));
              return valid;
            });
      }
    }
  }
}

/// The block's ranks of S, to shared memory.
void DecodeBuilder::copyScales() {
  int64_t pairs = shape.ranks / 2;
  int64_t words = problem.bOut * problem.bIn * pairs;
  b.forLoop(
      thread, b.i32(words), b.i32(kThreads), {}, [&](Value word, ValueRange) {
        Value pair = b.rem(word, pairs), row = b.div(word, pairs);
        Value rank = b.add(firstRank, b.mul(pair, 2));
        b.ifThen(b.isLess(rank, b.i32(problem.rank)), [&] {
          Value source =
              at(s, b.add(b.mul(row, problem.rank), rank), kElementBytes);
          Value i = b.div(row, problem.bIn);
          // The rows of a block row follow each other.
          Value target =
              b.add(word, b.mul(i, shape.scaleStride - problem.bIn * pairs));
          b.copyAsync(at(shared, target, kWordBytes), source, kWordBytes);
        });
        return SmallVector<Value>();
      });
}

/// Y of the block's ranks: the slices' sums, to shared memory as
/// [slice, rank, token].
void DecodeBuilder::multiplyFirst() {
  Value products = b.offset(shared, shape.productOffset);
  Value zero = b.i32(0);
  for (int64_t index = 0; index < shape.columnsPerWarp; ++index) {
    std::vector<Sums> sums(shape.rankGroups, getZeroSums());
    for (int64_t chunk = 0; chunk < shape.chunksPerSlice; ++chunk) {
      SmallVector<SmallVector<Value>> tokens;
      for (int64_t set = 0; set < shape.tokenSets; ++set)
        tokens.emplace_back(inputs.take());
      if (shape.tokenSets == 1)
        tokens.emplace_back(4, zero);
      for (Sums &sum : sums) {
        ArrayRef<Value> words = weights.take();
        for (int64_t i = 0; i < 4; i += 2)
          sum = b.multiplySmall(
              {tokens[0][i], tokens[1][i], tokens[0][i + 1], tokens[1][i + 1]},
              {words[i], words[i + 1]}, sum, problem.elementType);
        weights.refill(shape.window);
      }
      inputs.refill(shape.inputWindow);
    }
    // Here the rows of the sums are tokens, their columns ranks.
    Value slice = shape.columnsPerWarp == 1
                      ? warp
                      : b.add(b.mul(warp, shape.columnsPerWarp), index);
    auto storeSums = [&] {
      Value rank = b.mul(b.rem(lane, 4), 2);
      Value target = at(products,
                        b.add(b.add(b.mul(slice, shape.sliceStride),
                                    b.mul(rank, shape.tokenStride)),
                              laneRow),
                        kWordBytes);
      for (int64_t set = 0; set < shape.tokenSets; ++set) {
        auto storeSet = [&] {
          for (int64_t group = 0; group < shape.rankGroups; ++group)
            for (int64_t e = 0; e < 2; ++e)
              b.store(
                  sums[group][2 * set + e],
                  b.offset(target, ((group * kOctet + e) * shape.tokenStride +
                                    set * kOctet) *
                                       kWordBytes));
        };
        int64_t left = shape.paddedTokens - set * kOctet;
        if (left >= kOctet)
          storeSet();
        else
          b.ifThen(b.isLess(laneRow, b.i32(left)), storeSet);
      }
    };
    if (shape.columnsPerWarp * kWarps == shape.slices)
      storeSums();
    else
      b.ifThen(b.isLess(slice, b.i32(shape.slices)), storeSums);
  }
}

/// Z of the block's ranks, published.
void DecodeBuilder::mix() {
  Value products = b.offset(shared, shape.productOffset);
  int64_t pairs = shape.ranks / 2;
  int64_t tokens = shape.tokensPerItem, lanes = shape.mixLanes;
  Type vectorType = tokens == 1 ? Type(b.getF32Type())
                                : VectorType::get(tokens, b.getF32Type());
  // All threads take part, for the sake of the shuffles.
  int64_t rounds = divideCeil(shape.items * lanes, kThreads);
  Value sub = b.rem(thread, lanes);
  for (int64_t round = 0; round < rounds; ++round) {
    Value item = b.div(b.add(thread, round * kThreads), lanes);
    Value valid =
        b.bitAnd(b.isLess(item, b.i32(shape.items)), b.isEqual(sub, 0));
    item = b.min(item, b.i32(shape.items - 1));
    Value pair = b.rem(item, pairs);
    item = b.div(item, pairs);
    Value i = b.rem(item, problem.bOut);
    Value token = b.mul(b.div(item, problem.bOut), tokens);

    Value scales =
        at(shared, b.add(b.mul(i, shape.scaleStride), pair), kWordBytes);
    Value product = at(
        products, b.add(b.mul(pair, 2 * shape.tokenStride), token), kWordBytes);
    SmallVector<Value> sums = b.forLoop(
        sub, b.i32(shape.slices), b.i32(lanes),
        SmallVector<Value>(2 * tokens, b.f32(0)),
        [&](Value slice, ValueRange sums) {
          Value column = b.div(slice, shape.slicesPerColumn);
          Value scale =
              b.load(b.getI32Type(), at(scales, column, pairs * kWordBytes));
          auto [low, high] = b.unpack(scale, problem.elementType);
          int64_t rankBytes = shape.tokenStride * kWordBytes;
          Value y = at(product, slice, shape.sliceStride * kWordBytes);
          SmallVector<Value> next;
          for (int64_t e = 0; e < 2; ++e) {
            Value values = b.load(vectorType, b.offset(y, e * rankBytes));
            for (int64_t t = 0; t < tokens; ++t)
              next.push_back(LLVM::FMAOp::create(b, e ? high : low,
                                                 vectorElement(values, t),
                                                 sums[e * tokens + t]));
          }
          return next;
        });
    for (int64_t mask = 1; mask < lanes; mask *= 2)
      for (Value &sum : sums)
        sum = arith::AddFOp::create(b, sum, b.shuffleXor(sum, mask));

    Value rank = b.add(firstRank, b.mul(pair, 2));
    valid = b.bitAnd(valid, b.isLess(rank, b.i32(problem.rank)));
    b.ifThen(valid, [&] {
      Value row = b.add(b.mul(i, shape.tokens), token);
      Value target =
          at(scratch, b.add(b.mul(row, problem.rank), rank), kExchangeBytes);
      for (int64_t t = 0; t < tokens; ++t) {
        auto publish = [&] {
          b.storeRelaxed(b.pack(sums[t], sums[tokens + t], problem.elementType),
                         epoch,
                         b.offset(target, t * problem.rank * kExchangeBytes));
        };
        if (shape.tokens % tokens == 0)
          publish();
        else
          b.ifThen(b.isLess(b.add(token, t), b.i32(shape.tokens)), publish);
      }
    });
  }
}

/// The Z of the rows' block row that the warp multiplies with, from the blocks
/// that have made it.
void DecodeBuilder::receive() {
  received.resize(shape.chunksPerWarp * shape.tokenSets);
  // So many chunks are asked for at a time; more at once take fewer round
  // trips, and more registers.
  int64_t step = (shape.getExchangeRegisters() <= 16 ? 4 : 2) / shape.tokenSets;
  bool allRanks = problem.rank == shape.chunksPerWarp * kChunk * kWarps;
  Value element = b.add(b.mul(warp, shape.chunksPerWarp * kChunk), laneElement);
  Value row = b.add(b.mul(blockRow, shape.tokens), laneRow);
  Value pointer =
      at(scratch, b.add(b.mul(row, problem.rank), element), kExchangeBytes);
  Value epoch64 = arith::ExtUIOp::create(b, b.getI64Type(), epoch);
  // Zeros with this launch's number, for tokens and ranks that there are not:
  // many warps of a layer of low rank have none.
  Value zeros = arith::ShLIOp::create(b, epoch64, b.i64(32));
  auto load = [&](int64_t chunk, int64_t set, int64_t half, Value condition) {
    int64_t firstToken = set * kOctet;
    if (firstToken + kOctet > shape.tokens)
      condition = both(
          condition, b.isLess(b.add(laneRow, firstToken), b.i32(shape.tokens)));
    if (!allRanks)
      condition = both(condition, b.isLess(b.add(element, chunk * kChunk),
                                           b.i32(problem.rank)));
    int64_t offset = firstToken * problem.rank + chunk * kChunk;
    return b.loadRelaxed(b.offset(pointer, offset * kExchangeBytes + 16 * half),
                         condition, zeros);
  };
  auto isReady = [&](Value word) {
    Value number = arith::ShRUIOp::create(b, word, b.i64(32));
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, number, epoch64)
        .getResult();
  };
  for (int64_t first = 0; first < shape.chunksPerWarp; first += step) {
    int64_t end = std::min(first + step, shape.chunksPerWarp);
    // A block writes all tokens of a rank at about the same time. To ask for
    // all of them again and again would take up what the loads of U share.
    if (shape.tokens >= kMinTokensToWaitForOne) {
      b.repeatUntil({}, [&] {
        Value ready;
        for (int64_t chunk = first; chunk < end; ++chunk)
          ready = both(ready, isReady(load(chunk, /*set=*/0, /*half=*/1,
                                           b.isEqual(laneRow, 0))
                                          .second));
        return SmallVector<Value>{ready};
      });
      b.syncWarp();
    }
    int64_t count = (end - first) * shape.tokenSets;
    SmallVector<Type> types(4 * count, b.getI32Type());
    SmallVector<Value> words = b.repeatUntil(types, [&] {
      SmallVector<Value> values{Value()};
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t half = 0; half < 2; ++half) {
          auto [low, high] = load(first + i / shape.tokenSets,
                                  i % shape.tokenSets, half, Value());
          for (Value word : {low, high}) {
            values.front() = both(values.front(), isReady(word));
            values.push_back(arith::TruncIOp::create(b, b.getI32Type(), word));
          }
        }
      }
      return values;
    });
    b.syncWarp();
    for (int64_t i = 0; i < count; ++i)
      received[first * shape.tokenSets + i].assign(words.begin() + 4 * i,
                                                   words.begin() + 4 * (i + 1));
  }
}

/// The warps' sums for the block's rows, to shared memory as
/// [warp, token, row].
void DecodeBuilder::multiplyLast() {
  int64_t rows = shape.tiles * kTile;
  Value partial = b.offset(shared, shape.partialOffset);
  // Here the rows of the sums are rows, their columns tokens.
  Value laneToken = b.mul(b.rem(lane, 4), 2);
  Value target = at(
      partial,
      b.add(b.mul(b.add(b.mul(warp, shape.tokens), laneToken), rows), laneRow),
      kWordBytes);
  for (int64_t tile = 0; tile < shape.tiles; ++tile) {
    std::vector<Sums> sums(shape.tokenSets, getZeroSums());
    for (int64_t chunk = 0; chunk < shape.chunksPerWarp; ++chunk) {
      ArrayRef<Value> upper = weights.take(), lower = weights.take();
      for (int64_t set = 0; set < shape.tokenSets; ++set) {
        ArrayRef<Value> z = received[chunk * shape.tokenSets + set];
        for (int64_t i = 0; i < 4; i += 2)
          sums[set] =
              b.multiplySmall({upper[i], lower[i], upper[i + 1], lower[i + 1]},
                              {z[i], z[i + 1]}, sums[set], problem.elementType);
      }
      weights.refill(shape.window);
    }
    for (int64_t set = 0; set < shape.tokenSets; ++set) {
      for (int64_t e = 0; e < 2; ++e) {
        int64_t token = set * kOctet + e;
        auto storeToken = [&] {
          for (int64_t octet = 0; octet < 2; ++octet)
            b.store(sums[set][2 * octet + e],
                    b.offset(target,
                             (token * rows + tile * kTile + octet * kOctet) *
                                 kWordBytes));
        };
        if (token + 7 <= shape.tokens)
          storeToken();
        else
          b.ifThen(b.isLess(b.add(laneToken, token), b.i32(shape.tokens)),
                   storeToken);
      }
    }
  }
}

/// O: the sums over the warps.
void DecodeBuilder::reduce() {
  int64_t rows = shape.tiles * kTile, pairs = rows / 2;
  Value partial = b.offset(shared, shape.partialOffset);
  Value outputs =
      at(o, b.add(b.mul(blockRow, shape.p), firstRow), kElementBytes);
  Type pairType = VectorType::get(2, b.getF32Type());
  b.forLoop(
      thread, b.i32(shape.tokens * pairs), b.i32(kThreads), {},
      [&](Value index, ValueRange) {
        Value token = b.div(index, pairs);
        Value row = b.mul(b.rem(index, pairs), 2);
        Value source = at(partial, index, 2 * kWordBytes);
        std::array<Value, 2> sum;
        for (int64_t w = 0; w < kWarps; ++w) {
          Value value = b.load(
              pairType, b.offset(source, w * shape.tokens * rows * kWordBytes));
          for (int64_t e = 0; e < 2; ++e) {
            Value term = b.extract(value, e);
            sum[e] =
                w ? arith::AddFOp::create(b, sum[e], term).getResult() : term;
          }
        }
        b.ifThen(b.isLess(b.add(firstRow, row), endRow), [&] {
          b.store(
              b.pack(sum[0], sum[1], problem.elementType),
              at(outputs, b.add(b.mul(token, problem.m), row), kElementBytes));
        });
        return SmallVector<Value>();
      });
}

Kernel structured::buildBlastDecode(gpu::GPUModuleOp module, StringRef name,
                                    const BlastProblem &problem,
                                    const BlastDecodeSchedule &schedule) {
  return DecodeBuilder(module, problem, schedule).build(name);
}
