//===- CudaProgram.cpp - What the entries of a CUDA module share ----------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/CudaProgram.h"

namespace structured::runtime {

Result<std::shared_ptr<CudaProgram>>
CudaProgram::create(const ModuleInfo &info, const SafetensorsFile *weights) {
  Result<const CudaContext *> context = getSelectedContext();
  if (!context)
    return Error{context.error()};
  if (Result<void> able = (*context)->checkArch(info.arch); !able)
    return Error{able.error()};
  std::map<std::string, const TensorView *> tensors;
  for (const EntryInfo &entry : info.entries)
    for (const TensorType &parameter : entry.parameters) {
      Result<const TensorView *> found = findParameter(*weights, parameter);
      if (!found)
        return Error{found.error()};
      tensors[parameter.name] = *found;
    }
  std::shared_ptr<CudaProgram> program(new CudaProgram(**context));
  if (!tensors.empty())
    if (Result<void> done = program->upload(tensors, *weights); !done)
      return Error{done.error()};
  return program;
}

CudaProgram::~CudaProgram() {
  ContextScope scope(context);
  if (parameterMemory)
    context.api.cuMemFree(parameterMemory);
}

/// Uploads the tensors into one allocation, each one aligned to 256 bytes.
Result<void>
CudaProgram::upload(const std::map<std::string, const TensorView *> &tensors,
                    const SafetensorsFile &weights) {
  ContextScope scope(context);
  size_t bytes = 0;
  std::map<std::string, size_t> offsets;
  for (const auto &[name, tensor] : tensors) {
    offsets[name] = bytes;
    bytes += (tensor->bytes + 255) / 256 * 256;
  }
  CUresult result = context.api.cuMemAlloc(&parameterMemory, bytes ? bytes : 1);
  if (result != CUDA_SUCCESS) {
    parameterMemory = nullptr;
    return Error{weights.path() + ": " + std::to_string(bytes) +
                 " bytes for the parameters on " + context.name + ": " +
                 context.api.describe(result)};
  }
  for (const auto &[name, tensor] : tensors) {
    char *target = static_cast<char *>(parameterMemory) + offsets[name];
    if (tensor->bytes)
      if (auto ok = context.api.check(
              context.api.cuMemcpyHtoD(target, tensor->data, tensor->bytes),
              weights.path() + ": copying '" + name + "' to " + context.name);
          !ok)
        return ok;
    weights.release(*tensor);
    parameters[name] = target;
  }
  // Copies from pageable memory may still be under way, on a stream that the
  // runs' streams do not wait for.
  return context.api.check(context.api.cuStreamSynchronize(nullptr),
                           "copying the parameters to " + context.name);
}

KernelImage &CudaProgram::getImage(const void *data, int optimization) {
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<KernelImage> &image = images[data];
  if (!image)
    image = std::make_unique<KernelImage>(data, optimization);
  return *image;
}

} // namespace structured::runtime
