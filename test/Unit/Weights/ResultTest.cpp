//===- ResultTest.cpp - Tests of Result -----------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Weights/Result.h"

#include <gtest/gtest.h>

#include <memory>

using namespace structured;

TEST(ResultTest, HoldsValueOrMessage) {
  Result<int> value = 3;
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 3);
  Result<int> failure = Error{"layer 'a': no rank"};
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error(), "layer 'a': no rank");
}

TEST(ResultTest, MessageAsValueIsNotAnError) {
  Result<std::string> value = std::string("text");
  EXPECT_TRUE(value);
}

TEST(ResultTest, MovesOutOfResult) {
  Result<std::unique_ptr<int>> value = std::make_unique<int>(4);
  std::unique_ptr<int> taken = std::move(*value);
  EXPECT_EQ(*taken, 4);
}

TEST(ResultTest, Void) {
  EXPECT_TRUE(Result<void>());
  Result<void> failure = Error{"full"};
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error(), "full");
}
