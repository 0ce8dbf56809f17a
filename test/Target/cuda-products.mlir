// RUN: structured-compile %s --target=cuda --costs=none --emit=ptx | FileCheck %s

// All lanes of a warp take part in the products of each tile of rows, and some
// of them store what a tile gives. Two tiles of one chunk of ranks are so short
// that LLVM would make two copies of the second's products, one of them behind
// the first's stores, and each launch would hang.

// CHECK-LABEL: .visible .entry blast_decode_0(
// CHECK-COUNT-2: ld.relaxed.gpu
// CHECK: bra 
// CHECK-COUNT-2: mma.sync
// CHECK: bra [[NEXT:\$L[^;]*]];
// CHECK-NOT: mma.sync
// CHECK: [[NEXT]]:
// CHECK-COUNT-2: mma.sync
// CHECK: bra [[END:\$L[^;]*]];
// CHECK-NOT: mma.sync
// CHECK: [[END]]:
// CHECK: bar.sync
// CHECK-NOT: mma.sync
func.func @main(%x: tensor<1x768xbf16>) -> tensor<1x3072xbf16> {
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : tensor<1x3072xbf16>
  %init = linalg.fill ins(%zero : bf16) outs(%empty : tensor<1x3072xbf16>) -> tensor<1x3072xbf16>
  %u = structured.parameter "U" : tensor<2x1536x304xbf16>
  %s = structured.parameter "S" : tensor<2x2x304xbf16>
  %vt = structured.parameter "Vt" : tensor<2x304x384xbf16>
  %y = structured.blast.matmul ins(%x, %u, %s, %vt : tensor<1x768xbf16>, tensor<2x1536x304xbf16>,
      tensor<2x2x304xbf16>, tensor<2x304x384xbf16>) outs(%init : tensor<1x3072xbf16>) -> tensor<1x3072xbf16>
  return %y : tensor<1x3072xbf16>
}
