// RUN: structured-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize | FileCheck %s

// The init is written in place where it may be.
// CHECK-LABEL: func.func @in_place
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4x8xf32>, %[[W:[a-z0-9]+]]: memref<12x8xf32>
func.func @in_place(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>)
    -> tensor<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x12xf32>
  // CHECK: %[[Y:.*]] = memref.alloc()
  // CHECK: linalg.fill {{.*}} outs(%[[Y]]
  %y0 = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x12xf32>)
      -> tensor<4x12xf32>
  // CHECK-NOT: memref.copy
  // CHECK: structured.linear ins(%[[X]], %[[W]] : memref<4x8xf32>, memref<12x8xf32>) outs(%[[Y]] : memref<4x12xf32>)
  %y = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  // CHECK: return %[[Y]]
  return %y : tensor<4x12xf32>
}

// An init that is read later is copied first.
// CHECK-LABEL: func.func @copied
// CHECK-SAME: %[[Y0:[a-z0-9]+]]: memref<4x12xf32>) ->
func.func @copied(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>,
    %y0: tensor<4x12xf32> {bufferization.writable = false})
    -> (tensor<4x12xf32>, tensor<4x12xf32>) {
  // CHECK: %[[Y:.*]] = memref.alloc()
  // CHECK: memref.copy %[[Y0]], %[[Y]]
  // CHECK: structured.blast.matmul {{.*}} outs(%[[Y]] : memref<4x12xf32>)
  %y = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y, %y0 : tensor<4x12xf32>, tensor<4x12xf32>
}

// CHECK-LABEL: func.func @gblr
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4x8xf32>, %[[U:[a-z0-9]+]]: memref<4xf32>, %[[V:[a-z0-9]+]]: memref<3xf32>, %[[Y:[a-z0-9]+]]: memref<4x12xf32>)
func.func @gblr(%x: tensor<4x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  // CHECK: structured.gblr.matmul {{.*}} ins(%[[X]], %[[U]], %[[V]] : memref<4x8xf32>, memref<4xf32>, memref<3xf32>) outs(%[[Y]] : memref<4x12xf32>)
  %y = structured.gblr.matmul layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
