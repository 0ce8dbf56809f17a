// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Weights/WeightsSet.h"

using namespace structured;

Result<WeightsSet> WeightsSet::open(const std::vector<std::string> &paths) {
  WeightsSet set;
  for (const std::string &path : paths) {
    Result<SafetensorsFile> file = SafetensorsFile::open(path);
    if (!file)
      return Error{file.error()};
    for (const SafetensorsFile &earlier : set.files)
      for (const TensorView &tensor : file->tensors())
        if (earlier.find(tensor.name))
          return Error{"tensor '" + tensor.name + "' is both in '" +
                       earlier.path() + "' and in '" + path + "'"};
    set.files.push_back(std::move(*file));
  }
  return set;
}

const TensorView *WeightsSet::find(std::string_view name) const {
  for (const SafetensorsFile &file : files)
    if (const TensorView *tensor = file.find(name))
      return tensor;
  return nullptr;
}

Result<const TensorView *> WeightsSet::get(std::string_view name) const {
  if (const TensorView *tensor = find(name))
    return tensor;
  std::string message = "there is no tensor '" + std::string(name) + "' in ";
  if (files.empty())
    message += "the weights: no weights file was given";
  for (size_t i = 0; i < files.size(); ++i)
    message += (i ? ", '" : "'") + files[i].path() + "'";
  return Error{message};
}

void WeightsSet::release(const TensorView &tensor) const {
  for (const SafetensorsFile &file : files)
    if (file.find(tensor.name) == &tensor)
      file.release(tensor);
}
