// RUN: structured-opt %s --canonicalize -split-input-file | FileCheck %s

// A layer over no tokens yields its init.
// CHECK-LABEL: func.func @no_tokens
// CHECK-SAME: %[[Y0:[a-z0-9]+]]: tensor<0x12xf32>
func.func @no_tokens(%x: tensor<0x8xf32>, %w: tensor<12x8xf32>,
    %u: tensor<3x4x5xf32>, %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>,
    %y0: tensor<0x12xf32>) -> tensor<0x12xf32> {
  // CHECK-NEXT: return %[[Y0]]
  %y1 = structured.linear ins(%x, %w : tensor<0x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<0x12xf32>) -> tensor<0x12xf32>
  %y2 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<0x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y1 : tensor<0x12xf32>) -> tensor<0x12xf32>
  return %y2 : tensor<0x12xf32>
}

// -----

// Some tokens, or an unknown number: the layer stays.
// CHECK-LABEL: func.func @some_tokens
func.func @some_tokens(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>,
                       %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: structured.linear
  %y = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// A GBLR matrix of no components is zero: the layer yields its init; on
// memrefs there is nothing to do.
// CHECK-LABEL: func.func @zero_matrix
// CHECK-SAME: %[[Y0:[a-z0-9]+]]: tensor<4x12xf32>
func.func @zero_matrix(%x: tensor<4x8xf32>, %u: tensor<0xf32>,
    %v: tensor<0xf32>, %y0: tensor<4x12xf32>, %xm: memref<4x8xf32>,
    %um: memref<0xf32>, %vm: memref<0xf32>, %ym: memref<4x12xf32>)
    -> tensor<4x12xf32> {
  // CHECK-NEXT: return %[[Y0]]
  %y = structured.gblr.matmul layout = <out = 12, in = 8, components = [
        <rows 3 + 4, cols 0 + 3, rank 0>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<0xf32>, tensor<0xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  structured.gblr.matmul layout = <out = 12, in = 8, components = []>
      ins(%xm, %um, %vm : memref<4x8xf32>, memref<0xf32>, memref<0xf32>)
      outs(%ym : memref<4x12xf32>)
  return %y : tensor<4x12xf32>
}

// -----

// Components that hold no numbers go; one that holds some of U but no columns
// stays, because U is packed with it.
// CHECK-LABEL: func.func @empty_components
func.func @empty_components(%x: tensor<4x8xf32>, %u: tensor<8xf32>,
    %v: tensor<3xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  // CHECK: layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>, <rows 1 + 4, cols 2 + 0, rank 1>]>
  %y = structured.gblr.matmul layout = <out = 12, in = 8, components = [
        <rows 0 + 0, cols 5 + 0, rank 3>, <rows 10 + 4, cols 0 + 3, rank 1>,
        <rows 3 + 4, cols 0 + 3, rank 0>, <rows 1 + 4, cols 2 + 0, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<8xf32>, tensor<3xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// Casts that only forget a size fold into the op (a destination-style op).
// CHECK-LABEL: func.func @fold_cast
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x8xf32>
func.func @fold_cast(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                     %y0: tensor<4x12xf32>) -> tensor<?x12xf32> {
  // CHECK: structured.linear ins(%[[X]], %{{.*}} : tensor<4x8xf32>, tensor<12x8xf32>) outs(%{{.*}} : tensor<4x12xf32>) -> tensor<4x12xf32>
  %xd = tensor.cast %x : tensor<4x8xf32> to tensor<?x8xf32>
  %yd = tensor.cast %y0 : tensor<4x12xf32> to tensor<?x12xf32>
  %y = structured.linear ins(%xd, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%yd : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// The result's shape is its init's.
// CHECK-LABEL: func.func @dim
// CHECK-SAME: %[[Y0:[a-z0-9]+]]: tensor<?x12xf32>
func.func @dim(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>,
               %y0: tensor<?x12xf32>) -> index {
  %c0 = arith.constant 0 : index
  %y = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  %d = tensor.dim %y, %c0 : tensor<?x12xf32>
  return %d : index
}
