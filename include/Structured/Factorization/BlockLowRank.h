//===- BlockLowRank.h - Each block its own low-rank product --*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_BLOCKLOWRANK_H
#define STRUCTURED_FACTORIZATION_BLOCKLOWRANK_H

#include "Structured/Factorization/Matrix.h"
#include "Structured/Weights/Result.h"

#include <cstdint>
#include <vector>

namespace structured {

/// A matrix of bOut × bIn blocks of p × q with W_ij ≈ U_ij · Vt_ij, all blocks
/// of the same rank: block low rank with a uniform partition, which is also the
/// Monarch structure up to permutation (Dao et al., ICML 2022). A structure to
/// compare BLAST with.
struct BlockLowRankFactors {
  int64_t bOut = 0, bIn = 0;
  /// Rows and columns of a block.
  int64_t p = 0, q = 0;
  /// The rank of every block.
  int64_t r = 0;
  std::vector<float> u;  ///< [bOut, bIn, p, r]
  std::vector<float> vt; ///< [bOut, bIn, r, q]

  int64_t getNumParameters() const { return bOut * bIn * r * (p + q); }
};

/// The largest rank per block at which the factors keep at most the fraction
/// `keep` of the m·n parameters, where it is at least `multiple` rounded down
/// to a multiple of it; at most min(p, q), 0 if not even rank 1 fits. The block
/// counts must divide m and n.
int64_t getBlockLowRankRank(int64_t m, int64_t n, int64_t bOut, int64_t bIn,
                            double keep, int64_t multiple = 1);

/// The best such approximation: the truncated SVD of every block.
///
/// Errors: an empty matrix, a NaN or infinite element, block counts that do not
/// divide the matrix, a rank below 1 or above min(p, q).
Result<BlockLowRankFactors> factorizeBlockLowRank(MatrixRef weight,
                                                  int64_t bOut, int64_t bIn,
                                                  int64_t rank);

/// The matrix of the factors, row-major.
std::vector<float> reconstruct(const BlockLowRankFactors &factors);

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_BLOCKLOWRANK_H
