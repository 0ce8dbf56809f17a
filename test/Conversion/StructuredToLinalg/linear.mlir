// RUN: structured-opt %s --structured-to-linalg --split-input-file | FileCheck %s

// CHECK: #[[$X:.+]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK: #[[$W:.+]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK: #[[$Y:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func @linear
// CHECK-SAME: %[[x:.+]]: tensor<?x8xf32>, %[[w:.+]]: tensor<12x8xf32>, %[[y0:.+]]: tensor<?x12xf32>
func.func @linear(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>,
                  %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK-NEXT: %[[y:.+]] = linalg.matmul
  // CHECK-SAME: indexing_maps = [#[[$X]], #[[$W]], #[[$Y]]]
  // CHECK-SAME: ins(%[[x]], %[[w]] : tensor<?x8xf32>, tensor<12x8xf32>)
  // CHECK-SAME: outs(%[[y0]] : tensor<?x12xf32>)
  // CHECK-NEXT: return %[[y]]
  %y = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// Sums are in f32 and rounded once, after init is added.

// CHECK-LABEL: func @linear_bf16
// CHECK-SAME: %[[x:.+]]: tensor<4x8xbf16>, %[[w:.+]]: tensor<12x8xbf16>, %[[y0:.+]]: tensor<4x12xbf16>
func.func @linear_bf16(%x: tensor<4x8xbf16>, %w: tensor<12x8xbf16>,
                       %y0: tensor<4x12xbf16>) -> tensor<4x12xbf16> {
  // CHECK: %[[init:.+]] = linalg.generic {{.*}} ins(%[[y0]] : tensor<4x12xbf16>)
  // CHECK: arith.extf
  // CHECK: %[[sum:.+]] = linalg.matmul
  // CHECK-SAME: ins(%[[x]], %[[w]] : tensor<4x8xbf16>, tensor<12x8xbf16>)
  // CHECK-SAME: outs(%[[init]] : tensor<4x12xf32>)
  // CHECK: %[[y:.+]] = linalg.generic {{.*}} ins(%[[sum]] : tensor<4x12xf32>)
  // CHECK: arith.truncf
  // CHECK: return %[[y]] : tensor<4x12xbf16>
  %y = structured.linear ins(%x, %w : tensor<4x8xbf16>, tensor<12x8xbf16>)
      outs(%y0 : tensor<4x12xbf16>) -> tensor<4x12xbf16>
  return %y : tensor<4x12xbf16>
}

// -----

// An f32 init of a bf16 layer is the accumulator itself.

// CHECK-LABEL: func @linear_bf16_f32
// CHECK-NOT: arith
// CHECK: linalg.matmul {{.*}} outs(%{{.*}} : tensor<4x12xf32>)
// CHECK-NEXT: return
func.func @linear_bf16_f32(%x: tensor<4x8xbf16>, %w: tensor<12x8xbf16>,
                           %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %y = structured.linear ins(%x, %w : tensor<4x8xbf16>, tensor<12x8xbf16>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
