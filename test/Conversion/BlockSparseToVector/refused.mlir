// RUN: structured-opt %s --structured-block-sparse-to-vector --split-input-file --verify-diagnostics

func.func @tensors(%x: tensor<1x4xf32>, %v: tensor<3x8xf32>, %p: tensor<2xi32>, %c: tensor<3xi32>,
                   %y0: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @below {{block-sparse product on tensors: bufferize first}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x4xf32>, tensor<3x8xf32>, tensor<2xi32>, tensor<3xi32>)
      outs(%y0 : tensor<1x8xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

func.func @strided(%x: memref<1x4xf32>, %v: memref<3x8xf32>, %p: memref<2xi32>, %c: memref<3xi32>,
                   %y: memref<1x8xf32, strided<[16, 2]>>) {
  // expected-error @below {{the innermost dimension of its values or its result is not contiguous}}
  structured.block_sparse.matmul
      ins(%x, %v, %p, %c : memref<1x4xf32>, memref<3x8xf32>, memref<2xi32>, memref<3xi32>)
      outs(%y : memref<1x8xf32, strided<[16, 2]>>)
  return
}
