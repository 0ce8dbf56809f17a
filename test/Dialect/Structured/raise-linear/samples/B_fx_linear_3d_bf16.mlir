// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xbf16>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.bfloat16"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<8x8xbf16>, tensor<12x8xbf16>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @main(%arg0: tensor<2x4x8xbf16>) -> tensor<2x4x12xbf16> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.bfloat16> : tensor<12x8xbf16>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.bfloat16> : tensor<12xbf16>
    %0 = tensor.empty() : tensor<8x12xbf16>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xbf16>) outs(%0 : tensor<8x12xbf16>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<2x8x12xbf16>
    %2 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xbf16>) outs(%1 : tensor<2x8x12xbf16>) {
    ^bb0(%in: bf16, %out: bf16):
      linalg.yield %in : bf16
    } -> tensor<2x8x12xbf16>
    %3 = tensor.empty() : tensor<2x4x12xf32>
    %4 = linalg.fill ins(%cst : f32) outs(%3 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %5 = linalg.batch_matmul ins(%arg0, %2 : tensor<2x4x8xbf16>, tensor<2x8x12xbf16>) outs(%4 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %6 = tensor.empty() : tensor<2x4x12xbf16>
    %7 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%5 : tensor<2x4x12xf32>) outs(%6 : tensor<2x4x12xbf16>) {
    ^bb0(%in: f32, %out: bf16):
      %9 = arith.truncf %in : f32 to bf16
      linalg.yield %9 : bf16
    } -> tensor<2x4x12xbf16>
    %8 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%7, %cst_1 : tensor<2x4x12xbf16>, tensor<12xbf16>) outs(%6 : tensor<2x4x12xbf16>) {
    ^bb0(%in: bf16, %in_2: bf16, %out: bf16):
      %9 = arith.addf %in, %in_2 : bf16
      linalg.yield %9 : bf16
    } -> tensor<2x4x12xbf16>
    return %8 : tensor<2x4x12xbf16>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.bfloat16: "0x02000000CFBDD8BD203E98BE7A3E313E823E2BBE9EBEB93D233D11BEE63D08BC903EB53E463E9ABEB6BD3D3E6BBD283E4B3E783E96BD23BEF1BC513ED23D823E3B3D653E903D02BE123DDDBD80BEDB3D74BE0FBE873E3BBE4F3E183ED3BCB1BE86BE4D3D1F3E273D8E3E393ED6BD6C3E13BE9ABE9EBE0EBC2B3EAB3EA73D87BE2FBE33BE923ED83D053E653DA5BC8CBE38BD6DBEB1BEAFBD8ABE30BEAE3E433E633DC83D6D3E1B3E283E303E40BEB1BEAD3BC5BC0FBE8B3E9F3D933E33BE7F3E0DBE8CBE",
      torch_tensor_12_torch.bfloat16: "0x020000004FBE6F3D9E3E253E85BE8BBD9FBEFE3C7B3EF1BD0CBE2A3E"
    }
  }
#-}

