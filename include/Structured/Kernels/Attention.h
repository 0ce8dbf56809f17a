//===- Attention.h - Attention in one kernel for Hopper GPUs ----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Attention of many queries, as structured.attention says it, without storing
// the scores: the softmax is formed block of keys by block of keys, and what
// has been summed is scaled when a larger score appears (Dao et al., arXiv
// 2205.14135, algorithm 1; with the overlap of arXiv 2407.08608, algorithm 2).
// docs/Hopper.md has the design and the measurements.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_KERNELS_ATTENTION_H
#define STRUCTURED_KERNELS_ATTENTION_H

#include "Structured/Kernels/Hopper.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <array>
#include <functional>

namespace structured {

struct AttentionProblem {
  /// f16 or bf16, of all operands. What the values are multiplied by is rounded
  /// to it, before the division by its sum, which is in f32.
  mlir::Type elementType;
  /// Features of queries and keys, and of values.
  int64_t features = 0, valueFeatures = 0;
  /// Keys whose scores are there at a time, 64 or 128. The more, the faster, if
  /// what becomes of a score does not take many registers.
  int64_t blockKeys = 128;
  /// Thread blocks that share a tile of queries, each with a part of the keys
  /// that it sees. If there are several, each gives a result of its own.
  int64_t splits = 1;
  /// Iterations of the batch loops.
  llvm::SmallVector<int64_t> batch;
  /// Of queries, keys, values and result: the batch loops that the third and
  /// those that the fourth dimension of the descriptor goes through, the last
  /// of them innermost.
  std::array<std::array<llvm::SmallVector<unsigned>, 2>, 4> batchLoops;
};

/// What becomes of a score before the softmax.
struct AttentionScore {
  using Builder = mlir::ImplicitLocOpBuilder;
  /// The score for the softmax (f32) of a score (f32).
  using OfKey = std::function<mlir::Value(mlir::Value score)>;
  /// Adds what depends on the key (index), too, but on no score. The key is a
  /// multiple of `multiple`, and that many keys come one after the other.
  using OfRow = std::function<OfKey(mlir::Value key, int64_t multiple)>;

  /// If the score for the softmax is but the score times this number, which is
  /// positive, `ofRow` is not needed.
  std::optional<double> factor;
  /// What the two below need, which are arguments of the kernel.
  llvm::SmallVector<mlir::Type> argumentTypes;
  /// Adds what depends on the batch loops and the query (index) only.
  std::function<OfRow(Builder &, mlir::ValueRange arguments,
                      mlir::ValueRange batch, mlir::Value query)>
      ofRow;
  /// The number of keys that a query sees, which are the first ones (i32, at
  /// most that of all keys, an i32). Queries see as many as the one before or
  /// more; where one sees fewer, none does after it that sees more than the one
  /// before. Null: all.
  std::function<mlir::Value(Builder &, mlir::ValueRange arguments,
                            mlir::ValueRange batch, mlir::Value query,
                            mlir::Value keys)>
      getSeenKeys;
};

/// Rows of the boxes of queries and of the result.
inline constexpr int64_t kAttentionBoxRows = 64;
/// Columns of all boxes.
inline constexpr int64_t kAttentionBoxColumns = 64;

/// Why the kernel cannot be used for the problem; nullopt if it can: features
/// must be multiples of 8, at most 128.
std::optional<std::string> checkAttention(const AttentionProblem &problem);

/// Queries of a tile, one for each thread block.
inline constexpr int64_t kAttentionQueries = 128;
/// Thread blocks for each kAttentionQueries queries, all splits.
int64_t getAttentionBlocksPerTile(const AttentionProblem &problem);

/// The splits for which it takes the shortest time for so many queries and
/// keys, by an estimate.
int64_t getAttentionSplits(const AttentionProblem &problem, int64_t queries,
                           int64_t keys, int64_t multiprocessors);

/// Adds the kernel to `module`; `checkAttention` must have passed. It can be
/// launched programmatically.
///
/// With several splits O is not one: in place of its descriptor there is a
/// pointer to the results [splits, batch…, T, valueFeatures] of the parts (f32,
/// zeros where no key is seen), and behind L one to the logarithms of the sums
/// of their exponentials [splits, batch…, T] (f32, -∞ where no key is seen). O
/// is Σ_s exp(log_s) part_s / Σ_s exp(log_s).
///
/// Arguments: the descriptors, of four dimensions with the 128-byte swizzle, of
/// the queries (features, T, batch, batch) with boxes (64, kAttentionBoxRows,
/// 1, 1), of the keys (features, L, batch, batch) and the values
/// (valueFeatures, L, batch, batch) with (64, blockKeys, 1, 1), of the result
/// (valueFeatures, T, batch, batch) with (64, kAttentionBoxRows, 1, 1); L
/// (i32); the arguments of `score`; T (i32). The number of thread blocks is
/// `getAttentionBlocksPerTile` for each kAttentionQueries of the T queries.
Kernel buildAttention(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                      const AttentionProblem &problem,
                      const AttentionScore &score);

} // namespace structured

#endif // STRUCTURED_KERNELS_ATTENTION_H
