// RUN: structured-opt %s --structured-raise-linear \
// RUN:   | FileCheck %s --implicit-check-not='linalg.{{(batch_)?matmul|vecmat|conv}}' \
// RUN:       --implicit-check-not=x8x12x

// CHECK-LABEL: func.func @matmul_3d_dyn(
// CHECK-DAG: %[[W:.+]] = arith.constant dense{{.+}} : tensor<8x12xf32>
// CHECK-DAG: %[[WT:.+]] = linalg.transpose ins(%[[W]] : tensor<8x12xf32>) outs(%{{.+}} : tensor<12x8xf32>) permutation = [1, 0]
// CHECK-DAG: %[[ZERO:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<?x12xf32>)
// CHECK: structured.linear {layer = "matmul_3d_dyn.linear0"}
// CHECK-SAME: ins(%{{.+}}, %[[WT]] : tensor<?x8xf32>, tensor<12x8xf32>) outs(%[[ZERO]] : tensor<?x12xf32>) -> tensor<?x12xf32>

#map = affine_map<(d0, d1, d2) -> (d1, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d2)>
module {
  func.func @matmul_3d_dyn(%arg0: tensor<?x?x8xf32>) -> tensor<?x?x12xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c0_i64 = arith.constant 0 : i64
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant dense<[[-0.00721135968, -0.561198115, -0.867616772, 3.0660367, -0.0773450583, -2.01666069, -0.648600578, 0.678039729, -0.500008404, 1.36044621, 1.00239825, -0.152338639], [-0.47221595, -1.00480103, -0.69996655, -1.4731431, 1.20439625, 1.59070075, -1.25613809, -1.18168294, -1.76851189, -0.963854253, -3.10633683, -1.14227891], [1.29691541, -0.345672518, 0.854584217, -0.488969058, 1.76066732, 0.19921799, -0.382002294, 2.55242395, -0.324471861, -1.22122335, 2.019100e-01, -0.0388350375], [1.06632459, -0.921633899, 0.804716944, 0.852748453, -0.667687297, 0.163244009, -0.830751955, 2.34580803, -0.70413959, -0.453074455, -1.06583798, -0.346121281], [-0.00587602658, 0.767789125, -0.610486627, -0.185773954, -1.41648936, -0.827402234, 2.75580764, 1.0412432, -0.781424045, -1.33739722, -0.975582838, -0.0216908604], [0.0347277895, -0.744360625, -1.28657448, 1.42237854, 0.451685458, -0.374568015, -0.220661208, -0.529530466, -2.93604541, 0.11566183, -1.07054436, -1.00268435], [-0.640262424, 0.732301712, -1.1705308, -1.43428147, 0.639852046, 0.754368901, -0.958933711, 0.562397659, -0.291632444, 0.301292181, -1.26096022, 0.832894444], [1.20325899, 0.637073218, 0.558339953, -3.77227521, 0.260629743, -0.025445316, -0.147045508, -0.630577981, 0.0553649738, 0.412117392, -0.263788164, -0.46332413]]> : tensor<8x12xf32>
    %cst_1 = arith.constant dense<[1.22975385, -1.10536706, 1.03015518, 0.17681247, -0.804305672, -0.289981902, -0.919993579, 0.675064504, 0.347901762, -0.556796193, -1.10221827, 0.301716089]> : tensor<12xf32>
    %dim = tensor.dim %arg0, %c0 : tensor<?x?x8xf32>
    %dim_2 = tensor.dim %arg0, %c1 : tensor<?x?x8xf32>
    %0 = arith.index_cast %dim : index to i64
    %1 = arith.cmpi sge, %0, %c0_i64 : i64
    cf.assert %1, "negative values not allowed in new dimensions"
    %2 = tensor.empty(%dim) : tensor<?x8x12xf32>
    %3 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%cst_0 : tensor<8x12xf32>) outs(%2 : tensor<?x8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x8x12xf32>
    %4 = tensor.empty(%dim, %dim_2) : tensor<?x?x12xf32>
    %5 = linalg.fill ins(%cst : f32) outs(%4 : tensor<?x?x12xf32>) -> tensor<?x?x12xf32>
    %6 = linalg.batch_matmul ins(%arg0, %3 : tensor<?x?x8xf32>, tensor<?x8x12xf32>) outs(%5 : tensor<?x?x12xf32>) -> tensor<?x?x12xf32>
    %7 = linalg.generic {indexing_maps = [#map1, #map2, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%6, %cst_1 : tensor<?x?x12xf32>, tensor<12xf32>) outs(%4 : tensor<?x?x12xf32>) {
    ^bb0(%in: f32, %in_3: f32, %out: f32):
      %8 = arith.addf %in, %in_3 : f32
      linalg.yield %8 : f32
    } -> tensor<?x?x12xf32>
    return %7 : tensor<?x?x12xf32>
  }
}

