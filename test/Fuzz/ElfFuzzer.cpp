//===- ElfFuzzer.cpp - Fuzzes what is checked before dlopen -----------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// What passes the checks is not loaded: the dynamic loader believes the rest of
// a file, so loading needs a trusted one. dlopen is replaced by the linker
// (--wrap).

#include "Common/SharedObject.h"
#include "InputFile.h"

#include <dlfcn.h>
#include <elf.h>

#include <cstring>

using namespace structured;
using namespace structured::fuzz;
using namespace structured::runtime;

static const uint8_t *input;
static size_t inputSize;

extern "C" {
void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *, int flags);
}

/// Checks what the loader relies on: that all it will map is in the file.
void *__wrap_dlopen(const char *, int flags) {
  Elf64_Ehdr header;
  require(inputSize >= sizeof(header), "a file shorter than its header");
  std::memcpy(&header, input, sizeof(header));
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    __uint128_t begin = __uint128_t(header.e_phoff) + i * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    require(begin + sizeof(segment) <= inputSize,
            "a program header lies behind the end");
    std::memcpy(&segment, input + static_cast<size_t>(begin), sizeof(segment));
    require(__uint128_t(segment.p_offset) + segment.p_filesz <= inputSize,
            "a segment lies behind the end");
  }
  return __real_dlopen(nullptr, flags);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  input = bytes;
  inputSize = size;
  InputFile file(bytes, size);
  Result<SharedObject> object = SharedObject::open(file.getPath());
  if (!object)
    requireError(object.error(), file);
  return 0;
}
