// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

namespace structured {
#define GEN_PASS_DEF_PLANBUFFERS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
/// A buffer that lives from its allocation to its deallocation, both in the
/// same block; `begin` and `end` are the ops' places in it.
struct Buffer {
  memref::AllocOp alloc;
  memref::DeallocOp dealloc;
  int64_t begin, end;
  int64_t bytes;
  int64_t offset = 0;

  bool livesWith(const Buffer &other) const {
    return begin < other.end && other.begin < end;
  }
};

struct PlanBuffers : structured::impl::PlanBuffersBase<PlanBuffers> {
  using PlanBuffersBase::PlanBuffersBase;

  void runOnOperation() override {
    if (!getOperation().isExternal())
      plan(getOperation().getBody().front());
  }

  void plan(Block &block) {
    SmallVector<Buffer> buffers = collect(block);
    if (buffers.size() < 2)
      return;
    int64_t arenaBytes = place(buffers);

    Buffer *first = &buffers.front(), *last = first;
    for (Buffer &buffer : buffers) {
      if (buffer.begin < first->begin)
        first = &buffer;
      if (buffer.end > last->end)
        last = &buffer;
      numBytes += buffer.bytes;
    }
    ImplicitLocOpBuilder builder(first->alloc.getLoc(), first->alloc);
    Value arena = memref::AllocOp::create(
        builder, MemRefType::get({arenaBytes}, builder.getI8Type()),
        ValueRange(), builder.getI64IntegerAttr(alignment));
    builder.setInsertionPointAfter(last->dealloc);
    memref::DeallocOp::create(builder, arena);
    for (Buffer &buffer : buffers) {
      builder.setLoc(buffer.alloc.getLoc());
      builder.setInsertionPoint(buffer.alloc);
      Value offset = arith::ConstantIndexOp::create(builder, buffer.offset);
      Value view = memref::ViewOp::create(builder, buffer.alloc.getType(),
                                          arena, offset, ValueRange());
      buffer.alloc.replaceAllUsesWith(view);
      buffer.dealloc->erase();
      buffer.alloc->erase();
    }
    numBuffers += buffers.size();
    numArenaBytes += arenaBytes;
  }

  /// The buffers of static size and simple layout that `block` allocates and
  /// frees.
  SmallVector<Buffer> collect(Block &block) {
    DenseMap<Operation *, int64_t> places;
    for (auto [place, op] : llvm::enumerate(block))
      places[&op] = place;
    SmallVector<Buffer> buffers;
    for (auto alloc : block.getOps<memref::AllocOp>()) {
      MemRefType type = alloc.getType();
      if (!type.hasStaticShape() || !type.getLayout().isIdentity() ||
          type.getMemorySpace() || !type.getElementType().isIntOrFloat() ||
          type.getNumElements() == 0)
        continue;
      memref::DeallocOp dealloc;
      bool once = true;
      for (Operation *user : alloc->getUsers())
        if (auto found = dyn_cast<memref::DeallocOp>(user)) {
          once &= !dealloc && user->getBlock() == &block;
          dealloc = found;
        }
      if (!dealloc || !once)
        continue;
      int64_t elementBytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
      int64_t bytes = type.getNumElements() * elementBytes;
      buffers.push_back(
          {alloc, dealloc, places[alloc], places[dealloc],
           static_cast<int64_t>(llvm::alignTo(bytes, alignment))});
    }
    return buffers;
  }

  /// Gives each buffer the lowest offset at which it meets none that lives at
  /// the same time, the largest buffers first. Returns the size of the arena.
  static int64_t place(SmallVectorImpl<Buffer> &buffers) {
    SmallVector<Buffer *> order, placed;
    for (Buffer &buffer : buffers)
      order.push_back(&buffer);
    llvm::stable_sort(order,
                      [](Buffer *a, Buffer *b) { return a->bytes > b->bytes; });
    int64_t arenaBytes = 0;
    for (Buffer *buffer : order) {
      // `placed` is sorted by offset.
      for (Buffer *other : placed)
        if (buffer->livesWith(*other) &&
            buffer->offset + buffer->bytes > other->offset)
          buffer->offset =
              std::max(buffer->offset, other->offset + other->bytes);
      arenaBytes = std::max(arenaBytes, buffer->offset + buffer->bytes);
      placed.insert(llvm::upper_bound(placed, buffer,
                                      [](Buffer *a, Buffer *b) {
                                        return a->offset < b->offset;
                                      }),
                    buffer);
    }
    return arenaBytes;
  }
};
} // namespace
