// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_TARGET_STAGEDFILE_H
#define STRUCTURED_LIB_TARGET_STAGEDFILE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace structured {

/// A file that gets its name only when `keep` is called, and is removed if it
/// is not. What has the name and is no regular file (a device, a pipe) is
/// written to directly. Errors name the file.
class StagedFile {
public:
  explicit StagedFile(llvm::StringRef path) : path(path) {}
  StagedFile(const StagedFile &) = delete;
  StagedFile &operator=(const StagedFile &) = delete;
  ~StagedFile();

  /// Creates the temporary file, beside the final one.
  llvm::Error create();
  /// Calls `writer` on a stream to the temporary file.
  llvm::Error
  write(llvm::function_ref<llvm::Error(llvm::raw_pwrite_stream &)> writer);
  /// Gives the file its name.
  llvm::Error keep();

  /// Where the contents are to be written.
  llvm::StringRef getTemporary() const { return temporary; }

private:
  llvm::Error makeError(std::error_code error) const;

  std::string path;
  llvm::SmallString<128> temporary;
  bool isTemporary = false;
};

} // namespace structured

#endif // STRUCTURED_LIB_TARGET_STAGEDFILE_H
