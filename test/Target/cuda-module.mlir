// REQUIRES: ptxas, python-numpy
// RUN: rm -rf %t && mkdir %t
// RUN: structured-compile %s --target=cuda --emit=cubin -o %t/a.cubin --remarks 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: llvm-readobj --file-headers %t/a.cubin | FileCheck %s --check-prefix=CUBIN
// RUN: structured-compile %s --target=cuda -o %t/a.so
// RUN: llvm-readobj --dyn-syms %t/a.so | FileCheck %s --check-prefix=MODULE
// RUN: llvm-readobj --dynamic-table %t/a.so | FileCheck %s --check-prefix=NEEDED
// RUN: llvm-readobj --sections %t/a.so | FileCheck %s --check-prefix=SECTIONS
// RUN: strings -n 20 %t/a.so | FileCheck %s --check-prefix=INFO
// RUN: %python -c "import sys, safetensors.numpy as s; [print(*sorted((k, v.dtype.name, v.tolist()) for k, v in s.load_file(sys.argv[1]).items()))]" %t/a.safetensors | FileCheck %s --check-prefix=WEIGHTS

// REMARK: remark: kernel 'elementwise': {{[0-9]+}} registers{{.*}}; 0 bytes spill stores, 0 bytes spill loads
// CUBIN: Machine: {{.*}}(0xBE)
// MODULE-DAG: Name: mgpuLaunchKernel
// MODULE-DAG: Name: structured_entry_main
// NEEDED: NEEDED Shared library: [libStructuredRuntime.so.1]
// A constructor of the module hands the runtime its kernels.
// SECTIONS: Name: .init_array
// INFO: "arch":"sm_90a"
// INFO-SAME: "parameters":[{"dtype":"f32","name":"constant#[[#%.16x,HASH:]]","shape":[3]},{"dtype":"i1","name":"constant#
// INFO-SAME: "target":"cuda"
// WEIGHTS: ('constant#{{[0-9a-f]*}}', '{{float32|bool}}', [{{1.0, 2.0, 3.5|False, True, True}}]) ('constant#{{[0-9a-f]*}}', '{{float32|bool}}', [{{1.0, 2.0, 3.5|False, True, True}}])

#i = affine_map<(i) -> (i)>
func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
  %c = arith.constant dense<[1.0, 2.0, 3.5]> : tensor<3xf32>
  %m = arith.constant dense<[false, true, true]> : tensor<3xi1>
  %empty = tensor.empty() : tensor<3xf32>
  %y = linalg.generic {indexing_maps = [#i, #i, #i, #i], iterator_types = ["parallel"]}
      ins(%x, %c, %m : tensor<3xf32>, tensor<3xf32>, tensor<3xi1>) outs(%empty : tensor<3xf32>) {
  ^bb0(%a: f32, %b: f32, %s: i1, %out: f32):
    %p = arith.mulf %a, %b : f32
    %r = arith.select %s, %p, %a : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  return %y : tensor<3xf32>
}
