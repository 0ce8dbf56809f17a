// RUN: structured-opt %s --structured-fold-into-contractions --split-input-file | FileCheck %s

// Heads split off and transposed, and a weight broadcast over a batch: the
// contractions read the originals.

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d3)>
// CHECK-LABEL: func @attention
// CHECK-SAME: %[[q:[^:]+]]: tensor<7x3x4xf32>, %[[k:[^:]+]]: tensor<7x3x4xf32>
// CHECK-NEXT: linalg.contract
// CHECK-SAME: ins(%[[q]], %[[k]] : tensor<7x3x4xf32>, tensor<7x3x4xf32>)
func.func @attention(%q: tensor<7x3x4xf32>, %k: tensor<7x3x4xf32>,
                     %s0: tensor<3x7x7xf32>) -> tensor<3x7x7xf32> {
  %eq = tensor.empty() : tensor<3x7x4xf32>
  %qt = linalg.transpose ins(%q : tensor<7x3x4xf32>) outs(%eq : tensor<3x7x4xf32>)
      permutation = [1, 0, 2]
  %ek = tensor.empty() : tensor<3x4x7xf32>
  %kt = linalg.transpose ins(%k : tensor<7x3x4xf32>) outs(%ek : tensor<3x4x7xf32>)
      permutation = [1, 2, 0]
  %s = linalg.batch_matmul ins(%qt, %kt : tensor<3x7x4xf32>, tensor<3x4x7xf32>)
      outs(%s0 : tensor<3x7x7xf32>) -> tensor<3x7x7xf32>
  return %s : tensor<3x7x7xf32>
}

// -----

// CHECK-LABEL: func @broadcast
// CHECK-SAME: %[[x:[^:]+]]: tensor<2x7x4xf32>, %[[w:[^:]+]]: tensor<4x5xf32>
// CHECK-NOT: linalg.generic
// CHECK: linalg.contract
// CHECK-SAME: ins(%[[x]], %[[w]] : tensor<2x7x4xf32>, tensor<4x5xf32>)
func.func @broadcast(%x: tensor<2x7x4xf32>, %w: tensor<4x5xf32>,
                     %y0: tensor<2x7x5xf32>) -> tensor<2x7x5xf32> {
  %empty = tensor.empty() : tensor<2x4x5xf32>
  %wb = linalg.generic {indexing_maps = [affine_map<(b, k, n) -> (k, n)>,
                                         affine_map<(b, k, n) -> (b, k, n)>],
                        iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%w : tensor<4x5xf32>) outs(%empty : tensor<2x4x5xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<2x4x5xf32>
  %y = linalg.batch_matmul ins(%x, %wb : tensor<2x7x4xf32>, tensor<2x4x5xf32>)
      outs(%y0 : tensor<2x7x5xf32>) -> tensor<2x7x5xf32>
  return %y : tensor<2x7x5xf32>
}

// -----

// Left alone: a generic that multiplies in the narrow type (linalg.contract
// would extend first), and one of integers.

// CHECK-LABEL: func @refused
// CHECK-NOT: linalg.contract
// CHECK: return
func.func @refused(%x: tensor<7x4xf16>, %w: tensor<4x5xf16>, %y0: tensor<7x5xf32>,
                   %a: tensor<7x4xi32>, %b: tensor<4x5xi32>, %c0: tensor<7x5xi32>)
    -> (tensor<7x5xf32>, tensor<7x5xi32>) {
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                                        affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<7x4xf16>, tensor<4x5xf16>) outs(%y0 : tensor<7x5xf32>) {
  ^bb0(%l: f16, %r: f16, %out: f32):
    %p = arith.mulf %l, %r : f16
    %e = arith.extf %p : f16 to f32
    %s = arith.addf %out, %e : f32
    linalg.yield %s : f32
  } -> tensor<7x5xf32>
  %c = linalg.matmul ins(%a, %b : tensor<7x4xi32>, tensor<4x5xi32>)
      outs(%c0 : tensor<7x5xi32>) -> tensor<7x5xi32>
  return %y, %c : tensor<7x5xf32>, tensor<7x5xi32>
}

// -----

// Loops of one iteration: the group of heads and the batch go, and so does what
// is summed once; the only rows and columns stay.

// CHECK-LABEL: func @units(
// CHECK: linalg.contract {{.*}} ins(%{{.*}}, %{{.*}} : tensor<7x4x8xf32>, tensor<5x4x8xf32>) outs(%{{.*}} : tensor<4x7x5xf32>)
// CHECK: tensor.expand_shape %{{.*}} : tensor<4x1x7x5xf32> into tensor<1x4x1x7x5xf32>
func.func @units(%x: tensor<1x7x1x4x8xf32>, %y: tensor<1x5x4x8x1xf32>, %z0: tensor<1x4x1x7x5xf32>)
    -> tensor<1x4x1x7x5xf32> {
  %x1 = tensor.expand_shape %x [[0], [1], [2], [3], [4, 5]] output_shape [1, 7, 1, 4, 8, 1]
      : tensor<1x7x1x4x8xf32> into tensor<1x7x1x4x8x1xf32>
  %z = linalg.contract indexing_maps = [affine_map<(b, h, g, t, l, d, u) -> (b, t, g, h, d, u)>,
                                        affine_map<(b, h, g, t, l, d, u) -> (b, l, h, d, u)>,
                                        affine_map<(b, h, g, t, l, d, u) -> (b, h, g, t, l)>]
      ins(%x1, %y : tensor<1x7x1x4x8x1xf32>, tensor<1x5x4x8x1xf32>)
      outs(%z0 : tensor<1x4x1x7x5xf32>) -> tensor<1x4x1x7x5xf32>
  return %z : tensor<1x4x1x7x5xf32>
}

// CHECK-LABEL: func @only_units(
// CHECK: linalg.contract {{.*}} ins(%{{.*}}, %{{.*}} : tensor<1x8xf32>, tensor<1x8xf32>) outs(%{{.*}} : tensor<1x1xf32>)
func.func @only_units(%x: tensor<1x8xf32>, %y: tensor<1x8xf32>, %z0: tensor<1x1xf32>) -> tensor<1x1xf32> {
  %z = linalg.contract indexing_maps = [affine_map<(t, l, d) -> (t, d)>, affine_map<(t, l, d) -> (l, d)>,
                                        affine_map<(t, l, d) -> (t, l)>]
      ins(%x, %y : tensor<1x8xf32>, tensor<1x8xf32>) outs(%z0 : tensor<1x1xf32>) -> tensor<1x1xf32>
  return %z : tensor<1x1xf32>
}
