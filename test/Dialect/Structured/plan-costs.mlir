// RUN: structured-opt %s --structured-plan="keep=0.5 blocks=16 rank-multiple=16 costs=h200 dynamic-tokens=64 write=%t.json" 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARKS < %t.remarks
// RUN: FileCheck %s --check-prefix=FILE < %t.json
// RUN: structured-opt %s --structured-plan="keep=0.5 blocks=16 dynamic-tokens=64" 2>/dev/null | FileCheck %s --check-prefix=ALL
// RUN: not structured-opt %s --structured-plan="costs=missing" 2>&1 | FileCheck %s --check-prefix=MISSING

// Layers that BLAST does not make faster on the GPU stay dense: a small one of
// 64 tokens, not a large one of 4096, and none whose type was not measured.

// CHECK-LABEL: func.func @main
// CHECK: {layer = "small", plan = #structured.plan<dense>}
// CHECK: {layer = "large", plan = #structured.plan<blast, blocks = 16 : 16, rank = 2016>}
// CHECK: {layer = "f32", plan = #structured.plan<blast, blocks = 16 : 16, rank =
// REMARKS: remark: layer 'small' has a dynamic number of tokens; it counts as 64
// REMARKS: remark: layer 'small' stays dense: estimated {{[0-9.]+}} us against {{[0-9.]+}} us dense, for 64 tokens on NVIDIA H200
// REMARKS-NOT: stays dense
// FILE: "reason": "estimated
// ALL: {layer = "small", plan = #structured.plan<blast, blocks = 16 : 16, rank =
// MISSING: error: structured-plan: cost table: 'missing' is neither one of h200
func.func @main(%x: tensor<?x2048xbf16>, %y0: tensor<?x2048xbf16>, %big: tensor<4096x8192xf16>, %z0: tensor<4096x8192xf16>,
                %f: tensor<64x2048xf32>, %v0: tensor<64x2048xf32>) -> (tensor<?x2048xbf16>, tensor<4096x8192xf16>, tensor<64x2048xf32>) {
  %w = structured.parameter "small.weight" : tensor<2048x2048xbf16>
  %y = structured.linear {layer = "small"} ins(%x, %w : tensor<?x2048xbf16>, tensor<2048x2048xbf16>)
      outs(%y0 : tensor<?x2048xbf16>) -> tensor<?x2048xbf16>
  %wl = structured.parameter "large.weight" : tensor<8192x8192xf16>
  %z = structured.linear {layer = "large"} ins(%big, %wl : tensor<4096x8192xf16>, tensor<8192x8192xf16>)
      outs(%z0 : tensor<4096x8192xf16>) -> tensor<4096x8192xf16>
  %wf = structured.parameter "f32.weight" : tensor<2048x2048xf32>
  %v = structured.linear {layer = "f32"} ins(%f, %wf : tensor<64x2048xf32>, tensor<2048x2048xf32>)
      outs(%v0 : tensor<64x2048xf32>) -> tensor<64x2048xf32>
  return %y, %z, %v : tensor<?x2048xbf16>, tensor<4096x8192xf16>, tensor<64x2048xf32>
}
