// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "DenseWeight.h"
#include "JsonFile.h"
#include "MomentsFile.h"

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"
#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/Gblr.h"
#include "Structured/Factorization/WorkDirectory.h"
#include "Structured/Weights/Safetensors.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"

#include <chrono>

namespace structured {
#define GEN_PASS_DEF_FACTORIZE
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
/// A line on standard error for each layer, rewritten in place on a terminal.
class ProgressLine {
public:
  ProgressLine(bool enabled, size_t numLayers)
      : enabled(enabled),
        rewrites(enabled && llvm::sys::Process::StandardErrIsDisplayed()),
        numLayers(numLayers) {}

  void begin(LinearOp linear) {
    ++layerNumber;
    PlanAttr plan = linear.getPlanAttr();
    prefix.clear();
    llvm::raw_string_ostream(prefix)
        << "[" << layerNumber << "/" << numLayers << "] " << *linear.getLayer()
        << ": " << linear.getOutFeatures() << " x " << linear.getInFeatures();
    if (plan.getStructure() == StructureKind::Gblr)
      llvm::raw_string_ostream(prefix) << ", GBLR, budget " << plan.getBudget();
    else
      llvm::raw_string_ostream(prefix)
          << ", blocks " << plan.getBOut() << " : " << plan.getBIn()
          << ", rank " << plan.getRank();
  }
  void iteration(int64_t number, double error) {
    if (rewrites)
      llvm::errs() << "\r" << prefix << ", iteration " << number
                   << llvm::format(", error %.4f ", error);
  }
  void end(StringRef outcome) {
    if (enabled)
      llvm::errs() << (rewrites ? "\r" : "") << prefix << ": " << outcome
                   << (rewrites ? "                \n" : "\n");
  }

private:
  bool enabled, rewrites;
  size_t numLayers, layerNumber = 0;
  std::string prefix;
};

/// A layer that is to be replaced, once all factors are on the disk.
struct FactorizedLayer {
  LinearOp linear;
  /// The layer whose factors it uses: its own name, or that of an earlier layer
  /// with the same weight and plan.
  std::string factors;
  /// The tensors of the factors.
  std::vector<TensorDeclaration> declarations;
  /// Of a GBLR layer.
  GblrLayoutAttr layout = {};
};

/// What `factorizeToDirectory` tells, for whichever structure.
struct Outcome {
  double relativeError;
  int64_t parameters, iterations;
  bool reused;
  std::optional<double> outputError;
};

template <typename LayerResult>
Outcome toOutcome(const LayerResult &result) {
  return {result.relativeError, result.factors.getNumParameters(),
          result.iterations, result.reused, result.outputError};
}

struct Factorize : structured::impl::FactorizeBase<Factorize> {
  using FactorizeBase::FactorizeBase;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  InFlightDiagnostic emitOptionError() {
    return getOperation().emitError() << "structured-factorize: ";
  }

  LogicalResult run() {
    std::optional<BlastMethod> blastMethod = parseBlastMethod(method);
    if (!blastMethod)
      return emitOptionError()
             << "unknown method '" << method << "'; expected als or gradient";
    std::optional<GblrMethod> gblrFinder = parseGblrMethod(gblrMethod);
    if (!gblrFinder)
      return emitOptionError() << "unknown gblr-method '" << gblrMethod
                               << "'; expected greedy or energy-runs";
    if (gblrMinComponent < 1)
      return emitOptionError() << "gblr-min-component must be at least 1";
    if (iterations < 1)
      return emitOptionError() << "iterations must be at least 1";
    if (output.empty())
      return emitOptionError() << "the option 'output' names no file";

    SmallVector<LinearOp> planned;
    llvm::json::Array records;
    getOperation().walk([&](LinearOp linear) {
      PlanAttr plan = linear.getPlanAttr();
      if (linear.getLayer() && plan &&
          plan.getStructure() != StructureKind::Dense)
        planned.push_back(linear);
      else
        records.push_back(makeRecord(linear, "dense"));
    });
    Result<WeightsSet> weightsSet = WeightsSet::open(
        std::vector<std::string>(weights.begin(), weights.end()));
    if (!weightsSet)
      return emitOptionError() << weightsSet.error();
    std::optional<MomentsFile> momentsFile;
    if (!moments.empty()) {
      Result<MomentsFile> opened = MomentsFile::open(moments);
      if (!opened)
        return emitOptionError() << opened.error();
      momentsFile = std::move(*opened);
    }

    std::string directory = workDir.empty() ? output + ".work" : workDir;
    ProgressLine progressLine(progress, planned.size());
    SmallVector<FactorizedLayer> done;
    llvm::StringMap<std::string> factorsOfWeight;
    for (LinearOp linear : planned) {
      progressLine.begin(linear);
      FailureOr<std::optional<FactorizedLayer>> layer =
          factorize(linear, *blastMethod, *gblrFinder, *weightsSet, momentsFile,
                    directory, progressLine, factorsOfWeight, records);
      if (failed(layer))
        return failure();
      if (*layer)
        done.push_back(std::move(**layer));
      else
        ++numRefused;
    }
    if (failed(writeFactors(done, directory)))
      return failure();
    for (FactorizedLayer &layer : done)
      replace(layer);
    if (!report.empty())
      if (Result<void> written = writeJsonFile(report, std::move(records));
          !written)
        return emitOptionError() << written.error();
    if (workDir.empty())
      if (std::error_code error = llvm::sys::fs::remove_directories(directory))
        getOperation().emitWarning() << "structured-factorize: cannot remove '"
                                     << directory << "': " << error.message();
    return success();
  }

  static llvm::json::Object makeRecord(LinearOp linear, StringRef decision) {
    int64_t count = linear.getParameterCount();
    int64_t tokens = linear.getInput().getType().getDimSize(0);
    llvm::json::Object record{
        {"layer", linear.getLayer().value_or("").str()},
        {"shape",
         llvm::json::Array{linear.getOutFeatures(), linear.getInFeatures()}},
        {"structure", "dense"},
        {"dense_parameters", count},
        {"parameters", count},
        {"multiply_adds", count},
        {"relative_error", 0.0},
        {"decision", decision.str()}};
    if (ShapedType::isStatic(tokens))
      record["tokens"] = tokens;
    return record;
  }

  /// Factorises the layer's weight into its file of the work directory and
  /// returns it; nothing if the layer stays dense.
  FailureOr<std::optional<FactorizedLayer>>
  factorize(LinearOp linear, BlastMethod blastMethod, GblrMethod gblrFinder,
            const WeightsSet &weightsSet,
            const std::optional<MomentsFile> &momentsFile,
            const std::string &directory, ProgressLine &progressLine,
            llvm::StringMap<std::string> &factorsOfWeight,
            llvm::json::Array &records) {
    std::string layer = linear.getLayer()->str();
    PlanAttr plan = linear.getPlanAttr();
    auto refuse = [&](const std::string &reason) {
      linear.emitRemark() << "layer '" << layer << "' stays dense: " << reason;
      progressLine.end("stays dense: " + reason);
      llvm::json::Object record = makeRecord(linear, "refused");
      record["reason"] = reason;
      records.push_back(std::move(record));
      return std::optional<FactorizedLayer>();
    };
    if (!hasReadableWeight(linear.getWeight()))
      return refuse("its weight is not a parameter or a constant");

    Result<HostTensor> weight = readWeight(linear.getWeight(), weightsSet);
    if (!weight)
      return linear.emitError()
             << "layer '" << layer << "': " << weight.error();
    bool isGblr = plan.getStructure() == StructureKind::Gblr;
    std::string planKey;
    llvm::raw_string_ostream(planKey) << plan;
    auto [shared, isNew] = factorsOfWeight.try_emplace(
        (momentsFile ? layer : getWeightKey(linear.getWeight())) + planKey,
        layer);
    FactorizedLayer factorized{linear, shared->second, {}};
    MatrixRef matrix{weight->values.data(), linear.getOutFeatures(),
                     linear.getInFeatures()};
    auto report = [&](int64_t iteration, double error) {
      progressLine.iteration(iteration, error);
    };
    auto start = std::chrono::steady_clock::now();
    Result<Outcome> result =
        isGblr ? factorizeGblrLayer(factorized, matrix, gblrFinder, momentsFile,
                                    directory, report)
               : factorizeBlastLayer(factorized, matrix, blastMethod,
                                     momentsFile, directory, report);
    if (!result)
      return linear.emitError() << result.error();
    std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    std::string error = llvm::formatv("{0:f4}", result->relativeError).str();
    if (maxError > 0.0 && result->relativeError > maxError) {
      factorsOfWeight.erase(shared);
      return refuse("its relative error would be " + error +
                    ", more than max-error");
    }
    if (result->outputError)
      error += llvm::formatv(", of the outputs {0:f4}", *result->outputError);
    progressLine.end("error " + error + (result->reused ? " (reused)" : "") +
                     llvm::formatv(", {0:f1} s", seconds.count()).str());

    llvm::json::Object record = makeRecord(linear, "kept");
    record["structure"] = stringifyStructureKind(plan.getStructure()).str();
    if (isGblr) {
      record["budget"] = plan.getBudget();
      record["components"] =
          static_cast<int64_t>(factorized.layout.getComponents().size());
    } else {
      record["b_out"] = plan.getBOut();
      record["b_in"] = plan.getBIn();
      record["rank"] = plan.getRank();
    }
    record["parameters"] = result->parameters;
    record["multiply_adds"] = result->parameters;
    record["relative_error"] = result->relativeError;
    if (result->outputError)
      record["output_error"] = *result->outputError;
    record["iterations"] = result->iterations;
    record["seconds"] = seconds.count();
    record["reused"] = result->reused;
    if (!isNew)
      record["shares_factors_of"] = shared->second;
    records.push_back(std::move(record));
    return std::optional<FactorizedLayer>(std::move(factorized));
  }

  /// Sets what `options` say about calibration; the moments lie in `values`.
  template <typename Options>
  Result<void> calibrate(FactorizedLayer &layer, MatrixRef weight,
                         const std::optional<MomentsFile> &momentsFile,
                         std::vector<float> &values, Options &options) {
    options.damping = damping;
    if (!momentsFile)
      return {};
    Result<InputMoments> read =
        momentsFile->read(layer.linear.getLayer()->str(), weight.cols, values);
    if (!read)
      return Error{"layer '" + layer.factors + "': " + read.error()};
    options.inputMoments = *read;
    return {};
  }

  Result<Outcome> factorizeBlastLayer(
      FactorizedLayer &layer, MatrixRef weight, BlastMethod blastMethod,
      const std::optional<MomentsFile> &momentsFile,
      const std::string &directory, const ProgressCallback &report) {
    PlanAttr plan = layer.linear.getPlanAttr();
    BlastOptions options;
    options.bOut = plan.getBOut();
    options.bIn = plan.getBIn();
    options.rank = plan.getRank();
    options.method = blastMethod;
    options.maxIterations = iterations;
    options.seed = seed;
    std::vector<float> values;
    if (Result<void> done =
            calibrate(layer, weight, momentsFile, values, options);
        !done)
      return Error{done.error()};
    Result<LayerResult> result =
        factorizeToDirectory(directory, layer.factors, weight, options, report);
    if (!result)
      return Error{result.error()};
    const BlastFactors &f = result->factors;
    DType dtype = getFactorType(layer.linear);
    layer.declarations = {{layer.factors + ".U", dtype, {f.bOut, f.p, f.r}},
                          {layer.factors + ".S", dtype, {f.bOut, f.bIn, f.r}},
                          {layer.factors + ".Vt", dtype, {f.bIn, f.r, f.q}}};
    return toOutcome(*result);
  }

  Result<Outcome> factorizeGblrLayer(
      FactorizedLayer &layer, MatrixRef weight, GblrMethod gblrFinder,
      const std::optional<MomentsFile> &momentsFile,
      const std::string &directory, const ProgressCallback &report) {
    GblrOptions options;
    options.budget = layer.linear.getPlanAttr().getBudget();
    options.method = gblrFinder;
    options.minComponentParameters = gblrMinComponent;
    std::vector<float> values;
    if (Result<void> done =
            calibrate(layer, weight, momentsFile, values, options);
        !done)
      return Error{done.error()};
    Result<GblrLayerResult> result =
        factorizeToDirectory(directory, layer.factors, weight, options, report);
    if (!result)
      return Error{result.error()};
    SmallVector<GblrComponentAttr> components;
    for (const GblrComponent &c : result->factors.components)
      components.push_back(GblrComponentAttr::get(
          &getContext(), c.rowStart, c.rows, c.colStart, c.cols, c.rank));
    layer.layout = GblrLayoutAttr::get(&getContext(), weight.rows, weight.cols,
                                       components);
    DType dtype = getFactorType(layer.linear);
    layer.declarations = {
        {layer.factors + ".gblr.U", dtype, {layer.layout.getUSize()}},
        {layer.factors + ".gblr.V", dtype, {layer.layout.getVSize()}},
        {layer.factors + ".gblr.components",
         DType::I64,
         {static_cast<int64_t>(components.size()), 5}}};
    return toOutcome(*result);
  }

  static Type getElementType(LinearOp linear) {
    return cast<ShapedType>(linear.getWeight().getType()).getElementType();
  }

  static DType getFactorType(LinearOp linear) {
    Type elementType = getElementType(linear);
    return elementType.isF32()   ? DType::F32
           : elementType.isF16() ? DType::F16
                                 : DType::BF16;
  }

  /// Copies the factors of all layers from the work directory to `output`, one
  /// layer in memory at a time.
  LogicalResult writeFactors(MutableArrayRef<FactorizedLayer> layers,
                             const std::string &directory) {
    std::vector<TensorDeclaration> declarations;
    for (FactorizedLayer &layer : layers)
      if (layer.factors == *layer.linear.getLayer())
        llvm::append_range(declarations, layer.declarations);
    Result<SafetensorsWriter> writer =
        SafetensorsWriter::create(output, declarations);
    if (!writer)
      return emitOptionError() << writer.error();
    for (FactorizedLayer &layer : layers) {
      if (layer.factors != *layer.linear.getLayer())
        continue;
      Result<SafetensorsFile> file =
          SafetensorsFile::open(getWorkFile(directory, layer.factors));
      if (!file)
        return emitOptionError() << file.error();
      for (const TensorDeclaration &factor : layer.declarations) {
        Result<const TensorView *> view = file->get(factor.name);
        if (!view)
          return emitOptionError() << view.error();
        std::vector<std::byte> bytes((*view)->data,
                                     (*view)->data + (*view)->bytes);
        if (factor.dtype != (*view)->dtype) {
          Result<std::vector<float>> values = readFloats(**view);
          if (!values)
            return emitOptionError() << values.error();
          bytes = encodeFloats(factor.dtype, values->data(), values->size());
        }
        if (Result<void> written =
                writer->append(factor.name, bytes.data(), bytes.size());
            !written)
          return emitOptionError() << written.error();
      }
    }
    if (Result<void> finished = writer->finish(); !finished)
      return emitOptionError() << finished.error();
    return success();
  }

  void replace(FactorizedLayer &layer) {
    LinearOp linear = layer.linear;
    IRRewriter rewriter(linear);
    SmallVector<Value> factors;
    for (const TensorDeclaration &factor : layer.declarations) {
      // The components become the layout.
      if (factor.dtype == DType::I64)
        continue;
      factors.push_back(ParameterOp::create(
          rewriter, linear.getLoc(),
          RankedTensorType::get(factor.shape, getElementType(linear)),
          factor.name, DenseI64ArrayAttr()));
    }
    if (layer.layout)
      rewriter.replaceOpWithNewOp<GblrMatmulOp>(
          linear, linear->getResultTypes(), linear.getInput(), factors[0],
          factors[1], linear.getInit(), layer.layout, linear.getLayerAttr());
    else
      rewriter.replaceOpWithNewOp<BlastMatmulOp>(
          linear, linear->getResultTypes(), linear.getInput(), factors[0],
          factors[1], factors[2], linear.getInit(), linear.getLayerAttr());
    ++numFactorized;
  }
};
} // namespace
