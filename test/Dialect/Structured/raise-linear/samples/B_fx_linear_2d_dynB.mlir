// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<?x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<?x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<?x12xf32>) -> tensor<?x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @main(%arg0: tensor<?x8xf32>) -> tensor<?x12xf32> {
    %c0 = arith.constant 0 : index
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %dim = tensor.dim %arg0, %c0 : tensor<?x8xf32>
    %1 = tensor.empty(%dim) : tensor<?x12xf32>
    %2 = linalg.fill ins(%cst : f32) outs(%1 : tensor<?x12xf32>) -> tensor<?x12xf32>
    %3 = linalg.matmul ins(%arg0, %transposed : tensor<?x8xf32>, tensor<8x12xf32>) outs(%2 : tensor<?x12xf32>) -> tensor<?x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel"]} ins(%3, %cst_1 : tensor<?x12xf32>, tensor<12xf32>) outs(%1 : tensor<?x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %5 = arith.addf %in, %in_2 : f32
      linalg.yield %5 : f32
    } -> tensor<?x12xf32>
    return %4 : tensor<?x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x04000000CB97293EC9908ABD2ABD08BE9567803DA042C1BD16ACD8BD6F257EBE1B15923E9C1CB2BD497530BEDF352D3D6BD934BD07E0A4BE076221BE041E16BE357383BE339E813ED2A98A3B00C81CBE671497BEA3D8AB3EC478773E3EB8A5BEEF6AE63D4CE0223E8B29F4BDD4AC03BE9DD14A3CFCB5883EFBB21FBE2EFE25BE2BF5003E16F1C0BC1B0D6D3ECF74B2BE39FDCC3B13E3843E9A9F5CBE1A6276BE4A5A35BE6BD0483E3DAF96BE6F54393EADAEBEBC9E592A3E53714CBE4F3C9D3ED9F0003E47637D3E0E32EBBC0A2097BED00A82BE3B02223EE1311F3D7FBB97BDCF58A3BEBEB81C3E0E201FBE3B7888BE8F79AB3E4F74A23EFE7989BE4E5182BE8F4F893EE9CCAC3EFB7BB63D5449AFBD13D8463E59576E3E7903983EBEBD21BDC6B917BD1C5B9BBE4C57ED3C7799703E91903A3E4EFC6E3E59E1653ECED2223E69A5303E5E4C9BBEE707B2BD09C6973E0BEC08BEC145583B109815BED30184BDDD178B3E7C44BCBD734DA23E1758333E73A054BE5AD0B13BFFCF013EABB1FB3DD034133D",
      torch_tensor_12_torch.float32: "0x04000000C862A93E307783BCA134F53D827D103DCB4C0A3E647D133EDB7F2EBE0976473E25FCA93D5562B33EB2A4A3BD85154F3D"
    }
  }
#-}

