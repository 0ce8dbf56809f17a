// RUN: structured-opt %s --structured-blast-to-hopper --split-input-file | FileCheck %s
// RUN: structured-opt %s --structured-blast-to-hopper=all-stages=false --split-input-file | FileCheck %s --check-prefix=FUSED

// All three stages in one kernel, which stores the result: where several thread
// blocks share a tile and each has one of the result.

// The example of the pass's description.

// CHECK-LABEL: func.func @whole(
// CHECK-SAME: %[[X:.*]]: memref<512x384xbf16>, %[[U:.*]]: memref<4x96x80xbf16>, %[[S:.*]]: memref<4x4x80xbf16>, %[[VT:.*]]: memref<4x80x96xbf16>
// CHECK: %[[O:.*]] = memref.alloc() : memref<512x384xbf16>
// CHECK-NOT: linalg.fill
// CHECK: %[[Z:.*]] = memref.alloc() : memref<4x512x80xbf16>
// CHECK: %[[Y:.*]] = memref.alloc()
// CHECK: call @blast_stages123(%[[X]], %[[VT]], %[[S]], %[[Z]], %[[Y]], %[[U]], %[[O]])
// CHECK-NOT: linalg.contract
// CHECK: return %[[O]]
// FUSED-LABEL: func.func @whole(
// FUSED: linalg.fill
// FUSED: call @blast_stages12(
// FUSED: linalg.contract
func.func @whole(%x: memref<512x384xbf16>, %u: memref<4x96x80xbf16>, %s: memref<4x4x80xbf16>,
                 %vt: memref<4x80x96xbf16>) -> memref<512x384xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<512x384xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<512x384xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x384xbf16>,
      memref<4x96x80xbf16>, memref<4x4x80xbf16>, memref<4x80x96xbf16>)
      outs(%y : memref<512x384xbf16>)
  return %y : memref<512x384xbf16>
}
// Counters of the groups and of the rows of tiles, and the descriptors of X, Vt,
// Z, U and O.
// CHECK: func.func private @blast_stages123(
// CHECK: call @structuredCudaTensorMap3D
// CHECK: call @structuredCudaTensorMap3D
// CHECK: call @structuredCudaScratch
// CHECK-COUNT-3: call @structuredCudaTensorMap3D
// CHECK: call @structuredCudaNextLaunch
// CHECK: gpu.launch_func @hopper::@blast_stages123_0

// -----

// What is added to the result is the library's part of the third stage.

#map = affine_map<(d0, d1) -> (d0, d1)>
#columns = affine_map<(d0, d1) -> (d1)>

// CHECK-LABEL: func.func @bias(
// CHECK: linalg.fill
// CHECK: call @blast_stages12(
// CHECK: linalg.contract
func.func @bias(%x: memref<512x384xbf16>, %u: memref<4x96x80xbf16>, %s: memref<4x4x80xbf16>,
                %vt: memref<4x80x96xbf16>, %bias: memref<384xbf16>) -> memref<512x384xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<512x384xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<512x384xbf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x384xbf16>,
      memref<4x96x80xbf16>, memref<4x4x80xbf16>, memref<4x80x96xbf16>)
      outs(%y : memref<512x384xbf16>)
  linalg.generic {indexing_maps = [#map, #columns, #map], iterator_types = ["parallel", "parallel"]}
      ins(%y, %bias : memref<512x384xbf16>, memref<384xbf16>) outs(%y : memref<512x384xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %out: bf16):
    %sum = arith.addf %a, %b : bf16
    linalg.yield %sum : bf16
  }
  return %y : memref<512x384xbf16>
}

// -----

// An init that is not zeros; a result of another type; more tiles of the result
// than thread blocks.

// CHECK-LABEL: func.func @others(
// CHECK-COUNT-3: call @blast_stages12{{(_.*)?}}(
// CHECK-NOT: blast_stages123
func.func @others(%x: memref<512x384xbf16>, %u: memref<4x96x80xbf16>, %s: memref<4x4x80xbf16>,
                  %vt: memref<4x80x96xbf16>, %init: memref<512x384xbf16>,
                  %u4: memref<4x384x80xbf16>)
    -> (memref<512x384xf32>, memref<512x1536xbf16>, memref<512x384xbf16>) {
  %zero = arith.constant 0.0 : bf16
  %zero32 = arith.constant 0.0 : f32
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x384xbf16>,
      memref<4x96x80xbf16>, memref<4x4x80xbf16>, memref<4x80x96xbf16>)
      outs(%init : memref<512x384xbf16>)
  %f32 = memref.alloc() : memref<512x384xf32>
  linalg.fill ins(%zero32 : f32) outs(%f32 : memref<512x384xf32>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x384xbf16>,
      memref<4x96x80xbf16>, memref<4x4x80xbf16>, memref<4x80x96xbf16>)
      outs(%f32 : memref<512x384xf32>)
  %wide = memref.alloc() : memref<512x1536xbf16>
  linalg.fill ins(%zero : bf16) outs(%wide : memref<512x1536xbf16>)
  structured.blast.matmul ins(%x, %u4, %s, %vt : memref<512x384xbf16>,
      memref<4x384x80xbf16>, memref<4x4x80xbf16>, memref<4x80x96xbf16>)
      outs(%wide : memref<512x1536xbf16>)
  return %f32, %wide, %init : memref<512x384xf32>, memref<512x1536xbf16>, memref<512x384xbf16>
}
