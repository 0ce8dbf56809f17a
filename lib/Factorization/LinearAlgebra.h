//===- LinearAlgebra.h - BLAS and LAPACK on row-major matrices --*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Everything here runs on one thread, so that results do not depend on the
// number of threads; callers run independent blocks in parallel.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_LIB_FACTORIZATION_LINEARALGEBRA_H
#define STRUCTURED_LIB_FACTORIZATION_LINEARALGEBRA_H

#include "Structured/Factorization/Matrix.h"
#include "Structured/Weights/Result.h"

#include <cstdint>
#include <vector>

namespace structured {

/// Keeps OpenBLAS on one thread while it lives. The setting is the process's.
class SingleThreadedBlas {
public:
  SingleThreadedBlas();
  ~SingleThreadedBlas();
  SingleThreadedBlas(const SingleThreadedBlas &) = delete;
  SingleThreadedBlas &operator=(const SingleThreadedBlas &) = delete;

private:
  int previous;
};

/// An operand of `multiply`: row-major rows at a distance of `stride` elements.
struct Operand {
  const float *data;
  int64_t stride;
  bool transposed = false;
};

/// C[m,n] = alpha · A[m,k] · B[k,n] + beta · C, where the shapes are those
/// after transposition and the rows of C lie `strideC` elements apart.
void multiply(int64_t m, int64_t n, int64_t k, float alpha, Operand a,
              Operand b, float beta, float *c, int64_t strideC);

/// y[m] = A[m,n] · x, where the shape is that after transposition; y is
/// overwritten, or with `accumulate` added to.
void multiplyVector(int64_t m, int64_t n, Operand a, const float *x, float *y,
                    bool accumulate);

/// Overwrites the symmetric positive definite A [r,r] by its Cholesky factor:
/// R, upper triangular, with A = Rᵀ·R; what was below the diagonal of A stays.
/// False if A is not numerically positive definite.
bool factorizePositiveDefinite(float *a, int64_t r);

/// Solves X · A = B for X [rows,r] in place of B, with the factor of A.
void solveFactorized(const float *factor, int64_t r, float *b, int64_t rows);

/// Solves Rᵀ · y = b, or with `backward` R · x = b, in place of b [r], where R
/// is the factor of A: both in turn solve A · x = b.
void substitute(const float *factor, int64_t r, float *b, bool backward);

/// Solves X · Rᵀ = B for X [rows,n] in place of B; R [n,n] is upper triangular,
/// and what lies below its diagonal is not read.
void solveTriangular(const float *factor, int64_t n, float *b, int64_t rows);

/// Solves X · A = B for X in place of B: A is symmetric positive definite
/// [r,r] and is overwritten by its Cholesky factor, B is [rows,r]. False, and B
/// untouched, if A is not numerically positive definite.
bool solvePositiveDefinite(float *a, int64_t r, float *b, int64_t rows);

/// Σ a_i · b_i in double.
double dot(const float *a, const float *b, int64_t count);

/// A = U · diag(s) · Vt with k = min(m, n) and s descending.
struct Svd {
  std::vector<float> u;  ///< [m, k]
  std::vector<float> s;  ///< [k]
  std::vector<float> vt; ///< [k, n]
};

/// The singular value decomposition of a row-major matrix whose rows lie
/// `stride` elements apart.
Result<Svd> computeSvd(const float *data, int64_t stride, int64_t rows,
                       int64_t cols);

/// What every factorisation refuses: empty matrices, block counts that do not
/// divide them, NaN and infinity.
Result<void> checkMatrix(MatrixRef weight, int64_t bOut, int64_t bIn);

/// What every factorisation refuses about a rank: below 1 or above `maximum`,
/// which is `maximumName`.
Result<void> checkRank(int64_t rank, int64_t maximum, const char *maximumName);

/// floor(keep · total / perRank), where it is at least `multiple` rounded down
/// to a multiple of it, within [0, maximum].
int64_t getRankForBudget(double total, double keep, double perRank,
                         int64_t multiple, int64_t maximum);

} // namespace structured

#endif // STRUCTURED_LIB_FACTORIZATION_LINEARALGEBRA_H
