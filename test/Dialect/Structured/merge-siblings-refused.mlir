// RUN: structured-opt %s --structured-merge-siblings --split-input-file --verify-diagnostics

// Why layers that share their input are left apart.

func.func @weights(%x: tensor<3x16xf32>, %w: tensor<4x16xf32>, %y: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<6x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark @+1 {{not merged with the other layers of its input: its weight is not a parameter}}
  %a = structured.linear ins(%x, %w : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %tied = structured.parameter "tied" : tensor<4x16xf32>
  // expected-remark @+1 {{not merged with the other layers of its input: its weight has other users, and would be stored twice}}
  %b = structured.linear ins(%x, %tied : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %p = structured.parameter "p" : tensor<4x16xf32>
  // expected-remark @+1 {{not merged with the other layers of its input: it adds to its init}}
  %c = structured.linear ins(%x, %p : tensor<3x16xf32>, tensor<4x16xf32>) outs(%y : tensor<3x4xf32>) -> tensor<3x4xf32>
  %e6 = tensor.empty() : tensor<3x6xf32>
  %zeros6 = linalg.fill ins(%zero : f32) outs(%e6 : tensor<3x6xf32>) -> tensor<3x6xf32>
  %q = structured.parameter "q" : tensor<6x16xf32>
  // expected-remark @+1 {{not merged with the other layers of its input: a row of its result takes 24 bytes, not a multiple of 16}}
  %d = structured.linear ins(%x, %q : tensor<3x16xf32>, tensor<6x16xf32>) outs(%zeros6 : tensor<3x6xf32>) -> tensor<3x6xf32>
  %r = structured.parameter "r" : tensor<4x16xf32>
  // expected-remark @+1 {{not merged with the other layers of its input: no other can be merged with it}}
  %f = structured.linear ins(%x, %r : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %e64 = tensor.empty() : tensor<6x4xf32>
  %zeros64 = linalg.fill ins(%zero : f32) outs(%e64 : tensor<6x4xf32>) -> tensor<6x4xf32>
  %g = linalg.contract indexing_maps = [affine_map<(i, j, t) -> (t, i)>, affine_map<(i, j, t) -> (t, j)>, affine_map<(i, j, t) -> (i, j)>]
      ins(%d, %f : tensor<3x6xf32>, tensor<3x4xf32>) outs(%zeros64 : tensor<6x4xf32>) -> tensor<6x4xf32>
  %s0 = linalg.add ins(%a, %b : tensor<3x4xf32>, tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  %s1 = linalg.add ins(%s0, %c : tensor<3x4xf32>, tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  %w16 = tensor.extract_slice %tied[0, 0] [3, 4] [1, 1] : tensor<4x16xf32> to tensor<3x4xf32>
  %s2 = linalg.add ins(%s1, %w16 : tensor<3x4xf32>, tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %s2, %g : tensor<3x4xf32>, tensor<6x4xf32>
}

// -----

// What would have to copy a slice.

func.func private @other(tensor<3x2x2xf32>)
func.func @users(%x: tensor<3x16xf32>) -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  %w0 = structured.parameter "w0" : tensor<4x16xf32>
  // expected-remark @+1 {{'func.return' would have to copy its part}}
  %y0 = structured.linear ins(%x, %w0 : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %w1 = structured.parameter "w1" : tensor<4x16xf32>
  // expected-remark @+1 {{'func.call' would have to copy its part}}
  %y1 = structured.linear ins(%x, %w1 : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %heads = tensor.expand_shape %y1 [[0], [1, 2]] output_shape [3, 2, 2] : tensor<3x4xf32> into tensor<3x2x2xf32>
  func.call @other(%heads) : (tensor<3x2x2xf32>) -> ()
  %w2 = structured.parameter "w2" : tensor<4x16xf32>
  // expected-remark @+1 {{'tensor.collapse_shape' would have to copy its part}}
  %y2 = structured.linear ins(%x, %w2 : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %flat = tensor.collapse_shape %y2 [[0, 1]] : tensor<3x4xf32> into tensor<12xf32>
  %w3 = structured.parameter "w3" : tensor<4x16xf32>
  // expected-remark @+1 {{'linalg.exp' would have to copy its part}}
  %y3 = structured.linear ins(%x, %w3 : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %z3 = linalg.exp ins(%e : tensor<3x4xf32>) outs(%y3 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %w4 = structured.parameter "w4" : tensor<4x16xf32>
  // expected-remark @+1 {{'structured.blast.matmul' would have to copy its part}}
  %y4 = structured.linear ins(%x, %w4 : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %u = structured.parameter "U" : tensor<2x2x1xf32>
  %s = structured.parameter "S" : tensor<2x2x1xf32>
  %vt = structured.parameter "Vt" : tensor<2x1x2xf32>
  %z4 = structured.blast.matmul ins(%y4, %u, %s, %vt : tensor<3x4xf32>, tensor<2x2x1xf32>, tensor<2x2x1xf32>, tensor<2x1x2xf32>) outs(%z3 : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y0, %z4 : tensor<3x4xf32>, tensor<3x4xf32>
}
