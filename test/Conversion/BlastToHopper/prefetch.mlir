// RUN: structured-opt %s --structured-blast-to-hopper=prefetch-weights --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @decode(
// CHECK-SAME: %[[X:.*]]: memref<4x256xbf16>, %[[U:.*]]: memref<2x128x64xbf16> {{{.*}}}, %[[S:.*]]: memref<2x2x64xbf16> {{{.*}}}, %[[VT:.*]]: memref<2x64x128xbf16> {{{.*}}})
// CHECK: %[[Y:.*]] = memref.alloc() : memref<4x256xbf16>
// The kernel brings Vt of the next layer, 2 · 64 · 128 numbers of 2 bytes, to the L2 cache.
// CHECK-DAG: %[[NEXT:.*]] = memref.extract_aligned_pointer_as_index %[[VT]]
// CHECK-DAG: %[[VT_BYTES:.*]] = arith.constant 32768 : index
// CHECK: call @blast_decode(%[[X]], %[[VT]], %[[S]], %[[U]], %[[Y]], %[[NEXT]], %[[VT_BYTES]])
// CHECK: %[[Z:.*]] = memref.alloc() : memref<4x256xbf16>
// A second layer of the same kind shares the function, and so the kernel's memory.
// CHECK: %[[NONE:.*]] = arith.constant 0 : index
// CHECK: call @blast_decode(%[[Y]], %[[VT]], %[[S]], %[[U]], %[[Z]], %[[NONE]], %[[NONE]])
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
// CHECK: llvm.func @blast_decode_0(
// CHECK: ld.relaxed.gpu
// CHECK: cp.async.bulk.prefetch.L2.global
// CHECK: func.func private @blast_decode(%{{.*}}: memref<4x256xbf16>, {{.*}}, %[[ADDRESS:.*]]: index, %[[BYTES:.*]]: index)
// CHECK: %[[SCRATCH:.*]] = call @structuredCudaScratch(
// CHECK: %[[ADDRESS64:.*]] = arith.index_cast %[[ADDRESS]] : index to i64
// CHECK: %[[POINTER:.*]] = llvm.inttoptr %[[ADDRESS64]]
// CHECK: %[[BYTES32:.*]] = arith.index_cast %[[BYTES]] : index to i32
// CHECK: gpu.launch_func @hopper::@blast_decode_0
// CHECK-SAME: %[[SCRATCH]] : !llvm.ptr, %[[POINTER]] : !llvm.ptr, %[[BYTES32]] : i32)

// -----

// Factors that are no parameters may be written by what comes in between.

// CHECK-LABEL: func.func @inputs(
// CHECK-NOT: extract_aligned_pointer_as_index
// CHECK: gpu.module
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

// -----

// What follows may be a layer of another kind, behind other ops: 8 MiB of its Vt of 16 MiB come to the cache.
// A layer of so many weights asks for its own until it ends.

// CHECK-LABEL: func.func @sizes(
// CHECK-SAME: %[[LARGE_VT:[^ ]*]]: memref<2x2048x2048xbf16> {structured.parameter = "Vt1"}
// CHECK: %[[NEXT:.*]] = memref.extract_aligned_pointer_as_index %[[LARGE_VT]]
// CHECK: %[[BYTES:.*]] = arith.constant 8388608 : index
// CHECK: call @blast_decode({{.*}}, %[[NEXT]], %[[BYTES]])
// CHECK: memref.copy
// CHECK-NOT: extract_aligned_pointer_as_index
// CHECK: %[[NONE:.*]] = arith.constant 0 : index
// CHECK: call @blast_decode_{{[0-9]+}}({{.*}}, %[[NONE]], %[[NONE]])
// CHECK: %[[LAST:.*]] = arith.constant 0 : index
// CHECK: call @blast_decode({{.*}}, %[[LAST]], %[[LAST]])
// CHECK: return
func.func @sizes(%x: memref<1x4096xbf16>, %copy: memref<1x4096xbf16>,
                 %u: memref<2x2048x512xbf16> {structured.parameter = "U"},
                 %s: memref<2x2x512xbf16> {structured.parameter = "S"},
                 %vt: memref<2x512x2048xbf16> {structured.parameter = "Vt"},
                 %large_u: memref<2x2048x2048xbf16> {structured.parameter = "U1"},
                 %large_s: memref<2x2x2048xbf16> {structured.parameter = "S1"},
                 %large_vt: memref<2x2048x2048xbf16> {structured.parameter = "Vt1"}) -> memref<1x4096xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<1x4096xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<1x4096xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x4096xbf16>,
      memref<2x2048x512xbf16>, memref<2x2x512xbf16>, memref<2x512x2048xbf16>)
      outs(%y : memref<1x4096xbf16>)
  memref.copy %y, %copy : memref<1x4096xbf16> to memref<1x4096xbf16>
  %z = memref.alloc() : memref<1x4096xbf16>
  linalg.fill ins(%zero : bf16) outs(%z : memref<1x4096xbf16>)
  structured.blast.matmul ins(%y, %large_u, %large_s, %large_vt : memref<1x4096xbf16>,
      memref<2x2048x2048xbf16>, memref<2x2x2048xbf16>, memref<2x2048x2048xbf16>)
      outs(%z : memref<1x4096xbf16>)
  %o = memref.alloc() : memref<1x4096xbf16>
  linalg.fill ins(%zero : bf16) outs(%o : memref<1x4096xbf16>)
  structured.blast.matmul ins(%z, %u, %s, %vt : memref<1x4096xbf16>,
      memref<2x2048x512xbf16>, memref<2x2x512xbf16>, memref<2x512x2048xbf16>)
      outs(%o : memref<1x4096xbf16>)
  return %o : memref<1x4096xbf16>
}

// -----

// A layer in another block need not come next, and a view that is made later is not there yet.

// CHECK-LABEL: func.func @elsewhere(
// CHECK-NOT: extract_aligned_pointer_as_index
// CHECK: gpu.module
func.func @elsewhere(%x: memref<1x256xbf16>, %condition: i1,
                     %u: memref<2x128x64xbf16> {structured.parameter = "U"},
                     %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                     %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"},
                     %flat: memref<16384xbf16> {structured.parameter = "flat"})
    -> (memref<1x256xbf16>, memref<1x256xbf16>, memref<1x256xbf16>) {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<1x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<1x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%y : memref<1x256xbf16>)
  %z = memref.alloc() : memref<1x256xbf16>
  scf.if %condition {
    linalg.fill ins(%zero : bf16) outs(%z : memref<1x256xbf16>)
    structured.blast.matmul ins(%y, %u, %s, %vt : memref<1x256xbf16>,
        memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
        outs(%z : memref<1x256xbf16>)
  }
  %w = memref.alloc() : memref<1x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%w : memref<1x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%w : memref<1x256xbf16>)
  %view = memref.expand_shape %flat [[0, 1, 2]] output_shape [2, 64, 128]
      : memref<16384xbf16> into memref<2x64x128xbf16>
  %o = memref.alloc() : memref<1x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%o : memref<1x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %view : memref<1x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%o : memref<1x256xbf16>)
  return %z, %w, %o : memref<1x256xbf16>, memref<1x256xbf16>, memref<1x256xbf16>
}

// -----

// What is read and written in between, 24 MiB or an unknown number of bytes, would push it out of the cache.

// CHECK-LABEL: func.func @between(
// CHECK-NOT: extract_aligned_pointer_as_index
// CHECK: gpu.module
func.func @between(%x: memref<1x256xbf16>, %cache: memref<2048x3072xbf16>, %next_cache: memref<2048x3072xbf16>,
                   %dynamic: memref<?xbf16>, %next_dynamic: memref<?xbf16>,
                   %u: memref<2x128x64xbf16> {structured.parameter = "U"},
                   %s: memref<2x2x64xbf16> {structured.parameter = "S"},
                   %vt: memref<2x64x128xbf16> {structured.parameter = "Vt"}) -> memref<1x256xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<1x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<1x256xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%y : memref<1x256xbf16>)
  memref.copy %cache, %next_cache : memref<2048x3072xbf16> to memref<2048x3072xbf16>
  %z = memref.alloc() : memref<1x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%z : memref<1x256xbf16>)
  structured.blast.matmul ins(%y, %u, %s, %vt : memref<1x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%z : memref<1x256xbf16>)
  memref.copy %dynamic, %next_dynamic : memref<?xbf16> to memref<?xbf16>
  %o = memref.alloc() : memref<1x256xbf16>
  linalg.fill ins(%zero : bf16) outs(%o : memref<1x256xbf16>)
  structured.blast.matmul ins(%z, %u, %s, %vt : memref<1x256xbf16>,
      memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
      outs(%o : memref<1x256xbf16>)
  return %o : memref<1x256xbf16>
}
