// RUN: structured-opt %s --structured-raise-linear -verify-diagnostics \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|conv}}' --implicit-check-not=arith.mulf

// What tosa-to-linalg makes of tosa.matmul and of a 1x1 tosa.conv2d.

// CHECK-LABEL: func.func @mm(
// CHECK:         structured.linear {layer = "mm.linear0"} ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
// CHECK-LABEL: func.func @conv(
// CHECK:         %[[BIAS:.+]] = linalg.broadcast ins(%{{.+}} : tensor<12xf32>) outs(%{{.+}} : tensor<16x12xf32>) dimensions = [0]
// CHECK:         structured.linear {layer = "conv.linear0"} ins(%{{.+}}, %{{.+}} : tensor<16x8xf32>, tensor<12x8xf32>) outs(%[[BIAS]] : tensor<16x12xf32>)

#map = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, 0, d2)>
#map2 = affine_map<(d0, d1, d2, d3) -> (d3)>
#map3 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
module {
  func.func @mm(%arg0: tensor<1x4x8xf32>) -> tensor<1x4x12xf32> {
    %cst = arith.constant dense<5.000000e-01> : tensor<1x8x12xf32>
    %cst_0 = arith.constant dense<5.000000e-01> : tensor<1x1x12xf32>
    %cst_1 = arith.constant dense<0.000000e+00> : tensor<1xf32>
    %cst_2 = arith.constant 0.000000e+00 : f32
    %0 = tensor.empty() : tensor<1x4x12xf32>
    %1 = linalg.fill ins(%cst_2 : f32) outs(%0 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %2 = linalg.batch_matmul ins(%arg0, %cst : tensor<1x4x8xf32>, tensor<1x8x12xf32>) outs(%1 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %3 = tensor.empty() : tensor<1x4x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel", "parallel"]} ins(%2, %cst_0 : tensor<1x4x12xf32>, tensor<1x1x12xf32>) outs(%3 : tensor<1x4x12xf32>) {
    ^bb0(%in: f32, %in_3: f32, %out: f32):
      %5 = arith.addf %in, %in_3 : f32
      linalg.yield %5 : f32
    } -> tensor<1x4x12xf32>
    return %4 : tensor<1x4x12xf32>
  }
  func.func @conv(%arg0: tensor<1x4x4x8xf32>) -> tensor<1x4x4x12xf32> {
    %cst = arith.constant dense<5.000000e-01> : tensor<12x1x1x8xf32>
    %cst_0 = arith.constant dense<5.000000e-01> : tensor<12xf32>
    %cst_1 = arith.constant dense<0.000000e+00> : tensor<1xf32>
    %0 = tensor.empty() : tensor<1x4x4x12xf32>
    %1 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<12xf32>) outs(%0 : tensor<1x4x4x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x4x4x12xf32>
    %2 = linalg.conv_2d_nhwc_fhwc {dilations = dense<1> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>} ins(%arg0, %cst : tensor<1x4x4x8xf32>, tensor<12x1x1x8xf32>) outs(%1 : tensor<1x4x4x12xf32>) -> tensor<1x4x4x12xf32>
    return %2 : tensor<1x4x4x12xf32>
  }
}

