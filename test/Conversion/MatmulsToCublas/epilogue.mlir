// RUN: structured-opt %s --structured-matmuls-to-cublas --canonicalize --split-input-file | FileCheck %s

// A bias, and ReLU or GELU, become part of the product before them.

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

// CHECK-LABEL: func.func @bias
// CHECK-SAME: (%[[X:.*]]: memref<?x8xbf16>, %[[W:.*]]: memref<12x8xbf16>, %[[B:.*]]: memref<12xbf16>,
// CHECK: call @matmul(%[[X]], %[[W]], %{{.*}}, %[[B]])
// CHECK-NOT: linalg
// CHECK: func.func private @matmul(%{{.*}}, %[[BIAS:.*]]: memref<12xbf16>)
// CHECK-DAG: %[[NONE:.*]] = arith.constant 0 : i32
// CHECK: memref.extract_aligned_pointer_as_index %[[BIAS]]
// CHECK: call @structuredCudaMatmul({{.*}}, %[[NONE]])
func.func @bias(%x: memref<?x8xbf16>, %w: memref<12x8xbf16>, %b: memref<12xbf16>, %t: index) -> memref<?x12xbf16> {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc(%t) : memref<?x12xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<?x12xbf16>)
  structured.linear ins(%x, %w : memref<?x8xbf16>, memref<12x8xbf16>) outs(%y : memref<?x12xbf16>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : memref<?x12xbf16>, memref<12xbf16>) outs(%y : memref<?x12xbf16>) {
  ^bb0(%a: bf16, %c: bf16, %o: bf16):
    %s = arith.addf %a, %c : bf16
    linalg.yield %s : bf16
  }
  return %y : memref<?x12xbf16>
}

// -----

// A block row of a BLAST layer has its part of the bias: a stride of 6.

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

// CHECK-LABEL: func.func @blast
// CHECK: call @[[LAST:.*]](%{{.*}}, %{{.*}}, %{{.*}}, %arg4)
// CHECK-NOT: linalg.generic {{.*}}["parallel", "parallel"]
// CHECK: func.func private @[[LAST]](%{{.*}}: memref<12xf16>)
// CHECK-DAG: %[[RELU:.*]] = arith.constant 1 : i32
// CHECK-DAG: %[[STRIDE:.*]] = arith.constant 6 : i64
// CHECK: call @structuredCudaMatmul({{.*}}, %[[STRIDE]], %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %[[RELU]])
func.func @blast(%x: memref<4x8xf16>, %u: memref<2x6x5xf16>, %s: memref<2x2x5xf16>, %vt: memref<2x5x4xf16>, %b: memref<12xf16>) -> memref<4x12xf16> {
  %zero = arith.constant 0.0 : f16
  %y = memref.alloc() : memref<4x12xf16>
  linalg.fill ins(%zero : f16) outs(%y : memref<4x12xf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x8xf16>, memref<2x6x5xf16>, memref<2x2x5xf16>, memref<2x5x4xf16>) outs(%y : memref<4x12xf16>)
  linalg.generic {indexing_maps = [#row, #all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%b, %y : memref<12xf16>, memref<4x12xf16>) outs(%y : memref<4x12xf16>) {
  ^bb0(%a: f16, %c: f16, %o: f16):
    %wide = arith.extf %a : f16 to f32
    %wider = arith.extf %c : f16 to f32
    %sum = arith.addf %wide, %wider : f32
    %none = arith.constant 0.0 : f32
    %max = arith.maximumf %none, %sum : f32
    %narrow = arith.truncf %max : f32 to f16
    linalg.yield %narrow : f16
  }
  return %y : memref<4x12xf16>
}

// -----

// GELU by tanh, in two spellings, with a bias and without.

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

// CHECK-LABEL: func.func @gelu
// CHECK: call @[[BIASED:.*]](%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
// CHECK: call @[[PLAIN:.*]](%{{.*}}, %{{.*}}, %{{.*}})
// CHECK-NOT: linalg.generic
// CHECK: func.func private @[[BIASED]]
// CHECK-DAG: %[[GELU:.*]] = arith.constant 2 : i32
// CHECK: call @structuredCudaMatmul({{.*}}, %[[GELU]])
// CHECK: func.func private @[[PLAIN]]
// CHECK-DAG: %[[GELU2:.*]] = arith.constant 2 : i32
// CHECK-DAG: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: call @structuredCudaMatmul(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %[[NULL]], {{.*}}, %[[GELU2]])
func.func @gelu(%x: memref<4x8xbf16>, %w: memref<12x8xbf16>, %b: memref<12xbf16>) -> (memref<4x12xbf16>, memref<4x12xbf16>) {
  %zero = arith.constant 0.0 : bf16
  %y = memref.alloc() : memref<4x12xbf16>
  linalg.fill ins(%zero : bf16) outs(%y : memref<4x12xbf16>)
  structured.linear ins(%x, %w : memref<4x8xbf16>, memref<12x8xbf16>) outs(%y : memref<4x12xbf16>)
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %root = arith.constant 0.797884583 : f32
  %cubic = arith.constant 0.044715 : f32
  %three = arith.constant 3 : i32
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : memref<4x12xbf16>, memref<12xbf16>) outs(%y : memref<4x12xbf16>) {
  ^bb0(%a: bf16, %c: bf16, %o: bf16):
    %aw = arith.extf %a : bf16 to f32
    %cw = arith.extf %c : bf16 to f32
    %s = arith.addf %aw, %cw : f32
    %cube = math.fpowi %s, %three : f32, i32
    %term = arith.mulf %cube, %cubic : f32
    %inner = arith.addf %s, %term : f32
    %scaled = arith.mulf %inner, %root : f32
    %tanh = math.tanh %scaled : f32
    %plus = arith.addf %tanh, %one : f32
    %part = arith.mulf %s, %half : f32
    %g = arith.mulf %part, %plus : f32
    %n = arith.truncf %g : f32 to bf16
    linalg.yield %n : bf16
  }
  %z = memref.alloc() : memref<4x12xbf16>
  linalg.fill ins(%zero : bf16) outs(%z : memref<4x12xbf16>)
  structured.linear ins(%x, %w : memref<4x8xbf16>, memref<12x8xbf16>) outs(%z : memref<4x12xbf16>)
  // x times the logistic function of twice what is above.
  %minus = arith.constant -1.59576917 : f32
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%z : memref<4x12xbf16>) outs(%z : memref<4x12xbf16>) {
  ^bb0(%a: bf16, %o: bf16):
    %s = arith.extf %a : bf16 to f32
    %square = arith.mulf %s, %s : f32
    %term = arith.mulf %square, %cubic : f32
    %factor = arith.addf %term, %one : f32
    %inner = arith.mulf %s, %factor : f32
    %scaled = arith.mulf %inner, %minus : f32
    %exp = math.exp %scaled : f32
    %den = arith.addf %exp, %one : f32
    %g = arith.divf %s, %den : f32
    %n = arith.truncf %g : f32 to bf16
    linalg.yield %n : bf16
  }
  return %y, %z : memref<4x12xbf16>, memref<4x12xbf16>
}

// -----

// What stays an op of its own: another function of the sum; a bias for each
// row; a product that adds; a result that is read before; a bias that is
// written in between; one that is not there yet; one of another type.

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
#col = affine_map<(i, j) -> (i)>

// CHECK-LABEL: func.func @others
// CHECK-COUNT-7: linalg.generic
// CHECK-NOT: linalg.generic
func.func private @reads(memref<12x12xf32>)
func.func @others(%x: memref<12x8xf32>, %w: memref<12x8xf32>, %b: memref<12xf32>, %b16: memref<12xf16>,
                  %sum: memref<12x12xf32>, %out: memref<12x12xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32

  %y0 = memref.alloc() : memref<12x12xf32>
  linalg.fill ins(%zero : f32) outs(%y0 : memref<12x12xf32>)
  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%y0 : memref<12x12xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y0, %b : memref<12x12xf32>, memref<12xf32>) outs(%y0 : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    %m = arith.maximumf %s, %one : f32
    linalg.yield %m : f32
  }
  call @reads(%y0) : (memref<12x12xf32>) -> ()

  %y1 = memref.alloc() : memref<12x12xf32>
  linalg.fill ins(%zero : f32) outs(%y1 : memref<12x12xf32>)
  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%y1 : memref<12x12xf32>)
  linalg.generic {indexing_maps = [#all, #col, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y1, %b : memref<12x12xf32>, memref<12xf32>) outs(%y1 : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  }
  call @reads(%y1) : (memref<12x12xf32>) -> ()

  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%sum : memref<12x12xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%sum, %b : memref<12x12xf32>, memref<12xf32>) outs(%sum : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  }

  %y2 = memref.alloc() : memref<12x12xf32>
  linalg.fill ins(%zero : f32) outs(%y2 : memref<12x12xf32>)
  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%y2 : memref<12x12xf32>)
  call @reads(%y2) : (memref<12x12xf32>) -> ()
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y2, %b : memref<12x12xf32>, memref<12xf32>) outs(%y2 : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  }
  call @reads(%y2) : (memref<12x12xf32>) -> ()

  %y3 = memref.alloc() : memref<12x12xf32>
  linalg.fill ins(%zero : f32) outs(%y3 : memref<12x12xf32>)
  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%y3 : memref<12x12xf32>)
  linalg.fill ins(%one : f32) outs(%b : memref<12xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y3, %b : memref<12x12xf32>, memref<12xf32>) outs(%y3 : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  }
  call @reads(%y3) : (memref<12x12xf32>) -> ()

  %y4 = memref.alloc() : memref<12x12xf32>
  linalg.fill ins(%zero : f32) outs(%y4 : memref<12x12xf32>)
  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%y4 : memref<12x12xf32>)
  %late = memref.alloc() : memref<12xf32>
  linalg.fill ins(%one : f32) outs(%late : memref<12xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y4, %late : memref<12x12xf32>, memref<12xf32>) outs(%y4 : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  }
  call @reads(%y4) : (memref<12x12xf32>) -> ()

  %y5 = memref.alloc() : memref<12x12xf32>
  linalg.fill ins(%zero : f32) outs(%y5 : memref<12x12xf32>)
  structured.linear ins(%x, %w : memref<12x8xf32>, memref<12x8xf32>) outs(%y5 : memref<12x12xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y5, %b16 : memref<12x12xf32>, memref<12xf16>) outs(%y5 : memref<12x12xf32>) {
  ^bb0(%a: f32, %c: f16, %o: f32):
    %wide = arith.extf %c : f16 to f32
    %s = arith.addf %a, %wide : f32
    linalg.yield %s : f32
  }
  call @reads(%y5) : (memref<12x12xf32>) -> ()
  return
}
