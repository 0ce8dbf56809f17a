// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "BlockMixer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace structured;

/// Block rows and columns up to which diagonal matrices are multiplied: those
/// of 8 ranks take 16 registers.
static constexpr int64_t kMaxDiagonalBlocks = 4;

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

std::optional<std::string> structured::checkInput(const BlastProblem &problem) {
  if (std::optional<std::string> reason = checkBlocks(problem))
    return reason;
  if (problem.n % (8 * problem.bIn) || problem.rank % 8)
    return "its " + std::to_string(problem.bIn) + " block columns of " +
           std::to_string(problem.n) + " and its rank " +
           std::to_string(problem.rank) + " are not multiples of 8";
  return std::nullopt;
}

void BlockMixer::mix(Value base, Value firstRank, Value warp, int64_t warps) {
  b.forLoop(warp, b.i32(tileN / kChunk), b.i32(warps), {},
            [&](Value chunk, ValueRange) -> SmallVector<Value> {
              // What lies beyond the matrix is not stored.
              Value rank = b.min(b.add(firstRank, b.mul(chunk, kChunk)),
                                 b.i32(problem.rank - kChunk));
              if (std::max(problem.bIn, problem.bOut) <= kMaxDiagonalBlocks)
                mixDiagonals(base, chunk, rank);
              else
                mixProducts(base, chunk, rank);
              return {};
            });
}

/// `body` for every `step`-th row.
void BlockMixer::forRows(int64_t step, function_ref<void(Value row)> body) {
  b.forLoop(b.i32(0), b.i32(rows), b.i32(step), {},
            [&](Value row, ValueRange) -> SmallVector<Value> {
              body(row);
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

/// diag(S[i, j, ρ …]) of 8 ranks as a register of the first operand: the lane
/// has row lane / 4, columns 2·(lane mod 4) and the next.
Value BlockMixer::loadDiagonal(int64_t i, int64_t j, Value rank) {
  if (i >= problem.bOut || j >= problem.bIn)
    return b.i32(0);
  Value row = b.div(lane, 4);
  Value index = b.add(b.add(rank, row), (i * problem.bIn + j) * problem.rank);
  Value loaded = arith::ExtUIOp::create(
      b, b.getI32Type(),
      b.load(b.getI16Type(), b.offset(s, b.mul(index, kElementBytes)),
             /*invariant=*/true));
  Value shifted = arith::ShLIOp::create(b, loaded, b.mul(b.rem(row, 2), 16));
  Value isOnDiagonal = arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                             b.div(row, 2), b.rem(lane, 4));
  return b.select(isOnDiagonal, shifted, b.i32(0));
}

/// A warp mixes 8 ranks of 16 tokens at a time.
void BlockMixer::mixDiagonals(Value base, Value chunk, Value rank) {
  int64_t pairsIn = llvm::divideCeil(problem.bIn, 2);
  int64_t pairsOut = llvm::divideCeil(problem.bOut, 2);
  SmallVector<SmallVector<Value>> diagonals;
  for (int64_t i = 0; i < pairsOut; ++i)
    for (int64_t j = 0; j < pairsIn; ++j)
      // Registers 1 and 3 are the lower rows, 2 and 3 the later columns.
      diagonals.push_back({loadDiagonal(2 * i, 2 * j, rank),
                           loadDiagonal(2 * i + 1, 2 * j, rank),
                           loadDiagonal(2 * i, 2 * j + 1, rank),
                           loadDiagonal(2 * i + 1, 2 * j + 1, rank)});
  // Eight lanes have the rows of one block, beyond the blocks those of the
  // last: S is zero there.
  Value laneBlock = b.div(lane, 8);
  Value blockIn = b.min(laneBlock, b.i32(problem.bIn - 1));
  forRows(16, [&](Value first) {
    Value row = b.add(first, b.rem(lane, 8));
    SmallVector<SmallVector<Value>> y;
    for (int64_t half = 0; half < 2; ++half)
      y.push_back(b.loadMatrices(
          getAddress(base, blockIn, b.add(row, 8 * half), chunk), 2 * pairsIn));
    for (int64_t half = 0; half < 2; ++half) {
      SmallVector<Value> z;
      for (int64_t i = 0; i < pairsOut; ++i) {
        std::array<Value, 4> sums;
        for (int64_t j = 0; j < pairsIn; ++j) {
          ArrayRef<Value> factor = ArrayRef<Value>(y[half]).slice(2 * j, 2);
          const SmallVector<Value> &diagonal = diagonals[i * pairsIn + j];
          sums = j == 0 ? b.multiplySmall(diagonal, factor, problem.elementType)
                        : b.multiplySmall(diagonal, factor, sums,
                                          problem.elementType);
        }
        z.push_back(b.pack(sums[0], sums[1], problem.elementType));
        z.push_back(b.pack(sums[2], sums[3], problem.elementType));
      }
      // The registers have ranks as rows.
      Value token = b.add(row, 8 * half);
      if (problem.bOut == 4 || problem.bOut == 2) {
        b.storeMatrices(getAddress(base, laneBlock, token, chunk), z,
                        /*transposed=*/true);
        continue;
      }
      for (int64_t i = 0; i < problem.bOut; ++i)
        b.storeMatrices(getAddress(base, b.i32(i), token, chunk), z[i],
                        /*transposed=*/true);
    }
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

/// A warp mixes 8 ranks of 16 tokens at a time.
void BlockMixer::mixProducts(Value base, Value chunk, Value rank) {
  Value group = b.div(lane, 4), pair = b.mul(b.rem(lane, 4), 2);
  auto vectorType = VectorType::get(4, b.getI32Type());
  SmallVector<Value> scales = loadScales(rank);
  // The second operand: Y[j, t, 8 ranks] for the lane's token and its four j.
  // Beyond the blocks S is zero, and any number will do.
  auto load = [&](Value row) {
    SmallVector<Value> y(4);
    for (auto [index, offset] :
         llvm::enumerate(std::array<int64_t, 4>{0, 1, 8, 9}))
      if (offset < problem.bIn) {
        Value j = b.min(b.add(pair, offset), b.i32(problem.bIn - 1));
        y[index] = b.load(vectorType, getAddress(base, j, row, chunk));
      }
    return y;
  };
  // The words of rows i and i + 8, of two tokens each.
  auto multiply = [&](ArrayRef<Value> y) {
    SmallVector<SmallVector<Value>> words(4);
    auto getPair = [&](Value low, Value high, int64_t rho) {
      if (!low)
        return b.i32(0);
      return b.interleave(b.extract(low, rho / 2),
                          b.extract(high ? high : low, rho / 2), rho % 2);
    };
    for (int64_t rho = 0; rho < kChunk; rho += 2) {
      std::array<Value, 4> sums[2];
      for (int64_t next = 0; next < 2; ++next)
        sums[next] = b.multiplySmall(
            ArrayRef<Value>(scales).slice((rho + next) * 4, 4),
            {getPair(y[0], y[1], rho + next), getPair(y[2], y[3], rho + next)},
            problem.elementType);
      for (int64_t part = 0; part < 4; ++part)
        words[part].push_back(
            b.pack(sums[0][part], sums[1][part], problem.elementType));
    }
    return words;
  };
  auto store = [&](Value row, ArrayRef<SmallVector<Value>> words) {
    for (int64_t part = 0; part < 4; ++part) {
      int64_t rowOffset = part / 2 ? 8 : 0;
      if (rowOffset >= problem.bOut)
        continue;
      Value i = b.add(group, rowOffset);
      Value token = b.add(b.add(row, pair), part % 2);
      Value packed = LLVM::UndefOp::create(b, vectorType);
      for (auto [index, word] : llvm::enumerate(words[part]))
        packed = LLVM::InsertElementOp::create(b, packed, word, b.i32(index));
      auto storeBlock = [&] {
        b.store(packed, getAddress(base, i, token, chunk));
      };
      if (rowOffset + 8 <= problem.bOut)
        storeBlock();
      else
        b.ifThen(b.isLess(i, b.i32(problem.bOut)), storeBlock);
    }
  };
  forRows(16, [&](Value row) {
    SmallVector<Value> upper = load(b.add(row, group));
    SmallVector<Value> lower = load(b.add(b.add(row, group), 8));
    SmallVector<SmallVector<Value>> upperWords = multiply(upper);
    SmallVector<SmallVector<Value>> lowerWords = multiply(lower);
    // All lanes have read what is overwritten.
    b.syncWarp();
    store(row, upperWords);
    store(b.add(row, 8), lowerWords);
  });
}
