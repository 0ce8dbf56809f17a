// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<24x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<24x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<24x12xf32>) -> tensor<24x12xf32>

#map = affine_map<(d0, d1, d2, d3) -> (d2, d3)>
#map1 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map2 = affine_map<(d0, d1, d2, d3) -> (d3)>
module {
  func.func @main(%arg0: tensor<2x3x4x8xf32>) -> tensor<2x3x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<2x3x8x12xf32>
    %2 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xf32>) outs(%1 : tensor<2x3x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x3x8x12xf32>
    %collapsed = tensor.collapse_shape %arg0 [[0, 1], [2], [3]] : tensor<2x3x4x8xf32> into tensor<6x4x8xf32>
    %collapsed_2 = tensor.collapse_shape %2 [[0, 1], [2], [3]] : tensor<2x3x8x12xf32> into tensor<6x8x12xf32>
    %3 = tensor.empty() : tensor<6x4x12xf32>
    %4 = linalg.fill ins(%cst : f32) outs(%3 : tensor<6x4x12xf32>) -> tensor<6x4x12xf32>
    %5 = linalg.batch_matmul ins(%collapsed, %collapsed_2 : tensor<6x4x8xf32>, tensor<6x8x12xf32>) outs(%4 : tensor<6x4x12xf32>) -> tensor<6x4x12xf32>
    %expanded = tensor.expand_shape %5 [[0, 1], [2], [3]] output_shape [2, 3, 4, 12] : tensor<6x4x12xf32> into tensor<2x3x4x12xf32>
    %6 = tensor.empty() : tensor<2x3x4x12xf32>
    %7 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded, %cst_1 : tensor<2x3x4x12xf32>, tensor<12xf32>) outs(%6 : tensor<2x3x4x12xf32>) {
    ^bb0(%in: f32, %in_3: f32, %out: f32):
      %8 = arith.addf %in, %in_3 : f32
      linalg.yield %8 : f32
    } -> tensor<2x3x4x12xf32>
    return %7 : tensor<2x3x4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x0400000040B3B1BE6A48303E0285A43ED0A994BEF399703E9AFF23BE2D6E203EE2F2FE3D465393BE995532BE734FCCBD3A7906BDF886593ED25DA9BE5F4043BEF2B307BE24EE243DC5E1733EF2013BBE44FDEE3CBA92A83AE6B7AD3E937C4CBED11C6DBE0EFD913EBA2A86BE20B362BE6E44143CDBC59E3E884719BE488E42BE94D8993E6FA4AE3E2B2B833E335F6F3DD3D3433E3DECAD3EB3F383BE64D9353E86346CBEADAFDABDBAFE673E589A253E70F9C5BD2121873E963767BE331463BEF51500BDF6E6FCBC5F3B57BE452515BE0CA381BE10D651BD958708BD8A4D633DC0DC11BEB8E72F3ED0CE4B3E08125FBEF5B68F3E0DB4A0BE4878553EE74D76BD9AE8A9BEBEA66CBDE8D562BE13A389BE815F913E74BF87BEA05F6E3E87D6333E0D7FAABEAEACF63D2870043E9983A3BE4CE60FBE227DE83D22C98BBE3E7579BE4986A43CA411E63D93E6913D4A78543ECDE96DBDAD70A9BE5EE0B2BD4E4588BEE1C1CA3BF881253EF1E0993D03D9E43D456A603EF16F5DBEE339A9BE829A083E8B3696BE",
      torch_tensor_12_torch.float32: "0x0400000035D1153DB52019BE433498BE46043C3E528213BE7679F53CA5D5B1BEF1FCE03CD5D10B3E0F6CEFBD41E9A73E7EAC2CBE"
    }
  }
#-}

