//===- Run.h - The program structured-run -----------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_RUN_RUN_H
#define STRUCTURED_RUNTIME_RUN_RUN_H

#include "Run/Options.h"

namespace structured::runtime {

/// Loads the module, runs the entry, prints the report to standard output and
/// saves the outputs. Uses nothing of the runtime but its C API.
Result<void> runModule(const RunOptions &options);

/// The whole of structured-run; returns the exit status.
int structuredRunMain(int argc, char **argv);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_RUN_RUN_H
