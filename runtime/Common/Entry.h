//===- Entry.h - An entry of a module, of any target ------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_COMMON_ENTRY_H
#define STRUCTURED_RUNTIME_COMMON_ENTRY_H

#include "Common/MemRef.h"
#include "Common/ModuleInfo.h"
#include "Structured/Weights/Result.h"
#include "Structured/Weights/Safetensors.h"
#include "structured-runtime.h"

#include <memory>
#include <vector>

namespace structured::runtime {

/// A captured run of an entry; see structuredRtGraphCapture().
class Graph {
public:
  virtual ~Graph() = default;
  virtual Result<void> launch(void *stream) const = 0;
};

/// A function of a compiled module with its parameters bound: what remains for
/// a run is to describe the inputs. Runs may be concurrent.
class Entry {
public:
  /// The type of an entry's symbol: MLIR's packed calling convention. Each
  /// element of `arguments` points to a variable that holds a pointer to a
  /// memref descriptor: the results (absent if there are none), the inputs, the
  /// parameters.
  using Function = void (*)(void **arguments);

  virtual ~Entry() = default;

  /// Runs the entry; `inputs` and `outputs` have as many elements as the entry
  /// declares. See structuredRtEntryRun().
  virtual Result<void> run(const structuredRtTensor *inputs,
                           structuredRtTensor *outputs) const = 0;

  /// See structuredRtEntryRunOnStream(). An error if the target has no streams.
  virtual Result<void> runOnStream(const structuredRtTensor *inputs,
                                   structuredRtTensor *outputs,
                                   void *stream) const;

  /// See structuredRtGraphCapture(). An error if the target has no graphs.
  virtual Result<std::unique_ptr<Graph>>
  capture(const structuredRtTensor *inputs, structuredRtTensor *outputs) const;
};

/// The memref descriptors of a call's inputs, one after the other, and of the
/// results that it returns.
struct Descriptors {
  std::vector<int64_t> inputs, results;
};

/// Checks each input's dtype, shape and data against what the entry declares,
/// and that no other input shares memory with one that the entry updates; an
/// error names the input.
Result<void> checkInputs(const EntryInfo &info,
                         const structuredRtTensor *inputs);

/// Finds a parameter in the weights, with the declared dtype and shape; an
/// error names the weights file and the parameter.
Result<const TensorView *> findParameter(const SafetensorsFile &weights,
                                         const TensorType &parameter);

/// The outputs: those that the call has returned, and the inputs that it has
/// updated. They refer to `descriptors`.
std::vector<MemRef> readOutputs(const EntryInfo &info,
                                const Descriptors &descriptors);

/// An error, which names the output, if one has not the declared shape.
Result<void> checkOutputs(const EntryInfo &info,
                          const std::vector<MemRef> &outputs);

/// Calls `function` with the inputs' descriptors and those of the parameters,
/// and lets it fill in the results' ones.
void callEntry(Entry::Function function, const EntryInfo &info,
               Descriptors &descriptors,
               const std::vector<const void *> &parameters);

/// The tensor of the result's type and shape with that data and owner.
structuredRtTensor makeTensor(const TensorType &type, const MemRef &memref,
                              void *data, void *owner);

/// What MLIR puts into `allocated` for memory that is not to be freed.
inline void *getStaticMemoryMark() {
  return reinterpret_cast<void *>(0xdeadbeef);
}

/// The bytes of a tensor whose dtype and shape are valid.
inline size_t getNumBytes(const structuredRtTensor &tensor) {
  return *getByteSize(static_cast<DType>(tensor.dtype),
                      {tensor.shape, tensor.shape + tensor.rank});
}

inline bool isAligned(const void *data, DType dtype) {
  return reinterpret_cast<uintptr_t>(data) % getByteWidth(dtype) == 0;
}

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_COMMON_ENTRY_H
