func.func @main(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y0: tensor<4x12xf32>)
    -> tensor<4x12xf32> {
  %y = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
