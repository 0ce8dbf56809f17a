//===- Options.cpp - Command line of structured-run -----------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/Options.h"

#include <charconv>
#include <cstring>
#include <getopt.h>
#include <limits>

namespace structured::runtime {

const char *getRunHelp() {
  return R"(usage: structured-run MODULE.so [options]

Runs an entry of a compiled module and times it.

  --weights FILE       the weights (default: MODULE.safetensors beside MODULE.so)
  --entry NAME         the entry (default: main, or the only one)
  --input NAME=FILE    take the input NAME from a .npy file; may be repeated
  --random-seed N      fill the other inputs with random values: normal floats,
                       uniform integers and booleans
  --random-int-max N   largest random integer (default 100)
  --dynamic-size N     size of the dynamic dimensions of random inputs
  --output FILE        save the output, of an entry that has one, as .npy
  --output-dir DIR     save each output as DIR/NAME.npy
  --print              print the outputs
  --repeat N           timed runs (default 1)
  --warmup N           runs before the timed ones (default 0)
  --threads N          OpenMP threads (default: OMP_NUM_THREADS, or all)
  --device N           CUDA device of a CUDA module (default 0)
  --graph              time launches of a captured CUDA graph
  --tune               time the algorithms of matrix products, keep the fastest
  --check-launches     wait for each CUDA kernel, to name the one that fails
  --json               report as one JSON object instead of text
  --help               this text

bfloat16 arrays are uint16 in .npy files.
)";
}

template <typename T>
static Result<void> parseInteger(const char *option, const char *text, T min,
                                 T &result) {
  const char *end = text + std::strlen(text);
  T value;
  auto [rest, status] = std::from_chars(text, end, value);
  if (status != std::errc() || rest != end || value < min)
    return Error{"--" + std::string(option) + ": expected an integer of at " +
                 "least " + std::to_string(min) + ", given '" + text + "'"};
  result = value;
  return {};
}

Result<RunOptions> parseRunOptions(int argc, char **argv) {
  enum Option {
    Weights = 1,
    Entry,
    Input,
    RandomSeed,
    RandomIntMax,
    DynamicSize,
    Output,
    OutputDir,
    Print,
    Repeat,
    Warmup,
    Threads,
    Device,
    Graph,
    Tune,
    CheckLaunches,
    Json,
    Help
  };
  static const option table[] = {
      {"weights", required_argument, nullptr, Weights},
      {"entry", required_argument, nullptr, Entry},
      {"input", required_argument, nullptr, Input},
      {"random-seed", required_argument, nullptr, RandomSeed},
      {"random-int-max", required_argument, nullptr, RandomIntMax},
      {"dynamic-size", required_argument, nullptr, DynamicSize},
      {"output", required_argument, nullptr, Output},
      {"output-dir", required_argument, nullptr, OutputDir},
      {"print", no_argument, nullptr, Print},
      {"repeat", required_argument, nullptr, Repeat},
      {"warmup", required_argument, nullptr, Warmup},
      {"threads", required_argument, nullptr, Threads},
      {"device", required_argument, nullptr, Device},
      {"graph", no_argument, nullptr, Graph},
      {"tune", no_argument, nullptr, Tune},
      {"check-launches", no_argument, nullptr, CheckLaunches},
      {"json", no_argument, nullptr, Json},
      {"help", no_argument, nullptr, Help},
      {nullptr, 0, nullptr, 0}};

  RunOptions options;
  opterr = 0;
  optind = 0; // start afresh
  int index = 0;
  for (int key; (key = getopt_long(argc, argv, ":", table, &index)) != -1;) {
    const char *name = key == '?' || key == ':' ? "" : table[index].name;
    Result<void> parsed;
    switch (key) {
    case Weights:
      options.weightsPath = optarg;
      break;
    case Entry:
      options.entry = optarg;
      break;
    case Input: {
      std::string text = optarg;
      size_t equals = text.find('=');
      if (equals == 0 || equals == std::string::npos)
        return Error{"--input: expected NAME=FILE, given '" + text + "'"};
      std::string input = text.substr(0, equals);
      if (!options.inputs.emplace(input, text.substr(equals + 1)).second)
        return Error{"--input: '" + input + "' is given twice"};
      break;
    }
    case RandomSeed:
      parsed =
          parseInteger<uint64_t>(name, optarg, 0, options.randomSeed.emplace());
      break;
    case RandomIntMax:
      parsed = parseInteger<int64_t>(name, optarg, 0, options.randomIntMax);
      break;
    case DynamicSize:
      parsed =
          parseInteger<int64_t>(name, optarg, 0, options.dynamicSize.emplace());
      break;
    case Output:
      options.output = optarg;
      break;
    case OutputDir:
      options.outputDir = optarg;
      break;
    case Print:
      options.print = true;
      break;
    case Repeat:
      parsed = parseInteger<int64_t>(name, optarg, 1, options.repeat);
      break;
    case Warmup:
      parsed = parseInteger<int64_t>(name, optarg, 0, options.warmup);
      break;
    case Threads: {
      int32_t threads = 0;
      parsed = parseInteger<int32_t>(name, optarg, 1, threads);
      options.threads = threads;
      break;
    }
    case Device:
      parsed = parseInteger<int32_t>(name, optarg, 0, options.device.emplace());
      break;
    case Graph:
      options.graph = true;
      break;
    case Tune:
      options.tune = true;
      break;
    case CheckLaunches:
      options.checkLaunches = true;
      break;
    case Json:
      options.json = true;
      break;
    case Help:
      options.help = true;
      return options;
    case ':':
      return Error{std::string(argv[optind - 1]) + ": a value is missing"};
    default:
      return Error{"unknown option '" + std::string(argv[optind - 1]) +
                   "'; see --help"};
    }
    if (!parsed)
      return Error{parsed.error()};
  }

  if (optind == argc)
    return Error{"no module given; see --help"};
  if (optind + 1 < argc)
    return Error{"one module expected, also given '" +
                 std::string(argv[optind + 1]) + "'"};
  if (options.output && options.outputDir)
    return Error{"--output and --output-dir exclude each other"};
  options.modulePath = argv[optind];
  return options;
}

} // namespace structured::runtime
