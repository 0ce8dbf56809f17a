//===- ModuleInfo.h - What a compiled module says of itself -----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_MODULEINFO_H
#define STRUCTURED_RUNTIME_COMMON_MODULEINFO_H

#include "Structured/Weights/Result.h"
#include "Structured/Weights/Safetensors.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace structured::runtime {

/// A named tensor as an entry declares it; a dimension of -1 is dynamic.
struct TensorType {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  /// Of an output: the index of the input whose memory it is written to.
  std::optional<size_t> updates = std::nullopt;
};

/// One function of a compiled module.
struct EntryInfo {
  std::string name;
  /// The exported symbol, of type `void (void **)`.
  std::string symbol;
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  /// Tensors of the weights file; their shapes are static.
  std::vector<TensorType> parameters;
  /// Device memory that a run needs, as far as the compiler knows it.
  size_t arenaBytes = 0;
};

/// The contents of `structured_module_info`.
struct ModuleInfo {
  /// "cpu" or "cuda".
  std::string target;
  /// The compute capability that the device code needs, such as "sm_90a"; of
  /// target "cuda".
  std::string arch;
  /// CPU features, as LLVM spells them, that the code was compiled for.
  std::vector<std::string> features;
  std::vector<EntryInfo> entries;
};

/// Parses and checks the JSON text of `structured_module_info`. Refuses another
/// `abi_version` before looking at anything else. An error says where in the
/// text it is, as in "entries[0].inputs[1].dtype: …".
Result<ModuleInfo> parseModuleInfo(std::string_view json);

/// The spelling of a dtype in modules, such as "f32".
const char *getModuleDTypeName(DType dtype);

/// The inverse of `getModuleDTypeName`.
std::optional<DType> parseModuleDType(std::string_view name);

/// The type as text, such as "f32[2x?x384]"; "f32[]" for a scalar.
std::string formatType(DType dtype, const int64_t *shape, size_t rank);
inline std::string formatType(const TensorType &type) {
  return formatType(type.dtype, type.shape.data(), type.shape.size());
}

/// True if a tensor of that shape may stand where `type` is declared, dtypes
/// aside: same rank, same static dimensions, none negative.
bool isCompatibleShape(const TensorType &type, const int64_t *shape,
                       size_t rank);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_MODULEINFO_H
