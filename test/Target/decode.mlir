// RUN: structured-compile %s --target=cuda --costs=none --emit=mlir --remarks 2>&1 | FileCheck %s --implicit-check-not=Memcpy --implicit-check-not=Memset --implicit-check-not="no Hopper kernel"
// RUN: structured-compile %s --target=cuda --costs=none --emit=mlir --multiprocessors=64 | FileCheck %s --check-prefix=SMALL
// RUN: structured-compile %s --target=cuda --costs=none --emit=mlir --chip=sm_80 | FileCheck %s --check-prefix=SM80 --implicit-check-not=Scratch
// RUN: not structured-compile %s --target=cuda --emit=mlir --multiprocessors=0 2>&1 | FileCheck %s --check-prefix=NONE

// Two layers for one token: two launches, with nothing between them, although their zeros are one tensor.

// CHECK-LABEL: func @main
// CHECK: call @blast_decode(
// CHECK: call @blast_decode(
// CHECK-LABEL: func @blast_decode(
// CHECK: llvm.mlir.constant(128 : i32)
// CHECK: call @structuredCudaScratch
// CHECK: call @structuredCudaNextLaunch
// CHECK: gpu.launch_func{{.*}} @hopper::@blast_decode_0

// SMALL-LABEL: func @blast_decode(
// SMALL: llvm.mlir.constant(64 : i32)
// SMALL: call @structuredCudaScratch

// SM80: call @matmul

// NONE: --multiprocessors: a GPU has at least 1, not 0
func.func @main(%x: tensor<1x256xbf16> {structured.name = "x"}) -> tensor<1x256xbf16> {
  %u = structured.parameter "U" : tensor<2x128x64xbf16>
  %s = structured.parameter "S" : tensor<2x2x64xbf16>
  %vt = structured.parameter "Vt" : tensor<2x64x128xbf16>
  %zero = arith.constant 0.0 : bf16
  %e = tensor.empty() : tensor<1x256xbf16>
  %z = linalg.fill ins(%zero : bf16) outs(%e : tensor<1x256xbf16>) -> tensor<1x256xbf16>
  %a = structured.blast.matmul ins(%x, %u, %s, %vt : tensor<1x256xbf16>, tensor<2x128x64xbf16>,
      tensor<2x2x64xbf16>, tensor<2x64x128xbf16>) outs(%z : tensor<1x256xbf16>) -> tensor<1x256xbf16>
  %b = structured.blast.matmul ins(%a, %u, %s, %vt : tensor<1x256xbf16>, tensor<2x128x64xbf16>,
      tensor<2x2x64xbf16>, tensor<2x64x128xbf16>) outs(%z : tensor<1x256xbf16>) -> tensor<1x256xbf16>
  return %b : tensor<1x256xbf16>
}
