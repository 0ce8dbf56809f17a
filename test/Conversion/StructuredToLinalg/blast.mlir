// RUN: structured-opt %s --structured-to-linalg --split-input-file | FileCheck %s

// CHECK-DAG: #[[$X:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d3)>
// CHECK-DAG: #[[$VT:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>
// CHECK-DAG: #[[$JTR:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-DAG: #[[$S:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>
// CHECK-DAG: #[[$Y:.+]] = affine_map<(d0, d1, d2, d3) -> (d3, d1, d2)>
// CHECK-DAG: #[[$Z:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[$O:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d2)>
// CHECK-LABEL: func @blast
// CHECK-SAME: %[[x:[^:]+]]: tensor<?x8xf32>, %[[u:[^:]+]]: tensor<3x4x5xf32>, %[[s:[^:]+]]: tensor<3x2x5xf32>, %[[vt:[^:]+]]: tensor<2x5x4xf32>, %[[o0:[^:]+]]: tensor<?x12xf32>
func.func @blast(%x: tensor<?x8xf32>, %u: tensor<3x4x5xf32>,
                 %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>,
                 %o0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: %[[xb:.+]] = tensor.expand_shape %[[x]] {{\[\[}}0], [1, 2]]
  // CHECK: %[[y:.+]] = linalg.contract indexing_maps = [#[[$X]], #[[$VT]], #[[$JTR]]]
  // CHECK-SAME: ins(%[[xb]], %[[vt]] : tensor<?x2x4xf32>, tensor<2x5x4xf32>)
  // CHECK-SAME: -> tensor<2x?x5xf32>
  // CHECK: %[[z:.+]] = linalg.contract indexing_maps = [#[[$S]], #[[$Y]], #[[$JTR]]]
  // CHECK-SAME: ins(%[[s]], %[[y]] : tensor<3x2x5xf32>, tensor<2x?x5xf32>)
  // CHECK-SAME: -> tensor<3x?x5xf32>
  // CHECK: %[[o0b:.+]] = tensor.expand_shape %[[o0]] {{\[\[}}0], [1, 2]]
  // CHECK: %[[ob:.+]] = linalg.contract indexing_maps = [#[[$Z]], #[[$VT]], #[[$O]]]
  // CHECK-SAME: ins(%[[z]], %[[u]] : tensor<3x?x5xf32>, tensor<3x4x5xf32>)
  // CHECK-SAME: outs(%[[o0b]] : tensor<?x3x4xf32>)
  // CHECK: %[[o:.+]] = tensor.collapse_shape %[[ob]] {{\[\[}}0], [1, 2]]
  // CHECK: return %[[o]]
  %o = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<?x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%o0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %o : tensor<?x12xf32>
}

// -----

// Y and Z stay in f32; only the result is rounded.

// CHECK-LABEL: func @blast_f16
// CHECK: linalg.contract {{.*}} -> tensor<2x4x5xf32>
// CHECK: linalg.contract {{.*}} -> tensor<3x4x5xf32>
// CHECK: linalg.contract {{.*}} -> tensor<4x3x4xf32>
// CHECK-COUNT-1: arith.truncf
// CHECK-NOT: arith.truncf
func.func @blast_f16(%x: tensor<4x8xf16>, %u: tensor<3x4x5xf16>,
                     %s: tensor<3x2x5xf16>, %vt: tensor<2x5x4xf16>,
                     %o0: tensor<4x12xf16>) -> tensor<4x12xf16> {
  %o = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf16>, tensor<3x4x5xf16>,
                            tensor<3x2x5xf16>, tensor<2x5x4xf16>)
      outs(%o0 : tensor<4x12xf16>) -> tensor<4x12xf16>
  return %o : tensor<4x12xf16>
}

// -----

// Rank and block rows may be dynamic, as tiling leaves them.

// CHECK-LABEL: func @blast_dynamic
// CHECK: linalg.contract {{.*}} -> tensor<2x?x?xf32>
// CHECK: linalg.contract {{.*}} -> tensor<?x?x?xf32>
// CHECK: linalg.contract {{.*}} -> tensor<?x?x4xf32>
// CHECK: tensor.collapse_shape {{.*}} into tensor<?x?xf32>
func.func @blast_dynamic(%x: tensor<?x8xf32>, %u: tensor<?x4x?xf32>,
                         %s: tensor<?x2x?xf32>, %vt: tensor<2x?x4xf32>,
                         %o0: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %o = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<?x8xf32>, tensor<?x4x?xf32>,
                            tensor<?x2x?xf32>, tensor<2x?x4xf32>)
      outs(%o0 : tensor<?x?xf32>) -> tensor<?x?xf32>
  return %o : tensor<?x?xf32>
}
