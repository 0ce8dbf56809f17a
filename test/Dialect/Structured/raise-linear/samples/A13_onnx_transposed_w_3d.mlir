// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @matmul_wT_3d(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "matmul_wT_3d.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @matmul_wT_3d(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[5.730660e-01, 2.38359213, 0.2049786, 0.821478903, -0.738413989, 1.13435745, 0.167825967, -0.451200157], [2.11693931, -0.304799676, 0.00886132754, -0.19727996, -0.755670905, 0.531272411, 0.738409578, 0.354372531], [-2.3605783, 1.00799704, -0.350238353, -1.21632338, 0.603280962, 0.562849402, -1.04307365, 2.47243571], [-1.20962656, -1.73300266, -1.15417147, 1.42079985, -0.175856724, -0.372056693, -0.0621577203, -0.596613884], [-0.690263391, -0.641215503, 0.707955539, 1.02045584, -1.05509257, 0.239227965, 0.788207232, -1.08175194], [-0.502566576, -1.03806412, -1.2910285, 0.10186287, -0.736132383, 0.631129086, -0.0294219218, 0.412627369], [-0.292282909, -0.634997368, -0.0906731337, -0.00499613024, -0.705855489, 0.426595449, 0.746594846, 0.158082709], [1.71349084, -6.323390e-01, 0.520596445, -0.408734798, 0.234629497, -0.829949319, 1.11512339, 0.176020905], [1.19224453, -1.26609552, -0.493515223, -0.892565786, -0.531941891, -0.692609668, -0.120540932, -0.0172471441], [-0.0409848653, -0.555523872, 0.187425181, 0.875615477, -0.902275562, 8.886250e-04, -0.0740708858, 0.468354642], [-0.0638585836, -0.0156648029, -0.991095781, 0.0217038393, -0.921884477, 0.515704274, -0.103218935, 0.0398584194], [-0.89119035, 0.803757607, 0.69231391, 0.861523926, 2.227386, -0.052519381, 1.20340288, -0.123827808]]> : tensor<12x8xf32>
    %cst_1 = arith.constant dense<[0.394087285, 0.365337431, 0.264591753, 0.658256173, -0.303936392, 0.0409322828, 0.535309672, 1.74785388, -0.842356681, -1.80613267, -0.4840855, 0.0899284333]> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<2x8x12xf32>
    %2 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<8x12xf32>) outs(%1 : tensor<2x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x8x12xf32>
    %3 = tensor.empty() : tensor<2x4x12xf32>
    %4 = linalg.fill ins(%cst : f32) outs(%3 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %5 = linalg.batch_matmul ins(%arg0, %2 : tensor<2x4x8xf32>, tensor<2x8x12xf32>) outs(%4 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    %6 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%5, %cst_1 : tensor<2x4x12xf32>, tensor<12xf32>) outs(%3 : tensor<2x4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %7 = arith.addf %in, %in_2 : f32
      linalg.yield %7 : f32
    } -> tensor<2x4x12xf32>
    return %6 : tensor<2x4x12xf32>
  }
}

