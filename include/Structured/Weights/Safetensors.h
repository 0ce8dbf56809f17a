//===- Safetensors.h - Reading and writing safetensors files ----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The format (https://huggingface.co/docs/safetensors): eight bytes of
// little-endian header length N, N bytes of JSON that map each tensor's name to
// its dtype, shape and byte range, and the tensors' bytes, row-major, without
// holes.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_WEIGHTS_SAFETENSORS_H
#define STRUCTURED_WEIGHTS_SAFETENSORS_H

#include "Structured/Weights/Result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace structured {

/// An element type; BOOL is one byte per element.
enum class DType { F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL };

/// Bytes per element.
size_t getByteWidth(DType dtype);

/// The name in the file format, such as "BF16".
std::string_view getDTypeName(DType dtype);

/// The inverse of `getDTypeName`.
std::optional<DType> parseDType(std::string_view name);

/// True for the types that `readFloats` and `encodeFloats` take.
bool isFloatingPoint(DType dtype);

/// The number of bytes of a tensor; nullopt if a size is negative or the
/// product does not fit into 63 bits.
std::optional<size_t> getByteSize(DType dtype,
                                  const std::vector<int64_t> &shape);

/// A tensor of an open `SafetensorsFile`, valid as long as the file object.
/// `data` is aligned to its element type only as far as the file is; files of
/// `SafetensorsWriter` start their data at a multiple of 64 bytes.
struct TensorView {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  const std::byte *data;
  size_t bytes;

  /// The product of the shape; 1 for a scalar.
  int64_t getNumElements() const {
    return static_cast<int64_t>(bytes / getByteWidth(dtype));
  }
};

/// A memory-mapped safetensors file. The whole header is validated when the
/// file is opened; tensor data is read from disk when it is touched.
class SafetensorsFile {
public:
  /// Opens `path`. Refused, with an error that names the file and, where it
  /// applies, the tensor: a file that cannot be read, a header that is
  /// truncated, longer than 100 MB (the format's own limit) or not JSON, a
  /// duplicate name, an unknown dtype, a malformed or overflowing shape, a byte
  /// range out of the file or unequal to shape × dtype, ranges that overlap or
  /// leave a hole, and bytes that no tensor covers.
  static Result<SafetensorsFile> open(const std::string &path);

  SafetensorsFile(SafetensorsFile &&other) noexcept;
  SafetensorsFile &operator=(SafetensorsFile &&other) noexcept;
  SafetensorsFile(const SafetensorsFile &) = delete;
  SafetensorsFile &operator=(const SafetensorsFile &) = delete;
  ~SafetensorsFile();

  const std::string &path() const { return filePath; }

  /// All tensors, in the order of their data.
  const std::vector<TensorView> &tensors() const { return views; }

  /// The tensor of that name, or nullptr.
  const TensorView *find(std::string_view name) const;

  /// The tensor of that name, or an error that names the file and the tensor.
  Result<const TensorView *> get(std::string_view name) const;

  /// Takes the memory of a tensor of this file out of the process's resident
  /// set, but for the pages it shares with its neighbours; it is read from the
  /// file again when it is used again.
  void release(const TensorView &tensor) const;

  /// The free-form strings under `__metadata__`.
  const std::map<std::string, std::string> &metadata() const {
    return metadataEntries;
  }

private:
  SafetensorsFile() = default;
  Result<void> parse();

  std::string filePath;
  const std::byte *mapping = nullptr;
  size_t mappedBytes = 0;
  std::vector<TensorView> views;
  std::map<std::string, size_t, std::less<>> indexOfName;
  std::map<std::string, std::string> metadataEntries;
};

/// A tensor to be written.
struct TensorDeclaration {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
};

/// Writes a safetensors file one tensor at a time. The file appears under its
/// name only when `finish` succeeds: until then the bytes go to
/// `<path>.tmp.<pid>`, which is removed when the writer is destroyed unfinished
/// or a write fails (a full disk, for instance).
///
///     auto writer = SafetensorsWriter::create(path, {{"w", DType::F32, {2}}});
///     if (!writer) ...
///     if (auto done = writer->append("w", data, 8); !done) ...
///     if (auto done = writer->finish(); !done) ...
class SafetensorsWriter {
public:
  /// Writes the header. The data starts at a multiple of 64 bytes, and tensors
  /// follow each other in the order of `tensors` without padding (the format
  /// forbids holes): declare wider dtypes first to keep elements aligned.
  /// Names must be unique and, like the metadata, valid UTF-8.
  static Result<SafetensorsWriter>
  create(const std::string &path, std::vector<TensorDeclaration> tensors,
         const std::map<std::string, std::string> &metadata = {});

  SafetensorsWriter(SafetensorsWriter &&other) noexcept;
  SafetensorsWriter &operator=(SafetensorsWriter &&other) noexcept;
  SafetensorsWriter(const SafetensorsWriter &) = delete;
  SafetensorsWriter &operator=(const SafetensorsWriter &) = delete;
  ~SafetensorsWriter();

  /// Writes the next tensor; `name` and `bytes` must be those declared.
  Result<void> append(std::string_view name, const void *data, size_t bytes);

  /// Flushes to the disk and gives the file its name. Every declared tensor
  /// must have been appended.
  Result<void> finish();

private:
  SafetensorsWriter() = default;
  Result<void> write(const void *data, size_t bytes, std::string_view what);
  void discard();

  std::string filePath;
  std::string temporaryPath;
  int descriptor = -1;
  std::vector<TensorDeclaration> declarations;
  size_t numAppended = 0;
};

/// IEEE binary16 and bfloat16 from and to float; towards the narrow type round
/// to nearest, ties to even, overflow to infinity, NaN stays NaN.
uint16_t floatToHalf(float value);
float halfToFloat(uint16_t bits);
uint16_t floatToBFloat16(float value);
float bfloat16ToFloat(uint16_t bits);

/// The elements of an F64, F32, F16 or BF16 tensor as floats (F64 rounds to
/// nearest even); an error that names the tensor for another dtype.
Result<std::vector<float>> readFloats(const TensorView &tensor);

/// The bytes of `values` in an F64, F32, F16 or BF16 tensor, rounded to nearest
/// even; `dtype` must satisfy `isFloatingPoint`.
std::vector<std::byte> encodeFloats(DType dtype, const float *values,
                                    size_t count);

} // namespace structured

#endif // STRUCTURED_WEIGHTS_SAFETENSORS_H
