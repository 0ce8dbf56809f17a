// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PlanFile.h"
#include "JsonFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"

using namespace structured;
namespace json = llvm::json;

/// Whether the parameters, planned and dense, can be counted in 63 bits.
static bool isCountable(const LayerPlan &plan) {
  int64_t dense, count;
  if (llvm::MulOverflow(plan.m, plan.n, dense))
    return false;
  return plan.structure != "blast" ||
         !(llvm::MulOverflow(plan.bOut, plan.bIn, count) ||
           llvm::AddOverflow(plan.m, count, count) ||
           llvm::AddOverflow(plan.n, count, count) ||
           llvm::MulOverflow(plan.rank, count, count));
}

static Result<LayerPlan> readEntry(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return Error{"is not an object"};
  static constexpr llvm::StringLiteral keys[] = {
      "layer",         "shape",  "structure", "b_out",      "b_in",
      "rank",          "budget", "reason",    "parameters", "dense_parameters",
      "expected_error"};
  for (const auto &[key, unused] : *object)
    if (!llvm::is_contained(keys, llvm::StringRef(key)))
      return Error{"has the unknown key '" + key.str() + "'"};

  LayerPlan plan;
  std::optional<llvm::StringRef> layer = object->getString("layer");
  std::optional<llvm::StringRef> structure = object->getString("structure");
  const json::Array *shape = object->getArray("shape");
  if (!layer || layer->empty())
    return Error{"has no 'layer' name"};
  if (!structure ||
      (*structure != "dense" && *structure != "blast" && *structure != "gblr"))
    return Error{"(" + layer->str() +
                 ") must have the 'structure' \"dense\", \"blast\" or "
                 "\"gblr\""};
  if (!shape || shape->size() != 2 || !(*shape)[0].getAsInteger() ||
      !(*shape)[1].getAsInteger())
    return Error{"(" + layer->str() + ") must have a 'shape' of two numbers"};
  plan.layer = layer->str();
  plan.structure = structure->str();
  plan.m = *(*shape)[0].getAsInteger();
  plan.n = *(*shape)[1].getAsInteger();
  plan.reason = object->getString("reason").value_or("").str();
  auto readPositive = [&](llvm::StringRef key,
                          int64_t &number) -> Result<void> {
    std::optional<int64_t> integer = object->getInteger(key);
    if (!integer || *integer < 1)
      return Error{"(" + plan.layer + ") must have a '" + key.str() +
                   "' of at least 1"};
    number = *integer;
    return {};
  };
  llvm::SmallVector<std::pair<const char *, int64_t *>> numbers;
  if (plan.structure == "blast")
    numbers = {
        {"b_out", &plan.bOut}, {"b_in", &plan.bIn}, {"rank", &plan.rank}};
  if (plan.structure == "gblr")
    numbers = {{"budget", &plan.budget}};
  for (auto [key, number] : numbers)
    if (Result<void> read = readPositive(key, *number); !read)
      return Error{read.error()};
  if (!isCountable(plan))
    return Error{"(" + plan.layer +
                 ") has too large numbers: its parameters do not fit into 63 "
                 "bits"};
  return plan;
}

Result<std::vector<LayerPlan>>
structured::readPlanFile(const std::string &path) {
  Result<json::Object> object = readLayersFile(path, "plan file");
  if (!object)
    return Error{object.error()};
  for (const auto &[key, unused] : *object)
    if (key != "version" && key != "layers" && key != "allocation")
      return Error{"'" + path + "' has the unknown key '" + key.str() + "'"};
  std::vector<LayerPlan> plan;
  llvm::StringSet<> seen;
  for (auto [index, entry] : llvm::enumerate(*object->getArray("layers"))) {
    Result<LayerPlan> layer = readEntry(entry);
    if (!layer)
      return Error{"'" + path + "': entry " + std::to_string(index) + " " +
                   layer.error()};
    if (!seen.insert(layer->layer).second)
      return Error{"'" + path + "': layer '" + layer->layer +
                   "' is named twice"};
    plan.push_back(std::move(*layer));
  }
  return plan;
}

Result<void>
structured::writePlanFile(const std::string &path,
                          const std::vector<LayerPlan> &plan,
                          const std::optional<PlanAllocation> &allocation) {
  json::Array layers;
  for (const LayerPlan &layer : plan) {
    json::Object entry{{"layer", layer.layer},
                       {"shape", json::Array{layer.m, layer.n}},
                       {"structure", layer.structure},
                       {"dense_parameters", layer.m * layer.n},
                       {"parameters", layer.getParameterCount()}};
    if (layer.structure == "blast") {
      entry["b_out"] = layer.bOut;
      entry["b_in"] = layer.bIn;
      entry["rank"] = layer.rank;
    }
    if (layer.structure == "gblr")
      entry["budget"] = layer.budget;
    if (layer.expectedError > 0)
      entry["expected_error"] = layer.expectedError;
    if (!layer.reason.empty())
      entry["reason"] = layer.reason;
    layers.push_back(std::move(entry));
  }
  json::Object file{{"version", 1}, {"layers", std::move(layers)}};
  if (allocation) {
    json::Object record{{"budget", allocation->budget},
                        {"cost", allocation->cost},
                        {"dense_cost", allocation->denseCost},
                        {"expected_loss", allocation->loss}};
    if (allocation->maxCost)
      record["max_cost"] = *allocation->maxCost;
    if (allocation->maxLoss)
      record["max_loss"] = *allocation->maxLoss;
    file["allocation"] = std::move(record);
  }
  return writeJsonFile(path, std::move(file));
}
