// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Where a tensor's numbers come from: follows a value back through the ops that
// only move elements (broadcasts, transposes, reshapes, casts) to the weight
// that holds them, and says where in it each element lies. No rewriting.

#ifndef STRUCTURED_ANALYSIS_WEIGHTTRACING_H
#define STRUCTURED_ANALYSIS_WEIGHTTRACING_H

#include "mlir/IR/Value.h"

#include <optional>
#include <string>

namespace structured {

/// `size` positions that lie `stride` elements of the source apart. A stride of
/// 0 is a broadcast, whose size may be dynamic.
struct LayoutMode {
  int64_t size;
  int64_t stride;

  bool isBroadcast() const { return stride == 0; }
  bool operator==(const LayoutMode &other) const {
    return size == other.size && stride == other.stride;
  }
};

/// How one dimension lies in the source: modes from the slowest varying to the
/// fastest, without modes of size 1 and with neighbours that form one run
/// merged (a coalesced layout in CuTe's sense). A dimension of size 1 has none.
using DimLayout = llvm::SmallVector<LayoutMode, 2>;

/// Merges neighbouring modes that form one run and drops those of size 1.
DimLayout coalesce(llvm::ArrayRef<LayoutMode> modes);

/// A tensor whose elements are those of `source`, moved: broadcast, transposed,
/// reshaped, and converted to `elementType` if the source has another one.
struct TracedTensor {
  mlir::Value source;
  mlir::Type elementType;
  /// One layout for each dimension of the tensor.
  llvm::SmallVector<DimLayout> dims;
  /// Where the tensor's first element lies in the source, in elements.
  int64_t offset = 0;
};

/// Follows `tensor`, a value of a ranked tensor type, back as far as its
/// elements are only moved. The source is `tensor` itself if its producer
/// computes. Seen through are linalg ops whose body yields an input (copies,
/// broadcasts and transposes, named or generic), conversions between
/// floating-point types, in such a body or on tensors, that do not round twice;
/// tensor.cast, collapse_shape, expand_shape, reshape; tensor.extract_slice that
/// only drops dimensions of size 1. With `throughSlices` also
/// tensor.extract_slice at static places: then the tensor may be a part of the
/// source.
TracedTensor traceView(mlir::Value tensor, bool throughSlices = false);

/// What kind of thing holds a weight.
enum class WeightKind {
  Constant,  ///< a constant op: dense or in a dialect resource
  Parameter, ///< `structured.parameter`, or an argument marked as one
  Global,    ///< an immutable ml_program global, or a constant memref global
  Argument   ///< a function argument that nothing marks as a weight
};

/// A value that holds a model's weight.
struct WeightSource {
  WeightKind kind;
  /// The parameter's name, the resource's key, the global's symbol, the marked
  /// argument's name, or `<function>.arg<k>`; empty for a constant whose
  /// numbers stand in the program.
  std::string name;
};

/// The weight that `value` is, or that it is a static slice of; nothing if it
/// is none. Looks through no other ops that move elements, see `traceView`.
std::optional<WeightSource> getWeightSource(mlir::Value value);

/// A weight matrix W [m, n] as it lies in the dense, row-major tensor `source`:
/// element (i, j) is the source's element `getOffset(i, j)`, converted to
/// `elementType`. No two elements share an offset.
struct WeightMatrix {
  mlir::Value source;
  WeightSource origin;
  mlir::Type elementType;
  DimLayout rows, cols;
  int64_t offset = 0; ///< of element (0, 0)

  int64_t getNumRows() const; ///< m, the output features
  int64_t getNumCols() const; ///< n, the input features
  /// The place of element (row, col) in the source, in elements.
  int64_t getOffset(int64_t row, int64_t col) const;
  /// W is all of the source and not only a slice of it.
  bool coversSource() const;
  /// W is the whole source, read row by row.
  bool isRowMajor() const;
  /// W is the transpose of the whole source read row by row: the source is
  /// [n, m] up to a reshape.
  bool isTransposed() const;
};

/// The matrix with the given layouts in `view.source`, if that is a weight and
/// no element of it is read twice.
std::optional<WeightMatrix> getWeightMatrix(const TracedTensor &view,
                                            llvm::ArrayRef<LayoutMode> rows,
                                            llvm::ArrayRef<LayoutMode> cols);

/// Traces a matrix [m, n] of static shape, such as the weight of a
/// `structured.linear`, to its source, of which it may be a slice. Nothing if
/// it comes from no weight or reads an element twice.
std::optional<WeightMatrix> traceWeight(mlir::Value matrix);

} // namespace structured

#endif // STRUCTURED_ANALYSIS_WEIGHTTRACING_H
