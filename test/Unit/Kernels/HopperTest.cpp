// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Kernels/Hopper.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace structured;

namespace {
class HopperTest : public testing::Test {
protected:
  HopperTest() : builder(&context) {
    context.loadDialect<arith::ArithDialect, gpu::GPUDialect, LLVM::LLVMDialect,
                        NVVM::NVVMDialect, scf::SCFDialect>();
    module =
        gpu::GPUModuleOp::create(builder, builder.getUnknownLoc(), "kernels");
  }
  ~HopperTest() override { module.erase(); }

  BlastProblem getBlast(int64_t bOut, int64_t bIn, int64_t rank) {
    return {builder.getBF16Type(), 16 * bOut, 24 * bIn, bOut, bIn, rank};
  }

  int64_t count(StringRef op) {
    int64_t number = 0;
    module.walk([&](Operation *candidate) {
      number += candidate->getName().getStringRef() == op;
    });
    return number;
  }

  MLIRContext context;
  OpBuilder builder;
  gpu::GPUModuleOp module;
};
} // namespace

TEST_F(HopperTest, ProductsAreBuiltForAllTiles) {
  GemmProblem problem{builder.getBF16Type(), 4096, 1000, 2};
  int64_t number = 0;
  for (int64_t tileN : {64, 128, 192, 256})
    for (Type type : {Type(builder.getBF16Type()), Type(builder.getF16Type())})
      for (bool hasBias : {false, true}) {
        problem.elementType = type;
        problem.hasBias = hasBias;
        GemmSchedule schedule{128, tileN, 4, 16};
        ASSERT_EQ(checkGemm(problem, schedule), std::nullopt);
        Kernel kernel = buildGemm(module, "gemm" + std::to_string(number++),
                                  problem, schedule);
        EXPECT_EQ(kernel.threads, 384);
        EXPECT_EQ(kernel.sharedMemoryBytes,
                  getGemmSharedMemory(problem, schedule));
      }
  EXPECT_EQ(count("llvm.func"), number);
  // Four steps of 16 for each tile of 64 columns.
  EXPECT_EQ(count("nvvm.wgmma.mma_async"), 4 * number);
  EXPECT_TRUE(succeeded(verify(module)));
}

// A buffer must have been read before it is written again: of two that take
// turns, one store may be under way, but none where a tile's first store takes
// the buffer of the last one.
TEST_F(HopperTest, StoresWaitForTheirBuffer) {
  GemmProblem problem{builder.getBF16Type(), 4096, 1024};
  auto getPending = [&](int64_t tileN) {
    Kernel kernel = buildGemm(module, "gemm" + std::to_string(tileN), problem,
                              {128, tileN, 4, 16});
    SmallVector<int64_t> pending;
    cast<LLVM::LLVMFuncOp>(module.lookupSymbol(kernel.name))
        .walk([&](NVVM::CpAsyncBulkWaitGroupOp wait) {
          pending.push_back(wait.getGroup());
        });
    return pending;
  };
  // The last one of each: all is stored when the kernel ends.
  EXPECT_EQ(getPending(64), SmallVector<int64_t>({0, 0}));
  EXPECT_EQ(getPending(128), SmallVector<int64_t>({1, 1, 0}));
  EXPECT_EQ(getPending(192), SmallVector<int64_t>({0, 1, 1, 0}));
  EXPECT_EQ(getPending(256), SmallVector<int64_t>({1, 1, 1, 1, 0}));
}

TEST_F(HopperTest, ProductsOfTilesOf192Rows) {
  GemmProblem problem{builder.getF16Type(), 64, 64};
  GemmSchedule schedule{192, 128, 4, 16};
  ASSERT_EQ(checkGemm(problem, schedule), std::nullopt);
  EXPECT_EQ(buildGemm(module, "gemm", problem, schedule).threads, 512);
  EXPECT_TRUE(succeeded(verify(module)));
}

TEST_F(HopperTest, TilesCoverTheResult) {
  GemmProblem problem{builder.getF16Type(), 1000, 64, 3};
  EXPECT_EQ(getGemmTiles(problem, {128, 256, 4, 16}, 129), 2 * 4 * 3);
  EXPECT_EQ(getGemmTiles(problem, {128, 256, 4, 16}, 128), 1 * 4 * 3);
}

TEST_F(HopperTest, ProductsThatAreRefused) {
  GemmProblem problem{builder.getF16Type(), 64, 64};
  auto getReason = [&](GemmSchedule schedule) {
    return checkGemm(problem, schedule).value_or("");
  };
  EXPECT_EQ(getReason({64, 64, 4, 16}),
            "tiles must have 128 or 192 rows, not 64");
  EXPECT_EQ(getReason({128, 100, 4, 16}),
            "tiles must have 64, 128, 192 or 256 columns, not 100");
  EXPECT_EQ(getReason({192, 256, 4, 16}),
            "tiles of 192 rows may have at most 128 columns");
  EXPECT_EQ(getReason({128, 256, 1, 16}),
            "there must be at least 2 stages and groups of 1 tile");
  EXPECT_EQ(
      getReason({128, 256, 5, 16}),
      "it takes 278608 bytes of shared memory, of which there are 232448");
  problem.k = 60;
  EXPECT_EQ(getReason({128, 64, 4, 16}),
            "its sizes 64 and 60 are not both multiples of 8");
  problem.k = 0;
  EXPECT_EQ(getReason({128, 64, 4, 16}), "a size is not positive");
  problem.elementType = builder.getF32Type();
  EXPECT_EQ(getReason({128, 64, 4, 16}),
            "its element type is neither f16 nor bf16");
}

TEST_F(HopperTest, BlastStagesAreBuiltForAllBlocks) {
  int64_t number = 0;
  for (int64_t bOut = 1; bOut <= 16; ++bOut)
    for (int64_t bIn : {1, 2, 3, 7, 8, 16})
      for (std::optional<int64_t> tokens :
           {std::optional<int64_t>(), std::optional<int64_t>(300)}) {
        BlastProblem problem = getBlast(bOut, bIn, 1000);
        BlastMixSchedule schedule = getBlastMixSchedule(problem, tokens, 132);
        ASSERT_EQ(checkBlastMix(problem, schedule), std::nullopt);
        Kernel kernel = buildBlastMix(module, "b" + std::to_string(number++),
                                      problem, schedule);
        EXPECT_EQ(kernel.sharedMemoryBytes,
                  getBlastMixSharedMemory(problem, schedule));
        EXPECT_LE(kernel.sharedMemoryBytes, kHopperSharedMemory);
      }
  EXPECT_EQ(count("llvm.func"), number);
  EXPECT_TRUE(succeeded(verify(module)));
}

TEST_F(HopperTest, BlocksShareTilesWhereThereAreFew) {
  BlastProblem problem{builder.getBF16Type(), 4096, 4096, 4, 4, 1008};
  auto get = [&](std::optional<int64_t> tokens) {
    return getBlastMixSchedule(problem, tokens, 132);
  };
  EXPECT_EQ(get(4096).tileN, 256);
  EXPECT_EQ(get(4096).split, 1);
  EXPECT_EQ(getBlastMixTiles(problem, get(4096), 4096), 128);
  EXPECT_EQ(get(std::nullopt).split, 1);
  EXPECT_EQ(get(1024).split, 4);
  EXPECT_LE(getBlastMixTiles(problem, get(1024), 1024) * get(1024).split, 132);
  // All Y[j] are put aside where several blocks make them, else all but one.
  EXPECT_EQ(getBlastMixScratch(problem, {128, 256, 4, 16, 4}), 128 * 256 * 2);
  EXPECT_EQ(getBlastMixScratch(problem, {128, 256, 4, 16, 1}),
            3 * 128 * 256 * 2);
  // Fewer multiprocessors leave no room for groups.
  EXPECT_EQ(getBlastMixSchedule(problem, 1024, 16).split, 1);
}

TEST_F(HopperTest, BlastStagesThatAreRefused) {
  auto getReason = [&](BlastProblem problem, BlastMixSchedule schedule) {
    return checkBlastMix(problem, schedule).value_or("");
  };
  EXPECT_EQ(getReason(getBlast(17, 2, 8), {}),
            "it has 17 : 2 blocks, not 1 to 16");
  EXPECT_EQ(getReason(getBlast(2, 2, 12), {}),
            "its 2 block columns of 48 and its rank 12 are not multiples of 8");
  EXPECT_EQ(getReason(getBlast(2, 2, 8), {64, 256, 2, 16, 1}),
            "tiles must have 128 rows, and 64, 128, 192 or 256 columns");
  EXPECT_EQ(getReason(getBlast(2, 3, 8), {128, 64, 2, 16, 2}),
            "2 blocks cannot share 3 block columns equally");
  BlastProblem problem{builder.getBF16Type(), 4096, 4096, 4, 4, 1008};
  BlastMixSchedule whole{128, 256, 4, 16, 4, /*allStages=*/true};
  EXPECT_EQ(getReason(problem, whole), "");
  problem.rank = 512;
  EXPECT_EQ(getReason(problem, whole),
            "its result has 16 tiles for each 8 thread blocks");
  problem.m = 4100;
  EXPECT_EQ(getReason(problem, whole),
            "its 4 block rows of 4100 are not multiples of 8");
  problem.bOut = problem.bIn = 16;
  EXPECT_EQ(getReason(problem, whole),
            "it has more than 8 block columns, which leaves no registers");
  whole.split = 1;
  EXPECT_EQ(getReason(problem, whole),
            "all stages are one kernel only if blocks share tiles");
  EXPECT_EQ(
      getReason(getBlast(16, 16, 8), {128, 256, 2, 16, 1}),
      "2 stages and the tile take 245840 bytes of shared memory, of which "
      "there are 232448");
}

TEST_F(HopperTest, MixesAreBuiltForAllBlocks) {
  int64_t number = 0;
  for (int64_t bOut : {1, 5, 8, 9, 16})
    for (int64_t bIn : {1, 4, 7, 16}) {
      BlastProblem problem = getBlast(bOut, bIn, 136);
      ASSERT_EQ(checkMix(problem), std::nullopt);
      Kernel kernel = buildMix(module, "m" + std::to_string(number++), problem);
      EXPECT_EQ(kernel.threads, 288);
      EXPECT_LE(kernel.sharedMemoryBytes, kHopperSharedMemory);
    }
  EXPECT_EQ(getMixRows(getBlast(8, 8, 8)), 64);
  EXPECT_EQ(getMixRows(getBlast(9, 8, 8)), 32);
  EXPECT_EQ(getMixRows(getBlast(16, 2, 8)), 32);
  EXPECT_TRUE(succeeded(verify(module)));
  EXPECT_EQ(checkMix(getBlast(2, 17, 8)).value_or(""),
            "it has 2 : 17 blocks, not 1 to 16");
}

TEST_F(HopperTest, BlockSparseProductsAreBuiltForAllTiles) {
  int64_t number = 0;
  for (int64_t tileN : {128, 256})
    for (bool accumulates : {false, true})
      for (int64_t ranks : {0, 512}) {
        BlockSparseGemmProblem problem{builder.getF16Type(), 1000, accumulates,
                                       ranks};
        GemmSchedule schedule{128, tileN, 4, 1};
        ASSERT_EQ(checkBlockSparseGemm(problem, schedule), std::nullopt);
        Kernel kernel = buildBlockSparseGemm(
            module, "p" + std::to_string(number++), problem, schedule);
        EXPECT_EQ(kernel.threads, 384);
        EXPECT_EQ(kernel.sharedMemoryBytes,
                  getBlockSparseGemmSharedMemory(problem, schedule));
      }
  EXPECT_EQ(count("llvm.func"), number);
  // Four steps of 16 for each tile of 64 columns.
  EXPECT_EQ(count("nvvm.wgmma.mma_async"), 4 * number);
  EXPECT_TRUE(succeeded(verify(module)));
}

TEST_F(HopperTest, BlockSparseProductsInARowWaitForTiles) {
  GemmSchedule schedule{128, 256, 4, 1};
  BlockSparseGemmProblem one{builder.getF16Type(), 1000};
  BlockSparseGemmProblem two{builder.getF16Type(), 1000, false, 512};
  EXPECT_EQ(getBlockSparseGemmTilesPerRow(one, schedule), 4);
  EXPECT_EQ(getBlockSparseGemmTilesPerRow(two, schedule), 6);
  // The queue, the launches, and what has been made of the first product.
  EXPECT_EQ(getBlockSparseGemmScratch(one, schedule, 300), 4 * 2);
  EXPECT_EQ(getBlockSparseGemmScratch(two, schedule, 300), 4 * (2 + 3 * 2));
  buildBlockSparseGemm(module, "one", one, schedule);
  EXPECT_EQ(count("scf.while"), 3);
  buildBlockSparseGemm(module, "two", two, schedule);
  EXPECT_EQ(count("scf.while"), 3 + 4);
}

TEST_F(HopperTest, BlockSparseProductsThatAreRefused) {
  BlockSparseGemmProblem problem{builder.getF16Type(), 64};
  auto getReason = [&](GemmSchedule schedule) {
    return checkBlockSparseGemm(problem, schedule).value_or("");
  };
  EXPECT_EQ(getReason({128, 128, 4, 1}), "");
  EXPECT_EQ(
      getReason({192, 128, 4, 1}),
      "tiles must have 128 rows, and 128 or 256 columns, not 192 and 128");
  EXPECT_EQ(
      getReason({128, 192, 4, 1}),
      "tiles must have 128 rows, and 128 or 256 columns, not 128 and 192");
  EXPECT_EQ(getReason({128, 128, 1, 1}), "there must be at least 2 stages");
  EXPECT_EQ(getReason({128, 128, 4, 0}), "groups must have at least 1 tile");
  EXPECT_EQ(
      getReason({128, 256, 5, 1}),
      "it takes 278736 bytes of shared memory, of which there are 232448");
  problem.ranks = 384;
  EXPECT_EQ(getReason({128, 128, 4, 1}), "");
  EXPECT_EQ(getReason({128, 256, 4, 1}),
            "the 384 columns between the products are no multiple of the "
            "tiles' 256");
  problem.n = 100;
  EXPECT_EQ(getReason({128, 128, 4, 1}),
            "its 100 output features are not a positive multiple of 8");
  problem.elementType = builder.getF32Type();
  EXPECT_EQ(getReason({128, 128, 4, 1}),
            "its element type is neither f16 nor bf16");
}
