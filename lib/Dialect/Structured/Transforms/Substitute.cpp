// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LayerFilter.h"

#include "Structured/Dialect/Structured/IR/Structured.h"
#include "Structured/Dialect/Structured/Transforms/Passes.h"
#include "Structured/Weights/Safetensors.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

namespace structured {
#define GEN_PASS_DEF_SUBSTITUTE
#include "Structured/Dialect/Structured/Transforms/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
struct Substitute : structured::impl::SubstituteBase<Substitute> {
  using SubstituteBase::SubstituteBase;

  void runOnOperation() override {
    if (factors.empty()) {
      getOperation().emitError("structured-substitute: the option 'factors' "
                               "names no file");
      return signalPassFailure();
    }
    Result<LayerFilter> filter = LayerFilter::create("layers", layers);
    if (!filter) {
      getOperation().emitError() << "structured-substitute: " << filter.error();
      return signalPassFailure();
    }
    Result<SafetensorsFile> file = SafetensorsFile::open(factors);
    if (!file) {
      getOperation().emitError(file.error());
      return signalPassFailure();
    }
    WalkResult result = getOperation().walk([&](LinearOp linear) {
      StringAttr layer = linear.getLayerAttr();
      if (!layer) {
        linear.emitRemark("not substituted: the layer has no name");
        return WalkResult::advance();
      }
      if (!filter->empty() && !filter->matches(layer.getValue())) {
        linear.emitRemark("not substituted: the option 'layers' leaves it out");
        return WalkResult::advance();
      }
      return WalkResult(substitute(linear, *file));
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  /// The parameter for the factor `name`; null, with an error, if it is not of
  /// the rank and the layer's element type.
  Value createFactor(OpBuilder &builder, LinearOp linear,
                     const TensorView &tensor, int64_t rank) {
    auto elementType =
        cast<ShapedType>(linear.getWeight().getType()).getElementType();
    DType expected = elementType.isF32()   ? DType::F32
                     : elementType.isF16() ? DType::F16
                                           : DType::BF16;
    if (tensor.dtype != expected ||
        static_cast<int64_t>(tensor.shape.size()) != rank) {
      linear.emitError() << "layer '" << *linear.getLayer() << "': '"
                         << tensor.name << "' in '" << factors << "' must be "
                         << getDTypeName(expected) << " of rank " << rank
                         << ", got " << getDTypeName(tensor.dtype)
                         << " of rank " << tensor.shape.size();
      return {};
    }
    return ParameterOp::create(builder, linear.getLoc(),
                               RankedTensorType::get(tensor.shape, elementType),
                               tensor.name, DenseI64ArrayAttr());
  }

  LogicalResult substitute(LinearOp linear, const SafetensorsFile &file) {
    std::string layer = linear.getLayer()->str();
    auto find = [&](const char *suffix) { return file.find(layer + suffix); };
    const TensorView *u = find(".U"), *s = find(".S"), *vt = find(".Vt");
    const TensorView *gblrU = find(".gblr.U"), *gblrV = find(".gblr.V"),
                     *components = find(".gblr.components");
    bool blast = u || s || vt, gblr = gblrU || gblrV || components;
    if (!blast && !gblr) {
      linear.emitRemark() << "not substituted: '" << factors
                          << "' holds no factors of layer '" << layer << "'";
      return success();
    }
    if (blast && gblr)
      return linear.emitError() << "'" << factors
                                << "' holds both BLAST and GBLR factors of "
                                   "layer '"
                                << layer << "'";
    LogicalResult result =
        blast ? substituteBlast(linear, layer, u, s, vt)
              : substituteGblr(linear, layer, gblrU, gblrV, components);
    if (succeeded(result))
      ++numSubstituted;
    return result;
  }

  LogicalResult emitMissing(LinearOp linear, StringRef layer,
                            StringRef needed) {
    return linear.emitError()
           << "'" << factors << "' holds some but not all factors of layer '"
           << layer << "': it needs " << needed;
  }

  LogicalResult substituteBlast(LinearOp linear, StringRef layer,
                                const TensorView *u, const TensorView *s,
                                const TensorView *vt) {
    if (!u || !s || !vt)
      return emitMissing(linear, layer, ".U, .S and .Vt");
    IRRewriter rewriter(linear);
    Value uValue = createFactor(rewriter, linear, *u, 3);
    Value sValue = createFactor(rewriter, linear, *s, 3);
    Value vtValue = createFactor(rewriter, linear, *vt, 3);
    if (!uValue || !sValue || !vtValue)
      return failure();
    const auto &us = u->shape, &ss = s->shape, &vs = vt->shape;
    bool consistent = us[0] == ss[0] && ss[1] == vs[0] && us[2] == ss[2] &&
                      us[2] == vs[1] && us[2] > 0 &&
                      us[0] * us[1] == linear.getOutFeatures() &&
                      vs[0] * vs[2] == linear.getInFeatures();
    if (!consistent) {
      auto text = [](ArrayRef<int64_t> shape) {
        std::string result;
        llvm::raw_string_ostream stream(result);
        llvm::interleave(shape, stream, " x ");
        return result;
      };
      return linear.emitError()
             << "layer '" << layer << "': factors U " << text(us) << ", S "
             << text(ss) << ", Vt " << text(vs) << " in '" << factors
             << "' do not make up a matrix of " << linear.getOutFeatures()
             << " x " << linear.getInFeatures()
             << "; expected U [b_out, p, r], S [b_out, b_in, r], "
                "Vt [b_in, r, q]";
    }
    rewriter.replaceOpWithNewOp<BlastMatmulOp>(
        linear, linear->getResultTypes(), linear.getInput(), uValue, sValue,
        vtValue, linear.getInit(), linear.getLayerAttr());
    return success();
  }

  LogicalResult substituteGblr(LinearOp linear, StringRef layer,
                               const TensorView *u, const TensorView *v,
                               const TensorView *components) {
    if (!u || !v || !components)
      return emitMissing(linear, layer,
                         ".gblr.U, .gblr.V and .gblr.components");
    if (components->dtype != DType::I64 || components->shape.size() != 2 ||
        components->shape[1] != 5)
      return linear.emitError()
             << "layer '" << layer << "': '" << components->name << "' in '"
             << factors << "' must be I64 of shape K x 5";
    SmallVector<GblrComponentAttr> componentAttrs;
    for (int64_t k = 0; k < components->shape[0]; ++k) {
      int64_t numbers[5];
      std::memcpy(numbers, components->data + k * sizeof(numbers),
                  sizeof(numbers));
      componentAttrs.push_back(GblrComponentAttr::get(&getContext(), numbers[0],
                                                      numbers[1], numbers[2],
                                                      numbers[3], numbers[4]));
    }
    auto emitError = [&] {
      return linear.emitError()
             << "layer '" << layer << "': '" << components->name << "' in '"
             << factors << "': ";
    };
    auto layout = GblrLayoutAttr::getChecked(
        function_ref<InFlightDiagnostic()>(emitError), &getContext(),
        linear.getOutFeatures(), linear.getInFeatures(),
        ArrayRef<GblrComponentAttr>(componentAttrs));
    if (!layout)
      return failure();
    IRRewriter rewriter(linear);
    Value uValue = createFactor(rewriter, linear, *u, 1);
    Value vValue = createFactor(rewriter, linear, *v, 1);
    if (!uValue || !vValue)
      return failure();
    if (u->shape[0] != layout.getUSize() || v->shape[0] != layout.getVSize())
      return linear.emitError()
             << "layer '" << layer << "': the components in '" << factors
             << "' need " << layout.getUSize() << " numbers in U and "
             << layout.getVSize() << " in V, the file has " << u->shape[0]
             << " and " << v->shape[0];
    rewriter.replaceOpWithNewOp<GblrMatmulOp>(
        linear, linear->getResultTypes(), linear.getInput(), uValue, vValue,
        linear.getInit(), layout, linear.getLayerAttr());
    return success();
  }
};
} // namespace
