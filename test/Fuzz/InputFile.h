//===- InputFile.h - A fuzzer's input as a file -----------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_TEST_FUZZ_INPUTFILE_H
#define STRUCTURED_TEST_FUZZ_INPUTFILE_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace structured::fuzz {

/// A file in memory with the given bytes, for readers that take a path.
class InputFile {
public:
  InputFile(const uint8_t *bytes, size_t size)
      : descriptor(::memfd_create("fuzz", MFD_CLOEXEC)),
        path("/proc/self/fd/" + std::to_string(descriptor)) {
    if (descriptor < 0 ||
        ::write(descriptor, bytes, size) != static_cast<ssize_t>(size)) {
      std::perror("the input's file");
      std::abort();
    }
  }
  ~InputFile() { ::close(descriptor); }
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;

  const std::string &getPath() const { return path; }

private:
  int descriptor;
  std::string path;
};

/// Ends the run: what is false is a fault of the reader.
inline void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "fault: %s\n", what);
  std::abort();
}

/// What every reader promises of its errors.
inline void requireError(const std::string &error, const InputFile &file) {
  require(error.find(file.getPath()) != std::string::npos,
          "an error does not name the file");
}

} // namespace structured::fuzz

#endif // STRUCTURED_TEST_FUZZ_INPUTFILE_H
