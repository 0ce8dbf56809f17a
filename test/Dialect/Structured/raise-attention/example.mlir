// RUN: structured-opt %s --structured-raise-attention | FileCheck %s

// The example of the pass's description.

#thd = affine_map<(h, t, l, d) -> (t, h, d)>
#lhd = affine_map<(h, t, l, d) -> (l, h, d)>
#htl = affine_map<(h, t, l, d) -> (h, t, l)>
#weights = affine_map<(t, h, e, l) -> (h, t, l)>
#values = affine_map<(t, h, e, l) -> (l, h, e)>
#result = affine_map<(t, h, e, l) -> (t, h, e)>
#point = affine_map<(h, t, l) -> (h, t, l)>
#mask = affine_map<(h, t, l) -> (l)>

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d0, d3)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d2, d0, d3)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d2, d0, d4)>
// CHECK-DAG: #[[$O:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d0, d4)>
// CHECK-LABEL: func @example(
// CHECK-SAME:    %[[q:.+]]: tensor<5x2x8xf32>, %[[k:.+]]: tensor<7x2x8xf32>, %[[v:.+]]: tensor<7x2x6xf32>, %[[mask:.+]]: tensor<7xf32>)
// CHECK-NEXT:    %[[scale:.+]] = arith.constant 2.500000e-01 : f32
// CHECK-NEXT:    %[[e:.+]] = tensor.empty() : tensor<5x2x6xf32>
// CHECK-NEXT:    %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x2x8xf32>, tensor<7x2x8xf32>, tensor<7x2x6xf32>) outs(%[[e]] : tensor<5x2x6xf32>) {
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[h:.+]]: index, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      %[[add:.+]] = tensor.extract %[[mask]][%[[l]]] : tensor<7xf32>
// CHECK-NEXT:      %[[scaled:.+]] = arith.mulf %[[score]], %[[scale]] : f32
// CHECK-NEXT:      %[[masked:.+]] = arith.addf %[[scaled]], %[[add]] : f32
// CHECK-NEXT:      structured.yield %[[masked]] : f32
// CHECK-NEXT:    } -> tensor<5x2x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @example(%q: tensor<5x2x8xf32>, %k: tensor<7x2x8xf32>,
                   %v: tensor<7x2x6xf32>, %mask: tensor<7xf32>)
    -> tensor<5x2x6xf32> {
  %zero = arith.constant 0.0 : f32
  %scale = arith.constant 0.25 : f32
  %e = tensor.empty() : tensor<2x5x7xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5x7xf32>)
      -> tensor<2x5x7xf32>
  %s = linalg.contract indexing_maps = [#thd, #lhd, #htl]
      ins(%q, %k : tensor<5x2x8xf32>, tensor<7x2x8xf32>)
      outs(%zeros : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %m = linalg.generic {indexing_maps = [#point, #mask, #point],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %mask : tensor<2x5x7xf32>, tensor<7xf32>)
      outs(%e : tensor<2x5x7xf32>) {
  ^bb0(%score: f32, %add: f32, %out: f32):
    %0 = arith.mulf %score, %scale : f32
    %1 = arith.addf %0, %add : f32
    linalg.yield %1 : f32
  } -> tensor<2x5x7xf32>
  %w = linalg.softmax dimension(2) ins(%m : tensor<2x5x7xf32>)
      outs(%e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %e2 = tensor.empty() : tensor<5x2x6xf32>
  %zeros2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<5x2x6xf32>)
      -> tensor<5x2x6xf32>
  %o = linalg.contract indexing_maps = [#weights, #values, #result]
      ins(%w, %v : tensor<2x5x7xf32>, tensor<7x2x6xf32>)
      outs(%zeros2 : tensor<5x2x6xf32>) -> tensor<5x2x6xf32>
  return %o : tensor<5x2x6xf32>
}
