// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_CONVERSION_PASSES_TD
#define STRUCTURED_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def StructuredToLinalg : Pass<"structured-to-linalg"> {
  let summary = "lower linear layers on tensors to linalg contractions";
  let description = [{
    Replaces the layer ops on tensors by contractions that accumulate in f32:

    - `structured.linear` by one `linalg.matmul` with a transposed weight;
    - `structured.blast.matmul` by its three stages, with
      Y [b_in, T, r] and Z [b_out, T, r] in f32;
    - `structured.gblr.matmul` by two small contractions for each component and
      non-wrapping run of its intervals.

    An `init` of f16 or bf16 is extended to f32 first, and the sum is rounded
    once.

    Before:

    ```mlir
    %y = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    After:

    ```mlir
    %y = linalg.matmul
        indexing_maps = [affine_map<(t, m, n) -> (t, n)>,
                         affine_map<(t, m, n) -> (m, n)>,
                         affine_map<(t, m, n) -> (t, m)>]
        ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    The example is run in test/Conversion/StructuredToLinalg/linear.mlir. Layers
    on memrefs are left alone, with a remark: run the pass before
    bufferization.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Layers lowered">
  ];
}

def ExpandShapeToReinterpretCast
    : Pass<"structured-expand-shape-to-reinterpret-cast"> {
  let summary = "lower memref.expand_shape with several dynamic sizes";
  let description = [{
    Replaces each `memref.expand_shape` that expands a dimension to several of
    dynamic size, as results of layers over a dynamic batch of sequences of
    dynamic length are, by a `memref.reinterpret_cast` of the same buffer.
    Upstream's `expand-strided-metadata` (22.1), which lowers the others,
    crashes on these: run this pass before it.

    Before:

    ```mlir
    %y = memref.expand_shape %x [[0, 1], [2]] output_shape [%b, %t, 12]
        : memref<?x12xf32> into memref<?x?x12xf32>
    ```

    After:

    ```mlir
    %s = affine.apply affine_map<()[s0] -> (s0 * 12)>()[%t]
    %y = memref.reinterpret_cast %x to offset: [0], sizes: [%b, %t, 12],
        strides: [%s, 12, 1] : memref<?x12xf32> to memref<?x?x12xf32>
    ```

    The example is run in
    test/Conversion/ExpandShapeToReinterpretCast/dynamic.mlir.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Ops lowered">
  ];
}

#endif // STRUCTURED_CONVERSION_PASSES_TD
