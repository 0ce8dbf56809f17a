// RUN: structured-opt %s --mlir-disable-threading --pass-pipeline="builtin.module(builtin.module(structured-blast-to-hopper))" | FileCheck %s

// One pass runs on two modules, one after the other: each has a function and a kernel of its own.

// CHECK-LABEL: module @first
// CHECK: call @blast_decode(
// CHECK: gpu.module @hopper
// CHECK: func.func private @blast_decode(
module @first {
  func.func @main(%x: memref<4x256xbf16>, %u: memref<2x128x64xbf16> {structured.parameter = "U"},
                  %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                  %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"}) -> memref<4x256xbf16> {
    %zero = arith.constant 0.0 : bf16
    %y = memref.alloc() : memref<4x256xbf16>
    linalg.fill ins(%zero : bf16) outs(%y : memref<4x256xbf16>)
    structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
        memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
        outs(%y : memref<4x256xbf16>)
    return %y : memref<4x256xbf16>
  }
}

// CHECK-LABEL: module @second
// CHECK: call @blast_decode(
// CHECK: gpu.module @hopper
// CHECK: func.func private @blast_decode(
module @second {
  func.func @main(%x: memref<4x256xbf16>, %u: memref<2x128x64xbf16> {structured.parameter = "U"},
                  %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                  %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"}) -> memref<4x256xbf16> {
    %zero = arith.constant 0.0 : bf16
    %y = memref.alloc() : memref<4x256xbf16>
    linalg.fill ins(%zero : bf16) outs(%y : memref<4x256xbf16>)
    structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
        memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
        outs(%y : memref<4x256xbf16>)
    return %y : memref<4x256xbf16>
  }
}
