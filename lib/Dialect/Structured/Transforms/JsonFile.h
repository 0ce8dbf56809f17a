// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_JSONFILE_H
#define STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_JSONFILE_H

#include "Structured/Weights/Result.h"

#include "llvm/Support/JSON.h"

#include <string>

namespace structured {

/// Reads a JSON file. The error names the file.
Result<llvm::json::Value> readJsonFile(const std::string &path);

/// Reads an object with 'version': 1 and the array 'layers' from a JSON file.
/// The error names the file, and says that it is not `what`.
Result<llvm::json::Object> readLayersFile(const std::string &path,
                                          const std::string &what);

/// Writes a JSON file, indented. It appears whole or not at all: the text goes
/// to a temporary file beside it first. The error names the file.
Result<void> writeJsonFile(const std::string &path,
                           const llvm::json::Value &value);

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_JSONFILE_H
