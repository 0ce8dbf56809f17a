// RUN: structured-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s

// CHECK-LABEL: func @in_place
// CHECK-SAME: %[[y0:[^:]+]]: memref<4x12xf32>)
func.func @in_place(%x: tensor<4x8xf32>, %v: tensor<5x4xf32>, %p: tensor<4xi32>,
                    %c: tensor<5xi32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  // CHECK-NOT: memref.alloc
  // CHECK: structured.block_sparse.matmul ins({{.*}} : memref<4x8xf32>, memref<5x4xf32>, memref<4xi32>, memref<5xi32>) outs(%[[y0]] : memref<4x12xf32>)
  // CHECK: return %[[y0]]
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<4x8xf32>, tensor<5x4xf32>, tensor<4xi32>, tensor<5xi32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
