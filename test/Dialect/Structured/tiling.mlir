// RUN: structured-opt %s --transform-interpreter --canonicalize --cse -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @tile_linear
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<128x8xf32>, %[[W:[a-z0-9]+]]: tensor<12x8xf32>, %[[Y0:[a-z0-9]+]]: tensor<128x12xf32>
// CHECK: scf.for %[[T:[a-z0-9]+]] = %{{.*}} iter_args(%[[Y1:[a-z0-9]+]] = %[[Y0]])
// CHECK: scf.for %[[M:[a-z0-9]+]] = %{{.*}} iter_args(%[[Y2:[a-z0-9]+]] = %[[Y1]])
// CHECK: scf.for %[[N:[a-z0-9]+]] = %{{.*}} iter_args(%[[Y3:[a-z0-9]+]] = %[[Y2]])
// CHECK-DAG: %[[XT:.*]] = tensor.extract_slice %[[X]][%[[T]], %[[N]]] [32, 4] [1, 1]
// CHECK-DAG: %[[WT:.*]] = tensor.extract_slice %[[W]][%[[M]], %[[N]]] [6, 4] [1, 1]
// CHECK-DAG: %[[YT:.*]] = tensor.extract_slice %[[Y3]][%[[T]], %[[M]]] [32, 6] [1, 1]
// CHECK: %[[R:.*]] = structured.linear ins(%[[XT]], %[[WT]] : tensor<32x4xf32>, tensor<6x4xf32>) outs(%[[YT]] : tensor<32x6xf32>) -> tensor<32x6xf32>
// CHECK: tensor.insert_slice %[[R]] into %[[Y3]][%[[T]], %[[M]]] [32, 6] [1, 1]
func.func @tile_linear(%x: tensor<128x8xf32>, %w: tensor<12x8xf32>,
                       %y0: tensor<128x12xf32>) -> tensor<128x12xf32> {
  %y = structured.linear ins(%x, %w : tensor<128x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<128x12xf32>) -> tensor<128x12xf32>
  return %y : tensor<128x12xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(
      %root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["structured.linear"]} in %root
        : (!transform.any_op) -> !transform.any_op
    transform.structured.tile_using_for %op tile_sizes [32, 6, 4]
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op,
                                  !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// Tiles over tokens, block rows and the rank; the rank's terms add up in the
// destination. 7 does not divide 128, so tiles over T are of dynamic size.
// CHECK-LABEL: func.func @tile_blast
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<128x8xf32>, %[[U:[a-z0-9]+]]: tensor<3x4x6xf32>, %[[S:[a-z0-9]+]]: tensor<3x2x6xf32>, %[[VT:[a-z0-9]+]]: tensor<2x6x4xf32>
// CHECK: scf.for %[[T:[a-z0-9]+]] =
// CHECK: scf.for %[[I:[a-z0-9]+]] =
// CHECK: scf.for %[[R:[a-z0-9]+]] = %{{.*}} iter_args(%[[Y:[a-z0-9]+]] =
// CHECK-DAG: %[[TS:.*]] = affine.min
// CHECK-DAG: tensor.extract_slice %[[X]][%[[T]], 0] [%[[TS]], 8] [1, 1]
// CHECK-DAG: tensor.extract_slice %[[U]][%[[I]], 0, %[[R]]] [1, 4, 3] [1, 1, 1]
// CHECK-DAG: tensor.extract_slice %[[S]][%[[I]], 0, %[[R]]] [1, 2, 3] [1, 1, 1]
// CHECK-DAG: tensor.extract_slice %[[VT]][0, %[[R]], 0] [2, 3, 4] [1, 1, 1]
// CHECK-DAG: %[[M:.*]] = affine.apply #{{.*}}()[%[[I]]]
// CHECK-DAG: tensor.extract_slice %[[Y]][%[[T]], %[[M]]] [%[[TS]], 4] [1, 1]
// CHECK: structured.blast.matmul {layer = "l"} {{.*}} tensor<?x8xf32>, tensor<1x4x3xf32>, tensor<1x2x3xf32>, tensor<2x3x4xf32>) outs({{.*}} tensor<?x4xf32>)
func.func @tile_blast(%x: tensor<128x8xf32>, %u: tensor<3x4x6xf32>,
    %s: tensor<3x2x6xf32>, %vt: tensor<2x6x4xf32>, %y0: tensor<128x12xf32>)
    -> tensor<128x12xf32> {
  %y = structured.blast.matmul {layer = "l"}
      ins(%x, %u, %s, %vt : tensor<128x8xf32>, tensor<3x4x6xf32>,
                            tensor<3x2x6xf32>, tensor<2x6x4xf32>)
      outs(%y0 : tensor<128x12xf32>) -> tensor<128x12xf32>
  return %y : tensor<128x12xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(
      %root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["structured.blast.matmul"]} in %root
        : (!transform.any_op) -> !transform.any_op
    transform.structured.tile_using_for %op tile_sizes [7, 1, 3]
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op,
                                  !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// A consumer's tile pulls the layer in: whole block rows fuse.
// CHECK-LABEL: func.func @fuse_blast
// CHECK: scf.forall
// CHECK: structured.blast.matmul {{.*}} tensor<16x8xf32>, tensor<3x4x6xf32>
// CHECK: linalg.exp
func.func @fuse_blast(%x: tensor<128x8xf32>, %u: tensor<3x4x6xf32>,
    %s: tensor<3x2x6xf32>, %vt: tensor<2x6x4xf32>, %y0: tensor<128x12xf32>)
    -> tensor<128x12xf32> {
  %y = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<128x8xf32>, tensor<3x4x6xf32>,
                            tensor<3x2x6xf32>, tensor<2x6x4xf32>)
      outs(%y0 : tensor<128x12xf32>) -> tensor<128x12xf32>
  %empty = tensor.empty() : tensor<128x12xf32>
  %z = linalg.exp ins(%y : tensor<128x12xf32>) outs(%empty : tensor<128x12xf32>)
      -> tensor<128x12xf32>
  return %z : tensor<128x12xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(
      %root: !transform.any_op {transform.readonly}) {
    %exp = transform.structured.match ops{["linalg.exp"]} in %root
        : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_forall %exp tile_sizes [16]
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %op = transform.structured.match ops{["structured.blast.matmul"]} in %root
        : (!transform.any_op) -> !transform.any_op
    transform.structured.fuse_into_containing_op %op into %loop
        : (!transform.any_op, !transform.any_op)
          -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// GBLR layers tile over the tokens; the factors stay whole. Dynamic T.
// CHECK-LABEL: func.func @tile_gblr
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x8xf32>, %[[U:[a-z0-9]+]]: tensor<4xf32>, %[[V:[a-z0-9]+]]: tensor<3xf32>
// CHECK: scf.for
// CHECK: structured.gblr.matmul {{.*}} ins(%{{.*}}, %[[U]], %[[V]] : tensor<?x8xf32>, tensor<4xf32>, tensor<3xf32>) outs(%{{.*}} : tensor<?x12xf32>)
func.func @tile_gblr(%x: tensor<?x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                     %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %y = structured.gblr.matmul layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(
      %root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["structured.gblr.matmul"]} in %root
        : (!transform.any_op) -> !transform.any_op
    transform.structured.tile_using_for %op tile_sizes [16]
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
