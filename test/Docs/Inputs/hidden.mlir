func.func @main(%ids: tensor<1x128xi64> {structured.name = "input_ids"}, %mask: tensor<1x128xi64> {structured.name = "attention_mask"}) -> tensor<1x128x384xf32> {
  %e = tensor.empty() : tensor<1x128x384xf32>
  %hidden = linalg.generic {
      indexing_maps = [affine_map<(i, j, k) -> (i, j)>, affine_map<(i, j, k) -> (i, j)>, affine_map<(i, j, k) -> (i, j, k)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%ids, %mask : tensor<1x128xi64>, tensor<1x128xi64>) outs(%e : tensor<1x128x384xf32>) {
  ^bb0(%id: i64, %m: i64, %out: f32):
    %product = arith.muli %id, %m : i64
    %number = arith.sitofp %product : i64 to f32
    linalg.yield %number : f32
  } -> tensor<1x128x384xf32>
  return %hidden : tensor<1x128x384xf32>
}
