// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @matmul_3d_f16(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf16>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf16>) outs(%{{.+}} : tensor<12x8xf16>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "matmul_3d_f16.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<4x8xf16>, tensor<12x8xf16>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @matmul_3d_f16(%arg0: tensor<1x4x8xf16>) -> tensor<1x4x12xf16> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[1.311520e+00, -8.831780e-02, -1.541020e+00, 1.429690e+00, 1.458010e+00, -1.104490e+00, 7.451170e-01, -8.007810e-01, -7.763670e-01, -1.609380e+00, 9.331050e-01, 2.712400e-01], [4.943850e-01, 1.452150e+00, 6.684570e-01, 5.844730e-01, 7.495110e-01, -1.064450e+00, -3.445430e-02, -1.206050e+00, -8.999020e-01, -9.179680e-02, 1.061520e+00, 2.058590e+00], [-1.084960e+00, 1.733400e-01, -7.092280e-02, 5.273440e-01, 5.825200e-01, 3.623050e-01, -9.672850e-01, 3.947750e-01, 8.920890e-01, -5.131840e-01, 1.978520e+00, -2.348630e-01], [-6.337890e-01, 2.963870e-01, -2.575680e-01, -1.367190e+00, -2.615360e-02, 1.595700e+00, 2.001950e+00, -5.668950e-01, 9.052730e-01, 1.325680e-01, 2.839360e-01, 1.267580e+00], [8.520500e-01, 1.542970e-01, -9.287100e-01, -1.124020e+00, -6.402590e-02, 3.237300e-01, 5.029300e-01, 7.817380e-01, 9.794920e-01, -2.402340e+00, 9.033200e-01, -1.047850e+00], [1.114260e+00, 3.366700e-01, 6.303710e-01, -5.410150e-01, 2.827150e-01, -1.867190e+00, 1.095700e+00, -3.308110e-01, -2.589840e+00, 1.061520e+00, 1.676760e+00, -8.759760e-01], [1.212890e+00, -7.495110e-01, -2.265630e+00, -3.579100e-01, 3.261720e-01, 1.335450e-01, 1.035770e-01, 2.963870e-01, 2.165530e-01, -2.160640e-01, -6.015630e-01, -2.658690e-01], [-3.515630e-01, -3.029790e-01, -1.102540e+00, -5.424800e-01, 8.221440e-02, 3.093260e-01, -6.402590e-02, -1.837160e-01, 5.346680e-01, 8.144530e-01, 6.801760e-01, -1.750000e+00]]> : tensor<8x12xf16>
    %cst_1 = arith.constant dense<[-4.553220e-01, 7.055660e-01, 5.156250e-01, 6.796880e-01, 3.144530e-01, -8.535150e-01, 1.222660e+00, -1.359380e+00, 9.858390e-01, -1.637270e-02, -1.472660e+00, -3.962400e-01]> : tensor<12xf16>
    %0 = tensor.empty() : tensor<1x8x12xf16>
    %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<8x12xf16>) outs(%0 : tensor<1x8x12xf16>) {
    ^bb0(%in: f16, %out: f16):
      linalg.yield %in : f16
    } -> tensor<1x8x12xf16>
    %2 = tensor.empty() : tensor<1x4x12xf32>
    %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %4 = linalg.batch_matmul ins(%arg0, %1 : tensor<1x4x8xf16>, tensor<1x8x12xf16>) outs(%3 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
    %5 = tensor.empty() : tensor<1x4x12xf16>
    %6 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4 : tensor<1x4x12xf32>) outs(%5 : tensor<1x4x12xf16>) {
    ^bb0(%in: f32, %out: f16):
      %8 = arith.truncf %in : f32 to f16
      linalg.yield %8 : f16
    } -> tensor<1x4x12xf16>
    %7 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%6, %cst_1 : tensor<1x4x12xf16>, tensor<12xf16>) outs(%5 : tensor<1x4x12xf16>) {
    ^bb0(%in: f16, %in_2: f16, %out: f16):
      %8 = arith.addf %in, %in_2 : f16
      linalg.yield %8 : f16
    } -> tensor<1x4x12xf16>
    return %7 : tensor<1x4x12xf16>
  }
}

