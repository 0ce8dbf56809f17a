// RUN: structured-opt %s --structured-parameters-to-arguments --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @main
// CHECK-SAME: %[[x:[^:]+]]: tensor<4x8xf32>, %[[w:[^:]+]]: tensor<8x12xf32> {structured.parameter = "w", structured.permutation = array<i64: 1, 0>})
// CHECK-NEXT: return %[[w]]
func.func @main(%x: tensor<4x8xf32>) -> tensor<8x12xf32> {
  %w = structured.parameter "w" permutation = [1, 0] : tensor<8x12xf32>
  return %w : tensor<8x12xf32>
}

// -----

// One argument for each name and permutation.

// CHECK-LABEL: func @several
// CHECK-SAME: (%[[w:[^:]+]]: tensor<12x8xf32> {structured.parameter = "w"}, %[[wt:[^:]+]]: tensor<8x12xf32> {structured.parameter = "w", structured.permutation = array<i64: 1, 0>})
// CHECK-NEXT: return %[[w]], %[[wt]], %[[w]]
func.func @several() -> (tensor<12x8xf32>, tensor<8x12xf32>, tensor<12x8xf32>) {
  %0 = structured.parameter "w" : tensor<12x8xf32>
  %1 = structured.parameter "w" permutation = [1, 0] : tensor<8x12xf32>
  %2 = structured.parameter "w" : tensor<12x8xf32>
  return %0, %1, %2 : tensor<12x8xf32>, tensor<8x12xf32>, tensor<12x8xf32>
}

// -----

// A product of factors.

// CHECK-LABEL: func @product
// CHECK-SAME: tensor<8x12xf32> {structured.parameter = "w", structured.permutation = array<i64: 1, 0>, structured.product = #structured.blast_product<"u", "s", "vt", blocks = 3 : 2, rank = 5>}
func.func @product() -> tensor<8x12xf32> {
  %w = structured.parameter "w" permutation = [1, 0]
      product = <"u", "s", "vt", blocks = 3 : 2, rank = 5> : tensor<8x12xf32>
  return %w : tensor<8x12xf32>
}

// -----

// CHECK-LABEL: func.func @concatenation
// CHECK-SAME: tensor<12x8xf32> {structured.concatenation = #structured.concatenation<dim = 0, parts = [<"a", size = 4>, <"b", size = 8>]>, structured.parameter = "a;b"}
func.func @concatenation() -> tensor<12x8xf32> {
  %w = structured.parameter "a;b"
      concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 8>]> : tensor<12x8xf32>
  return %w : tensor<12x8xf32>
}

// -----

func.func private @callee() -> tensor<2xf32> {
  // expected-note @+1 {{used here}}
  %w = structured.parameter "w" : tensor<2xf32>
  return %w : tensor<2xf32>
}
func.func @caller() -> tensor<2xf32> {
  // expected-error @+1 {{call of 'callee', which uses the parameter 'w': inline it first}}
  %0 = func.call @callee() : () -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @two_types() -> (tensor<2xf32>, tensor<3xf32>) {
  // expected-note @+1 {{and here 'tensor<2xf32>'}}
  %0 = structured.parameter "w" : tensor<2xf32>
  // expected-error @+1 {{parameter 'w' has the type 'tensor<3xf32>'}}
  %1 = structured.parameter "w" : tensor<3xf32>
  return %0, %1 : tensor<2xf32>, tensor<3xf32>
}
