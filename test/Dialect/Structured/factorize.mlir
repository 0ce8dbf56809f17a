// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors fc.weight=32x16:blast,2,4,1 noise.weight=32x16 half.weight=32x16:f16
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors output=%t/f.safetensors report=%t/report.json iterations=200 progress" 2>%t/err | FileCheck %t/model.mlir
// RUN: FileCheck --input-file=%t/err --check-prefix=ERR %s
// RUN: FileCheck --input-file=%t/report.json --check-prefix=REPORT %s
// RUN: %python %S/Inputs/check_factors.py %t/f.safetensors %t/w.safetensors "transposed=noise.weight'" | FileCheck --check-prefix=FACTORS %s

// The work directory is removed at the end, unless it was asked for; then a
// second run takes the layers from it, with the same result.
// RUN: not ls %t/f.safetensors.work
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors output=%t/f1.safetensors work-dir=%t/work iterations=200 progress" -o /dev/null 2>/dev/null
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors output=%t/f2.safetensors work-dir=%t/work iterations=200 progress" -o /dev/null 2>&1 | FileCheck --check-prefix=REUSED %s
// RUN: cmp %t/f1.safetensors %t/f2.safetensors
// RUN: cmp %t/f.safetensors %t/f2.safetensors
// RUN: ls %t | not grep tmp

// With a bound on the error, what cannot be compressed stays dense.
// RUN: structured-opt %t/model.mlir --structured-factorize="weights=%t/w.safetensors output=%t/b.safetensors report=%t/bound.json iterations=200 max-error=0.1" 2>&1 | FileCheck --check-prefix=BOUND %s
// RUN: FileCheck --input-file=%t/bound.json --check-prefix=BOUNDREPORT %s

// ERR-DAG: [1/5] fc: 32 x 16, blocks 2 : 2, rank 4: error 0.0{{[0-9]+}}, {{[0-9.]+}} s
// ERR-DAG: remark: layer 'argument' stays dense: its weight is not a parameter or a constant

// FACTORS: fc: float32 (2, 16, 4) (2, 2, 4) (2, 4, 8) error 0.0{{[0-9]+}}
// FACTORS-NEXT: half: float16 (2, 16, 4) (2, 2, 4) (2, 4, 8) error 0.{{[4-9][0-9]+}}
// FACTORS-NEXT: transposed: float32 (4, 4, 4) (4, 2, 4) (2, 4, 16) error 0.{{[4-9][0-9]+}}

// REUSED: [1/5] fc: {{.*}} error 0.0{{[0-9]+}} (reused)
// REUSED: [4/5] half: {{.*}} (reused)

// REPORT: "b_in": 2,
// REPORT: "decision": "kept",
// REPORT: "dense_parameters": 512,
// REPORT: "layer": "fc",
// REPORT: "multiply_adds": 208,
// REPORT: "parameters": 208,
// REPORT: "rank": 4,
// REPORT: "relative_error":
// REPORT: "layer": "shared",
// REPORT: "shares_factors_of": "fc"
// REPORT: "decision": "refused",
// REPORT: "layer": "argument",
// REPORT: "reason": "its weight is not a parameter or a constant",

// BOUND: remark: layer 'transposed' stays dense: its relative error would be 0.{{[0-9]+}}, more than max-error
// BOUND: structured.blast.matmul {layer = "fc"}
// BOUND: structured.linear {layer = "transposed"
// BOUNDREPORT: "decision": "refused",

//--- model.mlir
// The example of the pass's description is the layer fc.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<?x16xf32>
func.func @main(%x: tensor<?x16xf32>, %x32: tensor<4x32xf32>,
    %xh: tensor<4x16xf16>, %v: tensor<32x16xf32>, %y0: tensor<?x32xf32>,
    %y16: tensor<4x16xf32>, %yh: tensor<4x32xf32>)
    -> (tensor<?x32xf32>, tensor<4x16xf32>, tensor<4x32xf32>) {
  // CHECK-DAG: %[[U:.*]] = structured.parameter "fc.U" : tensor<2x16x4xf32>
  // CHECK-DAG: %[[S:.*]] = structured.parameter "fc.S" : tensor<2x2x4xf32>
  // CHECK-DAG: %[[VT:.*]] = structured.parameter "fc.Vt" : tensor<2x4x8xf32>
  // CHECK: structured.blast.matmul {layer = "fc"} ins(%[[X]], %[[U]], %[[S]], %[[VT]]
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  %y = structured.linear
      {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 4>}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  // The same weight and plan: the same factors.
  // CHECK: structured.parameter "fc.U"
  // CHECK: structured.blast.matmul {layer = "shared"}
  %ys = structured.linear
      {layer = "shared", plan = #structured.plan<blast, blocks = 2 : 2, rank = 4>}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  // Through a transpose of the stored weight.
  // CHECK: structured.parameter "transposed.U" : tensor<4x4x4xf32>
  // CHECK: structured.blast.matmul {layer = "transposed"}
  %n = structured.parameter "noise.weight" : tensor<32x16xf32>
  %empty = tensor.empty() : tensor<16x32xf32>
  %nt = linalg.transpose ins(%n : tensor<32x16xf32>)
      outs(%empty : tensor<16x32xf32>) permutation = [1, 0]
  %yt = structured.linear
      {layer = "transposed", plan = #structured.plan<blast, blocks = 4 : 2, rank = 4>}
      ins(%x32, %nt : tensor<4x32xf32>, tensor<16x32xf32>)
      outs(%y16 : tensor<4x16xf32>) -> tensor<4x16xf32>
  // Factors have the weight's type.
  // CHECK: structured.parameter "half.Vt" : tensor<2x4x8xf16>
  // CHECK: structured.blast.matmul {layer = "half"}
  %h = structured.parameter "half.weight" : tensor<32x16xf16>
  %yhalf = structured.linear
      {layer = "half", plan = #structured.plan<blast, blocks = 2 : 2, rank = 4>}
      ins(%xh, %h : tensor<4x16xf16>, tensor<32x16xf16>)
      outs(%yh : tensor<4x32xf32>) -> tensor<4x32xf32>
  // An argument has no numbers yet.
  // CHECK: structured.linear {layer = "argument"
  %ya = structured.linear
      {layer = "argument", plan = #structured.plan<blast, blocks = 2 : 2, rank = 4>}
      ins(%x, %v : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%ys : tensor<?x32xf32>) -> tensor<?x32xf32>
  // No plan, or a dense one: nothing to do.
  // CHECK: structured.linear {layer = "plain"}
  %yp = structured.linear {layer = "plain"}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%ya : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %yp, %yt, %yhalf : tensor<?x32xf32>, tensor<4x16xf32>, tensor<4x32xf32>
}
