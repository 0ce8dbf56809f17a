// RUN: structured-opt %s --structured-expand-to-dense -split-input-file -verify-diagnostics | FileCheck %s

// The example of the pass's description.
// CHECK-LABEL: func.func @blast
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x8xf16>, %[[U:[a-z0-9]+]]: tensor<3x4x5xf16>, %[[S:[a-z0-9]+]]: tensor<3x2x5xf16>, %[[VT:[a-z0-9]+]]: tensor<2x5x4xf16>, %[[Y0:[a-z0-9]+]]: tensor<?x12xf32>
func.func @blast(%x: tensor<?x8xf16>, %u: tensor<3x4x5xf16>,
    %s: tensor<3x2x5xf16>, %vt: tensor<2x5x4xf16>, %y0: tensor<?x12xf32>)
    -> tensor<?x12xf32> {
  // CHECK: %[[BLOCKS:.*]] = linalg.generic
  // CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  // CHECK-SAME: ins(%[[U]], %[[S]], %[[VT]] : {{.*}}) outs(%{{.*}} : tensor<3x4x2x4xf32>)
  // CHECK: %[[W32:.*]] = tensor.collapse_shape %[[BLOCKS]] {{\[\[}}0, 1], [2, 3]]
  // CHECK: %[[W:.*]] = linalg.generic {{.*}} ins(%[[W32]]
  // CHECK: arith.truncf
  // CHECK: structured.linear {layer = "l"} ins(%[[X]], %[[W]] : tensor<?x8xf16>, tensor<12x8xf16>) outs(%[[Y0]] : tensor<?x12xf32>)
  %y = structured.blast.matmul {layer = "l"}
      ins(%x, %u, %s, %vt : tensor<?x8xf16>, tensor<3x4x5xf16>,
                            tensor<3x2x5xf16>, tensor<2x5x4xf16>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// A component that wraps around in both directions takes four pieces.
// CHECK-LABEL: func.func @gblr
func.func @gblr(%x: tensor<?x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: tensor.extract_slice %{{.*}}[10, 7] [2, 1] [1, 1]
  // CHECK: tensor.extract_slice %{{.*}}[10, 0] [2, 2] [1, 1]
  // CHECK: tensor.extract_slice %{{.*}}[0, 7] [2, 1] [1, 1]
  // CHECK: tensor.extract_slice %{{.*}}[0, 0] [2, 2] [1, 1]
  // CHECK: structured.linear
  // CHECK-NOT: structured.gblr.matmul
  %y = structured.gblr.matmul layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 7 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----

// CHECK-LABEL: func.func @memref
func.func @memref(%x: memref<4x8xf32>, %u: memref<0xf32>, %v: memref<0xf32>,
                  %y: memref<4x12xf32>) {
  // CHECK: structured.gblr.matmul
  // expected-remark @below {{not expanded: its operands are memrefs; run the pass before bufferization}}
  structured.gblr.matmul layout = <out = 12, in = 8, components = []>
      ins(%x, %u, %v : memref<4x8xf32>, memref<0xf32>, memref<0xf32>)
      outs(%y : memref<4x12xf32>)
  return
}
