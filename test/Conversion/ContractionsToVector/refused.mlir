// RUN: structured-opt %s --structured-contractions-to-vector --verify-diagnostics --split-input-file | FileCheck %s

// CHECK-LABEL: func @tensors
// CHECK: linalg.matmul
func.func @tensors(%a: tensor<2x8xf32>, %b: tensor<8x16xf32>,
                   %c: tensor<2x16xf32>) -> tensor<2x16xf32> {
  // expected-remark @+1 {{contraction not vectorised: its operands are not memrefs}}
  %r = linalg.matmul ins(%a, %b : tensor<2x8xf32>, tensor<8x16xf32>)
                     outs(%c : tensor<2x16xf32>) -> tensor<2x16xf32>
  return %r : tensor<2x16xf32>
}

// -----

// CHECK-LABEL: func @integers
// CHECK: linalg.matmul
func.func @integers(%a: memref<2x8xi32>, %b: memref<8x16xi32>,
                    %c: memref<2x16xi32>) {
  // expected-remark @+1 {{its element types are not floating-point}}
  linalg.matmul ins(%a, %b : memref<2x8xi32>, memref<8x16xi32>)
                outs(%c : memref<2x16xi32>)
  return
}

// -----

// CHECK-LABEL: func @dot
// CHECK: linalg.dot
func.func @dot(%a: memref<8xf32>, %b: memref<8xf32>, %c: memref<f32>) {
  // expected-remark @+1 {{its result is a scalar}}
  linalg.dot ins(%a, %b : memref<8xf32>, memref<8xf32>) outs(%c : memref<f32>)
  return
}

// -----

// CHECK-LABEL: func @strided
// CHECK: linalg.matmul
func.func @strided(%a: memref<2x8xf32>, %b: memref<8x16xf32>,
                   %c: memref<2x16xf32, strided<[32, 2]>>) {
  // expected-remark @+1 {{the innermost dimension of its result is not contiguous}}
  linalg.matmul ins(%a, %b : memref<2x8xf32>, memref<8x16xf32>)
                outs(%c : memref<2x16xf32, strided<[32, 2]>>)
  return
}

// -----

// CHECK-LABEL: func @matvec
// CHECK: linalg.matvec
func.func @matvec(%a: memref<16x8xf32>, %b: memref<8xf32>, %c: memref<16xf32>) {
  // expected-remark @+1 {{a reduction along the rows is better}}
  linalg.matvec ins(%a, %b : memref<16x8xf32>, memref<8xf32>)
                outs(%c : memref<16xf32>)
  return
}

// -----

// Elementwise ops are no contractions: no remark.

// CHECK-LABEL: func @elementwise
// CHECK: linalg.add
func.func @elementwise(%a: memref<8xf32>, %b: memref<8xf32>, %c: memref<8xf32>) {
  linalg.add ins(%a, %b : memref<8xf32>, memref<8xf32>) outs(%c : memref<8xf32>)
  return
}
