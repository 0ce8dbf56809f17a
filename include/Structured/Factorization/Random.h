//===- Random.h - Reproducible normal random numbers --------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_RANDOM_H
#define STRUCTURED_FACTORIZATION_RANDOM_H

#include <cmath>
#include <cstdint>
#include <random>

namespace structured {

/// Normally distributed floats that depend on the seed alone: the sequence of
/// std::mt19937_64 is fixed by the standard, that of std::normal_distribution
/// is not, so the Box–Muller transform is our own.
class NormalGenerator {
public:
  explicit NormalGenerator(uint64_t seed) : engine(seed) {}

  /// The next sample of mean 0 and variance 1.
  float operator()() {
    if (hasSpare) {
      hasSpare = false;
      return spare;
    }
    // Uniform in (0, 1] and [0, 1), 53 bits each.
    double radiusSource = static_cast<double>((engine() >> 11) + 1) * 0x1p-53;
    double angleSource = static_cast<double>(engine() >> 11) * 0x1p-53;
    double radius = std::sqrt(-2.0 * std::log(radiusSource));
    double angle = 6.283185307179586 * angleSource;
    spare = static_cast<float>(radius * std::sin(angle));
    hasSpare = true;
    return static_cast<float>(radius * std::cos(angle));
  }

private:
  std::mt19937_64 engine;
  float spare = 0;
  bool hasSpare = false;
};

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_RANDOM_H
