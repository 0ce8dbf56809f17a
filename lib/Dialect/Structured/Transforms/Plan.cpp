// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "CurvesFile.h"
#include "DenseWeight.h"
#include "JsonFile.h"
#include "LayerFilter.h"
#include "MomentsFile.h"
#include "PlanFile.h"

#include "Structured/Analysis/LayerCost.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"
#include "Structured/Factorization/Allocation.h"
#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/Gblr.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"

#include <chrono>

namespace structured {
#define GEN_PASS_DEF_PLAN
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// Ranks under `max-error` are multiples of this.
static constexpr int64_t kRankStep = 16;

/// Under `allocate=global`: the kept fractions of a layer at which BLAST's
/// errors are measured, and the step of the ranks to choose from. A trial of
/// GBLR takes several times as long, hence fewer.
static constexpr double kMeasuredFractions[] = {0.08, 0.2, 0.4, 0.65, 0.95};
static constexpr double kMeasuredGblrFractions[] = {0.1, 0.35, 0.65, 0.95};
static constexpr int64_t kAllocatedRankStep = 8;

/// GBLR's budgets to choose from, under `allocate=global` and `max-error`, are
/// multiples of this part of the dense matrix.
static constexpr int64_t kBudgetSteps = 32;

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
    if (!(keep > 0.0 && keep < 1.0))
      return emitOptionError() << "keep must lie between 0 and 1, got " << keep;
    if (!(maxError >= 0.0 && maxError < 1.0))
      return emitOptionError()
             << "max-error must lie between 0 and 1, got " << maxError;
    if (allocate != "uniform" && allocate != "global")
      return emitOptionError() << "unknown allocation '" << allocate
                               << "'; expected uniform or global";
    if (budget != "parameters" && budget != "multiply-adds")
      return emitOptionError() << "unknown budget '" << budget
                               << "'; expected parameters or multiply-adds";
    if (!(maxLoss >= 0.0) || std::isinf(maxLoss))
      return emitOptionError()
             << "max-loss must be a number of at least 0, got " << maxLoss;
    for (const std::string &candidate : candidateStructures)
      if (candidate != "blast" && candidate != "gblr")
        return emitOptionError() << "unknown candidate structure '" << candidate
                                 << "'; expected blast or gblr";
    if (allocate == "global" && structure == "dense")
      return emitOptionError()
             << "allocate=global with structure=dense has nothing to choose";
    if (allocate == "global" && maxError > 0.0)
      return emitOptionError()
             << "allocate=global shares one budget and cannot be combined with "
                "max-error";
    if (allocate != "global" &&
        (!moments.empty() || !importance.empty() || !readCurves.empty() ||
         !writeCurves.empty() || !candidateStructures.empty() ||
         budget != "parameters" || maxLoss > 0.0))
      return emitOptionError()
             << "moments, importance, candidate-structures, budget, max-loss, "
                "read-curves and write-curves are for allocate=global";
    if (!readCurves.empty() && !moments.empty())
      return emitOptionError()
             << "read-curves has the errors: moments would not be used";
    if (dynamicTokens < 1)
      return emitOptionError() << "dynamic-tokens must be at least 1";
    if (gblrIterations < 1)
      return emitOptionError() << "gblr-iterations must be at least 1";
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
    if (!costs.empty()) {
      llvm::Expected<LayerCosts> loaded = LayerCosts::load(costs);
      if (!loaded)
        return emitOptionError() << llvm::toString(loaded.takeError());
      table = std::move(*loaded);
    }
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
      if (Result<void> written = writePlanFile(writePath, *plan, allocation);
          !written)
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
        maxError > 0.0 || (allocate == "global" && readCurves.empty())
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
        failed(allocateCandidates(linears, plan, *weightsSet)))
      return failure();
    return plan;
  }

  //===--------------------------------------------------------------------===//
  // One budget for all layers
  //===--------------------------------------------------------------------===//

  /// Chooses among the candidates of each planned layer so that together they
  /// keep `keep` of their parameters or multiply-adds, or lose `max-loss`.
  LogicalResult allocateCandidates(ArrayRef<LinearOp> linears,
                                   std::vector<LayerPlan> &plan,
                                   const WeightsSet &weightsSet) {
    FailureOr<llvm::StringMap<double>> weightOfLayer = readImportance();
    if (failed(weightOfLayer))
      return failure();
    // What is missing should not show after an hour of trials.
    SmallVector<size_t> indices;
    for (auto [index, layer] : llvm::enumerate(plan)) {
      if (layer.structure == "dense")
        continue;
      if (!importance.empty() && !weightOfLayer->contains(layer.layer))
        return emitOptionError()
               << "'" << importance << "' does not name the layer '"
               << layer.layer << "'";
      indices.push_back(index);
    }
    FailureOr<std::vector<LayerCurves>> curves =
        readCurves.empty() ? measureCurves(linears, plan, indices, weightsSet)
                           : readMeasuredCurves(linears, plan, indices);
    if (failed(curves))
      return failure();
    if (!writeCurves.empty())
      if (Result<void> written = writeCurvesFile(writeCurves, *curves);
          !written)
        return emitOptionError() << written.error();

    std::vector<std::vector<LayerPlan>> candidates;
    std::vector<std::vector<Choice>> choices;
    allocation.emplace();
    allocation->budget = budget;
    for (auto [index, ofLayer] : llvm::zip_equal(indices, *curves)) {
      LinearOp linear = linears[index];
      double scale =
          importance.empty() ? 1.0 : weightOfLayer->lookup(ofLayer.layer);
      // A structured layer takes a multiply-add for each parameter and token,
      // as a dense one (StructuredLayerOpInterface).
      bool countsTokens = budget != "parameters";
      int64_t count = countsTokens || table ? countTokens(linear) : 1;
      int64_t tokens = countsTokens ? count : 1;
      std::vector<Choice> &choicesOfLayer = choices.emplace_back();
      for (const LayerPlan &candidate :
           candidates.emplace_back(getCandidates(linear, ofLayer, count)))
        choicesOfLayer.push_back(
            {tokens * candidate.getParameterCount(),
             scale * candidate.expectedError * candidate.expectedError});
      allocation->denseCost += tokens * linear.getMultiplyAddsPerToken();
    }
    if (maxLoss > 0.0)
      allocation->maxLoss = maxLoss;
    else
      allocation->maxCost = static_cast<int64_t>(keep * allocation->denseCost);
    Result<std::vector<size_t>> chosen =
        maxLoss > 0.0 ? allocateLoss(choices, maxLoss)
                      : allocateBudget(choices, *allocation->maxCost);
    if (!chosen)
      return emitOptionError() << chosen.error();
    for (auto [index, ofLayer, choicesOfLayer, choice] :
         llvm::zip_equal(indices, candidates, choices, *chosen)) {
      plan[index] = std::move(ofLayer[choice]);
      allocation->cost += choicesOfLayer[choice].cost;
      allocation->loss += choicesOfLayer[choice].loss;
    }
    return success();
  }

  int64_t countTokens(LinearOp linear) {
    int64_t tokens = linear.getInput().getType().getDimSize(0);
    if (ShapedType::isStatic(tokens))
      return tokens;
    linear.emitRemark() << "layer '" << *linear.getLayer()
                        << "' has a dynamic number of tokens; it counts as "
                        << dynamicTokens.getValue();
    return dynamicTokens;
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

  /// Whether the layer may become of the structure.
  bool isCandidate(StringRef candidate) const {
    return candidateStructures.empty()
               ? structure == candidate
               : llvm::is_contained(candidateStructures, candidate);
  }

  /// The curves that the layer is to have, without points.
  std::vector<MeasuredCurve> getCurvesToMeasure(const LayerPlan &layer) const {
    std::vector<MeasuredCurve> curves;
    if (isCandidate("blast"))
      for (auto [bOut, bIn] : getBlockCounts(layer))
        curves.push_back({"blast", bOut, bIn, {}});
    if (isCandidate("gblr"))
      curves.push_back({"gblr", 0, 0, {}});
    return curves;
  }

  /// The curves of the file `read-curves`, those that are asked for.
  FailureOr<std::vector<LayerCurves>>
  readMeasuredCurves(ArrayRef<LinearOp> linears, ArrayRef<LayerPlan> plan,
                     ArrayRef<size_t> indices) {
    Result<std::vector<LayerCurves>> file = readCurvesFile(readCurves);
    if (!file)
      return emitOptionError() << file.error();
    std::vector<LayerCurves> result;
    for (size_t index : indices) {
      const LayerPlan &layer = plan[index];
      auto found = llvm::find_if(*file, [&](const LayerCurves &entry) {
        return entry.layer == layer.layer;
      });
      LinearOp linear = linears[index];
      auto fail = [&] {
        return linear.emitError() << "layer '" << layer.layer << "': '"
                                  << readCurves << "' has no ";
      };
      if (found == file->end() || found->m != layer.m || found->n != layer.n)
        return fail() << "curves for it as a " << layer.m << " x " << layer.n
                      << " matrix";
      LayerCurves ofLayer{layer.layer, layer.m, layer.n, {}};
      for (const MeasuredCurve &wanted : getCurvesToMeasure(layer)) {
        auto curve =
            llvm::find_if(found->curves, [&](const MeasuredCurve &entry) {
              return entry.structure == wanted.structure &&
                     entry.bOut == wanted.bOut && entry.bIn == wanted.bIn;
            });
        if (curve == found->curves.end() && wanted.structure == "gblr")
          return fail() << "curve of GBLR for it";
        if (curve == found->curves.end())
          return fail() << "curve of BLAST with " << wanted.bOut << " : "
                        << wanted.bIn << " blocks for it";
        if (!curve->points.empty() &&
            curve->points.back().parameters >= layer.m * layer.n)
          return fail() << "curve of structures smaller than the dense matrix";
        ofLayer.curves.push_back(*curve);
      }
      result.push_back(std::move(ofLayer));
    }
    return result;
  }

  /// Measures the error curves of the planned layers by trial factorisations.
  FailureOr<std::vector<LayerCurves>>
  measureCurves(ArrayRef<LinearOp> linears, ArrayRef<LayerPlan> plan,
                ArrayRef<size_t> indices, const WeightsSet &weightsSet) {
    std::optional<MomentsFile> momentsFile;
    if (!moments.empty()) {
      Result<MomentsFile> opened = MomentsFile::open(moments);
      if (!opened)
        return emitOptionError() << opened.error();
      momentsFile = std::move(*opened);
    }
    std::vector<LayerCurves> result;
    for (auto [count, index] : llvm::enumerate(indices)) {
      LinearOp linear = linears[index];
      const LayerPlan &layer = plan[index];
      auto start = std::chrono::steady_clock::now();
      Result<LayerCurves> measured =
          measureLayer(linear, layer, weightsSet, momentsFile);
      if (!measured)
        return linear.emitError()
               << "layer '" << layer.layer << "': " << measured.error();
      std::chrono::duration<double> seconds =
          std::chrono::steady_clock::now() - start;
      if (progress)
        llvm::errs() << "[" << count + 1 << "/" << indices.size() << "] "
                     << layer.layer << ": " << layer.m << " x " << layer.n
                     << llvm::format(": error curves, %.1f s\n",
                                     seconds.count());
      result.push_back(std::move(*measured));
    }
    return result;
  }

  Result<LayerCurves>
  measureLayer(LinearOp linear, const LayerPlan &layer,
               const WeightsSet &weightsSet,
               const std::optional<MomentsFile> &momentsFile) {
    Result<HostTensor> weight = readWeight(linear.getWeight(), weightsSet);
    if (!weight)
      return Error{weight.error()};
    MatrixRef matrix{weight->values.data(), layer.m, layer.n};
    std::vector<float> layerMoments;
    std::optional<InputMoments> inputMoments;
    if (momentsFile) {
      Result<InputMoments> read =
          momentsFile->read(layer.layer, layer.n, layerMoments);
      if (!read)
        return Error{read.error()};
      inputMoments = *read;
    }
    LayerCurves result{layer.layer, layer.m, layer.n,
                       getCurvesToMeasure(layer)};
    for (MeasuredCurve &curve : result.curves) {
      Result<void> measured = curve.structure == "blast"
                                  ? measureBlast(matrix, inputMoments, curve)
                                  : measureGblr(matrix, inputMoments, curve);
      if (!measured)
        return Error{measured.error()};
    }
    return result;
  }

  Result<void> measureBlast(MatrixRef matrix,
                            const std::optional<InputMoments> &inputMoments,
                            MeasuredCurve &curve) const {
    BlastOptions options;
    options.bOut = curve.bOut;
    options.bIn = curve.bIn;
    options.maxIterations = iterations;
    options.inputMoments = inputMoments;
    options.damping = damping;
    int64_t lastRank = 0;
    for (double fraction : kMeasuredFractions) {
      options.rank = getBlastRank(matrix.rows, matrix.cols, curve.bOut,
                                  curve.bIn, fraction, /*multiple=*/1);
      if (options.rank <= lastRank)
        continue;
      lastRank = options.rank;
      Result<BlastResult> result = factorizeBlast(matrix, options);
      if (!result)
        return Error{result.error()};
      curve.points.push_back(
          {result->factors.getNumParameters(),
           result->outputError.value_or(result->relativeError)});
    }
    return {};
  }

  Result<void> measureGblr(MatrixRef matrix,
                           const std::optional<InputMoments> &inputMoments,
                           MeasuredCurve &curve) const {
    GblrOptions options;
    options.maxIterations = gblrIterations;
    options.inputMoments = inputMoments;
    options.damping = damping;
    for (double fraction : kMeasuredGblrFractions) {
      options.budget = getGblrBudget(matrix.rows, matrix.cols, fraction);
      if (!paysForComponent(matrix.rows, matrix.cols, options.budget))
        continue;
      Result<GblrResult> result = factorizeGblr(matrix, options);
      if (!result)
        return Error{result.error()};
      curve.points.push_back({options.budget, result->outputError.value_or(
                                                  result->relativeError)});
    }
    return {};
  }

  /// What the layer may become, with the error to expect: dense, or any rank or
  /// budget of its error curves.
  std::vector<LayerPlan> getCandidates(LinearOp linear,
                                       const LayerCurves &layer,
                                       int64_t tokens) const {
    std::vector<LayerPlan> candidates{
        makeDense(linear, "the allocation says so")};
    for (const MeasuredCurve &measured : layer.curves) {
      ErrorCurve curve;
      for (const MeasuredCurve::Point &point : measured.points)
        curve.add(point.parameters, point.relativeError);
      LayerPlan candidate = makeDense(linear, "");
      candidate.structure = measured.structure;
      candidate.bOut = measured.bOut;
      candidate.bIn = measured.bIn;
      auto add = [&] {
        if (candidate.getParameterCount() > curve.getLargestCost())
          return false;
        candidate.expectedError =
            std::sqrt(curve.getSquaredError(candidate.getParameterCount()));
        candidates.push_back(candidate);
        return true;
      };
      if (measured.structure == "gblr") {
        for (int64_t step = 1; step < kBudgetSteps; ++step) {
          candidate.budget = step * layer.m * layer.n / kBudgetSteps;
          if (paysForComponent(layer.m, layer.n, candidate.budget) && !add())
            break;
        }
        continue;
      }
      int64_t step = rankMultiple ? rankMultiple : kAllocatedRankStep;
      for (candidate.rank = step; add(); candidate.rank += step)
        ;
    }
    llvm::erase_if(candidates, [&](const LayerPlan &candidate) {
      return !getSlowness(linear, candidate, tokens).empty();
    });
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
    if (allocate == "global") {
      if (getCurvesToMeasure(plan).empty())
        return makeDense(linear, "none of the candidate blocks divide " +
                                     std::to_string(plan.m) + " x " +
                                     std::to_string(plan.n));
      // Which structure, the allocation says.
      plan.structure = "";
      return plan;
    }
    if (structure == "gblr")
      return maxError > 0.0
                 ? decideGblrByError(linear, std::move(plan), weightsSet)
                 : decideGblr(linear, std::move(plan));
    plan.structure = "blast";
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
    return unlessSlow(linear, std::move(plan));
  }

  /// The BLAST plan, or a dense one if it does not pay.
  LayerPlan unlessSlow(LinearOp linear, LayerPlan plan) {
    if (!table)
      return plan;
    std::string reason = getSlowness(linear, plan, countTokens(linear));
    return reason.empty() ? plan : makeDense(linear, reason);
  }

  /// Why the plan of a layer of so many tokens does not pay; empty if it does,
  /// or if there is no estimate.
  std::string getSlowness(LinearOp linear, const LayerPlan &plan,
                          int64_t tokens) const {
    Type type = linear.getInput().getType().getElementType();
    if (!table || plan.structure != "blast" ||
        type.getIntOrFloatBitWidth() != 8 * table->getElementBytes())
      return "";
    std::optional<LayerComparison> comparison = table->compareWithDense(
        {plan.m, plan.n, plan.bOut, plan.bIn, plan.rank}, tokens);
    if (!comparison || comparison->pays(kDefaultCostTolerance))
      return "";
    return comparison->text;
  }

  static bool paysForComponent(int64_t m, int64_t n, int64_t budget) {
    return budget >= std::min(GblrOptions().minComponentParameters, m + n);
  }

  LayerPlan decideGblr(LinearOp linear, LayerPlan plan) const {
    plan.structure = "gblr";
    plan.budget = getGblrBudget(plan.m, plan.n, keep);
    if (!paysForComponent(plan.m, plan.n, plan.budget))
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
    int64_t largest =
        (plan.m * plan.n - 1) / (plan.m + plan.n + plan.bOut * plan.bIn);
    largest = std::min({largest, plan.m, plan.n}) / kRankStep;
    FailureOr<int64_t> found =
        bisectError(linear, weightsSet, largest,
                    [&](MatrixRef weight, int64_t step) -> Result<double> {
                      BlastOptions options;
                      options.bOut = plan.bOut;
                      options.bIn = plan.bIn;
                      options.rank = step * kRankStep;
                      options.maxIterations = iterations;
                      Result<BlastResult> result =
                          factorizeBlast(weight, options);
                      if (!result)
                        return Error{result.error()};
                      return result->relativeError;
                    });
    if (failed(found))
      return failure();
    if (*found > largest)
      return makeDense(linear,
                       "no rank with fewer parameters reaches an error of " +
                           toText(maxError));
    plan.rank = *found * kRankStep;
    return unlessSlow(linear, std::move(plan));
  }

  /// The smallest budget that reaches `max-error`, by bisection over multiples
  /// of 1/kBudgetSteps. More rounds never raise GBLR's error: what
  /// `structured-factorize` finds in its own reaches it, too.
  FailureOr<LayerPlan> decideGblrByError(LinearOp linear, LayerPlan plan,
                                         const WeightsSet &weightsSet) {
    plan.structure = "gblr";
    auto getBudget = [&](int64_t step) {
      return step * plan.m * plan.n / kBudgetSteps;
    };
    FailureOr<int64_t> found =
        bisectError(linear, weightsSet, kBudgetSteps - 1,
                    [&](MatrixRef weight, int64_t step) -> Result<double> {
                      GblrOptions options;
                      options.budget = getBudget(step);
                      options.maxIterations = gblrIterations;
                      // What does not pay for a component leaves everything.
                      if (!paysForComponent(plan.m, plan.n, options.budget))
                        return 1.0;
                      Result<GblrResult> result =
                          factorizeGblr(weight, options);
                      if (!result)
                        return Error{result.error()};
                      return result->relativeError;
                    });
    if (failed(found))
      return failure();
    if (*found >= kBudgetSteps)
      return makeDense(linear,
                       "no budget with fewer parameters reaches an error of " +
                           toText(maxError));
    plan.budget = getBudget(*found);
    return plan;
  }

  /// The smallest of the steps 1 … `largest` whose error is within `max-error`,
  /// `largest` + 1 if none is.
  FailureOr<int64_t>
  bisectError(LinearOp linear, const WeightsSet &weightsSet, int64_t largest,
              llvm::function_ref<Result<double>(MatrixRef, int64_t)> getError) {
    auto fail = [&](const std::string &message) {
      return linear.emitError()
             << "layer '" << *linear.getLayer() << "': " << message;
    };
    Result<HostTensor> weight = readWeight(linear.getWeight(), weightsSet);
    if (!weight)
      return fail(weight.error());
    MatrixRef matrix{weight->values.data(), linear.getOutFeatures(),
                     linear.getInFeatures()};
    // Invariant: step `low` does not reach the bound, `high` does.
    int64_t low = 0, high = largest + 1;
    while (high - low > 1) {
      int64_t middle = (low + high) / 2;
      Result<double> error = getError(matrix, middle);
      if (!error)
        return fail(error.error());
      (*error <= maxError ? high : low) = middle;
    }
    return high;
  }

  std::optional<PlanAllocation> allocation;
  std::optional<LayerCosts> table;
  LayerFilter included, excluded;
};
} // namespace
