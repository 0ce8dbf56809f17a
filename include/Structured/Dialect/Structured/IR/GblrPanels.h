// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The factors of a GBLR matrix as two block-sparse matrices, which vector code,
// or tensor cores, multiply with fast.

#ifndef STRUCTURED_DIALECT_STRUCTURED_IR_GBLRPANELS_H
#define STRUCTURED_DIALECT_STRUCTURED_IR_GBLRPANELS_H

#include "Structured/Dialect/Structured/IR/Structured.h"

#include <vector>

namespace structured {

/// The pattern of a block-sparse matrix as `structured.block_sparse.matmul` or,
/// with blocks of several columns, `structured.bsr.matmul` takes it: panel i of
/// `width` rows has numbers in the blocks of columns
/// coordinates[positions[i]] … coordinates[positions[i+1] - 1].
struct PanelPattern {
  int64_t width;
  int64_t columns = 1; ///< of a block
  std::vector<int32_t> positions, coordinates;

  int64_t getPanelCount() const { return positions.size() - 1; }
  /// Numbers stored, zeros among them.
  int64_t getValueCount() const { return coordinates.size() * width * columns; }
  /// The panels, those of the most blocks first.
  std::vector<int32_t> getOrder() const;
};

/// Where `size` consecutive numbers of a packed factor go: from `source` on to
/// `target`, `target + stride`, ….
struct PackedRun {
  int64_t source, target, size, stride;
};

/// W = U Vᵀ with all rank vectors of all components side by side: V is
/// [n, R], U [m, R]. Both are kept by panels.
///
/// - A panel of Vᵀ is `v.width` rank vectors; its coordinates are the union of
///   their column intervals, in ascending order. The rank vectors are
///   distributed greedily: a panel starts with the leftmost that is left, and
///   takes the one that adds the fewest zeros until it is full. The last panel
///   is filled up with zeros, so R is a multiple of `v.width`.
/// - A panel of U is `u.width` rows of W; its coordinates are the rank vectors
///   whose row intervals meet it.
///
/// Intervals that wrap around need nothing special: a union of columns does not
/// have to be an interval.
///
/// With blocks of `columns` columns, these take the place of columns above: of
/// V's, and of `columns` successive rank vectors. The rank vectors are
/// distributed by many exchanges, so that the blocks of both factors are few.
/// V's panels are in descending order of their blocks, but for the first, which
/// is the last: the order in which a kernel is likely to have made them. Each
/// panel has a block at least.
struct GblrPanels {
  PanelPattern v, u;
  /// How the packed factors fill the panels; the rest are zeros.
  std::vector<PackedRun> vRuns, uRuns;
  /// With blocks of several columns, the number of the rank vector in each row
  /// of V's panels, those of a component one after the other, or -1.
  std::vector<int32_t> order;

  /// Takes time quadratic in the number of components, or, with blocks of
  /// several columns, a second for a thousand rank vectors, unless `order` is
  /// given. `vWidth` must be a multiple of `columns`.
  static GblrPanels compute(GblrLayoutAttr layout, int64_t vWidth,
                            int64_t uWidth, int64_t columns = 1,
                            llvm::ArrayRef<int32_t> order = {});
};

} // namespace structured

#endif // STRUCTURED_DIALECT_STRUCTURED_IR_GBLRPANELS_H
