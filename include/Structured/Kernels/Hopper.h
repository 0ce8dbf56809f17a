//===- Hopper.h - Tensor-core kernels for Hopper GPUs -----------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Kernels as IR (llvm, nvvm, scf, arith) in a gpu.module. They multiply
// matrices of f16 or bf16 with sums in f32, by the warpgroup instructions and
// the tensor memory accelerator (TMA) of compute capability 9.0.
//
// docs/Hopper.md explains the design and has the measurements.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_KERNELS_HOPPER_H
#define STRUCTURED_KERNELS_HOPPER_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <cstdint>
#include <optional>
#include <string>

namespace structured {

/// How a matrix product is cut up.
struct GemmSchedule {
  /// Rows (tokens) of a tile of the result: 64 for each warpgroup that
  /// multiplies, 128 or 192.
  int64_t tileM = 128;
  /// Columns (features) of a tile: a multiple of 64, at most 256.
  int64_t tileN = 128;
  /// Tiles of the operands, 64 columns wide, that are in flight.
  int64_t stages = 4;
  /// Row tiles that neighbouring blocks take before the next column tile.
  int64_t groupM = 16;
};

/// A batch of products D[z] = A[z] · B[z]ᵀ + bias[z], A [rows, k], B [n, k],
/// D [rows, n], all with their last dimension contiguous. `rows`, the number of
/// tokens, is an argument of the kernel.
struct GemmProblem {
  /// f16 or bf16, of all operands.
  mlir::Type elementType;
  int64_t n = 0, k = 0;
  int64_t batch = 1;
  /// A vector [batch · n] that is added to each row of the result.
  bool hasBias = false;
};

/// A kernel and how it is launched.
///
/// Arguments: the descriptors of A, B and D (pointers to CUtensorMap), a
/// pointer to the bias (any if there is none), the number of rows (i32). The
/// descriptors are of rank 3: A is (k, rows, z) with boxes (64, tileM, 1), B
/// (k, n, z) with (64, tileN, 1), D (n, rows, z) with (64, 64, 1), innermost
/// dimension first, all with the 128- byte swizzle. Rows and columns beyond the
/// matrices are read as zeros and not written, so that all sizes are allowed; k
/// and n must be multiples of 8, as TMA asks for strides of 16 bytes.
struct Kernel {
  std::string name;
  int64_t threads = 0;
  int64_t sharedMemoryBytes = 0;
};

/// The bytes of shared memory that a thread block has on Hopper.
inline constexpr int64_t kHopperSharedMemory = 232448;

/// The multiprocessors of an H100 or H200 (SXM), to plan for.
inline constexpr int64_t kHopperMultiprocessors = 132;

/// Why the schedule cannot be used for the problem; nullopt if it can.
std::optional<std::string> checkGemm(const GemmProblem &problem,
                                     const GemmSchedule &schedule);

/// The shared memory that the kernel takes.
int64_t getGemmSharedMemory(const GemmProblem &problem,
                            const GemmSchedule &schedule);

/// The number of tiles for `rows` rows: more thread blocks than these or than
/// there are multiprocessors are of no use.
int64_t getGemmTiles(const GemmProblem &problem, const GemmSchedule &schedule,
                     int64_t rows);

/// Adds the kernel to `module`; `checkGemm` must have passed.
Kernel buildGemm(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                 const GemmProblem &problem, const GemmSchedule &schedule);

//===----------------------------------------------------------------------===//
// Block-sparse products
//===----------------------------------------------------------------------===//

/// The product D = A · Wᵀ, or D += A · Wᵀ, with a block-sparse matrix W [n, k]
/// in BSR form: W is cut into panels of tileN rows, and of a panel only some
/// blocks of 64 columns are stored. A [rows, k] and D [rows, n] have their last
/// dimension contiguous. If `ranks` is not 0, A is itself such a product,
/// A = X · Vᵀ with V [ranks, …] in panels as wide, and one kernel makes both.
struct BlockSparseGemmProblem {
  /// f16 or bf16, of all operands; A is rounded to it.
  mlir::Type elementType;
  int64_t n = 0;
  /// D is added to. It is rounded once.
  bool accumulates = false;
  int64_t ranks = 0;
};

/// Columns of a block.
inline constexpr int64_t kSparseBlockColumns = 64;

/// Why the schedule cannot be used; nullopt if it can. Tiles have 128 rows and
/// 128 or 256 columns, a divisor of `ranks`; groupM is that of the second of
/// two products.
std::optional<std::string>
checkBlockSparseGemm(const BlockSparseGemmProblem &problem,
                     const GemmSchedule &schedule);

int64_t getBlockSparseGemmSharedMemory(const BlockSparseGemmProblem &problem,
                                       const GemmSchedule &schedule);

/// Tiles for each tileM rows: more thread blocks than tiles, or than there are
/// multiprocessors, are of no use.
int64_t getBlockSparseGemmTilesPerRow(const BlockSparseGemmProblem &problem,
                                      const GemmSchedule &schedule);

/// Bytes of device memory that launches with `rows` rows, one after the other,
/// need, zeroed before the first; with one product they do not depend on
/// `rows`.
int64_t getBlockSparseGemmScratch(const BlockSparseGemmProblem &problem,
                                  const GemmSchedule &schedule, int64_t rows);

/// Adds the kernel to `module`; `checkBlockSparseGemm` must have passed. The
/// blocks of panel p are `positions[p]` to `positions[p + 1]`, at least one,
/// and block i begins at column 64·`coordinates[i]`. `order` lists
/// the panels as they are to be multiplied: those with the most blocks should
/// come first, so that all multiprocessors end together.
///
/// Arguments: for each product the descriptors of A (k, rows, 1) with boxes
/// (64, tileM, 1), of the blocks (64, tileN, blocks) with (64, tileN, 1), of D
/// (n, rows, 1) with (64, 64, 1), as those of `buildGemm`, and pointers to
/// positions, coordinates and order, i32, those of X · Vᵀ first; then pointers
/// to D (used if it is added to) and to `getBlockSparseGemmScratch` bytes, and
/// the number of rows (i32).
Kernel buildBlockSparseGemm(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                            const BlockSparseGemmProblem &problem,
                            const GemmSchedule &schedule);

//===----------------------------------------------------------------------===//
// BLAST
//===----------------------------------------------------------------------===//

/// A BLAST layer, O = X Wᵀ with the blocks U_i diag(s_ij) Vt_j of W [m, n].
struct BlastProblem {
  /// f16 or bf16, of all tensors; Y and Z are rounded to it.
  mlir::Type elementType;
  int64_t m = 0, n = 0;
  /// Block rows and block columns.
  int64_t bOut = 0, bIn = 0;
  int64_t rank = 0;
};

/// From a row of Z to the next, in elements: rows begin at multiples of 32
/// bytes, so that no two of them share a sector of the L2 cache.
int64_t getBlastPitchZ(const BlastProblem &problem);

/// How the first two stages are cut up.
struct BlastMixSchedule {
  /// A tile is tileM tokens, 128, by tileN ranks, 64 to 256, of all block
  /// columns and rows.
  int64_t tileM = 128;
  int64_t tileN = 256;
  int64_t stages = 4;
  int64_t groupM = 16;
  /// Thread blocks that share a tile, each with bIn / split block columns.
  int64_t split = 1;
  /// The third stage, too, with tiles of as many columns, one for each thread
  /// block; not with split = 1.
  bool allStages = false;
};

/// Why the kernel cannot be used for the problem; nullopt if it can.
std::optional<std::string> checkBlastMix(const BlastProblem &problem,
                                         const BlastMixSchedule &schedule);

int64_t getBlastMixSharedMemory(const BlastProblem &problem,
                                const BlastMixSchedule &schedule);

/// Tiles for so many tokens. With split = 1 any number of thread blocks takes
/// them; else there must be tiles · split blocks, which wait for each other.
int64_t getBlastMixTiles(const BlastProblem &problem,
                         const BlastMixSchedule &schedule, int64_t tokens);

/// Bytes of device memory that each thread block has for Y.
int64_t getBlastMixScratch(const BlastProblem &problem,
                           const BlastMixSchedule &schedule);

/// Bytes of device memory for counters, if split > 1.
int64_t getBlastMixCounterBytes(const BlastProblem &problem,
                                const BlastMixSchedule &schedule,
                                int64_t tokens);

/// The fastest by a rough estimate, with as many stages as fit. For a number of
/// tokens that is not known, one for many.
BlastMixSchedule getBlastMixSchedule(const BlastProblem &problem,
                                     std::optional<int64_t> tokens,
                                     int64_t multiprocessors);

/// Adds a kernel for the first two stages of a BLAST product to `module`,
///
///     Y[j] = X[j] Vt[j]ᵀ,  Z[i, t, ρ] = Σ_j S[i, j, ρ] Y[j, t, ρ],
///
/// with Y and Z rounded to the element type, and if the schedule says so for
/// all of it: O[t, i, p] = Σ_ρ Z[i, t, ρ] U[i, p, ρ]. `checkBlastMix` must have
/// passed.
///
/// Arguments: the descriptors, as those of `buildGemm`, of X (q, T, b_in) with
/// boxes (64, tileM, 1) and of Vt (q, r, b_in) with (64, tileN, 1); pointers to
/// Z [b_out, T, r] with rows `getBlastPitchZ` apart, to S [b_out, b_in, r], to
/// `getBlastMixScratch` bytes for each thread block, and to
/// `getBlastMixCounterBytes` (used if split > 1), zero before the first launch,
/// which launches at the same time must not share; T (i32). For all stages
/// besides: the descriptors of Z (r, T, b_out) with (64, tileM, 1), of U
/// (r, p, b_out) with (64, tileN, 1) and of O (p, T, b_out) with (64, 64, 1).
Kernel buildBlastMix(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                     const BlastProblem &problem,
                     const BlastMixSchedule &schedule);

/// Why `buildMix` cannot be used for the problem; nullopt if it can.
std::optional<std::string> checkMix(const BlastProblem &problem);

/// Tokens in a tile of `buildMix`.
int64_t getMixRows(const BlastProblem &problem);

/// Adds a kernel for the second stage alone, Y [b_in, T, r] to Z [b_out, T, r].
///
/// Arguments: the descriptors of Y (r, T, b_in) with boxes (64, rows, b_in) and
/// of Z (r, T, b_out) with (64, rows, b_out), with the 128-byte swizzle; a
/// pointer to S [b_out, b_in, r]; T (i32). `rows` is `getMixRows`.
Kernel buildMix(mlir::gpu::GPUModuleOp module, mlir::StringRef name,
                const BlastProblem &problem);

} // namespace structured

#endif // STRUCTURED_KERNELS_HOPPER_H
