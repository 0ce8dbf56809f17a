//===- GblrIntervals.cpp - Intervals of GBLR's rows and columns -----------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GblrIntervals.h"

#include <limits>
#include <numeric>

using namespace structured;
using namespace structured::gblr;

Interval gblr::getPart(int64_t index, int64_t count, int64_t size) {
  int64_t start = index * size / count;
  return {start, (index + 1) * size / count - start};
}

Interval gblr::widen(Interval interval, int64_t period) {
  constexpr int64_t least = 16;
  int64_t margin = interval.size + least;
  if (interval.size + 2 * margin >= period)
    return {0, period};
  return {(interval.start + period - margin) % period,
          interval.size + 2 * margin};
}

std::vector<float> gblr::cut(const std::vector<float> &values,
                             Interval interval) {
  std::vector<float> part(interval.size);
  forEachPart(interval, static_cast<int64_t>(values.size()),
              [&](int64_t first, int64_t count, int64_t offset) {
                std::copy_n(values.begin() + first, count,
                            part.begin() + offset);
              });
  return part;
}

std::vector<double> gblr::getEnergies(const std::vector<float> &values) {
  std::vector<double> energies(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    energies[i] = static_cast<double>(values[i]) * values[i];
  return energies;
}

Interval gblr::findBestInterval(const std::vector<double> &energies,
                                Interval scope, double price, int64_t minSize,
                                int64_t maxSize) {
  auto period = static_cast<int64_t>(energies.size());
  minSize = std::max<int64_t>(minSize, 1);
  maxSize = std::min(maxSize, scope.size);
  if (minSize > maxSize)
    return {};
  // Prefix sums, of a ring over two periods; and the candidates for the start
  // of the interval that ends at `end`, with ascending sums.
  int64_t length = scope.size == period ? 2 * period : scope.size;
  std::vector<double> prefix(length + 1);
  int64_t index = scope.start;
  for (int64_t i = 0; i < length; ++i) {
    prefix[i + 1] = prefix[i] + energies[index] - price;
    if (++index == period)
      index = 0;
  }
  std::vector<int64_t> starts(scope.size + 1);
  int64_t head = 0, tail = 0;
  double best = 0;
  Interval found;
  for (int64_t end = minSize; end <= length; ++end) {
    int64_t start = end - minSize;
    if (start < scope.size) {
      while (tail > head && prefix[starts[tail - 1]] >= prefix[start])
        --tail;
      starts[tail++] = start;
    }
    while (head < tail && starts[head] < end - maxSize)
      ++head;
    if (head == tail)
      break;
    double sum = prefix[end] - prefix[starts[head]];
    if (sum > best) {
      best = sum;
      found = {starts[head], end - starts[head]};
    }
  }
  found.start = found.size == period ? 0 : (found.start + scope.start) % period;
  return found;
}

std::vector<Interval> gblr::findRuns(const std::vector<double> &energies,
                                     double price, int64_t minSize) {
  // The best sums with and without a run that is open after element i.
  auto count = static_cast<int64_t>(energies.size());
  std::vector<char> opens(count), closedFromOpen(count + 1);
  double closed = 0, open = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) {
    opens[i] = closed - price > open;
    open = std::max(open, closed - price) + energies[i] - price;
    closedFromOpen[i + 1] = open > closed;
    closed = std::max(closed, open);
  }
  std::vector<Interval> runs;
  for (int64_t end = count; end > 0;) {
    if (!closedFromOpen[end]) {
      --end;
      continue;
    }
    int64_t start = end - 1;
    while (!opens[start])
      --start;
    if (end - start >= minSize)
      runs.push_back({start, end - start});
    end = start;
  }
  std::reverse(runs.begin(), runs.end());
  return runs;
}

Interval gblr::moveEnds(Interval interval, const std::vector<double> &energies,
                        double price, int64_t minSize, int64_t maxSize) {
  auto period = static_cast<int64_t>(energies.size());
  auto at = [&](int64_t index) {
    return energies[(index % period + period) % period];
  };
  if (interval.size > minSize && at(interval.start) < price) {
    interval.start = (interval.start + 1) % period;
    --interval.size;
  } else if (interval.size < maxSize && at(interval.start - 1) > price) {
    interval.start = (interval.start + period - 1) % period;
    ++interval.size;
  }
  int64_t end = interval.start + interval.size;
  if (interval.size > minSize && at(end - 1) < price)
    --interval.size;
  else if (interval.size < maxSize && at(end) > price)
    ++interval.size;
  return interval;
}

Interval gblr::findLongestRun(const std::vector<double> &energies,
                              double threshold) {
  auto period = static_cast<int64_t>(energies.size());
  double bound = threshold *
                 std::accumulate(energies.begin(), energies.end(), 0.0) /
                 static_cast<double>(period);
  Interval longest;
  int64_t length = 0;
  for (int64_t i = 0; i < 2 * period && longest.size < period; ++i) {
    length = energies[i % period] >= bound ? length + 1 : 0;
    if (length > longest.size)
      longest = {(i + 1 - length) % period, length};
  }
  if (longest.size == period)
    longest.start = 0;
  return longest;
}
