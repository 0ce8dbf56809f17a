// RUN: structured-opt %s --transform-interpreter --structured-raise-linear | FileCheck %s --implicit-check-not='linalg.conv{{.*}}ins('

// 3x3 convolutions that upstream's transform lowers by im2col: channels last,
// whose kernel becomes the right operand [3·3·8, 12], and channels first, whose
// kernel becomes the left operand [12, 8·3·3].

module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @nhwc(
  // CHECK-DAG:     %[[K:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0, 1, 2], [3]] : tensor<3x3x8x12xf32> into tensor<72x12xf32>
  // CHECK-DAG:     %[[W:.+]] = linalg.transpose ins(%[[K]] : tensor<72x12xf32>) {{.+}} permutation = [1, 0]
  // CHECK:         structured.linear {layer = "conv"} ins(%{{.+}}, %[[W]] : tensor<16x72xf32>, tensor<12x72xf32>)
  func.func @nhwc(%x: tensor<1x6x6x8xf32>, %y0: tensor<1x4x4x12xf32>) -> tensor<1x4x4x12xf32> {
    %k = structured.parameter "conv.weight" : tensor<3x3x8x12xf32>
    %y = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
        ins(%x, %k : tensor<1x6x6x8xf32>, tensor<3x3x8x12xf32>) outs(%y0 : tensor<1x4x4x12xf32>) -> tensor<1x4x4x12xf32>
    return %y : tensor<1x4x4x12xf32>
  }

  // CHECK-LABEL: func.func @nchw(
  // CHECK-DAG:     %[[W:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0], [1, 2, 3]] : tensor<12x8x3x3xf32> into tensor<12x72xf32>
  // CHECK-DAG:     %[[X:.+]] = linalg.transpose ins(%{{.+}} : tensor<2x72x16xf32>) outs(%{{.+}} : tensor<2x16x72xf32>) permutation = [0, 2, 1]
  // CHECK:         structured.linear {layer = "conv2"} ins(%{{.+}}, %[[W]] : tensor<32x72xf32>, tensor<12x72xf32>)
  func.func @nchw(%x: tensor<2x8x6x6xf32>, %y0: tensor<2x12x4x4xf32>) -> tensor<2x12x4x4xf32> {
    %k = structured.parameter "conv2.weight" : tensor<12x8x3x3xf32>
    %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
        ins(%x, %k : tensor<2x8x6x6xf32>, tensor<12x8x3x3xf32>) outs(%y0 : tensor<2x12x4x4xf32>) -> tensor<2x12x4x4xf32>
    return %y : tensor<2x12x4x4xf32>
  }

  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %conv = transform.structured.match ops{["linalg.conv_2d_nhwc_hwcf", "linalg.conv_2d_nchw_fchw"]} in %root : (!transform.any_op) -> !transform.any_op
    transform.foreach %conv : !transform.any_op {
    ^bb0(%one: !transform.any_op):
      %t:2 = transform.structured.convert_conv2d_to_img2col %one : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    }
    transform.yield
  }
}
