// RUN: structured-opt %s --structured-attention-to-linalg | FileCheck %s
// RUN: structured-opt %s --structured-attention-to-linalg=keep-hopper --verify-diagnostics | FileCheck %s --check-prefix=KEPT

// The example of the pass's description.

// CHECK-LABEL: func.func @example(
// CHECK-SAME: %[[Q:.*]]: tensor<4x8xf32>, %[[K:.*]]: tensor<6x8xf32>, %[[V:.*]]: tensor<6x8xf32>, %{{.*}}: tensor<4x8xf32>)
// CHECK: %[[SCORES:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[K]] :
// CHECK: %[[LARGEST:.*]] = linalg.generic {{.*}} ins(%[[SCORES]] :
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: arith.divf
// CHECK: linalg.contract {{.*}} ins(%{{.*}}, %[[V]] :
// CHECK-NOT: structured.attention
// KEPT-LABEL: func.func @example(
// KEPT-NOT: structured.attention
// KEPT: return
func.func @example(%q: tensor<4x8xf32>, %k: tensor<6x8xf32>, %v: tensor<6x8xf32>, %o0: tensor<4x8xf32>)
    -> tensor<4x8xf32> {
  // expected-remark @below {{no Hopper kernel: its element type is neither f16 nor bf16}}
  %o = structured.attention indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
      affine_map<(t, l, d, e) -> (l, d)>, affine_map<(t, l, d, e) -> (l, e)>, affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<4x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>) outs(%o0 : tensor<4x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// KEPT-LABEL: func.func @kept(
// KEPT: structured.attention
// CHECK-LABEL: func.func @kept(
// CHECK-NOT: structured.attention
// CHECK: return
func.func @kept(%q: tensor<16x128x8xf16>, %k: tensor<16x2048x8xf16>, %v: tensor<16x2048x8xf16>, %o0: tensor<16x128x8xf16>)
    -> tensor<16x128x8xf16> {
  %o = structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (h, t, d)>,
      affine_map<(h, t, l, d, e) -> (h, l, d)>, affine_map<(h, t, l, d, e) -> (h, l, e)>,
      affine_map<(h, t, l, d, e) -> (h, t, e)>]
      ins(%q, %k, %v : tensor<16x128x8xf16>, tensor<16x2048x8xf16>, tensor<16x2048x8xf16>)
      outs(%o0 : tensor<16x128x8xf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<16x128x8xf16>
  return %o : tensor<16x128x8xf16>
}
