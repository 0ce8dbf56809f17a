// RUN: structured-compile %s --target=cuda --emit=ptx | FileCheck %s --check-prefix=PTX
// RUN: structured-compile %s --target=cuda --emit=ptx --chip=sm_80 | FileCheck %s --check-prefix=SM80
// RUN: structured-compile %s --target=cuda --emit=tensors | FileCheck %s --check-prefix=TENSORS
// RUN: not structured-compile %s --emit=ptx 2>&1 | FileCheck %s --check-prefix=CPU
// RUN: not structured-compile %s --target=cuda --emit=ptx --chip=sm_75 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not structured-compile %s --target=cuda --emit=ptx --chip=90 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: rm -rf %t && mkdir %t
// RUN: not structured-compile %s --target=cuda --ptxas=%t/none -o %t/a.so 2>&1 | FileCheck %s --check-prefix=PTXAS
// RUN: not structured-compile %s --target=cuda --ptxas=%src_root/test/Target/Inputs/broken-ptxas -o %t/a.so 2>&1 | FileCheck %s --check-prefix=BROKEN
// RUN: not ls %t/a.so
// RUN: ls %t | count 0
// RUN: structured-compile %s --target=cuda --ptxas=%src_root/test/Target/Inputs/slow-ptxas --emit=cubin -o %t/a.cubin --remarks 2>&1 | FileCheck %s --check-prefix=SLOW

// PTX: .target sm_90a
// PTX: .visible .entry rows(
// PTX: .shared .align 16 .b8 {{.*}}[24];
// PTX: shfl.sync.bfly

// SM80: .target sm_80
// TENSORS: linalg.generic
// CPU: error: kernels are code for CUDA: add --target=cuda
// CHIP: error: '{{sm_75|90}}' is not a GPU that kernels can be compiled for: sm_80, sm_90a or later
// PTXAS: error: ptxas '{{.*}}none' is not a program
// SLOW: remark: ptxas: {{.*}}wgmma.mma_async instructions are serialized
// BROKEN: assembling kernels with {{.*}}broken-ptxas failed: {{.*}}no licence today

func.func @main(%x: tensor<4x768xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                       iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x768xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}
