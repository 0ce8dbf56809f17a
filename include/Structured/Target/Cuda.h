// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Machine code for NVIDIA GPUs from PTX.

#ifndef STRUCTURED_TARGET_CUDA_H
#define STRUCTURED_TARGET_CUDA_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>

namespace structured {

/// Checks that `chip` (sm_90a) is a GPU that LLVM knows and kernels can be
/// compiled for (sm_80 and later). The error names it.
llvm::Error checkChip(llvm::StringRef chip);

/// The path of ptxas, NVIDIA's assembler: `path` if it is not empty, else the
/// first that is found in PATH, /usr/local/cuda/bin, and the Python environment
/// that the project was configured with. Empty if there is none. It is an error
/// if `path` is not a program.
llvm::Expected<std::string> findPtxas(llvm::StringRef path);

/// Replaces the PTX in the `gpu.binary` ops of `module` by machine code for
/// `chip`. Remarks say how many registers a kernel takes and what it spills.
/// With an empty `ptxas` the PTX stays, for the driver to compile when the
/// module is loaded, and a remark says so.
mlir::LogicalResult assembleKernels(mlir::ModuleOp module, llvm::StringRef chip,
                                    llvm::StringRef ptxas);

/// What the `gpu.binary` ops of `module` hold, PTX or machine code, one after
/// the other.
std::string getKernelCode(mlir::ModuleOp module);

} // namespace structured

#endif // STRUCTURED_TARGET_CUDA_H
