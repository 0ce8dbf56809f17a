// RUN: structured-opt %s --structured-blast-to-hopper --split-input-file | FileCheck %s
// RUN: structured-opt %s --structured-blast-to-hopper="multiprocessors=15" --split-input-file | FileCheck %s --check-prefix=FEW
// RUN: structured-opt %s --structured-blast-to-hopper="min-exchange-tokens=2000" --split-input-file | FileCheck %s --check-prefix=FEW

// Many blocks: groups of thread blocks exchange Y. Z is transposed, and its rows
// begin with a line of the L2 cache: 1088 elements for 1030 tokens.

// CHECK-LABEL: func.func @many(
// CHECK-SAME: %[[X:.*]]: memref<1030x768xbf16>, %[[U:.*]]: memref<16x24x88xbf16>, %[[S:.*]]: memref<16x12x88xbf16>, %[[VT:.*]]: memref<12x88x64xbf16>, %[[Y:.*]]: memref<1030x384xbf16>
// CHECK: %[[Z:.*]] = memref.alloc() : memref<16x88x1088xbf16>
// Five slices of Y for 5 groups.
// CHECK: %[[KEPT:.*]] = memref.alloc() : memref<13107200xi8>
// CHECK: call @blast_exchange(%[[X]], %[[VT]], %[[S]], %[[Z]], %[[KEPT]])
// CHECK: memref.dealloc %[[KEPT]]
// CHECK: %[[TOKENS:.*]] = memref.subview %[[Z]][0, 0, 0] [16, 88, 1030] [1, 1, 1]
// CHECK: %[[Y3:.*]] = memref.expand_shape %[[Y]]
// CHECK: linalg.contract {{.*}} ins(%[[TOKENS]], %[[U]] : {{.*}}) outs(%[[Y3]]
// CHECK: memref.dealloc %[[Z]]
// CHECK-NOT: structured.blast.matmul
// FEW-LABEL: func.func @many(
// FEW: call @blast_stage2
func.func @many(%x: memref<1030x768xbf16>, %u: memref<16x24x88xbf16>,
                %s: memref<16x12x88xbf16>, %vt: memref<12x88x64xbf16>,
                %y: memref<1030x384xbf16>) {
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1030x768xbf16>,
      memref<16x24x88xbf16>, memref<16x12x88xbf16>, memref<12x88x64xbf16>)
      outs(%y : memref<1030x384xbf16>)
  return
}
// CHECK: llvm.func @blast_exchange_0(
// CHECK-SAME: gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 512>, nvvm.minctasm = 1 : i32
// CHECK: nvvm.setmaxregister decrease 40
// CHECK: nvvm.setmaxregister increase 216
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK: nvvm.wgmma.mma_async {{.*}} D[<f32>, <zero>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]
// CHECK: func.func private @blast_exchange(
// CHECK: call @structuredCudaScratch
// CHECK: gpu.launch_func @hopper::@blast_exchange_0

// -----

// More pieces of the input, of at most 256 columns, than a product mixes; an
// unknown number of tokens.

// CHECK-LABEL: func.func @pieces(
// CHECK: call @blast_stage2
// FEW-LABEL: func.func @pieces(
func.func @pieces(%x: memref<1024x2376xf16>, %u: memref<9x8x16xf16>, %s: memref<9x9x16xf16>,
                  %vt: memref<9x16x264xf16>, %y: memref<1024x72xf16>) {
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1024x2376xf16>, memref<9x8x16xf16>,
      memref<9x9x16xf16>, memref<9x16x264xf16>) outs(%y : memref<1024x72xf16>)
  return
}

// -----

// CHECK-LABEL: func.func @dynamic(
// CHECK: call @blast_stage2
// FEW-LABEL: func.func @dynamic(
func.func @dynamic(%x: memref<?x128xf16>, %u: memref<16x8x16xf16>, %s: memref<16x16x16xf16>,
                   %vt: memref<16x16x8xf16>, %y: memref<?x128xf16>) {
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<?x128xf16>, memref<16x8x16xf16>,
      memref<16x16x16xf16>, memref<16x16x8xf16>) outs(%y : memref<?x128xf16>)
  return
}
