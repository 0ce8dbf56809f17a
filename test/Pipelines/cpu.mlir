// RUN: structured-opt %s --structured-to-cpu-tensors | FileCheck %s --check-prefix=TENSORS
// RUN: structured-opt %s --structured-to-cpu | FileCheck %s --check-prefix=LLVM
// RUN: structured-opt %s --structured-to-cpu="parallel=false vector-bits=512 vector-registers=32" | FileCheck %s --check-prefix=SERIAL
// RUN: structured-opt %s --structured-to-cpu-tensors | structured-opt --structured-to-cpu-buffers | FileCheck %s --check-prefix=LLVM

// Weights come last, in the order in which vector code reads them; contractions
// are whole, bias and activation one op.

// TENSORS-LABEL: func.func @main
// TENSORS-SAME: structured.name = "x"
// TENSORS-SAME: tensor<64xf32> {{{.*}}structured.parameter = "bias"}
// TENSORS-SAME: tensor<48x64xf32> {{{.*}}structured.parameter = "w", structured.permutation = array<i64: 1, 0>}
// TENSORS-SAME: attributes {llvm.emit_c_interface}
// TENSORS: linalg.contract
// TENSORS: linalg.generic
// TENSORS: arith.addf
// TENSORS: math.erf
// TENSORS-NOT: linalg.generic
// TENSORS: scf.forall
// TENSORS-COUNT-3: linalg.contract
// TENSORS-NOT: structured.parameter "

// LLVM: omp.parallel
// LLVM: llvm.intr.fma{{.*}}vector<8xf32>
// LLVM-NOT: memref
// LLVM-NOT: builtin.unrealized_conversion_cast
// LLVM: llvm.func @_mlir_ciface_main

// SERIAL-NOT: omp.parallel
// SERIAL: llvm.intr.fma{{.*}}vector<16xf32>

#tm = affine_map<(t, m) -> (t, m)>
#m = affine_map<(t, m) -> (m)>

func.func @main(%x: tensor<256x48xf32> {structured.name = "x"},
                %bias: tensor<64xf32> {structured.parameter = "bias"}) -> tensor<256x12xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<256x64xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<256x64xf32>) -> tensor<256x64xf32>
  %w = structured.parameter "w" : tensor<64x48xf32>
  %y = structured.linear ins(%x, %w : tensor<256x48xf32>, tensor<64x48xf32>)
      outs(%fill : tensor<256x64xf32>) -> tensor<256x64xf32>
  %biased = linalg.generic {indexing_maps = [#tm, #m, #tm], iterator_types = ["parallel", "parallel"]}
      ins(%y, %bias : tensor<256x64xf32>, tensor<64xf32>) outs(%empty : tensor<256x64xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<256x64xf32>
  %active = linalg.generic {indexing_maps = [#tm, #tm], iterator_types = ["parallel", "parallel"]}
      ins(%biased : tensor<256x64xf32>) outs(%empty : tensor<256x64xf32>) {
  ^bb0(%a: f32, %out: f32):
    %e = math.erf %a : f32
    linalg.yield %e : f32
  } -> tensor<256x64xf32>
  %u = structured.parameter "layer.U" : tensor<3x4x5xf32>
  %s = structured.parameter "layer.S" : tensor<3x2x5xf32>
  %vt = structured.parameter "layer.Vt" : tensor<2x5x32xf32>
  %empty2 = tensor.empty() : tensor<256x12xf32>
  %fill2 = linalg.fill ins(%zero : f32) outs(%empty2 : tensor<256x12xf32>) -> tensor<256x12xf32>
  %o = structured.blast.matmul
      ins(%active, %u, %s, %vt : tensor<256x64xf32>, tensor<3x4x5xf32>,
                                 tensor<3x2x5xf32>, tensor<2x5x32xf32>)
      outs(%fill2 : tensor<256x12xf32>) -> tensor<256x12xf32>
  return %o : tensor<256x12xf32>
}
