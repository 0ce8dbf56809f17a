//===- factorization-error.cpp - Error and time of the structures ---------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Factorises the matrices of a safetensors file as each structure, block count
// and kept fraction asked for and prints the relative Frobenius errors.
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/BlockLowRank.h"
#include "Structured/Weights/Safetensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <cblas.h>
#include <omp.h>
#include <regex.h>

using namespace structured;
using nlohmann::json;

static constexpr const char *usage =
    R"(usage: factorization-error FILE.safetensors [option...]
  --names REGEX        POSIX extended regular expression of the matrices' names
                       (all two-dimensional floating-point tensors)
  --structures LIST    of svd, block-svd, blast-gradient, blast-als (all)
  --blocks LIST        block counts b_out = b_in (4)
  --keep LIST          kept fractions of the parameters (0.5)
  --rank-multiple N    round ranks of N and more down to a multiple of N (1)
  --iterations N       of BLAST (300)
  --seed N             of BLAST (0)
  --output FILE.json   write the results there and how they were made to
                       FILE.info.json; without it they go to standard output
  --append FILE.json   the same, after the results that the file holds
)";

namespace {

struct Matrix {
  std::string name;
  int64_t rows, cols;
  std::vector<float> values;
  MatrixRef ref() const { return {values.data(), rows, cols}; }
};

struct Configuration {
  std::string file, names = ".", output;
  std::vector<std::string> structures = {"svd", "block-svd", "blast-gradient",
                                         "blast-als"};
  std::vector<int64_t> blocks = {4};
  std::vector<double> keep = {0.5};
  int64_t rankMultiple = 1;
  BlastOptions blast;
  bool append = false;
};

/// One matrix as one structure.
struct Outcome {
  int64_t parameters;
  double relativeError;
};

} // namespace

[[noreturn]] static void fail(const std::string &message) {
  std::fprintf(stderr, "factorization-error: error: %s\n", message.c_str());
  std::exit(1);
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

template <typename T>
static T parseNumber(const std::string &option, const std::string &text) {
  T value;
  const char *end = text.data() + text.size();
  auto [next, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || next != end)
    fail(option + ": '" + text + "' is not a number");
  return value;
}

static std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <typename T>
static std::vector<T> parseNumbers(const std::string &option,
                                   const std::string &text) {
  std::vector<T> numbers;
  for (const std::string &part : split(text))
    numbers.push_back(parseNumber<T>(option, part));
  return numbers;
}

static Configuration parseCommandLine(int argc, char **argv) {
  Configuration configuration;
  const Configuration defaults;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--help") {
      std::fputs(usage, stdout);
      std::exit(0);
    }
    if (argument.rfind("--", 0) != 0) {
      if (!configuration.file.empty())
        fail("more than one file");
      configuration.file = argument;
      continue;
    }
    if (i + 1 == argc)
      fail(argument + ": unknown option, or no value");
    std::string value = argv[++i];
    if (argument == "--names")
      configuration.names = value;
    else if (argument == "--structures")
      configuration.structures = split(value);
    else if (argument == "--blocks")
      configuration.blocks = parseNumbers<int64_t>(argument, value);
    else if (argument == "--keep")
      configuration.keep = parseNumbers<double>(argument, value);
    else if (argument == "--rank-multiple")
      configuration.rankMultiple = parseNumber<int64_t>(argument, value);
    else if (argument == "--iterations")
      configuration.blast.maxIterations = parseNumber<int64_t>(argument, value);
    else if (argument == "--seed")
      configuration.blast.seed = parseNumber<uint64_t>(argument, value);
    else if (argument == "--output" || argument == "--append") {
      configuration.output = value;
      configuration.append = argument == "--append";
    } else
      fail("unknown option " + argument);
  }
  for (const std::string &structure : configuration.structures)
    if (std::find(defaults.structures.begin(), defaults.structures.end(),
                  structure) == defaults.structures.end())
      fail("unknown structure '" + structure + "'");
  for (int64_t blocks : configuration.blocks)
    if (blocks < 1)
      fail("--blocks: " + std::to_string(blocks) + " is not positive");
  if (configuration.file.empty())
    fail(std::string("no file\n") + usage);
  return configuration;
}

static std::vector<Matrix> readMatrices(const Configuration &configuration) {
  regex_t names;
  if (regcomp(&names, configuration.names.c_str(), REG_EXTENDED | REG_NOSUB))
    fail("--names: not a regular expression: " + configuration.names);
  auto file = SafetensorsFile::open(configuration.file);
  if (!file)
    fail(file.error());
  std::vector<Matrix> matrices;
  for (const TensorView &tensor : file->tensors()) {
    if (tensor.shape.size() != 2 || !isFloatingPoint(tensor.dtype) ||
        regexec(&names, tensor.name.c_str(), 0, nullptr, 0) != 0)
      continue;
    auto values = readFloats(tensor);
    if (!values)
      fail(values.error());
    matrices.push_back(
        {tensor.name, tensor.shape[0], tensor.shape[1], std::move(*values)});
  }
  regfree(&names);
  if (matrices.empty())
    fail(configuration.file + ": no matrix matches " + configuration.names);
  return matrices;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

template <typename Factors>
static Outcome measure(const Matrix &matrix, const Factors &factors) {
  return {factors.getNumParameters(),
          getRelativeError(matrix.ref(), reconstruct(factors).data())};
}

static Result<Outcome> factorize(const Matrix &matrix,
                                 const std::string &structure, int64_t blocks,
                                 double keep,
                                 const Configuration &configuration) {
  int64_t m = matrix.rows, n = matrix.cols;
  int64_t multiple = configuration.rankMultiple;
  if (structure == "block-svd") {
    auto factors = factorizeBlockLowRank(
        matrix.ref(), blocks, blocks,
        getBlockLowRankRank(m, n, blocks, blocks, keep, multiple));
    if (!factors)
      return Error{factors.error()};
    return measure(matrix, *factors);
  }
  if (structure == "svd") {
    // A low-rank product has no couplings: they are folded into a factor.
    auto factors = factorizeLowRank(
        matrix.ref(), getBlockLowRankRank(m, n, 1, 1, keep, multiple));
    if (!factors)
      return Error{factors.error()};
    return Outcome{factors->r * (m + n),
                   measure(matrix, *factors).relativeError};
  }
  BlastOptions options = configuration.blast;
  options.bOut = options.bIn = blocks;
  options.rank = getBlastRank(m, n, blocks, blocks, keep, multiple);
  options.method = structure == "blast-als"
                       ? BlastMethod::AlternatingLeastSquares
                       : BlastMethod::PreconditionedGradient;
  auto result = factorizeBlast(matrix.ref(), options);
  if (!result)
    return Error{result.error()};
  return Outcome{result->factors.getNumParameters(), result->relativeError};
}

/// All matrices as one structure; an object of the output.
static json factorizeAll(const std::vector<Matrix> &matrices,
                         const std::string &structure, int64_t blocks,
                         double keep, const Configuration &configuration) {
  int64_t parameters = 0, denseParameters = 0;
  double errorSum = 0, errorMax = 0;
  auto begin = std::chrono::steady_clock::now();
  for (const Matrix &matrix : matrices) {
    auto outcome = factorize(matrix, structure, blocks, keep, configuration);
    if (!outcome)
      fail(matrix.name + ": " + structure + ": " + outcome.error());
    parameters += outcome->parameters;
    denseParameters += matrix.rows * matrix.cols;
    errorSum += outcome->relativeError;
    errorMax = std::max(errorMax, outcome->relativeError);
  }
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  return {
      {"structure", structure},
      {"b_out", blocks},
      {"b_in", blocks},
      {"keep", keep},
      {"parameters", parameters},
      {"parameters_dense", denseParameters},
      {"relative_error_mean", errorSum / static_cast<double>(matrices.size())},
      {"relative_error_max", errorMax},
      {"seconds", seconds.count()}};
}

static std::string getCpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0)
      return line.substr(line.find(':') + 2);
  return "unknown";
}

static void writeFile(const std::string &path, const json &content) {
  std::ofstream stream(path);
  stream << content.dump(1) << '\n';
  stream.close();
  if (!stream)
    fail(path + ": cannot write");
}

int main(int argc, char **argv) {
  Configuration configuration = parseCommandLine(argc, argv);
  std::vector<Matrix> matrices = readMatrices(configuration);

  json results = json::array();
  if (configuration.append) {
    std::ifstream previous(configuration.output);
    results = json::parse(previous, nullptr, /*allow_exceptions=*/false);
    if (!results.is_array())
      fail(configuration.output + ": no list of results to append to");
  }
  for (const std::string &structure : configuration.structures) {
    // One block is all that there is to the SVD.
    std::vector<int64_t> blockCounts = configuration.blocks;
    if (structure == "svd")
      blockCounts = {1};
    for (int64_t blocks : blockCounts)
      for (double keep : configuration.keep) {
        results.push_back(
            factorizeAll(matrices, structure, blocks, keep, configuration));
        std::fprintf(stderr, "%-14s b=%-2ld keep=%.2f error=%.4f %.1f s\n",
                     structure.c_str(), static_cast<long>(blocks), keep,
                     results.back()["relative_error_mean"].get<double>(),
                     results.back()["seconds"].get<double>());
      }
  }
  if (configuration.output.empty()) {
    std::puts(results.dump(1).c_str());
    return 0;
  }
  writeFile(configuration.output, results);

  json names = json::array();
  for (const Matrix &matrix : matrices)
    names.push_back(matrix.name);
  std::string infoPath = configuration.output;
  if (size_t dot = infoPath.rfind(".json"); dot != std::string::npos)
    infoPath.resize(dot);
  writeFile(infoPath + ".info.json",
            {{"matrices", names},
             {"seed", configuration.blast.seed},
             {"max_iterations", configuration.blast.maxIterations},
             {"rank_multiple", configuration.rankMultiple},
             {"cpu", getCpuName()},
             {"threads", omp_get_max_threads()},
             {"openblas", openblas_get_config()},
             {"openblas_core", openblas_get_corename()},
             {"compiler", __VERSION__}});
  return 0;
}
