// RUN: structured-opt %s --structured-raise-linear -verify-diagnostics \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|conv}}' --implicit-check-not=arith.mulf

// What torch-mlir-opt --stablehlo-legalize-to-linalg makes of dot_general with
// one and with two feature dimensions, with the weight on the left, with two
// contracted dimensions; of a 1x1 convolution; and of a product in bf16.

// CHECK-LABEL: func.func @dense(
// CHECK:         structured.linear {layer = "dense.linear0"} ins(%{{.+}}, %{{.+}} : tensor<10x8xf32>, tensor<12x8xf32>)
// CHECK:         structured.linear {layer = "dense.linear1"} ins(%{{.+}}, %{{.+}} : tensor<10x8xf32>, tensor<12x8xf32>)
// CHECK:         structured.linear {layer = "dense.linear2"} ins(%arg1, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
// CHECK:         structured.linear {layer = "dense.linear3"} ins(%arg1, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
// CHECK:         structured.linear {layer = "dense.linear4"} ins(%{{.+}}, %{{.+}} : tensor<10x12xf32>, tensor<8x12xf32>)
// CHECK-LABEL: func.func @conv(
// CHECK:         structured.linear {layer = "conv.linear0"} ins(%{{.+}}, %{{.+}} : tensor<72x8xf32>, tensor<12x8xf32>)
// CHECK-LABEL: func.func @bf16(
// CHECK:         structured.linear {layer = "bf16.linear0"} ins(%{{.+}}, %{{.+}} : tensor<10x8xbf16>, tensor<12x8xbf16>)

#map = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
#map1 = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
#map2 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
#map3 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d4)>
#map4 = affine_map<(d0, d1, d2, d3, d4) -> (d4, d2, d3)>
#map5 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
#map6 = affine_map<(d0, d1) -> (d1, d0)>
#map7 = affine_map<(d0, d1) -> (d0, d1)>
#map8 = affine_map<(d0, d1, d2) -> (d0, d2)>
#map9 = affine_map<(d0, d1, d2) -> (d1, d2)>
#map10 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map11 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3, d4)>
#map12 = affine_map<(d0, d1, d2, d3, d4) -> (d3, d4, d2)>
#map13 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2)>
module {
  func.func @dense(%arg0: tensor<2x5x8xf32>, %arg1: tensor<4x8xf32>) -> (tensor<2x5x12xf32>, tensor<2x5x3x4xf32>, tensor<4x12xf32>, tensor<12x4xf32>, tensor<2x5x8xf32>) {
    %cst = arith.constant dense<5.000000e-01> : tensor<8x12xf32>
    %cst_0 = arith.constant dense<2.500000e-01> : tensor<8x3x4xf32>
    %cst_1 = arith.constant dense<7.500000e-01> : tensor<3x4x8xf32>
    %0 = tensor.empty() : tensor<2x5x12xf32>
    %cst_2 = arith.constant 0.000000e+00 : f32
    %1 = linalg.fill ins(%cst_2 : f32) outs(%0 : tensor<2x5x12xf32>) -> tensor<2x5x12xf32>
    %2 = linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %cst : tensor<2x5x8xf32>, tensor<8x12xf32>) outs(%1 : tensor<2x5x12xf32>) {
    ^bb0(%in: f32, %in_7: f32, %out: f32):
      %17 = arith.mulf %in, %in_7 : f32
      %18 = arith.addf %out, %17 : f32
      linalg.yield %18 : f32
    } -> tensor<2x5x12xf32>
    %3 = tensor.empty() : tensor<2x5x3x4xf32>
    %cst_3 = arith.constant 0.000000e+00 : f32
    %4 = linalg.fill ins(%cst_3 : f32) outs(%3 : tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32>
    %5 = linalg.generic {indexing_maps = [#map3, #map4, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %cst_0 : tensor<2x5x8xf32>, tensor<8x3x4xf32>) outs(%4 : tensor<2x5x3x4xf32>) {
    ^bb0(%in: f32, %in_7: f32, %out: f32):
      %17 = arith.mulf %in, %in_7 : f32
      %18 = arith.addf %out, %17 : f32
      linalg.yield %18 : f32
    } -> tensor<2x5x3x4xf32>
    %6 = tensor.empty() : tensor<4x12xf32>
    %cst_4 = arith.constant 0.000000e+00 : f32
    %7 = linalg.fill ins(%cst_4 : f32) outs(%6 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %8 = linalg.matmul ins(%arg1, %cst : tensor<4x8xf32>, tensor<8x12xf32>) outs(%7 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %9 = tensor.empty() : tensor<12x8xf32>
    %10 = linalg.generic {indexing_maps = [#map6, #map7], iterator_types = ["parallel", "parallel"]} ins(%cst : tensor<8x12xf32>) outs(%9 : tensor<12x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x8xf32>
    %11 = tensor.empty() : tensor<12x4xf32>
    %cst_5 = arith.constant 0.000000e+00 : f32
    %12 = linalg.fill ins(%cst_5 : f32) outs(%11 : tensor<12x4xf32>) -> tensor<12x4xf32>
    %13 = linalg.generic {indexing_maps = [#map8, #map9, #map10], iterator_types = ["parallel", "parallel", "reduction"]} ins(%10, %arg1 : tensor<12x8xf32>, tensor<4x8xf32>) outs(%12 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_7: f32, %out: f32):
      %17 = arith.mulf %in, %in_7 : f32
      %18 = arith.addf %out, %17 : f32
      linalg.yield %18 : f32
    } -> tensor<12x4xf32>
    %14 = tensor.empty() : tensor<2x5x8xf32>
    %cst_6 = arith.constant 0.000000e+00 : f32
    %15 = linalg.fill ins(%cst_6 : f32) outs(%14 : tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
    %16 = linalg.generic {indexing_maps = [#map11, #map12, #map13], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%5, %cst_1 : tensor<2x5x3x4xf32>, tensor<3x4x8xf32>) outs(%15 : tensor<2x5x8xf32>) {
    ^bb0(%in: f32, %in_7: f32, %out: f32):
      %17 = arith.mulf %in, %in_7 : f32
      %18 = arith.addf %out, %17 : f32
      linalg.yield %18 : f32
    } -> tensor<2x5x8xf32>
    return %2, %5, %8, %13, %16 : tensor<2x5x12xf32>, tensor<2x5x3x4xf32>, tensor<4x12xf32>, tensor<12x4xf32>, tensor<2x5x8xf32>
  }
  func.func @conv(%arg0: tensor<2x6x6x8xf32>) -> tensor<2x6x6x12xf32> {
    %cst = arith.constant dense<5.000000e-01> : tensor<1x1x8x12xf32>
    %0 = tensor.empty() : tensor<2x6x6x12xf32>
    %cst_0 = arith.constant 0.000000e+00 : f32
    %1 = linalg.fill ins(%cst_0 : f32) outs(%0 : tensor<2x6x6x12xf32>) -> tensor<2x6x6x12xf32>
    %2 = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>} ins(%arg0, %cst : tensor<2x6x6x8xf32>, tensor<1x1x8x12xf32>) outs(%1 : tensor<2x6x6x12xf32>) -> tensor<2x6x6x12xf32>
    return %2 : tensor<2x6x6x12xf32>
  }
  func.func @bf16(%arg0: tensor<2x5x8xbf16>) -> tensor<2x5x12xbf16> {
    %cst = arith.constant dense<5.000000e-01> : tensor<8x12xbf16>
    %0 = tensor.empty() : tensor<2x5x12xbf16>
    %cst_0 = arith.constant 0.000000e+00 : bf16
    %1 = linalg.fill ins(%cst_0 : bf16) outs(%0 : tensor<2x5x12xbf16>) -> tensor<2x5x12xbf16>
    %2 = linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %cst : tensor<2x5x8xbf16>, tensor<8x12xbf16>) outs(%1 : tensor<2x5x12xbf16>) {
    ^bb0(%in: bf16, %in_1: bf16, %out: bf16):
      %3 = arith.mulf %in, %in_1 : bf16
      %4 = arith.addf %out, %3 : bf16
      linalg.yield %4 : bf16
    } -> tensor<2x5x12xbf16>
    return %2 : tensor<2x5x12xbf16>
  }
}

