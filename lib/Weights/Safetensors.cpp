//===- Safetensors.cpp - Reading and writing safetensors files ------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Weights/Safetensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace structured;
using nlohmann::json;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "safetensors data is mapped as it is: little-endian");

/// The longest header that the format allows.
static constexpr uint64_t maxHeaderBytes = 100'000'000;
static constexpr size_t headerLengthBytes = sizeof(uint64_t);
static constexpr size_t dataAlignment = 64;
static constexpr const char *metadataKey = "__metadata__";

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

namespace {
struct DTypeInfo {
  DType dtype;
  std::string_view name;
  size_t bytes;
};
} // namespace

static constexpr DTypeInfo dtypeInfos[] = {
    {DType::F64, "F64", 8},   {DType::F32, "F32", 4}, {DType::F16, "F16", 2},
    {DType::BF16, "BF16", 2}, {DType::I64, "I64", 8}, {DType::I32, "I32", 4},
    {DType::I16, "I16", 2},   {DType::I8, "I8", 1},   {DType::U8, "U8", 1},
    {DType::BOOL, "BOOL", 1}};

static const DTypeInfo &getInfo(DType dtype) {
  const DTypeInfo &info = dtypeInfos[static_cast<size_t>(dtype)];
  assert(info.dtype == dtype && "dtypeInfos is in the order of the enum");
  return info;
}

size_t structured::getByteWidth(DType dtype) { return getInfo(dtype).bytes; }

std::string_view structured::getDTypeName(DType dtype) {
  return getInfo(dtype).name;
}

std::optional<DType> structured::parseDType(std::string_view name) {
  for (const DTypeInfo &info : dtypeInfos)
    if (info.name == name)
      return info.dtype;
  return std::nullopt;
}

bool structured::isFloatingPoint(DType dtype) {
  return dtype == DType::F64 || dtype == DType::F32 || dtype == DType::F16 ||
         dtype == DType::BF16;
}

std::optional<size_t>
structured::getByteSize(DType dtype, const std::vector<int64_t> &shape) {
  auto product = static_cast<int64_t>(getByteWidth(dtype));
  // A zero anywhere must not hide an overflow before it.
  bool empty = false;
  for (int64_t size : shape) {
    if (size < 0)
      return std::nullopt;
    if (size == 0)
      empty = true;
    else if (__builtin_mul_overflow(product, size, &product))
      return std::nullopt;
  }
  return empty ? 0 : static_cast<size_t>(product);
}

//===----------------------------------------------------------------------===//
// SafetensorsFile
//===----------------------------------------------------------------------===//

static std::string quote(std::string_view text) {
  return "'" + std::string(text) + "'";
}

static Error errnoError(const std::string &path, std::string_view action) {
  return Error{path + ": " + std::string(action) + ": " + std::strerror(errno)};
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return errnoError(path, "cannot open");
  struct stat status;
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return Error{path + ": not a regular file"};
  }
  SafetensorsFile file;
  file.filePath = path;
  file.mappedBytes = static_cast<size_t>(status.st_size);
  if (file.mappedBytes < headerLengthBytes) {
    ::close(descriptor);
    return Error{path + ": truncated: " + std::to_string(file.mappedBytes) +
                 " bytes are too few for the header length"};
  }
  void *address =
      ::mmap(nullptr, file.mappedBytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  ::close(descriptor);
  if (address == MAP_FAILED)
    return errnoError(path, "cannot map");
  file.mapping = static_cast<const std::byte *>(address);
  if (Result<void> parsed = file.parse(); !parsed)
    return Error{path + ": " + parsed.error()};
  return file;
}

/// Parses the header; nlohmann::json keeps the last of two equal keys, so a
/// repeated key is recorded in `duplicateKey`.
static json parseHeader(const char *begin, const char *end,
                        std::optional<std::string> &duplicateKey) {
  std::vector<std::set<std::string>> keysOfOpenObjects;
  auto recordKeys = [&](int, json::parse_event_t event, json &parsed) {
    if (event == json::parse_event_t::object_start)
      keysOfOpenObjects.emplace_back();
    else if (event == json::parse_event_t::object_end)
      keysOfOpenObjects.pop_back();
    else if (event == json::parse_event_t::key) {
      const auto &key = parsed.get_ref<const std::string &>();
      if (!keysOfOpenObjects.back().insert(key).second)
        duplicateKey = key;
    }
    return true;
  };
  return json::parse(begin, end, recordKeys, /*allow_exceptions=*/false);
}

/// Reads a non-negative integer that fits into 63 bits.
static std::optional<int64_t> readSize(const json &value) {
  if (!value.is_number_unsigned())
    return std::nullopt;
  auto number = value.get<uint64_t>();
  if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return std::nullopt;
  return static_cast<int64_t>(number);
}

/// Reads a list of such integers.
static std::optional<std::vector<int64_t>> readSizes(const json &value) {
  if (!value.is_array())
    return std::nullopt;
  std::vector<int64_t> sizes;
  for (const json &element : value) {
    std::optional<int64_t> size = readSize(element);
    if (!size)
      return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

/// Reads one entry of the header. `data` is where offset 0 lies.
static Result<TensorView> readEntry(const std::string &name, const json &entry,
                                    const std::byte *data, size_t dataBytes) {
  std::string who = "tensor " + quote(name) + ": ";
  if (!entry.is_object())
    return Error{who + "the header entry is not an object"};
  auto dtypeField = entry.find("dtype");
  if (dtypeField == entry.end() || !dtypeField->is_string())
    return Error{who + "no dtype"};
  const auto &dtypeName = dtypeField->get_ref<const std::string &>();
  std::optional<DType> dtype = parseDType(dtypeName);
  if (!dtype)
    return Error{who + "unknown dtype " + quote(dtypeName)};

  std::optional<std::vector<int64_t>> shape, offsets;
  if (auto field = entry.find("shape"); field != entry.end())
    shape = readSizes(*field);
  if (!shape)
    return Error{who + "the shape is not a list of non-negative integers"};
  std::optional<size_t> bytes = getByteSize(*dtype, *shape);
  if (!bytes)
    return Error{who + "the shape overflows"};
  if (auto field = entry.find("data_offsets"); field != entry.end())
    offsets = readSizes(*field);
  if (!offsets || offsets->size() != 2)
    return Error{who + "data_offsets are not two non-negative integers"};
  auto begin = static_cast<size_t>((*offsets)[0]);
  auto end = static_cast<size_t>((*offsets)[1]);
  std::string range =
      "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
  if (begin > end)
    return Error{who + "the byte range " + range + " is reversed"};
  if (end > dataBytes)
    return Error{who + "the byte range " + range + " exceeds the " +
                 std::to_string(dataBytes) +
                 " bytes of data in the file (is it truncated?)"};
  if (end - begin != *bytes)
    return Error{who + "the byte range " + range + " is not the " +
                 std::to_string(*bytes) + " bytes of its shape and dtype"};
  return TensorView{name, *dtype, std::move(*shape), data + begin, *bytes};
}

Result<void> SafetensorsFile::parse() {
  uint64_t headerBytes;
  std::memcpy(&headerBytes, mapping, headerLengthBytes);
  if (headerBytes > maxHeaderBytes)
    return Error{"the header length " + std::to_string(headerBytes) +
                 " exceeds the format's limit of " +
                 std::to_string(maxHeaderBytes)};
  if (headerBytes > mappedBytes - headerLengthBytes)
    return Error{"truncated: the header of " + std::to_string(headerBytes) +
                 " bytes does not fit into the file of " +
                 std::to_string(mappedBytes)};
  const auto *headerBegin =
      reinterpret_cast<const char *>(mapping) + headerLengthBytes;
  std::optional<std::string> duplicateKey;
  json header =
      parseHeader(headerBegin, headerBegin + headerBytes, duplicateKey);
  if (!header.is_object())
    return Error{"the header is not a JSON object"};
  if (duplicateKey)
    return Error{"the name " + quote(*duplicateKey) +
                 " occurs twice in the header"};

  const std::byte *data = mapping + headerLengthBytes + headerBytes;
  size_t dataBytes = mappedBytes - headerLengthBytes - headerBytes;
  for (const auto &[name, entry] : header.items()) {
    if (name == metadataKey) {
      if (!entry.is_object())
        return Error{"__metadata__ is not an object"};
      for (const auto &[key, value] : entry.items()) {
        if (!value.is_string())
          return Error{"__metadata__: " + quote(key) + " is not a string"};
        metadataEntries[key] = value.get_ref<const std::string &>();
      }
      continue;
    }
    Result<TensorView> view = readEntry(name, entry, data, dataBytes);
    if (!view)
      return Error{view.error()};
    views.push_back(std::move(*view));
  }

  std::sort(views.begin(), views.end(),
            [](const TensorView &a, const TensorView &b) {
              return std::tie(a.data, a.bytes, a.name) <
                     std::tie(b.data, b.bytes, b.name);
            });
  const std::byte *expected = data;
  for (const TensorView &view : views) {
    if (view.data < expected)
      return Error{"tensor " + quote(view.name) +
                   ": the byte range overlaps another tensor's"};
    if (view.data > expected)
      return Error{"a hole of " + std::to_string(view.data - expected) +
                   " bytes precedes tensor " + quote(view.name)};
    expected = view.data + view.bytes;
  }
  if (expected != data + dataBytes)
    return Error{std::to_string(data + dataBytes - expected) +
                 " bytes at the end belong to no tensor"};
  for (size_t i = 0; i < views.size(); ++i)
    indexOfName.emplace(views[i].name, i);
  return {};
}

SafetensorsFile::SafetensorsFile(SafetensorsFile &&other) noexcept {
  *this = std::move(other);
}

SafetensorsFile &SafetensorsFile::operator=(SafetensorsFile &&other) noexcept {
  // The moved-from object takes our mapping and unmaps it.
  std::swap(filePath, other.filePath);
  std::swap(mapping, other.mapping);
  std::swap(mappedBytes, other.mappedBytes);
  std::swap(views, other.views);
  std::swap(indexOfName, other.indexOfName);
  std::swap(metadataEntries, other.metadataEntries);
  return *this;
}

SafetensorsFile::~SafetensorsFile() {
  if (mapping)
    ::munmap(const_cast<std::byte *>(mapping), mappedBytes);
}

const TensorView *SafetensorsFile::find(std::string_view name) const {
  auto found = indexOfName.find(name);
  return found == indexOfName.end() ? nullptr : &views[found->second];
}

Result<const TensorView *> SafetensorsFile::get(std::string_view name) const {
  if (const TensorView *view = find(name))
    return view;
  return Error{filePath + ": no tensor " + quote(name)};
}

void SafetensorsFile::release(const TensorView &tensor) const {
  assert(tensor.data >= mapping &&
         tensor.data + tensor.bytes <= mapping + mappedBytes &&
         "a tensor of another file");
  auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  size_t begin = tensor.data - mapping, end = begin + tensor.bytes;
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  // The mapping is never written to, so nothing is lost; nor is it if this
  // fails.
  if (begin < end)
    ::madvise(const_cast<std::byte *>(mapping) + begin, end - begin,
              MADV_DONTNEED);
}

//===----------------------------------------------------------------------===//
// SafetensorsWriter
//===----------------------------------------------------------------------===//

/// True if the header can hold `text`: nlohmann::json replaces what is not
/// UTF-8.
static bool isUtf8(const std::string &text) {
  std::string dumped =
      json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(dumped, nullptr, false) == text;
}

Result<SafetensorsWriter>
SafetensorsWriter::create(const std::string &path,
                          std::vector<TensorDeclaration> tensors,
                          const std::map<std::string, std::string> &metadata) {
  json header = json::object();
  if (!metadata.empty()) {
    for (const auto &[key, value] : metadata)
      if (!isUtf8(key) || !isUtf8(value))
        return Error{path + ": metadata " + quote(key) + " is not UTF-8"};
    header[metadataKey] = metadata;
  }
  size_t offset = 0;
  for (const TensorDeclaration &tensor : tensors) {
    std::string who = path + ": tensor " + quote(tensor.name) + ": ";
    if (!isUtf8(tensor.name))
      return Error{who + "the name is not UTF-8"};
    if (tensor.name == metadataKey)
      return Error{who + "the name is reserved"};
    if (header.contains(tensor.name))
      return Error{who + "declared twice"};
    std::optional<size_t> bytes = getByteSize(tensor.dtype, tensor.shape);
    if (!bytes || *bytes > std::numeric_limits<int64_t>::max() - offset)
      return Error{who + "the shape overflows"};
    header[tensor.name] = {{"dtype", getDTypeName(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  std::string text = header.dump();
  size_t used = (headerLengthBytes + text.size()) % dataAlignment;
  text.append((dataAlignment - used) % dataAlignment, ' ');
  uint64_t headerBytes = text.size();
  if (headerBytes > maxHeaderBytes)
    return Error{path + ": the header exceeds the format's limit of " +
                 std::to_string(maxHeaderBytes) + " bytes"};

  SafetensorsWriter writer;
  writer.filePath = path;
  writer.declarations = std::move(tensors);
  // The finished file takes the place of what has its name: not of a device.
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return Error{path + ": cannot create: it is not a regular file"};
  std::string temporaryPath = path + ".tmp." + std::to_string(::getpid());
  writer.descriptor = ::open(temporaryPath.c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (writer.descriptor < 0)
    return errnoError(temporaryPath, "cannot create");
  writer.temporaryPath = std::move(temporaryPath);
  if (Result<void> done =
          writer.write(&headerBytes, headerLengthBytes, "the header");
      !done)
    return Error{done.error()};
  if (Result<void> done = writer.write(text.data(), text.size(), "the header");
      !done)
    return Error{done.error()};
  return writer;
}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter &&other) noexcept {
  *this = std::move(other);
}

SafetensorsWriter &
SafetensorsWriter::operator=(SafetensorsWriter &&other) noexcept {
  // The moved-from object takes our temporary file and removes it.
  std::swap(filePath, other.filePath);
  std::swap(temporaryPath, other.temporaryPath);
  std::swap(descriptor, other.descriptor);
  std::swap(declarations, other.declarations);
  std::swap(numAppended, other.numAppended);
  return *this;
}

SafetensorsWriter::~SafetensorsWriter() { discard(); }

void SafetensorsWriter::discard() {
  if (descriptor >= 0)
    ::close(descriptor);
  descriptor = -1;
  if (!temporaryPath.empty())
    ::unlink(temporaryPath.c_str());
  temporaryPath.clear();
}

Result<void> SafetensorsWriter::write(const void *data, size_t bytes,
                                      std::string_view what) {
  const char *next = static_cast<const char *>(data);
  while (bytes > 0) {
    ssize_t written = ::write(descriptor, next, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0) {
      Error error = errnoError(filePath, "cannot write " + std::string(what));
      discard();
      return error;
    }
    next += written;
    bytes -= static_cast<size_t>(written);
  }
  return {};
}

Result<void> SafetensorsWriter::append(std::string_view name, const void *data,
                                       size_t bytes) {
  std::string who = "tensor " + quote(name);
  if (descriptor < 0)
    return Error{filePath + ": " + who + ": the file is closed"};
  if (numAppended == declarations.size() ||
      declarations[numAppended].name != name)
    return Error{filePath + ": " + who + ": not the next tensor declared"};
  const TensorDeclaration &declared = declarations[numAppended];
  if (*getByteSize(declared.dtype, declared.shape) != bytes)
    return Error{filePath + ": " + who + ": " + std::to_string(bytes) +
                 " bytes given, another number declared"};
  ++numAppended;
  return write(data, bytes, who);
}

Result<void> SafetensorsWriter::finish() {
  if (descriptor < 0)
    return Error{filePath + ": the file is closed"};
  if (numAppended != declarations.size())
    return Error{filePath + ": tensor " +
                 quote(declarations[numAppended].name) +
                 ": declared but not written"};
  // A full disk may show only here.
  if (::fsync(descriptor) != 0 || ::close(std::exchange(descriptor, -1)) != 0) {
    Error error = errnoError(filePath, "cannot flush");
    discard();
    return error;
  }
  if (::rename(temporaryPath.c_str(), filePath.c_str()) != 0) {
    Error error = errnoError(filePath, "cannot create");
    discard();
    return error;
  }
  temporaryPath.clear();
  return {};
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

template <typename To, typename From>
static To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

uint16_t structured::floatToHalf(float value) {
  uint32_t bits = bitCast<uint32_t>(value);
  auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) // NaN: keep it quiet and keep its top bits.
    return sign | 0x7e00 | static_cast<uint16_t>((magnitude >> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) // 65520: halfway to what would be 2^16.
    return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 the result is subnormal: a multiple of 2^-24. Adding 0.5,
    // whose unit in the last place is 2^-24, rounds to it.
    float shifted = bitCast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(bitCast<uint32_t>(shifted) -
                                        bitCast<uint32_t>(0.5f));
  }
  // Rebias the exponent from 127 to 15 and round the 13 dropped bits.
  uint32_t odd = (magnitude >> 13) & 1;
  uint32_t rounded = magnitude - (112u << 23) + 0xfff + odd;
  return sign | static_cast<uint16_t>(rounded >> 13);
}

float structured::halfToFloat(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0) {
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return bitCast<float>(sign | bitCast<uint32_t>(magnitude));
  }
  uint32_t wideExponent = exponent == 0x1f ? 0xff : exponent + 112;
  return bitCast<float>(sign | (wideExponent << 23) | (mantissa << 13));
}

uint16_t structured::floatToBFloat16(float value) {
  uint32_t bits = bitCast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  uint32_t odd = (bits >> 16) & 1;
  return static_cast<uint16_t>((bits + 0x7fff + odd) >> 16);
}

float structured::bfloat16ToFloat(uint16_t bits) {
  return bitCast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Applies `convert` to `count` elements at `data`, which may be unaligned.
template <typename From, typename To, typename Convert>
static void convertElements(const void *data, size_t count, To *out,
                            Convert convert) {
  const char *next = static_cast<const char *>(data);
  for (size_t i = 0; i < count; ++i, next += sizeof(From)) {
    From element;
    std::memcpy(&element, next, sizeof(From));
    out[i] = convert(element);
  }
}

Result<std::vector<float>> structured::readFloats(const TensorView &tensor) {
  if (!isFloatingPoint(tensor.dtype))
    return Error{"tensor " + quote(tensor.name) + ": dtype " +
                 std::string(getDTypeName(tensor.dtype)) +
                 " is not floating point"};
  auto count = static_cast<size_t>(tensor.getNumElements());
  std::vector<float> values(count);
  switch (tensor.dtype) {
  case DType::F64:
    convertElements<double>(tensor.data, count, values.data(),
                            [](double x) { return static_cast<float>(x); });
    break;
  case DType::F16:
    convertElements<uint16_t>(tensor.data, count, values.data(), halfToFloat);
    break;
  case DType::BF16:
    convertElements<uint16_t>(tensor.data, count, values.data(),
                              bfloat16ToFloat);
    break;
  default:
    if (count > 0)
      std::memcpy(values.data(), tensor.data, tensor.bytes);
  }
  return values;
}

template <typename To, typename Convert>
static std::vector<std::byte> encodeElements(const float *values, size_t count,
                                             Convert convert) {
  std::vector<std::byte> bytes(count * sizeof(To));
  for (size_t i = 0; i < count; ++i) {
    To element = convert(values[i]);
    std::memcpy(bytes.data() + i * sizeof(To), &element, sizeof(To));
  }
  return bytes;
}

std::vector<std::byte>
structured::encodeFloats(DType dtype, const float *values, size_t count) {
  assert(isFloatingPoint(dtype) && "no floating-point type");
  switch (dtype) {
  case DType::F64:
    return encodeElements<double>(values, count, [](float x) { return x; });
  case DType::F16:
    return encodeElements<uint16_t>(values, count, floatToHalf);
  case DType::BF16:
    return encodeElements<uint16_t>(values, count, floatToBFloat16);
  default:
    return encodeElements<float>(values, count, [](float x) { return x; });
  }
}
