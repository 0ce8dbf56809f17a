// RUN: structured-opt %s --structured-raise-linear -split-input-file -verify-diagnostics | FileCheck %s --implicit-check-not=structured.linear

// Each op that is a contraction or convolution but no linear layer, with the
// reason. Nothing in this file is raised.

// Attention: the scores Q·Kᵀ and the values P·V of several heads.
// CHECK-LABEL: func.func @attention(
func.func @attention(%q: tensor<1x12x4x8xf32>, %k: tensor<1x12x8x4xf32>, %v: tensor<1x12x4x8xf32>,
                     %s0: tensor<12x4x4xf32>, %y0: tensor<12x4x8xf32>) -> tensor<12x4x8xf32> {
  %q3 = tensor.collapse_shape %q [[0, 1], [2], [3]] : tensor<1x12x4x8xf32> into tensor<12x4x8xf32>
  %k3 = tensor.collapse_shape %k [[0, 1], [2], [3]] : tensor<1x12x8x4xf32> into tensor<12x8x4xf32>
  %v3 = tensor.collapse_shape %v [[0, 1], [2], [3]] : tensor<1x12x4x8xf32> into tensor<12x4x8xf32>
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one function argument 1}}
  %s = linalg.batch_matmul ins(%q3, %k3 : tensor<12x4x8xf32>, tensor<12x8x4xf32>) outs(%s0 : tensor<12x4x4xf32>) -> tensor<12x4x4xf32>
  %e = tensor.empty() : tensor<12x4x4xf32>
  %p = linalg.softmax dimension(2) ins(%s : tensor<12x4x4xf32>) outs(%e : tensor<12x4x4xf32>) -> tensor<12x4x4xf32>
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is the result of linalg.softmax, the right one function argument 2}}
  %y = linalg.batch_matmul ins(%p, %v3 : tensor<12x4x4xf32>, tensor<12x4x8xf32>) outs(%y0 : tensor<12x4x8xf32>) -> tensor<12x4x8xf32>
  return %y : tensor<12x4x8xf32>
}

// -----

// CHECK-LABEL: func.func @weight_varies_over_the_batch(
func.func @weight_varies_over_the_batch(%x: tensor<3x4x8xf32>, %y0: tensor<3x4x12xf32>) -> tensor<3x4x12xf32> {
  %w = structured.parameter "experts" : tensor<3x8x12xf32>
  // expected-remark@+1 {{not raised: the weight varies along a batch dimension of size 3}}
  %y = linalg.batch_matmul ins(%x, %w : tensor<3x4x8xf32>, tensor<3x8x12xf32>) outs(%y0 : tensor<3x4x12xf32>) -> tensor<3x4x12xf32>
  return %y : tensor<3x4x12xf32>
}

// -----

// Half of the batch is a broadcast, the other half is not.
// CHECK-LABEL: func.func @partly_broadcast(
func.func @partly_broadcast(%x: tensor<6x4x8xf32>, %y0: tensor<6x4x12xf32>) -> tensor<6x4x12xf32> {
  %w = structured.parameter "experts" : tensor<3x8x12xf32>
  %e = tensor.empty() : tensor<2x3x8x12xf32>
  %b = linalg.broadcast ins(%w : tensor<3x8x12xf32>) outs(%e : tensor<2x3x8x12xf32>) dimensions = [0]
  %c = tensor.collapse_shape %b [[0, 1], [2], [3]] : tensor<2x3x8x12xf32> into tensor<6x8x12xf32>
  // expected-remark@+1 {{not raised: the weight varies along a batch dimension of size 6}}
  %y = linalg.batch_matmul ins(%x, %c : tensor<6x4x8xf32>, tensor<6x8x12xf32>) outs(%y0 : tensor<6x4x12xf32>) -> tensor<6x4x12xf32>
  return %y : tensor<6x4x12xf32>
}

// -----

// CHECK-LABEL: func.func @columns_partly_broadcast(
func.func @columns_partly_broadcast(%x: tensor<4x8xf32>, %y0: tensor<4x24xf32>) -> tensor<4x24xf32> {
  %w = structured.parameter "w" : tensor<8x12xf32>
  %e = tensor.empty() : tensor<8x2x12xf32>
  %b = linalg.broadcast ins(%w : tensor<8x12xf32>) outs(%e : tensor<8x2x12xf32>) dimensions = [1]
  %c = tensor.collapse_shape %b [[0], [1, 2]] : tensor<8x2x12xf32> into tensor<8x24xf32>
  // expected-remark@+1 {{not raised: a broadcast and a varying dimension of the weight are collapsed into one}}
  %y = linalg.matmul ins(%x, %c : tensor<4x8xf32>, tensor<8x24xf32>) outs(%y0 : tensor<4x24xf32>) -> tensor<4x24xf32>
  return %y : tensor<4x24xf32>
}

// -----

// CHECK-LABEL: func.func @both_constant(
func.func @both_constant(%y0: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %a = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %w = structured.parameter "w" : tensor<2x2xf32>
  // expected-remark@+1 {{not raised: both operands are constant}}
  %y = linalg.matmul ins(%a, %w : tensor<2x2xf32>, tensor<2x2xf32>) outs(%y0 : tensor<2x2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// -----

// CHECK-LABEL: func.func @integers(
func.func @integers(%x: tensor<4x8xi8>, %y0: tensor<4x12xi32>) -> tensor<4x12xi32> {
  %w = arith.constant dense<1> : tensor<8x12xi8>
  // expected-remark@+1 {{not raised: its elements are i8, not f32, f16 or bf16}}
  %y = linalg.matmul ins(%x, %w : tensor<4x8xi8>, tensor<8x12xi8>) outs(%y0 : tensor<4x12xi32>) -> tensor<4x12xi32>
  return %y : tensor<4x12xi32>
}

// -----

// CHECK-LABEL: func.func @quantized(
func.func @quantized(%x: tensor<4x8xi8>, %y0: tensor<4x12xi32>) -> tensor<4x12xi32> {
  %w = arith.constant dense<1> : tensor<8x12xi8>
  %z = arith.constant 3 : i32
  // expected-remark@+1 {{not raised: its elements are i8, not f32, f16 or bf16}}
  %y = linalg.quantized_matmul ins(%x, %w, %z, %z : tensor<4x8xi8>, tensor<8x12xi8>, i32, i32) outs(%y0 : tensor<4x12xi32>) -> tensor<4x12xi32>
  return %y : tensor<4x12xi32>
}

// -----

// CHECK-LABEL: func.func @double(
func.func @double(%x: tensor<4x8xf64>, %y0: tensor<4x12xf64>) -> tensor<4x12xf64> {
  %w = structured.parameter "w" : tensor<8x12xf64>
  // expected-remark@+1 {{not raised: its elements are f64, not f32, f16 or bf16}}
  %y = linalg.matmul ins(%x, %w : tensor<4x8xf64>, tensor<8x12xf64>) outs(%y0 : tensor<4x12xf64>) -> tensor<4x12xf64>
  return %y : tensor<4x12xf64>
}

// -----

// CHECK-LABEL: func.func @sum_type(
func.func @sum_type(%x: tensor<4x8xf32>, %y0: tensor<4x12xf16>) -> tensor<4x12xf16> {
  %w = structured.parameter "w" : tensor<12x8xf16>
  // expected-remark@+1 {{not raised: its body is not a multiplication and an addition}}
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n) -> (t, n)>, affine_map<(t, m, n) -> (m, n)>, affine_map<(t, m, n) -> (t, m)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf16>) outs(%y0 : tensor<4x12xf16>) {
  ^bb0(%a: f32, %b: f16, %c: f16):
    %r = arith.truncf %a : f32 to f16
    %p = arith.mulf %r, %b : f16
    %s = arith.addf %c, %p : f16
    linalg.yield %s : f16
  } -> tensor<4x12xf16>
  return %y : tensor<4x12xf16>
}

// -----

// A product in another semiring.
// CHECK-LABEL: func.func @max_plus(
func.func @max_plus(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  // expected-remark@+1 {{not raised: its body is not a multiplication and an addition}}
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n) -> (t, n)>, affine_map<(t, m, n) -> (m, n)>, affine_map<(t, m, n) -> (t, m)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>) outs(%y0 : tensor<4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.addf %a, %b : f32
    %s = arith.maximumf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// The accumulator is multiplied too: no multiply-add.
// CHECK-LABEL: func.func @scaled_sum(
func.func @scaled_sum(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  // expected-remark@+1 {{not raised: its body is not a multiplication and an addition}}
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n) -> (t, n)>, affine_map<(t, m, n) -> (m, n)>, affine_map<(t, m, n) -> (t, m)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>) outs(%y0 : tensor<4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.mulf %c, %b : f32
    %s = arith.addf %q, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// CHECK-LABEL: func.func @convolution_3x3(
func.func @convolution_3x3(%x: tensor<1x8x6x6xf32>, %y0: tensor<1x12x4x4xf32>) -> tensor<1x12x4x4xf32> {
  %k = structured.parameter "k" : tensor<12x8x3x3xf32>
  // expected-remark@+1 {{not raised: it is a convolution whose windows overlap or whose kernel is larger than 1x1; only 1x1 convolutions and those lowered by im2col are linear layers}}
  %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %k : tensor<1x8x6x6xf32>, tensor<12x8x3x3xf32>) outs(%y0 : tensor<1x12x4x4xf32>) -> tensor<1x12x4x4xf32>
  return %y : tensor<1x12x4x4xf32>
}

// -----

// CHECK-LABEL: func.func @convolution_strided(
func.func @convolution_strided(%x: tensor<1x8x6x6xf32>, %y0: tensor<1x12x3x3xf32>) -> tensor<1x12x3x3xf32> {
  %k = structured.parameter "k" : tensor<12x8x2x2xf32>
  // expected-remark@+1 {{not raised: it is a convolution}}
  %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>}
      ins(%x, %k : tensor<1x8x6x6xf32>, tensor<12x8x2x2xf32>) outs(%y0 : tensor<1x12x3x3xf32>) -> tensor<1x12x3x3xf32>
  return %y : tensor<1x12x3x3xf32>
}

// -----

// CHECK-LABEL: func.func @strided_dynamic(
func.func @strided_dynamic(%x: tensor<1x8x?x6xf32>, %y0: tensor<1x12x?x3xf32>) -> tensor<1x12x?x3xf32> {
  %k = structured.parameter "k" : tensor<12x8x1x1xf32>
  // expected-remark@+1 {{not raised: it reads its input with stride 2 along a dynamic dimension}}
  %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>}
      ins(%x, %k : tensor<1x8x?x6xf32>, tensor<12x8x1x1xf32>) outs(%y0 : tensor<1x12x?x3xf32>) -> tensor<1x12x?x3xf32>
  return %y : tensor<1x12x?x3xf32>
}

// -----

// CHECK-LABEL: func.func @depthwise(
func.func @depthwise(%x: tensor<1x6x6x8xf32>, %y0: tensor<1x6x6x8xf32>) -> tensor<1x6x6x8xf32> {
  %k = structured.parameter "k" : tensor<1x1x8xf32>
  // expected-remark@+1 {{not raised: the weight varies along a batch dimension of size 8}}
  %y = linalg.depthwise_conv_2d_nhwc_hwc {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %k : tensor<1x6x6x8xf32>, tensor<1x1x8xf32>) outs(%y0 : tensor<1x6x6x8xf32>) -> tensor<1x6x6x8xf32>
  return %y : tensor<1x6x6x8xf32>
}

// -----

// CHECK-LABEL: func.func @sums_the_input(
func.func @sums_the_input(%x: tensor<3x4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  // expected-remark@+1 {{not raised: it sums the input alone over a dimension of size 3}}
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n, k) -> (k, t, n)>, affine_map<(t, m, n, k) -> (m, n)>, affine_map<(t, m, n, k) -> (t, m)>],
      iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : tensor<3x4x8xf32>, tensor<12x8xf32>) outs(%y0 : tensor<4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// CHECK-LABEL: func.func @broadcast_output(
func.func @broadcast_output(%x: tensor<4x8xf32>, %y0: tensor<4x5x12xf32>) -> tensor<4x5x12xf32> {
  %w = structured.parameter "w" : tensor<12x8xf32>
  // expected-remark@+1 {{not raised: its output is broadcast along a dimension of size 5}}
  %y = linalg.generic {
      indexing_maps = [affine_map<(t, m, n, k) -> (t, n)>, affine_map<(t, m, n, k) -> (m, n)>, affine_map<(t, m, n, k) -> (t, k, m)>],
      iterator_types = ["parallel", "parallel", "reduction", "parallel"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>) outs(%y0 : tensor<4x5x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x5x12xf32>
  return %y : tensor<4x5x12xf32>
}

// -----

// A weight that is computed is none, and says by what.
// CHECK-LABEL: func.func @computed_weight(
func.func @computed_weight(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<8x12xf32>
  %e = tensor.empty() : tensor<8x12xf32>
  %d = linalg.add ins(%w, %w : tensor<8x12xf32>, tensor<8x12xf32>) outs(%e : tensor<8x12xf32>) -> tensor<8x12xf32>
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one computed from weights by linalg.add}}
  %y = linalg.contract
      indexing_maps = [affine_map<(t, m, n) -> (t, n)>, affine_map<(t, m, n) -> (n, m)>, affine_map<(t, m, n) -> (t, m)>]
      ins(%x, %d : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// A weight that may change is none. (It is taken for an activation, so the
// other operand must not look like a weight.)
ml_program.global private mutable @state(dense<1.0> : tensor<8x12xf32>) : tensor<8x12xf32>
memref.global "private" @buffer : memref<8x12xf32> = dense<1.0>

// CHECK-LABEL: func.func @mutable(
func.func @mutable(%x: tensor<4x8xf32> {structured.name = "x"}, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = ml_program.global_load @state : tensor<8x12xf32>
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one the result of ml_program.global_load}}
  %y = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  %m = memref.get_global @buffer : memref<8x12xf32>
  %v = bufferization.to_tensor %m restrict : memref<8x12xf32> to tensor<8x12xf32>
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one the result of bufferization.to_tensor}}
  %z = linalg.matmul ins(%x, %v : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %z : tensor<4x12xf32>
}

// -----

// An f32 weight rounded to f16 and extended again is another weight.
// CHECK-LABEL: func.func @rounded_weight(
func.func @rounded_weight(%x: tensor<4x8xf32> {structured.name = "x"}, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<8x12xf32>
  %e = tensor.empty() : tensor<8x12xf16>
  %r = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%w : tensor<8x12xf32>) outs(%e : tensor<8x12xf16>) {
  ^bb0(%a: f32, %o: f16):
    %c = arith.truncf %a : f32 to f16
    linalg.yield %c : f16
  } -> tensor<8x12xf16>
  %f = tensor.empty() : tensor<8x12xf32>
  %v = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%r : tensor<8x12xf16>) outs(%f : tensor<8x12xf32>) {
  ^bb0(%a: f16, %o: f32):
    %c = arith.extf %a : f16 to f32
    linalg.yield %c : f32
  } -> tensor<8x12xf32>
  // expected-remark@+1 {{not raised: neither operand is a weight: the left one is function argument 0, the right one computed from weights by linalg.generic}}
  %y = linalg.matmul ins(%x, %v : tensor<4x8xf32>, tensor<8x12xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// CHECK-LABEL: func.func @memrefs(
func.func @memrefs(%x: memref<4x8xf32>, %w: memref<8x12xf32>, %y: memref<4x12xf32>) {
  // expected-remark@+1 {{not raised: it works on memrefs; run the pass before bufferization}}
  linalg.matmul ins(%x, %w : memref<4x8xf32>, memref<8x12xf32>) outs(%y : memref<4x12xf32>)
  return
}

// -----

// Reductions and elementwise ops are no contractions and pass without a word:
// a sum, a sum of squares, a bias, a pooling.
// CHECK-LABEL: func.func @no_contractions(
func.func @no_contractions(%x: tensor<4x8xf32>, %r0: tensor<4xf32>, %i: tensor<1x4x4x8xf32>, %p0: tensor<1x2x2x8xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>, tensor<1x2x2x8xf32>) {
  %b = structured.parameter "b" : tensor<8xf32>
  %s = linalg.reduce { arith.addf } ins(%x : tensor<4x8xf32>) outs(%r0 : tensor<4xf32>) dimensions = [1]
  %q = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x8xf32>) outs(%r0 : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %a : f32
    %n = arith.addf %o, %m : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<4x8xf32>, tensor<8xf32>) outs(%x : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %n = arith.addf %o, %m : f32
    linalg.yield %n : f32
  } -> tensor<4x8xf32>
  %k = tensor.empty() : tensor<3x3xf32>
  %p = linalg.pooling_nhwc_sum {dilations = dense<1> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>}
      ins(%i, %k : tensor<1x4x4x8xf32>, tensor<3x3xf32>) outs(%p0 : tensor<1x2x2x8xf32>) -> tensor<1x2x2x8xf32>
  return %s, %q, %y, %p : tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>, tensor<1x2x2x8xf32>
}
