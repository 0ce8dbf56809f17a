// RUN: structured-opt %s --structured-raise-linear -verify-diagnostics | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul ins.*384x384}}'

// MiniLM's queries, keys and values as ONNX MatMul leaves the importer, with
// fill and empty shared between the layers; then the scores, which are not
// raised.

// CHECK-LABEL: func.func @minilm_onnx(
// CHECK:         %[[X:.+]] = tensor.collapse_shape %arg0 {{\[\[}}0, 1], [2]] : tensor<1x128x384xf32> into tensor<128x384xf32>
// CHECK:         %[[WQ:.+]] = linalg.transpose ins(%{{.+}} : tensor<384x384xf32>) {{.+}} permutation = [1, 0]
// CHECK:         structured.linear {layer = "minilm_onnx.linear0"} ins(%[[X]], %[[WQ]] : tensor<128x384xf32>, tensor<384x384xf32>)
// CHECK:         structured.linear {layer = "minilm_onnx.linear1"}
// CHECK:         structured.linear {layer = "minilm_onnx.linear2"}
// CHECK:         linalg.batch_matmul ins(%{{.+}}, %{{.+}} : tensor<12x128x32xf32>, tensor<12x32x128xf32>)


#map2 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map3 = affine_map<(d0, d1, d2) -> (d2)>
#map7 = affine_map<(d0, d1, d2) -> (d1, d2)>
func.func @minilm_onnx(%24: tensor<1x128x384xf32>) -> (tensor<12x128x128xf32>, tensor<1x128x384xf32>) {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_9 = arith.constant dense<0.1> : tensor<384x384xf32>
    %cst_10 = arith.constant dense<0.2> : tensor<384xf32>
    %cst_11 = arith.constant dense<0.3> : tensor<384x384xf32>
    %cst_12 = arith.constant dense<0.4> : tensor<384xf32>
    %cst_13 = arith.constant dense<0.5> : tensor<384x384xf32>
    %7 = tensor.empty() : tensor<1x128x384xf32>
    %29 = tensor.empty() : tensor<1x384x384xf32>
    %30 = linalg.generic {indexing_maps = [#map7, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_9 : tensor<384x384xf32>) outs(%29 : tensor<1x384x384xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x384x384xf32>
    %31 = linalg.fill ins(%cst : f32) outs(%7 : tensor<1x128x384xf32>) -> tensor<1x128x384xf32>
    %32 = linalg.batch_matmul ins(%24, %30 : tensor<1x128x384xf32>, tensor<1x384x384xf32>) outs(%31 : tensor<1x128x384xf32>) -> tensor<1x128x384xf32>
    %33 = linalg.generic {indexing_maps = [#map3, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_10, %32 : tensor<384xf32>, tensor<1x128x384xf32>) outs(%7 : tensor<1x128x384xf32>) {
    ^bb0(%in: f32, %in_225: f32, %out: f32):
      %409 = arith.addf %in, %in_225 : f32
      linalg.yield %409 : f32
    } -> tensor<1x128x384xf32>
    %expanded_112 = tensor.expand_shape %33 [[0], [1], [2, 3]] output_shape [1, 128, 12, 32] : tensor<1x128x384xf32> into tensor<1x128x12x32xf32>
    %34 = tensor.empty() : tensor<1x12x128x32xf32>
    %transposed = linalg.transpose ins(%expanded_112 : tensor<1x128x12x32xf32>) outs(%34 : tensor<1x12x128x32xf32>) permutation = [0, 2, 1, 3]
    %35 = linalg.generic {indexing_maps = [#map7, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_11 : tensor<384x384xf32>) outs(%29 : tensor<1x384x384xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x384x384xf32>
    %36 = linalg.batch_matmul ins(%24, %35 : tensor<1x128x384xf32>, tensor<1x384x384xf32>) outs(%31 : tensor<1x128x384xf32>) -> tensor<1x128x384xf32>
    %37 = linalg.generic {indexing_maps = [#map3, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_12, %36 : tensor<384xf32>, tensor<1x128x384xf32>) outs(%7 : tensor<1x128x384xf32>) {
    ^bb0(%in: f32, %in_225: f32, %out: f32):
      %409 = arith.addf %in, %in_225 : f32
      linalg.yield %409 : f32
    } -> tensor<1x128x384xf32>
    %expanded_113 = tensor.expand_shape %37 [[0], [1], [2, 3]] output_shape [1, 128, 12, 32] : tensor<1x128x384xf32> into tensor<1x128x12x32xf32>
    %38 = tensor.empty() : tensor<1x12x32x128xf32>
    %transposed_114 = linalg.transpose ins(%expanded_113 : tensor<1x128x12x32xf32>) outs(%38 : tensor<1x12x32x128xf32>) permutation = [0, 2, 3, 1]
    %39 = linalg.generic {indexing_maps = [#map7, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_13 : tensor<384x384xf32>) outs(%29 : tensor<1x384x384xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x384x384xf32>
    %40 = linalg.batch_matmul ins(%24, %39 : tensor<1x128x384xf32>, tensor<1x384x384xf32>) outs(%31 : tensor<1x128x384xf32>) -> tensor<1x128x384xf32>
    %q = tensor.collapse_shape %transposed [[0, 1], [2], [3]] : tensor<1x12x128x32xf32> into tensor<12x128x32xf32>
    %k = tensor.collapse_shape %transposed_114 [[0, 1], [2], [3]] : tensor<1x12x32x128xf32> into tensor<12x32x128xf32>
    %s = tensor.empty() : tensor<12x128x128xf32>
    %s0 = linalg.fill ins(%cst : f32) outs(%s : tensor<12x128x128xf32>) -> tensor<12x128x128xf32>
    // expected-remark@+1 {{not raised: neither operand is a weight}}
    %scores = linalg.batch_matmul ins(%q, %k : tensor<12x128x32xf32>, tensor<12x32x128xf32>) outs(%s0 : tensor<12x128x128xf32>) -> tensor<12x128x128xf32>
    return %scores, %40 : tensor<12x128x128xf32>, tensor<1x128x384xf32>
}
