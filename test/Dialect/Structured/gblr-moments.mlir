// Calibrated GBLR factors: other ones than data-free, with a smaller error of
// the outputs, also than the whitened SVD; refused options and moments.
// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors fc.weight=32x16
// RUN: %python %S/Inputs/write_moments.py %t/m.safetensors fc=16 shared=16
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors output=%t/free.safetensors" -o /dev/null
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors moments=%t/m.safetensors output=%t/f.safetensors report=%t/report.json work-dir=%t/work progress" 2>&1 | FileCheck %s
// RUN: %python %t/compare.py %t/w.safetensors %t/m.safetensors %t/free.safetensors %t/f.safetensors %t/report.json

// A second run takes them from the work directory; with other damping, with
// other moments and without any they are computed.
// DEFINE: %{options} =
// DEFINE: %{again} = structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/f2.safetensors work-dir=%t/work progress %{options}' -o /dev/null 2>&1 | FileCheck %s --check-prefix
// REDEFINE: %{options} = moments=%t/m.safetensors
// RUN: %{again} REUSED
// RUN: cmp %t/f.safetensors %t/f2.safetensors
// REDEFINE: %{options} = moments=%t/m.safetensors damping=0.1
// RUN: %{again} ANEW
// RUN: %python %S/Inputs/write_moments.py %t/more.safetensors fc=16 shared=16 --scale 2
// REDEFINE: %{options} = moments=%t/more.safetensors damping=0.1
// RUN: %{again} ANEW
// REDEFINE: %{options} =
// RUN: %{again} FREE
// RUN: cmp %t/free.safetensors %t/f2.safetensors

// CHECK: [1/2] fc: 32 x 16, GBLR, budget 240: error 0.{{[0-9]+}}, of the outputs 0.{{[0-9]+}}, {{[0-9.]+}} s
// CHECK: structured.parameter "fc.gblr.U"
// The weight is shared, the inputs are not.
// CHECK: structured.parameter "shared.gblr.U"
// REUSED: [1/2] fc: {{.*}}, of the outputs 0.{{[0-9]+}} (reused)
// REUSED: [2/2] shared: {{.*}}, of the outputs 0.{{[0-9]+}} (reused)
// ANEW-NOT: (reused)
// FREE: [1/2] fc: {{.*}}: error 0.{{[0-9]+}}, {{[0-9.]+}} s

// Trials for an allocation have the errors of the outputs, too.
// DEFINE: %{curves} = structured-opt %t/model.mlir --structured-plan='allocate=global structure=gblr weights=%t/w.safetensors %{options}' -o /dev/null
// REDEFINE: %{options} = moments=%t/m.safetensors write-curves=%t/curves.json
// RUN: %{curves}
// REDEFINE: %{options} = write-curves=%t/free.json
// RUN: %{curves}
// RUN: %python %t/curves.py %t/curves.json %t/free.json %t/report.json

// DEFINE: %{run} = not structured-opt %t/model.mlir --structured-factorize='weights=%t/w.safetensors output=%t/out.safetensors %{options}' 2>&1 | FileCheck %s --check-prefix
// RUN: %python %S/Inputs/write_moments.py %t/shape.safetensors fc=15
// REDEFINE: %{options} = moments=%t/shape.safetensors
// RUN: %{run} SHAPE
// SHAPE: error: layer 'fc': '{{.*}}shape.safetensors': the tensor 'fc.moment' is not an F32 tensor of 16 x 16
// RUN: %python %S/Inputs/write_moments.py %t/nan.safetensors fc=16:nan
// REDEFINE: %{options} = moments=%t/nan.safetensors
// RUN: %{run} NAN
// NAN: error: layer 'fc': second moments of the inputs: the matrix has a NaN at row 1, column 2
// RUN: %python %S/Inputs/write_moments.py %t/few.safetensors fc=16 --samples 3
// REDEFINE: %{options} = moments=%t/few.safetensors
// RUN: %{run} FEW
// FEW: error: layer 'fc': second moments of the inputs: 3 samples are too few; 16 input features take at least 4
// REDEFINE: %{options} = moments=%t/m.safetensors damping=-1
// RUN: %{run} DAMPING
// DAMPING: error: layer 'fc': the damping must be a number of at least 0
// REDEFINE: %{options} = moments=%t/m.safetensors gblr-method=energy-runs
// RUN: %{run} METHOD
// METHOD: error: layer 'fc': only the greedy method takes second moments
// RUN: not ls %t/out.safetensors

//--- model.mlir
func.func @main(%x: tensor<4x16xf32>, %x2: tensor<4x16xf32>,
    %y0: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  %y = structured.linear
      {layer = "fc", plan = #structured.plan<gblr, budget = 240>}
      ins(%x, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<4x32xf32>) -> tensor<4x32xf32>
  %z = structured.linear
      {layer = "shared", plan = #structured.plan<gblr, budget = 240>}
      ins(%x2, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
  return %z : tensor<4x32xf32>
}

//--- curves.py
import json
import sys

import numpy as np

curves, free = ({layer["layer"]: layer["curves"][0]["points"]
                 for layer in json.load(open(path))["layers"]} for path in sys.argv[1:3])
for entry in json.load(open(sys.argv[3])):
    def trial(points):
        """The error that the curve tells for this many parameters."""
        parameters, errors = np.array(points).T
        assert (np.diff(errors) < 0).all(), points
        return np.exp(np.interp(entry["budget"], parameters, np.log(errors)))
    calibrated = trial(curves[entry["layer"]])
    # Of less effort than the factors, and between two sizes.
    assert 0.95 * entry["output_error"] < calibrated < 1.6 * entry["output_error"], \
        (entry, calibrated)
    assert calibrated < 0.8 * trial(free[entry["layer"]]), (entry, curves, free)

//--- compare.py
import json
import sys

import numpy as np
from safetensors.numpy import load_file

weights, moments, free, factors = map(load_file, sys.argv[1:5])
report = {entry["layer"]: entry for entry in json.load(open(sys.argv[5]))}
w, c = weights["fc.weight"].astype(np.float64), moments["fc.moment"].astype(np.float64)


def output_error(dense):
    e = w - dense
    return np.sqrt(np.trace(e @ c @ e.T) / np.trace(w @ c @ w.T))


def errors(f):
    dense, u_offset, v_offset = np.zeros((32, 16)), 0, 0
    for row, rows, col, cols, rank in f["fc.gblr.components"]:
        u = f["fc.gblr.U"][u_offset:u_offset + rank * rows].reshape(rank, rows)
        v = f["fc.gblr.V"][v_offset:v_offset + rank * cols].reshape(rank, cols)
        dense[np.ix_((row + np.arange(rows)) % 32, (col + np.arange(cols)) % 16)] += u.T @ v
        u_offset, v_offset = u_offset + rank * rows, v_offset + rank * cols
    assert u_offset + v_offset <= 240
    return np.linalg.norm(w - dense) / np.linalg.norm(w), output_error(dense)


plain, output = errors(factors)
assert abs(plain - report["fc"]["relative_error"]) < 1e-5, (plain, report)
assert abs(output - report["fc"]["output_error"]) < 1e-5, (output, report)
free_plain, free_output = errors(free)
assert output < 0.5 * free_output, (output, free_output)
assert plain > free_plain, (plain, free_plain)

# The whitened SVD of the same number of parameters.
root = np.linalg.cholesky(c + 0.01 * np.trace(c) / 16 * np.eye(16))
u, s, vt = np.linalg.svd(w @ root)
rank = 240 // (32 + 16)
svd = output_error((u[:, :rank] * s[:rank]) @ vt[:rank] @ np.linalg.inv(root))
assert output < svd, (output, svd)
