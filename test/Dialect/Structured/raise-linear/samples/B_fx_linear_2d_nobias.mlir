// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

module {
  func.func @main(%arg0: tensor<4x8xf32>) -> tensor<4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<4x12xf32>
    %2 = linalg.fill ins(%cst : f32) outs(%1 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %3 = linalg.matmul ins(%arg0, %transposed : tensor<4x8xf32>, tensor<8x12xf32>) outs(%2 : tensor<4x12xf32>) -> tensor<4x12xf32>
    return %3 : tensor<4x12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x040000009B8D62BBBC9C6E3E9A088A3DEC922DBED1956CBD12360FBD45019B3E0F63B2BE803983BE63112DBE89472D3E47BE48BE36613CBDE4348CBEF79A073D8F9E373D48CC8A3E24A0D2BDEE37243EDE8395BD4499943E5E2D943E98FE1DBE64F53BBEFBBD2ABD06296E3E0D7C51BEBEE2A23EFEB497BEBE139BBE5C13ABBE4D63573C13C1803EBA36FEBDE169D0BDAAE2433E2E99E73D41CEA43EF8865F3C9280B4BE4BC9A23E6FBA913E0FAD453E8A67C73D7E9478BE2C8FB43E20A9B23DEBE8B0BE802693BEE107FA3D825CB43E88E585BEEB6848BE5A54383EDF1DA13DE5696F3C949609BDD233693E408605BEFF93173E6B2E193E159977BE84D2253E8469F83D7A84B0BEB150C3BD549AAF3EEDDA1E3EC1E926BD9667473D9D09A43DC274993E17131ABE61031E3E15089DBE5F2FCF3BF0BA94BED625A0BE084C94BD39F11E3C015CE9BC7E6481BE3B1D533EBB9C60BDCA07113ECD0328BD43DFC3BDECB7313E776B853E7E6C103D8836BEBD6FA5C3BDA97908BE333038BEAE3EA83EE8DC78BB"
    }
  }
#-}

