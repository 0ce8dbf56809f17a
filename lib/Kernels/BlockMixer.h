// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The mix of a BLAST product in shared memory: Z[i, t, ρ] = Σ_j s_ij,ρ Y[j, t,
// ρ].
//
// A tile holds some tokens and ranks of all blocks, in parts of kStoreN ranks,
// [block, part, token, rank], rows of 128 bytes with the 128-byte swizzle. Z
// takes the place of Y.
//
// The tensor cores mix (mma.m16n8k16). With up to four blocks a product is that
// of the diagonal matrices of 8 ranks of two block rows and two block columns
// with Y of these ranks and 8 tokens. With more there is a product for each ρ,
// b_out × b_in times b_in × 8 tokens.

#ifndef STRUCTURED_LIB_KERNELS_BLOCKMIXER_H
#define STRUCTURED_LIB_KERNELS_BLOCKMIXER_H

#include "TilePipeline.h"

#include "Structured/Kernels/Hopper.h"

namespace structured {

/// Ranks that are mixed at a time: 16 bytes.
inline constexpr int64_t kChunk = 8;

/// Why the blocks of a problem cannot be mixed; nullopt if they can.
std::optional<std::string> checkBlocks(const BlastProblem &problem);

/// The same for kernels that multiply X and Vt.
std::optional<std::string> checkInput(const BlastProblem &problem);

class BlockMixer {
public:
  /// Of tiles of `rows` tokens and `tileN` ranks. `scales` points to S
  /// [b_out, b_in, r].
  BlockMixer(HopperBuilder &builder, const BlastProblem &problem, int64_t rows,
             int64_t tileN, mlir::Value scales)
      : b(builder), problem(problem), rows(rows), tileN(tileN), s(scales),
        lane(b.laneIdx()) {}

  /// Bytes of a part, of a block, of a tile.
  int64_t getPartBytes() const { return rows * kStoreN * kElementBytes; }
  int64_t getBlockBytes() const { return tileN / kStoreN * getPartBytes(); }
  int64_t getTileBytes() const {
    return std::max(problem.bIn, problem.bOut) * getBlockBytes();
  }

  /// Mixes the tile at `base`, whose first rank is `firstRank`, by `warps`
  /// warps of which this one is number `warp`. Each has chunks of ranks of its
  /// own.
  void mix(mlir::Value base, mlir::Value firstRank, mlir::Value warp,
           int64_t warps);

private:
  void mixDiagonals(mlir::Value base, mlir::Value chunk, mlir::Value rank);
  mlir::Value loadDiagonal(int64_t i, int64_t j, mlir::Value rank);
  void mixProducts(mlir::Value base, mlir::Value chunk, mlir::Value rank);
  void forRows(int64_t step, llvm::function_ref<void(mlir::Value row)> body);
  llvm::SmallVector<mlir::Value> loadScales(mlir::Value rank);
  /// S[i, j, rank …], 8 elements.
  mlir::Value loadScale(mlir::Value i, mlir::Value j, mlir::Value rank);
  /// The 16 bytes of ranks 8·chunk … of token `row` in block `block`.
  mlir::Value getAddress(mlir::Value base, mlir::Value block, mlir::Value row,
                         mlir::Value chunk);

  HopperBuilder &b;
  const BlastProblem &problem;
  int64_t rows, tileN;
  mlir::Value s, lane;
};

} // namespace structured

#endif // STRUCTURED_LIB_KERNELS_BLOCKMIXER_H
