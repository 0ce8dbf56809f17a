// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @gemm_alphabeta(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "gemm_alphabeta.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @gemm_alphabeta(%arg0: tensor<4x8xf32>) -> tensor<4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[1.51171839, -0.475334018, 1.66172862, -1.40945268, -0.824763715, -1.57839143, -0.746781885, 0.582882106, 0.737729073, 0.306775302, 0.26709196, -1.17332697], [-1.32683182, 0.30389002, 1.34780693, -0.364134759, -1.26855958, -1.53328049, -0.680651724, 1.57954383, -0.207739532, -1.03794336, -0.609470844, -0.483544976], [0.265613407, -0.660016477, -0.889939547, -0.188016981, 0.468670338, 0.717043757, 0.550532043, -0.457496941, -1.69507706, -0.798516154, 0.284081399, -1.33363533], [0.252619237, -0.589975953, -0.58216393, 1.11950696, 0.218732625, 1.37025619, -0.939252972, 1.13074124, 0.909080386, -2.99500275, -0.0882707089, 1.54222441], [0.778057396, -0.441321164, -0.232790396, -1.30304873, 0.206292495, -1.79317212, -1.01530671, 1.11916435, -0.0205650441, -0.363426059, -0.105911121, 2.74189401], [1.03518796, -0.775641381, 1.66674972, -0.0887949392, 0.739716947, -0.586630464, -0.937855959, 0.801912665, -0.768886744, -0.781318128, 0.8978343, -1.16206908], [-1.41925204, 0.545054376, -1.95988166, -0.751725673, -0.365646124, -1.34530699, -1.11739051, 0.665872931, 0.29245308, -0.945711493, 0.529485583, 1.51927841], [-1.28241777, 0.061255794, 1.97665131, 0.611159861, 0.813385128, -0.200152665, -0.797963738, 1.1433717, 0.653724968, -0.0515231863, -0.465335727, -1.74772525]]> : tensor<8x12xf32>
    %cst_1 = arith.constant dense<[0.15590623, -0.691712737, -0.131854266, 0.670975387, 0.820002734, 0.719000995, 2.25506425, 1.16511858, -0.746078193, -0.818301916, 2.32815075, -0.663326144]> : tensor<12xf32>
    %cst_2 = arith.constant 5.000000e-01 : f32
    %cst_3 = arith.constant 2.000000e+00 : f32
    %0 = tensor.empty() : tensor<4x12xf32>
    %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %2 = linalg.matmul ins(%arg0, %cst_0 : tensor<4x8xf32>, tensor<8x12xf32>) outs(%1 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %3 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x12xf32>) outs(%0 : tensor<4x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %5 = arith.mulf %in, %cst_2 : f32
      linalg.yield %5 : f32
    } -> tensor<4x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel"]} ins(%3, %cst_1 : tensor<4x12xf32>, tensor<12xf32>) outs(%0 : tensor<4x12xf32>) {
    ^bb0(%in: f32, %in_4: f32, %out: f32):
      %5 = arith.mulf %in_4, %cst_3 : f32
      %6 = arith.addf %in, %5 : f32
      linalg.yield %6 : f32
    } -> tensor<4x12xf32>
    return %4 : tensor<4x12xf32>
  }
}

