//===- structured-run.cpp - Runs compiled modules -------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/Run.h"

int main(int argc, char **argv) {
  return structured::runtime::structuredRunMain(argc, argv);
}
