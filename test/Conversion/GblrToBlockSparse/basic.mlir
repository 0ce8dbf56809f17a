// RUN: structured-opt %s --structured-gblr-to-block-sparse=vector-bits=128 --split-input-file --verify-diagnostics | FileCheck %s

// Component 0 wraps around the rows; component 1, of rank 2, wraps around the
// columns; component 2 is empty. The three rank vectors are one panel of V:
// columns 0, 1, 2 of both and 6, 7 of component 1 alone. The panels of U are
// rows 0 to 3 (all vectors), 4 to 7 (component 1) and 8 to 11 (component 0).

// CHECK-LABEL: func @wrap
// CHECK-SAME: %[[x:[^:]+]]: tensor<?x8xf32>, %[[o0:[^:]+]]: tensor<?x12xf32>
func.func @wrap(%x: tensor<?x8xf32>, %o0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %u = structured.parameter "u" : tensor<16xf32>
  %v = structured.parameter "v" : tensor<13xf32>
  // CHECK: %[[y0:.+]] = linalg.fill {{.*}} -> tensor<?x4xf32>
  // CHECK: %[[v:.+]] = structured.parameter "v" packing = <v, widths = 4 : 4, layout = <out = 12, in = 8, {{.*}}>> : tensor<5x4xf32>
  // CHECK: %[[vPositions:.+]] = arith.constant dense<[0, 5]> : tensor<2xi32>
  // CHECK: %[[vColumns:.+]] = arith.constant dense<[0, 1, 2, 6, 7]> : tensor<5xi32>
  // CHECK: %[[y:.+]] = structured.block_sparse.matmul ins(%[[x]], %[[v]], %[[vPositions]], %[[vColumns]] : {{.*}}) outs(%[[y0]] : tensor<?x4xf32>)
  // CHECK: %[[u:.+]] = structured.parameter "u" packing = <u, widths = 4 : 4, layout = <out = 12, in = 8, {{.*}}>> : tensor<6x4xf32>
  // CHECK: %[[uPositions:.+]] = arith.constant dense<[0, 3, 5, 6]> : tensor<4xi32>
  // CHECK: %[[uRanks:.+]] = arith.constant dense<[0, 1, 2, 1, 2, 0]> : tensor<6xi32>
  // CHECK: %[[o:.+]] = structured.block_sparse.matmul ins(%[[y]], %[[u]], %[[uPositions]], %[[uRanks]] : {{.*}}) outs(%[[o0]] : tensor<?x12xf32>)
  // CHECK-NOT: structured.gblr
  // CHECK: return %[[o]]
  %o = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 6 + 5, rank 2>,
        <rows 3 + 0, cols 0 + 0, rank 4>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<16xf32>, tensor<13xf32>)
      outs(%o0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %o : tensor<?x12xf32>
}

// -----

// Vectors are put together by their columns, not in their order: one panel is
// columns 0 to 63, the other 64 to 127.

// CHECK-LABEL: func @sorted
func.func @sorted(%x: tensor<32x128xf32>, %o0: tensor<32x128xf32>) -> tensor<32x128xf32> {
  %u = structured.parameter "u" : tensor<512xf32>
  %v = structured.parameter "v" : tensor<512xf32>
  // CHECK: "v" packing = {{.*}} : tensor<128x4xf32>
  // CHECK: arith.constant dense<[0, 64, 128]>
  // CHECK: "u" packing
  %o = structured.gblr.matmul
      layout = <out = 128, in = 128, components = [
        <rows 0 + 64, cols 0 + 64, rank 1>, <rows 0 + 64, cols 64 + 64, rank 1>,
        <rows 0 + 64, cols 0 + 64, rank 2>, <rows 0 + 64, cols 64 + 64, rank 2>,
        <rows 64 + 64, cols 0 + 64, rank 1>, <rows 64 + 64, cols 64 + 64, rank 1>]>
      ins(%x, %u, %v : tensor<32x128xf32>, tensor<512xf32>, tensor<512xf32>)
      outs(%o0 : tensor<32x128xf32>) -> tensor<32x128xf32>
  return %o : tensor<32x128xf32>
}

// -----

// Narrow types: the factors stay narrow, the input and the sums are f32.

// CHECK-LABEL: func @narrow
// CHECK-SAME: %[[x:[^:]+]]: tensor<4x8xbf16>
func.func @narrow(%x: tensor<4x8xbf16>, %o0: tensor<4x4xbf16>) -> tensor<4x4xbf16> {
  %u = structured.parameter "u" : tensor<4xbf16>
  %v = structured.parameter "v" : tensor<8xbf16>
  // CHECK: %[[init:.+]] = linalg.generic {{.*}} outs({{.*}} : tensor<4x4xf32>)
  // CHECK: arith.extf
  // CHECK: %[[wide:.+]] = linalg.generic {{.*}} ins(%[[x]] : tensor<4x8xbf16>)
  // CHECK: structured.block_sparse.matmul ins(%[[wide]], {{.*}} : tensor<4x8xf32>, tensor<8x4xbf16>,
  // CHECK: %[[o:.+]] = structured.block_sparse.matmul {{.*}} outs(%[[init]] :
  // CHECK: linalg.generic {{.*}} ins(%[[o]] : tensor<4x4xf32>)
  // CHECK: arith.truncf
  // expected-remark @below {{its panels take 36 multiply-adds for a token, more than the 32 of a dense layer}}
  %o = structured.gblr.matmul
      layout = <out = 4, in = 8, components = [<rows 0 + 4, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xbf16>, tensor<4xbf16>, tensor<8xbf16>)
      outs(%o0 : tensor<4x4xbf16>) -> tensor<4x4xbf16>
  return %o : tensor<4x4xbf16>
}

// -----

// Without components the result is init.

// CHECK-LABEL: func @none
// CHECK-SAME: %[[o0:[^:]+]]: tensor<4x4xf32>)
func.func @none(%x: tensor<4x8xf32>, %o0: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %u = structured.parameter "u" : tensor<0xf32>
  %v = structured.parameter "v" : tensor<0xf32>
  // CHECK: return %[[o0]]
  %o = structured.gblr.matmul layout = <out = 4, in = 8, components = []>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<0xf32>, tensor<0xf32>)
      outs(%o0 : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %o : tensor<4x4xf32>
}

// -----

// CHECK-LABEL: func @arguments
func.func @arguments(%x: tensor<4x8xf32>, %u: tensor<4xf32>, %v: tensor<8xf32>,
                     %o0: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // CHECK: structured.gblr.matmul
  // expected-remark @below {{not lowered to block-sparse products: its factors are not parameters}}
  %o = structured.gblr.matmul
      layout = <out = 4, in = 8, components = [<rows 0 + 4, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<4xf32>, tensor<8xf32>)
      outs(%o0 : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %o : tensor<4x4xf32>
}

// -----

// CHECK-LABEL: func @memrefs
func.func @memrefs(%x: memref<4x8xf32>, %u: memref<4xf32>, %v: memref<8xf32>, %o: memref<4x4xf32>) {
  // CHECK: structured.gblr.matmul
  // expected-remark @below {{not lowered to block-sparse products: its operands are memrefs}}
  structured.gblr.matmul
      layout = <out = 4, in = 8, components = [<rows 0 + 4, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : memref<4x8xf32>, memref<4xf32>, memref<8xf32>)
      outs(%o : memref<4x4xf32>)
  return
}
