//===- Kernels.cpp - Images of device code and their kernels --------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda/Kernels.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace structured::runtime {

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

static std::string format(const std::array<int64_t, 3> &sizes) {
  return std::to_string(sizes[0]) + "x" + std::to_string(sizes[1]) + "x" +
         std::to_string(sizes[2]);
}

static std::string describe(const std::string &name,
                            const LaunchConfig &config) {
  std::string text = "kernel '" + name + "' (grid " + format(config.grid) +
                     ", block " + format(config.block);
  if (config.cluster[0])
    text += ", cluster " + format(config.cluster);
  if (config.dynamicSharedMemory)
    text += ", " + std::to_string(config.dynamicSharedMemory) +
            " bytes of dynamic shared memory";
  return text + ")";
}

Result<void> Kernel::raiseLimits(const LaunchConfig &config) {
  std::lock_guard<std::mutex> lock(mutex);
  if (config.dynamicSharedMemory > maxDynamic) {
    CUresult result = context.api.cuFuncSetAttribute(
        function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        static_cast<int>(config.dynamicSharedMemory));
    if (result != CUDA_SUCCESS)
      return Error{describe(name, config) + ": a block of " + context.name +
                   " can have " + std::to_string(context.maxSharedMemory) +
                   " bytes of shared memory: " + context.api.describe(result)};
    maxDynamic = config.dynamicSharedMemory;
  }
  // Eight blocks are what every device takes.
  if (!takesLargeClusters &&
      config.cluster[0] * config.cluster[1] * config.cluster[2] > 8) {
    CUresult result = context.api.cuFuncSetAttribute(
        function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
    if (result != CUDA_SUCCESS)
      return Error{describe(name, config) + ": clusters of more than 8 blocks" +
                   ": " + context.api.describe(result)};
    takesLargeClusters = true;
  }
  return {};
}

/// Asks for a small part of the multiprocessors' memory as shared memory, the
/// same for all kernels that can do with it. What is being loaded needs room in
/// the rest, the L1 cache. Left to itself the driver keeps the division of the
/// kernel before, if they overlap: a kernel that streams into registers is a
/// third slower after one that has all as shared memory. Only a wish: what is
/// wrong with the configuration the launch will say.
void Kernel::divideCache(const LaunchConfig &config) {
  constexpr int64_t sharedPercent = 28, reservedPerBlock = 1024;
  std::lock_guard<std::mutex> lock(mutex);
  std::pair<int64_t, int64_t> block = {config.block[0] * config.block[1] *
                                           config.block[2],
                                       config.dynamicSharedMemory};
  if (block == dividedFor)
    return;
  dividedFor = block;
  int shared = 0, blocks = 0;
  if (context.api.cuFuncGetAttribute(&shared,
                                     CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
                                     function) != CUDA_SUCCESS ||
      context.api.cuOccupancyMaxActiveBlocksPerMultiprocessor(
          &blocks, function, static_cast<int>(block.first),
          static_cast<size_t>(block.second)) != CUDA_SUCCESS)
    return;
  int64_t needed = blocks * (shared + block.second + reservedPerBlock);
  bool isSmall = needed * 100 <= sharedPercent * context.maxSharedMemory;
  if (isSmall != std::exchange(hasSmallPart, isSmall))
    context.api.cuFuncSetAttribute(
        function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
        isSmall ? sharedPercent : -1);
}

Result<void> Kernel::launch(const LaunchConfig &config, CUstream stream,
                            void **parameters) {
  for (const std::array<int64_t, 3> *sizes :
       {&config.grid, &config.block, &config.cluster})
    for (int64_t size : *sizes)
      if (size < 0 || size > std::numeric_limits<int32_t>::max())
        return Error{describe(name, config) + ": a size is out of range"};
  if (config.dynamicSharedMemory < 0)
    return Error{describe(name, config) + ": a size is out of range"};
  if (std::count(config.grid.begin(), config.grid.end(), 0))
    return {};
  if (Result<void> raised = raiseLimits(config); !raised)
    return raised;
  divideCache(config);

  std::array<CUlaunchAttribute, 3> attributes = {};
  unsigned count = 0;
  if (config.cluster[0]) {
    CUlaunchAttribute &attribute = attributes[count++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim = {static_cast<unsigned>(config.cluster[0]),
                                  static_cast<unsigned>(config.cluster[1]),
                                  static_cast<unsigned>(config.cluster[2])};
  }
  if (config.isProgrammatic) {
    CUlaunchAttribute &attribute = attributes[count++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.value.programmaticStreamSerializationAllowed = 1;
  }
  if (config.isCooperative) {
    CUlaunchAttribute &attribute = attributes[count++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    attribute.value.cooperative = 1;
  }
  CUlaunchConfig launch = {static_cast<unsigned>(config.grid[0]),
                           static_cast<unsigned>(config.grid[1]),
                           static_cast<unsigned>(config.grid[2]),
                           static_cast<unsigned>(config.block[0]),
                           static_cast<unsigned>(config.block[1]),
                           static_cast<unsigned>(config.block[2]),
                           static_cast<unsigned>(config.dynamicSharedMemory),
                           stream,
                           count ? attributes.data() : nullptr,
                           count};
  CUresult result = context.api.cuLaunchKernelEx(&launch, function, parameters,
                                                 /*extra=*/nullptr);
  if (result != CUDA_SUCCESS)
    return Error{describe(name, config) + ": " + context.api.describe(result)};
  return {};
}

//===----------------------------------------------------------------------===//
// KernelImage
//===----------------------------------------------------------------------===//

KernelImage::~KernelImage() {
  for (auto &[context, image] : loaded) {
    ContextScope scope(*context);
    context->api.cuModuleUnload(image.module);
  }
}

Result<CUmodule> KernelImage::load(const CudaContext &context) const {
  std::vector<char> log(8192);
  std::vector<int> options = {CU_JIT_ERROR_LOG_BUFFER,
                              CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  std::vector<void *> values = {log.data(),
                                reinterpret_cast<void *>(log.size() - 1)};
  if (optimization >= 0) {
    options.push_back(CU_JIT_OPTIMIZATION_LEVEL);
    values.push_back(
        reinterpret_cast<void *>(static_cast<intptr_t>(optimization)));
  }
  CUmodule module = nullptr;
  CUresult result = context.api.cuModuleLoadDataEx(
      &module, data, static_cast<unsigned>(options.size()), options.data(),
      values.data());
  if (result == CUDA_SUCCESS)
    return module;
  std::string message = "its code cannot be loaded on " + context.name + ": " +
                        context.api.describe(result);
  if (log[0])
    message += ": " + std::string(log.data());
  return Error{message};
}

Result<Kernel *> KernelImage::getKernel(const CudaContext &context,
                                        std::string_view name) {
  std::lock_guard<std::mutex> lock(mutex);
  auto image = loaded.find(&context);
  if (image == loaded.end()) {
    Result<CUmodule> module = load(context);
    if (!module)
      return Error{"kernel '" + std::string(name) + "': " + module.error()};
    image = loaded.emplace(&context, Loaded{*module, {}}).first;
  }
  auto &kernels = image->second.kernels;
  if (auto it = kernels.find(name); it != kernels.end())
    return it->second.get();
  std::string text(name);
  CUfunction function = nullptr;
  int maxDynamic = 0;
  CUresult result = context.api.cuModuleGetFunction(
      &function, image->second.module, text.c_str());
  if (result == CUDA_SUCCESS)
    result = context.api.cuFuncGetAttribute(
        &maxDynamic, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, function);
  if (result != CUDA_SUCCESS)
    return Error{"kernel '" + text + "' is not in the module's device code: " +
                 context.api.describe(result)};
  auto kernel = std::make_unique<Kernel>(context, text, function, maxDynamic);
  return kernels.emplace(text, std::move(kernel)).first->second.get();
}

} // namespace structured::runtime
