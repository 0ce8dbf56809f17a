//===- Result.h - A value or an error message -------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The error handling of the libraries that know neither LLVM nor exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_WEIGHTS_RESULT_H
#define STRUCTURED_WEIGHTS_RESULT_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace structured {

/// What went wrong, as one sentence for the user that names the file, layer or
/// tensor. Converts to any `Result`.
struct Error {
  std::string message;
};

/// Either a `T` or an `Error`.
///
///     Result<SafetensorsFile> file = SafetensorsFile::open(path);
///     if (!file)
///       return Error{file.error()};
///     use(*file);
template <typename T>
class [[nodiscard]] Result {
public:
  Result(T value) : storage(std::move(value)) {}
  Result(Error error) : storage(std::move(error)) {}

  /// True if there is a value.
  explicit operator bool() const { return std::holds_alternative<T>(storage); }

  T &operator*() {
    assert(*this && "no value: check the result first");
    return *std::get_if<T>(&storage);
  }
  const T &operator*() const {
    assert(*this && "no value: check the result first");
    return *std::get_if<T>(&storage);
  }
  T *operator->() { return &**this; }
  const T *operator->() const { return &**this; }

  /// The message; only if there is no value.
  const std::string &error() const {
    assert(!*this && "no error");
    return std::get_if<Error>(&storage)->message;
  }

private:
  std::variant<T, Error> storage;
};

/// Success, or an `Error`.
template <>
class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : failure(std::move(error)) {}

  explicit operator bool() const { return !failure; }
  const std::string &error() const {
    assert(failure && "no error");
    return failure->message;
  }

private:
  std::optional<Error> failure;
};

} // namespace structured

#endif // STRUCTURED_WEIGHTS_RESULT_H
