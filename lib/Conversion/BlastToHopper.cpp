// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "HopperLaunch.h"
#include "LayerContractions.h"
#include "ProductEpilogue.h"

#include "Structured/Analysis/LayerCost.h"
#include "Structured/Conversion/Passes.h"
#include "Structured/Kernels/BlastDecode.h"
#include "Structured/Kernels/BlastExchange.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

namespace structured {
#define GEN_PASS_DEF_BLASTTOHOPPER
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using LocBuilder = ImplicitLocOpBuilder;

/// The kernels' names, which are those of their implementations in a table of
/// costs.
static constexpr llvm::StringLiteral kDecode = "blast_decode";
static constexpr llvm::StringLiteral kExchange = "blast_exchange";
static constexpr llvm::StringLiteral kStages12 = "blast_stages12";
static constexpr llvm::StringLiteral kStages123 = "blast_stages123";
static constexpr llvm::StringLiteral kStage2 = "blast_stage2";

/// Why the kernel does not take the layer's operands; empty if it does.
static std::string getReason(BlastMatmulOp op) {
  if (op->getNumResults() != 0)
    return "its operands are not memrefs";
  for (Value operand : op->getOperands())
    if (auto type = cast<MemRefType>(operand.getType());
        !type.getLayout().isIdentity())
      return "an operand is not contiguous";
  for (Value factor : {op.getU(), op.getS()})
    if (!cast<MemRefType>(factor.getType()).hasStaticShape())
      return "its factors are tiled";
  return "";
}

static BlastProblem getProblem(BlastMatmulOp op) {
  return {cast<MemRefType>(op.getInput().getType()).getElementType(),
          op.getOutFeatures(),
          op.getInFeatures(),
          op.getBOut(),
          op.getBIn(),
          op.getRank()};
}

/// Whether the buffer is a parameter, which no kernel writes.
static bool isParameter(Value buffer) {
  auto argument = dyn_cast<BlockArgument>(getBaseBuffer(buffer));
  auto function =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
               : func::FuncOp();
  return function && argument.getOwner()->isEntryBlock() &&
         function.getArgAttr(argument.getArgNumber(), kParameterAttrName);
}

/// Whether all factors of the layer are parameters.
static bool hasParameters(BlastMatmulOp op) {
  return isParameter(op.getVt()) && isParameter(op.getS()) &&
         isParameter(op.getU());
}

/// Why a layer is left to the library.
static std::string getLibraryReason(int64_t tokens) {
  return "for " + std::to_string(tokens) +
         " tokens the library's products are faster";
}

namespace {
struct BlastToHopper : structured::impl::BlastToHopperBase<BlastToHopper> {
  using BlastToHopperBase::BlastToHopperBase;

  void runOnOperation() override {
    // Nothing is kept of a module that the pass has run on before.
    functions = {};
    if (!costs.empty()) {
      llvm::Expected<LayerCosts> loaded = LayerCosts::load(costs);
      if (!loaded) {
        getOperation().emitError(llvm::toString(loaded.takeError()));
        return signalPassFailure();
      }
      table = std::move(*loaded);
    }
    layers.clear();
    getOperation().walk([&](BlastMatmulOp op) { layers.push_back(op); });
    for (size_t i = 0; i < layers.size(); ++i) {
      BlastMatmulOp op = layers[i];
      if (!op) // a sibling of one before
        continue;
      std::string reason = getReason(op);
      if (reason.empty())
        reason = lower(op);
      if (!reason.empty()) {
        op->emitRemark("no Hopper kernel: ") << reason;
        continue;
      }
      op.erase();
      ++numLayers;
    }
  }

private:
  /// How a layer of many tokens is computed: by a kernel, or, with a reason, by
  /// none.
  struct Choice {
    StringRef kernel;
    std::string reason;
    BlastMixSchedule mix;
    BlastExchangeSchedule exchange;
  };

  /// Adds what computes the layer, or says why it is left.
  std::string lower(BlastMatmulOp op) {
    BlastProblem problem = getProblem(op);
    int64_t size = cast<MemRefType>(op.getInput().getType()).getDimSize(0);
    std::optional<int64_t> tokens;
    if (!ShapedType::isDynamic(size))
      tokens = size;
    std::string noDecode;
    if (tokens &&
        *tokens <= std::min(kMaxDecodeTokens, maxDecodeTokens.getValue())) {
      noDecode = getFastest(problem, *tokens, kDecode) == kLibraryImplementation
                     ? getLibraryReason(*tokens)
                     : lowerDecode(op, problem, {*tokens, multiprocessors});
      if (noDecode.empty())
        return "";
    }
    Choice choice = choose(op, problem, tokens);
    if (choice.kernel.empty())
      return noDecode.empty() ? choice.reason : noDecode;
    if (choice.kernel == kExchange)
      lowerExchange(op, problem, choice.exchange);
    else if (choice.kernel == kStage2)
      lowerStage2(op, problem);
    else
      lowerStages(op, problem, choice.mix, tokens, choice.kernel);
    return "";
  }

  /// By the table of costs, or else by rules.
  Choice choose(BlastMatmulOp op, const BlastProblem &problem,
                std::optional<int64_t> tokens) {
    Choice choice;
    choice.mix = getBlastMixSchedule(problem, tokens, multiprocessors);
    choice.exchange =
        getBlastExchangeSchedule(tokens.value_or(0), multiprocessors);
    BlastMixSchedule whole = choice.mix;
    whole.allStages = true;
    bool canFuse = !checkBlastMix(problem, choice.mix);
    bool canWhole = canFuse && allStages && !checkBlastMix(problem, whole) &&
                    ownsResult(op, problem);
    bool canExchange = tokens && !checkBlastExchange(problem, choice.exchange);
    std::optional<std::string> noMix = checkMix(problem);
    // Of fewer blocks, what the fused kernel keeps of Y fits the L2 cache.
    bool hasManyBlocks = std::max(problem.bIn, problem.bOut) > maxFusedBlocks;
    bool exchanges =
        canExchange && hasManyBlocks && *tokens >= minExchangeTokens;
    std::optional<StringRef> fastest;
    if (int64_t expected = tokens.value_or(expectedTokens)) {
      SmallVector<StringRef> possible;
      if (canFuse)
        possible.push_back(kStages12);
      if (canWhole)
        possible.push_back(kStages123);
      if (exchanges || (canExchange && isInTable(kExchange)))
        possible.push_back(kExchange);
      if (!noMix)
        possible.push_back(kStage2);
      fastest = getFastest(problem, expected, possible);
      if (fastest == kLibraryImplementation) {
        choice.reason = getLibraryReason(expected);
        return choice;
      }
    }
    if (fastest)
      choice.kernel = *fastest;
    else if (tokens && *tokens < minTokens)
      choice.reason = "it has " + std::to_string(*tokens) +
                      " tokens, more than " + std::to_string(kMaxDecodeTokens) +
                      " and fewer than " + std::to_string(minTokens);
    else if (exchanges)
      choice.kernel = kExchange;
    else if (canFuse && !hasManyBlocks)
      choice.kernel = canWhole ? kStages123 : kStages12;
    else if (noMix)
      choice.reason = *noMix;
    else
      choice.kernel = kStage2;
    choice.mix.allStages = choice.kernel == kStages123;
    return choice;
  }

  /// Whether there is a table, and it has times of this kernel.
  bool isInTable(StringRef name) const {
    return table && llvm::is_contained(table->getImplementations(), name);
  }

  /// The fastest of those of the kernels `possible` and the library that were
  /// measured with about as many tokens and blocks; nullopt if no kernel was,
  /// or if the table does not know one of them, which might be the fastest.
  std::optional<StringRef> getFastest(const BlastProblem &problem,
                                      int64_t tokens,
                                      ArrayRef<StringRef> possible) const {
    if (!table || problem.elementType.getIntOrFloatBitWidth() !=
                      8 * table->getElementBytes())
      return std::nullopt;
    LayerSizes sizes{problem.m, problem.n, problem.bOut, problem.bIn,
                     problem.rank};
    SmallVector<StringRef> names;
    for (StringRef name : possible) {
      if (!isInTable(name))
        return std::nullopt;
      if (table->isMeasured(name, sizes, tokens))
        names.push_back(name);
    }
    if (names.empty())
      return std::nullopt;
    // The library need only be measured where it might be the fastest.
    if (table->isMeasured(kLibraryImplementation, sizes, tokens))
      names.push_back(kLibraryImplementation);
    if (std::optional<LayerEstimate> fastest =
            table->getFastest(names, sizes, tokens))
      return fastest->implementation;
    return std::nullopt;
  }

  /// Whether nothing uses `buffer`, or a view of it, up to `end` but that op
  /// and the fill before it.
  static bool isUnusedBefore(Operation *end, Value buffer, Operation *fill) {
    return llvm::all_of(buffer.getUsers(), [&](Operation *user) {
      Operation *place = end->getBlock()->findAncestorOpInBlock(*user);
      if (!place)
        return false;
      if (place == end || place == fill || end->isBeforeInBlock(place))
        return true;
      return isa<ViewLikeOpInterface>(user) &&
             isUnusedBefore(end, user->getResult(0), fill);
    });
  }

  /// Whether `other`, which is behind `op`, can be computed together with it:
  /// it is of the same problem and input, and its result's memory is free
  /// before.
  bool isSibling(BlastMatmulOp op, BlastMatmulOp other) {
    if (other.getInput() != op.getInput() ||
        other->getOperandTypes() != op->getOperandTypes() ||
        !getReason(other).empty() || !hasParameters(other))
      return false;
    auto alloc = other.getInit().getDefiningOp<memref::AllocOp>();
    linalg::FillOp fill = findZeroFill(other.getInit(), other);
    return alloc && alloc->getBlock() == op->getBlock() &&
           alloc->getNumOperands() == 0 && fill &&
           isUnusedBefore(other, alloc, fill);
  }

  /// The layers behind `op` that are computed together with it.
  SmallVector<BlastMatmulOp> findSiblings(BlastMatmulOp op,
                                          const BlastProblem &problem,
                                          BlastDecodeSchedule schedule) {
    SmallVector<BlastMatmulOp> siblings;
    for (Operation *next = op->getNextNode();
         next && schedule.layers < maxSiblings; next = next->getNextNode()) {
      if (auto other = dyn_cast<BlastMatmulOp>(next))
        if (isSibling(op, other)) {
          ++schedule.layers;
          if (checkBlastDecode(problem, schedule))
            break;
          siblings.push_back(other);
        }
      if (mayWrite(next, op.getInput()))
        break;
    }
    return siblings;
  }

  /// Lowers a layer for few tokens to one kernel, if possible with others of
  /// the same input, or says why it is left.
  std::string lowerDecode(BlastMatmulOp op, const BlastProblem &problem,
                          BlastDecodeSchedule schedule) {
    if (std::optional<std::string> reason = checkBlastDecode(problem, schedule))
      return *reason;
    if (getElementTypeOrSelf(op.getInit()) != problem.elementType)
      return "its result is not of its factors' type";
    if (!takeZeroFill(op.getInit(), op))
      return "it adds to its init, which the kernel for few tokens cannot";
    // The kernel reads Vt, S and U while the kernel before it may still run.
    bool isProgrammatic = hasParameters(op);
    SmallVector<BlastMatmulOp> siblings;
    if (isProgrammatic)
      siblings = findSiblings(op, problem, schedule);
    SmallVector<Value> operands{op.getInput()};
    auto addOperands = [&](BlastMatmulOp layer) {
      operands.append(
          {layer.getVt(), layer.getS(), layer.getU(), layer.getInit()});
    };
    addOperands(op);
    for (BlastMatmulOp sibling : siblings) {
      addOperands(sibling);
      takeZeroFill(sibling.getInit(), sibling);
      Operation *alloc = sibling.getInit().getDefiningOp();
      if (op->isBeforeInBlock(alloc))
        alloc->moveBefore(op);
      *llvm::find(layers, sibling) = BlastMatmulOp();
      sibling.erase();
      ++numLayers;
    }
    schedule.layers += siblings.size();
    LocBuilder b(op.getLoc(), op);
    functions.call(b,
                   isProgrammatic ? StringRef(kDecode) : "blast_decode_in_turn",
                   operands, [&](StringRef name) {
                     return launchDecode(op, problem, schedule, operands, name,
                                         isProgrammatic);
                   });
    return "";
  }

  /// A function of X and, for each layer, Vt, S, U and O.
  func::FuncOp launchDecode(BlastMatmulOp op, const BlastProblem &problem,
                            const BlastDecodeSchedule &schedule,
                            ValueRange operands, StringRef functionName,
                            bool isProgrammatic) {
    LaunchBuilder launch(
        getOperation(), op.getLoc(), functionName, operands,
        problem.elementType, [&](gpu::GPUModuleOp kernels, StringRef name) {
          return buildBlastDecode(kernels, name, problem, schedule);
        });
    SmallVector<Value> arguments;
    for (unsigned i = 0; i < operands.size(); ++i)
      arguments.push_back(launch.getPointer(launch.getOperand(i)));
    int64_t blocks = getBlastDecodeBlocks(problem, schedule);
    arguments.push_back(
        launch.getScratch(getBlastDecodeScratch(problem, schedule), blocks));
    launch.launch(arguments, blocks, isProgrammatic);
    return launch.function;
  }

  /// Memory for Y; any buffer, `none`, if there is no need.
  Value allocateScratch(LocBuilder &b, const BlastProblem &problem,
                        const BlastMixSchedule &schedule,
                        std::optional<int64_t> tokens, Value none) {
    int64_t blocks = multiprocessors;
    if (tokens)
      blocks = std::min(blocks, getBlastMixTiles(problem, schedule, *tokens) *
                                    schedule.split);
    int64_t bytes = blocks * getBlastMixScratch(problem, schedule);
    if (bytes == 0)
      return none;
    return memref::AllocOp::create(b, MemRefType::get({bytes}, b.getI8Type()));
  }

  /// Whether the layer's result is all that is written to its init, by nobody
  /// but the layer, so that a kernel may store it.
  static bool ownsResult(BlastMatmulOp op, const BlastProblem &problem) {
    std::string reason;
    auto product = cast<DestinationStyleOpInterface>(op.getOperation());
    return getElementTypeOrSelf(op.getInit()) == problem.elementType &&
           findZeroFill(op.getInit(), op) && !findEpilogue(product, reason);
  }

  /// The first arguments of a kernel for the first two stages, in a function of
  /// X, Vt, S, Z and memory for Y: the descriptors of X and Vt, with boxes of
  /// so many tokens and ranks, and pointers to Z, S and the memory.
  static SmallVector<Value> getArguments(LaunchBuilder &launch,
                                         const BlastProblem &problem,
                                         int64_t boxTokens, int64_t boxRanks) {
    int64_t q = problem.n / problem.bIn;
    Value x = launch.getOperand(0), columns = launch.int64(q);
    Value bIn = launch.int64(problem.bIn);
    return {launch.getTensorMap(x, {columns, launch.getSize(x, 0), bIn},
                                {launch.int64(problem.n), columns},
                                {64, boxTokens, 1}),
            launch.getTensorMap(launch.getOperand(1),
                                {columns, launch.int64(problem.rank), bIn},
                                {columns, launch.int64(problem.rank * q)},
                                {64, boxRanks, 1}),
            launch.getPointer(launch.getOperand(3)),
            launch.getPointer(launch.getOperand(2)),
            launch.getPointer(launch.getOperand(4))};
  }

  /// A function of X, Vt, S, Z and memory for Y, and of U and O if it does all
  /// stages.
  func::FuncOp launchStages(BlastMatmulOp op, const BlastProblem &problem,
                            const BlastMixSchedule &schedule,
                            std::optional<int64_t> numTokens,
                            ValueRange operands, StringRef functionName) {
    LaunchBuilder launch(
        getOperation(), op.getLoc(), functionName, operands,
        problem.elementType, [&](gpu::GPUModuleOp kernels, StringRef name) {
          return buildBlastMix(kernels, name, problem, schedule);
        });
    Value tokens = launch.getSize(launch.getOperand(0), 0);
    SmallVector<Value> arguments =
        getArguments(launch, problem, schedule.tileM, schedule.tileN);
    if (schedule.split == 1) {
      arguments.push_back(arguments.back());
      launch.launch(arguments, tokens, schedule.tileM,
                    llvm::divideCeil(problem.rank, schedule.tileN),
                    multiprocessors);
      return launch.function;
    }
    int64_t tiles = getBlastMixTiles(problem, schedule, *numTokens);
    int64_t blocks = tiles * schedule.split;
    arguments.push_back(launch.getScratch(
        getBlastMixCounterBytes(problem, schedule, *numTokens), blocks));
    arguments.push_back(launch.int32(*numTokens));
    if (schedule.allStages) {
      Value bOut = launch.int64(problem.bOut), r = launch.int64(problem.rank);
      int64_t p = problem.m / problem.bOut;
      arguments.push_back(launch.getRanksMap(launch.getOperand(3), problem.rank,
                                             {64, schedule.tileM, 1}));
      arguments.push_back(launch.getTensorMap(
          launch.getOperand(5), {r, launch.int64(p), bOut},
          {r, launch.int64(p * problem.rank)}, {64, schedule.tileN, 1}));
      arguments.push_back(launch.getTensorMap(
          launch.getOperand(6), {launch.int64(p), tokens, bOut},
          {launch.int64(problem.m), launch.int64(p)}, {64, 64, 1}));
    }
    // It reads nothing before the kernel in front of it has ended.
    launch.launch(arguments, blocks, /*isProgrammatic=*/true);
    return launch.function;
  }

  /// Lowers a layer to a kernel for its first two stages and a contraction, or
  /// one for all stages.
  void lowerStages(BlastMatmulOp op, const BlastProblem &problem,
                   const BlastMixSchedule &schedule,
                   std::optional<int64_t> tokens, StringRef kernel) {
    LocBuilder b(op.getLoc(), op);
    Value z = allocateRanks(b, op, op.getBOut(), /*isZero=*/false,
                            getBlastPitchZ(problem));
    Value y = allocateScratch(b, problem, schedule, tokens, z);
    SmallVector<Value> operands{op.getInput(), op.getVt(), op.getS(), z, y};
    if (schedule.allStages) {
      takeZeroFill(op.getInit(), op);
      operands.append({op.getU(), op.getInit()});
    }
    functions.call(b, kernel, operands, [&](StringRef name) {
      return launchStages(op, problem, schedule, tokens, operands, name);
    });
    if (y != z)
      memref::DeallocOp::create(b, y);
    if (!schedule.allStages)
      addBlastStage3(b, op, takeRanks(b, z, problem.rank));
    memref::DeallocOp::create(b, z);
  }

  /// Lowers a layer to a contraction, a kernel for its second stage, and
  /// another contraction.
  void lowerStage2(BlastMatmulOp op, const BlastProblem &problem) {
    LocBuilder b(op.getLoc(), op);
    Value z = allocateRanks(b, op, op.getBOut(), /*isZero=*/false,
                            getBlastPitchZ(problem));
    Value y = allocateRanks(b, op, op.getBIn(), /*isZero=*/true);
    addBlastStage1(b, op, y);
    SmallVector<Value> operands{y, op.getS(), z};
    functions.call(b, kStage2, operands, [&](StringRef name) {
      return launchStage2(op, problem, operands, name);
    });
    memref::DeallocOp::create(b, y);
    addBlastStage3(b, op, takeRanks(b, z, problem.rank));
    memref::DeallocOp::create(b, z);
  }

  /// Lowers a layer to a kernel whose thread blocks exchange Y, and a
  /// contraction of the transposed Z.
  void lowerExchange(BlastMatmulOp op, const BlastProblem &problem,
                     const BlastExchangeSchedule &schedule) {
    LocBuilder b(op.getLoc(), op);
    auto allocate = [&](ArrayRef<int64_t> sizes, Type type) -> Value {
      return memref::AllocOp::create(b, MemRefType::get(sizes, type));
    };
    Value z =
        allocate({problem.bOut, problem.rank, getBlastExchangePitchZ(schedule)},
                 problem.elementType);
    Value y = allocate({getBlastExchangeScratch(schedule)}, b.getI8Type());
    SmallVector<Value> operands{op.getInput(), op.getVt(), op.getS(), z, y};
    functions.call(b, kExchange, operands, [&](StringRef name) {
      return launchExchange(op, problem, schedule, operands, name);
    });
    memref::DeallocOp::create(b, y);
    addBlastStage3(b, op, takeRanks(b, z, schedule.tokens),
                   /*isTransposed=*/true);
    memref::DeallocOp::create(b, z);
  }

  /// A function of X, Vt, S, Z and memory for Y.
  func::FuncOp launchExchange(BlastMatmulOp op, const BlastProblem &problem,
                              const BlastExchangeSchedule &schedule,
                              ValueRange operands, StringRef functionName) {
    LaunchBuilder launch(
        getOperation(), op.getLoc(), functionName, operands,
        problem.elementType, [&](gpu::GPUModuleOp kernels, StringRef name) {
          return buildBlastExchange(kernels, name, problem, schedule);
        });
    int64_t blocks = getBlastExchangeBlocks(schedule);
    SmallVector<Value> arguments = getArguments(
        launch, problem, schedule.tileM, getBlastExchangeRanks(schedule));
    arguments.push_back(
        launch.getScratch(getBlastExchangeCounters(schedule), blocks));
    launch.launch(arguments, blocks, /*isProgrammatic=*/false);
    return launch.function;
  }

  /// A function of Y, S and Z.
  func::FuncOp launchStage2(BlastMatmulOp op, const BlastProblem &problem,
                            ValueRange operands, StringRef functionName) {
    LaunchBuilder launch(getOperation(), op.getLoc(), functionName, operands,
                         problem.elementType,
                         [&](gpu::GPUModuleOp kernels, StringRef name) {
                           return buildMix(kernels, name, problem);
                         });
    int64_t rows = getMixRows(problem);
    Value y = launch.getOperand(0), z = launch.getOperand(2);
    launch.launch(
        {launch.getRanksMap(y, problem.rank, {64, rows, problem.bIn}),
         launch.getRanksMap(z, problem.rank, {64, rows, problem.bOut}),
         launch.getPointer(launch.getOperand(1))},
        launch.getSize(y, 1), rows, llvm::divideCeil(problem.rank, 64));
    return launch.function;
  }

  LaunchFunctions functions;
  std::optional<LayerCosts> table;
  /// All layers; null: lowered with one before.
  SmallVector<BlastMatmulOp> layers;
};
} // namespace
