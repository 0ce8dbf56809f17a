// RUN: structured-compile %s --target=cuda --emit=mlir --remarks 2>&1 | FileCheck %s --check-prefixes=CHECK,MERGED --implicit-check-not=Memcpy --implicit-check-not="not merged"
// RUN: structured-compile %s --target=cuda --emit=mlir --merge-siblings=false | FileCheck %s --check-prefixes=CHECK,APART --implicit-check-not=Memcpy

// Two layers of one input with their biases, and what multiplies their heads:
// one product instead of two, and no kernel that adds or copies.

// CHECK-LABEL: func @main
// MERGED: call @matmul
// APART: call @matmul
// APART: call @matmul
// CHECK: call @matmul
// CHECK-NOT: call @matmul
// CHECK-NOT: gpu.launch_func

#all = affine_map<(t, m) -> (t, m)>
#row = affine_map<(t, m) -> (m)>

func.func @main(%x: tensor<16x64xbf16>) -> tensor<2x16x16xf32> {
  %zero = arith.constant 0.0 : bf16
  %e = tensor.empty() : tensor<16x32xbf16>
  %zeros = linalg.fill ins(%zero : bf16) outs(%e : tensor<16x32xbf16>) -> tensor<16x32xbf16>
  %wq = structured.parameter "q.weight" : tensor<32x64xbf16>
  %wk = structured.parameter "k.weight" : tensor<32x64xbf16>
  %bq = structured.parameter "q.bias" : tensor<32xbf16>
  %bk = structured.parameter "k.bias" : tensor<32xbf16>
  %q0 = structured.linear ins(%x, %wq : tensor<16x64xbf16>, tensor<32x64xbf16>) outs(%zeros : tensor<16x32xbf16>) -> tensor<16x32xbf16>
  %q1 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%q0, %bq : tensor<16x32xbf16>, tensor<32xbf16>) outs(%e : tensor<16x32xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %o: bf16):
    %s = arith.addf %a, %b : bf16
    linalg.yield %s : bf16
  } -> tensor<16x32xbf16>
  %k0 = structured.linear ins(%x, %wk : tensor<16x64xbf16>, tensor<32x64xbf16>) outs(%zeros : tensor<16x32xbf16>) -> tensor<16x32xbf16>
  %k1 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%k0, %bk : tensor<16x32xbf16>, tensor<32xbf16>) outs(%e : tensor<16x32xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %o: bf16):
    %s = arith.addf %a, %b : bf16
    linalg.yield %s : bf16
  } -> tensor<16x32xbf16>
  %q = tensor.expand_shape %q1 [[0], [1, 2]] output_shape [16, 2, 16] : tensor<16x32xbf16> into tensor<16x2x16xbf16>
  %k = tensor.expand_shape %k1 [[0], [1, 2]] output_shape [16, 2, 16] : tensor<16x32xbf16> into tensor<16x2x16xbf16>
  %none = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<2x16x16xf32>
  %zs = linalg.fill ins(%none : f32) outs(%es : tensor<2x16x16xf32>) -> tensor<2x16x16xf32>
  %scores = linalg.contract indexing_maps = [affine_map<(h, i, j, d) -> (i, h, d)>, affine_map<(h, i, j, d) -> (j, h, d)>, affine_map<(h, i, j, d) -> (h, i, j)>]
      ins(%q, %k : tensor<16x2x16xbf16>, tensor<16x2x16xbf16>) outs(%zs : tensor<2x16x16xf32>) -> tensor<2x16x16xf32>
  return %scores : tensor<2x16x16xf32>
}
