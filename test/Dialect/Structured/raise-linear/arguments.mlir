// RUN: structured-opt %s --structured-raise-linear -split-input-file -verify-diagnostics | FileCheck %s
// RUN: structured-opt %s --structured-raise-linear=match-arguments=false -split-input-file 2>&1 | FileCheck %s --check-prefix=OFF

// Arguments that nothing marks as weights. With match-arguments=false none of
// them is one.

// OFF-NOT: structured.linear {{.+}} ins(%{{.+}}, %arg
// OFF: not raised: neither operand is a weight: the left one is function argument 0, the right one function argument 1

// The right operand is the weight if both could be.
// CHECK-LABEL: func.func @matmul(
// CHECK-SAME:    %[[X:.+]]: tensor<4x8xf32>, %[[WT:.+]]: tensor<8x12xf32>
// CHECK:         %[[W:.+]] = linalg.transpose ins(%[[WT]]
// CHECK:         structured.linear {layer = "matmul.arg1"} ins(%[[X]], %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @matmul(%x: tensor<4x8xf32>, %w: tensor<8x12xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %y = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// The one of rank 2 is the weight if only one is.
// CHECK-LABEL: func.func @rank_2(
// CHECK:         structured.linear {layer = "rank_2.arg0"} ins(%{{.+}}, %arg0 : tensor<20x8xf32>, tensor<12x8xf32>)
func.func @rank_2(%w: tensor<12x8xf32>, %x: tensor<4x5x8xf32>, %y0: tensor<4x5x12xf32>) -> tensor<4x5x12xf32> {
  %y = linalg.contract
      indexing_maps = [affine_map<(a, b, m, n) -> (m, n)>, affine_map<(a, b, m, n) -> (a, b, n)>, affine_map<(a, b, m, n) -> (a, b, m)>]
      ins(%w, %x : tensor<12x8xf32>, tensor<4x5x8xf32>) outs(%y0 : tensor<4x5x12xf32>) -> tensor<4x5x12xf32>
  return %y : tensor<4x5x12xf32>
}

// -----

// An argument with a dynamic size is an activation, as is one named as input.
// CHECK-LABEL: func.func @dynamic(
// CHECK:         structured.linear {layer = "dynamic.arg0"}
func.func @dynamic(%w: tensor<12x8xf32>, %x: tensor<8x?xf32>, %y0: tensor<12x?xf32>) -> tensor<12x?xf32> {
  %y = linalg.matmul ins(%w, %x : tensor<12x8xf32>, tensor<8x?xf32>) outs(%y0 : tensor<12x?xf32>) -> tensor<12x?xf32>
  return %y : tensor<12x?xf32>
}

// CHECK-LABEL: func.func @named_input(
// CHECK:         structured.linear {layer = "named_input.arg0"}
func.func @named_input(%w: tensor<12x8xf32>, %x: tensor<8x4xf32> {structured.name = "x"}, %y0: tensor<12x4xf32>) -> tensor<12x4xf32> {
  %y = linalg.matmul ins(%w, %x : tensor<12x8xf32>, tensor<8x4xf32>) outs(%y0 : tensor<12x4xf32>) -> tensor<12x4xf32>
  return %y : tensor<12x4xf32>
}

// -----

// Where one argument is marked, the others are inputs.
func.func @others_are_marked(%x: tensor<4x8xf32>, %z: tensor<8x12xf32>, %y0: tensor<4x12xf32>,
    %w: tensor<3x3xf32> {structured.parameter = "w"}) -> tensor<4x12xf32> {
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one function argument 1}}
  %y = linalg.matmul ins(%x, %z : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

func.func @named_inputs(%x: tensor<4x8xf32> {structured.name = "x"}, %z: tensor<8x12xf32> {structured.name = "z"},
                        %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one function argument 1}}
  %y = linalg.matmul ins(%x, %z : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// A vector argument is rather a token than a matrix.
func.func @vector(%x: tensor<4x8xf32> {structured.name = "x"}, %v: tensor<8xf32>, %y0: tensor<4xf32>) -> tensor<4xf32> {
  // expected-remark@+1 {{not raised: neither operand is a weight}}
  %y = linalg.matvec ins(%x, %v : tensor<4x8xf32>, tensor<8xf32>) outs(%y0 : tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Attention of a single head, whose queries, keys and values are matrices as
// weights are: the softmax tells.
// CHECK-LABEL: func.func @attention(
// CHECK-NOT:     structured.linear
func.func @attention(%q: tensor<4x8xf32>, %k: tensor<6x8xf32>, %v: tensor<6x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x6xf32>
  %kt = linalg.transpose ins(%k : tensor<6x8xf32>) outs(%e : tensor<8x6xf32>) permutation = [1, 0]
  %f = tensor.empty() : tensor<4x6xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%f : tensor<4x6xf32>) -> tensor<4x6xf32>
  // expected-remark@+1 {{not raised: it is a product of attention: a softmax lies between it and another product of activations}}
  %s = linalg.matmul ins(%q, %kt : tensor<4x8xf32>, tensor<8x6xf32>) outs(%s0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %x = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%s : tensor<4x6xf32>) outs(%f : tensor<4x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<4x6xf32>
  %g = tensor.empty() : tensor<4xf32>
  %r0 = linalg.fill ins(%zero : f32) outs(%g : tensor<4xf32>) -> tensor<4xf32>
  %r = linalg.reduce { arith.addf } ins(%x : tensor<4x6xf32>) outs(%r0 : tensor<4xf32>) dimensions = [1]
  %p = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %r : tensor<4x6xf32>, tensor<4xf32>) outs(%f : tensor<4x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.divf %a, %b : f32
    linalg.yield %d : f32
  } -> tensor<4x6xf32>
  %h = tensor.empty() : tensor<4x8xf32>
  %y0 = linalg.fill ins(%zero : f32) outs(%h : tensor<4x8xf32>) -> tensor<4x8xf32>
  // expected-remark@+1 {{not raised: it is a product of attention: a softmax lies between it and another product of activations}}
  %y = linalg.matmul ins(%p, %v : tensor<4x6xf32>, tensor<6x8xf32>) outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A classifier that ends in a softmax is no attention.
// CHECK-LABEL: func.func @classifier(
// CHECK:         structured.linear {layer = "classifier.arg1"}
func.func @classifier(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>) -> tensor<4x6xf32> {
  %zero = arith.constant 0.0 : f32
  %f = tensor.empty() : tensor<4x6xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%f : tensor<4x6xf32>) -> tensor<4x6xf32>
  %s = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%s0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %p = linalg.softmax dimension(1) ins(%s : tensor<4x6xf32>) outs(%f : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %p : tensor<4x6xf32>
}

// -----

// The input is gathered from an argument within a body.
// CHECK-LABEL: func.func @gathered(
// CHECK:         structured.linear {layer = "gathered.arg1"}
func.func @gathered(%table: tensor<100x8xf32>, %w: tensor<8x6xf32>, %ids: tensor<4xindex>, %y0: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %x = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<4xindex>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%i: index, %o: f32):
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<100x8xf32>
    linalg.yield %v : f32
  } -> tensor<4x8xf32>
  %y = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%y0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// A slice of an argument.
// CHECK-LABEL: func.func @slice(
// CHECK:         %[[W:.+]] = tensor.extract_slice %arg1
// CHECK:         structured.linear {layer = "slice.arg1"} ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<6x8xf32>)
func.func @slice(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y0: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %s = tensor.extract_slice %w[6, 0] [6, 8] [1, 1] : tensor<12x8xf32> to tensor<6x8xf32>
  %e = tensor.empty() : tensor<8x6xf32>
  %t = linalg.transpose ins(%s : tensor<6x8xf32>) outs(%e : tensor<8x6xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %t : tensor<4x8xf32>, tensor<8x6xf32>) outs(%y0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}
