// RUN: structured-opt %s --structured-expand-unprofitable="costs=h200" --verify-diagnostics --split-input-file | FileCheck %s
// RUN: structured-opt %s --structured-expand-unprofitable="costs=%S/Inputs/costs.json tokens=16" --split-input-file 2>%t | FileCheck %s --check-prefix=FILE
// RUN: FileCheck %s --check-prefix=REMARKS < %t
// RUN: structured-opt %s --structured-expand-unprofitable="costs=h200 tolerance=9" --split-input-file 2>/dev/null | FileCheck %s --check-prefix=TOLERANT

// The example of the pass's description. With 64 tokens, kernels for 16 blocks
// take longer to start than the dense product takes.

// CHECK-LABEL: func.func @example
// CHECK-SAME: %[[x:.+]]: tensor<64x2048xbf16>, %[[y0:.+]]: tensor
// CHECK: %[[w:.+]] = structured.parameter "fc.U*fc.S*fc.Vt" product = <"fc.U", "fc.S", "fc.Vt", blocks = 16 : 16, rank = 96> : tensor<2048x2048xbf16>
// CHECK: structured.linear {layer = "fc"} ins(%[[x]], %[[w]] : tensor<64x2048xbf16>, tensor<2048x2048xbf16>) outs(%[[y0]] : tensor<64x2048xbf16>)
// CHECK-NOT: structured.blast.matmul
// TOLERANT-LABEL: func.func @example
// TOLERANT: structured.blast.matmul
func.func @example(%x: tensor<64x2048xbf16>, %y0: tensor<64x2048xbf16>) -> tensor<64x2048xbf16> {
  %u = structured.parameter "fc.U" : tensor<16x128x96xbf16>
  %s = structured.parameter "fc.S" : tensor<16x16x96xbf16>
  %vt = structured.parameter "fc.Vt" : tensor<16x96x128xbf16>
  // expected-remark-re @below {{made dense: estimated {{[0-9.]+}} us against {{[0-9.]+}} us dense, for 64 tokens on NVIDIA H200; its weight takes 8388608 bytes instead of 835584}}
  %y = structured.blast.matmul {layer = "fc"}
      ins(%x, %u, %s, %vt : tensor<64x2048xbf16>, tensor<16x128x96xbf16>, tensor<16x16x96xbf16>, tensor<16x96x128xbf16>)
      outs(%y0 : tensor<64x2048xbf16>) -> tensor<64x2048xbf16>
  return %y : tensor<64x2048xbf16>
}

// -----

// A tenth of a large matrix pays.

// CHECK-LABEL: func.func @pays
// CHECK: structured.blast.matmul
func.func @pays(%x: tensor<4096x8192xf16>, %y0: tensor<4096x8192xf16>) -> tensor<4096x8192xf16> {
  %u = structured.parameter "fc.U" : tensor<4x2048x384xf16>
  %s = structured.parameter "fc.S" : tensor<4x4x384xf16>
  %vt = structured.parameter "fc.Vt" : tensor<4x384x2048xf16>
  %y = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4096x8192xf16>, tensor<4x2048x384xf16>, tensor<4x4x384xf16>, tensor<4x384x2048xf16>)
      outs(%y0 : tensor<4096x8192xf16>) -> tensor<4096x8192xf16>
  return %y : tensor<4096x8192xf16>
}

// -----

// With 8 blocks half of the parameters pay by a little with 1024 tokens, not with
// 256. Up to 16 tokens a kernel makes them pay; 17 get the library's products.

// CHECK-LABEL: func.func @eight_blocks
// CHECK: structured.blast.matmul {{.*}}tensor<1024x4096xbf16>
// CHECK: structured.linear {{.*}}tensor<256x4096xbf16>
// CHECK: structured.linear {{.*}}tensor<17x4096xbf16>
// CHECK: structured.blast.matmul {{.*}}tensor<16x4096xbf16>
func.func @eight_blocks(%x: tensor<1024x4096xbf16>, %y0: tensor<1024x4096xbf16>, %x256: tensor<256x4096xbf16>, %y256: tensor<256x4096xbf16>,
    %x17: tensor<17x4096xbf16>, %y17: tensor<17x4096xbf16>, %x16: tensor<16x4096xbf16>, %y16: tensor<16x4096xbf16>)
    -> (tensor<1024x4096xbf16>, tensor<256x4096xbf16>, tensor<17x4096xbf16>, tensor<16x4096xbf16>) {
  %u = structured.parameter "fc.U" : tensor<8x512x1008xbf16>
  %s = structured.parameter "fc.S" : tensor<8x8x1008xbf16>
  %vt = structured.parameter "fc.Vt" : tensor<8x1008x512xbf16>
  %y = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<1024x4096xbf16>, tensor<8x512x1008xbf16>, tensor<8x8x1008xbf16>, tensor<8x1008x512xbf16>)
      outs(%y0 : tensor<1024x4096xbf16>) -> tensor<1024x4096xbf16>
  // expected-remark @below {{made dense: estimated}}
  %z = structured.blast.matmul
      ins(%x256, %u, %s, %vt : tensor<256x4096xbf16>, tensor<8x512x1008xbf16>, tensor<8x8x1008xbf16>, tensor<8x1008x512xbf16>)
      outs(%y256 : tensor<256x4096xbf16>) -> tensor<256x4096xbf16>
  // expected-remark @below {{made dense: estimated}}
  %v = structured.blast.matmul
      ins(%x17, %u, %s, %vt : tensor<17x4096xbf16>, tensor<8x512x1008xbf16>, tensor<8x8x1008xbf16>, tensor<8x1008x512xbf16>)
      outs(%y17 : tensor<17x4096xbf16>) -> tensor<17x4096xbf16>
  %w = structured.blast.matmul
      ins(%x16, %u, %s, %vt : tensor<16x4096xbf16>, tensor<8x512x1008xbf16>, tensor<8x8x1008xbf16>, tensor<8x1008x512xbf16>)
      outs(%y16 : tensor<16x4096xbf16>) -> tensor<16x4096xbf16>
  return %y, %z, %v, %w : tensor<1024x4096xbf16>, tensor<256x4096xbf16>, tensor<17x4096xbf16>, tensor<16x4096xbf16>
}

// -----

// Factors known only at run time stay, as do parameters in another order.

// CHECK-LABEL: func.func @arguments
// CHECK-COUNT-2: structured.blast.matmul
func.func @arguments(%x: tensor<64x2048xbf16>, %y0: tensor<64x2048xbf16>, %u: tensor<16x128x96xbf16>) -> tensor<64x2048xbf16> {
  %s = structured.parameter "fc.S" : tensor<16x16x96xbf16>
  %vt = structured.parameter "fc.Vt" : tensor<16x96x128xbf16>
  // expected-remark @below {{slower than dense, but its factors are not parameters: estimated}}
  %y = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<64x2048xbf16>, tensor<16x128x96xbf16>, tensor<16x16x96xbf16>, tensor<16x96x128xbf16>)
      outs(%y0 : tensor<64x2048xbf16>) -> tensor<64x2048xbf16>
  %up = structured.parameter "fc.U" permutation = [0, 2, 1] : tensor<16x128x96xbf16>
  // expected-remark @below {{slower than dense, but its factors are not parameters: estimated}}
  %z = structured.blast.matmul
      ins(%x, %up, %s, %vt : tensor<64x2048xbf16>, tensor<16x128x96xbf16>, tensor<16x16x96xbf16>, tensor<16x96x128xbf16>)
      outs(%y : tensor<64x2048xbf16>) -> tensor<64x2048xbf16>
  return %z : tensor<64x2048xbf16>
}

// -----

// A dynamic number of tokens, once unknown, once taken to be 16. The table of
// the file has f32, for which BLAST layers take twice as long as dense ones.

// CHECK-LABEL: func.func @dynamic
// CHECK-COUNT-2: structured.blast.matmul
// FILE-LABEL: func.func @dynamic
// FILE: structured.parameter "a.U*a.S*a.Vt" product = <"a.U", "a.S", "a.Vt", blocks = 3 : 2, rank = 5> : tensor<12x8xf32>
// FILE: structured.linear
// FILE: structured.blast.matmul {{.*}}tensor<?x8xbf16>
// REMARKS: remark: no estimate of its time: layers with elements of 32 bits were measured, not of 16
// REMARKS: remark: made dense: estimated 32.0 us against 16.0 us dense, for 16 tokens on a table; its weight takes 384 bytes instead of 520
func.func @dynamic(%x: tensor<?x8xf32>, %y0: tensor<?x12xf32>, %b: tensor<?x8xbf16>, %c0: tensor<?x12xbf16>) -> (tensor<?x12xf32>, tensor<?x12xbf16>) {
  %u = structured.parameter "a.U" : tensor<3x4x5xf32>
  %s = structured.parameter "a.S" : tensor<3x2x5xf32>
  %vt = structured.parameter "a.Vt" : tensor<2x5x4xf32>
  // expected-remark @below {{no estimate of its time: layers with elements of 16 bits were measured, not of 32}}
  %y = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<?x8xf32>, tensor<3x4x5xf32>, tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  %u2 = structured.parameter "b.U" : tensor<3x4x5xbf16>
  %s2 = structured.parameter "b.S" : tensor<3x2x5xbf16>
  %vt2 = structured.parameter "b.Vt" : tensor<2x5x4xbf16>
  // expected-remark @below {{no estimate of its time: its number of tokens is not known; the option 'tokens' gives one}}
  %z = structured.blast.matmul
      ins(%b, %u2, %s2, %vt2 : tensor<?x8xbf16>, tensor<3x4x5xbf16>, tensor<3x2x5xbf16>, tensor<2x5x4xbf16>)
      outs(%c0 : tensor<?x12xbf16>) -> tensor<?x12xbf16>
  return %y, %z : tensor<?x12xf32>, tensor<?x12xbf16>
}

// -----

// CHECK-LABEL: func.func @others
// CHECK: structured.gblr.matmul
// CHECK: structured.blast.matmul
func.func @others(%x: tensor<4x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>, %y0: tensor<4x12xf32>,
    %xm: memref<64x8xbf16>, %um: memref<1x12x5xbf16>, %sm: memref<1x1x5xbf16>, %vm: memref<1x5x8xbf16>, %ym: memref<64x12xbf16>) -> tensor<4x12xf32> {
  // expected-remark @below {{no estimate of its time: only BLAST layers were measured}}
  %y = structured.gblr.matmul layout = <out = 12, in = 8, components = [<rows 0 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  // expected-remark @below {{no estimate of its time: its operands are memrefs}}
  structured.blast.matmul
      ins(%xm, %um, %sm, %vm : memref<64x8xbf16>, memref<1x12x5xbf16>, memref<1x1x5xbf16>, memref<1x5x8xbf16>)
      outs(%ym : memref<64x12xbf16>)
  return %y : tensor<4x12xf32>
}
