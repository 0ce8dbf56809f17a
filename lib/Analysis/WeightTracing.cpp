// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Analysis/WeightTracing.h"

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace structured;

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

static constexpr int64_t kDynamic = ShapedType::kDynamic;

DimLayout structured::coalesce(ArrayRef<LayoutMode> modes) {
  DimLayout merged;
  for (LayoutMode mode : modes) {
    if (mode.size == 1)
      continue;
    if (merged.empty()) {
      merged.push_back(mode);
      continue;
    }
    LayoutMode &last = merged.back();
    bool dynamic = mode.size == kDynamic || last.size == kDynamic;
    if (mode.isBroadcast() && last.isBroadcast())
      last.size = dynamic ? kDynamic : last.size * mode.size;
    else if (!dynamic && mode.stride != kDynamic && last.stride != kDynamic &&
             !mode.isBroadcast() && last.stride == mode.stride * mode.size)
      last = {last.size * mode.size, mode.stride};
    else
      merged.push_back(mode);
  }
  return merged;
}

/// The number of positions of a layout without dynamic modes.
static int64_t getSize(ArrayRef<LayoutMode> modes) {
  int64_t size = 1;
  for (LayoutMode mode : modes)
    size *= mode.size;
  return size;
}

/// The layouts of the dimensions of sizes `shape` into which a dimension with
/// the layout `modes` is expanded; failure where they cut across a mode.
static FailureOr<SmallVector<DimLayout>> expand(ArrayRef<LayoutMode> modes,
                                                ArrayRef<int64_t> shape) {
  SmallVector<DimLayout> dims(shape.size());
  if (llvm::all_of(modes, [](LayoutMode m) { return m.isBroadcast(); })) {
    for (auto [dim, size] : llvm::zip_equal(dims, shape))
      dim = coalesce(LayoutMode{size, 0});
    return dims;
  }
  SmallVector<LayoutMode> rest(modes);
  for (size_t i = shape.size(); i-- > 0;) {
    int64_t wanted = shape[i];
    if (wanted == kDynamic)
      return failure();
    SmallVector<LayoutMode> taken; // from the fastest to the slowest
    while (wanted > 1) {
      if (rest.empty() || rest.back().size < 1 || // dynamic or no elements
          rest.back().stride == kDynamic)
        return failure();
      LayoutMode &mode = rest.back();
      if (wanted % mode.size == 0) {
        wanted /= mode.size;
        taken.push_back(mode);
        rest.pop_back();
      } else if (mode.size % wanted == 0) {
        taken.push_back({wanted, mode.stride});
        mode = {mode.size / wanted, mode.stride * wanted};
        wanted = 1;
      } else {
        return failure();
      }
    }
    if (wanted != 1) // a tensor without elements
      return failure();
    dims[i] = coalesce(llvm::to_vector(llvm::reverse(taken)));
  }
  return dims;
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

/// The view of a tensor as its own source.
static TracedTensor getSourceView(Value source) {
  auto type = cast<RankedTensorType>(source.getType());
  TracedTensor view{source, type.getElementType(), {}, 0};
  view.dims.resize(type.getRank());
  int64_t stride = 1;
  for (int64_t i = type.getRank(); i-- > 0;) {
    int64_t size = type.getDimSize(i);
    view.dims[i] = coalesce(LayoutMode{size, stride});
    bool dynamic = size == kDynamic || stride == kDynamic;
    stride = dynamic ? kDynamic : stride * size;
  }
  return view;
}

/// The input that `op`'s body yields, unchanged but for one conversion between
/// floating-point types at most; null if the body does anything else.
static OpOperand *getMovedInput(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op->getNumResults() != 1)
    return nullptr;
  Value yielded = op.getBlock()->getTerminator()->getOperand(0);
  if (Operation *cast = yielded.getDefiningOp())
    if (isa<arith::ExtFOp, arith::TruncFOp>(cast))
      yielded = cast->getOperand(0);
  auto argument = dyn_cast<BlockArgument>(yielded);
  if (!argument || argument.getOwner() != op.getBlock())
    return nullptr;
  OpOperand *operand = op.getMatchingOpOperand(argument);
  return op.isDpsInput(operand) ? operand : nullptr;
}

/// The view after a conversion to `elementType`; nothing if the element would
/// be rounded to one type and then be converted to another.
static std::optional<TracedTensor> convert(TracedTensor view,
                                           Type elementType) {
  if (view.elementType == elementType)
    return view;
  Type sourceType =
      cast<RankedTensorType>(view.source.getType()).getElementType();
  auto isWiderThan = [](Type a, Type b) {
    return a.getIntOrFloatBitWidth() > b.getIntOrFloatBitWidth();
  };
  if (!isa<FloatType>(sourceType) || isWiderThan(sourceType, view.elementType))
    return std::nullopt;
  view.elementType = elementType;
  return view;
}

/// The view of the result of an op whose body yields an input.
static std::optional<TracedTensor> traceLinalgOp(linalg::LinalgOp op,
                                                 bool throughSlices) {
  OpOperand *operand = getMovedInput(op);
  if (!operand || !isa<RankedTensorType>(operand->get().getType()))
    return std::nullopt;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  AffineMap inMap = op.getMatchingIndexingMap(operand);
  AffineMap outMap = op.getIndexingMapMatchingResult(op->getResult(0));
  if (!inMap.isProjectedPermutation(/*allowZeroInResults=*/true) ||
      !outMap.isProjectedPermutation(/*allowZeroInResults=*/true) ||
      op.getNumReductionLoops() != 0)
    return std::nullopt;

  std::optional<TracedTensor> view =
      convert(traceView(operand->get(), throughSlices), type.getElementType());
  if (!view)
    return std::nullopt;
  SmallVector<DimLayout> dims;
  for (auto [expr, size] :
       llvm::zip_equal(outMap.getResults(), type.getShape())) {
    std::optional<unsigned> from;
    if (isa<AffineDimExpr>(expr))
      from = inMap.getResultPosition(expr);
    if (from)
      dims.push_back(view->dims[*from]);
    else
      dims.push_back(coalesce(LayoutMode{size, 0}));
  }
  view->dims = std::move(dims);
  return view;
}

/// The view of `type`'s shape of the elements of `source` in row-major order.
static std::optional<TracedTensor>
traceReshape(Value source, RankedTensorType type, bool throughSlices) {
  TracedTensor view = traceView(source, throughSlices);
  SmallVector<LayoutMode> modes;
  for (const DimLayout &dim : view.dims)
    modes.append(dim.begin(), dim.end());
  FailureOr<SmallVector<DimLayout>> dims =
      expand(coalesce(modes), type.getShape());
  if (failed(dims))
    return std::nullopt;
  view.dims = std::move(*dims);
  return view;
}

/// The view of a slice at static places: failure where it cuts across a
/// dimension that is no single run.
static std::optional<TracedTensor> traceSlice(tensor::ExtractSliceOp op) {
  if (ShapedType::isDynamicShape(op.getStaticOffsets()) ||
      ShapedType::isDynamicShape(op.getStaticSizes()) ||
      ShapedType::isDynamicShape(op.getStaticStrides()))
    return std::nullopt;
  TracedTensor view = traceView(op.getSource(), /*throughSlices=*/true);
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<DimLayout> dims;
  for (auto [i, modes] : llvm::enumerate(view.dims)) {
    int64_t offset = op.getStaticOffset(i), size = op.getStaticSize(i);
    int64_t step = op.getStaticStride(i);
    bool isAll = size == op.getSourceType().getDimSize(i); // from 0 by 1
    DimLayout sliced = modes;
    if (!isAll && !modes.empty()) {
      if (modes.size() > 1 || ShapedType::isDynamic(modes[0].stride))
        return std::nullopt;
      view.offset += offset * modes[0].stride;
      sliced = coalesce(LayoutMode{size, step * modes[0].stride});
    }
    if (!dropped[i])
      dims.push_back(sliced);
  }
  view.dims = std::move(dims);
  return view;
}

static std::optional<TracedTensor> traceProducer(Operation *op,
                                                 bool throughSlices) {
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return traceLinalgOp(linalgOp, throughSlices);
  if (isa<arith::ExtFOp, arith::TruncFOp>(op)) { // on tensors
    if (!isa<RankedTensorType>(op->getOperand(0).getType()))
      return std::nullopt;
    return convert(traceView(op->getOperand(0), throughSlices),
                   getElementTypeOrSelf(op->getResult(0).getType()));
  }
  if (auto castOp = dyn_cast<tensor::CastOp>(op)) {
    if (!isa<RankedTensorType>(castOp.getSource().getType()))
      return std::nullopt;
    return traceView(castOp.getSource(), throughSlices);
  }
  if (auto collapseOp = dyn_cast<tensor::CollapseShapeOp>(op)) {
    TracedTensor view = traceView(collapseOp.getSrc(), throughSlices);
    SmallVector<DimLayout> dims;
    for (const ReassociationIndices &group :
         collapseOp.getReassociationIndices()) {
      SmallVector<LayoutMode> modes;
      for (int64_t i : group)
        modes.append(view.dims[i].begin(), view.dims[i].end());
      dims.push_back(coalesce(modes));
    }
    view.dims = std::move(dims);
    return view;
  }
  if (auto expandOp = dyn_cast<tensor::ExpandShapeOp>(op)) {
    TracedTensor view = traceView(expandOp.getSrc(), throughSlices);
    SmallVector<DimLayout> dims(expandOp.getResultType().getRank());
    for (auto [modes, group] :
         llvm::zip_equal(view.dims, expandOp.getReassociationIndices())) {
      SmallVector<int64_t> shape;
      for (int64_t i : group)
        shape.push_back(expandOp.getResultType().getDimSize(i));
      FailureOr<SmallVector<DimLayout>> expanded = expand(modes, shape);
      if (failed(expanded))
        return std::nullopt;
      for (auto [i, dim] : llvm::zip_equal(group, *expanded))
        dims[i] = dim;
    }
    view.dims = std::move(dims);
    return view;
  }
  if (auto reshapeOp = dyn_cast<tensor::ReshapeOp>(op)) {
    auto type = dyn_cast<RankedTensorType>(reshapeOp.getResult().getType());
    if (!type || !type.hasStaticShape() ||
        !isa<RankedTensorType>(reshapeOp.getSource().getType()))
      return std::nullopt;
    return traceReshape(reshapeOp.getSource(), type, throughSlices);
  }
  if (auto sliceOp = dyn_cast<tensor::ExtractSliceOp>(op)) {
    // As many elements as the source has: it is all of it.
    RankedTensorType from = sliceOp.getSourceType(), to = sliceOp.getType();
    if (from.hasStaticShape() && to.hasStaticShape() &&
        from.getNumElements() == to.getNumElements())
      return traceReshape(sliceOp.getSource(), to, throughSlices);
    return throughSlices ? traceSlice(sliceOp) : std::nullopt;
  }
  return std::nullopt;
}

TracedTensor structured::traceView(Value tensor, bool throughSlices) {
  if (Operation *op = tensor.getDefiningOp())
    if (std::optional<TracedTensor> view = traceProducer(op, throughSlices))
      return std::move(*view);
  return getSourceView(tensor);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static std::optional<WeightSource> getArgumentSource(BlockArgument argument) {
  auto function =
      dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp());
  if (!function || !argument.getOwner()->isEntryBlock())
    return std::nullopt;
  unsigned index = argument.getArgNumber();
  if (auto name =
          function.getArgAttrOfType<StringAttr>(index, kParameterAttrName))
    return WeightSource{WeightKind::Parameter, name.str()};
  return WeightSource{WeightKind::Argument,
                      (function.getName() + ".arg" + Twine(index)).str()};
}

/// The name of the ml_program global `symbol` if it is never written.
static std::optional<WeightSource> getProgramGlobal(Operation *load,
                                                    SymbolRefAttr symbol) {
  auto global =
      SymbolTable::lookupNearestSymbolFrom<ml_program::GlobalOp>(load, symbol);
  if (!global || global.getIsMutable())
    return std::nullopt;
  return WeightSource{WeightKind::Global, global.getSymName().str()};
}

std::optional<WeightSource> structured::getWeightSource(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return getArgumentSource(argument);
  Operation *op = value.getDefiningOp();
  if (isa<tensor::ExtractSliceOp>(op)) {
    Value source = traceView(value, /*throughSlices=*/true).source;
    return source == value ? std::nullopt : getWeightSource(source);
  }
  if (auto parameter = dyn_cast<ParameterOp>(op))
    return WeightSource{WeightKind::Parameter, parameter.getName().str()};
  if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op))
    return getProgramGlobal(load, load.getGlobal());
  if (auto load = dyn_cast<ml_program::GlobalLoadConstOp>(op))
    return getProgramGlobal(load, load.getGlobal());
  if (auto load = dyn_cast<ml_program::GlobalLoadGraphOp>(op))
    return getProgramGlobal(load, load.getGlobal());
  if (auto toTensor = dyn_cast<bufferization::ToTensorOp>(op)) {
    auto get = toTensor.getBuffer().getDefiningOp<memref::GetGlobalOp>();
    if (!get)
      return std::nullopt;
    auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
        get, get.getNameAttr());
    if (!global || !global.getConstant())
      return std::nullopt;
    return WeightSource{WeightKind::Global, global.getSymName().str()};
  }
  Attribute constant;
  if (op->hasTrait<OpTrait::ConstantLike>() &&
      matchPattern(op, m_Constant(&constant))) {
    std::string name;
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant))
      name = resource.getRawHandle().getKey().str();
    return WeightSource{WeightKind::Constant, name};
  }
  return std::nullopt;
}

int64_t WeightMatrix::getNumRows() const { return getSize(rows); }
int64_t WeightMatrix::getNumCols() const { return getSize(cols); }

static int64_t getModesOffset(ArrayRef<LayoutMode> modes, int64_t index) {
  int64_t offset = 0;
  for (LayoutMode mode : llvm::reverse(modes)) {
    offset += index % mode.size * mode.stride;
    index /= mode.size;
  }
  return offset;
}

int64_t WeightMatrix::getOffset(int64_t row, int64_t col) const {
  return offset + getModesOffset(rows, row) + getModesOffset(cols, col);
}

/// Whether `slow` and `fast`, one after the other, are one run.
static bool isOneRun(ArrayRef<LayoutMode> slow, ArrayRef<LayoutMode> fast) {
  SmallVector<LayoutMode> modes(slow);
  modes.append(fast.begin(), fast.end());
  DimLayout merged = coalesce(modes);
  return merged.empty() || (merged.size() == 1 && merged[0].stride == 1);
}

bool WeightMatrix::coversSource() const {
  return getNumRows() * getNumCols() ==
         cast<RankedTensorType>(source.getType()).getNumElements();
}
bool WeightMatrix::isRowMajor() const {
  return coversSource() && isOneRun(rows, cols);
}
bool WeightMatrix::isTransposed() const {
  return coversSource() && isOneRun(cols, rows);
}

std::optional<WeightMatrix>
structured::getWeightMatrix(const TracedTensor &view, ArrayRef<LayoutMode> rows,
                            ArrayRef<LayoutMode> cols) {
  std::optional<WeightSource> origin = getWeightSource(view.source);
  auto type = cast<RankedTensorType>(view.source.getType());
  if (!origin || !type.hasStaticShape())
    return std::nullopt;
  // A mode must step over all that the faster ones reach.
  SmallVector<LayoutMode> modes(rows);
  modes.append(cols.begin(), cols.end());
  llvm::sort(modes,
             [](LayoutMode a, LayoutMode b) { return a.stride < b.stride; });
  int64_t reached = 0;
  for (LayoutMode mode : modes) {
    if (mode.size == 1)
      continue;
    if (mode.stride <= reached)
      return std::nullopt;
    reached += (mode.size - 1) * mode.stride;
  }
  return WeightMatrix{view.source,    std::move(*origin), view.elementType,
                      coalesce(rows), coalesce(cols),     view.offset};
}

std::optional<WeightMatrix> structured::traceWeight(Value matrix) {
  auto type = dyn_cast<RankedTensorType>(matrix.getType());
  if (!type || type.getRank() != 2 || !type.hasStaticShape())
    return std::nullopt;
  TracedTensor view = traceView(matrix, /*throughSlices=*/true);
  return getWeightMatrix(view, view.dims[0], view.dims[1]);
}
