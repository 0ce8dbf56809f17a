// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "DeviceReads.h"
#include "LayerContractions.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Transforms/RegionUtils.h"

namespace structured {
#define GEN_PASS_DEF_SINKDEVICEREADS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
/// Values that one op uses and that are computed from device memory.
class DeviceReads {
public:
  explicit DeviceReads(Operation *op) : op(op) {}

  void sink() {
    for (Region &region : op->getRegions()) {
      if (region.empty())
        continue;
      llvm::SetVector<Value> captures;
      getUsedValuesDefinedAbove(region, captures);
      OpBuilder builder = OpBuilder::atBlockBegin(&region.front());
      IRMapping mapping;
      for (Value capture : captures)
        if (needsRead(capture))
          replaceAllUsesInRegionWith(capture, clone(builder, capture, mapping),
                                     region);
    }
    OpBuilder builder(op);
    IRMapping mapping;
    for (OpOperand &operand : op->getOpOperands())
      if (needsRead(operand.get()))
        operand.set(clone(builder, operand.get(), mapping));
  }

private:
  /// Whether `value` is computed from a load that can be moved.
  bool needsRead(Value value) {
    Operation *source = value.getDefiningOp();
    if (!source || source->getNumRegions() != 0)
      return false;
    if (auto it = known.find(source); it != known.end())
      return it->second;
    auto load = dyn_cast<memref::LoadOp>(source);
    bool result =
        load ? canMove(load)
             : isMemoryEffectFree(source) &&
                   llvm::any_of(source->getOperands(), [&](Value operand) {
                     return needsRead(operand);
                   });
    return known[source] = result;
  }

  /// Whether `load` would read the same in the op.
  bool canMove(memref::LoadOp load) {
    Operation *end = load->getBlock()->findAncestorOpInBlock(*op);
    if (!end || isHostMemory(load.getMemRef()))
      return false;
    for (Operation *between = load->getNextNode();
         between != end->getNextNode(); between = between->getNextNode())
      if (mayWrite(between, load.getMemRef()))
        return false;
    return true;
  }

  Value clone(OpBuilder &builder, Value value, IRMapping &mapping) {
    if (mapping.contains(value))
      return mapping.lookup(value);
    if (!needsRead(value))
      return value;
    Operation *source = value.getDefiningOp();
    for (Value operand : source->getOperands())
      mapping.map(operand, clone(builder, operand, mapping));
    builder.clone(*source, mapping);
    return mapping.lookup(value);
  }

  Operation *op;
  llvm::DenseMap<Operation *, bool> known;
};

struct SinkDeviceReads
    : structured::impl::SinkDeviceReadsBase<SinkDeviceReads> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, AttentionOp, memref::CopyOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      sinkDeviceReads(op);
  }
};
} // namespace

void structured::sinkDeviceReads(Operation *op) { DeviceReads(op).sink(); }
