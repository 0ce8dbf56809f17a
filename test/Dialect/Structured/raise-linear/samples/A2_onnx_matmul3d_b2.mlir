// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @matmul_3d_b2(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "matmul_3d_b2.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @matmul_3d_b2(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[-2.25014114, 0.386369586, -0.58164084, 0.1092797, -0.0757015273, 0.202114388, 0.694171965, -0.758369743, 1.420982, 0.726093769, 0.843732655, 1.16486394], [0.787588238, 0.84407866, 0.0755936131, -1.42677391, -0.135045096, -0.76951462, -1.42274177, 0.258452803, -0.568549454, -1.02980447, -1.04300106, 0.26841709], [0.358671963, 1.32245743, -0.0139146689, 1.04183972, 1.40226483, 1.15016568, -2.36530399, 1.22868371, 3.396200e-01, 0.423771352, 0.371227413, 0.382757157], [0.319414228, -0.358913302, -1.90163529, -0.108914725, -0.803731858, 1.08016336, -0.288766503, 0.0834753587, -0.849605977, -0.510622442, -0.011533062, -1.48537517], [0.300685108, -0.106072254, -1.18571985, -2.39823294, 0.513052106, -0.297584027, -0.530008435, -0.236154631, 1.81647599, -0.0498009697, 0.0866192653, -1.48707283], [1.64733911, 0.917487978, 1.06693482, 0.0476727299, 0.916654765, 0.370946825, 0.613189101, -0.152192965, -1.47388792, 1.02885437, -1.93495965, -0.239936665], [-0.204522491, -1.04286015, 0.613123118, -0.200329706, -0.43686834, 0.519841731, -0.47657904, 1.388980e+00, 0.351455063, -4.743330e-01, -1.94426501, -1.30775321], [1.08683074, -0.050604064, -0.283125073, 1.64325166, -1.28264928, -0.585657775, -0.472587675, 0.586337268, -0.663535177, -0.613417864, -1.60514939, 0.729349375]]> : tensor<8x12xf32>
    %cst_1 = arith.constant dense<[0.806139349, -0.476376742, 0.163339943, -1.29264617, -0.471813142, 1.37795091, 0.135730729, 2.31036353, -0.787192761, 0.580284417, -0.195505828, 0.565817833]> : tensor<12xf32>
    %0 = tensor.empty() : tensor<2x8x12xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<8x12xf32>) outs(%0 : tensor<2x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x8x12xf32>
    %2 = tensor.empty() : tensor<2x4x12xf32>
    %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %4 = linalg.batch_matmul ins(%arg0, %1 : tensor<2x4x8xf32>, tensor<2x8x12xf32>) outs(%3 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %5 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4, %cst_1 : tensor<2x4x12xf32>, tensor<12xf32>) outs(%2 : tensor<2x4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %6 = arith.addf %in, %in_2 : f32
      linalg.yield %6 : f32
    } -> tensor<2x4x12xf32>
    return %5 : tensor<2x4x12xf32>
  }
}

