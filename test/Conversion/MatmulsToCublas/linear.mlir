// RUN: structured-opt %s --structured-matmuls-to-cublas --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

// A fill with zeros is left out: the product does not add. The arguments are
// A, B, C, D, bias; batch, m, n, k; leading dimensions; strides, the bias's
// last; trans; types; alpha, beta; activation.

// CHECK-LABEL: func.func @linear
// CHECK-SAME: (%[[X:.*]]: memref<4x8xf32>, %[[W:.*]]: memref<12x8xf32>)
// CHECK: %[[Y:.*]] = memref.alloc
// CHECK-NOT: linalg.fill
// CHECK: call @matmul(%[[X]], %[[W]], %[[Y]]) : (memref<4x8xf32>, memref<12x8xf32>, memref<4x12xf32>) -> ()
func.func @linear(%x: memref<4x8xf32>, %w: memref<12x8xf32>) -> memref<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %y = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<4x12xf32>)
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%y : memref<4x12xf32>)
  return %y : memref<4x12xf32>
}
// CHECK: func.func private @matmul(
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-DAG: %[[B:.*]] = arith.constant 1 : i64
// CHECK-DAG: %[[M:.*]] = arith.constant 4 : i64
// CHECK-DAG: %[[N:.*]] = arith.constant 12 : i64
// CHECK-DAG: %[[K:.*]] = arith.constant 8 : i64
// CHECK-DAG: %[[S:.*]] = arith.constant 0 : i64
// CHECK-DAG: %[[NO:.*]] = arith.constant 0 : i32
// CHECK-DAG: %[[YES:.*]] = arith.constant 1 : i32
// CHECK-DAG: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: call @structuredCudaMatmul(%{{.*}}, %{{.*}}, %[[D:.*]], %[[D]], %[[NULL]],
// CHECK-SAME: %[[B]], %[[M]], %[[N]], %[[K]], %[[K]], %[[K]], %[[N]], %[[N]],
// CHECK-SAME: %[[S]], %[[S]], %[[S]], %[[S]], %[[S]], %[[NO]], %[[YES]], %[[YES]], %[[YES]], %[[ONE]], %[[ZERO]], %[[NO]])

// -----

// Without a fill the product adds (beta = 1). Equal products share a function.

// CHECK-LABEL: func.func @adds
// CHECK-COUNT-2: call @matmul(
// CHECK: func.func private @matmul(
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: call @structuredCudaMatmul({{.*}}%[[ONE]], %[[ONE]],
// CHECK-NOT: func.func private @matmul_
func.func @adds(%x: memref<?x8xbf16>, %w: memref<12x8xbf16>, %y: memref<?x12xf32>) {
  structured.linear ins(%x, %w : memref<?x8xbf16>, memref<12x8xbf16>) outs(%y : memref<?x12xf32>)
  structured.linear ins(%x, %w : memref<?x8xbf16>, memref<12x8xbf16>) outs(%y : memref<?x12xf32>)
  return
}

// -----

// A fill that something read, or that is not of zeros, stays.

// CHECK-LABEL: func.func @fills
// CHECK-COUNT-2: linalg.fill
func.func @fills(%x: memref<4x8xf32>, %w: memref<12x8xf32>, %v: memref<4x12xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %y = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<4x12xf32>)
  memref.copy %y, %v : memref<4x12xf32> to memref<4x12xf32>
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%y : memref<4x12xf32>)
  linalg.fill ins(%one : f32) outs(%y : memref<4x12xf32>)
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%y : memref<4x12xf32>)
  memref.copy %y, %v : memref<4x12xf32> to memref<4x12xf32>
  memref.dealloc %y : memref<4x12xf32>
  return
}

// -----

// BLAST: two batched products and, between them, the mix.

// CHECK-LABEL: func.func @blast
// CHECK: %[[Y:.*]] = memref.alloc() : memref<2x6x5xf16>
// CHECK: %[[X3:.*]] = memref.expand_shape %{{.*}} into memref<6x2x4xf16>
// CHECK: call @matmul(%[[X3]], %{{.*}}, %[[Y]])
// CHECK: linalg.fill
// CHECK: linalg.contract {{.*}} outs(%{{.*}} : memref<3x6x5xf16>)
// CHECK: memref.dealloc %[[Y]]
// CHECK: call @matmul_0({{.*}} -> ()
func.func @blast(%x: memref<6x8xf16>, %u: memref<3x4x5xf16>, %s: memref<3x2x5xf16>,
                 %vt: memref<2x5x4xf16>, %o: memref<6x12xf32>) {
  // expected-remark @+1 {{not a cuBLAS product: its result is not contiguous along rows or columns}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<6x8xf16>, memref<3x4x5xf16>,
      memref<3x2x5xf16>, memref<2x5x4xf16>) outs(%o : memref<6x12xf32>)
  return
}
