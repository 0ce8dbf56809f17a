// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Analysis/LayerCost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

#include <array>
#include <cmath>

using namespace structured;

/// Generated from the files in lib/Analysis/costs: a name and a JSON text each.
static const std::pair<llvm::StringRef, llvm::StringRef> kBuiltinTables[] = {
#include "LayerCostTables.inc"
};

static constexpr int64_t kVersion = 1;

double LayerSizes::getParameters() const {
  double rows = m, columns = n;
  return bOut == 0 ? rows * columns : rank * (rows + columns + bOut * bIn);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static llvm::Error fail(const llvm::Twine &reason) {
  return llvm::createStringError("cost table: " + reason);
}

/// The object's member `key`, a finite number that is not negative.
static llvm::Expected<double> getNumber(const llvm::json::Object &object,
                                        llvm::StringRef key) {
  std::optional<double> value = object.getNumber(key);
  if (!value || !(*value >= 0) || std::isinf(*value))
    return fail("'" + key + "' is not a number of at least 0");
  return *value;
}

static llvm::Expected<int64_t> getInteger(const llvm::json::Object &object,
                                          llvm::StringRef key,
                                          int64_t minimum) {
  std::optional<int64_t> value = object.getInteger(key);
  if (!value || *value < minimum)
    return fail("'" + key + "' is not an integer of at least " +
                llvm::Twine(minimum));
  return *value;
}

llvm::Expected<LayerCosts> LayerCosts::parse(llvm::StringRef text) {
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (!value)
    return fail(llvm::toString(value.takeError()));
  const llvm::json::Object *root = value->getAsObject();
  if (!root)
    return fail("not a JSON object");
  if (root->getInteger("version") != kVersion)
    return fail("'version' is not " + llvm::Twine(kVersion));

  LayerCosts costs;
  std::optional<llvm::StringRef> device = root->getString("device");
  if (!device)
    return fail("'device' is not a string");
  costs.device = device->str();
  llvm::Expected<int64_t> width = getInteger(*root, "element_bytes", 1);
  if (!width)
    return width.takeError();
  costs.elementBytes = *width;

  const llvm::json::Array *tokens = root->getArray("tokens");
  if (!tokens || tokens->empty())
    return fail("'tokens' is not an array of numbers");
  for (const llvm::json::Value &count : *tokens) {
    std::optional<int64_t> number = count.getAsInteger();
    if (!number || *number < 1 ||
        (!costs.tokens.empty() && *number <= costs.tokens.back()))
      return fail("'tokens' does not ascend from at least 1");
    costs.tokens.push_back(*number);
  }

  const llvm::json::Object *all = root->getObject("implementations");
  if (!all)
    return fail("'implementations' is not an object");
  for (const auto &[name, content] : *all) {
    std::string what = "implementation '" + name.str() + "': ";
    const llvm::json::Object *object = content.getAsObject();
    const llvm::json::Array *layers =
        object ? object->getArray("layers") : nullptr;
    if (!layers || layers->empty())
      return fail(what + "'layers' is not an array of layers");
    Implementation implementation;
    const std::pair<llvm::StringRef, double *> coefficients[] = {
        {"overhead", &implementation.overhead},
        {"seconds_per_operation", &implementation.perOperation},
        {"seconds_per_byte", &implementation.perByte}};
    for (auto [key, member] : coefficients) {
      llvm::Expected<double> number = getNumber(*object, key);
      if (!number)
        return fail(what + llvm::toString(number.takeError()));
      *member = *number;
    }
    if (object->get("multiple")) {
      llvm::Expected<int64_t> multiple = getInteger(*object, "multiple", 1);
      if (!multiple)
        return fail(what + llvm::toString(multiple.takeError()));
      implementation.multiple = *multiple;
    }
    if (implementation.overhead + implementation.perOperation +
            implementation.perByte <=
        0)
      return fail(what + "its roofline is zero");
    for (const llvm::json::Value &entry : *layers) {
      const llvm::json::Object *fields = entry.getAsObject();
      if (!fields)
        return fail(what + "a layer is not an object");
      MeasuredLayer layer;
      const std::pair<llvm::StringRef, int64_t *> sizes[] = {
          {"m", &layer.sizes.m},
          {"n", &layer.sizes.n},
          {"b", &layer.sizes.bOut},
          {"r", &layer.sizes.rank}};
      for (auto [key, member] : sizes) {
        bool mayBeZero = key == "b" || (key == "r" && layer.sizes.bOut == 0);
        llvm::Expected<int64_t> number =
            getInteger(*fields, key, mayBeZero ? 0 : 1);
        if (!number)
          return fail(what + llvm::toString(number.takeError()));
        *member = *number;
      }
      layer.sizes.bIn = layer.sizes.bOut;
      implementation.isDense = layer.sizes.bOut == 0;
      const llvm::json::Array *times = fields->getArray("seconds");
      if (!times || times->size() != costs.tokens.size())
        return fail(what + "'seconds' is not an array of a time for each of "
                           "'tokens'");
      for (const llvm::json::Value &time : *times) {
        std::optional<double> seconds = time.getAsNumber();
        if (!seconds && !time.getAsNull())
          return fail(what + "a time is neither a number nor null");
        if (seconds && (!(*seconds > 0) || std::isinf(*seconds)))
          return fail(what + "a time is not positive");
        layer.seconds.push_back(seconds.value_or(-1));
      }
      implementation.layers.push_back(std::move(layer));
    }
    if (llvm::any_of(implementation.layers, [&](const MeasuredLayer &layer) {
          return (layer.sizes.bOut == 0) != implementation.isDense;
        }))
      return fail(what + "it has both dense layers and others");
    implementation.largest.resize(costs.tokens.size());
    costs.largest.resize(costs.tokens.size());
    for (const MeasuredLayer &layer : implementation.layers)
      for (auto [seconds, own, ofAll] : llvm::zip_equal(
               layer.seconds, implementation.largest, costs.largest)) {
        if (seconds < 0)
          continue;
        own = {std::max(own.first, layer.sizes.m),
               std::max(own.second, layer.sizes.n)};
        if (!implementation.isDense)
          ofAll = {std::max(own.first, ofAll.first),
                   std::max(own.second, ofAll.second)};
      }
    costs.implementations.emplace(name.str(), std::move(implementation));
  }
  auto dense = costs.implementations.find(kDenseImplementation.str());
  if (dense == costs.implementations.end() || !dense->second.isDense)
    return fail("no implementation '" + kDenseImplementation +
                "' of such layers");
  if (llvm::all_of(costs.implementations,
                   [](const auto &entry) { return entry.second.isDense; }))
    return fail("no implementation of BLAST layers");
  return costs;
}

llvm::Expected<LayerCosts> LayerCosts::load(llvm::StringRef nameOrPath) {
  for (auto [name, text] : kBuiltinTables)
    if (name == nameOrPath)
      return parse(text);
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      llvm::MemoryBuffer::getFile(nameOrPath, /*IsText=*/true);
  if (!buffer) {
    std::string names;
    for (llvm::StringRef name : getBuiltinNames())
      names += (names.empty() ? "" : ", ") + name.str();
    return fail("'" + nameOrPath + "' is neither one of " + names +
                " nor a file: " + buffer.getError().message());
  }
  llvm::Expected<LayerCosts> costs = parse((*buffer)->getBuffer());
  if (!costs)
    return llvm::createStringError("'" + nameOrPath +
                                   "': " + llvm::toString(costs.takeError()));
  return costs;
}

llvm::ArrayRef<llvm::StringRef> LayerCosts::getBuiltinNames() {
  static const std::vector<llvm::StringRef> names = [] {
    std::vector<llvm::StringRef> result;
    for (const auto &table : kBuiltinTables)
      result.push_back(table.first);
    return result;
  }();
  return names;
}

//===----------------------------------------------------------------------===//
// Estimates
//===----------------------------------------------------------------------===//

std::vector<llvm::StringRef> LayerCosts::getImplementations() const {
  std::vector<llvm::StringRef> names;
  for (const auto &[name, implementation] : implementations)
    names.push_back(name);
  return names;
}

double LayerCosts::getRoofline(const Implementation &implementation,
                               const LayerSizes &layer, double count) const {
  double parameters = layer.getParameters();
  double numbers = parameters + count * (layer.m + layer.n) +
                   2 * count * layer.rank * (layer.bOut + layer.bIn);
  return implementation.overhead +
         implementation.perOperation * 2 * count * parameters +
         implementation.perByte * elementBytes * numbers;
}

namespace {
/// A value at a coordinate.
struct Sample {
  double at, value;
};
} // namespace

/// Linear between the samples, constant beyond them; samples at one place count
/// alike.
static double interpolate(llvm::SmallVectorImpl<Sample> &samples, double at) {
  llvm::sort(samples,
             [](const Sample &a, const Sample &b) { return a.at < b.at; });
  llvm::SmallVector<Sample> points;
  for (size_t i = 0, end; i < samples.size(); i = end) {
    double sum = 0;
    for (end = i; end < samples.size() && samples[end].at == samples[i].at;)
      sum += samples[end++].value;
    points.push_back({samples[i].at, sum / (end - i)});
  }
  const Sample *above = llvm::find_if(
      points, [&](const Sample &sample) { return sample.at >= at; });
  if (above == points.end())
    return points.back().value;
  if (above == points.begin() || above->at == at)
    return above->value;
  const Sample &below = *std::prev(above);
  double weight = (at - below.at) / (above->at - below.at);
  return below.value + weight * (above->value - below.value);
}

/// The logarithm of how much longer than the roofline the layer takes at one of
/// the measured numbers of tokens.
std::optional<double>
LayerCosts::interpolateRatio(const Implementation &implementation,
                             const LayerSizes &layer,
                             size_t tokensIndex) const {
  // Others were measured with larger layers, which this one may not be for.
  if (!implementation.isDense) {
    auto [m, n] = implementation.largest[tokensIndex];
    auto [mostM, mostN] = largest[tokensIndex];
    if ((layer.m > m && mostM > m) || (layer.n > n && mostN > n))
      return std::nullopt;
  }
  auto getArea = [](const LayerSizes &sizes) {
    return std::log2(double(sizes.m)) + std::log2(double(sizes.n));
  };
  auto getBlocks = [](const LayerSizes &sizes) {
    return sizes.bOut == 0
               ? 0.0
               : (std::log2(double(sizes.bOut)) + std::log2(double(sizes.bIn)));
  };
  auto getFraction = [](const LayerSizes &sizes) {
    return sizes.getParameters() / (double(sizes.m) * sizes.n);
  };
  // By area, then by blocks: samples over the fraction of parameters. Sizes
  // count as one area only if m and n are the same; so they do not mix.
  std::map<std::array<double, 2>, std::map<double, llvm::SmallVector<Sample>>>
      byArea;
  for (const MeasuredLayer &measured : implementation.layers) {
    double seconds = measured.seconds[tokensIndex];
    if (seconds < 0)
      continue;
    double ratio =
        std::log(seconds / getRoofline(implementation, measured.sizes,
                                       double(tokens[tokensIndex])));
    byArea[{getArea(measured.sizes), double(measured.sizes.m)}]
          [getBlocks(measured.sizes)]
              .push_back({getFraction(measured.sizes), ratio});
  }
  if (byArea.empty())
    return std::nullopt;
  // The layer's own sizes, if measured, before others of the same area.
  std::array<double, 2> own = {getArea(layer), double(layer.m)};
  bool isMeasured = byArea.count(own);
  llvm::SmallVector<Sample> overArea;
  for (auto &[area, byBlocks] : byArea) {
    if (isMeasured && area != own)
      continue;
    llvm::SmallVector<Sample> overBlocks;
    for (auto &[blocks, overFraction] : byBlocks)
      overBlocks.push_back(
          {blocks, interpolate(overFraction, getFraction(layer))});
    overArea.push_back({area[0], interpolate(overBlocks, getBlocks(layer))});
  }
  return interpolate(overArea, own[0]);
}

bool LayerCosts::Implementation::hasBlocksAround(
    const LayerSizes &layer) const {
  auto getBlocks = [](const LayerSizes &sizes) {
    return sizes.bOut * sizes.bIn;
  };
  int64_t blocks = getBlocks(layer);
  bool fewer = false, more = false;
  for (const MeasuredLayer &measured : layers) {
    fewer |= getBlocks(measured.sizes) <= blocks;
    more |= getBlocks(measured.sizes) >= blocks;
  }
  return fewer && more;
}

bool LayerCosts::Implementation::wasMeasured(const LayerSizes &layer,
                                             size_t tokensIndex) const {
  return llvm::any_of(layers, [&](const MeasuredLayer &measured) {
    const LayerSizes &sizes = measured.sizes;
    return measured.seconds[tokensIndex] >= 0 && sizes.m == layer.m &&
           sizes.n == layer.n && sizes.bOut == layer.bOut &&
           sizes.bIn == layer.bIn && sizes.rank == layer.rank;
  });
}

std::optional<double> LayerCosts::estimate(llvm::StringRef name,
                                           const LayerSizes &layer,
                                           int64_t count) const {
  auto found = implementations.find(name.str());
  if (found != implementations.end())
    if (std::optional<double> seconds = estimate(found->second, layer, count))
      return seconds;
  if (name != kBlastImplementation || layer.bOut == 0)
    return std::nullopt;
  size_t index = llvm::find(tokens, count) - tokens.begin();
  // From what says most of the layer: its own times, those of about as many
  // blocks, others.
  std::optional<double> own, around, any;
  for (const auto &[unused, implementation] : implementations)
    if (std::optional<double> seconds =
            estimate(implementation, layer, count)) {
      auto improve = [&](std::optional<double> &least) {
        least = least ? std::min(*least, *seconds) : *seconds;
      };
      improve(any);
      if (implementation.hasBlocksAround(layer))
        improve(around);
      if (index < tokens.size() && implementation.wasMeasured(layer, index))
        improve(own);
    }
  return own ? own : around ? around : any;
}

std::optional<double> LayerCosts::estimate(const Implementation &implementation,
                                           const LayerSizes &layer,
                                           int64_t count) const {
  if (implementation.isDense != (layer.bOut == 0))
    return std::nullopt;
  if (!implementation.isDense &&
      (layer.m / layer.bOut % implementation.multiple ||
       layer.n / layer.bIn % implementation.multiple ||
       layer.rank % implementation.multiple))
    return std::nullopt;
  // Times at the measured numbers of tokens, from the first one to the last.
  llvm::SmallVector<std::pair<double, double>> points;
  size_t last = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::optional<double> ratio = interpolateRatio(implementation, layer, i);
    if (!ratio)
      continue;
    double seconds = std::exp(*ratio) *
                     getRoofline(implementation, layer, double(tokens[i]));
    points.push_back({double(tokens[i]), seconds});
    last = i;
  }
  if (points.empty() || count < points.front().first)
    return std::nullopt;
  auto [lastCount, lastSeconds] = points.back();
  // The others were measured with more tokens, which this one may not be for.
  if (count > lastCount && last + 1 < tokens.size())
    return std::nullopt;
  if (count >= lastCount)
    // As much longer as the roofline is.
    return lastSeconds * getRoofline(implementation, layer, double(count)) /
           getRoofline(implementation, layer, lastCount);
  const auto *above = llvm::find_if(
      points, [&](const auto &point) { return point.first >= count; });
  if (above->first == count)
    return above->second;
  const auto &below = *std::prev(above);
  double weight = (count - below.first) / (above->first - below.first);
  return below.second + weight * (above->second - below.second);
}

bool LayerCosts::isMeasured(llvm::StringRef name, const LayerSizes &layer,
                            int64_t count) const {
  auto found = implementations.find(name.str());
  return found != implementations.end() &&
         found->second.hasBlocksAround(layer) &&
         estimate(found->second, layer, count);
}

std::optional<LayerEstimate>
LayerCosts::getFastest(llvm::ArrayRef<llvm::StringRef> names,
                       const LayerSizes &layer, int64_t count) const {
  std::optional<LayerEstimate> best;
  for (llvm::StringRef name : names)
    if (std::optional<double> seconds = estimate(name, layer, count))
      if (!best || *seconds < best->seconds)
        best = {name, *seconds};
  return best;
}

std::optional<LayerComparison>
LayerCosts::compareWithDense(const LayerSizes &layer, int64_t count) const {
  std::optional<double> structured =
      estimate(kBlastImplementation, layer, count);
  std::optional<double> dense =
      estimate(kDenseImplementation, {layer.m, layer.n}, count);
  if (!structured || !dense)
    return std::nullopt;
  return LayerComparison{
      *structured, *dense,
      llvm::formatv("estimated {0:F1} us against {1:F1} us dense, for {2} "
                    "tokens on {3}",
                    *structured * 1e6, *dense * 1e6, count, device)};
}
