// RUN: structured-opt %s --structured-linalg-to-vector --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @tensors
// CHECK: linalg.add
func.func @tensors(%a: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<8xf32> {
  // expected-remark @+1 {{not lowered: its operands are not memrefs}}
  %r = linalg.add ins(%a, %b : tensor<8xf32>, tensor<8xf32>)
                  outs(%a : tensor<8xf32>) -> tensor<8xf32>
  return %r : tensor<8xf32>
}
