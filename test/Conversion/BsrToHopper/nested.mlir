// RUN: structured-opt %s --mlir-disable-threading --pass-pipeline="builtin.module(builtin.module(structured-bsr-to-hopper))" | FileCheck %s

// One pass runs on two modules, one after the other: each has a function and a kernel of its own.

// CHECK-LABEL: module @first
// CHECK: call @bsr_matmul(
// CHECK: gpu.module @hopper
// CHECK: func.func private @bsr_matmul(
module @first {
  func.func @main(%x: memref<512x256xbf16>, %v: memref<2x128x64xbf16>, %p: memref<2xi32>,
                  %c: memref<2xi32>, %o: memref<1xi32>) -> memref<512x128xbf16> {
    %zero = arith.constant 0.0 : bf16
    %y = memref.alloc() : memref<512x128xbf16>
    linalg.fill ins(%zero : bf16) outs(%y : memref<512x128xbf16>)
    structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x256xbf16>, memref<2x128x64xbf16>, memref<2xi32>,
        memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xbf16>)
    return %y : memref<512x128xbf16>
  }
}

// CHECK-LABEL: module @second
// CHECK: call @bsr_matmul(
// CHECK: gpu.module @hopper
// CHECK: func.func private @bsr_matmul(
module @second {
  func.func @main(%x: memref<512x256xbf16>, %v: memref<2x128x64xbf16>, %p: memref<2xi32>,
                  %c: memref<2xi32>, %o: memref<1xi32>) -> memref<512x128xbf16> {
    %zero = arith.constant 0.0 : bf16
    %y = memref.alloc() : memref<512x128xbf16>
    linalg.fill ins(%zero : bf16) outs(%y : memref<512x128xbf16>)
    structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x256xbf16>, memref<2x128x64xbf16>, memref<2xi32>,
        memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xbf16>)
    return %y : memref<512x128xbf16>
  }
}
