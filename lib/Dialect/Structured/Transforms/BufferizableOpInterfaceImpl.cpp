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

namespace {
/// An op bufferizes to itself on the buffers of its operands.
template <typename OpTy>
struct SelfBufferizable
    : DstBufferizableOpInterfaceExternalModel<SelfBufferizable<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    // Of attention's init only the shape matters.
    return !isa<AttentionOp>(op) ||
           cast<DestinationStyleOpInterface>(op).isDpsInput(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (op->getNumResults() == 0)
      return success(); // on memrefs already
    OperationState bufferized(op->getLoc(), op->getName());
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      bufferized.operands.push_back(*buffer);
    }
    bufferized.addAttributes(op->getAttrs());
    for (unsigned i = 0; i < op->getNumRegions(); ++i)
      bufferized.addRegion();
    Operation *onBuffers = rewriter.create(bufferized);
    // A region's ops are moved, as they are yet to be bufferized.
    for (auto [from, to] :
         llvm::zip_equal(op->getRegions(), onBuffers->getRegions()))
      rewriter.inlineRegionBefore(from, to, to.begin());
    replaceOpWithBufferizedValues(rewriter, op, bufferized.operands.back());
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
    AttentionOp::attachInterface<SelfBufferizable<AttentionOp>>(*context);
    BsrMatmulOp::attachInterface<SelfBufferizable<BsrMatmulOp>>(*context);
  });
}
