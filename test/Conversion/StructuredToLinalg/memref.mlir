// RUN: structured-opt %s --structured-to-linalg --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @memref
// CHECK: structured.linear
func.func @memref(%x: memref<4x8xf32>, %w: memref<12x8xf32>, %y: memref<4x12xf32>) {
  // expected-remark @+1 {{not lowered: its operands are memrefs; run the pass before bufferization}}
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>)
      outs(%y : memref<4x12xf32>)
  return
}
