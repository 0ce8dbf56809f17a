//===- CudaRun.cpp - The run that a module's host code is part of ---------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/CudaRun.h"

#include <atomic>
#include <utility>

namespace structured::runtime {

static std::atomic<bool> checksLaunches = false;

void setLaunchChecks(bool enabled) { checksLaunches = enabled; }

static thread_local CudaRun *current = nullptr;

CudaRun *CudaRun::get() {
  return current && !current->error ? current : nullptr;
}

CudaRun::Scope::Scope(CudaRun &run) : previous(current) { current = &run; }

CudaRun::Scope::~Scope() { current = previous; }

void CudaRun::launch(Kernel &kernel, LaunchConfig config, void **parameters) {
  config.isProgrammatic |= std::exchange(isNextProgrammatic, false);
  config.isCooperative |= std::exchange(isNextCooperative, false);
  note(kernel.launch(config, stream, parameters));
  lastKernel = &kernel;
  check("kernel '" + kernel.getName() + "' failed");
}

void *CudaRun::getScratch(int64_t number, int64_t bytes, int64_t blocks) {
  if (blocks > context().multiprocessorCount) {
    note(Error{"a kernel needs " + std::to_string(blocks) +
               " multiprocessors at the same time; " + context().name +
               " has " + std::to_string(context().multiprocessorCount) +
               " (structured-compile --multiprocessors)"});
    return nullptr;
  }
  Result<void *> memory = scratch.get(number, bytes, stream, !isCapturing);
  if (!memory) {
    note(Error{memory.error()});
    return nullptr;
  }
  if (blocks == 0)
    return *memory;
  // A graph takes its turn when it is launched.
  hasResidentKernels = true;
  if (!isCapturing)
    note(turn.begin(stream));
  return *memory;
}

void CudaRun::multiply(const MatmulRequest &request) {
  note(matmuls.run(request, arena, stream, !isCapturing));
  check("a matrix product failed");
}

void CudaRun::check(const std::string &what) {
  if (checksLaunches && !isCapturing && !error)
    note(context().api.cuStreamSynchronize(stream), what);
}

} // namespace structured::runtime
