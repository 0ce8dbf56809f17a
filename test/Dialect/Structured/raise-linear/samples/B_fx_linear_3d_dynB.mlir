// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<?x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<?x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<?x12xf32>) -> tensor<?x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @main(%arg0: tensor<?x4x8xf32>) -> tensor<?x4x12xf32> {
    %c0 = arith.constant 0 : index
    %c0_i64 = arith.constant 0 : i64
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %dim = tensor.dim %arg0, %c0 : tensor<?x4x8xf32>
    %1 = arith.index_cast %dim : index to i64
    %2 = arith.cmpi sge, %1, %c0_i64 : i64
    cf.assert %2, "negative values not allowed in new dimensions"
    %3 = tensor.empty(%dim) : tensor<?x8x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xf32>) outs(%3 : tensor<?x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x8x12xf32>
    %5 = tensor.empty(%dim) : tensor<?x4x12xf32>
    %6 = linalg.fill ins(%cst : f32) outs(%5 : tensor<?x4x12xf32>) -> tensor<?x4x12xf32>
    %7 = linalg.batch_matmul ins(%arg0, %4 : tensor<?x4x8xf32>, tensor<?x8x12xf32>) outs(%6 : tensor<?x4x12xf32>) -> tensor<?x4x12xf32>
    %8 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%7, %cst_1 : tensor<?x4x12xf32>, tensor<12xf32>) outs(%5 : tensor<?x4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %9 = arith.addf %in, %in_2 : f32
      linalg.yield %9 : f32
    } -> tensor<?x4x12xf32>
    return %8 : tensor<?x4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x040000003566A7BEA121033EF0E297BDE580393EFF248DBEC7DE3A3D1685A6BE7217A1BE52A4A7BD5FFFE0BDFAF30ABE53DF953E8BAC2B3E6EF286BDDDB5A5BE1E2D8FBE1FA533BEE03D5C3E3223E03DDFDA1EBECB373EBC50DF78BE4834A4BD6D80973EA1F4AABEFFAA70BE34295A3E8FC69EBE2AB53DBE8D23ACBEE25B93BC4AF122BC4E38523EC3AAB63D22AC3CBE8853543E40A2A73EA1A0773E18DDAEBEF4D26DBEA34FB1BDE2438BBE0C3405BD63F48C3D432347BD6FFA973E148C8A3D6CF6473EFA100A3E36C7273EF8160DBEA4D7B6BA494B93BD6C25B7BB23A6D0BBD17334BC28B82DBD93A97CBD626E863E8A52A5BE62C5E5BDD09FF7BDC97EF1BD6B07B2BD2B6639BE78094CBE33EBEC3D7E354F3E4F6B9FBD68AB22BEDBBC6D3E5565B2BE211AB23EC3AD5FBEAC26083ED7A974BE4B1096BEA5A5B2BE1EE8703E58617BBD642B7C3EC7ADDABD5B218DBD2DBD193EF007D63C1CCFA53DBB9CFD3D852825BDE001963E5924C6BD169AA9BE7DF04F3EA8EF6DBE339D8BBEDAFD8FBDE92AB13E",
      torch_tensor_12_torch.float32: "0x04000000D0E69F3E16A2453E0529AB3EF7C6863DCB7D8BBE6823A33C802F24BE3E9C4B3D534A3BBE69A7813EAF6F273E4142603E"
    }
  }
#-}

