// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

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

GblrPanels GblrPanels::compute(GblrLayoutAttr layout, int64_t vWidth,
                               int64_t uWidth) {
  GblrPanels panels;
  panels.v.width = vWidth;
  panels.u.width = uWidth;
  std::vector<Component> components = getComponents(layout);
  std::vector<std::optional<RankVector>> vectors =
      computeV(panels, components, layout.getInFeatures());
  computeU(panels, vectors, layout.getOutFeatures());
  return panels;
}
