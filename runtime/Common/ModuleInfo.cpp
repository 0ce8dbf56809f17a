//===- ModuleInfo.cpp - What a compiled module says of itself -------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/ModuleInfo.h"

#include "structured-runtime.h"

#include <nlohmann/json.hpp>

#include <array>
#include <set>

using nlohmann::json;

namespace structured::runtime {

// The C API's numbers are those of DType.
static_assert(static_cast<int>(DType::F64) == STRUCTURED_RT_F64 &&
              static_cast<int>(DType::F32) == STRUCTURED_RT_F32 &&
              static_cast<int>(DType::F16) == STRUCTURED_RT_F16 &&
              static_cast<int>(DType::BF16) == STRUCTURED_RT_BF16 &&
              static_cast<int>(DType::I64) == STRUCTURED_RT_I64 &&
              static_cast<int>(DType::I32) == STRUCTURED_RT_I32 &&
              static_cast<int>(DType::I16) == STRUCTURED_RT_I16 &&
              static_cast<int>(DType::I8) == STRUCTURED_RT_I8 &&
              static_cast<int>(DType::U8) == STRUCTURED_RT_U8 &&
              static_cast<int>(DType::BOOL) == STRUCTURED_RT_I1);

static constexpr std::array<const char *, 10> dtypeNames = {
    "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "i1"};

const char *getModuleDTypeName(DType dtype) {
  return dtypeNames[static_cast<size_t>(dtype)];
}

std::optional<DType> parseModuleDType(std::string_view name) {
  for (size_t i = 0; i < dtypeNames.size(); ++i)
    if (name == dtypeNames[i])
      return static_cast<DType>(i);
  return std::nullopt;
}

std::string formatType(DType dtype, const int64_t *shape, size_t rank) {
  std::string text = std::string(getModuleDTypeName(dtype)) + "[";
  for (size_t i = 0; i < rank; ++i) {
    if (i)
      text += "x";
    text += shape[i] == -1 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

bool isCompatibleShape(const TensorType &type, const int64_t *shape,
                       size_t rank) {
  if (rank != type.shape.size())
    return false;
  for (size_t i = 0; i < rank; ++i)
    if (shape[i] < 0 || (type.shape[i] != -1 && type.shape[i] != shape[i]))
      return false;
  return true;
}

namespace {

/// Reads the JSON text. The functions return false after noting the first
/// error, with the path of the offending value.
class InfoParser {
public:
  bool parseModule(const json &object, ModuleInfo &info);
  std::string error;

private:
  bool fail(const std::string &where, const std::string &what) {
    error = where + ": " + what;
    return false;
  }
  bool parseString(const json &object, const char *key,
                   const std::string &where, std::string &result);
  bool parseArray(const json &object, const char *key, const std::string &where,
                  const json::array_t *&result);
  bool parseShape(const json &object, const std::string &where,
                  bool mayBeDynamic, std::vector<int64_t> &shape);
  bool parseTypes(const json &object, const char *key, const std::string &where,
                  std::vector<TensorType> &types);
  bool parseUpdates(const json &outputs, const std::string &where,
                    EntryInfo &entry);
  bool parseEntry(const json &object, const std::string &where,
                  EntryInfo &entry);
};

} // namespace

bool InfoParser::parseString(const json &object, const char *key,
                             const std::string &where, std::string &result) {
  auto it = object.find(key);
  if (it == object.end() || !it->is_string())
    return fail(where + key, "expected a string");
  result = *it->get_ptr<const std::string *>();
  return true;
}

bool InfoParser::parseArray(const json &object, const char *key,
                            const std::string &where,
                            const json::array_t *&result) {
  auto it = object.find(key);
  if (it == object.end() || !it->is_array())
    return fail(where + key, "expected an array");
  result = it->get_ptr<const json::array_t *>();
  return true;
}

bool InfoParser::parseShape(const json &object, const std::string &where,
                            bool mayBeDynamic, std::vector<int64_t> &shape) {
  const json::array_t *sizes;
  if (!parseArray(object, "shape", where, sizes))
    return false;
  if (sizes->size() > STRUCTURED_RT_MAX_RANK)
    return fail(where + "shape", "rank " + std::to_string(sizes->size()) +
                                     " exceeds " +
                                     std::to_string(STRUCTURED_RT_MAX_RANK));
  for (const json &size : *sizes) {
    // Of an unsigned number that is too large get() would make a negative one.
    bool isTooLarge = size.is_number_unsigned() &&
                      size.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    if (!size.is_number_integer() || isTooLarge ||
        size.get<int64_t>() < (mayBeDynamic ? -1 : 0))
      return fail(where + "shape", mayBeDynamic
                                       ? "expected sizes, or -1 for dynamic"
                                       : "expected static sizes");
    shape.push_back(size.get<int64_t>());
  }
  return true;
}

bool InfoParser::parseTypes(const json &object, const char *key,
                            const std::string &where,
                            std::vector<TensorType> &types) {
  const json::array_t *array;
  if (!parseArray(object, key, where, array))
    return false;
  bool areOutputs = std::string_view(key) == "outputs";
  bool areParameters = std::string_view(key) == "parameters";
  std::set<std::string> names;
  for (size_t i = 0; i < array->size(); ++i) {
    const json &element = (*array)[i];
    std::string place = where + key + "[" + std::to_string(i) + "].";
    if (!element.is_object())
      return fail(place.substr(0, place.size() - 1), "expected an object");
    TensorType type;
    // Outputs need no name.
    if (areOutputs && !element.contains("name"))
      type.name = "output" + std::to_string(i);
    else if (!parseString(element, "name", place, type.name))
      return false;
    if (!names.insert(type.name).second)
      return fail(place + "name", "'" + type.name + "' appears twice");
    std::string dtypeName;
    if (!parseString(element, "dtype", place, dtypeName))
      return false;
    std::optional<DType> dtype = parseModuleDType(dtypeName);
    if (!dtype)
      return fail(place + "dtype", "unknown dtype '" + dtypeName + "'");
    type.dtype = *dtype;
    if (!parseShape(element, place, /*mayBeDynamic=*/!areParameters,
                    type.shape))
      return false;
    types.push_back(std::move(type));
  }
  return true;
}

/// Which outputs are written to inputs: by one output at most, of the same
/// type.
bool InfoParser::parseUpdates(const json &outputs, const std::string &where,
                              EntryInfo &entry) {
  std::set<size_t> updated;
  for (size_t i = 0; i < outputs.size(); ++i) {
    auto updates = outputs[i].find("updates");
    if (updates == outputs[i].end())
      continue;
    std::string place = where + "outputs[" + std::to_string(i) + "].updates";
    TensorType &output = entry.outputs[i];
    if (!updates->is_number_unsigned() ||
        updates->get<uint64_t>() >= entry.inputs.size())
      return fail(place, "expected the index of an input");
    auto index = updates->get<size_t>();
    const TensorType &input = entry.inputs[index];
    if (input.dtype != output.dtype || input.shape != output.shape)
      return fail(place, "input '" + input.name + "' is " + formatType(input) +
                             ", the output " + formatType(output));
    if (!updated.insert(index).second)
      return fail(place, "input '" + input.name + "' is updated twice");
    output.updates = index;
  }
  return true;
}

bool InfoParser::parseEntry(const json &object, const std::string &where,
                            EntryInfo &entry) {
  if (!object.is_object())
    return fail(where.substr(0, where.size() - 1), "expected an object");
  if (auto arena = object.find("arena_bytes"); arena != object.end()) {
    if (!arena->is_number_unsigned())
      return fail(where + "arena_bytes", "expected a number of bytes");
    entry.arenaBytes = arena->get<size_t>();
  }
  return parseString(object, "name", where, entry.name) &&
         parseString(object, "symbol", where, entry.symbol) &&
         parseTypes(object, "inputs", where, entry.inputs) &&
         parseTypes(object, "outputs", where, entry.outputs) &&
         parseUpdates(object["outputs"], where, entry) &&
         parseTypes(object, "parameters", where, entry.parameters);
}

bool InfoParser::parseModule(const json &object, ModuleInfo &info) {
  if (!object.is_object())
    return fail("the description", "expected a JSON object");
  auto version = object.find("abi_version");
  if (version == object.end() || !version->is_number_integer())
    return fail("abi_version", "expected an integer");
  if (version->get<int64_t>() != STRUCTURED_RT_ABI_VERSION)
    return fail("abi_version", "the module has version " + version->dump() +
                                   ", this runtime runs version " +
                                   std::to_string(STRUCTURED_RT_ABI_VERSION));

  const json::array_t *features, *entries;
  if (!parseString(object, "target", "", info.target) ||
      !parseArray(object, "features", "", features) ||
      !parseArray(object, "entries", "", entries))
    return false;
  if (info.target == "cuda" && !parseString(object, "arch", "", info.arch))
    return false;
  for (const json &feature : *features) {
    if (!feature.is_string())
      return fail("features", "expected strings");
    info.features.push_back(*feature.get_ptr<const std::string *>());
  }
  std::set<std::string> names;
  for (size_t i = 0; i < entries->size(); ++i) {
    std::string where = "entries[" + std::to_string(i) + "].";
    EntryInfo entry;
    if (!parseEntry((*entries)[i], where, entry))
      return false;
    if (!names.insert(entry.name).second)
      return fail(where + "name", "'" + entry.name + "' appears twice");
    info.entries.push_back(std::move(entry));
  }
  return true;
}

Result<ModuleInfo> parseModuleInfo(std::string_view text) {
  json object = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded())
    return Error{"the description is not JSON"};
  ModuleInfo info;
  InfoParser parser;
  if (!parser.parseModule(object, info))
    return Error{parser.error};
  return info;
}

} // namespace structured::runtime
