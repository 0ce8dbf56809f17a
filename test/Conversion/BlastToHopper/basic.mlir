// RUN: structured-opt %s --structured-blast-to-hopper="max-fused-blocks=4" --split-input-file | FileCheck %s

// The example of the pass's description.

// CHECK: gpu.container_module
// CHECK-LABEL: func.func @fused(
// CHECK-SAME: %[[X:.*]]: memref<512x256xbf16>, %[[U:.*]]: memref<2x128x64xbf16>, %[[S:.*]]: memref<2x2x64xbf16>, %[[VT:.*]]: memref<2x64x128xbf16>, %[[Y:.*]]: memref<512x256xbf16>
// CHECK: %[[Z:.*]] = memref.alloc() : memref<2x512x64xbf16>
// Memory for Y[0] of four thread blocks; Y[1] stays in registers.
// CHECK: %[[KEPT:.*]] = memref.alloc() : memref<65536xi8>
// CHECK: call @blast_stages12(%[[X]], %[[VT]], %[[S]], %[[Z]], %[[KEPT]])
// CHECK: memref.dealloc %[[KEPT]]
// CHECK: %[[Y3:.*]] = memref.expand_shape %[[Y]]
// CHECK: linalg.contract {{.*}} ins(%[[Z]], %[[U]] : {{.*}}) outs(%[[Y3]]
// CHECK: memref.dealloc %[[Z]]
// A second layer of the same kind shares the function.
// CHECK: call @blast_stages12(
// CHECK-NOT: structured.blast.matmul
func.func @fused(%x: memref<512x256xbf16>, %u: memref<2x128x64xbf16>,
                 %s: memref<2x2x64xbf16>, %vt: memref<2x64x128xbf16>,
                 %y: memref<512x256xbf16>) {
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%y : memref<512x256xbf16>)
  structured.blast.matmul ins(%y, %u, %s, %vt : memref<512x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%x : memref<512x256xbf16>)
  return
}
// CHECK: gpu.module @hopper
// CHECK: llvm.func @blast_stages12_0(
// CHECK-SAME: gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 384>, nvvm.minctasm = 1 : i32
// CHECK: nvvm.setmaxregister decrease 56
// CHECK: nvvm.griddepcontrol wait
// CHECK: cp.async.bulk.tensor.3d.shared::cluster.global
// CHECK: nvvm.setmaxregister increase 224
// CHECK: nvvm.wgmma.mma_async {{.*}} D[<f32>, <one>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]
// CHECK: func.func private @blast_stages12(
// CHECK: call @structuredCudaTensorMap3D
// CHECK: gpu.launch_func @hopper::@blast_stages12_0
// CHECK: func.func private @structuredCudaTensorMap3D(!llvm.ptr, i32, i64, i64, i64, i64, i64, i32, i32, i32, i32) -> !llvm.ptr
// CHECK: func.func private @structuredCudaMultiprocessorCount() -> i32

// -----

// More blocks: the second stage alone.

// CHECK-LABEL: func.func @mix(
// CHECK-SAME: %[[X:.*]]: memref<?x256xf16>, %{{.*}}: memref<4x64x64xf16>, %[[S:.*]]: memref<4x8x64xf16>, %[[VT:.*]]: memref<8x64x32xf16>
// CHECK: %[[Z:.*]] = memref.alloc(%{{.*}}) : memref<4x?x64xf16>
// CHECK: %[[Y:.*]] = memref.alloc(%{{.*}}) : memref<8x?x64xf16>
// CHECK: linalg.fill {{.*}} outs(%[[Y]]
// CHECK: %[[X3:.*]] = memref.expand_shape %[[X]]
// CHECK: linalg.contract {{.*}} ins(%[[X3]], %[[VT]] : {{.*}}) outs(%[[Y]]
// CHECK: call @blast_stage2(%[[Y]], %[[S]], %[[Z]])
// CHECK: memref.dealloc %[[Y]]
// CHECK: linalg.contract
func.func @mix(%x: memref<?x256xf16>, %u: memref<4x64x64xf16>,
               %s: memref<4x8x64xf16>, %vt: memref<8x64x32xf16>,
               %y: memref<?x256xf16>) {
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<?x256xf16>,
      memref<4x64x64xf16>, memref<4x8x64xf16>, memref<8x64x32xf16>)
      outs(%y : memref<?x256xf16>)
  return
}
// CHECK-DAG: llvm.func @blast_stage2_0(
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK-DAG: gpu.launch_func @hopper::@blast_stage2_0

// -----

// Rows of Z begin at multiples of 32 bytes.

// CHECK-LABEL: func.func @padded(
// CHECK: %[[Z:.*]] = memref.alloc() : memref<2x512x80xbf16>
// CHECK: call @blast_stages12({{.*}}, %[[Z]], %{{.*}})
// CHECK: %[[RANKS:.*]] = memref.subview %[[Z]][0, 0, 0] [2, 512, 72] [1, 1, 1]
// CHECK: linalg.contract {{.*}} ins(%[[RANKS]],
// CHECK: memref.dealloc %[[Z]]
func.func @padded(%x: memref<512x256xbf16>, %u: memref<2x128x72xbf16>,
                  %s: memref<2x2x72xbf16>, %vt: memref<2x72x128xbf16>,
                  %y: memref<512x256xbf16>) {
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x256xbf16>,
      memref<2x128x72xbf16>, memref<2x2x72xbf16>, memref<2x72x128xbf16>)
      outs(%y : memref<512x256xbf16>)
  return
}
