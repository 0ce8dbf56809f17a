// RUN: structured-opt %s --structured-raise-linear -split-input-file | FileCheck %s

// Spellings of a layer with W [12, 8] (`w`) or its transpose [8, 12] (`wt`).
// That the numbers are right is checked by
// test/Integration/CPU/raise-numerics.py, which runs each of these functions.

// Contraction with loops (n, t, m), operands swapped in the product and the sum.
// CHECK-LABEL: func.func @permuted_loops(
// CHECK:         %[[W:.+]] = structured.parameter "w"
// CHECK:         structured.linear {layer = "w"} ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%arg1 : tensor<4x12xf32>)
// CHECK-NEXT:    return
func.func @permuted_loops(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(n, t, m) -> (t, n)>, affine_map<(n, t, m) -> (m, n)>, affine_map<(n, t, m) -> (t, m)>],
      iterator_types = ["reduction", "parallel", "parallel"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>) outs(%y0 : tensor<4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %b, %a : f32
    %s = arith.addf %p, %c : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// The weight is the left operand: W·X, with activations [features, tokens].
// CHECK-LABEL: func.func @weight_on_the_left(
// CHECK-DAG:     %[[W:.+]] = structured.parameter "w"
// CHECK-DAG:     %[[X:.+]] = linalg.transpose ins(%arg0 : tensor<8x4xf32>) {{.+}} permutation = [1, 0]
// CHECK-DAG:     %[[Y0:.+]] = linalg.transpose ins(%arg1 : tensor<12x4xf32>) {{.+}} permutation = [1, 0]
// CHECK:         %[[Y:.+]] = structured.linear {layer = "w"} ins(%[[X]], %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[Y0]] : tensor<4x12xf32>)
// CHECK:         linalg.transpose ins(%[[Y]] : tensor<4x12xf32>) outs(%{{.+}} : tensor<12x4xf32>) permutation = [1, 0]
func.func @weight_on_the_left(%x: tensor<8x4xf32>, %y0: tensor<12x4xf32>) -> tensor<12x4xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %y = linalg.matmul ins(%w, %x : tensor<12x8xf32>, tensor<8x4xf32>)
      outs(%y0 : tensor<12x4xf32>) -> tensor<12x4xf32>
  return %y : tensor<12x4xf32>
}

// -----

// CHECK-LABEL: func.func @matvec(
// CHECK:         %[[X:.+]] = tensor.expand_shape %arg0 {{\[\[}}0, 1]] output_shape [1, 8]
// CHECK:         structured.linear {layer = "w"} ins(%[[X]], %{{.+}} : tensor<1x8xf32>, tensor<12x8xf32>)
func.func @matvec(%x: tensor<8xf32>, %y0: tensor<12xf32>) -> tensor<12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %y = linalg.matvec ins(%w, %x : tensor<12x8xf32>, tensor<8xf32>)
      outs(%y0 : tensor<12xf32>) -> tensor<12xf32>
  return %y : tensor<12xf32>
}

// -----

// One output feature: the weight is a vector.
// CHECK-LABEL: func.func @one_output_feature(
// CHECK-DAG:     %[[W:.+]] = tensor.expand_shape %{{.+}} {{\[\[}}0, 1]] output_shape [1, 8] : tensor<8xf32> into tensor<1x8xf32>
// CHECK-DAG:     %[[Y0:.+]] = tensor.expand_shape %arg1 {{\[\[}}0, 1]] output_shape [%{{.+}}, 1] : tensor<?xf32> into tensor<?x1xf32>
// CHECK:         structured.linear {layer = "v"} ins(%arg0, %[[W]] : tensor<?x8xf32>, tensor<1x8xf32>) outs(%[[Y0]] : tensor<?x1xf32>)
func.func @one_output_feature(%x: tensor<?x8xf32>, %y0: tensor<?xf32>) -> tensor<?xf32> {
  %v = structured.parameter "v" : tensor<8xf32>
  %y = linalg.matvec ins(%x, %v : tensor<?x8xf32>, tensor<8xf32>)
      outs(%y0 : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// One input feature.
// CHECK-LABEL: func.func @one_input_feature(
// CHECK:         structured.linear {layer = "v"} ins(%arg0, %{{.+}} : tensor<4x1xf32>, tensor<8x1xf32>) outs(%arg1 : tensor<4x8xf32>)
func.func @one_input_feature(%x: tensor<4x1xf32>, %y0: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %v = structured.parameter "v" : tensor<8xf32>
  %r = tensor.expand_shape %v [[0, 1]] output_shape [1, 8] : tensor<8xf32> into tensor<1x8xf32>
  %y = linalg.matmul ins(%x, %r : tensor<4x1xf32>, tensor<1x8xf32>)
      outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A dot product with a weight: one token, one feature.
// CHECK-LABEL: func.func @dot(
// CHECK:         structured.linear {layer = "v"} ins(%{{.+}}, %{{.+}} : tensor<1x8xf32>, tensor<1x8xf32>) outs(%{{.+}} : tensor<1x1xf32>)
// CHECK:         tensor.collapse_shape %{{.+}} [] : tensor<1x1xf32> into tensor<f32>
func.func @dot(%x: tensor<8xf32>, %y0: tensor<f32>) -> tensor<f32> {
  %v = structured.parameter "v" : tensor<8xf32>
  %y = linalg.dot ins(%x, %v : tensor<8xf32>, tensor<8xf32>) outs(%y0 : tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}

// -----

// Transposes and a broadcast written as generics, out of order.
// CHECK-LABEL: func.func @generic_moves(
// CHECK-NOT:     linalg.generic
// CHECK:         %[[W:.+]] = structured.parameter "w"
// CHECK:         structured.linear {layer = "w"} ins(%{{.+}}, %[[W]] : tensor<8x8xf32>, tensor<12x8xf32>)
func.func @generic_moves(%x: tensor<2x4x8xf32>, %y0: tensor<2x4x12xf32>) -> tensor<2x4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %e = tensor.empty() : tensor<12x2x8xf32>
  %b = linalg.generic {
      indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d2, d0, d1)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%w : tensor<12x8xf32>) outs(%e : tensor<12x2x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<12x2x8xf32>
  %f = tensor.empty() : tensor<2x8x12xf32>
  %t = linalg.generic {
      indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%b : tensor<12x2x8xf32>) outs(%f : tensor<2x8x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<2x8x12xf32>
  %y = linalg.batch_matmul ins(%x, %t : tensor<2x4x8xf32>, tensor<2x8x12xf32>)
      outs(%y0 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
  return %y : tensor<2x4x12xf32>
}

// -----

// Transposed forms that named ops take by their maps.
// CHECK-LABEL: func.func @named_transposed(
// CHECK:         structured.linear {layer = "w"} ins(%{{.+}}, %{{.+}} : tensor<8x8xf32>, tensor<12x8xf32>)
func.func @named_transposed(%x: tensor<2x4x8xf32>, %y0: tensor<2x4x12xf32>) -> tensor<2x4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %e = tensor.empty() : tensor<2x12x8xf32>
  %b = linalg.broadcast ins(%w : tensor<12x8xf32>) outs(%e : tensor<2x12x8xf32>) dimensions = [0]
  %y = linalg.batch_matmul
      indexing_maps = [affine_map<(b, t, m, n) -> (b, t, n)>, affine_map<(b, t, m, n) -> (b, m, n)>, affine_map<(b, t, m, n) -> (b, t, m)>]
      ins(%x, %b : tensor<2x4x8xf32>, tensor<2x12x8xf32>)
      outs(%y0 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
  return %y : tensor<2x4x12xf32>
}

// -----

// A weight that is broadcast by the contraction's own map.
// CHECK-LABEL: func.func @contract(
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %{{.+}} : tensor<8x8xf32>, tensor<12x8xf32>)
func.func @contract(%x: tensor<2x4x8xf32>, %y0: tensor<2x4x12xf32>) -> tensor<2x4x12xf32> {
  %wt = structured.parameter "wt" : tensor<8x12xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(b, t, m, n) -> (b, t, n)>, affine_map<(b, t, m, n) -> (n, m)>, affine_map<(b, t, m, n) -> (b, t, m)>]
      ins(%x, %wt : tensor<2x4x8xf32>, tensor<8x12xf32>)
      outs(%y0 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
  return %y : tensor<2x4x12xf32>
}

// -----

// TOSA's form: the weight is stored as [1, K, N], the batch is 1.
// CHECK-LABEL: func.func @tosa(
// CHECK:         %[[R:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0, 1], [2]] : tensor<1x8x12xf32> into tensor<8x12xf32>
// CHECK:         %[[W:.+]] = linalg.transpose ins(%[[R]] : {{.+}} permutation = [1, 0]
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @tosa(%x: tensor<1x4x8xf32>, %y0: tensor<1x4x12xf32>) -> tensor<1x4x12xf32> {
  %wt = structured.parameter "wt" : tensor<1x8x12xf32>
  %y = linalg.batch_matmul ins(%x, %wt : tensor<1x4x8xf32>, tensor<1x8x12xf32>)
      outs(%y0 : tensor<1x4x12xf32>) -> tensor<1x4x12xf32>
  return %y : tensor<1x4x12xf32>
}

// -----

// Several batch dimensions, a broadcast weight of several too, one of size 1.
// CHECK-LABEL: func.func @batch_dimensions(
// CHECK:         %[[X:.+]] = tensor.collapse_shape %arg0 {{\[\[}}0, 1, 2, 3], [4]] : tensor<2x1x3x4x8xf32> into tensor<24x8xf32>
// CHECK:         structured.linear {layer = "wt"} ins(%[[X]], %{{.+}} : tensor<24x8xf32>, tensor<12x8xf32>)
func.func @batch_dimensions(%x: tensor<2x1x3x4x8xf32>, %y0: tensor<2x1x3x4x12xf32>) -> tensor<2x1x3x4x12xf32> {
  %wt = structured.parameter "wt" : tensor<1x8x12xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(a, b, c, t, m, n) -> (a, b, c, t, n)>, affine_map<(a, b, c, t, m, n) -> (b, n, m)>, affine_map<(a, b, c, t, m, n) -> (a, b, c, t, m)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %wt : tensor<2x1x3x4x8xf32>, tensor<1x8x12xf32>) outs(%y0 : tensor<2x1x3x4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x1x3x4x12xf32>
  return %y : tensor<2x1x3x4x12xf32>
}

// -----

// The weight is read at 0 along a dimension of size 1.
// CHECK-LABEL: func.func @read_at_zero(
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %{{.+}} : tensor<8x8xf32>, tensor<12x8xf32>)
func.func @read_at_zero(%x: tensor<2x4x8xf32>, %y0: tensor<2x4x12xf32>) -> tensor<2x4x12xf32> {
  %wt = structured.parameter "wt" : tensor<1x8x12xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(b, t, m, n) -> (b, t, n)>, affine_map<(b, t, m, n) -> (0, n, m)>, affine_map<(b, t, m, n) -> (b, t, m)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %wt : tensor<2x4x8xf32>, tensor<1x8x12xf32>) outs(%y0 : tensor<2x4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x4x12xf32>
  return %y : tensor<2x4x12xf32>
}

// -----

// A batch and token count known at run time, the weight broadcast to them.
// CHECK-LABEL: func.func @dynamic_batch(
// CHECK:         %[[X:.+]] = tensor.collapse_shape %arg0 {{\[\[}}0, 1], [2]] : tensor<?x?x8xf32> into tensor<?x8xf32>
// CHECK:         %[[T:.+]] = tensor.dim %[[X]]
// CHECK:         %[[E:.+]] = tensor.empty(%[[T]]) : tensor<?x12xf32>
// CHECK:         %[[Y0:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%[[E]] : tensor<?x12xf32>)
// CHECK:         structured.linear {layer = "wt"} ins(%[[X]], %{{.+}} : tensor<?x8xf32>, tensor<12x8xf32>) outs(%[[Y0]] : tensor<?x12xf32>)
// CHECK:         tensor.expand_shape %{{.+}} output_shape [%{{.+}}, %{{.+}}, 12] : tensor<?x12xf32> into tensor<?x?x12xf32>
func.func @dynamic_batch(%x: tensor<?x?x8xf32>) -> tensor<?x?x12xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %b = tensor.dim %x, %c0 : tensor<?x?x8xf32>
  %t = tensor.dim %x, %c1 : tensor<?x?x8xf32>
  %wt = structured.parameter "wt" : tensor<8x12xf32>
  %e = tensor.empty(%b) : tensor<?x8x12xf32>
  %wb = linalg.broadcast ins(%wt : tensor<8x12xf32>) outs(%e : tensor<?x8x12xf32>) dimensions = [0]
  %f = tensor.empty(%b, %t) : tensor<?x?x12xf32>
  %y0 = linalg.fill ins(%zero : f32) outs(%f : tensor<?x?x12xf32>) -> tensor<?x?x12xf32>
  %y = linalg.batch_matmul ins(%x, %wb : tensor<?x?x8xf32>, tensor<?x8x12xf32>)
      outs(%y0 : tensor<?x?x12xf32>) -> tensor<?x?x12xf32>
  return %y : tensor<?x?x12xf32>
}

// -----

// Sizes that only another operand's type tells become static.
// CHECK-LABEL: func.func @partly_dynamic_types(
// CHECK-DAG:     %[[X:.+]] = tensor.cast %arg0 : tensor<?x?xf32> to tensor<4x8xf32>
// CHECK-DAG:     %[[Y0:.+]] = tensor.cast %arg1 : tensor<4x?xf32> to tensor<4x12xf32>
// CHECK:         structured.linear {layer = "wt"} ins(%[[X]], %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>) outs(%[[Y0]] : tensor<4x12xf32>)
// CHECK:         tensor.cast %{{.+}} : tensor<4x12xf32> to tensor<4x?xf32>
func.func @partly_dynamic_types(%x: tensor<?x?xf32>, %y0: tensor<4x?xf32>) -> tensor<4x?xf32> {
  %wt = structured.parameter "wt" : tensor<8x12xf32>
  %wc = tensor.cast %wt : tensor<8x12xf32> to tensor<?x12xf32>
  %y = linalg.matmul ins(%x, %wc : tensor<?x?xf32>, tensor<?x12xf32>)
      outs(%y0 : tensor<4x?xf32>) -> tensor<4x?xf32>
  return %y : tensor<4x?xf32>
}

// -----

// Einsum bsn,nhd->bshd: the output features are two dimensions.
// CHECK-LABEL: func.func @split_heads(
// CHECK:         %[[R:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0], [1, 2]] : tensor<8x3x4xf32> into tensor<8x12xf32>
// CHECK:         %[[W:.+]] = linalg.transpose ins(%[[R]] : {{.+}} permutation = [1, 0]
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %[[W]] : tensor<10x8xf32>, tensor<12x8xf32>)
// CHECK:         tensor.expand_shape %{{.+}} {{\[\[}}0, 1], [2, 3]] output_shape [2, 5, 3, 4] : tensor<10x12xf32> into tensor<2x5x3x4xf32>
func.func @split_heads(%x: tensor<2x5x8xf32>, %y0: tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32> {
  %wt = structured.parameter "wt" : tensor<8x3x4xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(b, s, h, d, n) -> (b, s, n)>, affine_map<(b, s, h, d, n) -> (n, h, d)>, affine_map<(b, s, h, d, n) -> (b, s, h, d)>]
      ins(%x, %wt : tensor<2x5x8xf32>, tensor<8x3x4xf32>)
      outs(%y0 : tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32>
  return %y : tensor<2x5x3x4xf32>
}

// -----

// Einsum bsn,nhd->bhsd: the same with the heads before the tokens.
// CHECK-LABEL: func.func @split_heads_first(
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %{{.+}} : tensor<10x8xf32>, tensor<12x8xf32>)
// CHECK:         %[[Y:.+]] = tensor.expand_shape %{{.+}} output_shape [2, 5, 3, 4] : tensor<10x12xf32> into tensor<2x5x3x4xf32>
// CHECK:         linalg.transpose ins(%[[Y]] : tensor<2x5x3x4xf32>) outs(%{{.+}} : tensor<2x3x5x4xf32>) permutation = [0, 2, 1, 3]
func.func @split_heads_first(%x: tensor<2x5x8xf32>, %y0: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %wt = structured.parameter "wt" : tensor<8x3x4xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(b, s, h, d, n) -> (b, s, n)>, affine_map<(b, s, h, d, n) -> (n, h, d)>, affine_map<(b, s, h, d, n) -> (b, h, s, d)>]
      ins(%x, %wt : tensor<2x5x8xf32>, tensor<8x3x4xf32>)
      outs(%y0 : tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
  return %y : tensor<2x3x5x4xf32>
}

// -----

// Einsum bhsd,hdm->bsm: two contracted dimensions, the heads before the tokens.
// CHECK-LABEL: func.func @merge_heads(
// CHECK:         %[[X:.+]] = linalg.transpose ins(%arg0 : tensor<2x3x5x4xf32>) outs(%{{.+}} : tensor<2x5x3x4xf32>) permutation = [0, 2, 1, 3]
// CHECK:         %[[X2:.+]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2, 3]] : tensor<2x5x3x4xf32> into tensor<10x12xf32>
// CHECK:         structured.linear {layer = "o"} ins(%[[X2]], %{{.+}} : tensor<10x12xf32>, tensor<8x12xf32>)
func.func @merge_heads(%x: tensor<2x3x5x4xf32>, %y0: tensor<2x5x8xf32>) -> tensor<2x5x8xf32> {
  %o = structured.parameter "o" : tensor<3x4x8xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(b, s, h, d, m) -> (b, h, s, d)>, affine_map<(b, s, h, d, m) -> (h, d, m)>, affine_map<(b, s, h, d, m) -> (b, s, m)>]
      ins(%x, %o : tensor<2x3x5x4xf32>, tensor<3x4x8xf32>)
      outs(%y0 : tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  return %y : tensor<2x5x8xf32>
}

// -----

// The contracted dimensions stand in another order in the weight [d, h, m]: it
// is the weight that is reordered.
// CHECK-LABEL: func.func @contracted_order(
// CHECK:         %[[W:.+]] = linalg.transpose ins(%{{.+}} : tensor<4x3x8xf32>) outs(%{{.+}} : tensor<8x3x4xf32>) permutation = [2, 1, 0]
// CHECK:         %[[W2:.+]] = tensor.collapse_shape %[[W]] {{\[\[}}0], [1, 2]] : tensor<8x3x4xf32> into tensor<8x12xf32>
// CHECK:         structured.linear {layer = "o"} ins(%{{.+}}, %[[W2]] : tensor<5x12xf32>, tensor<8x12xf32>)
func.func @contracted_order(%x: tensor<5x3x4xf32>, %y0: tensor<5x8xf32>) -> tensor<5x8xf32> {
  %o = structured.parameter "o" : tensor<4x3x8xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(s, h, d, m) -> (s, h, d)>, affine_map<(s, h, d, m) -> (d, h, m)>, affine_map<(s, h, d, m) -> (s, m)>]
      ins(%x, %o : tensor<5x3x4xf32>, tensor<4x3x8xf32>)
      outs(%y0 : tensor<5x8xf32>) -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}

// -----

// Tokens come out in another order than they went in.
// CHECK-LABEL: func.func @tokens_reordered(
// CHECK:         %[[X:.+]] = linalg.transpose ins(%arg0 : tensor<2x5x8xf32>) outs(%{{.+}} : tensor<5x2x8xf32>) permutation = [1, 0, 2]
// CHECK:         structured.linear {layer = "wt"}
// CHECK:         tensor.expand_shape %{{.+}} output_shape [5, 2, 12]
// CHECK-NEXT:    return
func.func @tokens_reordered(%x: tensor<2x5x8xf32>, %y0: tensor<5x2x12xf32>) -> tensor<5x2x12xf32> {
  %wt = structured.parameter "wt" : tensor<8x12xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(b, s, m, n) -> (b, s, n)>, affine_map<(b, s, m, n) -> (n, m)>, affine_map<(b, s, m, n) -> (s, b, m)>]
      ins(%x, %wt : tensor<2x5x8xf32>, tensor<8x12xf32>)
      outs(%y0 : tensor<5x2x12xf32>) -> tensor<5x2x12xf32>
  return %y : tensor<5x2x12xf32>
}

// -----

// A batch that is summed over belongs to the contracted dimensions.
// CHECK-LABEL: func.func @batch_reduce(
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @batch_reduce(%x: tensor<2x4x4xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %wt = structured.parameter "wt" : tensor<2x4x12xf32>
  %y = linalg.batch_reduce_matmul ins(%x, %wt : tensor<2x4x4xf32>, tensor<2x4x12xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// Packed operands: six loops, of which two are rows and two columns of W.
// CHECK-LABEL: func.func @packed(
// CHECK:         structured.linear {layer = "p"} ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @packed(%x: tensor<2x4x2x2xf32>, %y0: tensor<2x3x2x4xf32>) -> tensor<2x3x2x4xf32> {
  %p = structured.parameter "p" : tensor<3x4x4x2xf32>
  %y = linalg.mmt4d ins(%x, %p : tensor<2x4x2x2xf32>, tensor<3x4x4x2xf32>)
      outs(%y0 : tensor<2x3x2x4xf32>) -> tensor<2x3x2x4xf32>
  return %y : tensor<2x3x2x4xf32>
}

// -----

// A bias that was broadcast beforehand is the init, here moved to [T, m].
// CHECK-LABEL: func.func @bias_beforehand(
// CHECK-SAME:    %[[X:.+]]: tensor<2x4x8xf32>, %[[B:.+]]: tensor<12xf32>)
// CHECK:         %[[Y0:.+]] = linalg.broadcast ins(%[[B]] : tensor<12xf32>) outs(%{{.+}} : tensor<8x12xf32>) dimensions = [0]
// CHECK:         structured.linear {layer = "wt"} ins(%{{.+}}, %{{.+}} : tensor<8x8xf32>, tensor<12x8xf32>) outs(%[[Y0]] : tensor<8x12xf32>)
func.func @bias_beforehand(%x: tensor<2x4x8xf32>, %bias: tensor<12xf32>) -> tensor<2x4x12xf32> {
  %wt = structured.parameter "wt" : tensor<8x12xf32>
  %e = tensor.empty() : tensor<2x8x12xf32>
  %wb = linalg.broadcast ins(%wt : tensor<8x12xf32>) outs(%e : tensor<2x8x12xf32>) dimensions = [0]
  %f = tensor.empty() : tensor<2x4x12xf32>
  %y0 = linalg.generic {
      indexing_maps = [affine_map<(d0, d1, d2) -> (d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%bias : tensor<12xf32>) outs(%f : tensor<2x4x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<2x4x12xf32>
  %y = linalg.batch_matmul ins(%x, %wb : tensor<2x4x8xf32>, tensor<2x8x12xf32>)
      outs(%y0 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
  return %y : tensor<2x4x12xf32>
}

// -----

// f16 operands, extended in the body.
// CHECK-LABEL: func.func @extended_in_body(
// CHECK:         structured.linear {layer = "w"} ins(%arg0, %{{.+}} : tensor<4x8xf16>, tensor<12x8xf16>) outs(%arg1 : tensor<4x12xf32>)
func.func @extended_in_body(%x: tensor<4x8xf16>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf16>
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n) -> (t, n)>, affine_map<(t, m, n) -> (m, n)>, affine_map<(t, m, n) -> (t, m)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf16>, tensor<12x8xf16>) outs(%y0 : tensor<4x12xf32>) {
  ^bb0(%a: f16, %b: f16, %c: f32):
    %ax = arith.extf %a : f16 to f32
    %bx = arith.extf %b : f16 to f32
    %p = arith.mulf %ax, %bx : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// f16 operands and result.
// CHECK-LABEL: func.func @half_result(
// CHECK:         structured.linear {layer = "wt"} ins(%arg0, %{{.+}} : tensor<4x8xf16>, tensor<12x8xf16>) outs(%arg1 : tensor<4x12xf16>)
func.func @half_result(%x: tensor<4x8xf16>, %y0: tensor<4x12xf16>) -> tensor<4x12xf16> {
  %wt = structured.parameter "wt" : tensor<8x12xf16>
  %y = linalg.matmul ins(%x, %wt : tensor<4x8xf16>, tensor<8x12xf16>)
      outs(%y0 : tensor<4x12xf16>) -> tensor<4x12xf16>
  return %y : tensor<4x12xf16>
}

// -----

// A weight stored in bf16, an input in f32: the layer computes in f32.
// CHECK-LABEL: func.func @mixed_types(
// CHECK:         %[[W:.+]] = linalg.generic {{.+}} ins(%{{.+}} : tensor<12x8xbf16>) outs(%{{.+}} : tensor<12x8xf32>)
// CHECK:           arith.extf
// CHECK:         structured.linear {layer = "wt"} ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @mixed_types(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %wt = structured.parameter "wt" : tensor<8x12xbf16>
  %y = linalg.matmul ins(%x, %wt : tensor<4x8xf32>, tensor<8x12xbf16>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// A weight that is extended and then transposed.
// CHECK-LABEL: func.func @extended_weight(
// CHECK:         arith.extf
// CHECK:         structured.linear {layer = "w"} ins(%arg0, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @extended_weight(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf16>
  %e = tensor.empty() : tensor<8x12xf32>
  %wt = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<12x8xf16>) outs(%e : tensor<8x12xf32>) {
  ^bb0(%a: f16, %o: f32):
    %x32 = arith.extf %a : f16 to f32
    linalg.yield %x32 : f32
  } -> tensor<8x12xf32>
  %y = linalg.matmul ins(%x, %wt : tensor<4x8xf32>, tensor<8x12xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// Fused multiply-add in the body.
// CHECK-LABEL: func.func @fma(
// CHECK:         structured.linear {layer = "w"}
func.func @fma(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n) -> (t, n)>, affine_map<(t, m, n) -> (m, n)>, affine_map<(t, m, n) -> (t, m)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>) outs(%y0 : tensor<4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %s = math.fma %a, %b, %c : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// The same by arith on tensors, and a linalg.copy.
// CHECK-LABEL: func.func @extended_tensor(
// CHECK:         structured.linear {layer = "wt"} ins(%arg0, %{{.+}} : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @extended_tensor(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "wt" : tensor<8x12xbf16>
  %v = arith.extf %w : tensor<8x12xbf16> to tensor<8x12xf32>
  %e = tensor.empty() : tensor<8x12xf32>
  %c = linalg.copy ins(%v : tensor<8x12xf32>) outs(%e : tensor<8x12xf32>) -> tensor<8x12xf32>
  %y = linalg.matmul ins(%x, %c : tensor<4x8xf32>, tensor<8x12xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
