// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_DIALECT_STRUCTURED_IR_STRUCTURED_H
#define STRUCTURED_DIALECT_STRUCTURED_IR_STRUCTURED_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/TilingInterface.h"

#include "Structured/Dialect/Structured/IR/StructuredDialect.h.inc"
#include "Structured/Dialect/Structured/IR/StructuredEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "Structured/Dialect/Structured/IR/StructuredAttrs.h.inc"

#include "Structured/Dialect/Structured/IR/StructuredInterfaces.h.inc"

#define GET_OP_CLASSES
#include "Structured/Dialect/Structured/IR/StructuredOps.h.inc"

namespace structured {

/// Name of the function-argument attribute that marks a weight.
inline constexpr llvm::StringLiteral kParameterAttrName =
    "structured.parameter";
/// Name of the function-argument attribute that gives a weight's permutation,
/// as that of structured.parameter.
inline constexpr llvm::StringLiteral kPermutationAttrName =
    "structured.permutation";
/// Name of the function-argument attribute that gives a weight's packing, as
/// that of structured.parameter.
inline constexpr llvm::StringLiteral kPackingAttrName = "structured.packing";
/// Name of the function-argument attribute that gives the factors of a weight
/// that is their product, as that of structured.parameter.
inline constexpr llvm::StringLiteral kProductAttrName = "structured.product";
/// Name of the function-argument attribute that gives the parts of a weight
/// that is concatenated, as that of structured.parameter.
inline constexpr llvm::StringLiteral kConcatenationAttrName =
    "structured.concatenation";
/// Name of the function-argument attribute that gives the elements of an
/// argument that was a constant.
inline constexpr llvm::StringLiteral kConstantAttrName = "structured.constant";
/// Name of the function-argument attribute that keeps an input's name.
inline constexpr llvm::StringLiteral kInputNameAttrName = "structured.name";
/// Name of the function-argument attribute of an input that the function
/// updates: the number of the result that is written into its memory.
inline constexpr llvm::StringLiteral kUpdatedByAttrName =
    "structured.updated_by";

/// Makes the layer ops bufferizable to themselves on memrefs.
void registerBufferizableOpInterfaceExternalModels(
    mlir::DialectRegistry &registry);

} // namespace structured

#endif // STRUCTURED_DIALECT_STRUCTURED_IR_STRUCTURED_H
