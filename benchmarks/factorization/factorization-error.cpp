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
#include "Structured/Factorization/Gblr.h"
#include "Structured/Factorization/Random.h"
#include "Structured/Weights/Safetensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <cblas.h>
#include <omp.h>
#include <regex.h>

using namespace structured;
using nlohmann::json;

static constexpr const char *usage =
    R"(usage: factorization-error FILE.safetensors|planted:KIND [option...]
  planted:KIND         instead of a file: four 256 x 256 matrices that are
                       exactly KIND, one of gblr, block-sparse, block-low-rank,
                       banded
  --names REGEX        POSIX extended regular expression of the matrices' names
                       (all two-dimensional floating-point tensors)
  --structures LIST    of svd, block-svd, blast-gradient, blast-als (these if
                       not given), gblr (32 parameters per component and more),
                       gblr-fine (4 and more), gblr-energy-runs,
                       sparse-low-rank (16 x 16 blocks, best split), 2:4
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
  /// Of GBLR.
  int64_t components = 0;
};

constexpr const char *allStructures[] = {
    "svd",       "block-svd",        "blast-gradient",  "blast-als", "gblr",
    "gblr-fine", "gblr-energy-runs", "sparse-low-rank", "2:4"};

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
    if (std::find(std::begin(allStructures), std::end(allStructures),
                  structure) == std::end(allStructures))
      fail("unknown structure '" + structure + "'");
  for (int64_t blocks : configuration.blocks)
    if (blocks < 1)
      fail("--blocks: " + std::to_string(blocks) + " is not positive");
  if (configuration.file.empty())
    fail(std::string("no file\n") + usage);
  return configuration;
}

/// Matrices of 256 × 256 that are exactly of a kind: GBLR with 8 components of
/// rank 1 to 4 in random periodic intervals of 48 to 128 elements; a quarter of
/// the 32 × 32 blocks dense; 4 × 4 blocks of rank 4; 65 diagonals.
static std::vector<Matrix> plantMatrices(const std::string &kind) {
  constexpr int64_t size = 256;
  std::vector<Matrix> matrices;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    NormalGenerator normal(seed);
    std::mt19937_64 engine(seed);
    auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(engine() % (high - low + 1));
    };
    GblrFactors factors;
    factors.m = factors.n = size;
    if (kind == "gblr")
      for (int k = 0; k < 8; ++k)
        factors.components.push_back({draw(0, size - 1), draw(48, 128),
                                      draw(0, size - 1), draw(48, 128),
                                      draw(1, 4)});
    else if (kind == "block-low-rank")
      for (int64_t k = 0; k < 16; ++k)
        factors.components.push_back({k / 4 * 64, 64, k % 4 * 64, 64, 4});
    else if (kind != "block-sparse" && kind != "banded")
      fail("unknown kind of planted matrices '" + kind + "'");
    for (const GblrComponent &component : factors.components) {
      for (int64_t i = 0; i < component.rank * component.rows; ++i)
        factors.u.push_back(normal());
      for (int64_t i = 0; i < component.rank * component.cols; ++i)
        factors.v.push_back(normal());
    }
    Matrix matrix{kind + "." + std::to_string(seed), size, size,
                  reconstruct(factors)};
    if (kind == "block-sparse") {
      std::vector<int64_t> blocks(64);
      std::iota(blocks.begin(), blocks.end(), 0);
      for (int64_t k = 0; k < 16; ++k) {
        std::swap(blocks[k], blocks[draw(k, 63)]);
        for (int64_t i = 0; i < 32 * 32; ++i)
          matrix.values[(blocks[k] / 8 * 32 + i / 32) * size +
                        blocks[k] % 8 * 32 + i % 32] = normal();
      }
    } else if (kind == "banded") {
      for (int64_t row = 0; row < size; ++row)
        for (int64_t col = std::max<int64_t>(row - 32, 0);
             col <= std::min<int64_t>(row + 32, size - 1); ++col)
          matrix.values[row * size + col] = normal();
    }
    matrices.push_back(std::move(matrix));
  }
  return matrices;
}

static std::vector<Matrix> readMatrices(const Configuration &configuration) {
  if (configuration.file.rfind("planted:", 0) == 0)
    return plantMatrices(configuration.file.substr(8));
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

/// Low rank on a part of the budget and, on the rest, the 16 × 16 blocks of the
/// largest energy, in turn three times; the best of five splits. Nothing for
/// the one or the other is among them.
static Result<Outcome> factorizeSparseLowRank(const Matrix &matrix,
                                              double keep) {
  constexpr int64_t side = 16, rounds = 3;
  int64_t m = matrix.rows, n = matrix.cols;
  if (m % side || n % side)
    return Error{"16 x 16 blocks do not divide the matrix"};
  auto budget = static_cast<int64_t>(keep * static_cast<double>(m * n));
  int64_t numBlocks = m / side * (n / side);
  Outcome best{0, 1};
  for (double lowRankPart : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    int64_t rank = std::min(
        static_cast<int64_t>(lowRankPart * static_cast<double>(budget)) /
            (m + n),
        std::min(m, n));
    int64_t kept =
        std::min((budget - rank * (m + n)) / (side * side), numBlocks);
    std::vector<float> lowRank(m * n), sparse(m * n), rest(m * n), sum(m * n);
    for (int64_t round = 0; round < rounds; ++round) {
      if (rank > 0) {
        for (int64_t i = 0; i < m * n; ++i)
          rest[i] = matrix.values[i] - sparse[i];
        auto factors = factorizeLowRank({rest.data(), m, n}, rank);
        if (!factors)
          return Error{factors.error()};
        lowRank = reconstruct(*factors);
      }
      std::vector<std::pair<double, int64_t>> energies(numBlocks);
      auto forEach = [&](int64_t block, auto callback) {
        int64_t row = block / (n / side) * side,
                col = block % (n / side) * side;
        for (int64_t i = 0; i < side * side; ++i)
          callback((row + i / side) * n + col + i % side);
      };
      for (int64_t block = 0; block < numBlocks; ++block) {
        energies[block].second = block;
        forEach(block, [&](int64_t i) {
          double value = matrix.values[i] - lowRank[i];
          energies[block].first -= value * value;
        });
      }
      std::sort(energies.begin(), energies.end());
      std::fill(sparse.begin(), sparse.end(), 0.0f);
      for (int64_t k = 0; k < kept; ++k)
        forEach(energies[k].second,
                [&](int64_t i) { sparse[i] = matrix.values[i] - lowRank[i]; });
    }
    for (int64_t i = 0; i < m * n; ++i)
      sum[i] = lowRank[i] + sparse[i];
    double error = getRelativeError(matrix.ref(), sum.data());
    if (error < best.relativeError)
      best = {rank * (m + n) + kept * side * side, error};
  }
  return best;
}

/// The two elements of the largest magnitude of each four in a row. Their
/// positions, two bits each, are not counted.
static Result<Outcome> prune2To4(const Matrix &matrix) {
  if (matrix.cols % 4)
    return Error{"the columns are not a multiple of 4"};
  std::vector<float> pruned = matrix.values;
  for (size_t begin = 0; begin < pruned.size(); begin += 4) {
    int order[] = {0, 1, 2, 3};
    std::sort(order, order + 4, [&](int a, int b) {
      return std::fabs(pruned[begin + a]) > std::fabs(pruned[begin + b]);
    });
    pruned[begin + order[2]] = pruned[begin + order[3]] = 0;
  }
  return Outcome{matrix.rows * matrix.cols / 2,
                 getRelativeError(matrix.ref(), pruned.data())};
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
  if (structure == "sparse-low-rank")
    return factorizeSparseLowRank(matrix, keep);
  if (structure == "2:4")
    return prune2To4(matrix);
  if (structure.rfind("gblr", 0) == 0) {
    GblrOptions options;
    options.budget = getGblrBudget(m, n, keep);
    if (structure == "gblr-fine")
      options.minComponentParameters = 4;
    if (structure == "gblr-energy-runs")
      options.method = GblrMethod::EnergyRuns;
    auto result = factorizeGblr(matrix.ref(), options);
    if (!result)
      return Error{result.error()};
    return Outcome{result->factors.getNumParameters(), result->relativeError,
                   static_cast<int64_t>(result->factors.components.size())};
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
  int64_t parameters = 0, denseParameters = 0, components = 0;
  double errorSum = 0, errorMax = 0;
  auto begin = std::chrono::steady_clock::now();
  for (const Matrix &matrix : matrices) {
    auto outcome = factorize(matrix, structure, blocks, keep, configuration);
    if (!outcome)
      fail(matrix.name + ": " + structure + ": " + outcome.error());
    parameters += outcome->parameters;
    denseParameters += matrix.rows * matrix.cols;
    components += outcome->components;
    errorSum += outcome->relativeError;
    errorMax = std::max(errorMax, outcome->relativeError);
  }
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  json result = {
      {"structure", structure},
      {"b_out", blocks},
      {"b_in", blocks},
      {"keep", keep},
      {"parameters", parameters},
      {"parameters_dense", denseParameters},
      {"relative_error_mean", errorSum / static_cast<double>(matrices.size())},
      {"relative_error_max", errorMax},
      {"seconds", seconds.count()}};
  if (components > 0)
    result["components"] = components;
  return result;
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
    // One block is all that there is to the SVD, and half to 2:4 sparsity.
    std::vector<int64_t> blockCounts = configuration.blocks;
    if (structure != "block-svd" && structure.rfind("blast", 0) != 0)
      blockCounts = {1};
    std::vector<double> keepFractions = configuration.keep;
    if (structure == "2:4")
      keepFractions = {0.5};
    for (int64_t blocks : blockCounts)
      for (double keep : keepFractions) {
        results.push_back(
            factorizeAll(matrices, structure, blocks, keep, configuration));
        std::fprintf(stderr, "%-16s b=%-2ld keep=%.2f error=%.4f %.1f s\n",
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
