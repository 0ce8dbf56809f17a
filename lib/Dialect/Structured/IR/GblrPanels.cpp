// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <cmath>
#include <numeric>

using namespace structured;

namespace {
/// A set of columns.
class ColumnSet {
public:
  explicit ColumnSet(int64_t size) : words((size + 63) / 64) {}

  void insert(const IntervalPiece &piece) {
    for (int64_t c = piece.matrixOffset; c < piece.matrixOffset + piece.size;
         ++c)
      words[c / 64] |= uint64_t(1) << (c % 64);
  }
  ColumnSet &operator|=(const ColumnSet &other) {
    for (auto [word, otherWord] : llvm::zip_equal(words, other.words))
      word |= otherWord;
    return *this;
  }
  int64_t count() const {
    int64_t total = 0;
    for (uint64_t word : words)
      total += llvm::popcount(word);
    return total;
  }
  int64_t countUnion(const ColumnSet &other) const {
    int64_t total = 0;
    for (auto [word, otherWord] : llvm::zip_equal(words, other.words))
      total += llvm::popcount(word | otherWord);
    return total;
  }
  bool contains(int64_t column) const {
    return words[column / 64] >> (column % 64) & 1;
  }

private:
  std::vector<uint64_t> words;
};

/// A component that is not empty.
struct Component {
  GblrComponentAttr attr;
  int64_t uOffset, vOffset; ///< in the packed factors
  ColumnSet columns;
  int64_t taken = 0; ///< rank vectors that have a panel

  int64_t left() const { return attr.getRank() - taken; }
};

/// One rank vector of a component.
struct RankVector {
  const Component *component;
  int64_t index;
};
} // namespace

static std::vector<Component> getComponents(GblrLayoutAttr layout) {
  std::vector<Component> components;
  int64_t uOffset = 0, vOffset = 0;
  for (GblrComponentAttr attr : layout.getComponents()) {
    if (attr.getRank() > 0 && attr.getRows() > 0 && attr.getCols() > 0) {
      ColumnSet columns(layout.getInFeatures());
      for (const IntervalPiece &piece : splitPeriodic(
               attr.getColStart(), attr.getCols(), layout.getInFeatures()))
        columns.insert(piece);
      components.push_back({attr, uOffset, vOffset, std::move(columns)});
    }
    uOffset += attr.getRank() * attr.getRows();
    vOffset += attr.getRank() * attr.getCols();
  }
  llvm::stable_sort(components, [](const Component &a, const Component &b) {
    return std::make_pair(a.attr.getColStart(), a.attr.getCols()) <
           std::make_pair(b.attr.getColStart(), b.attr.getCols());
  });
  return components;
}

/// Takes the rank vectors of the next panel from `left`.
static std::vector<RankVector> takePanel(std::vector<Component *> &left,
                                         int64_t width, ColumnSet &columns) {
  std::vector<RankVector> panel;
  int64_t columnCount = 0;
  while (static_cast<int64_t>(panel.size()) < width && !left.empty()) {
    // A panel of k vectors and c columns holds k·c numbers. Taking a vector of
    // s numbers that widens it to c' columns adds (k + 1)·c' - k·c - s zeros.
    int64_t count = panel.size();
    auto best = left.begin();
    int64_t bestZeros = std::numeric_limits<int64_t>::max();
    for (auto it = left.begin(); count > 0 && it != left.end(); ++it) {
      int64_t zeros = (count + 1) * columns.countUnion((*it)->columns) -
                      count * columnCount - (*it)->attr.getCols();
      if (zeros < bestZeros) {
        best = it;
        bestZeros = zeros;
      }
    }
    Component *component = *best;
    columns |= component->columns;
    columnCount = columns.count();
    for (; component->left() && static_cast<int64_t>(panel.size()) < width;
         ++component->taken)
      panel.push_back({component, component->taken});
    if (!component->left())
      left.erase(best);
  }
  return panel;
}

/// Fills in `v` and `vRuns`; the rank vectors in the order of the panels.
static std::vector<std::optional<RankVector>>
computeV(GblrPanels &panels, std::vector<Component> &components,
         int64_t inFeatures) {
  std::vector<std::optional<RankVector>> vectors;
  std::vector<Component *> left;
  for (Component &component : components)
    left.push_back(&component);
  std::vector<int64_t> rowOfColumn(inFeatures);
  PanelPattern &v = panels.v;
  v.positions.push_back(0);
  while (!left.empty()) {
    ColumnSet columns(inFeatures);
    std::vector<RankVector> panel = takePanel(left, v.width, columns);
    for (int64_t c = 0; c < inFeatures; ++c) {
      if (!columns.contains(c))
        continue;
      rowOfColumn[c] = v.coordinates.size();
      v.coordinates.push_back(c);
    }
    v.positions.push_back(v.coordinates.size());
    for (auto [lane, vector] : llvm::enumerate(panel)) {
      const Component &component = *vector.component;
      int64_t cols = component.attr.getCols();
      for (const IntervalPiece &piece :
           splitPeriodic(component.attr.getColStart(), cols, inFeatures))
        panels.vRuns.push_back(
            {component.vOffset + vector.index * cols + piece.componentOffset,
             rowOfColumn[piece.matrixOffset] * v.width +
                 static_cast<int64_t>(lane),
             piece.size, v.width});
    }
    vectors.insert(vectors.end(), panel.begin(), panel.end());
    vectors.resize(v.getPanelCount() * v.width);
  }
  return vectors;
}

/// Fills in `u` and `uRuns`.
static void computeU(GblrPanels &panels,
                     llvm::ArrayRef<std::optional<RankVector>> vectors,
                     int64_t outFeatures) {
  PanelPattern &u = panels.u;
  int64_t count = llvm::divideCeil(outFeatures, u.width);
  std::vector<std::vector<int32_t>> coordinates(count);
  // A run's target is relative to its panel at first.
  std::vector<int64_t> panelOfRun;
  for (auto [index, vector] : llvm::enumerate(vectors)) {
    if (!vector)
      continue;
    const Component &component = *vector->component;
    int64_t rows = component.attr.getRows();
    for (const IntervalPiece &piece :
         splitPeriodic(component.attr.getRowStart(), rows, outFeatures)) {
      int64_t source =
          component.uOffset + vector->index * rows + piece.componentOffset;
      int64_t end = piece.matrixOffset + piece.size;
      for (int64_t row = piece.matrixOffset; row < end;) {
        int64_t panel = row / u.width;
        int64_t size = std::min(end, (panel + 1) * u.width) - row;
        // The two runs of an interval that wraps around may meet in a panel.
        std::vector<int32_t> &list = coordinates[panel];
        if (list.empty() || list.back() != static_cast<int32_t>(index))
          list.push_back(index);
        int64_t target = (list.size() - 1) * u.width + row % u.width;
        panels.uRuns.push_back({source, target, size, 1});
        panelOfRun.push_back(panel);
        source += size;
        row += size;
      }
    }
  }
  u.positions.push_back(0);
  for (llvm::ArrayRef<int32_t> list : coordinates) {
    u.coordinates.insert(u.coordinates.end(), list.begin(), list.end());
    u.positions.push_back(u.coordinates.size());
  }
  for (auto [run, panel] : llvm::zip_equal(panels.uRuns, panelOfRun))
    run.target += u.positions[panel] * u.width;
}

//===----------------------------------------------------------------------===//
// Blocks of several columns
//===----------------------------------------------------------------------===//

namespace {
/// A rank vector and the blocks that it meets.
struct BlockedVector {
  RankVector vector;
  ColumnSet columns; ///< blocks of columns of W
  ColumnSet rows;    ///< panels of rows of W
};

/// Distributes rank vectors to the rows of V's panels, so that few blocks are
/// needed: of V, by the columns of all vectors of a panel, and of U, by the
/// rows of each `columns` successive vectors, a chunk.
class BlockOrder {
public:
  BlockOrder(std::vector<BlockedVector> vectors, GblrLayoutAttr layout,
             int64_t vWidth, int64_t uWidth, int64_t columns)
      : vectors(std::move(vectors)), vWidth(vWidth), uWidth(uWidth),
        columns(columns),
        columnBlocks(llvm::divideCeil(layout.getInFeatures(), columns)),
        rowPanels(llvm::divideCeil(layout.getOutFeatures(), uWidth)),
        slots(llvm::alignTo(this->vectors.size(), vWidth), -1) {}

  /// Fills the slots one after the other, each with the vector that needs the
  /// fewest numbers more.
  void fill();
  /// Exchanges vectors at random, by threshold accepting: an exchange is made
  /// if it makes things worse by no more than a threshold, which falls to 0.
  /// Emptying a block takes many exchanges of which but the last lowers the
  /// number of blocks. So what is made small is the sum of the square roots of
  /// the vectors that meet each block: that favours what is nearly empty.
  void improve();

  /// The vectors by slot, a multiple of `vWidth`; some may be empty.
  std::vector<std::optional<RankVector>> getVectors() const;

private:
  /// Adds `sign` to the counts of the blocks that the vector in `slot` meets.
  /// The change of the sum.
  int64_t count(int64_t slot, int64_t sign);

  std::vector<BlockedVector> vectors;
  int64_t vWidth, uWidth, columns, columnBlocks, rowPanels;
  std::vector<int64_t> slots; ///< a vector each, or -1
  // For `improve`: of each panel and block of columns, and of each chunk and
  // panel of rows, how many vectors meet it; the blocks of each vector.
  std::vector<int32_t> columnCounts, rowCounts;
  std::vector<std::vector<int32_t>> columnLists, rowLists;
  std::vector<int64_t> roots;
  int64_t weightV = 0, weightU = 0;
};
} // namespace

void BlockOrder::fill() {
  std::vector<int64_t> left(vectors.size());
  std::iota(left.begin(), left.end(), 0);
  // A panel starts with what is smallest: what is large fits nowhere, and is
  // best among its like.
  auto getSize = [&](int64_t index) {
    return vectors[index].columns.count() * columns +
           vectors[index].rows.count() * uWidth;
  };
  std::vector<int64_t> sizes(vectors.size());
  for (int64_t index : left)
    sizes[index] = getSize(index);
  llvm::stable_sort(left,
                    [&](int64_t a, int64_t b) { return sizes[a] < sizes[b]; });
  ColumnSet panelColumns(columnBlocks), chunkRows(rowPanels);
  for (int64_t slot = 0; !left.empty(); ++slot) {
    int64_t inPanel = slot % vWidth, inChunk = slot % columns;
    if (inPanel == 0)
      panelColumns = ColumnSet(columnBlocks);
    if (inChunk == 0)
      chunkRows = ColumnSet(rowPanels);
    int64_t columnCount = panelColumns.count(), rowCount = chunkRows.count();
    auto best = left.begin();
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (auto it = left.begin(); inPanel > 0 && it != left.end(); ++it) {
      const BlockedVector &vector = vectors[*it];
      int64_t numbers =
          ((inPanel + 1) * panelColumns.countUnion(vector.columns) -
           inPanel * columnCount) *
              columns +
          ((inChunk + 1) * chunkRows.countUnion(vector.rows) -
           inChunk * rowCount) *
              uWidth;
      if (numbers < fewest) {
        best = it;
        fewest = numbers;
      }
    }
    panelColumns |= vectors[*best].columns;
    chunkRows |= vectors[*best].rows;
    slots[slot] = *best;
    left.erase(best);
  }
}

int64_t BlockOrder::count(int64_t slot, int64_t sign) {
  int64_t index = slots[slot];
  if (index < 0)
    return 0;
  int64_t changeV = 0, changeU = 0;
  int32_t *counts = &columnCounts[slot / vWidth * columnBlocks];
  for (int32_t block : columnLists[index]) {
    changeV += roots[counts[block] + sign] - roots[counts[block]];
    counts[block] += sign;
  }
  counts = &rowCounts[slot / columns * rowPanels];
  for (int32_t panel : rowLists[index]) {
    changeU += roots[counts[panel] + sign] - roots[counts[panel]];
    counts[panel] += sign;
  }
  return weightV * changeV + weightU * changeU;
}

void BlockOrder::improve() {
  // For each vector, and in all.
  constexpr int64_t exchangesPerVector = 2000, mostExchanges = 4000000;
  // Of the cost of a block that one vector meets.
  constexpr double firstThreshold = 0.2;
  constexpr int64_t rootScale = 1024;
  auto numSlots = static_cast<int64_t>(slots.size());
  if (numSlots <= columns)
    return;
  auto root = [](double value) { return std::sqrt(value); };
  for (int64_t i = 0; i <= std::max(vWidth, columns); ++i)
    roots.push_back(std::llround(rootScale * root(i)));
  // A block that all vectors meet costs its numbers.
  weightV = std::llround(columns * root(vWidth));
  weightU = std::llround(uWidth * root(columns));
  auto list = [](const ColumnSet &set, int64_t size) {
    std::vector<int32_t> blocks;
    for (int64_t block = 0; block < size; ++block)
      if (set.contains(block))
        blocks.push_back(block);
    return blocks;
  };
  for (const BlockedVector &vector : vectors) {
    columnLists.push_back(list(vector.columns, columnBlocks));
    rowLists.push_back(list(vector.rows, rowPanels));
  }
  columnCounts.assign(numSlots / vWidth * columnBlocks, 0);
  rowCounts.assign(numSlots / columns * rowPanels, 0);
  for (int64_t slot = 0; slot < numSlots; ++slot)
    count(slot, 1);
  // Knuth's generator: the order must be the same wherever it is computed.
  uint64_t state = 1;
  auto random = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>(state >> 33) % numSlots;
  };
  int64_t exchanges = std::min<int64_t>(
      exchangesPerVector * static_cast<int64_t>(vectors.size()), mostExchanges);
  for (int64_t left = exchanges; left > 0; --left) {
    int64_t a = random(), b = random();
    if (a / columns == b / columns || slots[a] == slots[b])
      continue;
    int64_t change = count(a, -1) + count(b, -1);
    std::swap(slots[a], slots[b]);
    change += count(a, 1) + count(b, 1);
    double threshold = firstThreshold * left / exchanges * weightV * rootScale;
    if (static_cast<double>(change) <= threshold)
      continue;
    count(a, -1), count(b, -1);
    std::swap(slots[a], slots[b]);
    count(a, 1), count(b, 1);
  }
}

std::vector<std::optional<RankVector>> BlockOrder::getVectors() const {
  std::vector<std::optional<RankVector>> result(slots.size());
  for (auto [slot, index] : llvm::enumerate(slots))
    if (index >= 0)
      result[slot] = vectors[index].vector;
  return result;
}

/// The blocks of `size` that meet a periodic interval.
static ColumnSet getBlocks(int64_t start, int64_t length, int64_t period,
                           int64_t size) {
  ColumnSet blocks(llvm::divideCeil(period, size));
  for (const IntervalPiece &piece : splitPeriodic(start, length, period)) {
    int64_t first = piece.matrixOffset / size;
    int64_t last = (piece.matrixOffset + piece.size - 1) / size;
    blocks.insert({0, first, last - first + 1});
  }
  return blocks;
}

/// The rank vectors in the order of V's rows, a multiple of `vWidth` of them.
static std::vector<std::optional<RankVector>>
orderByBlocks(const std::vector<Component> &components, GblrLayoutAttr layout,
              int64_t vWidth, int64_t uWidth, int64_t columns) {
  std::vector<BlockedVector> vectors;
  for (const Component &component : components) {
    ColumnSet columnBlocks =
        getBlocks(component.attr.getColStart(), component.attr.getCols(),
                  layout.getInFeatures(), columns);
    ColumnSet rowPanels =
        getBlocks(component.attr.getRowStart(), component.attr.getRows(),
                  layout.getOutFeatures(), uWidth);
    for (int64_t index = 0; index < component.attr.getRank(); ++index)
      vectors.push_back({{&component, index}, columnBlocks, rowPanels});
  }
  BlockOrder order(std::move(vectors), layout, vWidth, uWidth, columns);
  order.fill();
  order.improve();
  return order.getVectors();
}

/// Calls `callback(first, size, offset)` for the parts of an interval that lie
/// in one block of `size`; `offset` is that in the interval.
static void
forEachBlockPart(int64_t start, int64_t length, int64_t period, int64_t size,
                 llvm::function_ref<void(int64_t, int64_t, int64_t)> callback) {
  for (const IntervalPiece &piece : splitPeriodic(start, length, period)) {
    int64_t end = piece.matrixOffset + piece.size;
    for (int64_t first = piece.matrixOffset; first < end;) {
      int64_t next = std::min(end, (first / size + 1) * size);
      callback(first, next - first,
               piece.componentOffset + first - piece.matrixOffset);
      first = next;
    }
  }
}

/// Lists the blocks of each panel, from the set of those that it needs; one at
/// least.
static void listBlocks(PanelPattern &pattern, llvm::ArrayRef<ColumnSet> panels,
                       int64_t blocks) {
  pattern.positions.push_back(0);
  for (const ColumnSet &needed : panels) {
    for (int64_t block = 0; block < blocks; ++block)
      if (needed.contains(block))
        pattern.coordinates.push_back(block);
    if (static_cast<int64_t>(pattern.coordinates.size()) ==
        pattern.positions.back())
      pattern.coordinates.push_back(0);
    pattern.positions.push_back(pattern.coordinates.size());
  }
}

/// The place of `block` of panel `panel` among the blocks.
static int64_t findBlock(const PanelPattern &pattern, int64_t panel,
                         int64_t block) {
  auto begin = pattern.coordinates.begin();
  return std::lower_bound(begin + pattern.positions[panel],
                          begin + pattern.positions[panel + 1], block) -
         begin;
}

static GblrPanels computeBlocked(GblrLayoutAttr layout, int64_t vWidth,
                                 int64_t uWidth, int64_t columns) {
  GblrPanels panels;
  panels.v.width = vWidth;
  panels.u.width = uWidth;
  panels.v.columns = panels.u.columns = columns;
  int64_t in = layout.getInFeatures(), out = layout.getOutFeatures();
  std::vector<Component> components = getComponents(layout);
  std::vector<std::optional<RankVector>> vectors =
      orderByBlocks(components, layout, vWidth, uWidth, columns);

  int64_t chunks = vectors.size() / columns;
  int64_t columnBlocks = llvm::divideCeil(in, columns);
  std::vector<ColumnSet> vBlocks(vectors.size() / vWidth,
                                 ColumnSet(columnBlocks));
  std::vector<ColumnSet> uBlocks(llvm::divideCeil(out, uWidth),
                                 ColumnSet(chunks));
  // Twice the same walk: to find the blocks, then to fill them.
  auto forEachPart = [&](auto inV, auto inU) {
    for (int64_t rank = 0; rank < chunks * columns; ++rank) {
      if (!vectors[rank])
        continue;
      const Component &component = *vectors[rank]->component;
      int64_t index = vectors[rank]->index;
      int64_t cols = component.attr.getCols(), rows = component.attr.getRows();
      forEachBlockPart(component.attr.getColStart(), cols, in, columns,
                       [&](int64_t first, int64_t size, int64_t offset) {
                         inV(rank, first, size,
                             component.vOffset + index * cols + offset);
                       });
      forEachBlockPart(component.attr.getRowStart(), rows, out, uWidth,
                       [&](int64_t first, int64_t size, int64_t offset) {
                         inU(rank, first, size,
                             component.uOffset + index * rows + offset);
                       });
    }
  };
  forEachPart(
      [&](int64_t rank, int64_t first, int64_t, int64_t) {
        vBlocks[rank / vWidth].insert({0, first / columns, 1});
      },
      [&](int64_t rank, int64_t first, int64_t, int64_t) {
        uBlocks[first / uWidth].insert({0, rank / columns, 1});
      });
  listBlocks(panels.v, vBlocks, columnBlocks);
  listBlocks(panels.u, uBlocks, chunks);
  forEachPart(
      [&](int64_t rank, int64_t first, int64_t size, int64_t source) {
        int64_t block = findBlock(panels.v, rank / vWidth, first / columns);
        int64_t row = block * vWidth + rank % vWidth;
        panels.vRuns.push_back(
            {source, row * columns + first % columns, size, 1});
      },
      [&](int64_t rank, int64_t first, int64_t size, int64_t source) {
        int64_t block = findBlock(panels.u, first / uWidth, rank / columns);
        int64_t row = block * uWidth + first % uWidth;
        panels.uRuns.push_back(
            {source, row * columns + rank % columns, size, columns});
      });
  return panels;
}

std::vector<int32_t> PanelPattern::getOrder() const {
  std::vector<int32_t> order(getPanelCount());
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](int32_t a, int32_t b) {
    return positions[a + 1] - positions[a] > positions[b + 1] - positions[b];
  });
  return order;
}

GblrPanels GblrPanels::compute(GblrLayoutAttr layout, int64_t vWidth,
                               int64_t uWidth, int64_t columns) {
  if (columns > 1)
    return computeBlocked(layout, vWidth, uWidth, columns);
  GblrPanels panels;
  panels.v.width = vWidth;
  panels.u.width = uWidth;
  std::vector<Component> components = getComponents(layout);
  std::vector<std::optional<RankVector>> vectors =
      computeV(panels, components, layout.getInFeatures());
  computeU(panels, vectors, layout.getOutFeatures());
  return panels;
}
