// RUN: structured-opt %s --structured-matmuls-to-cublas --split-input-file --verify-diagnostics

// Activations that cuBLASLt does not compute.

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

func.func @erf(%x: memref<4x8xf32>, %w: memref<12x8xf32>, %b: memref<12xf32>) -> memref<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %y = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<4x12xf32>)
  // expected-remark @+1 {{what follows is not part of the product: cuBLASLt's GELU is that by tanh, which differs from GELU by erf by up to 4.7e-4}}
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%y : memref<4x12xf32>)
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %root = arith.constant 0.707106769 : f32
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : memref<4x12xf32>, memref<12xf32>) outs(%y : memref<4x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    %scaled = arith.mulf %s, %root : f32
    %erf = math.erf %scaled : f32
    %plus = arith.addf %erf, %one : f32
    %part = arith.mulf %s, %plus : f32
    %g = arith.mulf %part, %half : f32
    linalg.yield %g : f32
  }
  return %y : memref<4x12xf32>
}

// -----

#all = affine_map<(i, j) -> (i, j)>

func.func @tanh_f32(%x: memref<4x8xf32>, %w: memref<12x8xf32>) -> memref<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %z = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%z : memref<4x12xf32>)
  // expected-remark @+1 {{what follows is not part of the product: cuBLASLt's GELU has errors of up to 5.4e-6, too much for f32}}
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%z : memref<4x12xf32>)
  %one = arith.constant 1.0 : f32
  %cubic = arith.constant 0.044715 : f32
  %minus = arith.constant -1.59576917 : f32
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%z : memref<4x12xf32>) outs(%z : memref<4x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %square = arith.mulf %a, %a : f32
    %term = arith.mulf %square, %cubic : f32
    %factor = arith.addf %term, %one : f32
    %inner = arith.mulf %a, %factor : f32
    %scaled = arith.mulf %inner, %minus : f32
    %exp = math.exp %scaled : f32
    %den = arith.addf %exp, %one : f32
    %g = arith.divf %a, %den : f32
    linalg.yield %g : f32
  }
  return %z : memref<4x12xf32>
}

// -----

#all = affine_map<(i, j) -> (i, j)>

func.func @silu(%x: memref<4x8xf32>, %w: memref<12x8xf32>) -> memref<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %y = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<4x12xf32>)
  // expected-remark @+1 {{what follows is not part of the product: cuBLASLt has no SiLU}}
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%y : memref<4x12xf32>)
  %one = arith.constant 1.0 : f32
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y : memref<4x12xf32>) outs(%y : memref<4x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %minus = arith.negf %a : f32
    %exp = math.exp %minus : f32
    %den = arith.addf %exp, %one : f32
    %g = arith.divf %a, %den : f32
    linalg.yield %g : f32
  }
  return %y : memref<4x12xf32>
}

// -----

// Neither is GELU with other numbers, nor what is no function of the sum: no
// remark, since it has no name.

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

func.func @others(%x: memref<4x8xf32>, %w: memref<12x8xf32>, %b: memref<12xf32>) -> (memref<4x12xf32>, memref<4x12xf32>) {
  %zero = arith.constant 0.0 : f32
  %y = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<4x12xf32>)
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%y : memref<4x12xf32>)
  %one = arith.constant 1.0 : f32
  %minus = arith.constant -1.702 : f32
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y : memref<4x12xf32>) outs(%y : memref<4x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %scaled = arith.mulf %a, %minus : f32
    %exp = math.exp %scaled : f32
    %den = arith.addf %exp, %one : f32
    %g = arith.divf %a, %den : f32
    linalg.yield %g : f32
  }
  %z = memref.alloc() : memref<4x12xf32>
  linalg.fill ins(%zero : f32) outs(%z : memref<4x12xf32>)
  structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>) outs(%z : memref<4x12xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%z, %b : memref<4x12xf32>, memref<12xf32>) outs(%z : memref<4x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.maximumf %a, %zero : f32
    %s = arith.addf %m, %c : f32
    linalg.yield %s : f32
  }
  return %y, %z : memref<4x12xf32>, memref<4x12xf32>
}
