// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @main(%arg0: tensor<4x8xf32>) -> tensor<4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<4x12xf32>
    %2 = linalg.fill ins(%cst : f32) outs(%1 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %3 = linalg.matmul ins(%arg0, %transposed : tensor<4x8xf32>, tensor<8x12xf32>) outs(%2 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel"]} ins(%3, %cst_1 : tensor<4x12xf32>, tensor<12xf32>) outs(%1 : tensor<4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %5 = arith.addf %in, %in_2 : f32
      linalg.yield %5 : f32
    } -> tensor<4x12xf32>
    return %4 : tensor<4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x0400000012B841BEA580383E34CA993C4673E93DC1ADB0BD63A76B3E0D47FB3D8D93C4BD011A4BBEE91B4EBD819D2D3E2F12313E0EEFEEBD963F2A3EB0B25BBE1338C73C7D5345BE04211D3EEADB43BE4D9F86BEC00BA5BB4044213EAB4C9D3E41AD0F3E99590EBEC78C5BBD42AACEBDD3F990BD038D3B3E785F42BE12FB84BECF60543E128E7BBD76D5003E7D43673EE8B7993DEEC58A3C8DB12A3EDA3B5FBED50F35BE536A993D9CA11DBE5A385ABE5E49C5BD4434163EC464413E9FE9C8BC56CEF13C34A19F3D7592183D6305033E7C2C8B3E3647473ECF8F93BEDBEE873E1B5B9D3E7DDB333E38F3AB3EF67684BDF6582B3E147379BEF5B7073EC8CBAF3EC77A233D124D75BE7CEEA23D62546FBED604463C0963773EC3EE02BD14D6BDBD6B6B693E9C37FABD02CAA4BED9F94FBE0C08823DF5308DBD87E94BBEABE401BD0D1BC9BD7AFD7ABE6EB984BD74ABAA3E12F8A03E43B94EBEAC3D8D3E3B5D3D3E6D1D87BE5A1E373A2662E03D3C33B2BDDB42203E55D24E3EAB086F3DE61F813E8E4DF9BD",
      torch_tensor_12_torch.float32: "0x04000000D19FADBEE281BABDFEAF653E990AB1BE7DA8A9BD9829553E6B16953D9507853EE479893E028890BEC8C2D33CFD2E9B3E"
    }
  }
#-}

