// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Several safetensors files read as one set of named tensors: a model's weights
// and, after factorisation, its factors.

#ifndef STRUCTURED_WEIGHTS_WEIGHTSSET_H
#define STRUCTURED_WEIGHTS_WEIGHTSSET_H

#include "Structured/Weights/Safetensors.h"

namespace structured {

/// The tensors of several files, mapped into memory.
class WeightsSet {
public:
  /// Opens every file; refused if one cannot be opened or if two hold tensors
  /// of the same name.
  static Result<WeightsSet> open(const std::vector<std::string> &paths);

  /// The tensor of that name, or nullptr.
  const TensorView *find(std::string_view name) const;

  /// The tensor of that name, or an error that names the tensor and the files.
  Result<const TensorView *> get(std::string_view name) const;

  /// `SafetensorsFile::release` of a tensor of this set.
  void release(const TensorView &tensor) const;

private:
  std::vector<SafetensorsFile> files;
};

} // namespace structured

#endif // STRUCTURED_WEIGHTS_WEIGHTSSET_H
