// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf16>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float16"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<8x8xf16>, tensor<12x8xf16>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @main(%arg0: tensor<2x4x8xf16>) -> tensor<2x4x12xf16> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float16> : tensor<12x8xf16>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float16> : tensor<12xf16>
    %0 = tensor.empty() : tensor<8x12xf16>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf16>) outs(%0 : tensor<8x12xf16>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<2x8x12xf16>
    %2 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xf16>) outs(%1 : tensor<2x8x12xf16>) {
    ^bb0(%in: f16, %out: f16):
      linalg.yield %in : f16
    } -> tensor<2x8x12xf16>
    %3 = tensor.empty() : tensor<2x4x12xf32>
    %4 = linalg.fill ins(%cst : f32) outs(%3 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %5 = linalg.batch_matmul ins(%arg0, %2 : tensor<2x4x8xf16>, tensor<2x8x12xf16>) outs(%4 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %6 = tensor.empty() : tensor<2x4x12xf16>
    %7 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%5 : tensor<2x4x12xf32>) outs(%6 : tensor<2x4x12xf16>) {
    ^bb0(%in: f32, %out: f16):
      %9 = arith.truncf %in : f32 to f16
      linalg.yield %9 : f16
    } -> tensor<2x4x12xf16>
    %8 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%7, %cst_1 : tensor<2x4x12xf16>, tensor<12xf16>) outs(%6 : tensor<2x4x12xf16>) {
    ^bb0(%in: f16, %in_2: f16, %out: f16):
      %9 = arith.addf %in, %in_2 : f16
      linalg.yield %9 : f16
    } -> tensor<2x4x12xf16>
    return %8 : tensor<2x4x12xf16>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float16: "0x0200000072AA0DACAFB408358E3233344D1FF6B489ADA331D5AC6530412B5F345DB4F6ACDE3341B00F32C7314DAD6C3548AE9FB451B4EA2F26B19D2DA3AB2FAC2DA58C3427AA88310034DBB3D8B4D1B31934672C2B2DA82BCBB2B3B47EB5A4AF7B34CC3159333835062C90B52031DAB35228AF2B133410B5773330AC07B53DB5CE2711AF49B31531B534D72F3BAAB3345635233273AB37B0C7321FA77D31B33288B49A3460B47EA3BBB27B34ECB4C3B401A969A61EAF782BBA29E3AAE1308E34A3B09234",
      torch_tensor_12_torch.float16: "0x02000000B5A812AD03A412AE79A55C2D5B35D8B4292EF8B213320E34"
    }
  }
#-}

