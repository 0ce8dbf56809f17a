// RUN: structured-opt %s --structured-gblr-to-bsr="v-width=128 u-width=128 min-tokens=1" --split-input-file | FileCheck %s

// Vectors of the same blocks are put together, whatever their order: 128 of the
// first block of columns, then 64 and 60 of the others. The first 128 and the 60
// have rows of the second panel, the 64 and the 60 of the first. The panels of
// the most blocks come first.

// CHECK-LABEL: func @sorted
func.func @sorted(%x: tensor<300x256xf16>, %y0: tensor<300x256xf16>) -> tensor<300x256xf16> {
  %u = structured.parameter "u" : tensor<38272xf16>
  %v = structured.parameter "v" : tensor<25856xf16>
  // CHECK: "v" packing = {{.*}} : tensor<4x128x64xf16>
  // CHECK: arith.constant dense<[0, 1, 4]>
  // CHECK: arith.constant dense<[0, 1, 2, 3]>
  // CHECK: arith.constant dense<[1, 0]>
  // CHECK: "u" packing = {{.*}} : tensor<5x128x64xf16>
  // CHECK: arith.constant dense<[0, 2, 5]>
  // CHECK: arith.constant dense<[2, 3, 0, 1, 3]>
  // CHECK: arith.constant dense<[1, 0]>
  %y = structured.gblr.matmul layout = <out = 256, in = 256, components = [
        <rows 0 + 256, cols 64 + 192, rank 60>, <rows 128 + 128, cols 0 + 64, rank 128>,
        <rows 0 + 256, cols 64 + 1, rank 0>, <rows 0 + 102, cols 64 + 96, rank 64>]>
      ins(%x, %u, %v : tensor<300x256xf16>, tensor<38272xf16>, tensor<25856xf16>)
      outs(%y0 : tensor<300x256xf16>) -> tensor<300x256xf16>
  return %y : tensor<300x256xf16>
}

// -----

// No components, and an U that lacks rows: no product, and a block of zeros.

// CHECK-LABEL: func @empty
func.func @empty(%x: tensor<300x64xf16>, %y0: tensor<300x256xf16>) -> tensor<300x256xf16> {
  %u = structured.parameter "u" : tensor<0xf16>
  %v = structured.parameter "v" : tensor<0xf16>
  // CHECK-NOT: bsr.matmul
  // CHECK: return %arg1
  %y = structured.gblr.matmul layout = <out = 256, in = 64, components = []>
      ins(%x, %u, %v : tensor<300x64xf16>, tensor<0xf16>, tensor<0xf16>)
      outs(%y0 : tensor<300x256xf16>) -> tensor<300x256xf16>
  return %y : tensor<300x256xf16>
}

// CHECK-LABEL: func @rows
func.func @rows(%x: tensor<300x64xf16>, %y0: tensor<300x256xf16>) -> tensor<300x256xf16> {
  %u = structured.parameter "u" : tensor<8xf16>
  %v = structured.parameter "v" : tensor<8xf16>
  // CHECK: "u" packing = {{.*}} : tensor<2x128x64xf16>
  %y = structured.gblr.matmul layout = <out = 256, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<300x64xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<300x256xf16>) -> tensor<300x256xf16>
  return %y : tensor<300x256xf16>
}
