//===- RandomArray.cpp - Reproducible random inputs -----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/RandomArray.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace structured::runtime {

namespace {
/// The standard's engine is the same everywhere; its distributions are not, so
/// they are spelt out.
class Generator {
public:
  Generator(uint64_t seed, uint64_t stream) {
    std::seed_seq sequence{
        static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
        static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
    engine.seed(sequence);
  }

  /// Uniform over 0 … max; the bias of the remainder is below max / 2^64.
  int64_t nextInteger(int64_t max) {
    return static_cast<int64_t>(engine() % (static_cast<uint64_t>(max) + 1));
  }

  /// Standard normal (Box–Muller).
  double nextNormal() {
    double radius = std::sqrt(-2 * std::log(nextUniform()));
    return radius * std::cos(2 * M_PI * nextUniform());
  }

private:
  /// Uniform over (0, 1].
  double nextUniform() {
    return (static_cast<double>(engine() >> 11) + 1) * 0x1p-53;
  }

  std::mt19937_64 engine;
};
} // namespace

template <typename T, typename Next>
static void fill(std::vector<std::byte> &data, Next next) {
  for (size_t i = 0; i < data.size(); i += sizeof(T)) {
    T value = next();
    std::memcpy(&data[i], &value, sizeof(T));
  }
}

Result<Array> makeRandomArray(DType dtype, std::vector<int64_t> shape,
                              uint64_t seed, uint64_t stream,
                              int64_t integerMax) {
  std::optional<size_t> bytes = getByteSize(dtype, shape);
  if (!bytes)
    return Error{"too large"};
  Array array{dtype, std::move(shape), std::vector<std::byte>(*bytes)};
  Generator generator(seed, stream);
  auto normal = [&] { return static_cast<float>(generator.nextNormal()); };
  auto fillIntegers = [&](auto zero) {
    using T = decltype(zero);
    int64_t max = std::min<int64_t>(integerMax, std::numeric_limits<T>::max());
    fill<T>(array.data, [&] { return T(generator.nextInteger(max)); });
  };
  switch (dtype) {
  case DType::F64:
    fill<double>(array.data, [&] { return generator.nextNormal(); });
    break;
  case DType::F32:
    fill<float>(array.data, normal);
    break;
  case DType::F16:
    fill<uint16_t>(array.data, [&] { return floatToHalf(normal()); });
    break;
  case DType::BF16:
    fill<uint16_t>(array.data, [&] { return floatToBFloat16(normal()); });
    break;
  case DType::I64:
    fillIntegers(int64_t());
    break;
  case DType::I32:
    fillIntegers(int32_t());
    break;
  case DType::I16:
    fillIntegers(int16_t());
    break;
  case DType::I8:
    fillIntegers(int8_t());
    break;
  case DType::U8:
    fillIntegers(uint8_t());
    break;
  case DType::BOOL:
    fill<uint8_t>(array.data, [&] { return generator.nextInteger(1); });
    break;
  }
  return array;
}

} // namespace structured::runtime
