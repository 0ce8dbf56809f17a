// Calibrated factors: other ones than data-free, with a smaller error of the
// outputs; refused moments.
// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors fc.weight=32x16
// RUN: %python %S/Inputs/write_moments.py %t/m.safetensors fc=16 shared=16
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors output=%t/free.safetensors" -o /dev/null
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors moments=%t/m.safetensors output=%t/f.safetensors report=%t/report.json work-dir=%t/work progress" 2>&1 | FileCheck %s
// RUN: %python %t/compare.py %t/w.safetensors %t/m.safetensors %t/free.safetensors %t/f.safetensors %t/report.json

// A second run takes them from the work directory; other moments do not.
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors moments=%t/m.safetensors output=%t/f2.safetensors work-dir=%t/work progress" -o /dev/null 2>&1 | FileCheck %s --check-prefix=REUSED
// RUN: cmp %t/f.safetensors %t/f2.safetensors
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors moments=%t/m.safetensors damping=0.1 output=%t/f2.safetensors work-dir=%t/work progress" -o /dev/null 2>&1 | FileCheck %s --check-prefix=ANEW

// CHECK: [1/2] fc: {{.*}}: error 0.{{[0-9]+}}, of the outputs 0.{{[0-9]+}}, {{[0-9.]+}} s
// CHECK: structured.parameter "fc.U"
// The weight is shared, the inputs are not.
// CHECK: structured.parameter "shared.U"
// REUSED: [1/2] fc: {{.*}}, of the outputs 0.{{[0-9]+}} (reused)
// ANEW-NOT: (reused)

// DEFINE: %{moments} =
// DEFINE: %{run} = not structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/out.safetensors %{moments}' 2>&1 | FileCheck %s --check-prefix

// REDEFINE: %{moments} = moments=%t/none.safetensors
// RUN: %{run} NONE
// NONE: error: structured-factorize: {{.*}}none.safetensors{{.*}}No such file
// REDEFINE: %{moments} = moments=%t/w.safetensors
// RUN: %{run} NOMOMENTS
// NOMOMENTS: error: structured-factorize: '{{.*}}w.safetensors' is no file of second moments: its metadata has no number 'samples'
// RUN: %python %S/Inputs/write_moments.py %t/other.safetensors other=16
// REDEFINE: %{moments} = moments=%t/other.safetensors
// RUN: %{run} OTHER
// OTHER: error: layer 'fc': {{.*}}other.safetensors: no tensor 'fc.moment'
// RUN: %python %S/Inputs/write_moments.py %t/shape.safetensors fc=15
// REDEFINE: %{moments} = moments=%t/shape.safetensors
// RUN: %{run} SHAPE
// SHAPE: error: layer 'fc': '{{.*}}shape.safetensors': the tensor 'fc.moment' is not an F32 tensor of 16 x 16
// RUN: %python %S/Inputs/write_moments.py %t/f64.safetensors fc=16:f64
// REDEFINE: %{moments} = moments=%t/f64.safetensors
// RUN: %{run} F64
// F64: error: layer 'fc': {{.*}} is not an F32 tensor
// RUN: %python %S/Inputs/write_moments.py %t/nan.safetensors fc=16:nan
// REDEFINE: %{moments} = moments=%t/nan.safetensors
// RUN: %{run} NAN
// NAN: error: layer 'fc': second moments of the inputs: the matrix has a NaN at row 1, column 2
// RUN: %python %S/Inputs/write_moments.py %t/asymmetric.safetensors fc=16:asymmetric
// REDEFINE: %{moments} = moments=%t/asymmetric.safetensors
// RUN: %{run} ASYMMETRIC
// ASYMMETRIC: error: layer 'fc': second moments of the inputs: the matrix is not symmetric at row 2, column 1
// RUN: %python %S/Inputs/write_moments.py %t/zero.safetensors fc=16:zero
// REDEFINE: %{moments} = moments=%t/zero.safetensors
// RUN: %{run} ZERO
// ZERO: error: layer 'fc': second moments of the inputs: the matrix is zero
// RUN: %python %S/Inputs/write_moments.py %t/few.safetensors fc=16 --samples 3
// REDEFINE: %{moments} = moments=%t/few.safetensors
// RUN: %{run} FEW
// FEW: error: layer 'fc': second moments of the inputs: 3 samples are too few; 16 input features take at least 4
// REDEFINE: %{moments} = moments=%t/m.safetensors damping=-1
// RUN: %{run} DAMPING
// DAMPING: error: layer 'fc': the damping must be a number of at least 0
// REDEFINE: %{moments} = moments=%t/m.safetensors method=gradient
// RUN: %{run} METHOD
// METHOD: error: layer 'fc': only alternating least squares takes second moments
// RUN: not ls %t/out.safetensors

//--- model.mlir
func.func @main(%x: tensor<4x16xf32>, %x2: tensor<4x16xf32>,
    %y0: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  %y = structured.linear
      {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 6>}
      ins(%x, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<4x32xf32>) -> tensor<4x32xf32>
  %z = structured.linear
      {layer = "shared", plan = #structured.plan<blast, blocks = 2 : 2, rank = 6>}
      ins(%x2, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
  return %z : tensor<4x32xf32>
}

//--- compare.py
import json
import sys

import numpy as np
from safetensors.numpy import load_file

weights, moments, free, factors = map(load_file, sys.argv[1:5])
report = {entry["layer"]: entry for entry in json.load(open(sys.argv[5]))}
w, c = weights["fc.weight"].astype(np.float64), moments["fc.moment"].astype(np.float64)


def errors(f):
    dense = np.einsum("ipr,ijr,jrq->ipjq", f["fc.U"], f["fc.S"], f["fc.Vt"]).reshape(32, 16)
    e = w - dense
    return (np.linalg.norm(e) / np.linalg.norm(w),
            np.sqrt(np.trace(e @ c @ e.T) / np.trace(w @ c @ w.T)))


plain, output = errors(factors)
assert abs(plain - report["fc"]["relative_error"]) < 1e-5, (plain, report)
assert abs(output - report["fc"]["output_error"]) < 1e-5, (output, report)
free_plain, free_output = errors(free)
assert output < 0.5 * free_output, (output, free_output)
assert plain > free_plain, (plain, free_plain)
