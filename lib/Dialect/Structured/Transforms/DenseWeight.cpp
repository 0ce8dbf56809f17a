// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "DenseWeight.h"

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
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

static Result<HostTensor> readParameter(ParameterOp parameter,
                                        const WeightsSet &weights) {
  Result<const TensorView *> view = weights.get(parameter.getName());
  if (!view)
    return Error{view.error()};
  RankedTensorType type = parameter.getStoredType();
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
  if (!values)
    return Error{values.error()};
  HostTensor tensor{llvm::to_vector(shape), std::move(*values)};
  if (std::optional<ArrayRef<int64_t>> permutation = parameter.getPermutation())
    return transpose(tensor, *permutation);
  return tensor;
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

Result<HostTensor> structured::readWeight(Value weight,
                                          const WeightsSet &weights) {
  Operation *op = weight.getDefiningOp();
  if (!op)
    return Error{"the weight is an argument that names no parameter"};
  ElementsAttr constant = getGlobalValue(op);
  if (constant || matchPattern(op, m_Constant(&constant)))
    return readElements(constant);

  auto reshape = [&](Value source,
                     ArrayRef<int64_t> shape) -> Result<HostTensor> {
    Result<HostTensor> tensor = readWeight(source, weights);
    if (tensor)
      tensor->shape.assign(shape.begin(), shape.end());
    return tensor;
  };
  return llvm::TypeSwitch<Operation *, Result<HostTensor>>(op)
      .Case([&](ParameterOp parameter) {
        return readParameter(parameter, weights);
      })
      .Case([&](linalg::TransposeOp transposeOp) -> Result<HostTensor> {
        Result<HostTensor> tensor = readWeight(transposeOp.getInput(), weights);
        if (!tensor)
          return tensor;
        return transpose(*tensor, transposeOp.getPermutation());
      })
      .Case<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp>(
          [&](auto reshapeOp) -> Result<HostTensor> {
            auto type = cast<RankedTensorType>(reshapeOp.getType());
            if (!type.hasStaticShape())
              return Error{"the weight passes through a tensor of dynamic "
                           "shape " +
                           toString(type)};
            return reshape(reshapeOp->getOperand(0), type.getShape());
          })
      .Default([](Operation *other) -> Result<HostTensor> {
        return Error{"the weight comes from '" +
                     other->getName().getStringRef().str() +
                     "', which is not evaluated"};
      });
}

std::string structured::getWeightKey(Value weight) {
  // Ops on a weight's way have one tensor source (operand 0); what they do is
  // in their attributes, which are unique in the context, and result type.
  std::string key;
  llvm::raw_string_ostream stream(key);
  while (Operation *op = weight.getDefiningOp()) {
    stream << op->getName() << op->getAttrDictionary().getAsOpaquePointer()
           << weight.getType() << ";";
    if (op->getNumOperands() == 0)
      return key;
    weight = op->getOperand(0);
  }
  stream << weight.getAsOpaquePointer();
  return key;
}
