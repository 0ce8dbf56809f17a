// RUN: structured-opt %s --structured-matmuls-to-cublas --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

// Attention with grouped heads: the head is the batch, and the group, which is
// neither in K nor next to the token, is a loop of the host.

#q = affine_map<(t, k, g, l, d) -> (t, k, g, d)>
#c = affine_map<(t, k, g, l, d) -> (l, k, d)>
#s = affine_map<(t, k, g, l, d) -> (k, g, t, l)>
// CHECK-LABEL: func.func @scores
// CHECK: call @matmul
// CHECK: func.func private @matmul
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2 : index
// CHECK-DAG: %[[BATCH:.*]] = arith.constant 3 : i64
// CHECK-DAG: %[[T:.*]] = arith.constant 7 : i64
// CHECK-DAG: %[[L:.*]] = arith.constant 9 : i64
// CHECK-DAG: %[[D:.*]] = arith.constant 4 : i64
// CHECK-DAG: %[[LDA:.*]] = arith.constant 24 : i64
// CHECK-DAG: %[[LDB:.*]] = arith.constant 12 : i64
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[TWO]]
// CHECK: call @structuredCudaMatmul({{.*}} %[[BATCH]], %[[T]], %[[L]], %[[D]], %[[LDA]], %[[LDB]], %[[L]], %[[L]],
func.func @scores(%q: memref<7x3x2x4xf32>, %k: memref<9x3x4xf32>, %s: memref<3x2x7x9xf32>) {
  linalg.contract indexing_maps = [#q, #c, #s]
      ins(%q, %k : memref<7x3x2x4xf32>, memref<9x3x4xf32>) outs(%s : memref<3x2x7x9xf32>)
  return
}

// -----

// Adjacent loops of contiguous buffers are one, of any size.

#x = affine_map<(b, t, m, n) -> (b, t, n)>
#w = affine_map<(b, t, m, n) -> (n, m)>
#y = affine_map<(b, t, m, n) -> (b, t, m)>
// CHECK-LABEL: func.func @merged
// CHECK: func.func private @matmul
// CHECK-NOT: scf.for
// CHECK: call @structuredCudaMatmul
func.func @merged(%x: memref<?x?x8xf32>, %w: memref<8x12xf32>, %y: memref<?x?x12xf32>) {
  linalg.contract indexing_maps = [#x, #w, #y]
      ins(%x, %w : memref<?x?x8xf32>, memref<8x12xf32>) outs(%y : memref<?x?x12xf32>)
  return
}

// -----

// A sum with numbers of a narrow type is rounded once.

// CHECK-LABEL: func.func @narrow
// CHECK: %[[S:.*]] = memref.alloc(%{{.*}}) : memref<?x12xf32>
// CHECK-NOT: linalg.fill
// CHECK: call @matmul(%{{.*}}, %{{.*}}, %[[S]]) : (memref<?x8xf16>, memref<8x12xf16>, memref<?x12xf32>) -> ()
// CHECK: linalg.generic {{.*}} ins(%[[S]] : memref<?x12xf32>) outs(%{{.*}} : memref<?x12xf16>)
// CHECK: arith.extf
// CHECK: arith.addf {{.*}} : f32
// CHECK: arith.truncf
// CHECK: memref.dealloc %[[S]]
// CHECK: func.func private @matmul
// CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: call @structuredCudaMatmul({{.*}} %[[ZERO]], %{{[^,]*}}) :
func.func @narrow(%x: memref<?x8xf16>, %w: memref<8x12xf16>, %y: memref<?x12xf16>) {
  linalg.matmul ins(%x, %w : memref<?x8xf16>, memref<8x12xf16>) outs(%y : memref<?x12xf16>)
  return
}

// -----

// A result that is contiguous along rows is the transpose of the product of the
// transposes: the operands change places.

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#d = affine_map<(m, n, k) -> (n, m)>
// CHECK-LABEL: func.func @swapped
// CHECK-SAME: (%[[A:.*]]: memref<4x8xf32>, %[[B:.*]]: memref<8x6xf32>, %[[D:.*]]: memref<6x4xf32>)
// CHECK: call @matmul(%[[B]], %[[A]], %[[D]])
func.func @swapped(%a: memref<4x8xf32>, %b: memref<8x6xf32>, %d: memref<6x4xf32>) {
  linalg.contract indexing_maps = [#a, #b, #d]
      ins(%a, %b : memref<4x8xf32>, memref<8x6xf32>) outs(%d : memref<6x4xf32>)
  return
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#d = affine_map<(m, n, k) -> (m, n)>
// CHECK-LABEL: func.func @refused
// CHECK-COUNT-4: linalg.contract
func.func @refused(%a: memref<4x8xf64>, %b: memref<8x6xf64>, %d: memref<4x6xf64>,
                   %e: memref<4x8xf32, strided<[20, 2]>>, %f: memref<8x6xf32>, %g: memref<4x6xf32>,
                   %x: memref<2x3x4xf32>, %y: memref<3x2x6xf32>,
                   %p: memref<4x4xf32>, %q: memref<4x6xf32, strided<[20, 2]>>) {
  // expected-remark @+1 {{its element types are not those of a cuBLAS product}}
  linalg.contract indexing_maps = [#a, #b, #d]
      ins(%a, %b : memref<4x8xf64>, memref<8x6xf64>) outs(%d : memref<4x6xf64>)
  // expected-remark @+1 {{its left-hand side is not contiguous along rows or columns}}
  linalg.contract indexing_maps = [#a, #b, #d]
      ins(%e, %f : memref<4x8xf32, strided<[20, 2]>>, memref<8x6xf32>) outs(%g : memref<4x6xf32>)
  // expected-remark @+1 {{its right-hand side is not contiguous along rows or columns}}
  linalg.contract indexing_maps = [#a, #b, #d]
      ins(%p, %q : memref<4x4xf32>, memref<4x6xf32, strided<[20, 2]>>) outs(%g : memref<4x6xf32>)
  // expected-remark @+1 {{its sum is over more than one loop}}
  linalg.contract indexing_maps = [affine_map<(m, n, k, l) -> (k, l, m)>, affine_map<(m, n, k, l) -> (l, k, n)>,
                                   affine_map<(m, n, k, l) -> (m, n)>]
      ins(%x, %y : memref<2x3x4xf32>, memref<3x2x6xf32>) outs(%g : memref<4x6xf32>)
  return
}
