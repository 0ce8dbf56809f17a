// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The factors of random layouts, packed by panels, against the matrix.

#include "Structured/Dialect/Structured/IR/GblrPanels.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MathExtras.h"

#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace structured;

namespace {
class GblrPanelsTest : public testing::Test {
protected:
  GblrPanelsTest() { context.loadDialect<StructuredDialect>(); }

  int64_t draw(int64_t end) { return random() % end; }

  GblrLayoutAttr drawLayout(int64_t out, int64_t in, int64_t components) {
    SmallVector<GblrComponentAttr> list;
    for (int64_t k = 0; k < components; ++k)
      list.push_back(GblrComponentAttr::get(&context, draw(out), draw(out + 1),
                                            draw(in), draw(in + 1), draw(4)));
    return GblrLayoutAttr::get(&context, out, in, list);
  }

  std::vector<int64_t> drawFactor(int64_t size) {
    std::vector<int64_t> factor(size);
    for (int64_t &value : factor)
      value = draw(19) - 9;
    return factor;
  }

  MLIRContext context;
  std::mt19937 random{0};
};
} // namespace

/// The matrix [rows, cols] of a packed factor.
static std::vector<int64_t> unpack(const PanelPattern &pattern,
                                   ArrayRef<PackedRun> runs,
                                   ArrayRef<int64_t> factor, int64_t rows,
                                   int64_t cols) {
  std::vector<int64_t> values(pattern.getValueCount());
  for (const PackedRun &run : runs)
    for (int64_t i = 0; i < run.size; ++i)
      values[run.target + i * run.stride] = factor[run.source + i];
  std::vector<int64_t> matrix(rows * cols);
  for (int64_t panel = 0; panel < pattern.getPanelCount(); ++panel)
    for (int64_t block = pattern.positions[panel];
         block < pattern.positions[panel + 1]; ++block)
      for (int64_t l = 0; l < pattern.width; ++l)
        for (int64_t c = 0; c < pattern.columns; ++c) {
          int64_t row = panel * pattern.width + l;
          int64_t col = pattern.coordinates[block] * pattern.columns + c;
          if (row < rows && col < cols)
            matrix[row * cols + col] +=
                values[(block * pattern.width + l) * pattern.columns + c];
        }
  return matrix;
}

TEST_F(GblrPanelsTest, PackedFactorsMakeTheMatrix) {
  for (int64_t number = 0; number < 60; ++number) {
    int64_t columns = SmallVector<int64_t>{1, 4, 32}[number % 3];
    int64_t out = 1 + draw(90), in = 1 + draw(90);
    int64_t vWidth = columns * (1 + draw(3)), uWidth = 1 + draw(40);
    GblrLayoutAttr layout = drawLayout(out, in, draw(30));
    std::vector<int64_t> u = drawFactor(layout.getUSize());
    std::vector<int64_t> v = drawFactor(layout.getVSize());
    GblrPanels panels = GblrPanels::compute(layout, vWidth, uWidth, columns);
    int64_t ranks = panels.v.getPanelCount() * vWidth;
    ASSERT_EQ(panels.u.getPanelCount(), llvm::divideCeil(out, uWidth));
    std::vector<int64_t> vMatrix = unpack(panels.v, panels.vRuns, v, ranks, in);
    std::vector<int64_t> uMatrix =
        unpack(panels.u, panels.uRuns, u, out, ranks);
    std::vector<int64_t> product(out * in), expected(out * in);
    for (int64_t row = 0; row < out; ++row)
      for (int64_t rank = 0; rank < ranks; ++rank)
        for (int64_t col = 0; col < in; ++col)
          product[row * in + col] +=
              uMatrix[row * ranks + rank] * vMatrix[rank * in + col];
    const int64_t *uk = u.data(), *vk = v.data();
    for (GblrComponentAttr component : layout.getComponents())
      for (int64_t rank = 0; rank < component.getRank(); ++rank) {
        for (int64_t i = 0; i < component.getRows(); ++i)
          for (int64_t j = 0; j < component.getCols(); ++j)
            expected[(component.getRowStart() + i) % out * in +
                     (component.getColStart() + j) % in] += uk[i] * vk[j];
        uk += component.getRows();
        vk += component.getCols();
      }
    EXPECT_EQ(product, expected) << "layout " << number;
    if (columns == 1)
      continue;
    // The order makes the same panels again.
    GblrPanels again =
        GblrPanels::compute(layout, vWidth, uWidth, columns, panels.order);
    EXPECT_EQ(again.order, panels.order);
    EXPECT_EQ(again.v.coordinates, panels.v.coordinates);
    EXPECT_EQ(unpack(again.u, again.uRuns, u, out, ranks), uMatrix);
    EXPECT_TRUE(succeeded(GblrPackingAttr::verify(
        [&] { return emitError(UnknownLoc::get(&context)); }, GblrFactor::V,
        vWidth, uWidth, layout, columns, panels.order)));
  }
}

TEST_F(GblrPanelsTest, PanelsHaveBlocksAndAnOrder) {
  for (int64_t number = 0; number < 10; ++number) {
    GblrPanels panels = GblrPanels::compute(drawLayout(300, 200, 1 + draw(9)),
                                            /*vWidth=*/64, /*uWidth=*/64, 32);
    for (const PanelPattern &pattern : {panels.v, panels.u}) {
      std::vector<int32_t> order = pattern.getOrder();
      auto getSize = [&](int64_t panel) {
        return pattern.positions[panel + 1] - pattern.positions[panel];
      };
      for (size_t i = 0; i < order.size(); ++i) {
        EXPECT_GT(getSize(order[i]), 0);
        EXPECT_TRUE(i == 0 || getSize(order[i - 1]) >= getSize(order[i]));
      }
      llvm::sort(order);
      for (size_t i = 0; i < order.size(); ++i)
        EXPECT_EQ(order[i], static_cast<int32_t>(i));
    }
  }
}

// Rank vectors of two kinds, in turn: each panel gets one kind.
TEST_F(GblrPanelsTest, VectorsOfTheSameBlocksArePutTogether) {
  SmallVector<GblrComponentAttr> components;
  for (int64_t k = 0; k < 256; ++k)
    components.push_back(GblrComponentAttr::get(&context, 0, 64 * (1 + k % 2),
                                                128 * (k % 2), 128, 1));
  auto layout = GblrLayoutAttr::get(&context, 128, 256, components);
  GblrPanels panels = GblrPanels::compute(layout, 128, 64, 64);
  EXPECT_EQ(panels.v.coordinates.size(), 4u);
  EXPECT_EQ(panels.u.coordinates.size(), 6u);
}

// Rank vectors of four kinds, of 1, 2, 3 and 4 blocks: V's panels are in
// descending order, but for the first.
TEST_F(GblrPanelsTest, PanelsAreInTheOrderInWhichTheyAreMade) {
  SmallVector<GblrComponentAttr> components;
  for (int64_t k = 0; k < 128; ++k)
    components.push_back(
        GblrComponentAttr::get(&context, 0, 64, 0, 64 * (1 + k % 4), 1));
  auto layout = GblrLayoutAttr::get(&context, 64, 256, components);
  GblrPanels panels = GblrPanels::compute(layout, 32, 64, 32);
  EXPECT_EQ(panels.v.positions, (std::vector<int32_t>{0, 6, 10, 12, 20}));
}
