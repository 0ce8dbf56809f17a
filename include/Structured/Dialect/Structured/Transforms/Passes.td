// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_TRANSFORMS_PASSES_TD
#define STRUCTURED_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExpandToDense : Pass<"structured-expand-to-dense"> {
  let summary = "replace structured layers by dense ones of the same matrix";
  let description = [{
    Replaces each `structured.blast.matmul` and `structured.gblr.matmul` on
    tensors by a `structured.linear` whose weight is built from the factors:
    the reference that lowerings are compared with, and the way back where the
    structure does not pay.

    Before:

    ```mlir
    %y = structured.blast.matmul ins(%x, %u, %s, %vt : …) outs(%y0 : …) -> …
    ```

    After:

    ```mlir
    %w = linalg.generic … ins(%u, %s, %vt : …)   // U diag(S) Vt, block by block
    %y = structured.linear ins(%x, %w : …) outs(%y0 : …) -> …
    ```

    The example is run in test/Dialect/Structured/expand-to-dense.mlir. Layers on
    memrefs are left alone, with a remark.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numExpanded", "num-expanded", "Layers expanded">
  ];
}

#endif // STRUCTURED_TRANSFORMS_PASSES_TD
