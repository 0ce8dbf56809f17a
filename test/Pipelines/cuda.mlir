// RUN: structured-opt %s --structured-to-cuda-tensors | FileCheck %s --check-prefix=TENSORS
// RUN: structured-opt %s --structured-to-cuda | FileCheck %s --check-prefix=LLVM
// RUN: structured-opt %s --structured-to-cuda | FileCheck %s --check-prefix=KERNELS
// RUN: structured-opt %s --structured-to-cuda="chip=sm_80" | FileCheck %s --check-prefix=SM80
// RUN: structured-opt %s --structured-to-cuda-tensors | structured-opt --structured-to-cuda-buffers | FileCheck %s --check-prefix=LLVM

// Layers stay; parameters come as they are stored, constants last; bias and
// activation are one op.

// TENSORS-LABEL: func.func @main
// TENSORS-SAME: structured.name = "x"
// TENSORS-SAME: tensor<64xf32> {{{.*}}structured.parameter = "bias"}
// TENSORS-SAME: tensor<64x48xf32> {{{.*}}structured.parameter = "w"}
// TENSORS-SAME: tensor<3xf32> {{{.*}}structured.constant = dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]>
// TENSORS-SAME: attributes {llvm.emit_c_interface}
// TENSORS: structured.linear
// TENSORS: linalg.generic
// TENSORS: math.erf
// TENSORS: structured.blast.matmul

// LLVM: llvm.call @mgpuMemAlloc
// LLVM: llvm.call @matmul(
// LLVM: gpu.launch_func {{.*}}@kernels::@elementwise
// LLVM-NOT: llvm.intr.memcpy
// LLVM-NOT: llvm.call @malloc
// LLVM: llvm.func @_mlir_ciface_main
// LLVM: llvm.call @structuredCudaMatmul
// LLVM-NOT: builtin.unrealized_conversion_cast

// KERNELS: gpu.binary @kernels {{.*}}chip = "sm_90a"
// KERNELS-SAME: .target sm_90a
// KERNELS-NOT: __nv_
// KERNELS-SAME: .visible .entry elementwise(
// KERNELS-SAME: ld.global.v4.

// SM80: gpu.binary @kernels {{.*}}.target sm_80

#tm = affine_map<(t, m) -> (t, m)>
#m = affine_map<(t, m) -> (m)>

func.func @main(%x: tensor<256x48xf32> {structured.name = "x"},
                %bias: tensor<64xf32> {structured.parameter = "bias"}) -> (tensor<256x12xf32>, tensor<3xf32>) {
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
  %c = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  return %o, %c : tensor<256x12xf32>, tensor<3xf32>
}
