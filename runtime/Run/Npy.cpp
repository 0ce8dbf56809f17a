//===- Npy.cpp - NumPy array files ----------------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/Npy.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace structured::runtime {

static constexpr std::string_view magic("\x93NUMPY", 6);

namespace {
struct Descr {
  std::string_view name;
  DType dtype;
};
struct CloseFile {
  void operator()(FILE *file) const { std::fclose(file); }
};
} // namespace

// The first row of a dtype is the one written.
static constexpr Descr descrs[] = {
    {"<f8", DType::F64},  {"<f4", DType::F32},  {"<f2", DType::F16},
    {"<u2", DType::BF16}, {"<V2", DType::BF16}, {"|V2", DType::BF16},
    {"<i8", DType::I64},  {"<i4", DType::I32},  {"<i2", DType::I16},
    {"|i1", DType::I8},   {"|u1", DType::U8},   {"|b1", DType::BOOL}};

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

/// Reads the header, a Python dictionary such as
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`. The functions
/// return false where the text is not of that form.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : text(text) {}
  bool parse();

  std::optional<std::string_view> descr;
  std::optional<bool> fortranOrder;
  std::optional<std::vector<int64_t>> shape;

private:
  bool consume(std::string_view token) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
    if (text.substr(0, token.size()) != token)
      return false;
    text.remove_prefix(token.size());
    return true;
  }
  bool parseString(std::string_view &result);
  bool parseShape();
  bool parseItem();

  std::string_view text;
};

} // namespace

bool HeaderParser::parseString(std::string_view &result) {
  char quote;
  if (consume("'"))
    quote = '\'';
  else if (consume("\""))
    quote = '"';
  else
    return false;
  size_t end = text.find(quote);
  if (end == std::string_view::npos)
    return false;
  result = text.substr(0, end);
  text.remove_prefix(end + 1);
  return true;
}

bool HeaderParser::parseShape() {
  if (!consume("("))
    return false;
  shape.emplace();
  while (!consume(")")) {
    const char *end = text.data() + text.size();
    int64_t size;
    auto [rest, status] = std::from_chars(text.data(), end, size);
    if (status != std::errc())
      return false;
    text.remove_prefix(rest - text.data());
    shape->push_back(size);
    if (!consume(","))
      return consume(")");
    consume(""); // white space
  }
  return true;
}

bool HeaderParser::parseItem() {
  std::string_view key;
  if (!parseString(key) || !consume(":"))
    return false;
  if (key == "descr") {
    std::string_view value;
    if (!parseString(value))
      return false;
    descr = value;
    return true;
  }
  if (key == "fortran_order") {
    if (consume("True"))
      fortranOrder = true;
    else if (consume("False"))
      fortranOrder = false;
    return fortranOrder.has_value();
  }
  return key == "shape" && parseShape();
}

bool HeaderParser::parse() {
  if (!consume("{"))
    return false;
  while (!consume("}")) {
    if (!parseItem())
      return false;
    if (!consume(",")) {
      if (!consume("}"))
        return false;
      break;
    }
  }
  consume(""); // white space
  return text.empty() && descr && fortranOrder && shape;
}

Result<Array> readNpy(const std::string &path) {
  std::unique_ptr<FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  struct stat status;
  if (!file || fstat(fileno(file.get()), &status) != 0)
    return Error{path + ": " + std::strerror(errno)};
  if (!S_ISREG(status.st_mode))
    return Error{path + ": not a regular file"};
  auto fileSize = static_cast<size_t>(status.st_size);

  // The magic string, two bytes of version, and the header's length in two
  // bytes (version 1) or four.
  unsigned char preamble[12] = {};
  size_t preambleSize = 10;
  if (std::fread(preamble, 1, preambleSize, file.get()) != preambleSize ||
      std::memcmp(preamble, magic.data(), magic.size()) != 0)
    return Error{path + ": not a .npy file"};
  unsigned version = preamble[6];
  if (version < 1 || version > 3)
    return Error{path + ": .npy format version " + std::to_string(version) +
                 " is not supported"};
  if (version > 1) {
    preambleSize = 12;
    if (std::fread(preamble + 10, 1, 2, file.get()) != 2)
      return Error{path + ": truncated header"};
  }
  size_t headerSize = preamble[8] | preamble[9] << 8 | preamble[10] << 16 |
                      static_cast<size_t>(preamble[11]) << 24;
  if (headerSize > fileSize - preambleSize)
    return Error{path + ": truncated header"};
  std::string header(headerSize, '\0');
  if (std::fread(header.data(), 1, headerSize, file.get()) != headerSize)
    return Error{path + ": truncated header"};

  HeaderParser parser(header);
  if (!parser.parse())
    return Error{path + ": malformed .npy header"};
  std::optional<DType> dtype;
  for (const Descr &descr : descrs)
    if (descr.name == *parser.descr)
      dtype = descr.dtype;
  if (!dtype)
    return Error{path + ": dtype '" + std::string(*parser.descr) +
                 "' is not supported"};
  if (*parser.fortranOrder && parser.shape->size() > 1)
    return Error{path + ": the array is in Fortran order; save "
                        "numpy.ascontiguousarray of it"};

  std::optional<size_t> bytes = getByteSize(*dtype, *parser.shape);
  size_t available = fileSize - preambleSize - headerSize;
  if (!bytes || *bytes != available)
    return Error{path + ": the header announces " +
                 (bytes ? std::to_string(*bytes) : "too many") +
                 " bytes of data, the file has " + std::to_string(available)};
  Array array{*dtype, *parser.shape, std::vector<std::byte>(*bytes)};
  if (std::fread(array.data.data(), 1, *bytes, file.get()) != *bytes)
    return Error{path + ": " + std::strerror(errno)};
  return array;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static std::string makeHeader(DType dtype, const std::vector<int64_t> &shape) {
  std::string header = "{'descr': '";
  for (const Descr &descr : descrs)
    if (descr.dtype == dtype) {
      header += descr.name;
      break;
    }
  header += "', 'fortran_order': False, 'shape': (";
  for (int64_t size : shape)
    header += std::to_string(size) + ",";
  header += "), }";
  // The data begins at a multiple of 64 bytes.
  size_t unpadded = magic.size() + 4 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');
  header += '\n';

  std::string preamble(magic);
  preamble += {1, 0, static_cast<char>(header.size() & 0xff),
               static_cast<char>(header.size() >> 8)};
  return preamble + header;
}

Result<void> writeNpy(const std::string &path, DType dtype,
                      const std::vector<int64_t> &shape, const void *data) {
  struct stat status;
  bool isSpecial = stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  std::string target =
      isSpecial ? path : path + ".tmp." + std::to_string(getpid());
  auto fail = [&]() -> Error {
    Error error{path + ": " + std::strerror(errno)};
    if (!isSpecial)
      std::remove(target.c_str());
    return error;
  };

  FILE *file = std::fopen(target.c_str(), "wbe");
  if (!file)
    return Error{path + ": " + std::strerror(errno)};
  std::string header = makeHeader(dtype, shape);
  size_t bytes = *getByteSize(dtype, shape);
  if (std::fwrite(header.data(), 1, header.size(), file) != header.size() ||
      std::fwrite(data, 1, bytes, file) != bytes || std::fflush(file) != 0) {
    Error error = fail();
    std::fclose(file);
    return error;
  }
  if (std::fclose(file) != 0 ||
      (!isSpecial && std::rename(target.c_str(), path.c_str()) != 0))
    return fail();
  return {};
}

} // namespace structured::runtime
