// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "MomentsFile.h"

#include "llvm/ADT/StringRef.h"

using namespace structured;

Result<MomentsFile> MomentsFile::open(const std::string &path) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return Error{file.error()};
  auto samples = file->metadata().find("samples");
  int64_t numSamples = 0;
  if (samples == file->metadata().end() ||
      llvm::StringRef(samples->second).getAsInteger(10, numSamples) ||
      numSamples < 0)
    return Error{"'" + path +
                 "' is no file of second moments: its metadata has "
                 "no number 'samples'"};
  return MomentsFile(std::move(*file), path, numSamples);
}

Result<InputMoments> MomentsFile::read(const std::string &layer, int64_t n,
                                       std::vector<float> &values) const {
  Result<const TensorView *> view = file.get(layer + ".moment");
  if (!view)
    return Error{view.error()};
  if ((*view)->dtype != DType::F32 ||
      (*view)->shape != std::vector<int64_t>{n, n})
    return Error{"'" + path + "': the tensor '" + layer +
                 ".moment' is not an F32 tensor of " + std::to_string(n) +
                 " x " + std::to_string(n)};
  Result<std::vector<float>> floats = readFloats(**view);
  if (!floats)
    return Error{floats.error()};
  values = std::move(*floats);
  return InputMoments{{values.data(), n, n}, numSamples};
}
