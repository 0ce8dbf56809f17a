//===- WorkDirectory.cpp - Resumable factorisation of layers
//---------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/WorkDirectory.h"

#include "Structured/Weights/Safetensors.h"

#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>

#include <signal.h>

using namespace structured;
namespace fs = std::filesystem;

/// Change it with every change of the algorithms' results.
static constexpr uint64_t algorithmVersion = 1;

static constexpr const char *keyField = "key";
static constexpr const char *errorField = "relative_error";
static constexpr const char *iterationsField = "iterations";

static constexpr char hexDigits[] = "0123456789abcdef";

//===----------------------------------------------------------------------===//
// Names and keys
//===----------------------------------------------------------------------===//

std::string structured::getWorkFile(const std::string &directory,
                                    const std::string &layer) {
  std::string name;
  for (unsigned char byte : layer) {
    bool plain = byte < 0x80 && (std::isalnum(byte) || byte == '_' ||
                                 byte == '-' || (byte == '.' && !name.empty()));
    if (plain) {
      name += static_cast<char>(byte);
    } else {
      name += '%';
      name += hexDigits[byte >> 4];
      name += hexDigits[byte & 15];
    }
  }
  return (fs::path(directory) / (name + ".safetensors")).string();
}

namespace {
/// The 64-bit FNV-1a hash.
class Hash {
public:
  void addBytes(const void *data, size_t count) {
    const auto *bytes = static_cast<const unsigned char *>(data);
    for (size_t i = 0; i < count; ++i)
      state = (state ^ bytes[i]) * 0x100000001b3;
  }
  template <typename T>
  void add(T value) {
    addBytes(&value, sizeof(value));
  }
  std::string getDigits() const {
    std::string digits;
    for (int shift = 60; shift >= 0; shift -= 4)
      digits += hexDigits[(state >> shift) & 15];
    return digits;
  }

private:
  uint64_t state = 0xcbf29ce484222325;
};
} // namespace

template <typename Options>
static void addMoments(Hash &hash, const Options &options) {
  if (!options.inputMoments)
    return;
  MatrixRef moments = options.inputMoments->matrix;
  hash.add(options.damping);
  hash.addBytes(moments.data, moments.rows * moments.cols * sizeof(float));
}

static void addOptions(Hash &hash, const BlastOptions &options) {
  hash.add(options.bOut);
  hash.add(options.bIn);
  hash.add(options.rank);
  hash.add(static_cast<int64_t>(options.method));
  hash.add(options.maxIterations);
  hash.add(options.tolerance);
  hash.add(options.seed);
  addMoments(hash, options);
}

static void addOptions(Hash &hash, const GblrOptions &options) {
  hash.addBytes("gblr", 4);
  hash.add(options.budget);
  hash.add(static_cast<int64_t>(options.method));
  hash.add(options.minComponentParameters);
  hash.add(options.maxIterations);
  hash.add(options.tolerance);
  addMoments(hash, options);
}

/// What the result depends on.
template <typename Options>
static std::string computeKey(MatrixRef weight, const Options &options) {
  Hash hash;
  hash.add(algorithmVersion);
  addOptions(hash, options);
  hash.add(weight.rows);
  hash.add(weight.cols);
  hash.addBytes(weight.data, weight.rows * weight.cols * sizeof(float));
  return hash.getDigits();
}

//===----------------------------------------------------------------------===//
// Work files
//===----------------------------------------------------------------------===//

namespace {
/// A tensor of a work file.
struct FactorTensor {
  TensorDeclaration declaration;
  const void *data;
};

using Components = std::vector<std::array<int64_t, 5>>;
} // namespace

static FactorTensor makeTensor(std::string name, std::vector<int64_t> shape,
                               const std::vector<float> &values) {
  return {{std::move(name), DType::F32, std::move(shape)}, values.data()};
}

static std::vector<FactorTensor>
getTensors(const std::string &layer, const BlastFactors &f, Components &) {
  return {makeTensor(layer + ".U", {f.bOut, f.p, f.r}, f.u),
          makeTensor(layer + ".S", {f.bOut, f.bIn, f.r}, f.s),
          makeTensor(layer + ".Vt", {f.bIn, f.r, f.q}, f.vt)};
}

/// `components` keeps the numbers that the tensor of components refers to.
static std::vector<FactorTensor> getTensors(const std::string &layer,
                                            const GblrFactors &f,
                                            Components &components) {
  for (const GblrComponent &c : f.components)
    components.push_back({c.rowStart, c.rows, c.colStart, c.cols, c.rank});
  return {
      makeTensor(layer + ".gblr.U", {static_cast<int64_t>(f.u.size())}, f.u),
      makeTensor(layer + ".gblr.V", {static_cast<int64_t>(f.v.size())}, f.v),
      {{layer + ".gblr.components",
        DType::I64,
        {static_cast<int64_t>(components.size()), 5}},
       components.data()}};
}

/// The values of a tensor, if it is there, F32 and of that shape.
static std::optional<std::vector<float>>
readTensor(const SafetensorsFile &file, const std::string &name,
           const std::vector<int64_t> &shape) {
  const TensorView *tensor = file.find(name);
  if (!tensor || tensor->dtype != DType::F32 || tensor->shape != shape)
    return std::nullopt;
  Result<std::vector<float>> values = readFloats(*tensor);
  if (!values)
    return std::nullopt;
  return std::move(*values);
}

static std::optional<BlastFactors> readFactors(const SafetensorsFile &file,
                                               const std::string &layer,
                                               MatrixRef weight,
                                               const BlastOptions &options) {
  BlastFactors factors;
  factors.bOut = options.bOut;
  factors.bIn = options.bIn;
  factors.p = weight.rows / options.bOut;
  factors.q = weight.cols / options.bIn;
  factors.r = options.rank;
  auto u = readTensor(file, layer + ".U", {factors.bOut, factors.p, factors.r});
  auto s =
      readTensor(file, layer + ".S", {factors.bOut, factors.bIn, factors.r});
  auto vt =
      readTensor(file, layer + ".Vt", {factors.bIn, factors.r, factors.q});
  if (!u || !s || !vt)
    return std::nullopt;
  factors.u = std::move(*u);
  factors.s = std::move(*s);
  factors.vt = std::move(*vt);
  return factors;
}

static std::optional<GblrFactors> readFactors(const SafetensorsFile &file,
                                              const std::string &layer,
                                              MatrixRef weight,
                                              const GblrOptions &) {
  const TensorView *components = file.find(layer + ".gblr.components");
  if (!components || components->dtype != DType::I64 ||
      components->shape.size() != 2 || components->shape[1] != 5)
    return std::nullopt;
  GblrFactors factors;
  factors.m = weight.rows;
  factors.n = weight.cols;
  int64_t uSize = 0, vSize = 0;
  for (int64_t k = 0; k < components->shape[0]; ++k) {
    int64_t c[5];
    std::memcpy(c, components->data + k * sizeof(c), sizeof(c));
    factors.components.push_back({c[0], c[1], c[2], c[3], c[4]});
    uSize += c[4] * c[1];
    vSize += c[4] * c[3];
  }
  auto u = readTensor(file, layer + ".gblr.U", {uSize});
  auto v = readTensor(file, layer + ".gblr.V", {vSize});
  if (!u || !v)
    return std::nullopt;
  factors.u = std::move(*u);
  factors.v = std::move(*v);
  if (!checkGblrFactors(factors))
    return std::nullopt;
  return factors;
}

/// Numbers in the metadata, whatever the locale.
template <typename T>
static std::string printNumber(T value) {
  char text[32];
  return {text, std::to_chars(text, std::end(text), value).ptr};
}

template <typename T>
static std::optional<T> parseNumber(const std::string &text) {
  T value;
  const char *end = text.data() + text.size();
  auto [next, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || next != end)
    return std::nullopt;
  return value;
}

/// The result in `path`, if it is there, complete and of that key.
template <typename LayerResult, typename Options>
static std::optional<LayerResult>
load(const std::string &path, const std::string &layer, const std::string &key,
     MatrixRef weight, const Options &options) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return std::nullopt;
  auto getField = [&](const char *name) {
    auto found = file->metadata().find(name);
    return found == file->metadata().end() ? std::string() : found->second;
  };
  if (getField(keyField) != key)
    return std::nullopt;
  auto iterations = parseNumber<int64_t>(getField(iterationsField));
  auto recordedError = parseNumber<double>(getField(errorField));
  if (!iterations || !recordedError)
    return std::nullopt;
  auto factors = readFactors(*file, layer, weight, options);
  if (!factors)
    return std::nullopt;

  LayerResult result;
  result.reused = true;
  result.iterations = *iterations;
  result.factors = std::move(*factors);
  // Whatever bytes have changed, this is the error of the factors in hand.
  measure(weight, options, result);
  if (!(std::fabs(result.relativeError - *recordedError) <= 1e-6))
    return std::nullopt;
  return result;
}

template <typename LayerResult>
static Result<void> store(const std::string &path, const std::string &layer,
                          const std::string &key, const LayerResult &result) {
  Components components;
  std::vector<FactorTensor> tensors =
      getTensors(layer, result.factors, components);
  std::vector<TensorDeclaration> declarations;
  for (const FactorTensor &tensor : tensors)
    declarations.push_back(tensor.declaration);
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(
      path, declarations,
      {{keyField, key},
       {errorField, printNumber(result.relativeError)},
       {iterationsField, printNumber(result.iterations)}});
  if (!writer)
    return Error{writer.error()};
  for (const FactorTensor &tensor : tensors) {
    size_t bytes = tensor.declaration.dtype == DType::I64 ? sizeof(int64_t)
                                                          : sizeof(float);
    for (int64_t size : tensor.declaration.shape)
      bytes *= size;
    if (Result<void> done =
            writer->append(tensor.declaration.name, tensor.data, bytes);
        !done)
      return done;
  }
  return writer->finish();
}

/// Removes the temporary files that killed writers of `path` have left.
static void removeStaleTemporaries(const fs::path &path) {
  std::string prefix = path.filename().string() + ".tmp.";
  std::error_code ignored;
  for (fs::directory_iterator entry(path.parent_path(), ignored), end;
       entry != end; entry.increment(ignored)) {
    std::string name = entry->path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0)
      continue;
    auto writer = parseNumber<pid_t>(name.substr(prefix.size()));
    if (writer && *writer > 0 && ::kill(*writer, 0) != 0 && errno == ESRCH)
      fs::remove(entry->path(), ignored);
  }
}

static Result<void> check(MatrixRef weight, const BlastOptions &options) {
  return checkBlast(weight, options);
}

static Result<void> check(MatrixRef weight, const GblrOptions &options) {
  return checkGblr(weight, options);
}

/// `LayerResult` is what `factorize(weight, options, progress)` returns, and
/// `reused`.
template <typename LayerResult, typename Options, typename Factorize>
static Result<LayerResult>
factorizeLayer(const std::string &directory, const std::string &layer,
               MatrixRef weight, const Options &options,
               const ProgressCallback &progress, Factorize factorize) {
  auto fail = [&layer](const std::string &message) {
    return Error{"layer '" + layer + "': " + message};
  };
  if (Result<void> checked = check(weight, options); !checked)
    return fail(checked.error());
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return fail(directory + ": cannot create: " + error.message());
  std::string path = getWorkFile(directory, layer);
  std::string key = computeKey(weight, options);
  if (auto found = load<LayerResult>(path, layer, key, weight, options))
    return std::move(*found);

  removeStaleTemporaries(path);
  auto computed = factorize(weight, options, progress);
  if (!computed)
    return fail(computed.error());
  LayerResult result{std::move(*computed)};
  if (Result<void> stored = store(path, layer, key, result); !stored)
    return fail(stored.error());
  return result;
}

Result<LayerResult> structured::factorizeToDirectory(
    const std::string &directory, const std::string &layer, MatrixRef weight,
    const BlastOptions &options, const ProgressCallback &progress) {
  return factorizeLayer<LayerResult>(directory, layer, weight, options,
                                     progress, factorizeBlast);
}

Result<GblrLayerResult> structured::factorizeToDirectory(
    const std::string &directory, const std::string &layer, MatrixRef weight,
    const GblrOptions &options, const ProgressCallback &progress) {
  return factorizeLayer<GblrLayerResult>(directory, layer, weight, options,
                                         progress, factorizeGblr);
}
