// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_TILELAYERS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct TileLayers : structured::impl::TileLayersBase<TileLayers> {
  using TileLayersBase::TileLayersBase;

  void runOnOperation() override {
    if (tokens < 1) {
      getOperation()->emitError(
          "structured-tile-layers needs a tile of at least one token");
      return signalPassFailure();
    }
    SmallVector<StructuredLayerOpInterface> layers;
    getOperation()->walk([&](StructuredLayerOpInterface layer) {
      if (layer.getStructureKind() != StructureKind::Dense)
        layers.push_back(layer);
    });
    for (StructuredLayerOpInterface layer : layers)
      if (failed(tile(layer)))
        return signalPassFailure();
  }

  LogicalResult tile(StructuredLayerOpInterface layer) {
    if (layer->getNumResults() == 0) {
      layer->emitRemark("not tiled: its operands are memrefs; run the pass "
                        "before bufferization");
      return success();
    }
    int64_t count =
        cast<ShapedType>(layer.getLayerInit().getType()).getDimSize(0);
    if (ShapedType::isStatic(count) && count <= tokens)
      return success();
    IRRewriter rewriter(layer);
    scf::SCFTilingOptions options;
    options.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
    auto tiled = cast<TilingInterface>(layer.getOperation());
    SmallVector<OpFoldResult> sizes(tiled.getLoopIteratorTypes().size(),
                                    rewriter.getIndexAttr(0));
    sizes[0] = rewriter.getIndexAttr(tokens);
    options.setTileSizes(sizes);
    FailureOr<scf::SCFTilingResult> result =
        scf::tileUsingSCF(rewriter, tiled, options);
    if (failed(result))
      return layer->emitError("cannot be tiled");
    rewriter.replaceOp(layer, result->replacements);
    ++numTiled;
    return success();
  }
};
} // namespace
