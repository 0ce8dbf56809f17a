// CHECK-LABEL: func.func @zeros
// CHECK-SAME: %[[Y0:[a-z0-9]+]]: tensor<4x12xf32>
// CHECK-NEXT: return %[[Y0]], %[[Y0]]
func.func @zeros(%u: tensor<3x4x5xf32>, %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>,
                 %x: tensor<4x8xf32>, %y0: tensor<4x12xf32>)
    -> (tensor<4x12xf32>, tensor<4x12xf32>) {
  %input = arith.constant dense<0.0> : tensor<4x8xf32>
  %weight = arith.constant dense<0.0> : tensor<12x8xf32>
  %a = structured.blast.matmul
      ins(%input, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                                tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  %b = structured.linear {layer = "fc"} ins(%x, %weight : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %a, %b : tensor<4x12xf32>, tensor<4x12xf32>
}

// Structured's own passes are there too: the layer that is left becomes linalg.
// CHECK-LABEL: func.func @other
// CHECK-NOT: structured.linear
// CHECK: linalg.
func.func @other(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y0: tensor<4x12xf32>)
    -> tensor<4x12xf32> {
  %y = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
