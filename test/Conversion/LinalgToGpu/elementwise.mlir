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
