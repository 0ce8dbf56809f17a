// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The decode kernel: what is refused and why, that what is built verifies, and
// that it has the loads, products and exchanges that it must have.

#include "Structured/Kernels/BlastDecode.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace structured;

namespace {
class BlastDecodeTest : public testing::Test {
protected:
  BlastDecodeTest() : builder(&context) {
    context.loadDialect<gpu::GPUDialect, LLVM::LLVMDialect, NVVM::NVVMDialect,
                        scf::SCFDialect, arith::ArithDialect>();
    module = ModuleOp::create(builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
    kernels =
        gpu::GPUModuleOp::create(builder, builder.getUnknownLoc(), "kernels");
  }

  BlastProblem getProblem(int64_t m = 4096, int64_t n = 4096, int64_t bOut = 16,
                          int64_t bIn = 16, int64_t rank = 1024) {
    BlastProblem problem;
    problem.elementType = builder.getBF16Type();
    problem.m = m;
    problem.n = n;
    problem.bOut = bOut;
    problem.bIn = bIn;
    problem.rank = rank;
    return problem;
  }

  std::string check(const BlastProblem &problem, int64_t tokens = 1,
                    int64_t multiprocessors = 132) {
    return checkBlastDecode(problem, {tokens, multiprocessors}).value_or("");
  }

  /// How many instructions begin so.
  int64_t countInstructions(StringRef text) {
    int64_t count = 0;
    kernels.walk([&](LLVM::InlineAsmOp op) {
      count += op.getAsmString().contains(text);
    });
    return count;
  }

  MLIRContext context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
  gpu::GPUModuleOp kernels;
};
} // namespace

// All lanes of a warp take part in a product. One without side effects might be
// moved to where only some lanes use its result, and hang. What LLVM must be
// told besides, test/Target/cuda-products.mlir tests.
TEST_F(BlastDecodeTest, ProductsStayWhereTheyAre) {
  BlastProblem problem = getProblem(3072, 768, 2, 2, 304);
  buildBlastDecode(kernels, "decode", problem, {/*tokens=*/1, 132});
  EXPECT_GT(countInstructions("mma.sync"), 0);
  kernels.walk([&](LLVM::InlineAsmOp op) {
    if (op.getAsmString().contains(".sync"))
      EXPECT_TRUE(op.getHasSideEffects()) << op.getAsmString().str();
  });
}

TEST_F(BlastDecodeTest, RefusesOtherElementTypes) {
  BlastProblem problem = getProblem();
  EXPECT_EQ(check(problem), "");
  problem.elementType = builder.getF32Type();
  EXPECT_EQ(check(problem), "its element type is neither f16 nor bf16");
}

TEST_F(BlastDecodeTest, RefusesSizes) {
  EXPECT_EQ(check(getProblem(4096, 4096, 0, 16, 1024)),
            "a size is not positive");
  EXPECT_EQ(check(getProblem(4096, 4096, 3, 16, 1024)),
            "its sizes 4096 and 4096 are not multiples of its numbers of "
            "blocks, 3 and 16");
  EXPECT_EQ(check(getProblem(4096, 4096, 16, 16, 1020)),
            "its blocks of 256 x 256 or its rank 1020 are not multiples of 8");
  EXPECT_EQ(check(getProblem(48, 48, 2, 4, 8)),
            "its blocks of 24 x 12 or its rank 8 are not multiples of 8");
  EXPECT_EQ(check(getProblem(1 << 20, 1 << 20, 16, 16, 1024)),
            "one of its factors has more than 2 GiB");
}

TEST_F(BlastDecodeTest, RefusesTokens) {
  EXPECT_EQ(check(getProblem(), 16), "");
  EXPECT_EQ(check(getProblem(), 0), "it is for 1 to 16 tokens, not 0");
  EXPECT_EQ(check(getProblem(), 17), "it is for 1 to 16 tokens, not 17");
  EXPECT_EQ(check(getProblem(16384, 16384, 1, 1, 8192), 8), "");
  EXPECT_EQ(check(getProblem(16384, 16384, 1, 1, 8192), 16),
            "its rank 8192 is too large for 16 tokens");
}

TEST_F(BlastDecodeTest, RefusesMoreBlockRowsThanMultiprocessors) {
  EXPECT_EQ(check(getProblem(4096, 4096, 128, 16, 1024), 1, 128), "");
  EXPECT_EQ(check(getProblem(4096, 4096, 128, 16, 1024), 1, 64),
            "it has 128 block rows, more than the 64 multiprocessors");
}

TEST_F(BlastDecodeTest, RefusesTooMuchSharedMemory) {
  // S of a thread block alone: 128 · 128 · 8 elements.
  EXPECT_EQ(check(getProblem(4096, 4096, 128, 128, 1024)).substr(0, 9),
            "it takes ");
}

TEST_F(BlastDecodeTest, SharesOfLayers) {
  BlastProblem problem = getProblem(4096, 4096, 4, 4, 1008);
  BlastDecodeSchedule schedule = {1, 132, /*layers=*/3};
  // 24 ranks and 94 rows for each of 44 blocks.
  EXPECT_EQ(checkBlastDecode(problem, schedule), std::nullopt);
  EXPECT_EQ(getBlastDecodeBlocks(problem, schedule), 3 * 44);
  EXPECT_EQ(getBlastDecodeScratch(problem, schedule) % (3 * 128), 0);
  EXPECT_GE(getBlastDecodeScratch(problem, schedule),
            3 * (4 * 1008 * 4 + 44 * 4));
  Kernel kernel = buildBlastDecode(kernels, "decode", problem, schedule);
  EXPECT_TRUE(succeeded(verify(*module)));
  // X, four of each layer, scratch memory.
  auto function = kernels.lookupSymbol<LLVM::LLVMFuncOp>(kernel.name);
  EXPECT_EQ(function.getNumArguments(), 14u);
}

TEST_F(BlastDecodeTest, RefusesLayersBesideOthers) {
  auto check = [&](const BlastProblem &problem, BlastDecodeSchedule schedule) {
    return checkBlastDecode(problem, schedule).value_or("");
  };
  // Partial sums of 11 and of 16 tiles of rows.
  BlastProblem problem = getProblem(11008, 4096, 4, 4, 1488);
  EXPECT_EQ(check(problem, {16, 132, 2}), "");
  EXPECT_EQ(check(problem, {16, 132, 3}).substr(0, 9), "it takes ");
  EXPECT_EQ(check(getProblem(4096, 4096, 64, 64, 1024), {1, 132, 3}),
            "it has 64 block rows, more than the 44 multiprocessors");
  EXPECT_EQ(check(problem, {1, 132, 0}), "a size is not positive");
}

TEST_F(BlastDecodeTest, GridAndScratch) {
  // 8 ranks and 32 rows for each block; 8 bytes for two values of Z, and a
  // counter for each block.
  EXPECT_EQ(getBlastDecodeBlocks(getProblem(), {1, 132}), 128);
  EXPECT_EQ(getBlastDecodeScratch(getProblem(), {4, 132}),
            16 * 4 * 1024 * 4 + 128 * 4);
  // 12 ranks for each of 124 blocks, 84 rows for each of 4 · 33.
  EXPECT_EQ(getBlastDecodeBlocks(getProblem(11008, 4096, 4, 4, 1488), {1, 132}),
            132);
  // One row of blocks must not be split among too many.
  EXPECT_EQ(getBlastDecodeBlocks(getProblem(40, 16, 1, 2, 8), {1, 132}), 20);
  for (int64_t b : {1, 2, 4, 8, 16, 32, 64})
    for (int64_t processors : {64, 78, 114, 132})
      EXPECT_LE(getBlastDecodeBlocks(getProblem(4096, 4096, b, b, 1024),
                                     {1, processors}),
                processors);
}

TEST_F(BlastDecodeTest, ReadsTheWeightsOnce) {
  Kernel kernel = buildBlastDecode(kernels, "decode", getProblem(), {1, 132});
  ASSERT_TRUE(succeeded(verify(*module)));
  EXPECT_EQ(kernel.threads, 512);
  auto function = kernels.lookupSymbol<LLVM::LLVMFuncOp>("decode");
  ASSERT_TRUE(function);
  EXPECT_EQ(function.getNumArguments(), 6u);
  // 128 blocks of 512 threads, 16 bytes at a time: Vt and U have 8 MiB each.
  EXPECT_EQ(countInstructions("ld.global.nc"), (16 << 20) / (128 * 512 * 16));
  // A chunk of X for each of Vt.
  EXPECT_EQ(countInstructions("ld.global.cg"), 8);
  EXPECT_EQ(countInstructions("mma.sync.aligned.m16n8k16"), 8 * 2 + 4 * 2);
  // Two chunks of Z, two words in an instruction.
  EXPECT_EQ(countInstructions("ld.relaxed.gpu"), 4);
  EXPECT_EQ(countInstructions("st.relaxed.gpu"), 1);
  // No condition is computed for weights where all are there.
  kernels.walk([](LLVM::InlineAsmOp op) {
    if (op.getAsmString().contains("ld.global.nc"))
      EXPECT_FALSE(op.getAsmString().contains("@valid"));
  });
}

// No warp asks again and again for what there is not, nor for more than one
// token of many.
TEST_F(BlastDecodeTest, AsksForWhatThereIs) {
  int64_t number = 0;
  auto count = [&](int64_t rank, int64_t tokens, StringRef text) {
    gpu::GPUModuleOp module = kernels;
    auto name = "decode" + std::to_string(number++);
    buildBlastDecode(module, name, getProblem(4096, 4096, 4, 4, rank),
                     {tokens, 132});
    int64_t count = 0;
    module.lookupSymbol<LLVM::LLVMFuncOp>(name).walk([&](LLVM::InlineAsmOp op) {
      count += op.getAsmString().contains("ld.relaxed.gpu") &&
               op.getAsmString().contains(text);
    });
    return count;
  };
  // A chunk of ranks for each warp that has some: two words in an instruction.
  EXPECT_EQ(count(304, 1, ""), 2);
  EXPECT_EQ(count(304, 1, "@valid"), 2);
  // First one word of a token.
  EXPECT_EQ(count(304, 4, ""), 1 + 2);
  EXPECT_EQ(count(304, 4, "@valid"), 1 + 2);
  // Two chunks and all tokens: only the first token's is conditional.
  EXPECT_EQ(count(1024, 8, ""), 2 + 4);
  EXPECT_EQ(count(1024, 8, "@valid"), 2);
  EXPECT_EQ(count(1024, 16, ""), 2 + 8);
}

TEST_F(BlastDecodeTest, BuildsOtherProblems) {
  struct Case {
    int64_t m, n, bOut, bIn, rank, tokens;
  };
  int64_t number = 0;
  for (Case c :
       {Case{40, 16, 1, 2, 8, 16}, Case{1000, 600, 5, 3, 72, 3},
        Case{768, 960, 32, 24, 200, 5}, Case{4096, 2048, 16, 1, 1024, 9},
        Case{4096, 4096, 64, 64, 512, 7}, Case{11008, 4096, 4, 4, 1488, 16},
        Case{4096, 11008, 4, 4, 1488, 2}}) {
    BlastProblem problem = getProblem(c.m, c.n, c.bOut, c.bIn, c.rank);
    if (number % 2)
      problem.elementType = builder.getF16Type();
    BlastDecodeSchedule schedule{c.tokens, 132};
    ASSERT_EQ(checkBlastDecode(problem, schedule), std::nullopt);
    Kernel kernel = buildBlastDecode(
        kernels, "decode" + std::to_string(number++), problem, schedule);
    EXPECT_TRUE(succeeded(verify(*module))) << kernel.name;
    EXPECT_LE(kernel.sharedMemoryBytes, kHopperSharedMemory);
  }
  EXPECT_GT(countInstructions(".f16.f16.f32"), 0);
  EXPECT_GT(countInstructions(".bf16.bf16.f32"), 0);
}
