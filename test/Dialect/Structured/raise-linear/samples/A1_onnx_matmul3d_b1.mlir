// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @matmul_3d_b1(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "matmul_3d_b1.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @matmul_3d_b1(%arg0: tensor<1x4x8xf32>) -> tensor<1x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[0.125730217, -0.132104859, 0.640422642, 0.104900114, -0.535669386, 0.361595064, 1.304000e+00, 0.947080969, -0.703735232, -1.26542151, -0.623274446, 0.0413259789], [-2.3250308, -0.218791664, -1.245911, -0.73226738, -5.442590e-01, -0.316300154, 0.411630541, 1.04251337, -0.12853466, 1.36646342, -0.66519469, 0.351510078], [0.903470158, 0.0940122976, -0.743499279, -0.921725392, -0.457725823, 0.22019513, -1.00961816, -0.209175572, -0.159225017, 0.540845573, 0.214659125, 0.355372697], [-0.653828621, -0.129613638, 0.783975481, 1.49343109, -1.25906551, 1.51392376, 1.34587538, 0.781311392, 0.264455616, -0.313922822, 1.45802069, 1.96025836], [1.80163491, 1.31510377, 0.35738042, -1.20831859, -0.0044541331, 0.656474948, -1.28836143, 0.395122051, 0.429863691, 0.696042716, -1.18411791, -0.661702573], [-0.436435252, -1.16980195, 1.73936784, -0.495910734, 0.328969628, -0.258572549, 1.58347285, 1.32036102, 0.633352637, -2.20350981, 0.0520289727, 0.683686196], [1.00396156, -0.617907047, 1.82201135, -1.32043099, -0.66152805, 9.350500e-01, 0.0490546152, 2.00239253, 0.188519195, -0.633194089, -0.377563506, -1.09114611], [-1.27768016, 0.630411506, 0.581165791, 1.29455876, -0.75460577, 1.68910742, -0.287387699, 1.57440829, -0.432785839, -0.735483289, 0.249785379, 1.03145313]]> : tensor<8x12xf32>
    %cst_1 = arith.constant dense<[0.16100958, -0.585528851, -1.34121966, -1.40152025, 0.502682865, 9.897130e-01, -0.164294586, -1.0743649, 0.873042166, -1.28039396, -0.713068068, 0.621017873]> : tensor<12xf32>
    %0 = tensor.empty() : tensor<1x8x12xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<8x12xf32>) outs(%0 : tensor<1x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x8x12xf32>
    %2 = tensor.empty() : tensor<1x4x12xf32>
    %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %4 = linalg.batch_matmul ins(%arg0, %1 : tensor<1x4x8xf32>, tensor<1x8x12xf32>) outs(%3 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %5 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4, %cst_1 : tensor<1x4x12xf32>, tensor<12xf32>) outs(%2 : tensor<1x4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %6 = arith.addf %in, %in_2 : f32
      linalg.yield %6 : f32
    } -> tensor<1x4x12xf32>
    return %5 : tensor<1x4x12xf32>
  }
}

