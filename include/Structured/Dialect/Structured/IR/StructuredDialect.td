// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_DIALECT_TD
#define STRUCTURED_DIALECT_TD

include "mlir/IR/OpBase.td"

def Structured_Dialect : Dialect {
  let name = "structured";
  let cppNamespace = "::structured";
  let summary = "linear layers with dense and structured weight matrices";
  let description = [{
    The dialect holds the linear layer `Y = Y0 + X Wᵀ` in three forms: with a
    dense weight matrix (`structured.linear`), a BLAST matrix
    (`structured.blast.matmul`) and a generalised block low-rank matrix
    (`structured.gblr.matmul`), and the weights themselves by name
    (`structured.parameter`), so that they never pass through text.

    Every layer op is destination-style and accumulates into its `outs` operand
    as `linalg.matmul` does, and implements `StructuredLayerOpInterface`, which
    the passes ask for parameters, multiply-adds, bytes and the dense expansion.

    The dialect has nothing to do with `transform.structured`, upstream's name
    for linalg's transform ops.

    Discardable attributes of function arguments:

    - `structured.parameter = "name"`: the argument is the weight of that name.
    - `structured.permutation = array<i64: …>`, beside it: dimension `i` of the
      argument is dimension `permutation[i]` of the stored tensor.
    - `structured.packing = #structured.gblr_packing<…>`, beside it: the
      argument is a factor of a GBLR matrix by panels.
    - `structured.product = #structured.blast_product<…>`, beside it: the
      argument is the dense matrix of BLAST factors.
    - `structured.name = "name"`: the model's name of an input.
    - `structured.updated_by = 1 : i64`: the function updates the input, a
      cache for instance: it may write into the input's memory, and result 1,
      which is of the same type and static shape, is there when it returns.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 0;
  let hasRegionArgAttrVerify = 1;
  let dependentDialects = [
    "::mlir::affine::AffineDialect",
    "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect",
    "::mlir::memref::MemRefDialect",
    "::mlir::tensor::TensorDialect"
  ];
}

#endif // STRUCTURED_DIALECT_TD
