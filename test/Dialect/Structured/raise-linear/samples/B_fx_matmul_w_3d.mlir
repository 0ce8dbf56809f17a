// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_8_12_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
module {
  func.func @main(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_8_12_torch.float32> : tensor<8x12xf32>
    %0 = tensor.empty() : tensor<2x8x12xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<8x12xf32>) outs(%0 : tensor<2x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x8x12xf32>
    %2 = tensor.empty() : tensor<2x4x12xf32>
    %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %4 = linalg.batch_matmul ins(%arg0, %1 : tensor<2x4x8xf32>, tensor<2x8x12xf32>) outs(%3 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    return %4 : tensor<2x4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_8_12_torch.float32: "0x0400000030B6023F57DD333F8C10A3BEC7ADDEBEAEA299BF1B9CF1BE6481293FD298E5BF1798B2BF1E8C103FAE12643F3D3307BE4D569CBF14469EBF8250213F1213003CC8211EBF96C050BE4F38F0BE03F292BF2FEA26BF5D753ABD402539BF13CD9BBE1677413F81A5953F38510A3FE561853F8C0B003FCA6D4A3F5EAD07BEA5D743BF78E0383F1481523F29A980BF724BC1BFBFD24CBF535744BF5C01BFBFC8CFE63E7D4380BF6DDCF5BF1BAB10BF0050F33E128A8ABE5F95B43F7DC0C9BF8C9D1240BA9B0DBFF0D0F6BDC8F0D6BFD8EC0F4008691CBF6D0E86BF7EAE2DBE559F81BDE5CB183F5BD944BFA6CAA43E0E3E1E40C7EDD73E7FDA27BF7A4FDCBF2F9709400D6B7EBF89D3333FF816A5BE2BAFA5BDAD77FB3E6191A03EAEAF883F3B1FBABF237703402945FB3D82AFC3BD47A80F3F26250DBF9F5273BE86E726BFF96D213E4B4D883D7EBEAD3E202044BF8938DF3EA39726BE73A30FBDDB7E5D3F554F01BC75F6E13F03E33E3F7327753F38C9993E04FBA7BA56D1B4BF2C8A3C3F5554E6BE"
    }
  }
#-}

