// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the layer ops answer to StructuredLayerOpInterface.

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/InitAll.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace structured;

namespace {
class LayerOpInterfaceTest : public testing::Test {
protected:
  LayerOpInterfaceTest() {
    DialectRegistry registry;
    structured::registerAllDialects(registry);
    registry.insert<func::FuncDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  /// The layer of a module that holds one.
  StructuredLayerOpInterface parse(StringRef source) {
    module = parseSourceString<ModuleOp>(source, &context);
    StructuredLayerOpInterface layer;
    if (module)
      module->walk([&](StructuredLayerOpInterface op) { layer = op; });
    return layer;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(LayerOpInterfaceTest, Linear) {
  StructuredLayerOpInterface layer = parse(R"mlir(
    func.func @f(%x: tensor<?x8xf16>, %w: tensor<12x8xf16>,
                 %y: tensor<?x12xf32>) {
      %0 = structured.linear ins(%x, %w : tensor<?x8xf16>, tensor<12x8xf16>)
          outs(%y : tensor<?x12xf32>) -> tensor<?x12xf32>
      return
    })mlir");
  ASSERT_TRUE(layer);
  EXPECT_EQ(layer.getStructureKind(), StructureKind::Dense);
  EXPECT_EQ(layer.getOutFeatures(), 12);
  EXPECT_EQ(layer.getInFeatures(), 8);
  EXPECT_EQ(layer.getParameterCount(), 96);
  EXPECT_EQ(layer.getMultiplyAddsPerToken(), 96);
  // The weight and X in two bytes each, Y in four.
  EXPECT_EQ(layer.getBytes(/*tokens=*/10), 2 * 96 + 10 * (2 * 8 + 4 * 12));
  ASSERT_EQ(layer.getLayerFactors().size(), 1u);
  OpBuilder builder(layer);
  EXPECT_EQ(layer.expandToDense(builder), layer.getLayerFactors()[0]);
}

TEST_F(LayerOpInterfaceTest, Blast) {
  StructuredLayerOpInterface layer = parse(R"mlir(
    func.func @f(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
                 %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>,
                 %y: tensor<4x12xf32>) {
      %0 = structured.blast.matmul
          ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                                tensor<3x2x5xf32>, tensor<2x5x4xf32>)
          outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
      return
    })mlir");
  ASSERT_TRUE(layer);
  EXPECT_EQ(layer.getStructureKind(), StructureKind::Blast);
  EXPECT_EQ(layer.getOutFeatures(), 12);
  EXPECT_EQ(layer.getInFeatures(), 8);
  // r·(m + n + b_out·b_in)
  EXPECT_EQ(layer.getParameterCount(), 5 * (12 + 8 + 6));
  EXPECT_EQ(layer.getMultiplyAddsPerToken(), 5 * (12 + 8 + 6));
  EXPECT_EQ(layer.getBytes(4), 4 * 130 + 4 * (4 * 8 + 4 * 12));
  EXPECT_EQ(layer.getLayerFactors().size(), 3u);
  OpBuilder builder(layer);
  EXPECT_EQ(layer.expandToDense(builder).getType(),
            RankedTensorType::get({12, 8}, builder.getF32Type()));
}

TEST_F(LayerOpInterfaceTest, Gblr) {
  StructuredLayerOpInterface layer = parse(R"mlir(
    func.func @f(%x: tensor<4x8xbf16>, %u: tensor<16xbf16>,
                 %v: tensor<13xbf16>, %y: tensor<4x12xbf16>) {
      %0 = structured.gblr.matmul
          layout = <out = 12, in = 8, components = [
            <rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 2 + 5, rank 2>]>
          ins(%x, %u, %v : tensor<4x8xbf16>, tensor<16xbf16>, tensor<13xbf16>)
          outs(%y : tensor<4x12xbf16>) -> tensor<4x12xbf16>
      return
    })mlir");
  ASSERT_TRUE(layer);
  EXPECT_EQ(layer.getStructureKind(), StructureKind::Gblr);
  EXPECT_EQ(layer.getOutFeatures(), 12);
  EXPECT_EQ(layer.getInFeatures(), 8);
  // Σ rank·(rows + cols)
  EXPECT_EQ(layer.getParameterCount(), (4 + 3) + 2 * (6 + 5));
  EXPECT_EQ(layer.getBytes(4), 2 * 29 + 4 * (2 * 8 + 2 * 12));
  OpBuilder builder(layer);
  EXPECT_EQ(layer.expandToDense(builder).getType(),
            RankedTensorType::get({12, 8}, builder.getBF16Type()));
}

TEST_F(LayerOpInterfaceTest, EffectsFollowTheOperands) {
  StructuredLayerOpInterface layer = parse(R"mlir(
    func.func @f(%x: memref<4x8xf32>, %w: memref<12x8xf32>,
                 %y: memref<4x12xf32>) {
      structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>)
          outs(%y : memref<4x12xf32>)
      return
    })mlir");
  ASSERT_TRUE(layer);
  EXPECT_TRUE(hasEffect<MemoryEffects::Read>(layer, layer.getLayerInput()));
  EXPECT_FALSE(hasEffect<MemoryEffects::Write>(layer, layer.getLayerInput()));
  EXPECT_TRUE(hasEffect<MemoryEffects::Read>(layer, layer.getLayerInit()));
  EXPECT_TRUE(hasEffect<MemoryEffects::Write>(layer, layer.getLayerInit()));
}
} // namespace
