// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Elements of device memory that host code reads, on memrefs.

#ifndef STRUCTURED_LIB_CONVERSION_DEVICEREADS_H
#define STRUCTURED_LIB_CONVERSION_DEVICEREADS_H

#include "mlir/IR/Operation.h"

namespace structured {

/// Moves to where `op` uses it what is computed from elements of buffers in
/// front of it, such as the place where a kernel is to write: copies of their
/// loads, and of what is computed from them, at the beginning of its region or,
/// for its operands, directly before it. Loads of what may be written to in
/// between, and constants of the host's, stay.
void sinkDeviceReads(mlir::Operation *op);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_DEVICEREADS_H
