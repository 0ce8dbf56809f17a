// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_8_12_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @main(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_8_12_torch.float32> : tensor<8x12xf32>
    %collapsed = tensor.collapse_shape %arg0 [[0, 1], [2]] : tensor<2x4x8xf32> into tensor<8x8xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<8x12xf32>) -> tensor<8x12xf32>
    %2 = linalg.matmul ins(%collapsed, %cst_1 : tensor<8x8xf32>, tensor<8x12xf32>) outs(%1 : tensor<8x12xf32>) -> tensor<8x12xf32>
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
      torch_tensor_12_torch.float32: "0x040000000D555B3E6AF6EF3FE2E236C0BD3AA03F02CD96BC03ACDEBEC39ED2BFD3BDB3BE944C283F256778BF4636E1BED27AE9BF",
      torch_tensor_8_12_torch.float32: "0x040000000B68CEBED77D073E94AA84BF3536BD3EBA4A3A3F5966353F111FAB3E241FC0BFB413C23E198BAABD433A69BE5F5B113FA0E6453FB75E1DBFB951E0BF78346DBF08C8AA3F546FC53D90C5DD3FA579AC3FB02D47BFAB6A2ABFFCEB3C3F13825ABF867E0FC0EC0BC93E71698F3FCCA857BFD32AADBF4C8712BF495C8ABFB366BABED13DB8BFD268A3BEBC986CBFBA16763FE006B33FF7D453BF9815D0BE418BEABD74AC483F0B188A3E62FC443F5727A4BFFD44B8BFF65E143F658782BE64ECB73E3BE85F3F27BCE2BF73CD203FB44EE5BF720705BF8918C73EF6829D3ED4BD0B40B30F2D3EBF6362BE621B713FD3E2DDBEB931233FE2B5D0BFDD6C373FE45FAC3E19B32C3F1F847D3F53D247BFDFA7CCBE65629ABF41B5923F6E54813F552C3BBF0E3FD23FBA5D033F80CD0E3FC845D43EC65A533ED1D27F3EDFD0B0BCD883A5BFEF3D86BE6BDF6F3F9D9562BF0C7BA93FB932AF3E7CD1D4BE2B049C3E56C46F3F0038893FE8DB503C9399813F3625893FB9C1093F5209BBBF7E2342BF6627C13B"
    }
  }
#-}

