//===- GblrNorm.cpp - Half-steps for GBLR in a weighted norm --------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GblrNorm.h"

#include "LinearAlgebra.h"

#include <cmath>
#include <utility>

using namespace structured;
using namespace structured::gblr;

Norm::Norm(std::vector<float> moments, int64_t n)
    : n(n), length(std::min(kMaxShort, n)),
      stride(std::max<int64_t>(n / 384, 1)),
      shortSize(length * (length + 1) / 2), moments(std::move(moments)) {
  int64_t count = (n + stride - 1) / stride;
  shortFactors.resize(count * shortSize);
#pragma omp parallel for schedule(static)
  for (int64_t index = 0; index < count; ++index) {
    std::vector<float> factor = extract({index * stride, length});
    factorizePositiveDefinite(factor.data(), length);
    float *packed = shortFactors.data() + index * shortSize;
    for (int64_t j = 0; j < length; ++j) {
      *packed++ = 1 / factor[j * length + j];
      for (int64_t i = j + 1; i < length; ++i)
        *packed++ = factor[j * length + i];
    }
  }
}

std::vector<float> Norm::extract(Interval cols) const {
  std::vector<float> part(cols.size * cols.size);
  forEachPart(cols, n, [&](int64_t row, int64_t rows, int64_t rowOffset) {
    for (int64_t i = 0; i < rows; ++i)
      forEachPart(cols, n, [&](int64_t col, int64_t count, int64_t offset) {
        std::copy_n(moments.data() + (row + i) * n + col, count,
                    part.data() + (rowOffset + i) * cols.size + offset);
      });
  });
  return part;
}

std::shared_ptr<const std::vector<float>> Norm::getFactor(Interval cols) const {
  constexpr int64_t maxSize = int64_t(1) << 26;
  auto factorize = [&] {
    auto factor = std::make_shared<std::vector<float>>(extract(cols));
    factorizePositiveDefinite(factor->data(), cols.size);
    return std::shared_ptr<const std::vector<float>>(std::move(factor));
  };
  if (cols.size <= kMaxShort)
    return factorize();
  std::array<int64_t, 2> key{cols.start, cols.size};
  std::shared_ptr<const std::vector<float>> found;
#pragma omp critical(structuredGblrFactors)
  if (auto it = cache->factors.find(key); it != cache->factors.end())
    found = it->second;
  if (found)
    return found;
  found = factorize();
#pragma omp critical(structuredGblrFactors)
  {
    if (cache->size > maxSize) {
      cache->factors.clear();
      cache->size = 0;
    }
    if (cache->factors.try_emplace(key, found).second)
      cache->size += cols.size * cols.size;
  }
  return found;
}

void Norm::multiply(Interval cols, const std::vector<float> &v,
                    std::vector<float> &result) const {
  result.assign(n, 0);
  // C is symmetric.
  forEachPart(cols, n, [&](int64_t col, int64_t count, int64_t offset) {
    multiplyVector(n, count, {moments.data() + col * n, n, true},
                   v.data() + offset, result.data(), /*accumulate=*/true);
  });
}

void Norm::multiply(const std::vector<float> &matrix,
                    std::vector<float> &result) const {
  // Rows at a time, on whatever threads there are if it is worth it.
  constexpr int64_t chunk = 96, leastWork = int64_t(1) << 26;
  auto m = static_cast<int64_t>(matrix.size()) / n;
  result.resize(matrix.size());
#pragma omp parallel for schedule(static) if (m * n * n >= leastWork)
  for (int64_t row = 0; row < m; row += chunk)
    structured::multiply(std::min(chunk, m - row), n, n, 1,
                         {matrix.data() + row * n, n}, {moments.data(), n}, 0,
                         result.data() + row * n, n);
}

double Norm::getSquaredNorm(Interval cols, const std::vector<float> &v) const {
  std::vector<float> product(cols.size);
  forEachPart(cols, n, [&](int64_t row, int64_t rows, int64_t rowOffset) {
    forEachPart(cols, n, [&](int64_t col, int64_t count, int64_t offset) {
      multiplyVector(rows, count, {moments.data() + row * n + col, n},
                     v.data() + offset, product.data() + rowOffset,
                     /*accumulate=*/true);
    });
  });
  return dot(product.data(), v.data(), cols.size);
}

double Norm::solve(Interval cols, std::vector<float> &target) const {
  if (!isShort(cols)) {
    std::shared_ptr<const std::vector<float>> factor = getFactor(cols);
    substitute(factor->data(), cols.size, target.data(), /*backward=*/false);
    double gain = dot(target.data(), target.data(), cols.size);
    substitute(factor->data(), cols.size, target.data(), /*backward=*/true);
    return gain;
  }
  const float *factor = getShortFactor(cols.start);
  double gain = 0;
  float *y = target.data();
  for (int64_t j = 0; j < cols.size; ++j) {
    float value = y[j] *= factor[0];
    gain += static_cast<double>(value) * value;
    for (int64_t i = 1; i < cols.size - j; ++i)
      y[j + i] -= value * factor[i];
    factor += length - j;
  }
  for (int64_t j = cols.size; j-- > 0;) {
    factor -= length - j;
    float sum = y[j];
    for (int64_t i = 1; i < cols.size - j; ++i)
      sum -= factor[i] * y[j + i];
    y[j] = sum * factor[0];
  }
  return gain;
}

Interval Norm::findBestInterval(const std::vector<float> &target,
                                Interval current, bool anywhere, double price,
                                int64_t minSize, int64_t maxSize) const {
  minSize = std::max<int64_t>(minSize, 1);
  maxSize = std::min(maxSize, n);
  double best = 0;
  Interval found;
  auto consider = [&](Interval cols) {
    if (cols.size < minSize || cols.size > maxSize)
      return;
    std::vector<float> part = cut(target, cols);
    substitute(getFactor(cols)->data(), cols.size, part.data(),
               /*backward=*/false);
    double value = dot(part.data(), part.data(), cols.size) -
                   price * static_cast<double>(cols.size);
    if (value > best) {
      best = value;
      found = cols;
    }
  };
  if (current.size > 0)
    consider(current);
  if (anywhere && current.size > 0)
    for (int64_t count = 1; count <= n / kMaxShort; count *= 2)
      for (int64_t index = 0; index < count; ++index)
        consider(getPart(index, count, n));
  if (!anywhere && current.size > length)
    return found;

  // Starts anywhere are tried on a coarser grid; those nearby follow.
  int64_t step = anywhere ? 4 * stride : stride;
  int64_t reach = 8 * stride;
  int64_t first = anywhere ? 0 : current.start + n - reach % n;
  int64_t count = anywhere ? n : std::min(2 * reach + 1, n);
  std::array<float, kMaxShort> y;
  int64_t size = std::min(length, maxSize);
  if (size < minSize)
    return found;
  for (int64_t offset = 0; offset < count; ++offset) {
    int64_t start = (first + offset) % n;
    if (start % step != 0)
      continue;
    forEachPart(
        {start, size}, n, [&](int64_t first, int64_t count, int64_t position) {
          std::copy_n(target.data() + first, count, y.data() + position);
        });
    const float *factor = getShortFactor(start);
    double value = 0;
    for (int64_t j = 0; j < size; ++j) {
      float element = y[j] * factor[0];
      value += static_cast<double>(element) * element - price;
      if (value > best && j + 1 >= minSize) {
        best = value;
        found = {start, j + 1};
      }
      for (int64_t i = 1; i < size - j; ++i)
        y[j + i] -= element * factor[i];
      factor += length - j;
    }
  }
  if (found.size == n)
    found.start = 0;
  return found;
}
