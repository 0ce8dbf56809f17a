// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Entries.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/xxhash.h"
#include "llvm/Transforms/IPO/Internalize.h"

using namespace mlir;
using namespace structured;

/// STRUCTURED_RT_ABI_VERSION of the runtime that runs what is emitted here.
static constexpr int kAbiVersion = 1;
/// STRUCTURED_RT_MAX_RANK.
static constexpr int64_t kMaxRank = 8;

std::string structured::getStoredName(StringRef name,
                                      ArrayRef<int64_t> permutation,
                                      GblrPackingAttr packing) {
  std::string stored = name.str();
  if (packing) {
    std::string layout;
    llvm::raw_string_ostream(layout) << packing.getLayout();
    llvm::raw_string_ostream(stored)
        << "#" << stringifyGblrFactor(packing.getFactor())
        << packing.getVWidth() << ":" << packing.getUWidth() << "x"
        << packing.getColumns() << "-"
        << llvm::format_hex_no_prefix(llvm::xxh3_64bits(layout), 16);
  }
  if (!permutation.empty())
    stored += "#perm";
  for (int64_t dim : permutation)
    stored += std::to_string(dim);
  return stored;
}

static std::optional<std::string> getDTypeName(Type type) {
  if (isa<Float64Type, Float32Type, Float16Type, BFloat16Type>(type)) {
    std::string name;
    llvm::raw_string_ostream(name) << type;
    return name;
  }
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  unsigned width = integer.getWidth();
  if (integer.isUnsigned())
    return width == 8 ? std::optional<std::string>("u8") : std::nullopt;
  if (width == 64 || width == 32 || width == 16 || width == 8 || width == 1)
    return "i" + std::to_string(width);
  return std::nullopt;
}

/// Fills in dtype and shape; `what` is for the error.
static LogicalResult describeType(func::FuncOp function, Type type,
                                  const Twine &what, EntryTensor &tensor) {
  auto tensorType = dyn_cast<RankedTensorType>(type);
  std::optional<std::string> dtype;
  if (tensorType)
    dtype = getDTypeName(tensorType.getElementType());
  if (!dtype || tensorType.getRank() > kMaxRank)
    return function.emitError()
           << "entry '" << function.getName() << "': " << what
           << " has the type " << type << ", not a tensor of rank at most "
           << kMaxRank
           << " of f64, f32, f16, bf16, i64, i32, i16, i8, u8 or i1";
  tensor.dtype = *dtype;
  for (int64_t size : tensorType.getShape())
    tensor.shape.push_back(ShapedType::isDynamic(size) ? -1 : size);
  return success();
}

/// The name under which a constant is stored: a hash of what it is.
static std::string getConstantName(ElementsAttr constant) {
  std::string text, name = "constant#";
  llvm::raw_string_ostream(text) << constant;
  llvm::raw_string_ostream(name)
      << llvm::format_hex_no_prefix(llvm::xxh3_64bits(text), 16);
  return name;
}

static FailureOr<Entry> collectEntry(func::FuncOp function) {
  Entry entry;
  entry.name = function.getName().str();
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    auto parameterName =
        function.getArgAttrOfType<StringAttr>(index, kParameterAttrName);
    auto constant =
        function.getArgAttrOfType<ElementsAttr>(index, kConstantAttrName);
    if (constant) {
      EntryParameter &parameter = entry.parameters.emplace_back();
      parameter.constant = constant;
      parameter.name = parameter.source = getConstantName(constant);
      if (failed(describeType(function, type, "constant " + Twine(index),
                              parameter)))
        return failure();
      continue;
    }
    if (!parameterName) {
      if (!entry.parameters.empty())
        return function.emitError()
               << "entry '" << entry.name << "': argument " << index
               << " is an input after a parameter; run "
                  "structured-bind-parameters first";
      EntryTensor &input = entry.inputs.emplace_back();
      if (auto name =
              function.getArgAttrOfType<StringAttr>(index, kInputNameAttrName))
        input.name = name.str();
      else
        input.name = "input" + std::to_string(index);
      if (failed(describeType(function, type, "input '" + input.name + "'",
                              input)))
        return failure();
      continue;
    }
    EntryParameter &parameter = entry.parameters.emplace_back();
    parameter.source = parameterName.str();
    if (auto permutation = function.getArgAttrOfType<DenseI64ArrayAttr>(
            index, kPermutationAttrName))
      parameter.permutation = permutation.asArrayRef();
    parameter.packing =
        function.getArgAttrOfType<GblrPackingAttr>(index, kPackingAttrName);
    parameter.product =
        function.getArgAttrOfType<BlastProductAttr>(index, kProductAttrName);
    parameter.concatenation = function.getArgAttrOfType<ConcatenationAttr>(
        index, kConcatenationAttrName);
    parameter.name = getStoredName(parameter.source, parameter.permutation,
                                   parameter.packing);
    if (failed(describeType(function, type,
                            "parameter '" + parameter.source + "'", parameter)))
      return failure();
  }
  for (auto [index, type] : llvm::enumerate(function.getResultTypes()))
    if (failed(describeType(function, type, "result " + Twine(index),
                            entry.outputs.emplace_back())))
      return failure();
  for (unsigned index = 0; index < entry.inputs.size(); ++index)
    if (auto result =
            function.getArgAttrOfType<IntegerAttr>(index, kUpdatedByAttrName))
      entry.outputs[result.getInt()].updates = index;
  return entry;
}

FailureOr<std::vector<Entry>> structured::collectEntries(ModuleOp module) {
  std::vector<Entry> entries;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isExternal())
      continue;
    FailureOr<Entry> entry = collectEntry(function);
    if (failed(entry))
      return failure();
    entries.push_back(std::move(*entry));
  }
  if (entries.empty())
    return module.emitError("no public function to compile");
  return entries;
}

static llvm::json::Array toJson(ArrayRef<EntryTensor> tensors) {
  llvm::json::Array array;
  for (const EntryTensor &tensor : tensors) {
    llvm::json::Object object{{"dtype", tensor.dtype},
                              {"shape", llvm::json::Array(tensor.shape)}};
    if (!tensor.name.empty())
      object["name"] = tensor.name;
    if (tensor.updates)
      object["updates"] = *tensor.updates;
    array.push_back(std::move(object));
  }
  return array;
}

std::string structured::describeModule(ArrayRef<Entry> entries, StringRef cpu,
                                       ArrayRef<std::string> features,
                                       StringRef arch) {
  llvm::json::Array entryArray;
  for (const Entry &entry : entries) {
    std::vector<EntryTensor> parameters(entry.parameters.begin(),
                                        entry.parameters.end());
    entryArray.push_back(
        llvm::json::Object{{"name", entry.name},
                           {"symbol", entry.getSymbol()},
                           {"inputs", toJson(entry.inputs)},
                           {"outputs", toJson(entry.outputs)},
                           {"parameters", toJson(parameters)}});
  }
  llvm::json::Object info{{"abi_version", kAbiVersion},
                          {"target", arch.empty() ? "cpu" : "cuda"},
                          {"cpu", cpu},
                          {"features", llvm::json::Array(features)},
                          {"llvm", LLVM_VERSION_STRING},
                          {"entries", std::move(entryArray)}};
  if (!arch.empty())
    info["arch"] = arch;
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(info));
  return text;
}

void structured::addModuleInterface(llvm::Module &module,
                                    ArrayRef<Entry> entries,
                                    StringRef description) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(context);
  llvm::StringSet<> exported;

  auto *text = llvm::ConstantDataArray::getString(context, description);
  auto *info = new llvm::GlobalVariable(module, text->getType(),
                                        /*isConstant=*/true,
                                        llvm::GlobalValue::ExternalLinkage,
                                        text, "structured_module_info");
  exported.insert(info->getName());

  auto *packedType = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                             {pointer}, /*isVarArg=*/false);
  for (const Entry &entry : entries) {
    llvm::Function *callee = module.getFunction("_mlir_ciface_" + entry.name);
    auto *packed =
        llvm::Function::Create(packedType, llvm::GlobalValue::ExternalLinkage,
                               entry.getSymbol(), module);
    exported.insert(packed->getName());
    llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", packed));
    SmallVector<llvm::Value *> arguments;
    for (unsigned i = 0; i < callee->arg_size(); ++i) {
      llvm::Value *slot =
          builder.CreateConstGEP1_64(pointer, packed->getArg(0), i);
      llvm::Value *variable = builder.CreateLoad(pointer, slot);
      arguments.push_back(builder.CreateLoad(pointer, variable));
    }
    builder.CreateCall(callee, arguments);
    builder.CreateRetVoid();
  }
  llvm::internalizeModule(module, [&](const llvm::GlobalValue &value) {
    return exported.contains(value.getName());
  });
}
