// RUN: structured-opt %s --structured-bsr-to-hopper --split-input-file | FileCheck %s

// The example of the pass's description: the zeros are left out.

// CHECK: gpu.container_module
// CHECK-LABEL: func.func @zero(
// CHECK-NOT: linalg.fill
// CHECK: call @bsr_matmul(%arg0, %arg1, %arg2, %arg3, %arg4, %[[Y:.*]]) :
// CHECK-NOT: structured.bsr.matmul
func.func @zero(%x: memref<512x256xbf16>, %v: memref<2x128x64xbf16>, %p: memref<2xi32>,
                %c: memref<2xi32>, %o: memref<1xi32>) -> memref<512x128xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<512x128xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<512x128xbf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x256xbf16>, memref<2x128x64xbf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xbf16>)
  return %y : memref<512x128xbf16>
}
// CHECK: gpu.module @hopper
// CHECK: llvm.func @bsr_matmul_0(
// CHECK-SAME: nvvm.maxntid = array<i32: 384>
// CHECK: nvvm.wgmma.mma_async {{.*}} A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]
// CHECK: func.func private @bsr_matmul(
// CHECK: call @structuredCudaTensorMap3D
// CHECK: gpu.launch_func @hopper::@bsr_matmul_0

// -----

// A result that is added to; copies of parts.

// CHECK-LABEL: func.func @add(
// CHECK: %[[X:.*]] = memref.alloc(%{{.*}}) : memref<?x256xf16>
// CHECK: memref.copy %arg0, %[[X]]
// CHECK: call @bsr_matmul_add_0(%[[X]], %arg1, %arg2, %arg3, %arg4, %arg5) :
// CHECK: memref.dealloc %[[X]]
func.func @add(%x: memref<?x256xf16, strided<[512, 1]>>, %v: memref<4x256x64xf16>, %p: memref<2xi32>,
    %c: memref<4xi32>, %o: memref<1xi32>, %y: memref<?x200xf16>) {
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<?x256xf16, strided<[512, 1]>>, memref<4x256x64xf16>, memref<2xi32>,
      memref<4xi32>, memref<1xi32>) outs(%y : memref<?x200xf16>)
  return
}

// CHECK-LABEL: func.func @strided(
// CHECK: %[[Y:.*]] = memref.alloc() : memref<300x200xf16>
// CHECK: memref.copy %arg5, %[[Y]]
// CHECK: call @{{.*}}(%arg0, %arg1, %arg2, %arg3, %arg4, %[[Y]]) :
// CHECK: memref.copy %[[Y]], %arg5
// CHECK: memref.dealloc %[[Y]]
func.func @strided(%x: memref<300x256xf16>, %v: memref<4x256x64xf16>, %p: memref<2xi32>,
    %c: memref<4xi32>, %o: memref<1xi32>, %y: memref<300x200xf16, strided<[512, 1]>>) {
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<300x256xf16>, memref<4x256x64xf16>, memref<2xi32>,
      memref<4xi32>, memref<1xi32>) outs(%y : memref<300x200xf16, strided<[512, 1]>>)
  return
}
// CHECK: llvm.func @bsr_matmul_add_0(

// -----

// Of two products in a row, of which only the second one's result is used
// otherwise, one kernel. Both kinds of zeros are left out.

// CHECK-LABEL: func.func @pair(
// CHECK-SAME: %[[X:.*]]: memref<2048x256xbf16>, %[[V:.*]]: memref<2x128x64xbf16>, %[[P:.*]]: memref<2xi32>, %[[C:.*]]: memref<2xi32>, %[[O:.*]]: memref<1xi32>, %[[U:.*]]: memref<2x128x64xbf16>)
// CHECK-NOT: linalg.fill
// CHECK: %[[A:.*]] = memref.alloc() : memref<2048x128xbf16>
// CHECK: %[[Y:.*]] = memref.alloc() : memref<2048x72xbf16>
// CHECK-NOT: linalg.fill
// CHECK: call @bsr_matmul_pair(%[[X]], %[[V]], %[[P]], %[[C]], %[[O]], %[[A]], %[[U]], %[[P]], %[[C]], %[[O]], %[[Y]]) :
// CHECK-NOT: structured.bsr.matmul
func.func @pair(%x: memref<2048x256xbf16>, %v: memref<2x128x64xbf16>, %p: memref<2xi32>,
                %c: memref<2xi32>, %o: memref<1xi32>, %u: memref<2x128x64xbf16>) -> memref<2048x72xbf16> {
  %zero = arith.constant 0.0 : bf16
  %a = memref.alloc() : memref<2048x128xbf16>
  linalg.fill ins(%zero : bf16) outs(%a : memref<2048x128xbf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<2048x256xbf16>, memref<2x128x64xbf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%a : memref<2048x128xbf16>)
  %y = memref.alloc() : memref<2048x72xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<2048x72xbf16>)
  structured.bsr.matmul ins(%a, %u, %p, %c, %o : memref<2048x128xbf16>, memref<2x128x64xbf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<2048x72xbf16>)
  memref.dealloc %a : memref<2048x128xbf16>
  return %y : memref<2048x72xbf16>
}
// The queue, the launches, and 16 tiles of 128 rows of the first product.
// CHECK: func.func private @bsr_matmul_pair(
// CHECK-DAG: %[[NUMBER:.*]] = arith.constant 0 : i64
// CHECK-DAG: %[[BYTES:.*]] = arith.constant 72 : i64
// CHECK-DAG: %[[BLOCKS:.*]] = arith.constant 0 : i32
// CHECK: call @structuredCudaScratch(%[[NUMBER]], %[[BYTES]], %[[BLOCKS]])
// CHECK: gpu.launch_func @hopper::@bsr_matmul_pair_0

// -----

// Not so if the first one's input changes before the second, or may be the
// second one's result, or if the first one's result is used, is not all zeros
// before, or has panels of another width.

// CHECK-LABEL: func.func @changed(
// CHECK-COUNT-2: call @bsr_matmul
func.func @changed(%x: memref<2048x256xf16>, %v: memref<2x128x64xf16>, %p: memref<2xi32>,
                   %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<2048x72xf16>) {
  %zero = arith.constant 0.0 : f16
  %a = memref.alloc() : memref<2048x128xf16>
  linalg.fill ins(%zero : f16) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<2048x256xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%a : memref<2048x128xf16>)
  linalg.fill ins(%zero : f16) outs(%x : memref<2048x256xf16>)
  structured.bsr.matmul ins(%a, %v, %p, %c, %o : memref<2048x128xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<2048x72xf16>)
  return
}

// CHECK-LABEL: func.func @residual(
// CHECK-COUNT-2: call @bsr_matmul
func.func @residual(%x: memref<2048x128xf16>, %v: memref<2x128x64xf16>, %p: memref<2xi32>,
                    %c: memref<2xi32>, %o: memref<1xi32>) {
  %zero = arith.constant 0.0 : f16
  %a = memref.alloc() : memref<2048x128xf16>
  linalg.fill ins(%zero : f16) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<2048x128xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%a, %v, %p, %c, %o : memref<2048x128xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%x : memref<2048x128xf16>)
  return
}

// CHECK-LABEL: func.func @used(
// CHECK-COUNT-2: call @bsr_matmul
func.func @used(%x: memref<2048x256xf16>, %v: memref<2x128x64xf16>, %p: memref<2xi32>,
                %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<2048x72xf16>) -> memref<2048x128xf16> {
  %zero = arith.constant 0.0 : f16
  %a = memref.alloc() : memref<2048x128xf16>
  linalg.fill ins(%zero : f16) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<2048x256xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%a, %v, %p, %c, %o : memref<2048x128xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<2048x72xf16>)
  return %a : memref<2048x128xf16>
}

// CHECK-LABEL: func.func @ones(
// CHECK-COUNT-2: call @bsr_matmul
func.func @ones(%x: memref<2048x256xf16>, %v: memref<2x128x64xf16>, %p: memref<2xi32>,
                %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<2048x72xf16>) {
  %one = arith.constant 1.0 : f16
  %a = memref.alloc() : memref<2048x128xf16>
  linalg.fill ins(%one : f16) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<2048x256xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%a, %v, %p, %c, %o : memref<2048x128xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<2048x72xf16>)
  return
}

// CHECK-LABEL: func.func @widths(
// CHECK-COUNT-2: call @bsr_matmul
func.func @widths(%x: memref<2048x256xf16>, %v: memref<2x128x64xf16>, %u: memref<2x256x64xf16>, %p: memref<2xi32>,
                  %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<2048x72xf16>) {
  %zero = arith.constant 0.0 : f16
  %a = memref.alloc() : memref<2048x128xf16>
  linalg.fill ins(%zero : f16) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<2048x256xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%a : memref<2048x128xf16>)
  structured.bsr.matmul ins(%a, %u, %p, %c, %o : memref<2048x128xf16>, memref<2x256x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<2048x72xf16>)
  return
}
// CHECK-NOT: bsr_matmul_pair
