// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AttentionScore.h"
#include "HopperLaunch.h"

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace structured {
#define GEN_PASS_DEF_ATTENTIONTOHOPPER
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using LocBuilder = ImplicitLocOpBuilder;

/// Elements of 16 bytes, what descriptors ask addresses and strides to be
/// multiples of.
static constexpr int64_t kAligned = 8;

/// The dimension of an operand that its rows (queries or keys) go along.
static unsigned getRowDim(AttentionOp op, unsigned operand) {
  AffineExpr dim = getAffineDimExpr(op.getRowLoop(operand), op.getContext());
  return *op.getMap(operand).getResultPosition(dim);
}

/// Whether the place of an element is known, if it is the type of a memref.
static bool hasStaticLayout(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  int64_t offset;
  SmallVector<int64_t> strides;
  return !memref || (succeeded(memref.getStridesAndOffset(strides, offset)) &&
                     !ShapedType::isDynamic(offset) &&
                     !llvm::is_contained(strides, ShapedType::kDynamic));
}

/// Whether a descriptor can have the layout of the operand, whose columns must
/// be side by side.
static bool hasDescriptor(AttentionOp op, unsigned operand) {
  auto type = cast<MemRefType>(op->getOperand(operand).getType());
  if (type.getLayout().isIdentity())
    return true;
  if (!hasStaticLayout(type))
    return false;
  auto [strides, offset] = type.getStridesAndOffset();
  if (offset % kAligned || strides.back() != 1)
    return false;
  // One stride for all batch dimensions behind the rows, and for those before.
  std::optional<int64_t> next;
  unsigned row = getRowDim(op, operand);
  for (int64_t dim = type.getRank() - 2; dim >= 0; --dim) {
    if (dim == row)
      next = std::nullopt;
    if (type.getDimSize(dim) == 1)
      continue;
    if (strides[dim] % kAligned)
      return false;
    if (dim == row)
      continue;
    if (next && strides[dim] != *next)
      return false;
    next = strides[dim] * type.getDimSize(dim);
  }
  return true;
}

namespace {
struct AttentionToHopper
    : structured::impl::AttentionToHopperBase<AttentionToHopper> {
  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) { ops.push_back(op); });
    SmallVector<Kind> kinds;
    for (AttentionOp op : ops) {
      std::string reason = op->getNumResults() != 0
                               ? "its operands are not memrefs"
                               : getHopperAttentionReason(op);
      if (!reason.empty()) {
        op->emitRemark("no Hopper kernel: ") << reason;
        continue;
      }
      lower(op, kinds);
      ++numLowered;
    }
    for (Kind &kind : kinds)
      for (AttentionOp op : kind.ops)
        op.erase();
  }

private:
  /// Those that share a function, and so a kernel.
  struct Kind {
    SmallVector<AttentionOp> ops;
    SmallVector<Value> operands;
    func::FuncOp function;
  };

  /// Adds a call before the op, and, if there are parts, what puts them
  /// together.
  void lower(AttentionOp op, SmallVector<Kind> &kinds) {
    LocBuilder b(op.getLoc(), op);
    AttentionProblem problem = getAttentionProblem(op);
    int64_t splits = problem.splits;
    SmallVector<Value> operands, buffers;
    auto allocate = [&](MemRefType type, ValueRange sizes) {
      buffers.push_back(memref::AllocOp::create(b, type, sizes));
      return buffers.back();
    };
    for (OpOperand &operand : op->getOpOperands()) {
      operands.push_back(operand.get());
      bool isInit = op.isDpsInit(&operand);
      if ((isInit && splits > 1) ||
          hasDescriptor(op, operand.getOperandNumber()))
        continue;
      operands.back() = allocateLike(b, operand.get(), allocate);
      if (!isInit)
        memref::CopyOp::create(b, operand.get(), operands.back());
    }
    if (splits > 1) {
      SmallVector<int64_t> shape = getPartsShape(op, splits);
      auto f32 = b.getF32Type();
      operands.back() = allocate(MemRefType::get(shape, f32), {});
      shape.pop_back();
      operands.push_back(allocate(MemRefType::get(shape, f32), {}));
    }
    Value result = operands[3];
    SmallVector<Value> captures(AttentionScoreLowering(op).getCaptures());
    for (Value capture : captures) {
      if (hasStaticLayout(capture.getType()))
        continue;
      Value copy = allocateLike(b, capture, allocate);
      memref::CopyOp::create(b, capture, copy);
      replaceAllUsesInRegionWith(capture, copy, op.getScore());
    }
    AttentionScoreLowering lowering(op);
    llvm::append_range(operands, lowering.getCaptures());

    auto *kind = llvm::find_if(
        kinds, [&](Kind &kind) { return isLike(op, operands, kind); });
    if (kind == kinds.end()) {
      kinds.push_back({{}, operands, launch(op, problem, operands, lowering)});
      kind = &kinds.back();
    }
    kind->ops.push_back(op);
    func::CallOp::create(b, kind->function, operands);
    if (splits > 1)
      addParts(b, op, result, operands[4]);
    else if (result != op.getInit())
      memref::CopyOp::create(b, result, op.getInit());
    for (Value buffer : buffers)
      memref::DeallocOp::create(b, buffer);
  }

  /// [splits, batch…, T, features of values].
  static SmallVector<int64_t> getPartsShape(AttentionOp op, int64_t splits) {
    SmallVector<int64_t> sizes = op.getLoopSizes(), shape{splits};
    shape.append(sizes.begin(), sizes.begin() + op.getNumBatchLoops());
    shape.push_back(sizes[op.getQueryLoop()]);
    shape.push_back(sizes[op.getValueLoop()]);
    return shape;
  }

  /// init = Σ_s exp(logs[s]) parts[s] / Σ_s exp(logs[s]).
  static void addParts(LocBuilder &b, AttentionOp op, Value parts, Value logs) {
    // Loops are batch…, t, e.
    unsigned numLoops = op.getNumBatchLoops() + 2;
    AffineMap identity = b.getMultiDimIdentityMap(numLoops);
    SmallVector<unsigned> initDims;
    for (AffineExpr expr : op.getMap(3).getResults()) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      initDims.push_back(loop == op.getValueLoop() ? numLoops - 1 : loop);
    }
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    int64_t splits = cast<MemRefType>(parts.getType()).getDimSize(0);
    for (auto [buffer, map] :
         {std::pair(logs, identity.getMajorSubMap(numLoops - 1)),
          std::pair(parts, identity)})
      for (int64_t split = 0; split < splits; ++split) {
        inputs.push_back(takePart(b, buffer, split));
        maps.push_back(map);
      }
    maps.push_back(AffineMap::getMultiDimMapWithTargets(numLoops, initDims,
                                                        op.getContext()));
    SmallVector<utils::IteratorType> iterators(numLoops,
                                               utils::IteratorType::parallel);
    linalg::GenericOp::create(
        b, inputs, op.getInit(), maps, iterators,
        [&](OpBuilder &builder, Location loc, ValueRange arguments) {
          LocBuilder b(loc, builder);
          ValueRange logs = arguments.take_front(splits);
          ValueRange parts = arguments.slice(splits, splits);
          Value largest = logs.front();
          for (Value log : logs.drop_front())
            largest = arith::MaximumFOp::create(b, largest, log);
          Value sum, total;
          auto add = [&](Value &sum, Value term) {
            sum = sum ? arith::AddFOp::create(b, sum, term) : term;
          };
          for (auto [log, part] : llvm::zip_equal(logs, parts)) {
            Value weight =
                math::ExpOp::create(b, arith::SubFOp::create(b, log, largest));
            add(total, weight);
            add(sum, arith::MulFOp::create(b, weight, part));
          }
          Value quotient = arith::DivFOp::create(b, sum, total);
          linalg::YieldOp::create(
              b,
              arith::TruncFOp::create(b, arguments.back().getType(), quotient)
                  .getResult());
        });
  }

  /// `buffer[split]`.
  static Value takePart(LocBuilder &b, Value buffer, int64_t split) {
    auto type = cast<MemRefType>(buffer.getType());
    SmallVector<int64_t> offsets(type.getRank(), 0), sizes(type.getShape()),
        strides(type.getRank(), 1);
    offsets.front() = split;
    sizes.front() = 1;
    MemRefType part = memref::SubViewOp::inferRankReducedResultType(
        type.getShape().drop_front(), type, offsets, sizes, strides);
    return memref::SubViewOp::create(b, part, buffer, offsets, sizes, strides);
  }

  /// Whether the op, on such operands and captures, is one of that kind.
  static bool isLike(AttentionOp op, ValueRange operands, const Kind &kind) {
    AttentionOp other = kind.ops.front();
    if (op.getIndexingMaps() != other.getIndexingMaps() ||
        operands.getTypes() != ValueRange(kind.operands).getTypes())
      return false;
    DenseMap<Value, Value> same;
    for (auto [mine, others] : llvm::zip_equal(operands, kind.operands))
      same[mine] = others;
    auto isSame = [&](Value mine, Value others) {
      Attribute constant, othersConstant;
      if (matchPattern(mine, m_Constant(&constant)) &&
          matchPattern(others, m_Constant(&othersConstant)))
        return success(constant == othersConstant);
      return success(same.lookup(mine) == others);
    };
    return OperationEquivalence::isRegionEquivalentTo(
        &op.getScore(), &other.getScore(), isSame,
        [&](Value mine, Value others) { same[mine] = others; },
        OperationEquivalence::IgnoreLocations);
  }

  /// A contiguous buffer of the memref's shape.
  static Value
  allocateLike(LocBuilder &b, Value memref,
               function_ref<Value(MemRefType, ValueRange)> allocate) {
    auto type = cast<MemRefType>(memref.getType());
    SmallVector<Value> sizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        sizes.push_back(memref::DimOp::create(b, memref, dim));
    return allocate(MemRefType::get(type.getShape(), type.getElementType()),
                    sizes);
  }

  /// A function of query, key, value, init (or parts and logarithms) and what
  /// the region captures.
  func::FuncOp launch(AttentionOp op, const AttentionProblem &problem,
                      ValueRange operands, AttentionScoreLowering &lowering) {
    AttentionScore score = lowering.getScore();
    LaunchBuilder launch(getOperation(), op.getLoc(), "attention", operands,
                         problem.elementType,
                         [&](gpu::GPUModuleOp kernels, StringRef name) {
                           return buildAttention(kernels, name, problem, score);
                         });
    SmallVector<Value> arguments;
    unsigned isSplit = problem.splits > 1;
    for (unsigned operand = 0; operand < 4 - isSplit; ++operand)
      arguments.push_back(
          getDescriptor(launch, op, problem.blockKeys, operand));
    if (isSplit)
      arguments.push_back(launch.getPointer(launch.getOperand(3)));
    arguments.push_back(
        launch.toInt32(launch.getSize(launch.getOperand(1), getRowDim(op, 1))));
    if (isSplit)
      arguments.push_back(launch.getPointer(launch.getOperand(4)));
    for (auto [index, capture] : llvm::enumerate(lowering.getCaptures())) {
      Value argument = launch.getOperand(4 + isSplit + index);
      if (isa<MemRefType>(capture.getType()))
        argument = launch.getPointer(argument);
      else if (capture.getType().isIndex())
        argument = launch.toInt64(argument);
      arguments.push_back(argument);
    }
    launch.launchTiles(arguments,
                       launch.getSize(launch.getOperand(0), getRowDim(op, 0)),
                       kAttentionQueries, getAttentionBlocksPerTile(problem));
    return launch.function;
  }

  /// That of (features, rows, batch dimensions behind the rows, those before).
  static Value getDescriptor(LaunchBuilder &launch, AttentionOp op,
                             int64_t blockKeys, unsigned operand) {
    Value memref = launch.getOperand(operand);
    auto type = cast<MemRefType>(memref.getType());
    int64_t columns = type.getRank() - 1, row = getRowDim(op, operand);
    Value rowStride = launch.getStride(memref, row);
    std::array<int64_t, 2> sizes = {1, 1};
    std::array<Value, 2> strides = {rowStride, rowStride};
    for (int64_t dim = 0; dim < columns; ++dim)
      if (dim != row && type.getDimSize(dim) != 1) {
        sizes[dim < row] *= type.getDimSize(dim);
        strides[dim < row] = launch.getStride(memref, dim);
      }
    bool isOfQueries = op.getRowLoop(operand) == op.getQueryLoop();
    return launch.getTensorMap(
        memref,
        {launch.int64(type.getDimSize(columns)), launch.getSize(memref, row),
         launch.int64(sizes[0]), launch.int64(sizes[1])},
        {rowStride, strides[0], strides[1]},
        {kAttentionBoxColumns, isOfQueries ? kAttentionBoxRows : blockKeys, 1,
         1});
  }
};
} // namespace
