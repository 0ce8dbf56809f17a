//===- GblrIntervals.h - Intervals of GBLR's rows and columns ---*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_LIB_FACTORIZATION_GBLRINTERVALS_H
#define STRUCTURED_LIB_FACTORIZATION_GBLRINTERVALS_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace structured::gblr {

/// An interval of a ring.
struct Interval {
  int64_t start = 0, size = 0;

  bool operator==(const Interval &other) const {
    return start == other.start && size == other.size;
  }
};

/// Calls `callback(first, count, offset)` for the at most two contiguous parts
/// of the interval; `offset` is the distance from the interval's start.
template <typename Callback>
void forEachPart(Interval interval, int64_t period, Callback callback) {
  int64_t first = std::min(interval.size, period - interval.start);
  if (first > 0)
    callback(interval.start, first, int64_t(0));
  if (interval.size > first)
    callback(int64_t(0), interval.size - first, first);
}

/// Part `index` of a line of `size` elements cut into `count`.
Interval getPart(int64_t index, int64_t count, int64_t size);

/// The interval and as much again, and a little more, on either side.
Interval widen(Interval interval, int64_t period);

/// The elements of the interval.
std::vector<float> cut(const std::vector<float> &values, Interval interval);

/// The squares.
std::vector<double> getEnergies(const std::vector<float> &values);

/// The interval with the largest Σ (energy − price), `minSize` to `maxSize`
/// elements long, within `scope` (the whole ring or a part of it); empty if
/// there is none of positive sum.
Interval findBestInterval(const std::vector<double> &energies, Interval scope,
                          double price, int64_t minSize, int64_t maxSize);

/// The disjoint intervals of a line that maximise
/// Σ (energy − price) − price·(intervals), without those below `minSize`.
std::vector<Interval> findRuns(const std::vector<double> &energies,
                               double price, int64_t minSize);

/// The interval after its ends have each moved by one element towards lower
/// ‖residual‖² + price·(elements), within the sizes.
Interval moveEnds(Interval interval, const std::vector<double> &energies,
                  double price, int64_t minSize, int64_t maxSize);

/// The longest interval of the ring of elements that are at least `threshold`
/// times their mean.
Interval findLongestRun(const std::vector<double> &energies, double threshold);

} // namespace structured::gblr

#endif // STRUCTURED_LIB_FACTORIZATION_GBLRINTERVALS_H
