// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/IR/Operation.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace structured;

/// The buffers of the op's operands.
static FailureOr<SmallVector<Value>>
getBuffers(Operation *op, RewriterBase &rewriter,
           const BufferizationOptions &options, BufferizationState &state) {
  SmallVector<Value> buffers;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
    if (failed(buffer))
      return failure();
    buffers.push_back(*buffer);
  }
  return buffers;
}

namespace {
/// An op bufferizes to itself on the buffers of its operands.
template <typename OpTy>
struct SelfBufferizable
    : DstBufferizableOpInterfaceExternalModel<SelfBufferizable<OpTy>, OpTy> {
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (op->getNumResults() == 0)
      return success(); // on memrefs already
    FailureOr<SmallVector<Value>> buffers =
        getBuffers(op, rewriter, options, state);
    if (failed(buffers))
      return failure();
    clone(rewriter, op, TypeRange(), *buffers);
    replaceOpWithBufferizedValues(rewriter, op, buffers->back());
    return success();
  }
};

/// So does attention, which does not read its init.
struct AttentionBufferizable
    : DstBufferizableOpInterfaceExternalModel<AttentionBufferizable,
                                              AttentionOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return cast<DestinationStyleOpInterface>(op).isDpsInput(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (op->getNumResults() == 0)
      return success(); // on memrefs already
    FailureOr<SmallVector<Value>> buffers =
        getBuffers(op, rewriter, options, state);
    if (failed(buffers))
      return failure();
    // The region's ops are moved, as they are yet to be bufferized.
    auto attention = cast<AttentionOp>(op);
    auto bufferized = AttentionOp::create(rewriter, op->getLoc(), TypeRange(),
                                          *buffers, op->getAttrs());
    rewriter.inlineRegionBefore(attention.getScore(), bufferized.getScore(),
                                bufferized.getScore().begin());
    replaceOpWithBufferizedValues(rewriter, op, buffers->back());
    return success();
  }
};
} // namespace

void structured::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, StructuredDialect *) {
    LinearOp::attachInterface<SelfBufferizable<LinearOp>>(*context);
    BlastMatmulOp::attachInterface<SelfBufferizable<BlastMatmulOp>>(*context);
    GblrMatmulOp::attachInterface<SelfBufferizable<GblrMatmulOp>>(*context);
    BlockSparseMatmulOp::attachInterface<SelfBufferizable<BlockSparseMatmulOp>>(
        *context);
    AttentionOp::attachInterface<AttentionBufferizable>(*context);
    BsrMatmulOp::attachInterface<SelfBufferizable<BsrMatmulOp>>(*context);
  });
}
