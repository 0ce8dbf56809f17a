//===- CublasLt.cpp - cuBLASLt, loaded at run time ------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/CublasLt.h"

#include <dlfcn.h>

namespace structured::runtime {

static Result<const CublasLt *> load() {
  void *library = nullptr;
  std::string reasons;
  for (const char *name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library)
      break;
    reasons += (reasons.empty() ? "" : "; ") + std::string(dlerror());
  }
  if (!library)
    return Error{"no cuBLASLt: " + reasons};
  static CublasLt api;
#define STRUCTURED_CUBLASLT_LOAD(name, parameters)                             \
  api.name =                                                                   \
      reinterpret_cast<cublasStatus_t(*) parameters>(dlsym(library, #name));   \
  if (!api.name)                                                               \
    return Error{"cuBLASLt has no " #name};
  STRUCTURED_CUBLASLT_FUNCTIONS(STRUCTURED_CUBLASLT_LOAD)
#undef STRUCTURED_CUBLASLT_LOAD
  api.cublasLtGetStatusName = reinterpret_cast<const char *(*)(cublasStatus_t)>(
      dlsym(library, "cublasLtGetStatusName"));
  return &api;
}

Result<const CublasLt *> CublasLt::get() {
  static const Result<const CublasLt *> result = load();
  return result;
}

Result<void> CublasLt::check(cublasStatus_t status,
                             const std::string &what) const {
  if (status == 0)
    return {};
  return Error{what + ": " +
               (cublasLtGetStatusName ? cublasLtGetStatusName(status)
                                      : "status " + std::to_string(status))};
}

} // namespace structured::runtime
