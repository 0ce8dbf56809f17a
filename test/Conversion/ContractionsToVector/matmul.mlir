// RUN: structured-opt %s --structured-contractions-to-vector="vector-bits=512 vector-registers=32" --canonicalize --cse --split-input-file | FileCheck %s

// CHECK-LABEL: func @matmul
// CHECK-SAME: %[[a:[^:]+]]: memref<2x8xf32>, %[[b:[^:]+]]: memref<8x16xf32>, %[[c:[^:]+]]: memref<2x16xf32>
func.func @matmul(%a: memref<2x8xf32>, %b: memref<8x16xf32>,
                  %c: memref<2x16xf32>) {
  // CHECK-DAG: %[[c0:.+]] = arith.constant 0 : index
  // CHECK-DAG: %[[c1:.+]] = arith.constant 1 : index
  // CHECK-DAG: %[[c8:.+]] = arith.constant 8 : index
  // CHECK: %[[c0v:.+]] = vector.load %[[c]][%[[c0]], %[[c0]]] : memref<2x16xf32>, vector<16xf32>
  // CHECK: %[[c1v:.+]] = vector.load %[[c]][%[[c1]], %[[c0]]]
  // CHECK: %[[sums:.+]]:2 = scf.for %[[k:.+]] = %[[c0]] to %[[c8]] step %[[c1]]
  // CHECK-SAME: iter_args(%[[s0:.+]] = %[[c0v]], %[[s1:.+]] = %[[c1v]])
  // CHECK: %[[bk:.+]] = vector.load %[[b]][%[[k]], %[[c0]]]
  // CHECK: %[[a0:.+]] = memref.load %[[a]][%[[c0]], %[[k]]]
  // CHECK: %[[a0v:.+]] = vector.broadcast %[[a0]] : f32 to vector<16xf32>
  // CHECK: %[[n0:.+]] = vector.fma %[[a0v]], %[[bk]], %[[s0]]
  // CHECK: %[[a1:.+]] = memref.load %[[a]][%[[c1]], %[[k]]]
  // CHECK: %[[a1v:.+]] = vector.broadcast %[[a1]]
  // CHECK: %[[n1:.+]] = vector.fma %[[a1v]], %[[bk]], %[[s1]]
  // CHECK: scf.yield %[[n0]], %[[n1]]
  // CHECK: vector.store %[[sums]]#0, %[[c]][%[[c0]], %[[c0]]]
  // CHECK: vector.store %[[sums]]#1, %[[c]][%[[c1]], %[[c0]]]
  linalg.matmul ins(%a, %b : memref<2x8xf32>, memref<8x16xf32>)
                outs(%c : memref<2x16xf32>)
  return
}

// -----

// A remainder of columns is masked: 19 = 16 + 3.

// CHECK-LABEL: func @masked
// CHECK: %[[mask:.+]] = vector.constant_mask [3] : vector<16xi1>
// CHECK: vector.maskedload %{{.*}}, %[[mask]]
// CHECK: vector.fma
// CHECK: vector.maskedstore %{{.*}}, %[[mask]]
func.func @masked(%a: memref<1x8xf32>, %b: memref<8x19xf32>,
                  %c: memref<1x19xf32>) {
  linalg.matmul ins(%a, %b : memref<1x8xf32>, memref<8x19xf32>)
                outs(%c : memref<1x19xf32>)
  return
}

// -----

// Many rows: threads over the panels; each packs its panel of B and gives the
// buffer back. 3 x 16 columns do not fit in the L1 cache.

// CHECK-LABEL: func @packed
// CHECK: scf.parallel
// CHECK: %[[buffer:.+]] = memref.alloc() {alignment = 64 : i64} : memref<256x{{[0-9]+}}xf32>
// CHECK: scf.for
// CHECK: vector.load %arg1
// CHECK: vector.store %{{.*}}, %[[buffer]]
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args
// CHECK: vector.load %[[buffer]]
// CHECK: memref.dealloc %[[buffer]]
func.func @packed(%a: memref<128x256xf32>, %b: memref<256x96xf32>,
                  %c: memref<128x96xf32>) {
  linalg.matmul ins(%a, %b : memref<128x256xf32>, memref<256x96xf32>)
                outs(%c : memref<128x96xf32>)
  return
}

// -----

// No threads inside a parallel loop, or where there is little to do.

// CHECK-LABEL: func @nested
// CHECK-COUNT-1: scf.parallel
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @nested(%a: memref<4x128x256xf32>, %b: memref<256x96xf32>,
                  %c: memref<4x128x96xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %ai = memref.subview %a[%i, 0, 0] [1, 128, 256] [1, 1, 1]
        : memref<4x128x256xf32> to memref<128x256xf32, strided<[256, 1], offset: ?>>
    %ci = memref.subview %c[%i, 0, 0] [1, 128, 96] [1, 1, 1]
        : memref<4x128x96xf32> to memref<128x96xf32, strided<[96, 1], offset: ?>>
    linalg.matmul ins(%ai, %b : memref<128x256xf32, strided<[256, 1], offset: ?>>, memref<256x96xf32>)
                  outs(%ci : memref<128x96xf32, strided<[96, 1], offset: ?>>)
  }
  return
}

// -----

// Narrow types are extended, also the result, which is rounded once.

// CHECK-LABEL: func @bf16
// CHECK: arith.extf %{{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK: scf.for {{.*}} -> (vector<16xf32>)
// CHECK: arith.extf %{{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: vector.fma
// CHECK-COUNT-1: arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK-NOT: arith.truncf
func.func @bf16(%a: memref<1x8xbf16>, %b: memref<8x16xbf16>,
                %c: memref<1x16xbf16>) {
  linalg.matmul ins(%a, %b : memref<1x8xbf16>, memref<8x16xbf16>)
                outs(%c : memref<1x16xbf16>)
  return
}

// -----

// The stage of BLAST that mixes Y: the innermost dimension is one of both
// operands, nothing is broadcast.

// CHECK-LABEL: func @mix
// CHECK: scf.for {{.*}} iter_args
// CHECK-NOT: vector.broadcast
// CHECK: vector.load %arg1{{.*}} vector<16xf32>
// CHECK: vector.load %arg0{{.*}} vector<16xf32>
// CHECK: vector.fma
func.func @mix(%s: memref<3x2x16xf32>, %y: memref<2x5x16xf32>,
               %z: memref<3x5x16xf32>) {
  linalg.contract indexing_maps = [affine_map<(i, t, r, j) -> (i, j, r)>,
                                   affine_map<(i, t, r, j) -> (j, t, r)>,
                                   affine_map<(i, t, r, j) -> (i, t, r)>]
      ins(%s, %y : memref<3x2x16xf32>, memref<2x5x16xf32>)
      outs(%z : memref<3x5x16xf32>)
  return
}

// -----

// B's rows are not contiguous: the panel is packed by elements.

// CHECK-LABEL: func @transposed
// CHECK: %[[buffer:.+]] = memref.alloc()
// CHECK: memref.load %arg1
// CHECK: memref.store %{{.*}}, %[[buffer]]
// CHECK: vector.fma
func.func @transposed(%a: memref<8x8xf32>, %b: memref<16x8xf32>,
                      %c: memref<8x16xf32>) {
  linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                                 affine_map<(m, n, k) -> (n, k)>,
                                 affine_map<(m, n, k) -> (m, n)>]
      ins(%a, %b : memref<8x8xf32>, memref<16x8xf32>)
      outs(%c : memref<8x16xf32>)
  return
}

// -----

// An unknown number of rows: tiles of 8, 4, 2, 1 rows or such.

// CHECK-LABEL: func @dynamic
// CHECK: memref.dim
// CHECK: arith.remui
// CHECK: arith.remui
// CHECK: scf.for
func.func @dynamic(%a: memref<?x8xf32>, %b: memref<8x48xf32>,
                   %c: memref<?x48xf32>) {
  linalg.matmul ins(%a, %b : memref<?x8xf32>, memref<8x48xf32>)
                outs(%c : memref<?x48xf32>)
  return
}
