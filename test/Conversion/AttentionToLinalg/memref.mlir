// RUN: structured-opt %s --structured-attention-to-linalg --verify-diagnostics | FileCheck %s

// CHECK: structured.attention
func.func @memrefs(%q: memref<4x8xf32>, %k: memref<6x8xf32>, %v: memref<6x8xf32>, %o: memref<4x8xf32>) {
  // expected-remark @below {{not lowered: its operands are memrefs; run the pass before bufferization}}
  structured.attention indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
      affine_map<(t, l, d, e) -> (l, d)>, affine_map<(t, l, d, e) -> (l, e)>, affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : memref<4x8xf32>, memref<6x8xf32>, memref<6x8xf32>) outs(%o : memref<4x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}
