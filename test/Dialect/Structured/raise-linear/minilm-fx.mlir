// RUN: structured-opt %s --structured-raise-linear -verify-diagnostics | FileCheck %s --implicit-check-not=linalg.matmul

// MiniLM's queries, keys and values as torch.export leaves the importer after
// run_decompositions().

// CHECK-LABEL: func.func @minilm_fx(
// CHECK-DAG:     %[[WQ:.+]] = arith.constant dense<1.0{{.+}}> : tensor<384x384xf32>
// CHECK-DAG:     %[[WK:.+]] = arith.constant dense<2.0{{.+}}> : tensor<384x384xf32>
// CHECK-DAG:     %[[WV:.+]] = arith.constant dense<3.0{{.+}}> : tensor<384x384xf32>
// CHECK:         structured.linear {layer = "minilm_fx.linear0"} ins(%[[X:.+]], %[[WQ]] : tensor<128x384xf32>, tensor<384x384xf32>)
// CHECK:         structured.linear {layer = "minilm_fx.linear1"} ins(%[[X]], %[[WK]] : tensor<128x384xf32>, tensor<384x384xf32>)
// CHECK:         structured.linear {layer = "minilm_fx.linear2"} ins(%[[X]], %[[WV]] : tensor<128x384xf32>, tensor<384x384xf32>)

#map = affine_map<(d0, d1) -> (d0, d1)>
#map7 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map11 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>
#map12 = affine_map<(d0, d1, d2, d3) -> (d0, d1, 0, d3)>
#map13 = affine_map<(d0, d1) -> (d1)>
func.func @minilm_fx(%29: tensor<1x128x384xf32>, %40: tensor<1x1x128x1xi1>, %42: tensor<1x1x1x128xi1>)
    -> (tensor<1x1x128x128xi1>, tensor<1x12x128x32xf32>, tensor<1x128x12x32xf32>, tensor<1x128x12x32xf32>) {
    %cst_0 = arith.constant 0.000000e+00 : f32
    %cst_104 = arith.constant dense<1.0> : tensor<384x384xf32>
    %cst_103 = arith.constant dense<0.2> : tensor<384xf32>
    %cst_102 = arith.constant dense<2.0> : tensor<384x384xf32>
    %cst_101 = arith.constant dense<0.4> : tensor<384xf32>
    %cst_100 = arith.constant dense<3.0> : tensor<384x384xf32>
    %cst_99 = arith.constant dense<0.6> : tensor<384xf32>
    %43 = tensor.empty() : tensor<1x1x128x128xi1>
    %44 = linalg.generic {indexing_maps = [#map11, #map12, #map7], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%40, %42 : tensor<1x1x128x1xi1>, tensor<1x1x1x128xi1>) outs(%43 : tensor<1x1x128x128xi1>) {
    ^bb0(%in: i1, %in_276: i1, %out: i1):
      %444 = arith.andi %in, %in_276 : i1
      linalg.yield %444 : i1
    } -> tensor<1x1x128x128xi1>
    %collapsed = tensor.collapse_shape %29 [[0, 1], [2]] : tensor<1x128x384xf32> into tensor<128x384xf32>
    %45 = tensor.empty() : tensor<384x384xf32>
    %transposed = linalg.transpose ins(%cst_104 : tensor<384x384xf32>) outs(%45 : tensor<384x384xf32>) permutation = [1, 0]
    %46 = tensor.empty() : tensor<128x384xf32>
    %47 = linalg.fill ins(%cst_0 : f32) outs(%46 : tensor<128x384xf32>) -> tensor<128x384xf32>
    %48 = linalg.matmul ins(%collapsed, %transposed : tensor<128x384xf32>, tensor<384x384xf32>) outs(%47 : tensor<128x384xf32>) -> tensor<128x384xf32>
    %49 = linalg.generic {indexing_maps = [#map, #map13, #map], iterator_types = ["parallel", "parallel"]} ins(%48, %cst_103 : tensor<128x384xf32>, tensor<384xf32>) outs(%46 : tensor<128x384xf32>) {
    ^bb0(%in: f32, %in_276: f32, %out: f32):
      %444 = arith.addf %in, %in_276 : f32
      linalg.yield %444 : f32
    } -> tensor<128x384xf32>
    %expanded_116 = tensor.expand_shape %49 [[0, 1], [2, 3]] output_shape [1, 128, 12, 32] : tensor<128x384xf32> into tensor<1x128x12x32xf32>
    %50 = tensor.empty() : tensor<1x12x128x32xf32>
    %transposed_117 = linalg.transpose ins(%expanded_116 : tensor<1x128x12x32xf32>) outs(%50 : tensor<1x12x128x32xf32>) permutation = [0, 2, 1, 3]
    %transposed_118 = linalg.transpose ins(%cst_102 : tensor<384x384xf32>) outs(%45 : tensor<384x384xf32>) permutation = [1, 0]
    %51 = linalg.matmul ins(%collapsed, %transposed_118 : tensor<128x384xf32>, tensor<384x384xf32>) outs(%47 : tensor<128x384xf32>) -> tensor<128x384xf32>
    %52 = linalg.generic {indexing_maps = [#map, #map13, #map], iterator_types = ["parallel", "parallel"]} ins(%51, %cst_101 : tensor<128x384xf32>, tensor<384xf32>) outs(%46 : tensor<128x384xf32>) {
    ^bb0(%in: f32, %in_276: f32, %out: f32):
      %444 = arith.addf %in, %in_276 : f32
      linalg.yield %444 : f32
    } -> tensor<128x384xf32>
    %expanded_119 = tensor.expand_shape %52 [[0, 1], [2, 3]] output_shape [1, 128, 12, 32] : tensor<128x384xf32> into tensor<1x128x12x32xf32>
    %transposed_120 = linalg.transpose ins(%cst_100 : tensor<384x384xf32>) outs(%45 : tensor<384x384xf32>) permutation = [1, 0]
    %53 = linalg.matmul ins(%collapsed, %transposed_120 : tensor<128x384xf32>, tensor<384x384xf32>) outs(%47 : tensor<128x384xf32>) -> tensor<128x384xf32>
    %54 = linalg.generic {indexing_maps = [#map, #map13, #map], iterator_types = ["parallel", "parallel"]} ins(%53, %cst_99 : tensor<128x384xf32>, tensor<384xf32>) outs(%46 : tensor<128x384xf32>) {
    ^bb0(%in: f32, %in_276: f32, %out: f32):
      %444 = arith.addf %in, %in_276 : f32
      linalg.yield %444 : f32
    } -> tensor<128x384xf32>
    %expanded_121 = tensor.expand_shape %54 [[0, 1], [2, 3]] output_shape [1, 128, 12, 32] : tensor<128x384xf32> into tensor<1x128x12x32xf32>
    return %44, %transposed_117, %expanded_119, %expanded_121 : tensor<1x1x128x128xi1>, tensor<1x12x128x32xf32>, tensor<1x128x12x32xf32>, tensor<1x128x12x32xf32>
}
