// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Linker.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <dlfcn.h>
#include <link.h>

using namespace structured;

/// Path of a file of the installation whose bin/ or lib/ holds this code.
static llvm::SmallString<128> getInstalledPath(llvm::StringRef directory,
                                               llvm::StringRef name) {
  // The program itself has no name here, a library its path.
  Dl_info info;
  link_map *map = nullptr;
  bool isLibrary = dladdr1(reinterpret_cast<void *>(&getInstalledPath), &info,
                           reinterpret_cast<void **>(&map), RTLD_DL_LINKMAP) &&
                   *map->l_name;
  std::string binary = isLibrary
                           ? std::string(map->l_name)
                           : llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  llvm::SmallString<128> path;
  llvm::sys::fs::real_path(binary, path);
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::append(path, directory, name);
  return path;
}

std::string structured::getDefaultOmpLibrary() {
  llvm::SmallString<128> installed = getInstalledPath("lib", "libomp.so.5");
  if (llvm::sys::fs::exists(installed))
    return installed.str().str();
  return STRUCTURED_OMP_LIBRARY;
}

/// The linker's name of this machine's architecture.
#if defined(__x86_64__)
static constexpr llvm::StringLiteral kEmulation = "elf_x86_64";
#elif defined(__aarch64__)
static constexpr llvm::StringLiteral kEmulation = "aarch64linux";
#else
#error "name the linker's emulation of this architecture"
#endif

/// The soname of runtime/'s shared library, with its ABI's version.
static llvm::StringRef getRuntimeSoname() {
  return "libStructuredRuntime.so.1";
}

static llvm::Expected<std::string> findLinker() {
  llvm::SmallString<128> installed = getInstalledPath("bin", "ld.lld");
  if (llvm::sys::fs::can_execute(installed))
    return installed.str().str();
  for (llvm::StringRef name : {"ld.lld-22", "ld.lld", "ld"})
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName(name))
      return *path;
  return llvm::createStringError(
      "no linker found: neither ld.lld-22, ld.lld nor ld is in PATH");
}

/// Runs the linker; `output` is for the error.
static llvm::Error run(llvm::StringRef output,
                       llvm::ArrayRef<llvm::StringRef> options) {
  llvm::Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  llvm::SmallString<128> log;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("structured-link", "log", log))
    return llvm::createStringError(error, "cannot create a temporary file: " +
                                              error.message());
  llvm::FileRemover removeLog(log);

  llvm::SmallVector<llvm::StringRef> arguments = {*linker, "-shared"};
  arguments.append(options.begin(), options.end());
  arguments.append({"-o", output});
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

llvm::Error structured::linkSharedObject(llvm::StringRef object,
                                         llvm::StringRef output,
                                         llvm::StringRef ompLibrary) {
  if (!llvm::sys::fs::exists(ompLibrary))
    return llvm::createStringError("OpenMP library '" + ompLibrary +
                                   "' not found");
  return run(output, {"--gc-sections", "-z", "relro", object, ompLibrary});
}

llvm::Error structured::linkWithRuntime(llvm::StringRef object,
                                        llvm::StringRef output) {
  // An empty library of the runtime's name is all that the linker needs. Its
  // source is an empty linker script.
  llvm::SmallString<128> script, library;
  for (auto [path, extension] : {std::pair(&script, "ld"), {&library, "so"}})
    if (std::error_code error = llvm::sys::fs::createTemporaryFile(
            "structured-runtime", extension, *path))
      return llvm::createStringError(error, "cannot create a temporary file: " +
                                                error.message());
  llvm::FileRemover removeScript(script), removeLibrary(library);
  std::string soname = "-soname=" + getRuntimeSoname().str();
  if (llvm::Error error = run(library, {"-m", kEmulation, soname, script}))
    return error;
  return run(output, {"--gc-sections", "-z", "relro", object, "--no-as-needed",
                      library});
}
