// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not=x8x12x --implicit-check-not=batch_matmul

// The example of the pass's description.

// CHECK-LABEL: func.func @example(
// CHECK-SAME:    %[[X:.+]]: tensor<2x4x8xf32>, %[[Y0:.+]]: tensor<2x4x12xf32>)
// CHECK-NEXT:  %[[W:.+]] = structured.parameter "query.weight" : tensor<12x8xf32>
// CHECK-NEXT:  %[[X2:.+]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]] : tensor<2x4x8xf32> into tensor<8x8xf32>
// CHECK-NEXT:  %[[Z:.+]] = tensor.collapse_shape %[[Y0]] {{\[\[}}0, 1], [2]] : tensor<2x4x12xf32> into tensor<8x12xf32>
// CHECK-NEXT:  %[[Y2:.+]] = structured.linear {layer = "query"} ins(%[[X2]], %[[W]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[Z]] : tensor<8x12xf32>) -> tensor<8x12xf32>
// CHECK-NEXT:  %[[Y:.+]] = tensor.expand_shape %[[Y2]] {{\[\[}}0, 1], [2]] output_shape [2, 4, 12] : tensor<8x12xf32> into tensor<2x4x12xf32>
// CHECK-NEXT:  return %[[Y]]
func.func @example(%x: tensor<2x4x8xf32>,
                   %y0: tensor<2x4x12xf32>) -> tensor<2x4x12xf32> {
  %w = structured.parameter "query.weight" : tensor<12x8xf32>
  %e = tensor.empty() : tensor<8x12xf32>
  %wt = linalg.transpose ins(%w : tensor<12x8xf32>)
      outs(%e : tensor<8x12xf32>) permutation = [1, 0]
  %f = tensor.empty() : tensor<2x8x12xf32>
  %wb = linalg.broadcast ins(%wt : tensor<8x12xf32>)
      outs(%f : tensor<2x8x12xf32>) dimensions = [0]
  %y = linalg.batch_matmul
      ins(%x, %wb : tensor<2x4x8xf32>, tensor<2x8x12xf32>)
      outs(%y0 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
  return %y : tensor<2x4x12xf32>
}
