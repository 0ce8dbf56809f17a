// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "JsonFile.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace structured;

/// Whether the text opens more than `limit` brackets in each other. The parser
/// calls itself for each, and would overflow the stack.
static bool isNestedDeeperThan(size_t limit, llvm::StringRef text) {
  size_t depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"')
      inString = !inString;
    else if (inString && text[i] == '\\')
      ++i;
    else if (!inString && (text[i] == '[' || text[i] == '{') && ++depth > limit)
      return true;
    else if (!inString && (text[i] == ']' || text[i] == '}') && depth)
      --depth;
  }
  return false;
}

Result<llvm::json::Value> structured::readJsonFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return Error{"cannot read '" + path + "': " + buffer.getError().message()};
  constexpr size_t maxDepth = 100;
  if (isNestedDeeperThan(maxDepth, (*buffer)->getBuffer()))
    return Error{"'" + path + "' nests more than " + std::to_string(maxDepth) +
                 " arrays and objects"};
  llvm::Expected<llvm::json::Value> json =
      llvm::json::parse((*buffer)->getBuffer());
  if (!json)
    return Error{"'" + path +
                 "' is not JSON: " + llvm::toString(json.takeError())};
  return std::move(*json);
}

Result<llvm::json::Object>
structured::readLayersFile(const std::string &path, const std::string &what) {
  Result<llvm::json::Value> value = readJsonFile(path);
  if (!value)
    return Error{value.error()};
  llvm::json::Object *object = value->getAsObject();
  if (!object || !object->getArray("layers") ||
      object->getInteger("version") != 1)
    return Error{"'" + path + "' is no " + what +
                 " of version 1: it must be an object with 'version': 1 and "
                 "the array 'layers'"};
  return std::move(*object);
}

Result<void> structured::writeJsonFile(const std::string &path,
                                       const llvm::json::Value &value) {
  auto fail = [&](const std::string &reason) {
    return Error{"cannot write '" + path + "': " + reason};
  };
  llvm::Expected<llvm::sys::fs::TempFile> file =
      llvm::sys::fs::TempFile::create(path + ".tmp-%%%%%%",
                                      llvm::sys::fs::all_read |
                                          llvm::sys::fs::owner_write);
  if (!file)
    return fail(llvm::toString(file.takeError()));
  std::error_code error;
  {
    llvm::raw_fd_ostream stream(file->FD, /*shouldClose=*/false);
    stream << llvm::formatv("{0:2}\n", value);
    stream.flush();
    error = stream.error();
    stream.clear_error();
  }
  if (error) {
    llvm::consumeError(file->discard());
    return fail(error.message());
  }
  if (llvm::Error renameError = file->keep(path))
    return fail(llvm::toString(std::move(renameError)));
  return {};
}
