// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @gemm_transB1(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<12x8xf32>
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4x12xf32>)
// CHECK: structured.linear {layer = "gemm_transB1.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<4x12xf32>) -> tensor<4x12xf32>

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
module {
  func.func @gemm_transB1(%arg0: tensor<4x8xf32>) -> tensor<4x12xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[0.174977094, 0.0922177881, 1.18279016, 0.97604978, -0.0492679067, -0.469547123, -0.346008867, -0.356304139], [-0.225599468, -1.57265055, -0.461040735, -0.424880028, -0.188880384, -2.543000e-01, 0.672007143, -0.531943381], [-0.438577712, 0.541938782, -0.235314846, 0.216454729, 0.669335723, 0.421969503, 0.250162452, -0.196441561], [0.681894123, 0.175549939, -0.504852772, -0.150809184, -1.2181294, -0.961555957, -1.88290799, -0.679931402], [1.33554542, -0.556488812, 0.787540793, -0.00344985421, -0.700548827, 1.33827949, 0.582205832, -1.75180054], [1.04140222, -1.07479155, -0.177913949, 0.66811341, -0.299853146, 1.11894405, 0.761263787, -1.57687557], [-0.472434163, 0.282073736, -0.574998677, -0.216276512, 0.799784899, 0.316781312, -9.206190e-01, 0.174606368], [-0.61226964, -1.21519232, -1.1300559, 0.286955535, -0.028113706, 0.00543180853, -1.146209, -0.183929548], [-1.03716755, -0.926393806, -0.165126756, -1.38339043, 0.669267237, 2.48688293, 0.458823264, -1.04290318], [-0.271185517, -1.55543792, -0.377616376, 0.507313907, 0.589384794, -1.03174281, 0.299145639, 1.15640807], [1.75509155, -0.700794875, -0.864199995, 0.0544158705, -2.928090e+00, -5.310340e-01, -0.270974964, -0.459341973], [-1.58387327, -0.245551109, -0.776608645, 0.757483065, -0.918474793, -0.282345116, -0.232947931, 0.567571402]]> : tensor<12x8xf32>
    %cst_1 = arith.constant dense<[-2.54590464, -0.340624928, 0.759615123, -0.361688226, -1.52693701, 0.326598167, 0.336686909, -0.270489395, -1.15979576, -0.740675151, -0.313756496, -0.875532866]> : tensor<12xf32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %transposed = linalg.transpose ins(%cst_0 : tensor<12x8xf32>) outs(%0 : tensor<8x12xf32>) permutation = [1, 0] 
    %1 = tensor.empty() : tensor<4x12xf32>
    %2 = linalg.fill ins(%cst : f32) outs(%1 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %3 = linalg.matmul ins(%arg0, %transposed : tensor<4x8xf32>, tensor<8x12xf32>) outs(%2 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1, #map], iterator_types = ["parallel", "parallel"]} ins(%3, %cst_1 : tensor<4x12xf32>, tensor<12xf32>) outs(%1 : tensor<4x12xf32>) {
    ^bb0(%in: f32, %in_2: f32, %out: f32):
      %5 = arith.addf %in, %in_2 : f32
      linalg.yield %5 : f32
    } -> tensor<4x12xf32>
    return %4 : tensor<4x12xf32>
  }
}

