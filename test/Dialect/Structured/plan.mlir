// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: structured-opt %t/model.mlir --structured-plan="keep=0.5 blocks=2 write=%t/plan.json" 2>%t/err | FileCheck %t/model.mlir
// RUN: FileCheck --input-file=%t/plan.json --check-prefix=FILE %s
// RUN: FileCheck --input-file=%t/err --check-prefix=ERR %s

// The plan file, edited, is what counts.
// RUN: sed -e 's/"rank": 31/"rank": 8/' %t/plan.json > %t/edited.json
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/edited.json" 2>/dev/null | FileCheck --check-prefix=EDITED %s

// Written, read and written again, it is the same.
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/plan.json write=%t/again.json" -o /dev/null 2>/dev/null
// RUN: diff %t/plan.json %t/again.json

// Filters.
// RUN: structured-opt %t/model.mlir --structured-plan='blocks=2 layers="^fc$" min-parameters=1' 2>&1 | FileCheck --check-prefix=LAYERS %s
// RUN: structured-opt %t/model.mlir --structured-plan='blocks=2 exclude=fc' 2>&1 | FileCheck --check-prefix=EXCLUDE %s
// RUN: structured-opt %t/model.mlir --structured-plan='blocks=2 min-parameters=10000' 2>&1 | FileCheck --check-prefix=MINIMUM %s
// RUN: structured-opt %t/model.mlir --structured-plan='structure=dense' 2>&1 | FileCheck --check-prefix=DENSE %s
// RUN: structured-opt %t/model.mlir --structured-plan='blocks-out=3 blocks-in=2 keep=0.75' 2>/dev/null | FileCheck --check-prefix=UNEQUAL %s
// RUN: structured-opt %t/model.mlir --structured-plan='keep=0.001 blocks=2' 2>&1 | FileCheck --check-prefix=NORANK %s

// RUN: structured-opt %t/model.mlir --structured-plan='blocks=2 rank-multiple=16' 2>/dev/null | FileCheck --check-prefix=MULTIPLE %s

// By error: the matrix is exactly BLAST of rank 20, so the smallest multiple of
// 16 that reaches the bound is 32; noise cannot be compressed.
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors fc.weight=192x96:blast,2,20,1 odd.weight=10x15 other.weight=96x96
// RUN: structured-opt %t/model.mlir --structured-plan='blocks=2 max-error=0.01 iterations=100 weights=%t/w.safetensors' 2>&1 | FileCheck --check-prefix=ERROR %s

// FILE: "layers": [
// FILE: "b_in": 2,
// FILE: "b_out": 2,
// FILE: "dense_parameters": 18432,
// FILE: "layer": "fc",
// FILE: "parameters": 9052,
// FILE: "rank": 31,
// FILE: "shape": [
// FILE-NEXT: 192,
// FILE-NEXT: 96
// FILE: "structure": "blast"
// FILE: "layer": "odd",
// FILE: "reason": "2 : 2 blocks do not divide 10 x 15",
// FILE: "structure": "dense"
// FILE: "version": 1

// ERR-DAG: remark: layer 'odd' stays dense: 2 : 2 blocks do not divide 10 x 15
// ERR-DAG: remark: not planned: the layer has no name

// EDITED: {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 8>}
// LAYERS: remark: layer 'odd' stays dense: the option 'layers' leaves it out
// LAYERS: {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 31>}
// LAYERS: {layer = "odd", plan = #structured.plan<dense>}
// EXCLUDE: remark: layer 'fc' stays dense: the option 'exclude' leaves it out
// EXCLUDE: {layer = "fc", plan = #structured.plan<dense>}
// MINIMUM: remark: layer 'odd' stays dense: it has 150 parameters, fewer than 'min-parameters'
// DENSE: remark: layer 'fc' stays dense: the option 'structure' says so
// UNEQUAL: {layer = "fc", plan = #structured.plan<blast, blocks = 3 : 2, rank = 47>}
// MULTIPLE: {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 16>}
// NORANK: remark: layer 'fc' stays dense: keeping 0.001 of it leaves no rank
// ERROR: remark: layer 'other' stays dense: no rank with fewer parameters reaches an error of 0.01
// ERROR: {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 32>}

//--- model.mlir
// The example of the pass's description is the layer fc.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x96xf32>, %x15: tensor<4x15xf32>,
    %y0: tensor<?x192xf32>, %o0: tensor<4x10xf32>, %z0: tensor<?x96xf32>)
    -> (tensor<?x192xf32>, tensor<4x10xf32>, tensor<?x96xf32>,
        tensor<?x96xf32>) {
  %w = structured.parameter "fc.weight" : tensor<192x96xf32>
  %v = structured.parameter "odd.weight" : tensor<10x15xf32>
  %o = structured.parameter "other.weight" : tensor<96x96xf32>
  // CHECK: structured.linear {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 31>}
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x96xf32>, tensor<192x96xf32>)
      outs(%y0 : tensor<?x192xf32>) -> tensor<?x192xf32>
  // CHECK: structured.linear {layer = "odd", plan = #structured.plan<dense>}
  %y15 = structured.linear {layer = "odd"}
      ins(%x15, %v : tensor<4x15xf32>, tensor<10x15xf32>)
      outs(%o0 : tensor<4x10xf32>) -> tensor<4x10xf32>
  // CHECK: structured.linear {layer = "other", plan = #structured.plan<blast, blocks = 2 : 2, rank = 23>}
  %z = structured.linear {layer = "other"}
      ins(%x, %o : tensor<?x96xf32>, tensor<96x96xf32>)
      outs(%z0 : tensor<?x96xf32>) -> tensor<?x96xf32>
  // CHECK: structured.linear ins
  %a = structured.linear ins(%x, %o : tensor<?x96xf32>, tensor<96x96xf32>)
      outs(%z0 : tensor<?x96xf32>) -> tensor<?x96xf32>
  return %y, %y15, %z, %a : tensor<?x192xf32>, tensor<4x10xf32>,
      tensor<?x96xf32>, tensor<?x96xf32>
}
