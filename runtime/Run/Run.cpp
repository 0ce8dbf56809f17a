//===- Run.cpp - The program structured-run -------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/Run.h"

#include "Run/CudaRuns.h"
#include "Run/Npy.h"
#include "Run/RandomArray.h"
#include "Run/Times.h"
#include "structured-runtime.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>

namespace structured::runtime {

namespace {

struct FreeModule {
  void operator()(structuredRtModule *module) const {
    structuredRtModuleFree(module);
  }
};
using ModuleHandle = std::unique_ptr<structuredRtModule, FreeModule>;

/// The outputs of a run, freed when this is destroyed.
struct Outputs {
  explicit Outputs(size_t count) : tensors(count) {}
  Outputs(const Outputs &) = delete;
  Outputs &operator=(const Outputs &) = delete;
  ~Outputs() { clear(); }
  void clear() {
    for (structuredRtTensor &tensor : tensors)
      structuredRtTensorFree(&tensor);
  }
  std::vector<structuredRtTensor> tensors;
};

} // namespace

static Error getRuntimeError() { return Error{structuredRtGetLastError()}; }

static std::vector<int64_t> getShape(const structuredRtTensor &tensor) {
  return {tensor.shape, tensor.shape + tensor.rank};
}

static int64_t getNumElements(const structuredRtTensor &tensor) {
  return std::accumulate(tensor.shape, tensor.shape + tensor.rank, int64_t(1),
                         std::multiplies<>());
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

static Result<Array> makeRandomInput(const structuredRtTensorType &type,
                                     uint64_t index,
                                     const RunOptions &options) {
  std::string what = "input '" + std::string(type.name) + "'";
  if (!options.randomSeed)
    return Error{what + " has no value: give --input " + type.name +
                 "=FILE.npy, or --random-seed N for random values"};
  std::vector<int64_t> shape(type.shape, type.shape + type.rank);
  for (int64_t &size : shape) {
    if (size != -1)
      continue;
    if (!options.dynamicSize)
      return Error{what +
                   " has a dynamic dimension: give --dynamic-size N, or "
                   "--input " +
                   type.name + "=FILE.npy"};
    size = *options.dynamicSize;
  }
  Result<Array> array =
      makeRandomArray(static_cast<DType>(type.dtype), std::move(shape),
                      *options.randomSeed, index, options.randomIntMax);
  if (!array)
    return Error{what + ": " + array.error()};
  return array;
}

static Result<std::vector<Array>>
makeInputs(const std::vector<structuredRtTensorType> &types,
           const RunOptions &options) {
  for (const auto &[name, file] : options.inputs)
    if (std::none_of(types.begin(), types.end(),
                     [&, name = name](const structuredRtTensorType &type) {
                       return name == type.name;
                     })) {
      std::string names;
      for (const structuredRtTensorType &type : types)
        names += (names.empty() ? "'" : ", '") + std::string(type.name) + "'";
      return Error{"--input: there is no input '" + name + "': the entry has " +
                   (names.empty() ? "none" : names)};
    }

  std::vector<Array> arrays;
  for (size_t i = 0; i < types.size(); ++i) {
    auto file = options.inputs.find(types[i].name);
    Result<Array> array = file != options.inputs.end()
                              ? readNpy(file->second)
                              : makeRandomInput(types[i], i, options);
    if (!array)
      return Error{array.error()};
    if (array->shape.size() > STRUCTURED_RT_MAX_RANK)
      return Error{file->second + ": rank " +
                   std::to_string(array->shape.size()) + " exceeds " +
                   std::to_string(STRUCTURED_RT_MAX_RANK)};
    arrays.push_back(std::move(*array));
  }
  return arrays;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// The module's target, "cpu" or "cuda".
static std::string getTarget(const structuredRtModule *module) {
  nlohmann::json info =
      nlohmann::json::parse(structuredRtModuleGetInfo(module), nullptr,
                            /*allow_exceptions=*/false);
  auto target = info.find("target");
  return target != info.end() && target->is_string()
             ? *target->get_ptr<const std::string *>()
             : std::string();
}

/// The indices of the inputs that the entry updates.
static std::vector<int32_t> getUpdatedInputs(const structuredRtModule *module,
                                             int32_t entry) {
  std::vector<int32_t> inputs;
  int32_t numOutputs = structuredRtEntryGetNumOutputs(module, entry);
  for (int32_t output = 0; output < numOutputs; ++output) {
    int32_t input = -1;
    structuredRtEntryGetUpdatedInput(module, entry, output, &input);
    if (input >= 0)
      inputs.push_back(input);
  }
  return inputs;
}

/// Every run is given the same: what it updates is put back before the next
/// one.
static Result<Times> timeRuns(const structuredRtModule *module, int32_t entry,
                              const std::vector<structuredRtTensor> &inputs,
                              const std::vector<int32_t> &updated,
                              Outputs &outputs, const RunOptions &options) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<std::byte>> given;
  for (int32_t index : updated) {
    const auto *data = static_cast<const std::byte *>(inputs[index].data);
    given.emplace_back(data, data + getNumBytes(inputs[index]));
  }
  std::vector<double> times;
  for (int64_t i = -options.warmup; i < options.repeat; ++i) {
    outputs.clear();
    for (size_t u = 0; u < updated.size(); ++u)
      std::copy(given[u].begin(), given[u].end(),
                static_cast<std::byte *>(inputs[updated[u]].data));
    Clock::time_point start = Clock::now();
    if (structuredRtEntryRun(module, entry, inputs.data(),
                             static_cast<int32_t>(inputs.size()),
                             outputs.tensors.data(),
                             static_cast<int32_t>(outputs.tensors.size())))
      return getRuntimeError();
    std::chrono::duration<double, std::milli> time = Clock::now() - start;
    if (i >= 0)
      times.push_back(time.count());
  }
  return Times(std::move(times));
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// Element `index` as text, with the digits that tell its dtype's values apart.
static std::string formatElement(const structuredRtTensor &tensor,
                                 int64_t index) {
  auto load = [&](auto value) {
    std::memcpy(&value,
                static_cast<char *>(tensor.data) + index * sizeof(value),
                sizeof(value));
    return value;
  };
  auto format = [](double value, int digits) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.*g", digits, value);
    return std::string(text);
  };
  switch (static_cast<DType>(tensor.dtype)) {
  case DType::F64:
    return format(load(double()), 17);
  case DType::F32:
    return format(load(float()), 9);
  case DType::F16:
    return format(halfToFloat(load(uint16_t())), 5);
  case DType::BF16:
    return format(bfloat16ToFloat(load(uint16_t())), 4);
  case DType::I64:
    return std::to_string(load(int64_t()));
  case DType::I32:
    return std::to_string(load(int32_t()));
  case DType::I16:
    return std::to_string(load(int16_t()));
  case DType::I8:
    return std::to_string(load(int8_t()));
  case DType::U8:
    return std::to_string(load(uint8_t()));
  case DType::BOOL:
    return load(uint8_t()) ? "true" : "false";
  }
  return "";
}

/// Appends the elements of dimension `dim` on, nested in brackets, one row of
/// the last dimension a line.
static void formatDim(const structuredRtTensor &tensor, int32_t dim,
                      int64_t &index, std::string &text) {
  if (dim == tensor.rank) {
    text += formatElement(tensor, index++);
    return;
  }
  text += '[';
  for (int64_t i = 0; i < tensor.shape[dim]; ++i) {
    if (i && dim + 1 == tensor.rank)
      text += ", ";
    else if (i)
      text += ",\n" + std::string(dim + 1, ' ');
    formatDim(tensor, dim + 1, index, text);
  }
  text += ']';
}

static std::string formatTensor(const structuredRtTensor &tensor) {
  std::string text;
  int64_t index = 0;
  formatDim(tensor, 0, index, text);
  return text;
}

static std::string formatTensorType(const structuredRtTensor &tensor) {
  std::string text = structuredRtDTypeGetName(tensor.dtype);
  text += '[';
  for (int32_t i = 0; i < tensor.rank; ++i)
    text += (i ? "x" : "") + std::to_string(tensor.shape[i]);
  return text + ']';
}

/// The file each output is saved in; empty if it is not saved.
static Result<std::vector<std::string>>
getOutputFiles(const std::vector<structuredRtTensorType> &types,
               const RunOptions &options) {
  std::vector<std::string> files(types.size());
  if (options.output) {
    if (types.size() != 1)
      return Error{"--output: the entry has " + std::to_string(types.size()) +
                   " outputs; use --output-dir"};
    files[0] = *options.output;
  }
  if (options.outputDir) {
    std::error_code error;
    std::filesystem::create_directories(*options.outputDir, error);
    if (error)
      return Error{*options.outputDir + ": " + error.message()};
    for (size_t i = 0; i < types.size(); ++i) {
      std::string name = types[i].name;
      std::replace(name.begin(), name.end(), '/', '_');
      files[i] = *options.outputDir + "/" + name + ".npy";
    }
  }
  return files;
}

//===----------------------------------------------------------------------===//
// The report
//===----------------------------------------------------------------------===//

static nlohmann::ordered_json
describeTensors(const std::vector<structuredRtTensorType> &types,
                const std::vector<structuredRtTensor> &tensors) {
  auto array = nlohmann::ordered_json::array();
  for (size_t i = 0; i < types.size(); ++i)
    array.push_back({{"name", types[i].name},
                     {"dtype", structuredRtDTypeGetName(tensors[i].dtype)},
                     {"shape", getShape(tensors[i])}});
  return array;
}

static std::string
makeJsonReport(const RunOptions &options, const char *entryName,
               const std::vector<structuredRtTensorType> &inputTypes,
               const std::vector<structuredRtTensor> &inputs,
               const std::vector<structuredRtTensorType> &outputTypes,
               const std::vector<structuredRtTensor> &outputs,
               const std::vector<std::string> &files, const Times &times,
               const char *device) {
  nlohmann::ordered_json report;
  report["module"] = options.modulePath;
  report["entry"] = entryName;
  if (device)
    report["device"] = device;
  else
    report["threads"] = structuredRtGetNumThreads();
  report["inputs"] = describeTensors(inputTypes, inputs);
  report["outputs"] = describeTensors(outputTypes, outputs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    nlohmann::ordered_json &output = report["outputs"][i];
    if (!files[i].empty())
      output["file"] = files[i];
    if (!options.print)
      continue;
    // As text first: JSON has no NaN, and floats should not grow digits.
    auto values = nlohmann::ordered_json::array();
    for (int64_t e = 0; e < getNumElements(outputs[i]); ++e)
      values.push_back(nlohmann::ordered_json::parse(
          formatElement(outputs[i], e), nullptr, /*allow_exceptions=*/false));
    for (nlohmann::ordered_json &value : values)
      if (value.is_discarded())
        value = nullptr;
    output["values"] = std::move(values);
  }
  report["warmup"] = options.warmup;
  report["repeat"] = options.repeat;
  report["time_ms"] = {{"min", times.min},
                       {"median", times.median},
                       {"mean", times.mean},
                       {"all", times.all}};
  return report.dump(2, ' ', false,
                     nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

static std::string
makeTextReport(const RunOptions &options, const char *entryName,
               const std::vector<structuredRtTensorType> &outputTypes,
               const std::vector<structuredRtTensor> &outputs,
               const std::vector<std::string> &files, const Times &times,
               const char *device) {
  std::string report;
  for (size_t i = 0; i < outputs.size(); ++i) {
    report +=
        std::string(outputTypes[i].name) + ": " + formatTensorType(outputs[i]);
    if (!files[i].empty())
      report += " saved in " + files[i];
    report += '\n';
    if (options.print)
      report += formatTensor(outputs[i]) + '\n';
  }
  char line[256];
  std::string place =
      device ? device
             : std::to_string(structuredRtGetNumThreads()) + " threads";
  std::snprintf(line, sizeof(line),
                ": min %.3f ms, median %.3f ms, mean %.3f ms\n", times.min,
                times.median, times.mean);
  return report + entryName + ": " + std::to_string(options.warmup) +
         " warm-up and " + std::to_string(options.repeat) + " timed runs on " +
         place + line;
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

static Result<void> print(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
      std::fflush(stdout) != 0)
    return Error{std::string("standard output: ") + std::strerror(errno)};
  return {};
}

/// The entry asked for; by default `main`, or the only one.
static Result<int32_t> findEntry(const structuredRtModule *module,
                                 const RunOptions &options) {
  int32_t entry = 0;
  if (!options.entry && structuredRtModuleGetNumEntries(module) == 1)
    return entry;
  if (structuredRtModuleFindEntry(
          module, options.entry ? options.entry->c_str() : "main", &entry))
    return Error{options.modulePath + ": " + structuredRtGetLastError()};
  return entry;
}

Result<void> runModule(const RunOptions &options) {
  if (options.threads &&
      structuredRtSetNumThreads(static_cast<int32_t>(*options.threads)))
    return getRuntimeError();

  structuredRtCudaTuneMatmul(options.tune);
  structuredRtCudaCheckLaunches(options.checkLaunches);
  if (options.device && structuredRtCudaSetDevice(*options.device))
    return getRuntimeError();

  structuredRtModule *handle = nullptr;
  if (structuredRtModuleLoad(options.modulePath.c_str(),
                             options.weightsPath ? options.weightsPath->c_str()
                                                 : nullptr,
                             &handle))
    return getRuntimeError();
  ModuleHandle module(handle);
  Result<int32_t> entry = findEntry(handle, options);
  if (!entry)
    return Error{entry.error()};
  const char *entryName = structuredRtEntryGetName(handle, *entry);

  std::vector<structuredRtTensorType> inputTypes(
      structuredRtEntryGetNumInputs(handle, *entry));
  for (size_t i = 0; i < inputTypes.size(); ++i)
    structuredRtEntryGetInputType(handle, *entry, static_cast<int32_t>(i),
                                  &inputTypes[i]);
  std::vector<structuredRtTensorType> outputTypes(
      structuredRtEntryGetNumOutputs(handle, *entry));
  for (size_t i = 0; i < outputTypes.size(); ++i)
    structuredRtEntryGetOutputType(handle, *entry, static_cast<int32_t>(i),
                                   &outputTypes[i]);

  Result<std::vector<Array>> arrays = makeInputs(inputTypes, options);
  if (!arrays)
    return Error{arrays.error()};
  Result<std::vector<std::string>> files = getOutputFiles(outputTypes, options);
  if (!files)
    return Error{files.error()};

  std::vector<structuredRtTensor> inputs;
  for (Array &array : *arrays) {
    structuredRtTensor tensor = {};
    tensor.dtype = static_cast<int32_t>(array.dtype);
    tensor.rank = static_cast<int32_t>(array.shape.size());
    std::copy(array.shape.begin(), array.shape.end(), tensor.shape);
    tensor.data = array.data.data();
    inputs.push_back(tensor);
  }
  Outputs outputs(outputTypes.size());
  bool isCuda = getTarget(handle) == "cuda";
  if (!isCuda && options.graph)
    return Error{options.modulePath + ": --graph: not compiled for CUDA"};
  std::vector<int32_t> updated = getUpdatedInputs(handle, *entry);
  Result<Times> times =
      isCuda ? timeCudaRuns(handle, *entry, inputs, updated, outputs.tensors,
                            options)
             : timeRuns(handle, *entry, inputs, updated, outputs, options);
  if (!times)
    return Error{times.error()};

  for (size_t i = 0; i < outputTypes.size(); ++i) {
    const structuredRtTensor &output = outputs.tensors[i];
    if ((*files)[i].empty())
      continue;
    if (Result<void> written =
            writeNpy((*files)[i], static_cast<DType>(output.dtype),
                     getShape(output), output.data);
        !written)
      return written;
  }

  const char *device = isCuda ? structuredRtCudaGetDeviceName() : nullptr;
  return print(options.json
                   ? makeJsonReport(options, entryName, inputTypes, inputs,
                                    outputTypes, outputs.tensors, *files,
                                    *times, device)
                   : makeTextReport(options, entryName, outputTypes,
                                    outputs.tensors, *files, *times, device));
}

int structuredRunMain(int argc, char **argv) {
  Result<RunOptions> options = parseRunOptions(argc, argv);
  Result<void> done;
  if (!options)
    done = Error{options.error()};
  else if (options->help)
    done = print(getRunHelp());
  else
    done = runModule(*options);
  if (done)
    return 0;
  std::fprintf(stderr, "structured-run: error: %s\n", done.error().c_str());
  return 1;
}

} // namespace structured::runtime
