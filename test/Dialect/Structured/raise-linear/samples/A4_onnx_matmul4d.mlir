// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @matmul_4d(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<24x12xf32>)
// CHECK: structured.linear {layer = "matmul_4d.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<24x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<24x12xf32>) -> tensor<24x12xf32>

#map = affine_map<(d0, d1, d2, d3) -> (d2, d3)>
#map1 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map2 = affine_map<(d0, d1, d2, d3) -> (d3)>
module {
  func.func @matmul_4d(%arg0: tensor<2x3x4x8xf32>) -> tensor<2x3x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[-0.279151499, 0.281471103, 1.28248119, 0.282451838, 0.806019545, -1.22588265, -0.0225321781, 0.124211319, 0.862246155, 0.116060674, 0.804078936, -0.504199266], [0.357954919, 0.414866388, -1.24977577, 0.175538629, -0.320362538, -1.9040879, 0.958406686, -0.361858666, -0.852390051, -0.377316743, 0.138200298, 1.50790954], [-0.165933207, 0.47240749, 1.37357938, 0.53355056, 1.06856418, -0.476509869, 0.77104932, -5.797600e-02, 1.07441127, -1.00355959, -0.779557764, 1.26873159], [-0.196083978, -0.358960658, 0.0775724202, -0.68949747, 1.33194137, -1.24916267, -1.505980e-01, 0.346952796, -0.104447067, -0.802287518, -0.868389189, 0.425394416], [-1.0304805, 0.646242678, -1.52414834, -0.554983079, 0.0363060236, -1.25215197, 0.652010858, -0.018538814, -1.03607368, -1.51888824, -1.56558943, 0.0510339439], [-1.15683007, -1.36487961, -0.231225938, 2.27750063, 0.277540356, 0.762918829, 0.212718353, 0.78298217, -1.34308863, -0.430511981, 0.26135084, -0.0179168154], [-0.191993222, -0.66587609, -0.258383095, -0.774197817, -2.42183304, -1.19450843, 0.475652933, 1.557078, 1.81358016, 0.096751742, 0.893383622, 0.907977938], [-0.692259192, -1.69793987, 0.0308873188, -1.76220095, -0.3199296, 0.608117104, -1.42006946, 0.0322953835, 1.24001813, 0.361512482, 0.522321701, 0.906740427]]> : tensor<8x12xf32>
    %cst_1 = arith.constant dense<[1.73296309, 0.151423082, 1.22950089, -0.0641692132, -0.546168804, 0.314820975, -0.605812847, -0.573129237, -0.607740641, -2.29542422, 0.105499476, -1.26383531]> : tensor<12xf32>
    %0 = tensor.empty() : tensor<2x3x8x12xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<8x12xf32>) outs(%0 : tensor<2x3x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x3x8x12xf32>
    %collapsed = tensor.collapse_shape %arg0 [[0, 1], [2], [3]] : tensor<2x3x4x8xf32> into tensor<6x4x8xf32>
    %collapsed_2 = tensor.collapse_shape %1 [[0, 1], [2], [3]] : tensor<2x3x8x12xf32> into tensor<6x8x12xf32>
    %2 = tensor.empty() : tensor<6x4x12xf32>
    %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<6x4x12xf32>) -> tensor<6x4x12xf32>
    %4 = linalg.batch_matmul ins(%collapsed, %collapsed_2 : tensor<6x4x8xf32>, tensor<6x8x12xf32>) outs(%3 : tensor<6x4x12xf32>) -> tensor<6x4x12xf32>
    %expanded = tensor.expand_shape %4 [[0, 1], [2], [3]] output_shape [2, 3, 4, 12] : tensor<6x4x12xf32> into tensor<2x3x4x12xf32>
    %5 = tensor.empty() : tensor<2x3x4x12xf32>
    %6 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded, %cst_1 : tensor<2x3x4x12xf32>, tensor<12xf32>) outs(%5 : tensor<2x3x4x12xf32>) {
    ^bb0(%in: f32, %in_3: f32, %out: f32):
      %7 = arith.addf %in, %in_3 : f32
      linalg.yield %7 : f32
    } -> tensor<2x3x4x12xf32>
    return %6 : tensor<2x3x4x12xf32>
  }
}

