// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @main(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<2x8x12xf32>
    %2 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xf32>) outs(%1 : tensor<2x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x8x12xf32>
    %3 = tensor.empty() : tensor<2x4x12xf32>
    %4 = linalg.fill ins(%cst : f32) outs(%3 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %5 = linalg.batch_matmul ins(%arg0, %2 : tensor<2x4x8xf32>, tensor<2x8x12xf32>) outs(%4 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %6 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%5, %cst_1 : tensor<2x4x12xf32>, tensor<12xf32>) outs(%3 : tensor<2x4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %7 = arith.addf %in, %in_2 : f32
      linalg.yield %7 : f32
    } -> tensor<2x4x12xf32>
    return %6 : tensor<2x4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x0400000067CDA23D01FEDB3D0B7D533ECB4C733CA4F899BE06AD2CBE1B7F083E711815BEC84F48BE2B81A23EA75E90BE45F680BE81950EBE30E0FE3C5C87D43CFEBB41BE2F7193BE5F51C03BAC19823E30A3FCBD092A55BD0589AABE8EB921BEF8DEA2BEB0EE793D37F1AC3EDA7A00BDDA67A03E035DCDBD37EB02BEF236983EE63AB03EDDE069BE1212CB3D67A94F3E7838A0BEF184893E73C694BEE54EB2BEFA8C983E4B6B83BE538CFB3DF8EB06BE71EE1F3E3BD39BBD9F201D3E96C81EBE304A553E1BB57FBED68CA63D768B80BEA07F213EF6A6CBBD546A6C3CDB8F7EBE9DEAE6BDCEEE153E6093E1BC01918B3ED719663EE763823E4388393E331177BDF6BF2EBEBAD25D3D228C54BD1CBF043DB01B8D3E7181873E9F109BBDDA2C8B3ED3F78BBEDCA963BB9B35963E4FFD7F3EA0EDA0BE71048CBE6708B8BDD25E633E9E8A15BE01D31CBDC388AFBE57F751BD60FF463DD014F03D53D2C93DA82767BE975B463E4C40DC3D3A1A1C3DA4C181BE970E81BEF4EBB9BD3CFBA8BE741F1EBEA18D843E",
      torch_tensor_12_torch.float32: "0x0400000007A5D53CECEE1ABED0A4843D21C094BEF7A3753E4D2DDF3DBC888BBCEAE22F3E65D589BE273017BE86B40DBD83FE983E"
    }
  }
#-}

