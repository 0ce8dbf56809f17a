// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Analysis/LayerCost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace structured;

namespace {

/// Times in µs: dense 10 + T, with two kernels for BLAST, one of them for up to
/// 16 tokens and sizes that are multiples of 8, the other for 64 and more.
constexpr llvm::StringRef kTable = R"json({
  "version": 1, "device": "a machine", "element_bytes": 2,
  "tokens": [1, 16, 64, 256],
  "implementations": {
    "dense": {
      "overhead": 1e-5, "seconds_per_operation": 1e-13, "seconds_per_byte": 0,
      "layers": [
        {"m": 1024, "n": 1024, "b": 0, "r": 0,
         "seconds": [11e-6, 26e-6, 74e-6, 266e-6]}]},
    "few": {
      "overhead": 5e-6, "seconds_per_operation": 1e-13, "seconds_per_byte": 0,
      "multiple": 8,
      "layers": [
        {"m": 1024, "n": 1024, "b": 2, "r": 256,
         "seconds": [6e-6, 20e-6, null, null]},
        {"m": 1024, "n": 1024, "b": 8, "r": 256,
         "seconds": [8e-6, 40e-6, null, null]}]},
    "many": {
      "overhead": 2e-5, "seconds_per_operation": 1e-13, "seconds_per_byte": 0,
      "layers": [
        {"m": 1024, "n": 1024, "b": 2, "r": 256,
         "seconds": [null, null, 50e-6, 150e-6]},
        {"m": 1024, "n": 1024, "b": 2, "r": 384,
         "seconds": [null, null, 60e-6, 200e-6]},
        {"m": 1024, "n": 1024, "b": 8, "r": 256,
         "seconds": [null, null, 90e-6, 300e-6]},
        {"m": 4096, "n": 4096, "b": 2, "r": 1024,
         "seconds": [null, null, 400e-6, 1600e-6]}]}
  }})json";

/// `text` with `to` instead of the first `from`, which must be there.
std::string replaced(llvm::StringRef from, llvm::StringRef to,
                     llvm::StringRef text = kTable) {
  auto [before, after] = text.split(from);
  EXPECT_NE(before.size(), text.size()) << from.str();
  return (before + to + after).str();
}

LayerCosts parseTable(llvm::StringRef text = kTable) {
  llvm::Expected<LayerCosts> costs = LayerCosts::parse(text);
  if (!costs)
    ADD_FAILURE() << llvm::toString(costs.takeError());
  return std::move(*costs);
}

LayerSizes dense(int64_t m, int64_t n) { return {m, n}; }
LayerSizes blast(int64_t m, int64_t n, int64_t b, int64_t r) {
  return {m, n, b, b, r};
}

TEST(LayerCostTest, MeasuredLayersGetTheirTimes) {
  LayerCosts costs = parseTable();
  auto expect = [&](llvm::StringRef name, const LayerSizes &layer,
                    int64_t tokens, double microseconds) {
    std::optional<double> seconds = costs.estimate(name, layer, tokens);
    ASSERT_TRUE(seconds) << name.str() << " " << tokens;
    EXPECT_NEAR(*seconds * 1e6, microseconds, 1e-9 * microseconds);
  };
  expect("dense", dense(1024, 1024), 1, 11);
  expect("dense", dense(1024, 1024), 64, 74);
  expect("dense", dense(1024, 1024), 256, 266);
  expect("few", blast(1024, 1024, 2, 256), 16, 20);
  expect("few", blast(1024, 1024, 8, 256), 1, 8);
  expect("many", blast(1024, 1024, 2, 384), 64, 60);
  expect("many", blast(4096, 4096, 2, 1024), 256, 1600);
  // Between measured numbers of tokens, time is linear in them.
  expect("dense", dense(1024, 1024), 160, 170);
  // Beyond, it grows with the roofline: 10 + T·2·1024²·1e-7 µs.
  expect("dense", dense(1024, 1024), 512,
         266 * (10 + 512 * 0.2097152) / (10 + 256 * 0.2097152));
}

TEST(LayerCostTest, BetweenMeasuredLayers) {
  LayerCosts costs = parseTable();
  auto many = [&](const LayerSizes &layer) {
    return *costs.estimate("many", layer, 64);
  };
  // More blocks, larger ranks and larger layers take longer here.
  double b2 = many(blast(1024, 1024, 2, 256)),
         b4 = many(blast(1024, 1024, 4, 256)),
         b8 = many(blast(1024, 1024, 8, 256));
  EXPECT_LT(b2, b4);
  EXPECT_LT(b4, b8);
  double r320 = many(blast(1024, 1024, 2, 320));
  EXPECT_LT(b2, r320);
  EXPECT_LT(r320, many(blast(1024, 1024, 2, 384)));
  double middle = many(blast(2048, 2048, 2, 512));
  EXPECT_LT(b2, middle);
  EXPECT_LT(middle, many(blast(4096, 4096, 2, 1024)));
  // Half way between 2 and 8 blocks, the ratio to the roofline, t0 = 20 +
  // operations · 1e-7 µs, is the geometric mean; that of 2 blocks lies between
  // those of the ranks 256 and 384, by the fraction of parameters.
  auto roofline = [](double b, double r) {
    return 20e-6 + 2 * 64 * r * (2048 + b * b) * 1e-13;
  };
  double weight = (256 * (2048.0 + 16) - 256 * (2048 + 4)) /
                  (384 * (2048.0 + 4) - 256 * (2048 + 4));
  double ratio2 = std::pow(50e-6 / roofline(2, 256), 1 - weight) *
                  std::pow(60e-6 / roofline(2, 384), weight);
  EXPECT_NEAR(b4,
              roofline(4, 256) * std::sqrt(ratio2 * 90e-6 / roofline(8, 256)),
              1e-12);
  // Blocks that are no square count by the root of their number.
  LayerSizes oblong{1024, 1024, 2, 8, 256};
  EXPECT_NEAR(many(oblong), b4, 1e-12);
}

TEST(LayerCostTest, ImplementationsHaveTheirTokens) {
  LayerCosts costs = parseTable();
  LayerSizes layer = blast(1024, 1024, 2, 256);
  EXPECT_FALSE(costs.estimate("many", layer, 63));
  EXPECT_TRUE(costs.estimate("many", layer, 1000000));
  EXPECT_TRUE(costs.estimate("few", layer, 16));
  EXPECT_FALSE(costs.estimate("few", layer, 17));
  EXPECT_FALSE(costs.estimate("dense", layer, 1));
  EXPECT_FALSE(costs.estimate("blast", dense(1024, 1024), 1));
  EXPECT_FALSE(costs.estimate("none", layer, 1));
  // Between what was measured, or beyond it.
  EXPECT_TRUE(costs.isMeasured("many", layer, 64));
  EXPECT_TRUE(costs.isMeasured("many", blast(1024, 1024, 4, 256), 100));
  EXPECT_FALSE(costs.isMeasured("many", layer, 63));
  // Nothing was measured with more.
  EXPECT_TRUE(costs.isMeasured("many", layer, 257));
  EXPECT_FALSE(costs.isMeasured("few", layer, 17));
  EXPECT_FALSE(costs.isMeasured("many", blast(1024, 1024, 1, 256), 64));
  EXPECT_FALSE(costs.isMeasured("many", blast(1024, 1024, 16, 256), 64));
  EXPECT_FALSE(costs.isMeasured("none", layer, 64));
  EXPECT_EQ(costs.getImplementations(),
            (std::vector<llvm::StringRef>{"dense", "few", "many"}));
  llvm::StringRef names[] = {"few", "many"};
  EXPECT_EQ(costs.getFastest(names, layer, 16)->implementation, "few");
  EXPECT_EQ(costs.getFastest(names, layer, 64)->implementation, "many");
  EXPECT_FALSE(costs.getFastest(names, dense(1024, 1024), 64));
}

TEST(LayerCostTest, BlastIsTheFastestThatThereIs) {
  LayerCosts costs = parseTable();
  LayerSizes layer = blast(1024, 1024, 2, 256);
  EXPECT_EQ(costs.estimate("blast", layer, 16), 20e-6);
  EXPECT_EQ(costs.estimate("blast", layer, 64), 50e-6);
  // Where the one has ended and the other has not begun, time is not between
  // theirs.
  EXPECT_FALSE(costs.estimate("blast", layer, 40));
  EXPECT_FALSE(costs.compareWithDense(layer, 40));
  EXPECT_FALSE(costs.estimate("blast", dense(1024, 1024), 16));
  // Sizes that the kernel does not take.
  for (LayerSizes other : {blast(1024, 1024, 2, 260), blast(1032, 1024, 2, 256),
                           blast(1024, 1032, 2, 256)}) {
    EXPECT_FALSE(costs.estimate("blast", other, 16));
    EXPECT_FALSE(costs.isMeasured("few", other, 16));
    EXPECT_TRUE(costs.estimate("blast", other, 64));
  }
  // With an implementation of more tokens there is always one.
  costs = parseTable(
      replaced("[null, null, 50e-6, 150e-6]", "[null, 45e-6, 50e-6, 150e-6]"));
  EXPECT_EQ(costs.estimate("blast", layer, 16), 20e-6);
  EXPECT_NEAR(*costs.estimate("blast", layer, 40), 47.5e-6, 1e-12);
  EXPECT_FALSE(costs.compareWithDense(layer, 40)->pays(-0.1));
  EXPECT_TRUE(costs.compareWithDense(layer, 40)->pays(0));
  // One that was measured with about as many blocks, if there is one.
  std::string third = R"("third": {
      "overhead": 1e-6, "seconds_per_operation": 0, "seconds_per_byte": 0,
      "layers": [{"m": 1024, "n": 1024, "b": 4, "r": 256,
                  "seconds": [null, null, 1e-6, 1e-6]}]}, "many")";
  costs = parseTable(replaced("\"many\"", third));
  EXPECT_EQ(costs.estimate("blast", layer, 64), 50e-6);
  EXPECT_LT(costs.estimate("blast", blast(1024, 1024, 4, 256), 64), 2e-6);
  EXPECT_LT(costs.estimate("blast", blast(1024, 1024, 16, 256), 64), 2e-6);
  // A layer that some were measured with: the others cannot compute it,
  // perhaps.
  std::string at =
      replaced("\"b\": 4, \"r\": 256", "\"b\": 2, \"r\": 128", third);
  costs = parseTable(replaced("\"many\"", at));
  EXPECT_LT(costs.estimate("third", layer, 64), 2e-6);
  EXPECT_EQ(costs.estimate("blast", layer, 64), 50e-6);
  EXPECT_LT(costs.estimate("blast", blast(1024, 1024, 2, 264), 64), 2e-6);
  // Larger ones than it was measured with, as others were.
  EXPECT_FALSE(costs.estimate("third", blast(1032, 1024, 2, 256), 64));
  EXPECT_FALSE(costs.estimate("third", blast(1024, 1032, 2, 256), 64));
  EXPECT_TRUE(costs.estimate("many", blast(8192, 8192, 2, 256), 64));
  // "blast" itself before the others.
  costs = parseTable(replaced("\"many\"", replaced("third", "blast", third)));
  EXPECT_LT(costs.estimate("blast", layer, 64), 2e-6);
  EXPECT_EQ(costs.estimate("blast", layer, 16), 20e-6);
}

TEST(LayerCostTest, MoreTokensTakeLonger) {
  // As they do in the table, also for layers between and beyond the measured.
  LayerCosts costs = parseTable();
  int64_t count = 0;
  for (llvm::StringRef name : costs.getImplementations())
    for (int64_t m : {96, 1024, 2048, 4096, 20000})
      for (int64_t b : {0, 1, 2, 3, 8, 16})
        for (int64_t r : {16, 256, 300, 1008}) {
          LayerSizes layer = b ? blast(m, 4096, b, r) : dense(m, 4096);
          double last = 0;
          for (int64_t tokens = 1; tokens < 20000; tokens += 1 + tokens / 7) {
            std::optional<double> seconds = costs.estimate(name, layer, tokens);
            if (!seconds)
              continue;
            ASSERT_TRUE(std::isfinite(*seconds));
            ASSERT_GE(*seconds, last) << name.str() << " " << m << " " << b
                                      << " " << r << " " << tokens;
            last = *seconds;
            ++count;
          }
        }
  EXPECT_GT(count, 5000);
}

/// The text of a table that is part of the library.
std::string readTable(llvm::StringRef name) {
  std::string path =
      (STRUCTURED_SOURCE_DIR "/lib/Analysis/costs/" + name + ".json").str();
  auto buffer = llvm::MemoryBuffer::getFile(path);
  EXPECT_TRUE(bool(buffer)) << path;
  return buffer ? (*buffer)->getBuffer().str() : "";
}

TEST(LayerCostTest, BuiltinTablesGiveTheirTimes) {
  ASSERT_FALSE(LayerCosts::getBuiltinNames().empty());
  for (llvm::StringRef table : LayerCosts::getBuiltinNames()) {
    llvm::Expected<LayerCosts> costs = LayerCosts::load(table);
    ASSERT_TRUE(bool(costs)) << llvm::toString(costs.takeError());
    llvm::Expected<llvm::json::Value> json =
        llvm::json::parse(readTable(table));
    ASSERT_TRUE(bool(json)) << llvm::toString(json.takeError());
    const llvm::json::Array &tokens = *json->getAsObject()->getArray("tokens");
    int64_t count = 0;
    for (const auto &[name, implementation] :
         *json->getAsObject()->getObject("implementations"))
      for (const llvm::json::Value &value :
           *implementation.getAsObject()->getArray("layers")) {
        const llvm::json::Object &layer = *value.getAsObject();
        int64_t b = *layer.getInteger("b");
        LayerSizes sizes{*layer.getInteger("m"), *layer.getInteger("n"), b, b,
                         *layer.getInteger("r")};
        for (auto [index, time] : llvm::enumerate(*layer.getArray("seconds"))) {
          if (!time.getAsNumber())
            continue;
          std::optional<double> seconds =
              costs->estimate(name, sizes, *tokens[index].getAsInteger());
          ASSERT_TRUE(seconds);
          EXPECT_NEAR(*seconds, *time.getAsNumber(), 1e-9 * *seconds);
          ++count;
        }
      }
    EXPECT_GT(count, 100);
  }
}

TEST(LayerCostTest, WhatPaysOnAnH200) {
  // At many tokens, half of a large layer's parameters in few blocks pay, and
  // so does a tenth in many.
  llvm::Expected<LayerCosts> costs = LayerCosts::load("h200");
  ASSERT_TRUE(bool(costs)) << llvm::toString(costs.takeError());
  EXPECT_EQ(costs->getElementBytes(), 2);
  double denseTime = *costs->estimate("dense", dense(4096, 4096), 4096);
  EXPECT_NEAR(denseTime * 1e6, 180, 20);
  auto blastTime = [&](int64_t b, int64_t r, int64_t tokens) {
    return *costs->estimate("blast", blast(4096, 4096, b, r), tokens);
  };
  EXPECT_LT(blastTime(2, 1008, 4096), denseTime / 1.3);
  EXPECT_LT(blastTime(16, 192, 4096), denseTime / 1.3);
  // Half of the parameters of a small layer pay for few tokens, by our kernel.
  auto ratio = [&](int64_t tokens) {
    return *costs->estimate("blast", blast(3072, 768, 2, 304), tokens) /
           *costs->estimate("dense", dense(3072, 768), tokens);
  };
  EXPECT_LT(ratio(1), 0.9);
  EXPECT_GT(ratio(64), 1.5);
}

TEST(LayerCostTest, Malformed) {
  auto expect = [](std::string text, llvm::StringRef reason) {
    llvm::Expected<LayerCosts> costs = LayerCosts::parse(text);
    ASSERT_FALSE(bool(costs)) << reason.str();
    std::string message = llvm::toString(costs.takeError());
    EXPECT_TRUE(llvm::StringRef(message).contains(reason)) << message;
  };
  expect("{", "cost table: ");
  expect("[]", "not a JSON object");
  expect(replaced("\"version\": 1", "\"version\": 2"), "'version' is not 1");
  expect(replaced("\"a machine\"", "3"), "'device' is not a string");
  expect(replaced("\"element_bytes\": 2", "\"element_bytes\": 0"),
         "'element_bytes' is not an integer of at least 1");
  expect(replaced("[1, 16, 64, 256]", "[]"), "'tokens' is not an array");
  expect(replaced("[1, 16, 64, 256]", "[1, 64, 16, 256]"),
         "'tokens' does not ascend");
  expect(replaced("\"implementations\"", "\"others\""),
         "'implementations' is not an object");
  expect(replaced("\"layers\"", "\"other\""),
         "implementation 'dense': 'layers' is not an array");
  expect(replaced("\"overhead\": 1e-5", "\"overhead\": -1"),
         "'overhead' is not a number of at least 0");
  expect(replaced("\"overhead\": 1e-5, \"seconds_per_operation\": 1e-13",
                  "\"overhead\": 0, \"seconds_per_operation\": 0"),
         "its roofline is zero");
  expect(replaced("[11e-6, 26e-6, 74e-6, 266e-6]", "[11e-6, 26e-6, 74e-6]"),
         "'seconds' is not an array of a time for each");
  expect(replaced("[11e-6,", "[0,"), "a time is not positive");
  expect(replaced("[11e-6,", "[\"11\","), "neither a number nor null");
  expect(replaced("\"m\": 1024", "\"m\": 0"),
         "'m' is not an integer of at least 1");
  expect(replaced("\"dense\"", "\"other\""),
         "no implementation 'dense' of such layers");
  expect(kTable.split(",\n    \"few\"").first.str() + "}}",
         "no implementation of BLAST layers");
  expect(replaced("\"multiple\": 8", "\"multiple\": 0"),
         "'multiple' is not an integer of at least 1");
  expect(replaced("\"b\": 2, \"r\": 256", "\"b\": 0, \"r\": 256"),
         "implementation 'few': it has both dense layers and others");
  llvm::Error error = LayerCosts::load("no-such-table").takeError();
  std::string message = llvm::toString(std::move(error));
  EXPECT_TRUE(llvm::StringRef(message).contains("h200")) << message;
}

} // namespace
