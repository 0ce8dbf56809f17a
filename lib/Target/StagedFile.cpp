// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "StagedFile.h"

#include "llvm/Support/FileSystem.h"

using namespace structured;
namespace fs = llvm::sys::fs;

StagedFile::~StagedFile() {
  if (isTemporary)
    fs::remove(temporary);
}

llvm::Error StagedFile::makeError(std::error_code error) const {
  return llvm::createStringError(error, "cannot write '" + path +
                                            "': " + error.message());
}

llvm::Error StagedFile::create() {
  fs::file_status status;
  if (!fs::status(path, status) && !fs::is_regular_file(status)) {
    temporary = path;
    return llvm::Error::success();
  }
  if (std::error_code error =
          fs::createUniqueFile(path + ".tmp.%%%%%%", temporary))
    return makeError(error);
  isTemporary = true;
  return llvm::Error::success();
}

llvm::Error StagedFile::write(
    llvm::function_ref<llvm::Error(llvm::raw_pwrite_stream &)> writer) {
  std::error_code error;
  llvm::raw_fd_ostream stream(temporary, error);
  if (error)
    return makeError(error);
  llvm::Error written = writer(stream);
  stream.close();
  if (!stream.has_error())
    return written;
  llvm::consumeError(std::move(written));
  error = stream.error();
  stream.clear_error();
  return makeError(error);
}

llvm::Error StagedFile::keep() {
  if (!isTemporary)
    return llvm::Error::success();
  if (std::error_code error = fs::rename(temporary, path))
    return makeError(error);
  isTemporary = false;
  return llvm::Error::success();
}
