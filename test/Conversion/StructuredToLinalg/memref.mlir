// RUN: structured-opt %s --structured-to-linalg --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @memref
// CHECK: structured.linear
func.func @memref(%x: memref<4x8xf32>, %w: memref<12x8xf32>, %y: memref<4x12xf32>) {
  // expected-remark @+1 {{not lowered: its operands are memrefs; run the pass before bufferization}}
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>)
      outs(%y : memref<4x12xf32>)
  return
}

// CHECK-LABEL: func @attention
// CHECK: structured.attention
func.func @attention(%q: memref<5x8xf32>, %k: memref<7x8xf32>, %v: memref<7x6xf32>,
                     %o: memref<5x6xf32>) {
  // expected-remark @+1 {{not lowered: its operands are memrefs; run the pass before bufferization}}
  structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>, affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>, affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : memref<5x8xf32>, memref<7x8xf32>, memref<7x6xf32>)
      outs(%o : memref<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}
