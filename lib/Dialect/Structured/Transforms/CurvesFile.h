// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_CURVESFILE_H
#define STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_CURVESFILE_H

#include "Structured/Weights/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace structured {

/// The errors measured for a layer with one structure.
struct MeasuredCurve {
  struct Point {
    int64_t parameters;
    double relativeError;
  };
  std::string structure;     ///< blast or gblr
  int64_t bOut = 0, bIn = 0; ///< of BLAST
  /// By ascending parameters; none if nothing is smaller than the dense matrix.
  std::vector<Point> points;
};

/// The curves of a layer with an m x n weight.
struct LayerCurves {
  std::string layer;
  int64_t m = 0, n = 0;
  std::vector<MeasuredCurve> curves;
};

/// Reads a file of error curves, the format of docs/Calibration.md:
///
///     {"version": 1, "layers": [{"layer": "fc", "shape": [32, 16],
///       "curves": [{"structure": "blast", "b_out": 2, "b_in": 2,
///         "points": [[104, 0.8], [416, 0.1]]}]}]}
///
/// Errors name the file and the entry: unreadable, not JSON, another version,
/// an entry that is not of this form, points that do not ascend.
Result<std::vector<LayerCurves>> readCurvesFile(const std::string &path);

/// Writes a file of error curves, whole or not at all.
Result<void> writeCurvesFile(const std::string &path,
                             const std::vector<LayerCurves> &layers);

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_CURVESFILE_H
