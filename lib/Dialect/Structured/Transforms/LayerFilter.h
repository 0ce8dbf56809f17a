// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_LAYERFILTER_H
#define STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_LAYERFILTER_H

#include "Structured/Weights/Result.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Regex.h"

#include <string>

namespace structured {

/// A regular expression (POSIX extended) that is searched for anywhere in a
/// layer's name.
class LayerFilter {
public:
  /// Compiles `pattern`; the error quotes it after the option's name.
  static Result<LayerFilter> create(llvm::StringRef option,
                                    const std::string &pattern) {
    LayerFilter filter;
    filter.isEmpty = pattern.empty();
    filter.regex = llvm::Regex(pattern);
    std::string error;
    if (!filter.isEmpty && !filter.regex.isValid(error))
      return Error{"'" + option.str() + "=" + pattern +
                   "' is no regular expression: " + error};
    return filter;
  }

  /// True if no pattern was given.
  bool empty() const { return isEmpty; }
  bool matches(llvm::StringRef layer) const {
    return !isEmpty && regex.match(layer);
  }

private:
  bool isEmpty = true;
  llvm::Regex regex;
};

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_LAYERFILTER_H
