//===- Options.h - Command line of structured-run ---------------*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_RUNTIME_RUN_OPTIONS_H
#define STRUCTURED_RUNTIME_RUN_OPTIONS_H

#include "Structured/Weights/Result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace structured::runtime {

/// What structured-run is asked to do; see `getHelp`.
struct RunOptions {
  bool help = false;
  std::string modulePath;
  std::optional<std::string> weightsPath;
  std::optional<std::string> entry;
  /// From input name to .npy file.
  std::map<std::string, std::string> inputs;
  std::optional<uint64_t> randomSeed;
  int64_t randomIntMax = 100;
  std::optional<int64_t> dynamicSize;
  std::optional<std::string> output;
  std::optional<std::string> outputDir;
  bool print = false;
  int64_t repeat = 1;
  int64_t warmup = 0;
  std::optional<int64_t> threads;
  std::optional<int32_t> device;
  bool graph = false;
  bool tune = false;
  bool checkLaunches = false;
  bool json = false;
};

/// Parses the command line; an error names the option.
Result<RunOptions> parseRunOptions(int argc, char **argv);

/// The text of `--help`.
const char *getRunHelp();

} // namespace structured::runtime

#endif // STRUCTURED_RUNTIME_RUN_OPTIONS_H
