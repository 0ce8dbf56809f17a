// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The dialect, its attributes, and the ops that are not layers.

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace structured;

#include "Structured/Dialect/Structured/IR/StructuredDialect.cpp.inc"
#include "Structured/Dialect/Structured/IR/StructuredEnums.cpp.inc"

/// What a plan says beside the structure: `, blocks = 4 : 4, rank = 80` or
/// `, budget = 73728` or nothing.
static ParseResult parsePlanNumbers(AsmParser &parser, int64_t &bOut,
                                    int64_t &bIn, int64_t &rank,
                                    int64_t &budget) {
  bOut = bIn = rank = budget = 0;
  if (failed(parser.parseOptionalComma()))
    return success();
  if (succeeded(parser.parseOptionalKeyword("budget")))
    return failure(parser.parseEqual() || parser.parseInteger(budget));
  return failure(parser.parseKeyword("blocks") || parser.parseEqual() ||
                 parser.parseInteger(bOut) || parser.parseColon() ||
                 parser.parseInteger(bIn) || parser.parseComma() ||
                 parser.parseKeyword("rank") || parser.parseEqual() ||
                 parser.parseInteger(rank));
}

static void printPlanNumbers(AsmPrinter &printer, int64_t bOut, int64_t bIn,
                             int64_t rank, int64_t budget) {
  if (budget != 0)
    printer << ", budget = " << budget;
  else if (bOut != 0 || bIn != 0 || rank != 0)
    printer << ", blocks = " << bOut << " : " << bIn << ", rank = " << rank;
}

#define GET_ATTRDEF_CLASSES
#include "Structured/Dialect/Structured/IR/StructuredAttrs.cpp.inc"

#include "Structured/Dialect/Structured/IR/StructuredInterfaces.cpp.inc"

void StructuredDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "Structured/Dialect/Structured/IR/StructuredAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "Structured/Dialect/Structured/IR/StructuredOps.cpp.inc"
      >();
}

/// Checks the number of the result that updates argument `index`.
static LogicalResult verifyUpdatedBy(FunctionOpInterface function,
                                     unsigned index, Attribute value) {
  auto fail = [&]() {
    return function.emitError() << "argument attribute '" << kUpdatedByAttrName
                                << "' of argument " << index << " ";
  };
  auto number = dyn_cast<IntegerAttr>(value);
  if (!number || number.getValue().isNegative() ||
      number.getValue().uge(function.getNumResults()))
    return fail() << "must be the number of a result";
  unsigned result = number.getValue().getZExtValue();
  auto type = dyn_cast<ShapedType>(function.getArgumentTypes()[index]);
  if (!type || !type.hasStaticShape() ||
      type != function.getResultTypes()[result])
    return fail() << "needs an argument of static shape and of the type of "
                     "result "
                  << result;
  if (function.getArgAttr(index, kParameterAttrName))
    return fail() << "is on a parameter, which nothing may write to";
  for (unsigned other = 0; other < index; ++other)
    if (auto taken =
            function.getArgAttrOfType<IntegerAttr>(other, kUpdatedByAttrName);
        taken && taken.getValue() == number.getValue())
      return fail() << "names result " << result << ", which updates argument "
                    << other << " already";
  return success();
}

LogicalResult StructuredDialect::verifyRegionArgAttribute(Operation *op,
                                                          unsigned regionIndex,
                                                          unsigned argIndex,
                                                          NamedAttribute attr) {
  StringRef attrName = attr.getName().getValue();
  if (attrName != kParameterAttrName && attrName != kInputNameAttrName &&
      attrName != kPermutationAttrName && attrName != kPackingAttrName &&
      attrName != kProductAttrName && attrName != kConcatenationAttrName &&
      attrName != kConstantAttrName && attrName != kUpdatedByAttrName)
    return op->emitError() << "unknown argument attribute '" << attrName << "'";
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitError() << "argument attribute '" << attrName
                           << "' belongs on a function's argument";
  Type argument = function.getArgumentTypes()[argIndex];
  auto type = dyn_cast<ShapedType>(argument);
  // The attributes outlive the lowering of the types to other dialects'.
  bool isLowered = !isa<BuiltinDialect>(argument.getDialect());

  if (attrName == kPermutationAttrName) {
    auto permutation = dyn_cast<DenseI64ArrayAttr>(attr.getValue());
    if (!permutation || !isPermutationVector(permutation.asArrayRef()) ||
        (!isLowered && (!type || permutation.size() != type.getRank())))
      return op->emitError() << "argument attribute '" << attrName
                             << "' must be a permutation of the argument's "
                                "dimensions, as an array of i64";
    return success();
  }
  if (attrName == kPackingAttrName) {
    if (!isa<GblrPackingAttr>(attr.getValue()))
      return op->emitError() << "argument attribute '" << attrName
                             << "' must be a #structured.gblr_packing";
    return success();
  }
  if (attrName == kProductAttrName) {
    if (!isa<BlastProductAttr>(attr.getValue()))
      return op->emitError() << "argument attribute '" << attrName
                             << "' must be a #structured.blast_product";
    return success();
  }
  if (attrName == kConcatenationAttrName) {
    if (!isa<ConcatenationAttr>(attr.getValue()))
      return op->emitError() << "argument attribute '" << attrName
                             << "' must be a #structured.concatenation";
    return success();
  }
  if (attrName == kConstantAttrName) {
    auto value = dyn_cast<ElementsAttr>(attr.getValue());
    if (!value ||
        (!isLowered &&
         (!type || value.getShapedType().getShape() != type.getShape() ||
          value.getShapedType().getElementType() != type.getElementType())))
      return op->emitError() << "argument attribute '" << attrName
                             << "' must hold the argument's elements";
    return success();
  }
  if (attrName == kUpdatedByAttrName)
    return isLowered ? success()
                     : verifyUpdatedBy(function, argIndex, attr.getValue());
  auto name = dyn_cast<StringAttr>(attr.getValue());
  if (!name || name.empty())
    return op->emitError() << "argument attribute '" << attrName
                           << "' must be a string that is not empty";
  if (attrName == kParameterAttrName && !isLowered &&
      (!type || !type.hasStaticShape()))
    return op->emitError() << "parameter '" << name.getValue()
                           << "' must be a tensor or memref of static shape";
  return success();
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

LogicalResult
GblrLayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                       int64_t outFeatures, int64_t inFeatures,
                       ArrayRef<GblrComponentAttr> components) {
  if (outFeatures < 1 || inFeatures < 1)
    return emitError() << "a GBLR layout needs out ≥ 1 and in ≥ 1, got out = "
                       << outFeatures << ", in = " << inFeatures;
  auto checkInterval = [&](size_t index, StringRef name, int64_t start,
                           int64_t size, int64_t extent) -> LogicalResult {
    if (start >= 0 && start < extent && size >= 0 && size <= extent)
      return success();
    return emitError() << "component " << index << ": " << name << " " << start
                       << " + " << size << " do not lie in a period of "
                       << extent;
  };
  for (auto [index, component] : llvm::enumerate(components)) {
    if (failed(checkInterval(index, "rows", component.getRowStart(),
                             component.getRows(), outFeatures)) ||
        failed(checkInterval(index, "cols", component.getColStart(),
                             component.getCols(), inFeatures)))
      return failure();
    if (component.getRank() < 0)
      return emitError() << "component " << index << ": negative rank "
                         << component.getRank();
  }
  return success();
}

int64_t GblrLayoutAttr::getUSize() const {
  int64_t size = 0;
  for (GblrComponentAttr component : getComponents())
    size += component.getRank() * component.getRows();
  return size;
}

int64_t GblrLayoutAttr::getRankSum() const {
  int64_t sum = 0;
  for (GblrComponentAttr component : getComponents())
    sum += component.getRank();
  return sum;
}

int64_t GblrLayoutAttr::getVSize() const {
  int64_t size = 0;
  for (GblrComponentAttr component : getComponents())
    size += component.getRank() * component.getCols();
  return size;
}

LogicalResult
GblrPackingAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                        GblrFactor, int64_t vWidth, int64_t uWidth,
                        GblrLayoutAttr layout, int64_t columns,
                        ArrayRef<int32_t> order) {
  if (vWidth < 1 || uWidth < 1)
    return emitError() << "panels must have widths of at least 1, got "
                       << vWidth << " : " << uWidth;
  if (columns < 1 || vWidth % columns)
    return emitError() << "blocks must have at least 1 column, and panels of "
                          "rank vectors a multiple of them, got "
                       << columns << " and " << vWidth;
  if (order.empty())
    return success();
  if (columns == 1 || order.size() % vWidth)
    return emitError() << "an order must be of the rows of panels of " << vWidth
                       << " and more than 1 column, got " << order.size()
                       << " rows and columns = " << columns;
  std::vector<bool> found(layout.getRankSum());
  for (int32_t number : order) {
    if (number < -1 || number >= static_cast<int64_t>(found.size()) ||
        (number >= 0 && found[number]))
      return emitError() << "an order must have different numbers of the "
                         << found.size() << " rank vectors, or -1, got "
                         << number
                         << (number < -1 ? "" : " twice or too large");
    if (number >= 0)
      found[number] = true;
  }
  int64_t number = 0;
  for (GblrComponentAttr component : layout.getComponents())
    for (int64_t index = 0; index < component.getRank(); ++index, ++number)
      if (!found[number] && component.getRows() && component.getCols())
        return emitError() << "an order must have all rank vectors of "
                              "components that are not empty, not without "
                           << number;
  return success();
}

LogicalResult
BlastProductAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                         StringAttr u, StringAttr s, StringAttr vt,
                         int64_t bOut, int64_t bIn, int64_t rank) {
  if (u.empty() || s.empty() || vt.empty())
    return emitError() << "the factors of a product must have names";
  if (bOut < 1 || bIn < 1 || rank < 1)
    return emitError() << "a product needs blocks and a rank of at least 1, "
                          "got blocks = "
                       << bOut << " : " << bIn << ", rank = " << rank;
  return success();
}

LogicalResult
ConcatenationAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                          int64_t dim, ArrayRef<ParameterPartAttr> parts) {
  if (dim < 0)
    return emitError() << "negative dimension " << dim;
  if (parts.size() < 2)
    return emitError() << "a concatenation needs at least two parts, got "
                       << parts.size();
  for (ParameterPartAttr part : parts)
    if (part.getName().empty() || part.getSize() < 1)
      return emitError() << "a part needs a name and a size of at least 1, got "
                         << part.getName() << " and " << part.getSize();
  return success();
}

LogicalResult PlanAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               StructureKind structure, int64_t bOut,
                               int64_t bIn, int64_t rank, int64_t budget) {
  if (structure == StructureKind::Blast) {
    if (bOut < 1 || bIn < 1 || rank < 1)
      return emitError() << "a BLAST plan needs blocks and a rank of at least "
                            "1, got blocks = "
                         << bOut << " : " << bIn << ", rank = " << rank;
  } else if (bOut != 0 || bIn != 0 || rank != 0) {
    return emitError() << "only a BLAST plan has blocks and a rank";
  }
  if (structure == StructureKind::Gblr && budget < 1)
    return emitError() << "a GBLR plan needs a budget of at least 1 parameter, "
                          "got "
                       << budget;
  if (structure != StructureKind::Gblr && budget != 0)
    return emitError() << "only a GBLR plan has a budget";
  return success();
}

//===----------------------------------------------------------------------===//
// ParameterOp
//===----------------------------------------------------------------------===//

RankedTensorType ParameterOp::getStoredType() {
  RankedTensorType type = getType();
  if (std::optional<GblrPackingAttr> packing = getPacking())
    return type.clone({packing->getSourceSize()});
  if (!getPermutation())
    return type;
  SmallVector<int64_t> shape(type.getRank());
  for (auto [dim, stored] : llvm::enumerate(*getPermutation()))
    shape[stored] = type.getDimSize(dim);
  return type.clone(shape);
}

RankedTensorType ParameterOp::getStoredType(ParameterPartAttr part) {
  RankedTensorType type = getStoredType();
  SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
  shape[getConcatenation()->getDim()] = part.getSize();
  return type.clone(shape);
}

/// Whether the product can be a tensor of the type.
static bool isMatrixOf(BlastProductAttr product, RankedTensorType type) {
  return type.getRank() == 2 &&
         isa<Float16Type, BFloat16Type, Float32Type>(type.getElementType()) &&
         type.getDimSize(0) % product.getBOut() == 0 &&
         type.getDimSize(1) % product.getBIn() == 0;
}

LogicalResult ParameterOp::verify() {
  if (getName().empty())
    return emitOpError("(C1) the name must not be empty");
  if (!getType().hasStaticShape())
    return emitOpError("(C2) the result must have a static shape");
  if (std::optional<ArrayRef<int64_t>> permutation = getPermutation())
    if (static_cast<int64_t>(permutation->size()) != getType().getRank() ||
        !isPermutationVector(*permutation))
      return emitOpError("(C3) 'permutation' must be a permutation of the ")
             << getType().getRank() << " dimensions of the result";
  if (std::optional<GblrPackingAttr> packing = getPacking())
    if (SmallVector<int64_t> shape = packing->getPackedShape(/*blocks=*/0);
        getPermutation() || getType().getRank() == 0 ||
        getType().getShape().drop_front() != ArrayRef(shape).drop_front()) {
      InFlightDiagnostic diagnostic =
          emitOpError("(C4) a packed factor must be [K, ");
      llvm::interleaveComma(ArrayRef(shape).drop_front(), diagnostic);
      return diagnostic << "], without a permutation, got " << getType();
    }
  if (std::optional<BlastProductAttr> product = getProduct()) {
    RankedTensorType stored = getStoredType();
    if (getPacking() || !isMatrixOf(*product, stored))
      return emitOpError("(C5) a product must be a matrix of f16, bf16 or f32 "
                         "that its ")
             << product->getBOut() << " : " << product->getBIn()
             << " blocks divide, without a packing, got " << stored;
  }
  if (std::optional<ConcatenationAttr> concatenation = getConcatenation()) {
    if (getPacking() || getProduct())
      return emitOpError(
          "(C6) a concatenation has neither a packing nor a product");
    RankedTensorType stored = getStoredType();
    int64_t size = 0, dim = concatenation->getDim();
    for (ParameterPartAttr part : concatenation->getParts())
      size += part.getSize();
    if (dim >= stored.getRank() || stored.getDimSize(dim) != size)
      return emitOpError("(C6) the parts have ")
             << size << " elements together along dimension " << dim << " of "
             << stored;
    for (ParameterPartAttr part : concatenation->getParts()) {
      RankedTensorType type = getStoredType(part);
      if (part.getProduct() && !isMatrixOf(part.getProduct(), type))
        return emitOpError("(C6) the part ")
               << part.getName() << " is a product, but not a matrix of f16, "
               << "bf16 or f32 that its blocks divide: " << type;
    }
  }
  return success();
}

void ParameterOp::getAsmResultNames(
    function_ref<void(Value, StringRef)> setName) {
  setName(getResult(), "param");
}
