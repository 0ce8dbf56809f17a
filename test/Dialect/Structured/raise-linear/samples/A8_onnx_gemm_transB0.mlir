// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @gemm_transB0(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "gemm_transB0.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @gemm_transB0(%arg0: tensor<4x8xf32>) -> tensor<4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[0.1798691, -0.77256149, -0.678466201, 0.483654767, -1.04822493, 0.372674286, 0.380692482, 1.1644479, -0.336213231, 1.04658222, 1.72069466, 1.58668232], [5.860770e-01, 0.449166059, 2.84945488, 2.23217607, -0.766617298, 9.236090e-01, 0.601959228, 0.0722674578, 0.153312296, 0.487785101, 0.937358498, 0.218769863], [0.339793712, 1.39214027, 0.317720234, 0.545022488, 0.990230083, 1.6332624, 1.22704089, 0.377214938, 0.207815453, -1.22360361, 0.292062551, -1.03716981], [-1.02403939, 0.65050894, -0.100577183, 0.472209483, -0.626963138, 1.20120406, 0.143772185, 1.18772829, 0.673440515, 0.165249035, -0.478527397, 0.0315075777], [0.828010499, 0.697657704, -1.19558465, 1.02568209, -0.213907942, 0.815263748, -0.697488248, 0.637855291, -0.796591877, 0.129356831, -0.29802981, -0.285572559], [-0.566587269, -0.153579101, -1.74063468, 0.876599669, 0.961686611, -0.442773879, -1.37975466, -0.646709263, 0.947614312, 0.625520765, -0.300353557, 0.897274792], [-1.04148078, -0.612636328, 0.474607259, -0.0959133282, -0.589225709, -2.51212764, 0.671216309, 0.323721826, -1.74292231, 0.600325704, -0.0143637592, 0.27883479], [0.945193231, -0.73988682, 0.713564217, 0.683854162, 0.761515736, 1.63595581, 0.658734858, -0.56155771, 1.79838443, -1.10731256, -0.462723583, -0.96446973]]> : tensor<8x12xf32>
    %cst_1 = arith.constant dense<[-0.102760799, 1.08221924, 1.297786, 0.463517427, -0.609391093, -0.553620577, -0.603196144, 0.952840685, -0.90653932, 0.864526271, -0.0325940698, 0.172051072]> : tensor<12xf32>
    %0 = tensor.empty() : tensor<4x12xf32>
    %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %2 = linalg.matmul ins(%arg0, %cst_0 : tensor<4x8xf32>, tensor<8x12xf32>) outs(%1 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %3 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel"]} ins(%2, %cst_1 : tensor<4x12xf32>, tensor<12xf32>) outs(%0 : tensor<4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %4 = arith.addf %in, %in_2 : f32
      linalg.yield %4 : f32
    } -> tensor<4x12xf32>
    return %3 : tensor<4x12xf32>
  }
}

