// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "BlockMixer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace structured;

/// Block rows and columns up to which elements are mixed one by one: the
/// factors of 8 ranks then take at most 128 registers.
static constexpr int64_t kMaxScalarBlocks = 4;

/// The rows and columns of the tensor cores' operand.
static constexpr int64_t kMaxBlocks = 16;

std::optional<std::string>
structured::checkBlocks(const BlastProblem &problem) {
  if (!problem.elementType.isF16() && !problem.elementType.isBF16())
    return "its element type is neither f16 nor bf16";
  if (problem.bIn < 1 || problem.bOut < 1 || problem.bIn > kMaxBlocks ||
      problem.bOut > kMaxBlocks)
    return "it has " + std::to_string(problem.bOut) + " : " +
           std::to_string(problem.bIn) + " blocks, not 1 to " +
           std::to_string(kMaxBlocks);
  return std::nullopt;
}

void BlockMixer::mix(Value base, Value firstRank, Value warp, int64_t warps) {
  b.forLoop(warp, b.i32(tileN / kChunk), b.i32(warps), {},
            [&](Value chunk, ValueRange) -> SmallVector<Value> {
              // What lies beyond the matrix is not stored.
              Value rank = b.min(b.add(firstRank, b.mul(chunk, kChunk)),
                                 b.i32(problem.rank - kChunk));
              if (std::max(problem.bIn, problem.bOut) <= kMaxScalarBlocks)
                mixElements(base, chunk, rank);
              else
                mixProducts(base, chunk, rank);
              return {};
            });
}

Value BlockMixer::getAddress(Value base, Value block, Value row, Value chunk) {
  Value part = b.div(chunk, kStoreN / kChunk);
  Value within = b.bitXor(b.rem(chunk, kStoreN / kChunk), b.rem(row, 8));
  Value bytes =
      b.add(b.mul(block, getBlockBytes()), b.mul(part, getPartBytes()));
  bytes = b.add(bytes, b.mul(row, kStoreN * kElementBytes));
  return b.offset(base, b.add(bytes, b.mul(within, 16)));
}

Value BlockMixer::loadScale(Value i, Value j, Value rank) {
  Value index =
      b.add(b.mul(b.add(b.mul(i, problem.bIn), j), problem.rank), rank);
  return b.load(VectorType::get(4, b.getI32Type()),
                b.offset(s, b.mul(index, kElementBytes)), /*invariant=*/true);
}

/// A lane mixes the 8 ranks of a token.
void BlockMixer::mixElements(Value base, Value chunk, Value rank) {
  auto unpack = [&](Value vector) {
    SmallVector<Value> values;
    for (int64_t e = 0; e < 4; ++e) {
      auto [low, high] = b.unpack(b.extract(vector, e), problem.elementType);
      values.append({low, high});
    }
    return values;
  };
  SmallVector<SmallVector<Value>> scales;
  for (int64_t i = 0; i < problem.bOut; ++i)
    for (int64_t j = 0; j < problem.bIn; ++j)
      scales.push_back(unpack(loadScale(b.i32(i), b.i32(j), rank)));
  auto vectorType = VectorType::get(4, b.getI32Type());
  b.forLoop(
      lane, b.i32(rows), b.i32(32), {},
      [&](Value row, ValueRange) -> SmallVector<Value> {
        SmallVector<SmallVector<Value>> y;
        for (int64_t j = 0; j < problem.bIn; ++j)
          y.push_back(unpack(
              b.load(vectorType, getAddress(base, b.i32(j), row, chunk))));
        for (int64_t i = 0; i < problem.bOut; ++i) {
          Value packed = LLVM::UndefOp::create(b, vectorType);
          for (int64_t rho = 0; rho < kChunk; rho += 2) {
            Value sums[2];
            for (int64_t half = 0; half < 2; ++half)
              for (int64_t j = 0; j < problem.bIn; ++j) {
                Value scale = scales[i * problem.bIn + j][rho + half];
                Value factor = y[j][rho + half];
                sums[half] =
                    j == 0 ? arith::MulFOp::create(b, scale, factor).getResult()
                           : LLVM::FMAOp::create(b, scale, factor, sums[half])
                                 .getResult();
              }
            packed = LLVM::InsertElementOp::create(
                b, packed, b.pack(sums[0], sums[1], problem.elementType),
                b.i32(rho / 2));
          }
          b.store(packed, getAddress(base, b.i32(i), row, chunk));
        }
        return {};
      });
}

/// The first operand of mma.m16n8k16 for each of the 8 ranks: four registers of
/// two elements, S[i, j, ρ] and S[i, j + 1, ρ], zero beyond the blocks.
SmallVector<Value> BlockMixer::loadScales(Value rank) {
  Value group = b.div(lane, 4), pair = b.mul(b.rem(lane, 4), 2);
  auto vectorType = VectorType::get(4, b.getI32Type());
  Value zeros = LLVM::ZeroOp::create(b, vectorType);
  auto loadInside = [&](Value i, Value j) {
    Value inside = b.bitAnd(b.isLess(i, b.i32(problem.bOut)),
                            b.isLess(j, b.i32(problem.bIn)));
    Value loaded = loadScale(b.min(i, b.i32(problem.bOut - 1)),
                             b.min(j, b.i32(problem.bIn - 1)), rank);
    return LLVM::SelectOp::create(b, inside, loaded, zeros).getResult();
  };
  SmallVector<Value> scales(kChunk * 4);
  for (int64_t part = 0; part < 4; ++part) {
    // Registers 1 and 3 are the lower rows, 2 and 3 the later columns.
    int64_t rowOffset = part % 2 ? 8 : 0, colOffset = part / 2 ? 8 : 0;
    if (rowOffset >= problem.bOut || colOffset >= problem.bIn) {
      for (int64_t rho = 0; rho < kChunk; ++rho)
        scales[rho * 4 + part] = b.i32(0);
      continue;
    }
    Value i = b.add(group, rowOffset), j = b.add(pair, colOffset);
    Value low = loadInside(i, j), high = loadInside(i, b.add(j, 1));
    for (int64_t rho = 0; rho < kChunk; ++rho)
      scales[rho * 4 + part] = b.interleave(b.extract(low, rho / 2),
                                            b.extract(high, rho / 2), rho % 2);
  }
  return scales;
}

/// A warp mixes 8 ranks of 8 tokens at a time.
void BlockMixer::mixProducts(Value base, Value chunk, Value rank) {
  Value group = b.div(lane, 4), pair = b.mul(b.rem(lane, 4), 2);
  auto vectorType = VectorType::get(4, b.getI32Type());
  SmallVector<Value> scales = loadScales(rank);
  b.forLoop(
      b.i32(0), b.i32(rows), b.i32(8), {},
      [&](Value firstRow, ValueRange) -> SmallVector<Value> {
        // The second operand: Y[j, t, 8 ranks] for the lane's token and its
        // four j. Beyond the blocks S is zero, and any number will do.
        SmallVector<Value> y;
        Value row = b.add(firstRow, group);
        for (int64_t offset : {0, 1, 8, 9}) {
          if (offset >= problem.bIn) {
            y.push_back(Value());
            continue;
          }
          Value j = b.min(b.add(pair, offset), b.i32(problem.bIn - 1));
          y.push_back(b.load(vectorType, getAddress(base, j, row, chunk)));
        }
        SmallVector<std::array<Value, 4>> sums;
        for (int64_t rho = 0; rho < kChunk; ++rho) {
          auto getPair = [&](Value low, Value high) {
            if (!low)
              return b.i32(0);
            return b.interleave(b.extract(low, rho / 2),
                                b.extract(high ? high : low, rho / 2), rho % 2);
          };
          sums.push_back(b.multiplySmall(
              ArrayRef<Value>(scales).slice(rho * 4, 4),
              {getPair(y[0], y[1]), getPair(y[2], y[3])}, problem.elementType));
        }
        // All lanes have read what is overwritten.
        b.syncWarp();
        for (int64_t part = 0; part < 4; ++part) {
          int64_t rowOffset = part / 2 ? 8 : 0;
          if (rowOffset >= problem.bOut)
            continue;
          Value i = b.add(group, rowOffset);
          Value token = b.add(b.add(firstRow, pair), part % 2);
          Value packed = LLVM::UndefOp::create(b, vectorType);
          for (int64_t rho = 0; rho < kChunk; rho += 2)
            packed = LLVM::InsertElementOp::create(b, packed,
                                                   b.pack(sums[rho][part],
                                                          sums[rho + 1][part],
                                                          problem.elementType),
                                                   b.i32(rho / 2));
          b.ifThen(b.isLess(i, b.i32(problem.bOut)),
                   [&] { b.store(packed, getAddress(base, i, token, chunk)); });
        }
        return {};
      });
}
