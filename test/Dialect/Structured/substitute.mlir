// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/f.safetensors fc.U=2x16x4 fc.S=2x2x4 fc.Vt=2x4x8 g.gblr.U=16 g.gblr.V=13 g.gblr.components=2x5:values,10,4,0,3,1,0,6,2,5,2
// RUN: structured-opt %t/model.mlir --structured-substitute="factors=%t/f.safetensors" 2>%t/err | FileCheck %t/model.mlir
// RUN: FileCheck --input-file=%t/err --check-prefix=ERR %s
// RUN: structured-opt %t/model.mlir --structured-substitute='factors=%t/f.safetensors layers="^g$"' 2>&1 | FileCheck --check-prefix=LAYERS %s

// ERR: remark: not substituted: '{{.*}}f.safetensors' holds no factors of layer 'other'
// LAYERS: remark: not substituted: the option 'layers' leaves it out
// LAYERS: structured.linear {layer = "fc"}
// LAYERS: structured.gblr.matmul

// What is wrong with a file of factors.
// DEFINE: %{tensors} =
// DEFINE: %{run} = %python %S/Inputs/write_tensors.py %t/bad.safetensors %{tensors} && not structured-opt %t/model.mlir --structured-substitute='factors=%t/bad.safetensors' 2>&1 | FileCheck %s --check-prefix
// REDEFINE: %{tensors} = fc.U=2x16x4 fc.S=2x2x4
// RUN: %{run} SOME
// SOME: error: '{{.*}}bad.safetensors' holds some but not all factors of layer 'fc': it needs .U, .S and .Vt
// REDEFINE: %{tensors} = fc.U=2x16x4 fc.S=4x2x2 fc.Vt=2x4x8
// RUN: %{run} ORDER
// ORDER: error: layer 'fc': factors U 2 x 16 x 4, S 4 x 2 x 2, Vt 2 x 4 x 8 in '{{.*}}' do not make up a matrix of 32 x 16; expected U [b_out, p, r], S [b_out, b_in, r], Vt [b_in, r, q]
// REDEFINE: %{tensors} = fc.U=2x16x4 fc.S=2x2x4 fc.Vt=2x4x8:f16
// RUN: %{run} TYPE
// TYPE: error: layer 'fc': 'fc.Vt' in '{{.*}}' must be F32 of rank 3, got F16 of rank 3
// REDEFINE: %{tensors} = fc.U=32x4 fc.S=2x2x4 fc.Vt=2x4x8
// RUN: %{run} RANK
// RANK: error: layer 'fc': 'fc.U' in '{{.*}}' must be F32 of rank 3, got F32 of rank 2
// REDEFINE: %{tensors} = g.gblr.U=16 g.gblr.V=13 g.gblr.components=2x5:values,12,4,0,3,1,0,6,2,5,2
// RUN: %{run} PERIOD
// PERIOD: error: layer 'g': 'g.gblr.components' in '{{.*}}': component 0: rows 12 + 4 do not lie in a period of 12
// REDEFINE: %{tensors} = g.gblr.U=15 g.gblr.V=13 g.gblr.components=2x5:values,10,4,0,3,1,0,6,2,5,2
// RUN: %{run} SIZE
// SIZE: error: layer 'g': the components in '{{.*}}' need 16 numbers in U and 13 in V, the file has 15 and 13
// REDEFINE: %{tensors} = g.gblr.U=16 g.gblr.V=13 g.gblr.components=10:i64
// RUN: %{run} COMPONENTS
// COMPONENTS: error: layer 'g': 'g.gblr.components' in '{{.*}}' must be I64 of shape K x 5
// REDEFINE: %{tensors} = fc.U=2x16x4 fc.S=2x2x4 fc.Vt=2x4x8 fc.gblr.U=4
// RUN: %{run} TWO
// TWO: error: '{{.*}}' holds both BLAST and GBLR factors of layer 'fc'
// RUN: not structured-opt %t/model.mlir --structured-substitute 2>&1 | FileCheck %s --check-prefix=NOFILE
// NOFILE: error: structured-substitute: the option 'factors' names no file
// RUN: not structured-opt %t/model.mlir --structured-substitute=factors=%t/none 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: {{.*}}none{{.*}}No such file
// RUN: not structured-opt %t/model.mlir --structured-substitute='factors=%t/f.safetensors layers="("' 2>&1 | FileCheck %s --check-prefix=REGEX
// REGEX: error: structured-substitute: 'layers=(' is no regular expression

//--- model.mlir
// The example of the pass's description is the layer fc.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x16xf32>, %y0: tensor<?x32xf32>,
    %x8: tensor<4x8xf32>, %y12: tensor<4x12xf32>)
    -> (tensor<?x32xf32>, tensor<4x12xf32>) {
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  // CHECK-DAG: %[[U:.*]] = structured.parameter "fc.U" : tensor<2x16x4xf32>
  // CHECK-DAG: %[[S:.*]] = structured.parameter "fc.S" : tensor<2x2x4xf32>
  // CHECK-DAG: %[[VT:.*]] = structured.parameter "fc.Vt" : tensor<2x4x8xf32>
  // CHECK: structured.blast.matmul {layer = "fc"} ins(%{{.*}}, %[[U]], %[[S]], %[[VT]]
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  // CHECK-DAG: %[[GU:.*]] = structured.parameter "g.gblr.U" : tensor<16xf32>
  // CHECK-DAG: %[[GV:.*]] = structured.parameter "g.gblr.V" : tensor<13xf32>
  // CHECK: structured.gblr.matmul layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 2 + 5, rank 2>]> {layer = "g"} ins(%{{.*}}, %[[GU]], %[[GV]]
  %v = structured.parameter "g.weight" : tensor<12x8xf32>
  %g = structured.linear {layer = "g"}
      ins(%x8, %v : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y12 : tensor<4x12xf32>) -> tensor<4x12xf32>
  // CHECK: structured.linear {layer = "other"}
  %z = structured.linear {layer = "other"}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %z, %g : tensor<?x32xf32>, tensor<4x12xf32>
}
