//===- SharedObject.cpp - A shared object opened at run time --------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Common/SharedObject.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace structured::runtime {

#if defined(__x86_64__)
static constexpr uint16_t hostMachine = EM_X86_64;
#elif defined(__aarch64__)
static constexpr uint16_t hostMachine = EM_AARCH64;
#else
#error "add the ELF machine number of this architecture"
#endif

/// Checks the ELF headers, and that the file has every byte that the loader
/// will map.
static Result<void> validateElf(int descriptor, const std::string &path) {
  struct stat status;
  if (fstat(descriptor, &status) != 0)
    return Error{path + ": " + std::strerror(errno)};
  if (!S_ISREG(status.st_mode))
    return Error{path + ": not a regular file"};
  uint64_t fileSize = status.st_size;

  Elf64_Ehdr header;
  if (pread(descriptor, &header, sizeof(header), 0) != sizeof(header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_DYN)
    return Error{path + ": not a compiled module (not a 64-bit ELF shared "
                        "object)"};
  if (header.e_machine != hostMachine)
    return Error{path + ": compiled for another architecture (ELF machine " +
                 std::to_string(header.e_machine) + ", this machine is " +
                 std::to_string(hostMachine) + ")"};

  std::vector<Elf64_Phdr> segments(header.e_phnum);
  ssize_t tableSize = segments.size() * sizeof(Elf64_Phdr);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > fileSize ||
      pread(descriptor, segments.data(), tableSize, header.e_phoff) !=
          tableSize)
    return Error{path + ": malformed or truncated ELF program headers"};
  for (const Elf64_Phdr &segment : segments)
    if (segment.p_filesz > fileSize ||
        segment.p_offset > fileSize - segment.p_filesz)
      return Error{path + ": truncated: a segment ends at byte " +
                   std::to_string(segment.p_offset + segment.p_filesz) +
                   ", the file has " + std::to_string(fileSize)};
  return {};
}

Result<SharedObject> SharedObject::open(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return Error{path + ": " + std::strerror(errno)};
  Result<void> valid = validateElf(descriptor, path);
  close(descriptor);
  if (!valid)
    return Error{valid.error()};

  // Without a slash dlopen would search the library path.
  std::string name = path.find('/') == std::string::npos ? "./" + path : path;
  void *handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return Error{path + ": cannot be loaded: " + dlerror()};
  return SharedObject(handle);
}

SharedObject::~SharedObject() {
  if (handle)
    dlclose(handle);
}

void *SharedObject::find(const std::string &symbol) const {
  return dlsym(handle, symbol.c_str());
}

} // namespace structured::runtime
