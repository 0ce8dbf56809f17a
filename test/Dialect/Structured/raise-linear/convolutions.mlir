// RUN: structured-opt %s --structured-raise-linear -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @nchw_fchw(
// CHECK-DAG:     %[[W:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0], [1, 2, 3]] : tensor<12x8x1x1xf32> into tensor<12x8xf32>
// CHECK-DAG:     %[[X:.+]] = linalg.transpose ins(%arg0 : tensor<2x8x3x5xf32>) outs(%{{.+}} : tensor<2x3x5x8xf32>) permutation = [0, 2, 3, 1]
// CHECK-DAG:     %[[X2:.+]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1, 2], [3]] : tensor<2x3x5x8xf32> into tensor<30x8xf32>
// CHECK:         structured.linear {layer = "conv"} ins(%[[X2]], %[[W]] : tensor<30x8xf32>, tensor<12x8xf32>) outs(%{{.+}} : tensor<30x12xf32>)
// CHECK:         linalg.transpose ins(%{{.+}} : tensor<2x3x5x12xf32>) outs(%{{.+}} : tensor<2x12x3x5xf32>) permutation = [0, 3, 1, 2]
func.func @nchw_fchw(%x: tensor<2x8x3x5xf32>, %y0: tensor<2x12x3x5xf32>) -> tensor<2x12x3x5xf32> {
  %k = structured.parameter "conv.weight" : tensor<12x8x1x1xf32>
  %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %k : tensor<2x8x3x5xf32>, tensor<12x8x1x1xf32>)
      outs(%y0 : tensor<2x12x3x5xf32>) -> tensor<2x12x3x5xf32>
  return %y : tensor<2x12x3x5xf32>
}

// -----

// Channels last need no transpose of the activations.
// CHECK-LABEL: func.func @nhwc_hwcf(
// CHECK-DAG:     %[[X:.+]] = tensor.collapse_shape %arg0 {{\[\[}}0, 1, 2], [3]] : tensor<2x3x5x8xf32> into tensor<30x8xf32>
// CHECK-DAG:     %[[W:.+]] = linalg.transpose ins(%{{.+}} : tensor<8x12xf32>) {{.+}} permutation = [1, 0]
// CHECK:         structured.linear {layer = "conv"} ins(%[[X]], %[[W]] : tensor<30x8xf32>, tensor<12x8xf32>)
// CHECK-NOT:     linalg.transpose
// CHECK:         return
func.func @nhwc_hwcf(%x: tensor<2x3x5x8xf32>, %y0: tensor<2x3x5x12xf32>) -> tensor<2x3x5x12xf32> {
  %k = structured.parameter "conv.weight" : tensor<1x1x8x12xf32>
  %y = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %k : tensor<2x3x5x8xf32>, tensor<1x1x8x12xf32>)
      outs(%y0 : tensor<2x3x5x12xf32>) -> tensor<2x3x5x12xf32>
  return %y : tensor<2x3x5x12xf32>
}

// -----

// CHECK-LABEL: func.func @nhwc_fhwc(
// CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %{{.+}} : tensor<30x8xf32>, tensor<12x8xf32>)
func.func @nhwc_fhwc(%x: tensor<2x3x5x8xf32>, %y0: tensor<2x3x5x12xf32>) -> tensor<2x3x5x12xf32> {
  %k = structured.parameter "conv.weight" : tensor<12x1x1x8xf32>
  %y = linalg.conv_2d_nhwc_fhwc {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %k : tensor<2x3x5x8xf32>, tensor<12x1x1x8xf32>)
      outs(%y0 : tensor<2x3x5x12xf32>) -> tensor<2x3x5x12xf32>
  return %y : tensor<2x3x5x12xf32>
}

// -----

// CHECK-LABEL: func.func @conv_1d(
// CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %{{.+}} : tensor<10x8xf32>, tensor<12x8xf32>)
func.func @conv_1d(%x: tensor<2x8x5xf32>, %y0: tensor<2x12x5xf32>) -> tensor<2x12x5xf32> {
  %k = structured.parameter "conv.weight" : tensor<12x8x1xf32>
  %y = linalg.conv_1d_ncw_fcw {dilations = dense<1> : vector<1xi64>, strides = dense<1> : vector<1xi64>}
      ins(%x, %k : tensor<2x8x5xf32>, tensor<12x8x1xf32>)
      outs(%y0 : tensor<2x12x5xf32>) -> tensor<2x12x5xf32>
  return %y : tensor<2x12x5xf32>
}

// -----

// CHECK-LABEL: func.func @dynamic_batch(
// CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %{{.+}} : tensor<?x8xf32>, tensor<12x8xf32>) outs(%{{.+}} : tensor<?x12xf32>)
func.func @dynamic_batch(%x: tensor<?x8x3x5xf32>, %y0: tensor<?x12x3x5xf32>) -> tensor<?x12x3x5xf32> {
  %k = structured.parameter "conv.weight" : tensor<12x8x1x1xf32>
  %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %k : tensor<?x8x3x5xf32>, tensor<12x8x1x1xf32>)
      outs(%y0 : tensor<?x12x3x5xf32>) -> tensor<?x12x3x5xf32>
  return %y : tensor<?x12x3x5xf32>
}

// -----

// A strided 1x1 convolution reads a slice.
// CHECK-LABEL: func.func @strided(
// CHECK:         %[[X:.+]] = tensor.extract_slice %arg0[0, 0, 0, 0] [2, 2, 3, 8] [1, 2, 2, 1] : tensor<2x3x5x8xf32> to tensor<2x2x3x8xf32>
// CHECK:         %[[X2:.+]] = tensor.collapse_shape %[[X]]
// CHECK:         structured.linear {layer = "conv"} ins(%[[X2]], %{{.+}} : tensor<12x8xf32>, tensor<12x8xf32>)
func.func @strided(%x: tensor<2x3x5x8xf32>, %y0: tensor<2x2x3x12xf32>) -> tensor<2x2x3x12xf32> {
  %k = structured.parameter "conv.weight" : tensor<1x1x8x12xf32>
  %y = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>}
      ins(%x, %k : tensor<2x3x5x8xf32>, tensor<1x1x8x12xf32>)
      outs(%y0 : tensor<2x2x3x12xf32>) -> tensor<2x2x3x12xf32>
  return %y : tensor<2x2x3x12xf32>
}

// -----

// Strided down to one position: only the first pixel is read.
// CHECK-LABEL: func.func @strided_to_one(
// CHECK:         tensor.extract_slice %arg0[0, 0, 0, 0] [2, 1, 1, 8] [1, 1, 1, 1] : tensor<2x2x2x8xf32> to tensor<2x1x1x8xf32>
// CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %{{.+}} : tensor<2x8xf32>, tensor<12x8xf32>)
func.func @strided_to_one(%x: tensor<2x2x2x8xf32>, %y0: tensor<2x1x1x12xf32>) -> tensor<2x1x1x12xf32> {
  %k = structured.parameter "conv.weight" : tensor<1x1x8x12xf32>
  %y = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>}
      ins(%x, %k : tensor<2x2x2x8xf32>, tensor<1x1x8x12xf32>)
      outs(%y0 : tensor<2x1x1x12xf32>) -> tensor<2x1x1x12xf32>
  return %y : tensor<2x1x1x12xf32>
}

// -----

// A 3x3 convolution after im2col (transform.structured.convert_conv2d_to_img2col's
// form for channels last): a contraction with the collapsed kernel
// [3·3·8, 12]; the gathering generic stays.
// CHECK-LABEL: func.func @im2col_nhwc(
// CHECK:         %[[X:.+]] = linalg.generic
// CHECK:           tensor.extract
// CHECK-DAG:     %[[K:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0, 1, 2], [3]] : tensor<3x3x8x12xf32> into tensor<72x12xf32>
// CHECK-DAG:     %[[W:.+]] = linalg.transpose ins(%[[K]] : tensor<72x12xf32>) outs(%{{.+}} : tensor<12x72xf32>) permutation = [1, 0]
// CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %[[W]] : tensor<4x72xf32>, tensor<12x72xf32>)
func.func @im2col_nhwc(%x: tensor<1x4x4x8xf32>, %y0: tensor<1x2x2x12xf32>) -> tensor<1x2x2x12xf32> {
  %k = structured.parameter "conv.weight" : tensor<3x3x8x12xf32>
  %kc = tensor.collapse_shape %k [[0, 1, 2], [3]] : tensor<3x3x8x12xf32> into tensor<72x12xf32>
  %yc = tensor.collapse_shape %y0 [[0], [1, 2], [3]] : tensor<1x2x2x12xf32> into tensor<1x4x12xf32>
  %e = tensor.empty() : tensor<1x4x72xf32>
  %cols = linalg.generic {
      indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      outs(%e : tensor<1x4x72xf32>) {
  ^bb0(%o: f32):
    %b = linalg.index 0 : index
    %p = linalg.index 1 : index
    %q = linalg.index 2 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c8 = arith.constant 8 : index
    %oh = arith.divui %p, %c2 : index
    %ow = arith.remui %p, %c2 : index
    %c = arith.remui %q, %c8 : index
    %kk = arith.divui %q, %c8 : index
    %kh = arith.divui %kk, %c3 : index
    %kw = arith.remui %kk, %c3 : index
    %ih = arith.addi %oh, %kh : index
    %iw = arith.addi %ow, %kw : index
    %v = tensor.extract %x[%b, %ih, %iw, %c] : tensor<1x4x4x8xf32>
    linalg.yield %v : f32
  } -> tensor<1x4x72xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%cols, %kc : tensor<1x4x72xf32>, tensor<72x12xf32>) outs(%yc : tensor<1x4x12xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %p, %c : f32
    linalg.yield %s : f32
  } -> tensor<1x4x12xf32>
  %r = tensor.expand_shape %y [[0], [1, 2], [3]] output_shape [1, 2, 2, 12] : tensor<1x4x12xf32> into tensor<1x2x2x12xf32>
  return %r : tensor<1x2x2x12xf32>
}

// -----

// The kernel's dimensions need not be collapsed, nor stand in the input's order.
// CHECK-LABEL: func.func @im2col_fchw(
// CHECK:         %[[W:.+]] = linalg.transpose ins(%{{.+}} : tensor<12x8x9xf32>) outs(%{{.+}} : tensor<12x9x8xf32>) permutation = [0, 2, 1]
// CHECK:         %[[W2:.+]] = tensor.collapse_shape %[[W]] {{\[\[}}0], [1, 2]] : tensor<12x9x8xf32> into tensor<12x72xf32>
// CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %[[W2]] : tensor<4x72xf32>, tensor<12x72xf32>)
func.func @im2col_fchw(%cols: tensor<4x3x3x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %k = structured.parameter "conv.weight" : tensor<12x8x3x3xf32>
  %y = linalg.contract
      indexing_maps = [affine_map<(p, h, w, c, f) -> (p, h, w, c)>, affine_map<(p, h, w, c, f) -> (f, c, h, w)>, affine_map<(p, h, w, c, f) -> (p, f)>]
      ins(%cols, %k : tensor<4x3x3x8xf32>, tensor<12x8x3x3xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
