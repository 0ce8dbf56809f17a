// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}'

// CHECK-LABEL: func.func @einsum(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x12xf32>)
// CHECK: structured.linear {layer = "einsum.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<8x12xf32>) -> tensor<8x12xf32>

module {
  func.func @einsum(%arg0: tensor<2x4x8xf32>) -> tensor<2x4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[[0.339509457, -1.28538144, 2.36916375, -0.0282631628, 2.41691256, -0.867421448, -0.567846477, 2.59966159, -1.07499397, 0.418705821, -0.338205278, -0.813412368], [2.16107965, -1.00413108, 8.974350e-01, 1.10431254, -1.01180148, -1.89722526, -1.78063989, -0.799583494, 0.222664669, 0.335442126, -0.189046577, -0.105306588], [0.974047362, 0.768152952, 0.378754228, -0.616967141, 0.777572751, 0.181209683, -0.747835159, -0.576895893, 1.22864771, 1.84538198, -0.529726744, -2.07806826], [0.587463737, -0.903262854, 0.732498169, -0.37595728, 2.22959852, 0.112244502, 0.902850687, -1.21505368, -2.81929135, 0.135331124, 0.261963099, 0.720299661], [-0.553811431, -1.29183853, -1.60049534, 0.553140938, 0.710290909, -0.875758349, -0.528034627, -0.728185415, -1.89520752, 0.199115604, 0.846016108, -0.223349705], [-1.42247236, -0.198321879, 1.36442268, 2.12990618, 0.269097149, -7.889410e-01, -1.98557544, -1.54593611, -0.0888875499, 0.225765437, 0.256639928, -0.262977451], [-1.54322207, -1.57645595, 0.147324368, -0.824567854, 1.30483556, -1.45891273, 1.68709791, -0.666496158, 2.231890e-01, 0.223161936, -0.344007552, -2.01348281], [-0.482395381, 1.52246022, -1.28079331, -1.8421092, -0.218873501, -0.412387073, -1.29284179, -0.752572715, -0.481079072, -0.41287446, 0.162773818, 0.706663251]]]> : tensor<1x8x12xf32>
    %collapsed = tensor.collapse_shape %arg0 [[0, 1], [2]] : tensor<2x4x8xf32> into tensor<8x8xf32>
    %expanded = tensor.expand_shape %collapsed [[0, 1], [2]] output_shape [1, 8, 8] : tensor<8x8xf32> into tensor<1x8x8xf32>
    %0 = tensor.empty() : tensor<1x8x12xf32>
    %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<1x8x12xf32>) -> tensor<1x8x12xf32>
    %2 = linalg.batch_matmul ins(%expanded, %cst_0 : tensor<1x8x8xf32>, tensor<1x8x12xf32>) outs(%1 : tensor<1x8x12xf32>) -> tensor<1x8x12xf32>
    %collapsed_1 = tensor.collapse_shape %2 [[0, 1], [2]] : tensor<1x8x12xf32> into tensor<8x12xf32>
    %expanded_2 = tensor.expand_shape %collapsed_1 [[0, 1], [2]] output_shape [2, 4, 12] : tensor<8x12xf32> into tensor<2x4x12xf32>
    return %expanded_2 : tensor<2x4x12xf32>
  }
}

