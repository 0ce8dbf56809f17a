// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<1x12xf32>)
// CHECK: structured.linear {layer = "torch_tensor_12_8_torch.float32"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<1x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<1x12xf32>) -> tensor<1x12xf32>

#map = affine_map<(d0) -> (d0)>
module {
  func.func @main(%arg0: tensor<8xf32>) -> tensor<12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense_resource<torch_tensor_12_8_torch.float32> : tensor<12x8xf32>
    %cst_1 = arith.constant dense_resource<torch_tensor_12_torch.float32> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<12xf32>
    %2 = linalg.fill ins(%cst : f32) outs(%1 : tensor<12xf32>) -> tensor<12xf32>
    %3 = linalg.vecmat ins(%arg0, %transposed : tensor<8xf32>, tensor<8x12xf32>) outs(%2 : tensor<12xf32>) -> tensor<12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel"]} ins(%3, %cst_1 : tensor<12xf32>, tensor<12xf32>) outs(%1 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %5 = arith.addf %in, %in_2 : f32
      linalg.yield %5 : f32
    } -> tensor<12xf32>
    return %4 : tensor<12xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_12_8_torch.float32: "0x04000000C2C8B4BE5C15AB3E4E3B163EBA3E733E27F8833E6B1092BE3AC2D4BDA366A1BE322D05BE89F268BE1E2D66BEE7CE853D3179C83C4D4F583DA7AEA6BE51C2A9BD5BA902BE9ECF023E3AA2DDBD4682D93D6A770D3EF0B7373EAF4CAB3DAC3DA13E7B249EBE1F59B2BE0DF88FBE61474BBEDDA31DBDC9609FBE30B2E8BDF414383ECCA642BE9E959B3E8B56A83E254AA13EAA42663E4340DABDF448893E214F8ABE4E5B0BBED0AD293ED165993EBD2C13BE6B099BBE6A294D3E866F243EAAD7603EE8BD343ED95AE63DE1679FBE8584B43E48B2F83DF278C03DFDB419BE7E4288BE4C8892BEF8BC92BEE4F994BCFADD703E13478BBEA7179E3E476E973EAF78B2BEDFB47D3E4B904ABD43D1613EF8D9283ECD6311BDB4DDA8BD1E22353C4BAD40BCAB03B03ED14B17BEE025CABD5214823EAADD513D870A72BE4D1F6EBE8BDB59BDCF9807BEA4C58E3C9522673EA2F7E5BDBDF69D3E122455BC18FFA63E506DAE3E7A5289BE533A6CBE7B878CBE972694BE48DF99BDB1EEA13EBFF1AE3E26019D3E",
      torch_tensor_12_torch.float32: "0x0400000010EA333E52CB8FBE7DFF863BEB58B03E59DA01BE00E858BE76CA4F3E6AD4B33EBA7C9EBB4A7F2DBE6670A23ECAAC2CBE"
    }
  }
#-}

