// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @main(%arg0: tensor<1x4x8xf32>) -> tensor<1x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<1x8x12xf32>
    %2 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xf32>) outs(%1 : tensor<1x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x8x12xf32>
    %3 = tensor.empty() : tensor<1x4x12xf32>
    %4 = linalg.fill ins(%cst : f32) outs(%3 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %5 = linalg.batch_matmul ins(%arg0, %2 : tensor<1x4x8xf32>, tensor<1x8x12xf32>) outs(%4 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %6 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%5, %cst_1 : tensor<1x4x12xf32>, tensor<12xf32>) outs(%3 : tensor<1x4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %7 = arith.addf %in, %in_2 : f32
      linalg.yield %7 : f32
    } -> tensor<1x4x12xf32>
    return %6 : tensor<1x4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x04000000609D63BEF30C48BE58FB893D605089BDD7FE9C3ECFFE73BE53528D3C280D403EC74E93BE8A26ACBE085084BE56A70C3DC6B4533D4D1E663D28317A3E7D2A533C7372593D3D172CBE954FA6BD35CC013E1B0D94BE11028DBE7032783EE711063D670B5B3EC6F98D3D91E3A53EBDF553BDD43709BE52FAA23EE00757BE6C11093E04CB18BE556998BD4C329F3E622E26BE16EA00B9F83AB0BE3BCC2F3ECBC3AB3ECB65A9BECDC50FBE974A023E97AD5C3DDC3E6F3EFDD9223E99DAD8BCC73055BED806F13CE493E43D15225B3EB2BAAFBE5794B1BE8A4F37BD8437933E8C00293EC2B6983EA0F220BED8EA253C6B26653E27B1A93E6A396F3DB48BE6BD3E8D93BEE6F9173CDA17FB3DE689863E6A0AFB3D666A2ABE84972DBE7278E03D54159FBDC9C06A3DCD55833D979607BE3FE61DBE63A8E2BD0F3A0DBD6C73A83E908074BCB1643EBEB44A963E31088EBEF57287BE493243BEFF1E58BE1712B3BE79CE80BEB2FD35BE4A54F2BDCE3D8DBE2EED113E17D5AE3EDB5497BEEEEF93BE6A5AA1BD",
      torch_tensor_12_torch.float32: "0x040000009A8545BD63D3AA3E3B5F99BD0AEB043C5107ADBEAC77643E9A01863EDE181A3D3FB29CBE0AE22FBDFE0BFEBDD4982E3E"
    }
  }
#-}

