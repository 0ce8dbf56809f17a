// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/StoredWeights.h"
#include "Structured/Dialect/Structured/IR/GblrPanels.h"
#include "Structured/Factorization/Blast.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>

using namespace structured;

static std::string toString(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "[";
  llvm::interleaveComma(shape, stream);
  stream << "]";
  return text;
}

/// The dtype of safetensors with the runtime's name `name`.
static std::optional<DType> getStoredDType(llvm::StringRef name) {
  if (name == "i1")
    return DType::BOOL;
  return parseDType(name.upper());
}

/// The shape of the parameter's source.
static std::vector<int64_t> getSourceShape(const EntryParameter &parameter) {
  if (parameter.packing)
    return {parameter.packing.getSourceSize()};
  std::vector<int64_t> shape = parameter.shape;
  for (auto [dim, source] : llvm::enumerate(parameter.permutation))
    shape[source] = parameter.shape[dim];
  return shape;
}

/// The shape of a part of a concatenation.
static std::vector<int64_t> getPartShape(const EntryParameter &parameter,
                                         ParameterPartAttr part) {
  std::vector<int64_t> shape = getSourceShape(parameter);
  shape[parameter.concatenation.getDim()] = part.getSize();
  return shape;
}

/// Checks that `weights` has the tensor `source` of that shape for a parameter
/// of `entry`, with the parameter's dtype.
static Result<void> checkSource(const Entry &entry,
                                const EntryParameter &parameter,
                                llvm::StringRef source,
                                const std::vector<int64_t> &shape,
                                const WeightsSet &weights) {
  Result<const TensorView *> tensor = weights.get(source.str());
  if (!tensor)
    return Error{tensor.error()};
  if ((*tensor)->dtype == getStoredDType(parameter.dtype) &&
      (*tensor)->shape == shape)
    return {};
  return Error{"parameter '" + source.str() + "' of '" + entry.name + "' is " +
               parameter.dtype + toString(shape) + " in the model, but " +
               std::string(getDTypeName((*tensor)->dtype)) +
               toString((*tensor)->shape) + " in the weights"};
}

/// Checks the factors of a product of that shape in the same way.
static Result<void> checkFactors(const Entry &entry,
                                 const EntryParameter &parameter,
                                 BlastProductAttr product,
                                 const std::vector<int64_t> &shape,
                                 const WeightsSet &weights) {
  int64_t bOut = product.getBOut(), bIn = product.getBIn(),
          rank = product.getRank();
  const std::pair<mlir::StringAttr, std::vector<int64_t>> factors[] = {
      {product.getU(), {bOut, shape[0] / bOut, rank}},
      {product.getS(), {bOut, bIn, rank}},
      {product.getVt(), {bIn, rank, shape[1] / bIn}}};
  for (const auto &[name, factorShape] : factors)
    if (Result<void> checked =
            checkSource(entry, parameter, name, factorShape, weights);
        !checked)
      return checked;
  return {};
}

Result<void> structured::checkParameters(llvm::ArrayRef<Entry> entries,
                                         const WeightsSet &weights) {
  for (const Entry &entry : entries)
    for (const EntryParameter &parameter : entry.parameters) {
      if (parameter.constant)
        continue;
      auto check = [&](llvm::StringRef name, BlastProductAttr product,
                       const std::vector<int64_t> &shape) {
        return product ? checkFactors(entry, parameter, product, shape, weights)
                       : checkSource(entry, parameter, name, shape, weights);
      };
      Result<void> checked;
      if (parameter.concatenation) {
        for (ParameterPartAttr part : parameter.concatenation.getParts())
          if (checked)
            checked = check(part.getName(), part.getProduct(),
                            getPartShape(parameter, part));
      } else {
        checked = check(parameter.source, parameter.product,
                        getSourceShape(parameter));
      }
      if (!checked)
        return checked;
    }
  return {};
}

/// Copies the row-major tensor `source` to `target`, dimension i of which is
/// dimension permutation[i] of the source. `shape` is the target's.
template <typename T>
static void permute(const std::byte *source, std::byte *target,
                    llvm::ArrayRef<int64_t> shape,
                    llvm::ArrayRef<int64_t> permutation) {
  size_t rank = shape.size();
  llvm::SmallVector<int64_t> sourceShape(rank), sourceStride(rank),
      stride(rank);
  for (size_t i = 0; i < rank; ++i)
    sourceShape[permutation[i]] = shape[i];
  int64_t size = 1;
  for (size_t i = rank; i-- > 0;) {
    sourceStride[i] = size;
    size *= sourceShape[i];
  }
  for (size_t i = 0; i < rank; ++i)
    stride[i] = sourceStride[permutation[i]];

  llvm::SmallVector<int64_t> index(rank, 0);
  int64_t inner = shape.back(), innerStride = stride.back();
  for (int64_t done = 0; done < size; done += inner) {
    int64_t offset = 0;
    for (size_t i = 0; i + 1 < rank; ++i)
      offset += index[i] * stride[i];
    for (int64_t i = 0; i < inner; ++i)
      std::memcpy(target + (done + i) * sizeof(T),
                  source + (offset + i * innerStride) * sizeof(T), sizeof(T));
    for (size_t i = rank - 1; i-- > 0;) {
      if (++index[i] < shape[i])
        break;
      index[i] = 0;
    }
  }
}

static std::vector<std::byte> permute(const TensorView &tensor,
                                      const EntryParameter &parameter) {
  std::vector<std::byte> bytes(tensor.bytes);
  switch (getByteWidth(tensor.dtype)) {
  case 1:
    permute<uint8_t>(tensor.data, bytes.data(), parameter.shape,
                     parameter.permutation);
    break;
  case 2:
    permute<uint16_t>(tensor.data, bytes.data(), parameter.shape,
                      parameter.permutation);
    break;
  case 4:
    permute<uint32_t>(tensor.data, bytes.data(), parameter.shape,
                      parameter.permutation);
    break;
  default:
    permute<uint64_t>(tensor.data, bytes.data(), parameter.shape,
                      parameter.permutation);
    break;
  }
  return bytes;
}

/// The elements of a constant, row-major.
static std::vector<std::byte> getBytes(const EntryParameter &parameter) {
  size_t width = getByteWidth(*getStoredDType(parameter.dtype));
  std::vector<std::byte> bytes;
  bytes.reserve(parameter.constant.getNumElements() * width);
  auto append = [&](const llvm::APInt &bits) {
    uint64_t value = bits.getZExtValue();
    for (size_t i = 0; i < width; ++i)
      bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  if (mlir::isa<mlir::FloatType>(parameter.constant.getElementType()))
    for (const llvm::APFloat &value :
         parameter.constant.getValues<llvm::APFloat>())
      append(value.bitcastToAPInt());
  else
    for (const llvm::APInt &value : parameter.constant.getValues<llvm::APInt>())
      append(value);
  return bytes;
}

/// The factor `tensor` by panels.
static Result<std::vector<std::byte>> pack(const TensorView &tensor,
                                           const EntryParameter &parameter) {
  GblrPackingAttr packing = parameter.packing;
  GblrPanels panels = GblrPanels::compute(
      packing.getLayout(), packing.getVWidth(), packing.getUWidth(),
      packing.getColumns(), packing.getOrder());
  bool isV = packing.getFactor() == GblrFactor::V;
  const PanelPattern &pattern = isV ? panels.v : panels.u;
  if (parameter.shape[0] != static_cast<int64_t>(pattern.coordinates.size()))
    return Error{"parameter '" + parameter.source + "' has " +
                 std::to_string(parameter.shape[0]) +
                 " blocks in the model, but its layout gives " +
                 std::to_string(pattern.coordinates.size())};
  size_t width = getByteWidth(tensor.dtype);
  std::vector<std::byte> bytes(pattern.getValueCount() * width);
  for (const PackedRun &run : isV ? panels.vRuns : panels.uRuns)
    for (int64_t i = 0; i < run.size; ++i)
      std::memcpy(bytes.data() + (run.target + i * run.stride) * width,
                  tensor.data + (run.source + i) * width, width);
  return bytes;
}

/// The dense matrix of BLAST factors, row-major, rounded once.
static Result<std::vector<std::byte>>
multiply(BlastProductAttr product, const std::vector<int64_t> &shape,
         DType dtype, const WeightsSet &weights) {
  BlastFactors factors;
  factors.bOut = product.getBOut();
  factors.bIn = product.getBIn();
  factors.p = shape[0] / factors.bOut;
  factors.q = shape[1] / factors.bIn;
  factors.r = product.getRank();
  const std::pair<mlir::StringAttr, std::vector<float> *> parts[] = {
      {product.getU(), &factors.u},
      {product.getS(), &factors.s},
      {product.getVt(), &factors.vt}};
  for (auto [name, values] : parts) {
    const TensorView &tensor = *weights.find(name.str());
    Result<std::vector<float>> numbers = readFloats(tensor);
    if (!numbers)
      return Error{numbers.error()};
    *values = std::move(*numbers);
    weights.release(tensor);
  }
  std::vector<float> matrix = reconstruct(factors);
  return encodeFloats(dtype, matrix.data(), matrix.size());
}

/// A tensor of the weights, or a product, whose numbers `storage` takes.
static Result<TensorView> load(llvm::StringRef name, BlastProductAttr product,
                               const std::vector<int64_t> &shape, DType dtype,
                               const WeightsSet &weights,
                               std::vector<std::byte> &storage) {
  if (!product)
    return *weights.find(name.str());
  Result<std::vector<std::byte>> bytes =
      multiply(product, shape, dtype, weights);
  if (!bytes)
    return Error{bytes.error()};
  storage = std::move(*bytes);
  return TensorView{name.str(), dtype, shape, storage.data(), storage.size()};
}

/// The parts of a concatenation, put together in `storage`.
static Result<TensorView> concatenate(const EntryParameter &parameter,
                                      const WeightsSet &weights,
                                      std::vector<std::byte> &storage) {
  ConcatenationAttr concatenation = parameter.concatenation;
  DType dtype = *getStoredDType(parameter.dtype);
  std::vector<int64_t> shape = getSourceShape(parameter);
  // The dimensions before that of the concatenation, and what lies behind each
  // step along it, in bytes.
  size_t outer = 1, step = getByteWidth(dtype);
  for (auto [dim, size] : llvm::enumerate(shape)) {
    auto index = static_cast<int64_t>(dim);
    if (index < concatenation.getDim())
      outer *= size;
    else if (index > concatenation.getDim())
      step *= size;
  }
  size_t row = shape[concatenation.getDim()] * step;
  storage.resize(outer * row);
  size_t offset = 0;
  for (ParameterPartAttr part : concatenation.getParts()) {
    std::vector<std::byte> productBytes;
    Result<TensorView> tensor =
        load(part.getName(), part.getProduct(), getPartShape(parameter, part),
             dtype, weights, productBytes);
    if (!tensor)
      return tensor;
    size_t partRow = part.getSize() * step;
    for (size_t i = 0; i < outer; ++i)
      std::memcpy(storage.data() + i * row + offset, tensor->data + i * partRow,
                  partRow);
    offset += partRow;
    if (!part.getProduct())
      weights.release(*tensor);
  }
  return TensorView{parameter.source, dtype, shape, storage.data(),
                    storage.size()};
}

Result<SafetensorsWriter>
structured::writeParameters(llvm::ArrayRef<Entry> entries,
                            const WeightsSet &weights,
                            const std::string &path) {
  std::vector<const EntryParameter *> parameters;
  llvm::StringMap<const EntryParameter *> seen;
  for (const Entry &entry : entries)
    for (const EntryParameter &parameter : entry.parameters)
      if (seen.try_emplace(parameter.name, &parameter).second)
        parameters.push_back(&parameter);
  // Wider types first: the format allows no padding.
  llvm::stable_sort(parameters, [](const auto *a, const auto *b) {
    return getByteWidth(*getStoredDType(a->dtype)) >
           getByteWidth(*getStoredDType(b->dtype));
  });
  std::vector<TensorDeclaration> declarations;
  for (const EntryParameter *parameter : parameters)
    declarations.push_back(
        {parameter->name, *getStoredDType(parameter->dtype), parameter->shape});
  Result<SafetensorsWriter> writer =
      SafetensorsWriter::create(path, declarations);
  if (!writer)
    return writer;
  for (const EntryParameter *parameter : parameters) {
    Result<void> appended;
    if (parameter->constant) {
      std::vector<std::byte> bytes = getBytes(*parameter);
      appended = writer->append(parameter->name, bytes.data(), bytes.size());
      if (!appended)
        return Error{appended.error()};
      continue;
    }
    // One product or concatenation in memory at a time.
    std::vector<std::byte> storage;
    Result<TensorView> loaded =
        parameter->concatenation
            ? concatenate(*parameter, weights, storage)
            : load(parameter->source, parameter->product,
                   getSourceShape(*parameter),
                   *getStoredDType(parameter->dtype), weights, storage);
    if (!loaded)
      return Error{loaded.error()};
    const TensorView &tensor = *loaded;
    if (parameter->packing) {
      Result<std::vector<std::byte>> bytes = pack(tensor, *parameter);
      if (!bytes)
        return Error{bytes.error()};
      appended = writer->append(parameter->name, bytes->data(), bytes->size());
    } else if (parameter->permutation.empty() || tensor.bytes == 0) {
      appended = writer->append(parameter->name, tensor.data, tensor.bytes);
    } else {
      std::vector<std::byte> bytes = permute(tensor, *parameter);
      appended = writer->append(parameter->name, bytes.data(), bytes.size());
    }
    if (!appended)
      return Error{appended.error()};
  }
  return writer;
}
