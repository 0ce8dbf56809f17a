//===- SharedObject.h - A shared object opened at run time ------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_SHAREDOBJECT_H
#define STRUCTURED_RUNTIME_COMMON_SHAREDOBJECT_H

#include "Structured/Weights/Result.h"

#include <string>

namespace structured::runtime {

/// A shared object, unloaded when this is destroyed.
class SharedObject {
public:
  /// Checks that `path` is a whole ELF shared object for this machine (the
  /// dynamic loader would crash on a truncated one), then loads it and what it
  /// needs. Errors name the file.
  static Result<SharedObject> open(const std::string &path);

  SharedObject(SharedObject &&other) noexcept : handle(other.handle) {
    other.handle = nullptr;
  }
  SharedObject &operator=(SharedObject &&) = delete;
  ~SharedObject();

  /// The address of an exported symbol, or nullptr.
  void *find(const std::string &symbol) const;

private:
  explicit SharedObject(void *handle) : handle(handle) {}
  void *handle;
};

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_SHAREDOBJECT_H
