// RUN: structured-opt %s --structured-tile-layers --verify-diagnostics | FileCheck %s
// RUN: not structured-opt %s --structured-tile-layers=tokens=0 2>&1 | FileCheck %s --check-prefix=TOKENS

// TOKENS: error: structured-tile-layers needs a tile of at least one token

// CHECK-LABEL: func @memref
// CHECK: structured.gblr.matmul
func.func @memref(%x: memref<128x8xf32>, %u: memref<4xf32>, %v: memref<3xf32>,
                  %o: memref<128x12xf32>) {
  // expected-remark @+1 {{not tiled: its operands are memrefs; run the pass before bufferization}}
  structured.gblr.matmul
      layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : memref<128x8xf32>, memref<4xf32>, memref<3xf32>)
      outs(%o : memref<128x12xf32>)
  return
}
