// RUN: structured-opt %s --structured-blast-to-hopper --split-input-file | FileCheck %s

// The second example of the pass's description.

// CHECK-LABEL: func.func @decode(
// CHECK-SAME: %[[X:.*]]: memref<4x256xbf16>, %[[U:.*]]: memref<2x128x64xbf16> {{{.*}}}, %[[S:.*]]: memref<2x2x64xbf16> {{{.*}}}, %[[VT:.*]]: memref<2x64x128xbf16> {{{.*}}})
// CHECK-NOT: linalg.fill
// CHECK: %[[Y:.*]] = memref.alloc() : memref<4x256xbf16>
// CHECK: call @blast_decode(%[[X]], %[[VT]], %[[S]], %[[U]], %[[Y]])
// CHECK: %[[Z:.*]] = memref.alloc() : memref<4x256xbf16>
// A second layer of the same kind shares the function, and so the kernel's memory.
// CHECK: call @blast_decode(%[[Y]], %[[VT]], %[[S]], %[[U]], %[[Z]])
// CHECK-NOT: structured.blast.matmul
func.func @decode(%x: memref<4x256xbf16>,
                  %u: memref<2x128x64xbf16> {structured.parameter = "U"},
                  %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                  %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"}) -> memref<4x256xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%y : memref<4x256xbf16>)
  %z = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%z : memref<4x256xbf16>)
  structured.blast.matmul ins(%y, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%z : memref<4x256xbf16>)
  return %z : memref<4x256xbf16>
}
// CHECK: gpu.module @hopper
// CHECK: llvm.func @blast_decode_0(
// CHECK-SAME: gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 512>, nvvm.minctasm = 1 : i32
// CHECK: nvvm.griddepcontrol wait
// CHECK: ld.relaxed.gpu
// CHECK: func.func private @blast_decode(
// 128 blocks with 2 rows each. 2 · 4 · 64 numbers of 4 bytes, and a counter for each block.
// CHECK-DAG: %[[NUMBER:.*]] = arith.constant 0 : i64
// CHECK-DAG: %[[BYTES:.*]] = arith.constant 2560 : i64
// CHECK-DAG: %[[BLOCKS:.*]] = arith.constant 128 : i32
// CHECK: %[[SCRATCH:.*]] = call @structuredCudaScratch(%[[NUMBER]], %[[BYTES]], %[[BLOCKS]])
// CHECK: %[[FLAGS:.*]] = arith.constant 1 : i32
// CHECK: call @structuredCudaNextLaunch(%[[FLAGS]])
// CHECK: %[[GRID:.*]] = arith.constant 128 : index
// CHECK: gpu.launch_func @hopper::@blast_decode_0 blocks in (%[[GRID]], %{{.*}}, %{{.*}}) threads in
// CHECK-SAME: %[[SCRATCH]] : !llvm.ptr)
// CHECK: func.func private @structuredCudaScratch(i64, i64, i32) -> !llvm.ptr
// CHECK: func.func private @structuredCudaNextLaunch(i32)
// CHECK-NOT: structuredCudaTensorMap3D

// -----

// Factors that are no parameters may be written by the kernel before: no kernel begins before it has ended.
// Each kind of layer has a kernel and memory of its own.

// CHECK-LABEL: func.func @inputs(
// CHECK: call @blast_decode_in_turn(
// CHECK: call @blast_decode_in_turn_{{[0-9]+}}(
func.func @inputs(%x: memref<1x256xf16>, %x2: memref<16x256xf16>, %u: memref<2x128x64xf16>,
                  %s: memref<2x2x64xf16>,
                  %vt: memref<2x64x128xf16> {structured.parameter = "Vt"})
    -> (memref<1x256xf16>, memref<16x256xf16>) {
  %zero = arith.constant 0.0 : f16
  %y = memref.alloc() : memref<1x256xf16>
  linalg.fill ins(%zero : f16) outs(%y : memref<1x256xf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x256xf16>,
      memref<2x128x64xf16>, memref<2x2x64xf16>, memref<2x64x128xf16>)
      outs(%y : memref<1x256xf16>)
  %y2 = memref.alloc() : memref<16x256xf16>
  linalg.fill ins(%zero : f16) outs(%y2 : memref<16x256xf16>)
  structured.blast.matmul ins(%x2, %u, %s, %vt : memref<16x256xf16>,
      memref<2x128x64xf16>, memref<2x2x64xf16>, memref<2x64x128xf16>)
      outs(%y2 : memref<16x256xf16>)
  return %y, %y2 : memref<1x256xf16>, memref<16x256xf16>
}
// CHECK-NOT: structuredCudaNextLaunch
// CHECK: func.func private @blast_decode_in_turn_
// CHECK: arith.constant 1 : i64
// CHECK-NOT: structuredCudaNextLaunch

// -----

// One token, a chunk of ranks for each warp and two tiles of rows for each block.

// CHECK-LABEL: func.func @low_rank(
// CHECK: call @blast_decode(
// CHECK-NOT: structured.blast.matmul
func.func @low_rank(%x: memref<1x768xbf16>,
                    %u: memref<2x1536x304xbf16> {structured.parameter = "U"},
                    %s: memref<2x2x304xbf16> {structured.parameter = "S"},
                    %vt: memref<2x304x384xbf16> {structured.parameter = "Vt"})
    -> memref<1x3072xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<1x3072xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<1x3072xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x768xbf16>,
      memref<2x1536x304xbf16>, memref<2x2x304xbf16>, memref<2x304x384xbf16>)
      outs(%y : memref<1x3072xbf16>)
  return %y : memref<1x3072xbf16>
}

// -----

// Layers of the same sizes and input are one kernel, where the first is: up to three, if their results are of memory
// that is free then. Of those behind, the fourth is a kernel of its own, the memory of the next one's result is in use
// before, and the last is of another input.

// CHECK-LABEL: func.func @siblings(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4x256xbf16>, %[[X1:[a-z0-9]+]]: memref<4x256xbf16>, %[[U:[a-z0-9]+]]: {{.*}}, %[[S:[a-z0-9]+]]: {{.*}}, %[[VT:[a-z0-9]+]]: memref<2x64x128xbf16> {{{.*}}})
// CHECK: %[[A:.*]] = memref.alloc()
// CHECK: %[[B:.*]] = memref.alloc()
// CHECK: %[[C:.*]] = memref.alloc()
// CHECK: call @blast_decode(%[[X]], %[[VT]], %[[S]], %[[U]], %[[A]], %[[VT]], %[[S]], %[[U]], %[[B]], %[[VT]], %[[S]], %[[U]], %[[C]])
// CHECK: linalg.exp ins(%[[A]]
// CHECK: %[[D:.*]] = memref.alloc()
// CHECK: call @blast_decode_0(%[[X]], %[[VT]], %[[S]], %[[U]], %[[D]])
// CHECK: linalg.exp
// CHECK: call @blast_decode_0(%[[X]], %[[VT]], %[[S]], %[[U]], %[[A]])
// CHECK: call @blast_decode_0(%[[X1]],
// CHECK-NOT: call @blast_decode
// 3 times 44 blocks.
// CHECK: func.func private @blast_decode(
// CHECK: %[[BLOCKS:.*]] = arith.constant 132 : i32
// CHECK: call @structuredCudaScratch(%{{.*}}, %{{.*}}, %[[BLOCKS]])
func.func @siblings(%x: memref<4x256xbf16>, %x1: memref<4x256xbf16>,
                    %u: memref<2x128x64xbf16> {structured.parameter = "U"},
                    %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                    %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"}) {
  %zero = arith.constant 0.0 : bf16
  %a = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%a : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%a : memref<4x256xbf16>)
  linalg.exp ins(%a : memref<4x256xbf16>) outs(%a : memref<4x256xbf16>)
  %b = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%b : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%b : memref<4x256xbf16>)
  %c = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%c : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%c : memref<4x256xbf16>)
  %d = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%d : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%d : memref<4x256xbf16>)
  // The first one's result is needed before it is overwritten.
  linalg.exp ins(%a : memref<4x256xbf16>) outs(%b : memref<4x256xbf16>)
  linalg.fill ins(%zero : bf16) outs(%a : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%a : memref<4x256xbf16>)
  %e = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%e : memref<4x256xbf16>)
  structured.blast.matmul ins(%x1, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%e : memref<4x256xbf16>)
  return
}

// -----

// The input is written to in between.

// CHECK-LABEL: func.func @input_written(
// CHECK: call @blast_decode(
// CHECK: linalg.exp
// CHECK: call @blast_decode(
func.func @input_written(%u: memref<2x128x64xbf16> {structured.parameter = "U"},
                         %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                         %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"}) {
  %zero = arith.constant 0.0 : bf16
  %x = memref.alloc() : memref<4x256xbf16>
  %a = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%a : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%a : memref<4x256xbf16>)
  linalg.exp ins(%a : memref<4x256xbf16>) outs(%x : memref<4x256xbf16>)
  %b = memref.alloc() : memref<4x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%b : memref<4x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%b : memref<4x256xbf16>)
  return
}
