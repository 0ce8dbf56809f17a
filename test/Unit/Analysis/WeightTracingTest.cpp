// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Where the elements of a traced weight matrix lie in its source.

#include "Structured/Analysis/WeightTracing.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace structured;

namespace {
class WeightTracingTest : public testing::Test {
protected:
  WeightTracingTest() {
    context.loadDialect<arith::ArithDialect, func::FuncDialect,
                        linalg::LinalgDialect, tensor::TensorDialect,
                        StructuredDialect>();
  }

  /// What the first operand of the function's return is traced to.
  std::optional<WeightMatrix> trace(StringRef source) {
    module = parseSourceString<ModuleOp>(source, &context);
    Value matrix;
    if (module)
      module->walk([&](func::ReturnOp op) { matrix = op.getOperand(0); });
    return matrix ? traceWeight(matrix) : std::nullopt;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(WeightTracingTest, Parameter) {
  auto matrix = trace(R"mlir(
    func.func @f() -> tensor<3x4xf32> {
      %w = structured.parameter "w" : tensor<3x4xf32>
      return %w : tensor<3x4xf32>
    })mlir");
  ASSERT_TRUE(matrix);
  EXPECT_EQ(matrix->origin.kind, WeightKind::Parameter);
  EXPECT_EQ(matrix->origin.name, "w");
  EXPECT_EQ(matrix->getNumRows(), 3);
  EXPECT_EQ(matrix->getNumCols(), 4);
  EXPECT_TRUE(matrix->isRowMajor());
  EXPECT_FALSE(matrix->isTransposed());
  EXPECT_EQ(matrix->getOffset(2, 1), 9);
}

TEST_F(WeightTracingTest, Transposed) {
  auto matrix = trace(R"mlir(
    func.func @f() -> tensor<3x4xf32> {
      %w = structured.parameter "w" : tensor<4x3xf32>
      %e = tensor.empty() : tensor<3x4xf32>
      %t = linalg.transpose ins(%w : tensor<4x3xf32>)
          outs(%e : tensor<3x4xf32>) permutation = [1, 0]
      return %t : tensor<3x4xf32>
    })mlir");
  ASSERT_TRUE(matrix);
  EXPECT_TRUE(matrix->isTransposed());
  EXPECT_FALSE(matrix->isRowMajor());
  EXPECT_EQ(matrix->getOffset(2, 1), 1 * 3 + 2);
}

// W[f, (h, w, c)] of a kernel stored as [f, c, h, w].
TEST_F(WeightTracingTest, Im2ColKernel) {
  auto matrix = trace(R"mlir(
    func.func @f() -> tensor<5x18xf32> {
      %w = structured.parameter "w" : tensor<5x2x3x3xf32>
      %e = tensor.empty() : tensor<5x3x3x2xf32>
      %t = linalg.transpose ins(%w : tensor<5x2x3x3xf32>)
          outs(%e : tensor<5x3x3x2xf32>) permutation = [0, 2, 3, 1]
      %c = tensor.collapse_shape %t [[0], [1, 2, 3]]
          : tensor<5x3x3x2xf32> into tensor<5x18xf32>
      return %c : tensor<5x18xf32>
    })mlir");
  ASSERT_TRUE(matrix);
  EXPECT_FALSE(matrix->isRowMajor());
  EXPECT_FALSE(matrix->isTransposed());
  EXPECT_TRUE(matrix->coversSource());
  for (int64_t f = 0; f < 5; ++f)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t w = 0; w < 3; ++w)
        for (int64_t c = 0; c < 2; ++c)
          EXPECT_EQ(matrix->getOffset(f, (h * 3 + w) * 2 + c),
                    ((f * 2 + c) * 3 + h) * 3 + w);
}

// Expanding, transposing and collapsing back interleaves the rows.
TEST_F(WeightTracingTest, Interleaved) {
  auto matrix = trace(R"mlir(
    func.func @f() -> tensor<6x4xf32> {
      %w = structured.parameter "w" : tensor<6x4xf32>
      %x = tensor.expand_shape %w [[0, 1], [2]] output_shape [2, 3, 4]
          : tensor<6x4xf32> into tensor<2x3x4xf32>
      %e = tensor.empty() : tensor<3x2x4xf32>
      %t = linalg.transpose ins(%x : tensor<2x3x4xf32>)
          outs(%e : tensor<3x2x4xf32>) permutation = [1, 0, 2]
      %c = tensor.collapse_shape %t [[0, 1], [2]]
          : tensor<3x2x4xf32> into tensor<6x4xf32>
      return %c : tensor<6x4xf32>
    })mlir");
  ASSERT_TRUE(matrix);
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 4; ++j)
      EXPECT_EQ(matrix->getOffset(i, j), (i % 2 * 3 + i / 2) * 4 + j);
}

// A slice of a transpose of a slice, by every second column.
TEST_F(WeightTracingTest, Slices) {
  auto matrix = trace(R"mlir(
    func.func @f() -> tensor<2x3xf32> {
      %w = structured.parameter "w" : tensor<10x8xf32>
      %s = tensor.extract_slice %w[1, 2] [6, 4] [1, 1]
          : tensor<10x8xf32> to tensor<6x4xf32>
      %e = tensor.empty() : tensor<4x6xf32>
      %t = linalg.transpose ins(%s : tensor<6x4xf32>)
          outs(%e : tensor<4x6xf32>) permutation = [1, 0]
      %c = tensor.extract_slice %t[1, 1] [2, 3] [1, 2]
          : tensor<4x6xf32> to tensor<2x3xf32>
      return %c : tensor<2x3xf32>
    })mlir");
  ASSERT_TRUE(matrix);
  EXPECT_EQ(matrix->origin.name, "w");
  EXPECT_FALSE(matrix->coversSource());
  EXPECT_FALSE(matrix->isTransposed());
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j)
      EXPECT_EQ(matrix->getOffset(i, j), (1 + 1 + 2 * j) * 8 + (2 + 1 + i));
}

TEST_F(WeightTracingTest, ConvertedWeight) {
  auto matrix = trace(R"mlir(
    func.func @f() -> tensor<3x4xf32> {
      %w = structured.parameter "w" : tensor<3x4xf16>
      %e = tensor.empty() : tensor<3x4xf32>
      %x = linalg.generic {
          indexing_maps = [affine_map<(i, j) -> (i, j)>,
                           affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}
          ins(%w : tensor<3x4xf16>) outs(%e : tensor<3x4xf32>) {
      ^bb0(%a: f16, %o: f32):
        %b = arith.extf %a : f16 to f32
        linalg.yield %b : f32
      } -> tensor<3x4xf32>
      return %x : tensor<3x4xf32>
    })mlir");
  ASSERT_TRUE(matrix);
  EXPECT_TRUE(matrix->elementType.isF32());
  EXPECT_TRUE(
      cast<ShapedType>(matrix->source.getType()).getElementType().isF16());
}

TEST_F(WeightTracingTest, NoWeight) {
  // Computed.
  EXPECT_FALSE(trace(R"mlir(
    func.func @f(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
      %y = arith.addf %x, %x : tensor<3x4xf32>
      return %y : tensor<3x4xf32>
    })mlir"));
  // Each element of the source four times.
  EXPECT_FALSE(trace(R"mlir(
    func.func @f() -> tensor<3x4xf32> {
      %w = structured.parameter "w" : tensor<3xf32>
      %e = tensor.empty() : tensor<3x4xf32>
      %b = linalg.broadcast ins(%w : tensor<3xf32>) outs(%e : tensor<3x4xf32>)
          dimensions = [1]
      return %b : tensor<3x4xf32>
    })mlir"));
}

TEST(CoalesceTest, MergesRuns) {
  EXPECT_EQ(coalesce({{2, 12}, {1, 5}, {3, 4}, {4, 1}}), (DimLayout{{24, 1}}));
  EXPECT_EQ(coalesce({{4, 1}, {3, 4}}), (DimLayout{{4, 1}, {3, 4}}));
  EXPECT_EQ(coalesce({{ShapedType::kDynamic, 0}, {3, 0}, {4, 1}}),
            (DimLayout{{ShapedType::kDynamic, 0}, {4, 1}}));
  EXPECT_TRUE(coalesce({{1, 7}}).empty());
}
} // namespace
