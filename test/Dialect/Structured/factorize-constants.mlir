// Weights that are constants in the IR: dense, dense_resource, a global.
// RUN: structured-opt %s --structured-factorize="output=%t.safetensors iterations=50" | FileCheck %s
// RUN: %python -c "from safetensors.numpy import load_file; import numpy as np; f = load_file('%t.safetensors'); [print(l, np.einsum('ipr,ijr,jrq->ipjq', f[l+'.U'], f[l+'.S'], f[l+'.Vt']).reshape(2, 2).round(3).tolist()) for l in ('dense', 'global', 'resource')]" | FileCheck --check-prefix=VALUES %s

// VALUES: dense {{\[\[}}1.0, 2.0], [3.0, 4.0]]
// VALUES: global {{\[\[}}5.0, 6.0], [7.0, 8.0]]
// VALUES: resource {{\[\[}}1.0, -1.0], [2.0, 0.5]]

ml_program.global private @w(dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>) : tensor<2x2xf32>

// CHECK: structured.blast.matmul {layer = "dense"}
// CHECK: structured.blast.matmul {layer = "resource"}
// CHECK: structured.blast.matmul {layer = "global"}
func.func @main(%x: tensor<4x2xf32>, %y0: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %dense = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %resource = arith.constant dense_resource<weight> : tensor<2x2xf32>
  %global = ml_program.global_load_const @w : tensor<2x2xf32>
  %y1 = structured.linear
      {layer = "dense", plan = #structured.plan<blast, blocks = 1 : 1, rank = 2>}
      ins(%x, %dense : tensor<4x2xf32>, tensor<2x2xf32>)
      outs(%y0 : tensor<4x2xf32>) -> tensor<4x2xf32>
  %y2 = structured.linear
      {layer = "resource", plan = #structured.plan<blast, blocks = 1 : 1, rank = 2>}
      ins(%x, %resource : tensor<4x2xf32>, tensor<2x2xf32>)
      outs(%y1 : tensor<4x2xf32>) -> tensor<4x2xf32>
  %y3 = structured.linear
      {layer = "global", plan = #structured.plan<blast, blocks = 1 : 1, rank = 2>}
      ins(%x, %global : tensor<4x2xf32>, tensor<2x2xf32>)
      outs(%y2 : tensor<4x2xf32>) -> tensor<4x2xf32>
  return %y3 : tensor<4x2xf32>
}

{-#
  dialect_resources: {
    builtin: {
      weight: "0x040000000000803F000080BF000000400000003F"
    }
  }
#-}
