// RUN: structured-opt %s --structured-linalg-to-gpu --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>

// A thread takes four elements with one load; the eight of a row make 32
// threads.

// CHECK-LABEL: func.func @vectors
// CHECK-SAME: (%[[X:.*]]: memref<4x32xf32>, %[[Y:.*]]: memref<4x32xf32>)
// CHECK: gpu.launch blocks(%[[B:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %c1, {{.*}} threads(%[[T:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %c128
// CHECK-SAME: module(@kernels) function(@elementwise)
// CHECK: arith.cmpi ult, %{{.*}}, %c32 : index
// CHECK: vector.load %[[X]][%[[I:.*]], %[[J:.*]]] {alignment = 16 : i64} : memref<4x32xf32>, vector<4xf32>
// CHECK-COUNT-4: arith.mulf
// CHECK: vector.store %{{.*}}, %[[Y]][%[[I]], %[[J]]] {alignment = 16 : i64} : memref<4x32xf32>, vector<4xf32>
func.func @vectors(%x: memref<4x32xf32>, %y: memref<4x32xf32>) {
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<4x32xf32>) outs(%y : memref<4x32xf32>) {
  ^bb0(%a: f32, %out: f32):
    %m = arith.mulf %a, %a : f32
    linalg.yield %m : f32
  }
  return
}

// -----

// Eight halves are 16 bytes; a transposed operand is loaded one by one.

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>
// CHECK-LABEL: func.func @transposed
// CHECK: vector.load {{.*}} vector<8xf16>
// CHECK-COUNT-8: memref.load {{.*}} : memref<32x4xf16>
// CHECK: vector.store {{.*}} vector<8xf16>
func.func @transposed(%x: memref<4x32xf16>, %z: memref<32x4xf16>, %y: memref<4x32xf16>) {
  linalg.generic {indexing_maps = [#ij, #ji, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : memref<4x32xf16>, memref<32x4xf16>) outs(%y : memref<4x32xf16>) {
  ^bb0(%a: f16, %b: f16, %out: f16):
    %m = arith.addf %a, %b : f16
    linalg.yield %m : f16
  }
  return
}

// -----

// Odd sizes and strides, and sizes that are not known, go one by one. A grid is
// never empty.

// CHECK-LABEL: func.func @odd
// CHECK-NOT: vector
// CHECK: gpu.launch
// CHECK: arith.maxui
// CHECK: gpu.launch
// CHECK-NOT: vector
func.func @odd(%x: memref<3x7xf32>, %y: memref<3x7xf32>, %z: memref<?xf32>, %v: f32) {
  memref.copy %x, %y : memref<3x7xf32> to memref<3x7xf32>
  linalg.fill ins(%v : f32) outs(%z : memref<?xf32>)
  return
}

// -----

// A contraction that is no library call: its sum is in f32 and rounded once.

// CHECK-LABEL: func.func @contraction
// CHECK: function(@contraction)
// CHECK: scf.for
// CHECK: arith.extf
// CHECK: math.fma {{.*}} : f32
// CHECK: scf.yield
// CHECK: arith.truncf {{.*}} : f32 to bf16
func.func @contraction(%x: memref<3x5xbf16>, %w: memref<5x7xbf16>, %y: memref<3x7xbf16>) {
  linalg.matmul ins(%x, %w : memref<3x5xbf16>, memref<5x7xbf16>) outs(%y : memref<3x7xbf16>)
  return
}

// -----

// CHECK-LABEL: func.func @tensors
// CHECK: linalg.fill
func.func @tensors(%x: tensor<4xf32>, %v: f32) -> tensor<4xf32> {
  // expected-remark @+1 {{not lowered: its operands are not memrefs}}
  %y = linalg.fill ins(%v : f32) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @block_sparse
// CHECK: gpu.launch {{.*}}function(@block_sparse)
// CHECK: scf.for
// CHECK: math.fma
func.func @block_sparse(%x: memref<?x8xf32>, %v: memref<5x4xf32>, %p: memref<4xi32>,
                        %c: memref<5xi32>, %y: memref<?x12xf32>) {
  structured.block_sparse.matmul ins(%x, %v, %p, %c : memref<?x8xf32>, memref<5x4xf32>,
      memref<4xi32>, memref<5xi32>) outs(%y : memref<?x12xf32>)
  return
}

// -----

// What the body loads by itself: neighbours are one load, of at most 16 bytes' alignment, also where the row is computed.
// Other loads are one for each point: of a column that is computed, of a row that differs, of rows that are not aligned.

#ij = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: func.func @body_loads(
// CHECK-SAME: %[[X:.*]]: memref<4x64xbf16>, %[[ROW:.*]]: memref<1xi64>, %[[T:.*]]: memref<9x64xf32>, %[[U:.*]]: memref<9x65xf32>, %[[Y:.*]]: memref<4x64xbf16>)
// CHECK: gpu.launch
// CHECK: vector.load %[[X]][%{{.*}}, %{{.*}}] {alignment = 16 : i64} : memref<4x64xbf16>, vector<8xbf16>
// CHECK: %[[AT:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: vector.load %[[T]][%[[AT]], %{{.*}}] {alignment = 16 : i64} : memref<9x64xf32>, vector<8xf32>
// CHECK-NOT: vector.load
// CHECK-COUNT-8: memref.load %[[U]]
// CHECK: vector.store
func.func @body_loads(%x: memref<4x64xbf16>, %row: memref<1xi64>, %t: memref<9x64xf32>, %u: memref<9x65xf32>,
                      %y: memref<4x64xbf16>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<4x64xbf16>) outs(%y : memref<4x64xbf16>) {
  ^bb0(%a: bf16, %out: bf16):
    %j = linalg.index 1 : index
    %r = memref.load %row[%c0] : memref<1xi64>
    %at = arith.index_cast %r : i64 to index
    %f = memref.load %t[%at, %j] : memref<9x64xf32>
    %next = arith.xori %j, %c1 : index
    %g = memref.load %t[%at, %next] : memref<9x64xf32>
    %odd = arith.andi %j, %c1 : index
    %h = memref.load %t[%odd, %j] : memref<9x64xf32>
    %k = memref.load %u[%at, %j] : memref<9x65xf32>
    %e = arith.extf %a : bf16 to f32
    %0 = arith.mulf %e, %f : f32
    %1 = arith.addf %0, %g : f32
    %2 = arith.addf %1, %h : f32
    %3 = arith.addf %2, %k : f32
    %4 = arith.truncf %3 : f32 to bf16
    linalg.yield %4 : bf16
  }
  return
}

// -----

// What is computed from an element is computed in the kernel, here the place of
// a copy. Its rows are aligned wherever they are; those of 66 elements are not.

// CHECK-LABEL: func.func @place(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<2x64xbf16>, %[[AT:[a-z0-9]+]]: memref<1xi64>, %[[Y:[a-z0-9]+]]: memref<9x64xbf16>
// CHECK: gpu.launch
// CHECK: %[[E:.*]] = memref.load %[[AT]]
// CHECK: %[[I:.*]] = arith.index_cast %[[E]]
// CHECK: %[[ROWS:.*]] = memref.subview %[[Y]][%[[I]], 0] [2, 64]
// CHECK: %[[V:.*]] = vector.load %[[X]][%{{.*}}] {alignment = 16 : i64} : memref<2x64xbf16>, vector<8xbf16>
// CHECK: vector.store %{{.*}}, %[[ROWS]][%{{.*}}] {alignment = 16 : i64} : memref<2x64xbf16, strided<[64, 1], offset: ?>>, vector<8xbf16>
// CHECK-NOT: vector.store
// CHECK: gpu.launch
// CHECK: memref.load %[[AT]]
// CHECK: vector.store %{{.*}} {alignment = 4 : i64} : memref<2x64xbf16, strided<[66, 1], offset: ?>>, vector<2xbf16>
func.func @place(%x: memref<2x64xbf16>, %at: memref<1xi64>, %y: memref<9x64xbf16>, %z: memref<9x66xbf16>) {
  %c0 = arith.constant 0 : index
  %e = memref.load %at[%c0] : memref<1xi64>
  %i = arith.index_cast %e : i64 to index
  %rows = memref.subview %y[%i, 0] [2, 64] [1, 1] : memref<9x64xbf16> to memref<2x64xbf16, strided<[64, 1], offset: ?>>
  memref.copy %x, %rows : memref<2x64xbf16> to memref<2x64xbf16, strided<[64, 1], offset: ?>>
  %part = memref.subview %z[%i, 2] [2, 64] [1, 1] : memref<9x66xbf16> to memref<2x64xbf16, strided<[66, 1], offset: ?>>
  memref.copy %x, %part : memref<2x64xbf16> to memref<2x64xbf16, strided<[66, 1], offset: ?>>
  return
}
