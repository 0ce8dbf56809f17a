// RUN: structured-opt %s --structured-merge-siblings --split-input-file --mlir-print-local-scope 2>&1 | FileCheck %s

// Two layers of one input become one.

// CHECK-LABEL: func.func @example
// CHECK-SAME: %[[X:.*]]: tensor<5x16xf32>
// CHECK: %[[ZEROS:.*]] = linalg.fill ins(%{{.*}}) outs(%{{.*}} : tensor<5x12xf32>)
// CHECK: %[[W:.*]] = structured.parameter "k.weight;v.weight" concatenation = <dim = 0, parts = [<"k.weight", size = 8>, <"v.weight", size = 4>]> : tensor<12x16xf32>
// CHECK: %[[KV:.*]] = structured.linear {layer = "k;v"} ins(%[[X]], %[[W]] : tensor<5x16xf32>, tensor<12x16xf32>) outs(%[[ZEROS]] : tensor<5x12xf32>) -> tensor<5x12xf32>
// CHECK-DAG: %[[K:.*]] = tensor.extract_slice %[[KV]][0, 0] [5, 8] [1, 1] : tensor<5x12xf32> to tensor<5x8xf32>
// CHECK-DAG: %[[V:.*]] = tensor.extract_slice %[[KV]][0, 8] [5, 4] [1, 1] : tensor<5x12xf32> to tensor<5x4xf32>
// CHECK-NOT: structured.
// CHECK: linalg.contract {{.*}} ins(%[[K]], %[[V]] :
func.func @example(%x: tensor<5x16xf32>) -> tensor<8x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e8 = tensor.empty() : tensor<5x8xf32>
  %zeros8 = linalg.fill ins(%zero : f32) outs(%e8 : tensor<5x8xf32>) -> tensor<5x8xf32>
  %wk = structured.parameter "k.weight" : tensor<8x16xf32>
  %k = structured.linear {layer = "k"} ins(%x, %wk : tensor<5x16xf32>, tensor<8x16xf32>) outs(%zeros8 : tensor<5x8xf32>) -> tensor<5x8xf32>
  %e4 = tensor.empty() : tensor<5x4xf32>
  %zeros4 = linalg.fill ins(%zero : f32) outs(%e4 : tensor<5x4xf32>) -> tensor<5x4xf32>
  %wv = structured.parameter "v.weight" : tensor<4x16xf32>
  %v = structured.linear {layer = "v"} ins(%x, %wv : tensor<5x16xf32>, tensor<4x16xf32>) outs(%zeros4 : tensor<5x4xf32>) -> tensor<5x4xf32>
  %e = tensor.empty() : tensor<8x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<8x4xf32>) -> tensor<8x4xf32>
  %y = linalg.contract indexing_maps = [affine_map<(i, j, t) -> (t, i)>, affine_map<(i, j, t) -> (t, j)>, affine_map<(i, j, t) -> (i, j)>]
      ins(%k, %v : tensor<5x8xf32>, tensor<5x4xf32>) outs(%zeros : tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

// Biases are added before the slices are taken. Weights stored the other way
// are put beside each other. The number of tokens need not be known. Heads are
// no obstacle.

// CHECK-LABEL: func.func @bias
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf16>
// CHECK: structured.parameter "a,b" permutation = [1, 0] concatenation = <dim = 1, parts = [<"a", size = 8>, <"b", size = 8, product = <"u", "s", "vt", blocks = 4 : 2, rank = 3>>]> : tensor<16x16xf16>
// CHECK: %[[AB:.*]] = structured.linear ins(%[[X]],
// CHECK: %[[B:.*]] = structured.parameter "a.bias;b.bias" concatenation = <dim = 0, parts = [<"a.bias", size = 8>, <"b.bias", size = 8>]> : tensor<16xf16>
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[AB]], %[[B]] : tensor<?x16xf16>, tensor<16xf16>)
// CHECK: arith.addf
// CHECK-DAG: tensor.extract_slice %[[SUM]][0, 0] [%{{.*}}, 8] [1, 1]
// CHECK-DAG: tensor.extract_slice %[[SUM]][0, 8] [%{{.*}}, 8] [1, 1]
// CHECK-NOT: arith.addf
func.func @bias(%x: tensor<?x16xf16>, %t: index) -> tensor<2xf16> {
  %i = arith.constant 0 : index
  %zero = arith.constant 0.0 : f16
  %e = tensor.empty(%t) : tensor<?x8xf16>
  %zeros = linalg.fill ins(%zero : f16) outs(%e : tensor<?x8xf16>) -> tensor<?x8xf16>
  %wa = structured.parameter "a" permutation = [1, 0] : tensor<8x16xf16>
  %wb = structured.parameter "b" permutation = [1, 0] product = <"u", "s", "vt", blocks = 4 : 2, rank = 3> : tensor<8x16xf16>
  %ba = structured.parameter "a.bias" : tensor<8xf16>
  %bb = structured.parameter "b.bias" : tensor<8xf16>
  %a0 = structured.linear ins(%x, %wa : tensor<?x16xf16>, tensor<8x16xf16>) outs(%zeros : tensor<?x8xf16>) -> tensor<?x8xf16>
  %a = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%a0, %ba : tensor<?x8xf16>, tensor<8xf16>) outs(%e : tensor<?x8xf16>) {
  ^bb0(%p: f16, %q: f16, %o: f16):
    %s = arith.addf %p, %q : f16
    linalg.yield %s : f16
  } -> tensor<?x8xf16>
  %ra = tensor.expand_shape %a [[0], [1, 2]] output_shape [%t, 2, 4] : tensor<?x8xf16> into tensor<?x2x4xf16>
  %b0 = structured.linear ins(%x, %wb : tensor<?x16xf16>, tensor<8x16xf16>) outs(%zeros : tensor<?x8xf16>) -> tensor<?x8xf16>
  %b = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%b0, %bb : tensor<?x8xf16>, tensor<8xf16>) outs(%e : tensor<?x8xf16>) {
  ^bb0(%p: f16, %q: f16, %o: f16):
    %s = arith.addf %p, %q : f16
    linalg.yield %s : f16
  } -> tensor<?x8xf16>
  %first = tensor.extract %ra[%i, %i, %i] : tensor<?x2x4xf16>
  %second = tensor.extract %b[%i, %i] : tensor<?x8xf16>
  %r = tensor.from_elements %first, %second : tensor<2xf16>
  return %r : tensor<2xf16>
}

// -----

// One token, without its dimension.

// CHECK-LABEL: func.func @one_token
// CHECK: %[[AB:.*]] = structured.linear {{.*}} -> tensor<1x8xf32>
// CHECK: %[[FLAT:.*]] = tensor.collapse_shape %[[AB]]
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[FLAT]], %{{.*}} : tensor<8xf32>, tensor<8xf32>)
// CHECK-DAG: tensor.extract_slice %[[SUM]][0] [4] [1] : tensor<8xf32> to tensor<4xf32>
// CHECK-DAG: tensor.extract_slice %[[SUM]][4] [4] [1] : tensor<8xf32> to tensor<4xf32>
func.func @one_token(%x: tensor<1x16xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4xf32>) -> tensor<1x4xf32>
  %flat = tensor.empty() : tensor<4xf32>
  %wa = structured.parameter "a" : tensor<4x16xf32>
  %wb = structured.parameter "b" : tensor<4x16xf32>
  %ba = structured.parameter "a.bias" : tensor<4xf32>
  %bb = structured.parameter "b.bias" : tensor<4xf32>
  %a0 = structured.linear ins(%x, %wa : tensor<1x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<1x4xf32>) -> tensor<1x4xf32>
  %a1 = tensor.collapse_shape %a0 [[0, 1]] : tensor<1x4xf32> into tensor<4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a1, %ba : tensor<4xf32>, tensor<4xf32>) outs(%flat : tensor<4xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %b0 = structured.linear ins(%x, %wb : tensor<1x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<1x4xf32>) -> tensor<1x4xf32>
  %b1 = tensor.collapse_shape %b0 [[0, 1]] : tensor<1x4xf32> into tensor<4xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%b1, %bb : tensor<4xf32>, tensor<4xf32>) outs(%flat : tensor<4xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %y = linalg.mul ins(%a, %b : tensor<4xf32>, tensor<4xf32>) outs(%flat : tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Biases that are not added in the same way stay behind the slices.

// CHECK-LABEL: func.func @different
// CHECK: %[[AB:.*]] = structured.linear
// CHECK-DAG: %[[A:.*]] = tensor.extract_slice %[[AB]][0, 0]
// CHECK-DAG: %[[B:.*]] = tensor.extract_slice %[[AB]][0, 4]
// CHECK: linalg.generic {{.*}} ins(%[[A]], %{{.*}} :
// CHECK: arith.subf
// CHECK: linalg.add ins(%{{.*}}, %[[B]] :
func.func @different(%x: tensor<3x16xf32>) -> tensor<3x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  %wa = structured.parameter "a" : tensor<4x16xf32>
  %wb = structured.parameter "b" : tensor<4x16xf32>
  %ba = structured.parameter "a.bias" : tensor<4xf32>
  %a0 = structured.linear ins(%x, %wa : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%a0, %ba : tensor<3x4xf32>, tensor<4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.subf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<3x4xf32>
  %b = structured.linear ins(%x, %wb : tensor<3x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = linalg.add ins(%a, %b : tensor<3x4xf32>, tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// What is inserted into another tensor is copied in any case.

// CHECK-LABEL: func.func @inserted
// CHECK: %[[AB:.*]] = structured.linear {{.*}} -> tensor<1x8xf32>
// CHECK: tensor.insert_slice
func.func @inserted(%x: tensor<1x16xf32>, %c: tensor<9x4xf32>) -> (tensor<9x4xf32>, tensor<1x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4xf32>) -> tensor<1x4xf32>
  %wa = structured.parameter "a" : tensor<4x16xf32>
  %wb = structured.parameter "b" : tensor<4x16xf32>
  %a = structured.linear ins(%x, %wa : tensor<1x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<1x4xf32>) -> tensor<1x4xf32>
  %b = structured.linear ins(%x, %wb : tensor<1x16xf32>, tensor<4x16xf32>) outs(%zeros : tensor<1x4xf32>) -> tensor<1x4xf32>
  %n = tensor.insert_slice %a into %c[2, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<9x4xf32>
  %y = linalg.exp ins(%b : tensor<1x4xf32>) outs(%e : tensor<1x4xf32>) -> tensor<1x4xf32>
  return %n, %y : tensor<9x4xf32>, tensor<1x4xf32>
}
