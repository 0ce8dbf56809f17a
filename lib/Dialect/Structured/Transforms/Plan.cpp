// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "DenseWeight.h"
#include "JsonFile.h"
#include "LayerFilter.h"
#include "MomentsFile.h"
#include "PlanFile.h"

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"
#include "Structured/Factorization/Allocation.h"
#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/Gblr.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"

namespace structured {
#define GEN_PASS_DEF_PLAN
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Ranks under `max-error` are multiples of this.
static constexpr int64_t kRankStep = 16;

/// Under `allocate=global`: the kept fractions of a layer at which errors are
/// measured, and the step of the ranks to choose from.
static constexpr double kMeasuredFractions[] = {0.08, 0.2, 0.4, 0.65, 0.95};
static constexpr int64_t kAllocatedRankStep = 8;

static std::string toText(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

namespace {
struct Plan : structured::impl::PlanBase<Plan> {
  using PlanBase::PlanBase;
  /// Passes are cloned by their options; the filters follow from these.
  Plan(const Plan &other) : PlanBase(other) {}

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  InFlightDiagnostic emitOptionError() {
    return getOperation().emitError() << "structured-plan: ";
  }

  LogicalResult checkOptions() {
    if (structure != "blast" && structure != "gblr" && structure != "dense")
      return emitOptionError() << "unknown structure '" << structure
                               << "'; expected blast, gblr or dense";
    if (structure == "gblr" && maxError != 0.0)
      return emitOptionError() << "max-error plans BLAST only; GBLR takes keep";
    if (!(keep > 0.0 && keep < 1.0))
      return emitOptionError() << "keep must lie between 0 and 1, got " << keep;
    if (!(maxError >= 0.0 && maxError < 1.0))
      return emitOptionError()
             << "max-error must lie between 0 and 1, got " << maxError;
    if (allocate != "uniform" && allocate != "global")
      return emitOptionError() << "unknown allocation '" << allocate
                               << "'; expected uniform or global";
    if (allocate == "global" && structure == "gblr")
      return emitOptionError()
             << "allocate=global chooses among BLAST and dense, "
                "not GBLR";
    if (allocate == "global" && maxError > 0.0)
      return emitOptionError()
             << "allocate=global shares the budget 'keep' and cannot be "
                "combined with max-error";
    if (allocate != "global" && (!moments.empty() || !importance.empty()))
      return emitOptionError()
             << "moments and importance are for allocate=global";
    if (blocks < 1 || blocksOut < 0 || blocksIn < 0 ||
        llvm::any_of(candidateBlocks, [](int64_t count) { return count < 1; }))
      return emitOptionError() << "there must be at least 1 block";
    if (rankMultiple < 0)
      return emitOptionError() << "rank-multiple must not be negative";
    if (iterations < 1)
      return emitOptionError() << "iterations must be at least 1";
    Result<LayerFilter> layersFilter = LayerFilter::create("layers", layers);
    if (!layersFilter)
      return emitOptionError() << layersFilter.error();
    Result<LayerFilter> excludeFilter = LayerFilter::create("exclude", exclude);
    if (!excludeFilter)
      return emitOptionError() << excludeFilter.error();
    included = std::move(*layersFilter);
    excluded = std::move(*excludeFilter);
    return success();
  }

  LogicalResult run() {
    if (failed(checkOptions()))
      return failure();
    SmallVector<LinearOp> linears;
    llvm::StringSet<> names;
    WalkResult walk = getOperation().walk([&](LinearOp linear) {
      if (!linear.getLayer()) {
        linear.emitRemark("not planned: the layer has no name");
        return WalkResult::advance();
      }
      if (!names.insert(*linear.getLayer()).second) {
        linear.emitError() << "two layers are named '" << *linear.getLayer()
                           << "'";
        return WalkResult::interrupt();
      }
      linears.push_back(linear);
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return failure();

    FailureOr<std::vector<LayerPlan>> plan =
        readPath.empty() ? decide(linears) : readDecisions(linears);
    if (failed(plan))
      return failure();
    for (auto [linear, layer] : llvm::zip_equal(linears, *plan))
      apply(linear, layer);
    if (!writePath.empty())
      if (Result<void> written = writePlanFile(writePath, *plan); !written)
        return emitOptionError() << written.error();
    return success();
  }

  void apply(LinearOp linear, const LayerPlan &plan) {
    if (plan.structure == "gblr") {
      linear.setPlanAttr(PlanAttr::get(&getContext(), StructureKind::Gblr, 0, 0,
                                       0, plan.budget));
      ++numPlanned;
      return;
    }
    if (plan.structure == "dense") {
      if (!plan.reason.empty())
        linear.emitRemark()
            << "layer '" << plan.layer << "' stays dense: " << plan.reason;
      linear.setPlanAttr(
          PlanAttr::get(&getContext(), StructureKind::Dense, 0, 0, 0, 0));
      ++numDense;
      return;
    }
    linear.setPlanAttr(PlanAttr::get(&getContext(), StructureKind::Blast,
                                     plan.bOut, plan.bIn, plan.rank, 0));
    ++numPlanned;
  }

  //===--------------------------------------------------------------------===//
  // Decisions from a file
  //===--------------------------------------------------------------------===//

  FailureOr<std::vector<LayerPlan>> readDecisions(ArrayRef<LinearOp> linears) {
    Result<std::vector<LayerPlan>> file = readPlanFile(readPath);
    if (!file)
      return emitOptionError() << file.error();
    llvm::StringMap<LayerPlan> byName;
    for (const LayerPlan &layer : *file)
      byName[layer.layer] = layer;

    std::vector<LayerPlan> plan;
    for (LinearOp linear : linears) {
      auto found = byName.find(*linear.getLayer());
      if (found == byName.end()) {
        plan.push_back(makeDense(linear, "the plan file does not name it"));
        continue;
      }
      LayerPlan layer = found->second;
      byName.erase(found);
      if (layer.m != linear.getOutFeatures() ||
          layer.n != linear.getInFeatures())
        return linear.emitError()
               << "layer '" << layer.layer << "' is " << linear.getOutFeatures()
               << " x " << linear.getInFeatures() << " in the model and "
               << layer.m << " x " << layer.n << " in '" << readPath << "'";
      if (layer.structure == "blast" &&
          (layer.m % layer.bOut || layer.n % layer.bIn))
        return linear.emitError()
               << "layer '" << layer.layer << "': the " << layer.bOut << " : "
               << layer.bIn << " blocks in '" << readPath << "' do not divide "
               << layer.m << " x " << layer.n;
      if (layer.structure == "blast" && layer.rank > std::min(layer.m, layer.n))
        return linear.emitError()
               << "layer '" << layer.layer << "': rank " << layer.rank
               << " in '" << readPath << "' is larger than the smaller side of "
               << layer.m << " x " << layer.n;
      if (layer.structure == "gblr" && layer.budget >= layer.m * layer.n)
        return linear.emitError()
               << "layer '" << layer.layer << "': the budget of "
               << layer.budget << " parameters in '" << readPath
               << "' is not below the " << layer.m * layer.n << " of "
               << layer.m << " x " << layer.n;
      plan.push_back(std::move(layer));
    }
    if (!byName.empty())
      return emitOptionError()
             << "'" << readPath << "' names the layer '"
             << byName.begin()->first() << "', which the model does not have";
    return plan;
  }

  //===--------------------------------------------------------------------===//
  // Decisions by the options
  //===--------------------------------------------------------------------===//

  static LayerPlan makeDense(LinearOp linear, std::string reason) {
    LayerPlan plan;
    plan.layer = linear.getLayer()->str();
    plan.m = linear.getOutFeatures();
    plan.n = linear.getInFeatures();
    plan.reason = std::move(reason);
    return plan;
  }

  FailureOr<std::vector<LayerPlan>> decide(ArrayRef<LinearOp> linears) {
    Result<WeightsSet> weightsSet = WeightsSet::open(
        maxError > 0.0 || allocate == "global"
            ? std::vector<std::string>(weights.begin(), weights.end())
            : std::vector<std::string>());
    if (!weightsSet)
      return emitOptionError() << weightsSet.error();
    std::vector<LayerPlan> plan;
    for (LinearOp linear : linears) {
      FailureOr<LayerPlan> layer = decide(linear, *weightsSet);
      if (failed(layer))
        return failure();
      plan.push_back(std::move(*layer));
    }
    if (allocate == "global" &&
        failed(allocateRanks(linears, plan, *weightsSet)))
      return failure();
    return plan;
  }

  //===--------------------------------------------------------------------===//
  // Ranks under one budget
  //===--------------------------------------------------------------------===//

  /// Chooses among dense and the ranks of each planned layer so that together
  /// they keep `keep` of their parameters.
  LogicalResult allocateRanks(ArrayRef<LinearOp> linears,
                              std::vector<LayerPlan> &plan,
                              const WeightsSet &weightsSet) {
    std::optional<MomentsFile> momentsFile;
    if (!moments.empty()) {
      Result<MomentsFile> opened = MomentsFile::open(moments);
      if (!opened)
        return emitOptionError() << opened.error();
      momentsFile = std::move(*opened);
    }
    FailureOr<llvm::StringMap<double>> weightOfLayer = readImportance();
    if (failed(weightOfLayer))
      return failure();

    SmallVector<size_t> indices;
    std::vector<std::vector<LayerPlan>> candidates;
    std::vector<std::vector<Choice>> choices;
    int64_t total = 0;
    for (auto [index, layer] : llvm::enumerate(plan)) {
      if (layer.structure == "dense")
        continue;
      auto weight = weightOfLayer->find(layer.layer);
      if (!importance.empty() && weight == weightOfLayer->end())
        return emitOptionError()
               << "'" << importance << "' does not name the layer '"
               << layer.layer << "'";
      double scale = importance.empty() ? 1.0 : weight->second;
      FailureOr<std::vector<LayerPlan>> measured =
          measureCandidates(linears[index], layer, weightsSet, momentsFile);
      if (failed(measured))
        return failure();
      indices.push_back(index);
      total += layer.m * layer.n;
      std::vector<Choice> &ofLayer = choices.emplace_back();
      for (const LayerPlan &candidate : *measured)
        ofLayer.push_back(
            {candidate.getParameterCount(),
             scale * candidate.expectedError * candidate.expectedError});
      candidates.push_back(std::move(*measured));
    }
    Result<std::vector<size_t>> chosen =
        allocateBudget(choices, static_cast<int64_t>(keep * total));
    if (!chosen)
      return emitOptionError() << chosen.error();
    for (auto [index, ofLayer, choice] :
         llvm::zip_equal(indices, candidates, *chosen))
      plan[index] = std::move(ofLayer[choice]);
    return success();
  }

  /// The layer's importance by its name, from the file `importance`.
  FailureOr<llvm::StringMap<double>> readImportance() {
    llvm::StringMap<double> weightOfLayer;
    if (importance.empty())
      return weightOfLayer;
    Result<llvm::json::Value> json = readJsonFile(importance);
    if (!json)
      return emitOptionError() << json.error();
    const llvm::json::Object *object = json->getAsObject();
    if (!object)
      return emitOptionError()
             << "'" << importance << "' must be an object of numbers by layer";
    for (const auto &[layer, value] : *object) {
      std::optional<double> number = value.getAsNumber();
      if (!number || !(*number >= 0.0))
        return emitOptionError() << "'" << importance << "': '" << layer.str()
                                 << "' must be a number of at least 0";
      weightOfLayer[layer] = *number;
    }
    return weightOfLayer;
  }

  /// What the layer may become, with the error to expect: dense, or any rank of
  /// an error curve through few trial factorisations.
  FailureOr<std::vector<LayerPlan>>
  measureCandidates(LinearOp linear, const LayerPlan &layer,
                    const WeightsSet &weightsSet,
                    const std::optional<MomentsFile> &momentsFile) {
    auto fail = [&](const std::string &message) {
      return linear.emitError() << "layer '" << layer.layer << "': " << message;
    };
    Result<HostTensor> weight = readWeight(linear.getWeight(), weightsSet);
    if (!weight)
      return fail(weight.error());
    std::vector<float> layerMoments;
    BlastOptions options;
    options.maxIterations = iterations;
    options.damping = damping;
    if (momentsFile) {
      Result<InputMoments> read =
          momentsFile->read(layer.layer, layer.n, layerMoments);
      if (!read)
        return fail(read.error());
      options.inputMoments = *read;
    }

    std::vector<LayerPlan> candidates{
        makeDense(linear, "the allocation says so")};
    for (auto [bOut, bIn] : getBlockCounts(layer)) {
      LayerPlan candidate = layer;
      candidate.bOut = options.bOut = bOut;
      candidate.bIn = options.bIn = bIn;
      ErrorCurve curve;
      for (double fraction : kMeasuredFractions) {
        options.rank = getBlastRank(layer.m, layer.n, bOut, bIn, fraction,
                                    /*multiple=*/1);
        if (options.rank <= curve.getLargestRank())
          continue;
        Result<BlastResult> result =
            factorizeBlast({weight->values.data(), layer.m, layer.n}, options);
        if (!result)
          return fail(result.error());
        curve.add(options.rank,
                  result->outputError.value_or(result->relativeError));
      }
      int64_t step = rankMultiple ? rankMultiple : kAllocatedRankStep;
      for (int64_t rank = step; rank <= curve.getLargestRank(); rank += step) {
        candidate.rank = rank;
        candidate.expectedError = std::sqrt(curve.getSquaredError(rank));
        candidates.push_back(candidate);
      }
    }
    return candidates;
  }

  /// The block counts to choose from that divide the layer's sizes.
  SmallVector<std::pair<int64_t, int64_t>>
  getBlockCounts(const LayerPlan &layer) const {
    SmallVector<std::pair<int64_t, int64_t>> counts;
    for (int64_t count : candidateBlocks)
      counts.push_back({count, count});
    if (counts.empty())
      counts.push_back(
          {blocksOut ? blocksOut : blocks, blocksIn ? blocksIn : blocks});
    llvm::erase_if(counts, [&](std::pair<int64_t, int64_t> count) {
      return layer.m % count.first || layer.n % count.second;
    });
    return counts;
  }

  //===--------------------------------------------------------------------===//
  // One layer
  //===--------------------------------------------------------------------===//

  FailureOr<LayerPlan> decide(LinearOp linear, const WeightsSet &weightsSet) {
    StringRef layer = *linear.getLayer();
    if (structure == "dense")
      return makeDense(linear, "the option 'structure' says so");
    if (!included.empty() && !included.matches(layer))
      return makeDense(linear, "the option 'layers' leaves it out");
    if (excluded.matches(layer))
      return makeDense(linear, "the option 'exclude' leaves it out");
    if (linear.getParameterCount() < minParameters)
      return makeDense(linear, "it has " +
                                   std::to_string(linear.getParameterCount()) +
                                   " parameters, fewer than 'min-parameters'");
    LayerPlan plan = makeDense(linear, "");
    if (structure == "gblr")
      return decideGblr(linear, std::move(plan));
    plan.structure = "blast";
    if (allocate == "global") {
      if (getBlockCounts(plan).empty())
        return makeDense(linear, "none of the candidate blocks divide " +
                                     std::to_string(plan.m) + " x " +
                                     std::to_string(plan.n));
      return plan;
    }
    plan.bOut = blocksOut ? blocksOut : blocks;
    plan.bIn = blocksIn ? blocksIn : blocks;
    if (plan.m % plan.bOut || plan.n % plan.bIn)
      return makeDense(
          linear, std::to_string(plan.bOut) + " : " + std::to_string(plan.bIn) +
                      " blocks do not divide " + std::to_string(plan.m) +
                      " x " + std::to_string(plan.n));
    if (maxError > 0.0)
      return decideByError(linear, std::move(plan), weightsSet);
    plan.rank = getRank(plan);
    if (plan.rank == 0)
      return makeDense(linear,
                       "keeping " + toText(keep) + " of it leaves no rank");
    return plan;
  }

  LayerPlan decideGblr(LinearOp linear, LayerPlan plan) const {
    plan.structure = "gblr";
    plan.budget = getGblrBudget(plan.m, plan.n, keep);
    if (plan.budget <
        std::min(GblrOptions().minComponentParameters, plan.m + plan.n))
      return makeDense(linear, "keeping " + toText(keep) +
                                   " of it leaves no component");
    return plan;
  }

  /// The rank that keeps `keep` of the layer's parameters.
  int64_t getRank(const LayerPlan &plan) const {
    auto get = [&](int64_t multiple) {
      return getBlastRank(plan.m, plan.n, plan.bOut, plan.bIn, keep, multiple);
    };
    if (rankMultiple != 0)
      return get(rankMultiple);
    int64_t exact = get(1), multiple = 16;
    while (50 * (exact - get(multiple)) > exact)
      multiple /= 2;
    return get(multiple);
  }

  /// The smallest rank that reaches `max-error`, by bisection over the
  /// multiples of kRankStep that take fewer parameters than the dense matrix.
  FailureOr<LayerPlan> decideByError(LinearOp linear, LayerPlan plan,
                                     const WeightsSet &weightsSet) {
    Result<HostTensor> weight = readWeight(linear.getWeight(), weightsSet);
    if (!weight)
      return linear.emitError()
             << "layer '" << plan.layer << "': " << weight.error();
    auto getError = [&](int64_t rank) -> Result<double> {
      BlastOptions options;
      options.bOut = plan.bOut;
      options.bIn = plan.bIn;
      options.rank = rank;
      options.maxIterations = iterations;
      Result<BlastResult> result =
          factorizeBlast({weight->values.data(), plan.m, plan.n}, options);
      if (!result)
        return Error{result.error()};
      return result->relativeError;
    };
    int64_t largest =
        (plan.m * plan.n - 1) / (plan.m + plan.n + plan.bOut * plan.bIn);
    largest = std::min({largest, plan.m, plan.n}) / kRankStep;
    // Invariant: rank low·step does not reach the bound, high·step does.
    int64_t low = 0, high = largest + 1;
    while (high - low > 1) {
      int64_t middle = (low + high) / 2;
      Result<double> error = getError(middle * kRankStep);
      if (!error)
        return linear.emitError()
               << "layer '" << plan.layer << "': " << error.error();
      (*error <= maxError ? high : low) = middle;
    }
    if (high > largest)
      return makeDense(linear,
                       "no rank with fewer parameters reaches an error of " +
                           toText(maxError));
    plan.rank = high * kRankStep;
    return plan;
  }

  LayerFilter included, excluded;
};
} // namespace
