// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @main(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %collapsed = tensor.collapse_shape %arg0 [[0, 1], [2]] : tensor<2x4x8xf32> into tensor<8x8xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_1 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<8x12xf32>) -> tensor<8x12xf32>
    %2 = linalg.matmul ins(%collapsed, %transposed : tensor<8x8xf32>, tensor<8x12xf32>) outs(%1 : tensor<8x12xf32>) -> tensor<8x12xf32>
    %3 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel"]} ins(%2, %cst_0 : tensor<8x12xf32>, tensor<12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %4 = arith.addf %in, %in_2 : f32
      linalg.yield %4 : f32
    } -> tensor<8x12xf32>
    %expanded = tensor.expand_shape %3 [[0, 1], [2]] output_shape [2, 4, 12] : tensor<8x12xf32> into tensor<2x4x12xf32>
    return %expanded : tensor<2x4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_torch.float32: "0x04000000E0DB483D4B619CBC5862A63D260CE43D39CC8FBD7A60AB3E44E99EBA9545573EFB0018BE7171CB3D8598BCBD605F98BE",
      torch_tensor_12_8_torch.float32: "0x040000006E84A83D7EE89E3DBCB886BDD42180BE0A4B42BE68C3913E311862BE2752E43D11FF1CBEA44E2BBE58CB97BEF4C990BEA5BDBCBD4F95A4BD8E6D9B3E55010C3E5EAE903EB97904BD91A704BEBAC8F53D920F5CBE8B5661BEB35D843E7EAB7D3D898390BE7B9D91BE7834B23EFB48193D64A620BE1B8B1B3E20D7EE3DE66E98BE3125E33C1F68B5BCB92B95BD5D89773E04C888BEEAEDA1BD0B8A3BBEF783933E7B94FF3D6A3A95BE8962983E6BA086BE1312403E9A7D9B3E9FBB60BE3304943E7F2194BE9DFCF03DF5D08E3EFC047EBDB2B6F5BD9BE7B43B09F35D3E9B1F2BBE78969E3E778B20BE02D6723E5912F73B8E7B89BEC0C014BD10D868BE5120AFBD8F1E7FBE91679A3EEEF8973E450C91BEFAE6F9BDBD99AC3E96B71FBECB5B7CBD052222BE250AE7BDC430B3BEE0091C3A92E734BE9AD791BE9624A43E6C5ADBBD921380BD7EAE583D3154743C37DDB93CAFF7863E7879653EA1F1D7BDA61F913E7A0D1EBECC5794BEF0F1273EF730B4BEA1C640BE2FF09DBE8675FA3D14D764BE"
    }
  }
#-}

