// RUN: structured-opt %s --structured-fold-into-contractions --split-input-file | FileCheck %s

#tn = affine_map<(t, m, n) -> (t, n)>
#mn = affine_map<(t, m, n) -> (m, n)>
#tm = affine_map<(t, m, n) -> (t, m)>

// CHECK-DAG: #[[$TN:.+]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$NM:.+]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[$TM:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func @dense
// CHECK: %[[w:.+]] = structured.parameter "w" permutation = [1, 0] : tensor<8x12xf32>
// CHECK: linalg.contract indexing_maps = [#[[$TN]], #[[$NM]], #[[$TM]]] ins(%arg0, %[[w]] :
func.func @dense(%x: tensor<?x8xf32>, %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  %y = linalg.matmul indexing_maps = [#tn, #mn, #tm]
      ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// A product of factors stays one.

// CHECK-LABEL: func @product
// CHECK: structured.parameter "w" permutation = [1, 0] product = <"u", "s", "vt", blocks = 3 : 2, rank = 5> : tensor<8x12xf32>
func.func @product(%x: tensor<?x8xf32>, %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %w = structured.parameter "w" product = <"u", "s", "vt", blocks = 3 : 2, rank = 5> : tensor<12x8xf32>
  %y = linalg.matmul indexing_maps = [affine_map<(t, m, n) -> (t, n)>,
                                      affine_map<(t, m, n) -> (m, n)>,
                                      affine_map<(t, m, n) -> (t, m)>]
      ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// So does a concatenation.

// CHECK-LABEL: func @concatenation
// CHECK: structured.parameter "a;b" permutation = [1, 0] concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 8>]> : tensor<8x12xf32>
func.func @concatenation(%x: tensor<?x8xf32>, %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %w = structured.parameter "a;b" concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 8>]> : tensor<12x8xf32>
  %y = linalg.matmul indexing_maps = [affine_map<(t, m, n) -> (t, n)>,
                                      affine_map<(t, m, n) -> (m, n)>,
                                      affine_map<(t, m, n) -> (t, m)>]
      ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// The model's own transpose and the wanted one cancel.

// CHECK-LABEL: func @transposed
// CHECK-NEXT: %[[w:.+]] = structured.parameter "w" : tensor<8x12xf32>
// CHECK-NOT: linalg.transpose
// CHECK: linalg.contract {{.*}} ins(%arg0, %[[w]] :
func.func @transposed(%x: tensor<?x8xf32>, %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %w = structured.parameter "w" : tensor<8x12xf32>
  %empty = tensor.empty() : tensor<12x8xf32>
  %wt = linalg.transpose ins(%w : tensor<8x12xf32>) outs(%empty : tensor<12x8xf32>)
      permutation = [1, 0]
  %y = linalg.matmul indexing_maps = [affine_map<(t, m, n) -> (t, n)>,
                                      affine_map<(t, m, n) -> (m, n)>,
                                      affine_map<(t, m, n) -> (t, m)>]
      ins(%x, %wt : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// BLAST's U [b_out, p, r] as [b_out, r, p], Vt [b_in, r, q] as [b_in, q, r]; S
// has its innermost dimension where it is wanted.

// CHECK-LABEL: func @blast
// CHECK-DAG: structured.parameter "u" permutation = [0, 2, 1] : tensor<3x5x4xf32>
// CHECK-DAG: structured.parameter "s" : tensor<3x2x5xf32>
// CHECK-DAG: structured.parameter "vt" permutation = [0, 2, 1] : tensor<2x6x5xf32>
func.func @blast(%x: tensor<7x2x6xf32>, %y0: tensor<2x7x5xf32>,
                 %z0: tensor<3x7x5xf32>, %o0: tensor<7x3x4xf32>) -> tensor<7x3x4xf32> {
  %u = structured.parameter "u" : tensor<3x4x5xf32>
  %s = structured.parameter "s" : tensor<3x2x5xf32>
  %vt = structured.parameter "vt" : tensor<2x5x6xf32>
  %y = linalg.contract indexing_maps = [affine_map<(j, t, r, q) -> (t, j, q)>,
                                        affine_map<(j, t, r, q) -> (j, r, q)>,
                                        affine_map<(j, t, r, q) -> (j, t, r)>]
      ins(%x, %vt : tensor<7x2x6xf32>, tensor<2x5x6xf32>)
      outs(%y0 : tensor<2x7x5xf32>) -> tensor<2x7x5xf32>
  %z = linalg.contract indexing_maps = [affine_map<(i, t, r, j) -> (i, j, r)>,
                                        affine_map<(i, t, r, j) -> (j, t, r)>,
                                        affine_map<(i, t, r, j) -> (i, t, r)>]
      ins(%s, %y : tensor<3x2x5xf32>, tensor<2x7x5xf32>)
      outs(%z0 : tensor<3x7x5xf32>) -> tensor<3x7x5xf32>
  %o = linalg.contract indexing_maps = [affine_map<(i, t, p, r) -> (i, t, r)>,
                                        affine_map<(i, t, p, r) -> (i, p, r)>,
                                        affine_map<(i, t, p, r) -> (t, i, p)>]
      ins(%z, %u : tensor<3x7x5xf32>, tensor<3x4x5xf32>)
      outs(%o0 : tensor<7x3x4xf32>) -> tensor<7x3x4xf32>
  return %o : tensor<7x3x4xf32>
}

// -----

// A permutation is composed with the one that the parameter has.

// CHECK-LABEL: func @composed
// CHECK: structured.parameter "w" permutation = [2, 0, 1] : tensor<5x3x4xf32>
func.func @composed() -> tensor<5x3x4xf32> {
  %w = structured.parameter "w" permutation = [0, 2, 1] : tensor<3x5x4xf32>
  %empty = tensor.empty() : tensor<5x3x4xf32>
  %t = linalg.transpose ins(%w : tensor<3x5x4xf32>) outs(%empty : tensor<5x3x4xf32>)
      permutation = [1, 0, 2]
  return %t : tensor<5x3x4xf32>
}
