// Every error exits with a non-zero status and leaves no output file.
// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors fc.weight=32x16
// RUN: %python %S/Inputs/write_tensors.py %t/shape.safetensors fc.weight=16x32
// RUN: %python %S/Inputs/write_tensors.py %t/type.safetensors fc.weight=32x16:f16
// RUN: %python %S/Inputs/write_tensors.py %t/nan.safetensors fc.weight=32x16:nan
// RUN: %python %S/Inputs/write_tensors.py %t/inf.safetensors fc.weight=32x16:inf
// RUN: %python %S/Inputs/write_tensors.py %t/other.safetensors other.weight=32x16
// RUN: head -c 1000 %t/w.safetensors > %t/truncated.safetensors
// DEFINE: %{options} =
// DEFINE: %{run} = not structured-opt %t/model.mlir --structured-factorize='output=%t/out.safetensors report=%t/report.json %{options}' 2>&1 | FileCheck %s --check-prefix

// REDEFINE: %{options} = weights=%t/none.safetensors
// RUN: %{run} NONE
// NONE: error: structured-factorize: {{.*}}none.safetensors{{.*}}No such file
// REDEFINE: %{options} = weights=%t/truncated.safetensors
// RUN: %{run} TRUNCATED
// TRUNCATED: error: structured-factorize: {{.*}}truncated.safetensors
// REDEFINE: %{options} = weights=%t/other.safetensors
// RUN: %{run} OTHER
// OTHER: error: layer 'fc': there is no tensor 'fc.weight' in '{{.*}}other.safetensors'
// REDEFINE: %{options} = weights=%t/w.safetensors,%t/shape.safetensors
// RUN: %{run} BOTH
// BOTH: error: structured-factorize: tensor 'fc.weight' is both in '{{.*}}w.safetensors' and in '{{.*}}shape.safetensors'
// REDEFINE: %{options} = weights=%t/shape.safetensors
// RUN: %{run} SHAPE
// SHAPE: error: layer 'fc': tensor 'fc.weight' is F32 x 16 x 32 in the weights file, the model needs tensor<32x16xf32>
// REDEFINE: %{options} = weights=%t/type.safetensors
// RUN: %{run} TYPE
// TYPE: error: layer 'fc': tensor 'fc.weight' is F16 x 32 x 16 in the weights file, the model needs tensor<32x16xf32>
// REDEFINE: %{options} = weights=%t/nan.safetensors
// RUN: %{run} NAN
// NAN: error: {{.*}}'fc'{{.*}}NaN
// REDEFINE: %{options} = weights=%t/inf.safetensors
// RUN: %{run} INF
// INF: error: {{.*}}'fc'{{.*}}inf
// REDEFINE: %{options} = weights=%t/w.safetensors method=magic
// RUN: %{run} METHOD
// METHOD: error: structured-factorize: unknown method 'magic'; expected als or gradient
// REDEFINE: %{options} = weights=%t/w.safetensors iterations=0
// RUN: %{run} ITERATIONS
// ITERATIONS: error: structured-factorize: iterations must be at least 1
// REDEFINE: %{options} = weights=%t/w.safetensors speed=9
// RUN: %{run} UNKNOWN
// UNKNOWN: no such option speed

// RUN: not ls %t/out.safetensors
// RUN: not ls %t/report.json

// An output that cannot be written: no directory, no file name, a full disk.
// RUN: not structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/no/f.safetensors work-dir=%t/work' 2>&1 | FileCheck %s --check-prefix=DIRECTORY
// DIRECTORY: error: structured-factorize: {{.*}}f.safetensors
// RUN: not structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors' 2>&1 | FileCheck %s --check-prefix=OUTPUT
// OUTPUT: error: structured-factorize: the option 'output' names no file
// RUN: not structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/f.safetensors work-dir=%t/w.safetensors/work' 2>&1 | FileCheck %s --check-prefix=WORK
// WORK: error: {{.*}}'fc'{{.*}}work

// On a full disk nothing is left.
// RUN: %host_cc -shared -fPIC %src_root/test/Inputs/full_disk.c -o %t/full_disk.so
// RUN: not env LD_PRELOAD=%t/full_disk.so structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/full.safetensors work-dir=%t/full' 2>&1 | FileCheck %s --check-prefix=FULL
// FULL: error: {{.*}}'fc'{{.*}}No space left on device
// RUN: not ls %t/full.safetensors
// RUN: ls %t/full | count 0
// RUN: structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/full.safetensors work-dir=%t/full' -o /dev/null
// RUN: rm %t/full.safetensors
// RUN: not env LD_PRELOAD=%t/full_disk.so structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/full.safetensors work-dir=%t/full' 2>&1 | FileCheck %s --check-prefix=OUTFULL
// OUTFULL: error: structured-factorize: {{.*}}full.safetensors{{.*}}No space left on device
// RUN: not ls %t/full.safetensors

//--- model.mlir
func.func @main(%x: tensor<?x16xf32>, %y0: tensor<?x32xf32>)
    -> tensor<?x32xf32> {
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  %y = structured.linear
      {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 8>}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
