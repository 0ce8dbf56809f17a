// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// structured.attention as Hopper's kernel takes it (Kernels/Attention.h).

#ifndef STRUCTURED_LIB_CONVERSION_ATTENTIONSCORE_H
#define STRUCTURED_LIB_CONVERSION_ATTENTIONSCORE_H

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Kernels/Attention.h"

namespace structured {

/// Why the kernel does not take the op, on tensors or memrefs, apart from the
/// layouts of memrefs; empty if it does.
std::string getHopperAttentionReason(AttentionOp op);

/// With the blocks of keys and splits that are best for it.
AttentionProblem getAttentionProblem(AttentionOp op);

/// The region of an attention as code of a kernel; of one on tensors only
/// `getBlockKeys`. The op must outlive it.
class AttentionScoreLowering {
public:
  explicit AttentionScoreLowering(AttentionOp op);

  /// What the region takes from outside but constants: memrefs and scalars.
  llvm::ArrayRef<mlir::Value> getCaptures() const { return captures; }

  /// Its arguments are pointers to the memrefs' first elements, and the
  /// scalars, those of index as i64.
  AttentionScore getScore();

  /// The keys of a block for which the kernel has registers enough.
  int64_t getBlockKeys();

private:
  /// Keys that a query sees, by a comparison with its number and something
  /// that depends on neither.
  struct Mask {
    mlir::Value limit;
    bool isSigned, isInclusive;
    /// What the region gives for a key that is seen.
    mlir::Value seen;
  };

  void findMask();
  bool findMask(mlir::Value condition, bool isSeenIfTrue);
  /// Whether `value` is a query's number plus something that is the same for
  /// all, or the same for all.
  bool isOffsetOfQuery(mlir::Value value);
  mlir::Value getResult();
  std::optional<double> getFactor();
  /// Whether `value` depends on a score or its key.
  bool isOfElement(mlir::Value value);
  bool dependsOn(mlir::Value value, mlir::Value argument);
  /// The region's ops that `value` needs, in order.
  llvm::SmallVector<mlir::Operation *> getSlice(mlir::Value value);
  mlir::IRMapping map(mlir::OpBuilder &builder, mlir::ValueRange arguments,
                      mlir::ValueRange batch, mlir::Value query);

  AttentionOp op;
  llvm::SmallVector<mlir::Value> captures, constants;
  std::optional<Mask> mask;
};

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_ATTENTIONSCORE_H
