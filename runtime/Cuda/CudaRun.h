//===- CudaRun.h - The run that a module's host code is part of -*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_CUDA_CUDARUN_H
#define STRUCTURED_RUNTIME_CUDA_CUDARUN_H

#include "Cuda/Arena.h"
#include "Cuda/CudaProgram.h"
#include "Cuda/Matmul.h"
#include "Cuda/ResidentTurn.h"
#include "Cuda/Scratch.h"
#include "Cuda/TensorMaps.h"

#include <optional>
#include <string>

namespace structured::runtime {

/// One run of an entry: what the functions that its host code calls (Mgpu.cpp)
/// act on. The first failure is kept; from then on the functions do nothing,
/// and the run reports it when the host code has returned.
class CudaRun {
public:
  CudaRun(CudaProgram &program, Arena &arena, TensorMaps &tensorMaps,
          Matmuls &matmuls, Scratch &scratch, CUstream stream, bool isCapturing)
      : program(program), arena(arena), tensorMaps(tensorMaps),
        matmuls(matmuls), scratch(scratch), stream(stream),
        isCapturing(isCapturing), turn(program.getContext()) {}

  /// The calling thread's run; null outside of one, and null after a failure.
  static CudaRun *get();

  /// Makes a run the calling thread's for a while.
  class Scope {
  public:
    explicit Scope(CudaRun &run);
    ~Scope();
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

  private:
    CudaRun *previous;
  };

  /// Keeps the error if it is the first one.
  void note(const Result<void> &done) {
    if (!done && !error)
      error = done.error();
  }
  void note(CUresult result, const std::string &what) {
    if (result != CUDA_SUCCESS)
      note(context().api.check(result, what));
  }

  Result<void> getResult() const {
    return error ? Result<void>(Error{*error}) : Result<void>();
  }

  void launch(Kernel &kernel, LaunchConfig config, void **parameters);

  /// The scratch memory of a kernel; null after a failure. If it is a resident
  /// one, with `blocks` blocks, it is its turn from now on until `end`.
  void *getScratch(int64_t number, int64_t bytes, int64_t blocks);

  /// To be called when the host code has returned.
  void end() { note(turn.end(stream)); }

  void multiply(const MatmulRequest &request);

  const CudaContext &context() const { return program.getContext(); }

  CudaProgram &program;
  Arena &arena;
  TensorMaps &tensorMaps;
  Matmuls &matmuls;
  Scratch &scratch;
  const CUstream stream;
  const bool isCapturing;
  /// The kernel that was launched last.
  const Kernel *lastKernel = nullptr;
  /// What the next launch asks for in addition.
  bool isNextProgrammatic = false, isNextCooperative = false;
  bool hasResidentKernels = false;

private:
  /// Waits for what was enqueued, if launches are to be checked.
  void check(const std::string &what);

  ResidentTurn turn;
  std::optional<std::string> error;
};

/// Whether each launch waits for its kernel, so that an error of the kernel's
/// own (an illegal address) is reported under its name.
void setLaunchChecks(bool enabled);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_CUDA_CUDARUN_H
