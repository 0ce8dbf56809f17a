// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Analysis/LayerCost.h"
#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_EXPANDUNPROFITABLE
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// The parameter, if it is a tensor of the weights file as it is there.
static ParameterOp getPlainParameter(Value value) {
  auto parameter = value.getDefiningOp<ParameterOp>();
  return parameter && parameter.isAsStored() ? parameter : ParameterOp();
}

/// The dense matrix of the layer as a parameter; null if the factors are not
/// parameters.
static ParameterOp createProduct(OpBuilder &builder, BlastMatmulOp layer) {
  ParameterOp u = getPlainParameter(layer.getU()),
              s = getPlainParameter(layer.getS()),
              vt = getPlainParameter(layer.getVt());
  if (!u || !s || !vt)
    return {};
  auto product = BlastProductAttr::get(
      builder.getContext(), u.getNameAttr(), s.getNameAttr(), vt.getNameAttr(),
      layer.getBOut(), layer.getBIn(), layer.getRank());
  std::string name =
      (u.getName() + "*" + s.getName() + "*" + vt.getName()).str();
  auto type =
      RankedTensorType::get({layer.getOutFeatures(), layer.getInFeatures()},
                            u.getType().getElementType());
  return ParameterOp::create(builder, layer.getLoc(), type,
                             builder.getStringAttr(name), DenseI64ArrayAttr(),
                             GblrPackingAttr(), product, ConcatenationAttr());
}

namespace {
struct ExpandUnprofitable
    : structured::impl::ExpandUnprofitableBase<ExpandUnprofitable> {
  using ExpandUnprofitableBase::ExpandUnprofitableBase;

  void runOnOperation() override {
    if (tokens < 0 || !(tolerance >= 0)) {
      getOperation().emitError("'tokens' and 'tolerance' must not be negative");
      return signalPassFailure();
    }
    llvm::Expected<LayerCosts> table = LayerCosts::load(costs);
    if (!table) {
      getOperation().emitError(llvm::toString(table.takeError()));
      return signalPassFailure();
    }
    SmallVector<StructuredLayerOpInterface> layers;
    getOperation().walk([&](StructuredLayerOpInterface layer) {
      if (layer.getStructureKind() != StructureKind::Dense)
        layers.push_back(layer);
    });
    for (StructuredLayerOpInterface layer : layers) {
      std::string reason = visit(layer, *table);
      if (reason.empty())
        continue;
      ++numUnknown;
      layer->emitRemark("no estimate of its time: ") << reason;
    }
  }

private:
  /// Expands the layer if that is faster. Returns why it cannot be estimated;
  /// empty if it can.
  std::string visit(StructuredLayerOpInterface layer, const LayerCosts &table) {
    auto blast = dyn_cast<BlastMatmulOp>(layer.getOperation());
    if (!blast)
      return "only BLAST layers were measured";
    if (layer->getNumResults() == 0)
      return "its operands are memrefs";
    auto inputType = cast<ShapedType>(layer.getLayerInput().getType());
    int64_t bits = inputType.getElementTypeBitWidth();
    if (bits != 8 * table.getElementBytes())
      return "layers with elements of " +
             std::to_string(8 * table.getElementBytes()) +
             " bits were measured, not of " + std::to_string(bits);
    int64_t count =
        inputType.isDynamicDim(0) ? tokens.getValue() : inputType.getDimSize(0);
    if (count == 0)
      return inputType.isDynamicDim(0)
                 ? "its number of tokens is not known; the option 'tokens' "
                   "gives one"
                 : "it has no tokens";
    LayerSizes sizes{layer.getOutFeatures(), layer.getInFeatures(),
                     blast.getBOut(), blast.getBIn(), blast.getRank()};
    std::optional<LayerComparison> comparison =
        table.compareWithDense(sizes, count);
    if (!comparison)
      return "the table has none for " + std::to_string(count) + " tokens";
    if (comparison->pays(tolerance)) {
      ++numKept;
      return "";
    }
    IRRewriter rewriter(layer.getOperation());
    ParameterOp weight = createProduct(rewriter, blast);
    if (!weight) {
      ++numKept;
      layer->emitRemark("slower than dense, but its factors are not "
                        "parameters: ")
          << comparison->text;
      return "";
    }
    layer->emitRemark("made dense: ")
        << comparison->text << "; its weight takes "
        << sizes.m * sizes.n * table.getElementBytes() << " bytes instead of "
        << layer.getParameterCount() * table.getElementBytes();
    rewriter.replaceOpWithNewOp<LinearOp>(
        layer, layer->getResultTypes(), layer.getLayerInput(), weight,
        layer.getLayerInit(), layer->getAttrOfType<StringAttr>("layer"),
        PlanAttr());
    ++numExpanded;
    return "";
  }
};
} // namespace
