// RUN: structured-opt %s --structured-to-cpu-tensors | FileCheck %s
// RUN: structured-opt %s --structured-to-cuda-tensors | FileCheck %s

// Ops on whole tensors become linalg ops, and these one.

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: arith.extf
// CHECK: math.exp
// CHECK: linalg.yield
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<4x8xf16>) -> tensor<4x8xf32> {
  %0 = arith.extf %x : tensor<4x8xf16> to tensor<4x8xf32>
  %1 = math.exp %0 : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}
