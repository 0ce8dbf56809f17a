// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "DenseWeight.h"

#include "Structured/Analysis/WeightTracing.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace structured;

static std::string toString(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// The file's name for a tensor type's elements, or nothing.
static std::optional<DType> getDType(Type elementType) {
  return llvm::TypeSwitch<Type, std::optional<DType>>(elementType)
      .Case([](Float32Type) { return DType::F32; })
      .Case([](Float16Type) { return DType::F16; })
      .Case([](BFloat16Type) { return DType::BF16; })
      .Default([](Type) { return std::nullopt; });
}

static HostTensor transpose(const HostTensor &tensor,
                            ArrayRef<int64_t> permutation) {
  size_t rank = permutation.size();
  SmallVector<int64_t> storedStrides(rank, 1), strides(rank), index(rank, 0);
  for (size_t dim = rank; dim-- > 1;)
    storedStrides[dim - 1] = storedStrides[dim] * tensor.shape[dim];
  HostTensor result;
  for (size_t dim = 0; dim < rank; ++dim) {
    result.shape.push_back(tensor.shape[permutation[dim]]);
    strides[dim] = storedStrides[permutation[dim]];
  }
  result.values.resize(tensor.values.size());
  for (float &value : result.values) {
    int64_t offset = 0;
    for (size_t dim = 0; dim < rank; ++dim)
      offset += index[dim] * strides[dim];
    value = tensor.values[offset];
    for (size_t dim = rank; dim-- > 0;) {
      if (++index[dim] < result.shape[dim])
        break;
      index[dim] = 0;
    }
  }
  return result;
}

/// The tensor of that name, which must have the type `type`.
static Result<HostTensor> readParameter(StringRef name, RankedTensorType type,
                                        const WeightsSet &weights) {
  Result<const TensorView *> view = weights.get(name.str());
  if (!view)
    return Error{view.error()};
  ArrayRef<int64_t> shape((*view)->shape);
  if (shape != type.getShape() ||
      (*view)->dtype != getDType(type.getElementType())) {
    std::string stored(getDTypeName((*view)->dtype));
    for (int64_t size : shape)
      stored += " x " + std::to_string(size);
    return Error{"tensor '" + (*view)->name + "' is " + stored +
                 " in the weights file, the model needs " + toString(type)};
  }
  Result<std::vector<float>> values = readFloats(**view);
  // One layer in memory at a time: this one is now in `values`.
  weights.release(**view);
  if (!values)
    return Error{values.error()};
  return HostTensor{llvm::to_vector(shape), std::move(*values)};
}

static Result<HostTensor> readElements(ElementsAttr attr) {
  auto type = cast<ShapedType>(attr.getType());
  HostTensor tensor{llvm::to_vector(type.getShape()), {}};
  if (auto dense = dyn_cast<DenseFPElementsAttr>(attr)) {
    for (APFloat value : dense) {
      bool lossy;
      value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                    &lossy);
      tensor.values.push_back(value.convertToFloat());
    }
    return tensor;
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(attr);
  std::optional<DType> dtype = getDType(type.getElementType());
  AsmResourceBlob *blob =
      resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob || !dtype)
    return Error{"a constant of type " + toString(type) + " holds no numbers"};
  TensorView view{
      resource.getRawHandle().getKey().str(), *dtype,
      std::vector<int64_t>(type.getShape().begin(), type.getShape().end()),
      reinterpret_cast<const std::byte *>(blob->getData().data()),
      blob->getData().size()};
  if (getByteSize(view.dtype, view.shape) != view.bytes)
    return Error{"resource '" + view.name + "' has " +
                 std::to_string(view.bytes) + " bytes, its type " +
                 toString(type) + " needs another number"};
  Result<std::vector<float>> values = readFloats(view);
  if (!values)
    return Error{values.error()};
  tensor.values = std::move(*values);
  return tensor;
}

/// The initial value of an immutable global, or null.
static ElementsAttr getGlobalValue(Operation *op) {
  auto load = dyn_cast<ml_program::GlobalLoadConstOp>(op);
  if (!load)
    return {};
  auto global = SymbolTable::lookupNearestSymbolFrom<ml_program::GlobalOp>(
      op, load.getGlobalAttr());
  if (!global || global.getIsMutable() || !global.getValue())
    return {};
  return dyn_cast<ElementsAttr>(*global.getValue());
}

static Result<HostTensor> readSource(const WeightMatrix &matrix,
                                     const WeightsSet &weights) {
  if (auto parameter = matrix.source.getDefiningOp<ParameterOp>()) {
    if (parameter.getPacking())
      return Error{"its weight is a factor of a GBLR matrix by panels"};
    if (parameter.getProduct())
      return Error{"its weight is a product of factors"};
    Result<HostTensor> tensor =
        readParameter(parameter.getName(), parameter.getStoredType(), weights);
    if (!tensor || !parameter.getPermutation())
      return tensor;
    return transpose(*tensor, *parameter.getPermutation());
  }
  if (matrix.origin.kind == WeightKind::Parameter) // a marked argument
    return readParameter(matrix.origin.name,
                         cast<RankedTensorType>(matrix.source.getType()),
                         weights);
  Operation *op = matrix.source.getDefiningOp();
  ElementsAttr constant = op ? getGlobalValue(op) : ElementsAttr();
  if (constant || matchPattern(matrix.source, m_Constant(&constant)))
    return readElements(constant);
  return Error{"its weight is an argument or another value that holds no "
               "numbers"};
}

Result<HostTensor> structured::readWeight(Value weight,
                                          const WeightsSet &weights) {
  std::optional<WeightMatrix> matrix = traceWeight(weight);
  if (!matrix)
    return Error{"its weight is computed, not a constant or a parameter"};
  Result<HostTensor> source = readSource(*matrix, weights);
  if (!source)
    return source;
  HostTensor dense{{matrix->getNumRows(), matrix->getNumCols()}, {}};
  if (matrix->isRowMajor()) {
    dense.values = std::move(source->values);
    return dense;
  }
  dense.values.reserve(source->values.size());
  for (int64_t row = 0; row < dense.shape[0]; ++row)
    for (int64_t col = 0; col < dense.shape[1]; ++col)
      dense.values.push_back(source->values[matrix->getOffset(row, col)]);
  return dense;
}

bool structured::hasReadableWeight(Value weight) {
  std::optional<WeightMatrix> matrix = traceWeight(weight);
  return matrix && matrix->origin.kind != WeightKind::Argument;
}

std::string structured::getWeightKey(Value weight) {
  std::optional<WeightMatrix> matrix = traceWeight(weight);
  assert(matrix && "the weight must be readable");
  // Two ops that yield the same numbers have the same attributes, which are
  // unique in the context.
  std::string key;
  llvm::raw_string_ostream stream(key);
  if (Operation *op = matrix->source.getDefiningOp())
    stream << op->getName() << op->getAttrDictionary().getAsOpaquePointer();
  else
    stream << matrix->origin.name;
  stream << "+" << matrix->offset;
  for (const DimLayout &layout : {matrix->rows, matrix->cols}) {
    stream << ";";
    for (const LayoutMode &mode : layout)
      stream << mode.size << "@" << mode.stride << ",";
  }
  return key;
}
