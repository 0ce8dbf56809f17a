// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_TARGET_LINKER_H
#define STRUCTURED_TARGET_LINKER_H

#include "llvm/Support/Error.h"
#include <string>

namespace structured {

/// The OpenMP library of the installation that this code is in, if it has one,
/// else the one that the project was configured with.
std::string getDefaultOmpLibrary();

/// Links the object file `object` with the OpenMP library `ompLibrary` into the
/// shared object `output`, with the installation's linker if it has one, else
/// the first of ld.lld-22, ld.lld and ld that is in PATH. An error says what
/// was looked for, or what the linker said.
llvm::Error linkSharedObject(llvm::StringRef object, llvm::StringRef output,
                             llvm::StringRef ompLibrary);

/// The same for a module that takes symbols from our runtime, which loads it:
/// the shared object needs libStructuredRuntime by its soname, wherever it is.
llvm::Error linkWithRuntime(llvm::StringRef object, llvm::StringRef output);

} // namespace structured

#endif // STRUCTURED_TARGET_LINKER_H
