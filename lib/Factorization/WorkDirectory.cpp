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

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
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

/// What the result depends on.
static std::string computeKey(MatrixRef weight, const BlastOptions &options) {
  Hash hash;
  hash.add(algorithmVersion);
  hash.add(options.bOut);
  hash.add(options.bIn);
  hash.add(options.rank);
  hash.add(static_cast<int64_t>(options.method));
  hash.add(options.maxIterations);
  hash.add(options.tolerance);
  hash.add(options.seed);
  hash.add(weight.rows);
  hash.add(weight.cols);
  hash.addBytes(weight.data, weight.rows * weight.cols * sizeof(float));
  return hash.getDigits();
}

//===----------------------------------------------------------------------===//
// Work files
//===----------------------------------------------------------------------===//

static std::vector<TensorDeclaration> declareFactors(const std::string &layer,
                                                     const BlastFactors &f) {
  return {{layer + ".U", DType::F32, {f.bOut, f.p, f.r}},
          {layer + ".S", DType::F32, {f.bOut, f.bIn, f.r}},
          {layer + ".Vt", DType::F32, {f.bIn, f.r, f.q}}};
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
static std::optional<LayerResult> load(const std::string &path,
                                       const std::string &layer,
                                       const std::string &key, MatrixRef weight,
                                       const BlastOptions &options) {
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

  LayerResult result;
  result.reused = true;
  result.iterations = *iterations;
  BlastFactors &factors = result.factors;
  factors.bOut = options.bOut;
  factors.bIn = options.bIn;
  factors.p = weight.rows / options.bOut;
  factors.q = weight.cols / options.bIn;
  factors.r = options.rank;
  std::vector<float> *targets[] = {&factors.u, &factors.s, &factors.vt};
  size_t index = 0;
  for (const TensorDeclaration &declared : declareFactors(layer, factors)) {
    const TensorView *tensor = file->find(declared.name);
    if (!tensor || tensor->dtype != declared.dtype ||
        tensor->shape != declared.shape)
      return std::nullopt;
    Result<std::vector<float>> values = readFloats(*tensor);
    if (!values)
      return std::nullopt;
    *targets[index++] = std::move(*values);
  }
  // Whatever bytes have changed, this is the error of the factors in hand.
  result.relativeError = getRelativeError(weight, reconstruct(factors).data());
  if (!(std::fabs(result.relativeError - *recordedError) <= 1e-6))
    return std::nullopt;
  return result;
}

static Result<void> store(const std::string &path, const std::string &layer,
                          const std::string &key, const LayerResult &result) {
  const BlastFactors &factors = result.factors;
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(
      path, declareFactors(layer, factors),
      {{keyField, key},
       {errorField, printNumber(result.relativeError)},
       {iterationsField, printNumber(result.iterations)}});
  if (!writer)
    return Error{writer.error()};
  std::pair<const char *, const std::vector<float> *> tensors[] = {
      {".U", &factors.u}, {".S", &factors.s}, {".Vt", &factors.vt}};
  for (const auto &[suffix, values] : tensors)
    if (Result<void> done = writer->append(layer + suffix, values->data(),
                                           values->size() * sizeof(float));
        !done)
      return done;
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

Result<LayerResult> structured::factorizeToDirectory(
    const std::string &directory, const std::string &layer, MatrixRef weight,
    const BlastOptions &options, const ProgressCallback &progress) {
  auto fail = [&layer](const std::string &message) {
    return Error{"layer '" + layer + "': " + message};
  };
  if (Result<void> checked = checkBlast(weight, options); !checked)
    return fail(checked.error());
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return fail(directory + ": cannot create: " + error.message());
  std::string path = getWorkFile(directory, layer);
  std::string key = computeKey(weight, options);
  if (std::optional<LayerResult> found =
          load(path, layer, key, weight, options))
    return std::move(*found);

  removeStaleTemporaries(path);
  Result<BlastResult> computed = factorizeBlast(weight, options, progress);
  if (!computed)
    return fail(computed.error());
  LayerResult result;
  static_cast<BlastResult &>(result) = std::move(*computed);
  if (Result<void> stored = store(path, layer, key, result); !stored)
    return fail(stored.error());
  return result;
}
