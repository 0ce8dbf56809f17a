// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "CurvesFile.h"
#include "JsonFile.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace structured;
namespace json = llvm::json;

static Result<MeasuredCurve> readCurve(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  std::optional<llvm::StringRef> structure =
      object ? object->getString("structure") : std::nullopt;
  const json::Array *points = object ? object->getArray("points") : nullptr;
  if (!points || (structure != "blast" && structure != "gblr"))
    return Error{"a curve must have the 'structure' \"blast\" or \"gblr\" and "
                 "'points'"};
  MeasuredCurve curve;
  curve.structure = structure->str();
  if (curve.structure == "blast") {
    curve.bOut = object->getInteger("b_out").value_or(0);
    curve.bIn = object->getInteger("b_in").value_or(0);
    if (curve.bOut < 1 || curve.bIn < 1)
      return Error{"a BLAST curve must have 'b_out' and 'b_in' of at least 1"};
  }
  int64_t last = 0;
  for (const json::Value &point : *points) {
    const json::Array *pair = point.getAsArray();
    std::optional<int64_t> parameters;
    std::optional<double> error;
    if (pair && pair->size() == 2) {
      parameters = (*pair)[0].getAsInteger();
      error = (*pair)[1].getAsNumber();
    }
    if (!parameters || !error || *parameters <= last || !(*error >= 0) ||
        !std::isfinite(*error))
      return Error{"a curve's points must be pairs of a number of parameters, "
                   "ascending from 1, and an error of at least 0"};
    last = *parameters;
    curve.points.push_back({*parameters, *error});
  }
  return curve;
}

static Result<LayerCurves> readLayer(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  std::optional<llvm::StringRef> layer =
      object ? object->getString("layer") : std::nullopt;
  const json::Array *shape = object ? object->getArray("shape") : nullptr;
  const json::Array *curves = object ? object->getArray("curves") : nullptr;
  if (!layer || layer->empty() || !shape || shape->size() != 2 ||
      !(*shape)[0].getAsInteger() || !(*shape)[1].getAsInteger() || !curves)
    return Error{"must have a 'layer' name, a 'shape' of two numbers and "
                 "'curves'"};
  LayerCurves result;
  result.layer = layer->str();
  result.m = *(*shape)[0].getAsInteger();
  result.n = *(*shape)[1].getAsInteger();
  for (const json::Value &entry : *curves) {
    Result<MeasuredCurve> curve = readCurve(entry);
    if (!curve)
      return Error{"(" + result.layer + "): " + curve.error()};
    result.curves.push_back(std::move(*curve));
  }
  return result;
}

Result<std::vector<LayerCurves>>
structured::readCurvesFile(const std::string &path) {
  Result<json::Object> object = readLayersFile(path, "file of error curves");
  if (!object)
    return Error{object.error()};
  std::vector<LayerCurves> result;
  for (auto [index, entry] : llvm::enumerate(*object->getArray("layers"))) {
    Result<LayerCurves> layer = readLayer(entry);
    if (!layer)
      return Error{"'" + path + "': entry " + std::to_string(index) + " " +
                   layer.error()};
    result.push_back(std::move(*layer));
  }
  return result;
}

Result<void>
structured::writeCurvesFile(const std::string &path,
                            const std::vector<LayerCurves> &layers) {
  json::Array entries;
  for (const LayerCurves &layer : layers) {
    json::Array curves;
    for (const MeasuredCurve &curve : layer.curves) {
      json::Array points;
      for (const MeasuredCurve::Point &point : curve.points)
        points.push_back(json::Array{point.parameters, point.relativeError});
      json::Object entry{{"structure", curve.structure},
                         {"points", std::move(points)}};
      if (curve.structure == "blast") {
        entry["b_out"] = curve.bOut;
        entry["b_in"] = curve.bIn;
      }
      curves.push_back(std::move(entry));
    }
    entries.push_back(json::Object{{"layer", layer.layer},
                                   {"shape", json::Array{layer.m, layer.n}},
                                   {"curves", std::move(curves)}});
  }
  return writeJsonFile(
      path, json::Object{{"version", 1}, {"layers", std::move(entries)}});
}
