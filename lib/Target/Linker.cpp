// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Linker.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace structured;

llvm::StringRef structured::getDefaultOmpLibrary() {
  return STRUCTURED_OMP_LIBRARY;
}

static llvm::Expected<std::string> findLinker() {
  for (llvm::StringRef name : {"ld.lld-22", "ld.lld", "ld"})
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName(name))
      return *path;
  return llvm::createStringError(
      "no linker found: neither ld.lld-22, ld.lld nor ld is in PATH");
}

llvm::Error structured::linkSharedObject(llvm::StringRef object,
                                         llvm::StringRef output,
                                         llvm::StringRef ompLibrary) {
  llvm::Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  if (!llvm::sys::fs::exists(ompLibrary))
    return llvm::createStringError("OpenMP library '" + ompLibrary +
                                   "' not found");
  llvm::SmallString<128> log;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("structured-link", "log", log))
    return llvm::createStringError(error, "cannot create a temporary file: " +
                                              error.message());
  llvm::FileRemover removeLog(log);

  llvm::SmallVector<llvm::StringRef> arguments = {
      *linker, "-shared", "--gc-sections", "-z",      "relro",
      "-o",    output,    object,          ompLibrary};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(
      *linker, arguments, /*Env=*/std::nullopt,
      /*Redirects=*/{std::nullopt, log.str(), log.str()},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (status == 0)
    return llvm::Error::success();
  if (auto text = llvm::MemoryBuffer::getFile(log))
    message += (*text)->getBuffer();
  return llvm::createStringError("linking '" + output + "' with " + *linker +
                                 " failed: " + message);
}
