// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Dialect/Structured/IR/Utils.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <algorithm>
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
  int64_t firstNumber;      ///< of its rank vectors, among all
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
  int64_t uOffset = 0, vOffset = 0, number = 0;
  for (GblrComponentAttr attr : layout.getComponents()) {
    if (attr.getRank() > 0 && attr.getRows() > 0 && attr.getCols() > 0) {
      ColumnSet columns(layout.getInFeatures());
      for (const IntervalPiece &piece : splitPeriodic(
               attr.getColStart(), attr.getCols(), layout.getInFeatures()))
        columns.insert(piece);
      components.push_back(
          {attr, uOffset, vOffset, number, std::move(columns)});
    }
    uOffset += attr.getRank() * attr.getRows();
    vOffset += attr.getRank() * attr.getCols();
    number += attr.getRank();
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
/// The blocks that a rank vector meets: `size` of them from `first`,
/// periodically.
struct BlockArc {
  int32_t first = 0, size = 0;
};

/// How many rank vectors meet each block of a factor, for panels of V or, of U,
/// for chunks, the `width` rank vectors that a block has. What a block costs is
/// the square root of them: what is nearly empty is to be emptied, which takes
/// many exchanges of which but the last lowers the number of blocks.
class BlockCounts {
public:
  /// `cost` is that of a block which all rank vectors meet.
  BlockCounts(int64_t panels, int64_t width, int64_t blocks, int64_t cost);

  void add(int64_t panel, BlockArc arc, int32_t sign);
  /// To be called after `add`.
  void update(int64_t panel);
  /// The change of the cost if panel p has y instead of x, and q, another one,
  /// x instead of y.
  int32_t getChange(int64_t p, int64_t q, BlockArc x, BlockArc y) const;

  int32_t getCost(int64_t vectors) const { return costs[vectors]; }
  int64_t countBlocks(int64_t panel) const;

private:
  int64_t blocks;
  std::vector<int32_t> costs, counts;
  // For each panel, and two periods of blocks, the sums of what one rank vector
  // more, or less, costs in all blocks before.
  std::vector<int32_t> more, fewer;
};

/// Distributes rank vectors to slots, the rows of V's panels, so that few
/// blocks are needed: of V, by the columns of all vectors of a panel, and of U,
/// by the rows of each `columns` successive vectors, a chunk.
class BlockOrder {
public:
  BlockOrder(const std::vector<Component> &components, GblrLayoutAttr layout,
             int64_t vWidth, int64_t uWidth, int64_t columns);

  /// Exchanges vectors at random, by simulated annealing.
  void improve();
  /// Puts V's panels in the order in which they are likely to be made, as the
  /// tiles of U's panels go through them in this order: those of the most
  /// blocks are started first, but the one with most of all may be the last to
  /// end.
  void sortPanels();

  /// The vectors by slot, a multiple of `vWidth`; some may be empty.
  std::vector<std::optional<RankVector>> getVectors() const;

private:
  void exchange(int64_t a, int64_t b);

  std::vector<RankVector> vectors;
  std::vector<BlockArc> columnArcs, rowArcs; ///< of each vector; of none last
  int64_t vWidth, columns;
  std::vector<int64_t> slots; ///< a vector each, or their number
  BlockCounts v, u;
};
} // namespace

BlockCounts::BlockCounts(int64_t panels, int64_t width, int64_t blocks,
                         int64_t cost)
    : blocks(blocks), counts(panels * blocks), more(panels * (2 * blocks + 1)),
      fewer(more.size()) {
  for (int64_t vectors = 0; vectors <= width; ++vectors)
    costs.push_back(
        std::lround(cost * std::sqrt(static_cast<double>(vectors) / width)));
  costs.push_back(costs.back());
  for (int64_t panel = 0; panel < panels; ++panel)
    update(panel);
}

void BlockCounts::add(int64_t panel, BlockArc arc, int32_t sign) {
  int32_t *count = &counts[panel * blocks];
  for (int64_t i = 0; i < arc.size; ++i)
    count[(arc.first + i) % blocks] += sign;
}

void BlockCounts::update(int64_t panel) {
  const int32_t *count = &counts[panel * blocks];
  int32_t *moreSum = &more[panel * (2 * blocks + 1)];
  int32_t *fewerSum = &fewer[panel * (2 * blocks + 1)];
  for (int64_t i = 0; i < 2 * blocks; ++i) {
    int32_t vectors = count[i < blocks ? i : i - blocks];
    int32_t cost = costs[vectors];
    moreSum[i + 1] = moreSum[i] + costs[vectors + 1] - cost;
    fewerSum[i + 1] = fewerSum[i] + (vectors ? costs[vectors - 1] - cost : 0);
  }
}

int32_t BlockCounts::getChange(int64_t p, int64_t q, BlockArc x,
                               BlockArc y) const {
  auto period = static_cast<int32_t>(blocks);
  int64_t ofP = p * (2 * blocks + 1), ofQ = q * (2 * blocks + 1);
  auto sum = [](const int32_t *sums, int32_t first, int32_t size) {
    return sums[first + size] - sums[first];
  };
  auto leave = [&](BlockArc arc) {
    return sum(&fewer[ofP], arc.first, arc.size) +
           sum(&more[ofQ], arc.first, arc.size);
  };
  auto come = [&](BlockArc arc) {
    return sum(&more[ofP], arc.first, arc.size) +
           sum(&fewer[ofQ], arc.first, arc.size);
  };
  int32_t change = leave(x) + come(y);
  // What they have in common does not change: what y begins with, and what it
  // ends with, after a period.
  int32_t distance = y.first - x.first;
  if (distance < 0)
    distance += period;
  BlockArc begin{x.first + distance, std::min(x.size - distance, y.size)};
  BlockArc end{x.first, std::min(x.size, distance + y.size - period)};
  for (BlockArc common : {begin, end})
    if (common.size > 0)
      change -= leave(common) + come(common);
  return change;
}

int64_t BlockCounts::countBlocks(int64_t panel) const {
  auto begin = counts.begin() + panel * blocks;
  return blocks - std::count(begin, begin + blocks, 0);
}

/// The blocks of `size` that meet a periodic interval.
static BlockArc getArc(int64_t start, int64_t length, int64_t period,
                       int64_t size) {
  auto pieces = splitPeriodic(start, length, period);
  auto getLast = [&](const IntervalPiece &piece) {
    return (piece.matrixOffset + piece.size - 1) / size;
  };
  int64_t blocks = llvm::divideCeil(period, size), first = start / size;
  int64_t last = getLast(pieces.front());
  if (pieces.size() > 1)
    last = std::min(getLast(pieces.back()) + blocks, first + blocks - 1);
  return {static_cast<int32_t>(first), static_cast<int32_t>(last - first + 1)};
}

static int64_t countVectors(const std::vector<Component> &components) {
  int64_t count = 0;
  for (const Component &component : components)
    count += component.attr.getRank();
  return count;
}

/// Costs are integers: the larger factor's are in these units.
static int64_t scaleCost(int64_t width, int64_t otherWidth) {
  constexpr int64_t unit = 1 << 14;
  return std::max<int64_t>(1, unit * width / std::max(width, otherWidth));
}

BlockOrder::BlockOrder(const std::vector<Component> &components,
                       GblrLayoutAttr layout, int64_t vWidth, int64_t uWidth,
                       int64_t columns)
    : vWidth(vWidth), columns(columns),
      slots(llvm::alignTo(countVectors(components), vWidth)),
      v(slots.size() / vWidth, vWidth,
        llvm::divideCeil(layout.getInFeatures(), columns),
        scaleCost(vWidth, uWidth)),
      u(slots.size() / columns, columns,
        llvm::divideCeil(layout.getOutFeatures(), uWidth),
        scaleCost(uWidth, vWidth)) {
  for (const Component &component : components) {
    GblrComponentAttr attr = component.attr;
    for (int64_t index = 0; index < attr.getRank(); ++index) {
      vectors.push_back({&component, index});
      columnArcs.push_back(getArc(attr.getColStart(), attr.getCols(),
                                  layout.getInFeatures(), columns));
      rowArcs.push_back(getArc(attr.getRowStart(), attr.getRows(),
                               layout.getOutFeatures(), uWidth));
    }
  }
  columnArcs.emplace_back();
  rowArcs.emplace_back();
  for (auto [slot, index] : llvm::enumerate(slots)) {
    index = std::min(slot, vectors.size());
    v.add(slot / vWidth, columnArcs[index], 1);
    u.add(slot / columns, rowArcs[index], 1);
  }
  for (size_t panel = 0; panel < slots.size() / vWidth; ++panel)
    v.update(panel);
  for (size_t chunk = 0; chunk < slots.size() / columns; ++chunk)
    u.update(chunk);
}

void BlockOrder::exchange(int64_t a, int64_t b) {
  auto move = [&](BlockCounts &counts, const std::vector<BlockArc> &arcs,
                  int64_t width) {
    int64_t p = a / width, q = b / width;
    if (p == q)
      return;
    counts.add(p, arcs[slots[a]], -1);
    counts.add(q, arcs[slots[a]], 1);
    counts.add(q, arcs[slots[b]], -1);
    counts.add(p, arcs[slots[b]], 1);
    counts.update(p);
    counts.update(q);
  };
  move(v, columnArcs, vWidth);
  move(u, rowArcs, columns);
  std::swap(slots[a], slots[b]);
}

void BlockOrder::improve() {
  // For each vector, and in all.
  constexpr int64_t exchangesPerVector = 20000, mostExchanges = 40000000;
  // Of the cost of a block that one vector meets.
  constexpr double firstTemperature = 0.8, lastTemperature = 0.04;
  constexpr int64_t steps = 1000;
  if (static_cast<int64_t>(slots.size()) <= columns)
    return;
  // Knuth's generator: the order is the same each time.
  uint64_t state = 1;
  auto random = [&](uint64_t end) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>((state >> 32) * end >> 32);
  };
  // An exchange that costs c is made with the probability exp(-c /
  // temperature).
  std::vector<float> logarithms(4096);
  for (auto [i, logarithm] : llvm::enumerate(logarithms))
    logarithm = -std::log((i + 0.5) / logarithms.size());
  int64_t exchanges =
      std::min<int64_t>(exchangesPerVector * vectors.size(), mostExchanges);
  for (int64_t step = 0; step < steps; ++step) {
    float temperature =
        v.getCost(1) * firstTemperature *
        std::pow(lastTemperature / firstTemperature, step / (steps - 1.));
    for (int64_t i = 0; i < exchanges / steps; ++i) {
      int64_t a = random(slots.size()), b = random(slots.size());
      if (a / columns == b / columns)
        continue;
      int64_t x = slots[a], y = slots[b];
      int32_t change =
          u.getChange(a / columns, b / columns, rowArcs[x], rowArcs[y]);
      if (a / vWidth != b / vWidth)
        change +=
            v.getChange(a / vWidth, b / vWidth, columnArcs[x], columnArcs[y]);
      if (change <= temperature * logarithms[random(logarithms.size())])
        exchange(a, b);
    }
  }
}

void BlockOrder::sortPanels() {
  std::vector<int64_t> panels(slots.size() / vWidth);
  std::iota(panels.begin(), panels.end(), 0);
  llvm::stable_sort(panels, [&](int64_t a, int64_t b) {
    return v.countBlocks(a) > v.countBlocks(b);
  });
  if (!panels.empty())
    std::rotate(panels.begin(), panels.begin() + 1, panels.end());
  std::vector<int64_t> sorted;
  for (int64_t panel : panels)
    sorted.insert(sorted.end(), slots.begin() + panel * vWidth,
                  slots.begin() + (panel + 1) * vWidth);
  slots = std::move(sorted);
}

std::vector<std::optional<RankVector>> BlockOrder::getVectors() const {
  std::vector<std::optional<RankVector>> result(slots.size());
  for (auto [slot, index] : llvm::enumerate(slots))
    if (index < static_cast<int64_t>(vectors.size()))
      result[slot] = vectors[index];
  return result;
}

/// The rank vectors in the order of V's rows, a multiple of `vWidth` of them.
static std::vector<std::optional<RankVector>>
orderByBlocks(const std::vector<Component> &components, GblrLayoutAttr layout,
              int64_t vWidth, int64_t uWidth, int64_t columns) {
  BlockOrder order(components, layout, vWidth, uWidth, columns);
  order.improve();
  order.sortPanels();
  return order.getVectors();
}

/// The rank vectors of such numbers.
static std::vector<std::optional<RankVector>>
findVectors(const std::vector<Component> &components, GblrLayoutAttr layout,
            llvm::ArrayRef<int32_t> order) {
  std::vector<std::optional<RankVector>> byNumber(layout.getRankSum());
  for (const Component &component : components)
    for (int64_t index = 0; index < component.attr.getRank(); ++index)
      byNumber[component.firstNumber + index] = {&component, index};
  std::vector<std::optional<RankVector>> vectors;
  for (int32_t number : order)
    vectors.push_back(number < 0 ? std::nullopt : byNumber[number]);
  return vectors;
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
                                 int64_t uWidth, int64_t columns,
                                 llvm::ArrayRef<int32_t> order) {
  GblrPanels panels;
  panels.v.width = vWidth;
  panels.u.width = uWidth;
  panels.v.columns = panels.u.columns = columns;
  int64_t in = layout.getInFeatures(), out = layout.getOutFeatures();
  std::vector<Component> components = getComponents(layout);
  std::vector<std::optional<RankVector>> vectors =
      order.empty() ? orderByBlocks(components, layout, vWidth, uWidth, columns)
                    : findVectors(components, layout, order);
  for (const std::optional<RankVector> &vector : vectors)
    panels.order.push_back(
        vector ? vector->component->firstNumber + vector->index : -1);

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
                               int64_t uWidth, int64_t columns,
                               llvm::ArrayRef<int32_t> order) {
  if (columns > 1)
    return computeBlocked(layout, vWidth, uWidth, columns, order);
  GblrPanels panels;
  panels.v.width = vWidth;
  panels.u.width = uWidth;
  std::vector<Component> components = getComponents(layout);
  std::vector<std::optional<RankVector>> vectors =
      computeV(panels, components, layout.getInFeatures());
  computeU(panels, vectors, layout.getOutFeatures());
  return panels;
}
