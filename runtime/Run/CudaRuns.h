//===- CudaRuns.h - Timed runs of CUDA modules ------------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_RUN_CUDARUNS_H
#define STRUCTURED_RUNTIME_RUN_CUDARUNS_H

#include "Run/Options.h"
#include "Run/Times.h"
#include "structured-runtime.h"

#include <vector>

namespace structured::runtime {

int64_t getNumBytes(const structuredRtTensor &tensor);

/// Runs an entry of a CUDA module as often as `options` says, with its inputs
/// and outputs on the device, directly or as a graph. The times are the
/// device's, between events on the stream; the runs are enqueued without
/// waiting, so where the host is slower than the device they show the host.
/// Every run is given the same inputs: those in `updated`, which it updates,
/// are copied anew before each. The last run's outputs are copied to the host:
/// `outputs`, to be freed by structuredRtTensorFree().
Result<Times> timeCudaRuns(structuredRtModule *module, int32_t entry,
                           const std::vector<structuredRtTensor> &inputs,
                           const std::vector<int32_t> &updated,
                           std::vector<structuredRtTensor> &outputs,
                           const RunOptions &options);

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_RUN_CUDARUNS_H
