//===- RandomTest.cpp - Tests of the generator ---------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Random.h"

#include <gtest/gtest.h>

using namespace structured;

TEST(NormalGeneratorTest, MeanVarianceAndTails) {
  NormalGenerator normal(1);
  constexpr int count = 200000;
  double sum = 0, squares = 0;
  int beyondTwo = 0;
  for (int i = 0; i < count; ++i) {
    double x = normal();
    sum += x;
    squares += x * x;
    beyondTwo += std::fabs(x) > 2;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 1, 0.015);
  EXPECT_NEAR(static_cast<double>(beyondTwo) / count, 0.0455, 0.002);
}

/// The values follow from the definition of std::mt19937_64 alone: whoever
/// changes them changes every published result.
TEST(NormalGeneratorTest, SequenceIsFixed) {
  std::mt19937_64 engine(42);
  double radiusSource = static_cast<double>((engine() >> 11) + 1) * 0x1p-53;
  double angle =
      6.283185307179586 * static_cast<double>(engine() >> 11) * 0x1p-53;
  double radius = std::sqrt(-2 * std::log(radiusSource));
  NormalGenerator normal(42), again(42), other(43);
  EXPECT_FLOAT_EQ(normal(), static_cast<float>(radius * std::cos(angle)));
  EXPECT_FLOAT_EQ(normal(), static_cast<float>(radius * std::sin(angle)));
  again();
  again();
  other();
  other();
  float third = normal();
  EXPECT_EQ(third, again());
  EXPECT_NE(third, other());
}
