// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_INTERFACES_TD
#define STRUCTURED_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Structured_LayerOpInterface : OpInterface<"StructuredLayerOpInterface"> {
  let cppNamespace = "::structured";
  let description = [{
    A linear layer `Y[T,m] = Y0[T,m] + X[T,n] W[m,n]ᵀ` whose weight matrix is
    given by one or more factors. Passes ask this interface, not op names.
  }];
  let methods = [
    InterfaceMethod<"The input X, [T, n].", "::mlir::Value", "getLayerInput">,
    InterfaceMethod<"The destination Y0, [T, m].", "::mlir::Value",
                    "getLayerInit">,
    InterfaceMethod<"The factors of W, in the order of the op's operands.",
                    "::mlir::ValueRange", "getLayerFactors">,
    InterfaceMethod<"The structure of W.", "::structured::StructureKind",
                    "getStructureKind">,
    InterfaceMethod<"Output features m.", "int64_t", "getOutFeatures">,
    InterfaceMethod<"Input features n.", "int64_t", "getInFeatures">,
    InterfaceMethod<[{
      The numbers that define W: m·n for a dense one, r·(m + n + b_out·b_in) for
      BLAST, Σ rank·(rows + cols) for GBLR.
    }], "int64_t", "getParameterCount">,
    InterfaceMethod<[{
      Multiply-adds for one token. A BLAST layer and a GBLR layer take one for
      each parameter, as does a dense one.
    }], "int64_t", "getMultiplyAddsPerToken", (ins), "", [{
      return $_op.getParameterCount();
    }]>,
    InterfaceMethod<[{
      Bytes that a run over `tokens` tokens has to move if each operand is read
      and the result written once: factors, X and Y. Intermediates of a fused
      kernel are not counted.
    }], "int64_t", "getBytes", (ins "int64_t":$tokens)>,
    InterfaceMethod<[{
      Builds W as a dense tensor [m, n] of the factors' element type from the
      factors; sums are formed in f32. The op must have tensor operands.
    }], "::mlir::Value", "expandToDense",
    (ins "::mlir::OpBuilder &":$builder)>,
  ];
}

#endif // STRUCTURED_INTERFACES_TD
