// A module that holds a layer which a pass refuses is reduced to that layer.

// RUN: rm -rf %t && split-file %s %t && chmod +x %t/tester
// RUN: structured-reduce %t/model.mlir --reduction-tree='traversal-mode=0 test=%t/tester' | FileCheck %s
// A module without it is refused.
// RUN: not structured-reduce %t/good.mlir --reduction-tree="traversal-mode=0 test=%t/tester"

// CHECK: module {
// CHECK-NEXT: func.func @refused
// CHECK-NEXT: structured.gblr.matmul
// CHECK-NEXT: return
// CHECK-NEXT: }
// CHECK-NEXT: }

//--- tester
#!/bin/sh
# 1 if the module still shows what is looked for.
if structured-opt --structured-expand-to-dense "$1" 2>&1 | grep -q "not expanded"; then
  exit 1
fi

//--- model.mlir
func.func @main(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y0: tensor<4x12xf32>)
    -> tensor<4x12xf32> {
  %y = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
func.func @refused(%x: memref<4x8xf32>, %u: memref<0xf32>, %y: memref<4x12xf32>,
                   %t: tensor<4x8xf32>, %w: tensor<12x8xf32>, %t0: tensor<4x12xf32>) {
  %0 = structured.linear ins(%t, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%t0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  structured.gblr.matmul layout = <out = 12, in = 8, components = []>
      ins(%x, %u, %u : memref<4x8xf32>, memref<0xf32>, memref<0xf32>)
      outs(%y : memref<4x12xf32>)
  return
}

//--- good.mlir
func.func @main() {
  return
}
