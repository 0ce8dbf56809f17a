// RUN: structured-opt %s | structured-opt | FileCheck %s

// CHECK-LABEL: func @tensors
func.func @tensors(%x: tensor<?x8xf32>, %p: tensor<4xi32>, %c: tensor<5xi32>,
                   %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: structured.parameter "v" packing = <v, widths = 4 : 8, layout = <out = 12, in = 8, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>> : tensor<5x4xbf16>
  %v = structured.parameter "v" packing = <v, widths = 4 : 8, layout =
      <out = 12, in = 8, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>> : tensor<5x4xbf16>
  // CHECK: structured.block_sparse.matmul ins(%{{.*}} : tensor<?x8xf32>, tensor<5x4xbf16>, tensor<4xi32>, tensor<5xi32>) outs(%{{.*}} : tensor<?x12xf32>) -> tensor<?x12xf32>
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<?x8xf32>, tensor<5x4xbf16>, tensor<4xi32>, tensor<5xi32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}
