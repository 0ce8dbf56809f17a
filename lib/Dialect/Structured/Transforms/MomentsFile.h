// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_MOMENTSFILE_H
#define STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_MOMENTSFILE_H

#include "Structured/Factorization/InputMoments.h"
#include "Structured/Weights/Safetensors.h"

#include <string>
#include <vector>

namespace structured {

/// A safetensors file of the second moments of layers' inputs, the format of
/// docs/Calibration.md: `<layer>.moment` [n, n] F32, and the number of samples
/// as `samples` in the metadata.
class MomentsFile {
public:
  /// Errors name the file: it cannot be opened, or records no number of
  /// samples.
  static Result<MomentsFile> open(const std::string &path);

  /// Reads the moments of a layer with `n` input features into `values`, which
  /// the result refers to. Errors name the file: there are none for the layer,
  /// or they are not [n, n] F32.
  Result<InputMoments> read(const std::string &layer, int64_t n,
                            std::vector<float> &values) const;

private:
  MomentsFile(SafetensorsFile file, std::string path, int64_t numSamples)
      : file(std::move(file)), path(std::move(path)), numSamples(numSamples) {}

  SafetensorsFile file;
  std::string path;
  int64_t numSamples;
};

} // namespace structured

#endif // STRUCTURED_LIB_DIALECT_STRUCTURED_TRANSFORMS_MOMENTSFILE_H
