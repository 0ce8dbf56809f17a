// An opt tool with Structured's dialect and passes, and a pass of its own.

#include "Structured/InitAll.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace structured;

static bool isZero(Attribute attribute) {
  return attribute && matchPattern(attribute, m_AnyZeroFloat());
}

namespace {

#include "SamplePatterns.inc"

/// Any layer whose input is zero yields its init.
struct ZeroInput : OpInterfaceRewritePattern<StructuredLayerOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(StructuredLayerOpInterface layer,
                                PatternRewriter &rewriter) const override {
    if (layer->getNumResults() != 1 ||
        !matchPattern(layer.getLayerInput(), m_AnyZeroFloat()))
      return failure();
    rewriter.replaceOp(layer, layer.getLayerInit());
    return success();
  }
};

#define GEN_PASS_DEF_DROPZEROLAYERS
#define GEN_PASS_REGISTRATION
#include "SamplePasses.h.inc"

struct DropZeroLayers : impl::DropZeroLayersBase<DropZeroLayers> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ZeroInput>(&getContext());
    populateWithGenerated(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

int main(int argc, char **argv) {
  DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  structured::registerAllDialects(registry);
  structured::registerAllPasses();
  registerSamplePasses();
  return asMainReturnCode(MlirOptMain(argc, argv, "Sample\n", registry));
}
