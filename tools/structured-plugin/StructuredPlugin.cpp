// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The plugin: lets a stock mlir-opt of the same LLVM use the project's dialect,
// passes and pipelines.

#include "Structured/InitAll.h"

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

extern "C" mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Structured", STRUCTURED_VERSION,
          [](mlir::DialectRegistry *registry) {
            structured::registerAllDialects(*registry);
          }};
}

extern "C" mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Structured", STRUCTURED_VERSION,
          [] { structured::registerAllPasses(); }};
}
