// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: structured-opt %t/model.mlir --structured-collect-moments="write=%t/m.json" 2>&1 | FileCheck %t/model.mlir
// RUN: FileCheck --input-file=%t/m.json --check-prefix=JSON %s
// RUN: structured-opt %t/mask.mlir --structured-collect-moments="mask=mask" | FileCheck %t/mask.mlir

// JSON: "mask": "",
// JSON: "features": 16,
// JSON-NEXT: "layers": [
// JSON-NEXT: "fc",
// JSON-NEXT: "same"
// JSON-NEXT: ],
// JSON-NEXT: "result": 1,
// JSON-NEXT: "tokens": 4
// JSON: "features": 32,
// JSON: "second"
// JSON: "result": 2,
// JSON: "version": 1

// RUN: not structured-opt %t/model.mlir --structured-collect-moments="mask=none" 2>&1 | FileCheck --check-prefix=NONE %s
// NONE: error: 'main' has no input named 'none'
// RUN: not structured-opt %t/mask.mlir --structured-collect-moments="mask=short" 2>&1 | FileCheck --check-prefix=SHORT %s
// SHORT: error: layer 'fc' has 6 tokens, the mask 5
// RUN: not structured-opt %t/empty.mlir --structured-collect-moments 2>&1 | FileCheck --check-prefix=EMPTY %s
// EMPTY: error: structured-collect-moments: there is no named structured.linear; run structured-raise-linear first
// RUN: not structured-opt %t/dynamic.mlir --structured-collect-moments 2>&1 | FileCheck --check-prefix=DYNAMIC %s
// DYNAMIC: error: layer 'fc' has a dynamic number of tokens
// RUN: not structured-opt %t/loop.mlir --structured-collect-moments 2>&1 | FileCheck --check-prefix=LOOP %s
// LOOP: error: layer 'fc': its moments cannot become results
// RUN: not structured-opt %t/two.mlir --structured-collect-moments 2>&1 | FileCheck --check-prefix=TWO %s
// TWO: error: layer 'b' is in 'g', others are in 'f'
// RUN: not structured-opt %t/called.mlir --structured-collect-moments 2>&1 | FileCheck --check-prefix=CALLED %s
// CALLED: error: 'f' gets more results and is called in the module
// RUN: not structured-opt %t/model.mlir --structured-collect-moments="write=%t/no/m.json" 2>&1 | FileCheck --check-prefix=WRITE %s
// WRITE: error: structured-collect-moments: {{.*}}m.json

//--- model.mlir
// The example of the pass's description is the layer fc.
// CHECK: remark: no moments: the layer has no name
// CHECK-DAG: #[[XI:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG: #[[XJ:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[IJ:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK: func.func @main(%[[X:[a-z0-9]+]]: tensor<4x16xf32>
// CHECK-SAME: -> (tensor<4x32xf32>, tensor<16x16xf32>, tensor<32x32xf32>)
func.func @main(%x: tensor<4x16xf32>, %w: tensor<32x16xf32>,
    %v: tensor<32x32xf32>, %y0: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // CHECK: %[[ZERO:.*]] = arith.constant 0.0
  // CHECK: %[[FILL:.*]] = linalg.fill ins(%[[ZERO]] : f32) outs({{.*}} : tensor<16x16xf32>)
  // CHECK: %[[M:.*]] = linalg.generic {indexing_maps = [#[[XI]], #[[XJ]], #[[IJ]]], iterator_types = ["parallel", "parallel", "reduction"]}
  // CHECK-SAME: ins(%[[X]], %[[X]] : tensor<4x16xf32>, tensor<4x16xf32>) outs(%[[FILL]]
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: %[[Y:.*]] = structured.linear {layer = "fc"}
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<4x32xf32>) -> tensor<4x32xf32>
  // CHECK-NEXT: structured.linear {layer = "same"}
  %s = structured.linear {layer = "same"}
      ins(%x, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
  %anonymous = structured.linear
      ins(%x, %w : tensor<4x16xf32>, tensor<32x16xf32>)
      outs(%s : tensor<4x32xf32>) -> tensor<4x32xf32>
  // CHECK: %[[M2:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<32x32xf32>)
  %z = structured.linear {layer = "second"}
      ins(%anonymous, %v : tensor<4x32xf32>, tensor<32x32xf32>)
      outs(%y0 : tensor<4x32xf32>) -> tensor<4x32xf32>
  // CHECK: return %{{.*}}, %[[M]], %[[M2]] :
  return %z : tensor<4x32xf32>
}

//--- mask.mlir
// CHECK-DAG: #[[TOKEN:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK: func.func @main(%[[X:[a-z0-9]+]]: tensor<6x16xf16>, %[[MASK:[a-z0-9]+]]: tensor<2x3xi64>
func.func @main(%x: tensor<6x16xf16>,
    %mask: tensor<2x3xi64> {structured.name = "mask"},
    %short: tensor<5xf32> {structured.name = "short"},
    %w: tensor<8x16xf16>, %y0: tensor<6x8xf16>) -> tensor<6x8xf16> {
  // CHECK: %[[FLAT:.*]] = tensor.collapse_shape %[[MASK]] {{\[\[}}0, 1]] : tensor<2x3xi64> into tensor<6xi64>
  // CHECK: %[[ROWS:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[FLAT]] : tensor<6x16xf16>, tensor<6xi64>) outs({{.*}} : tensor<6x16xf32>)
  // CHECK: ^bb0(%[[A:.*]]: f16, %[[B:.*]]: i64,
  // CHECK-DAG: %[[WIDE:.*]] = arith.extf %[[A]] : f16 to f32
  // CHECK-DAG: %[[COUNTS:.*]] = arith.cmpi ne, %[[B]], %{{.*}} : i64
  // CHECK: arith.select %[[COUNTS]], %[[WIDE]], %{{.*}} : f32
  // CHECK: linalg.generic {{.*}} ins(%[[ROWS]], %[[ROWS]] :
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<6x16xf16>, tensor<8x16xf16>)
      outs(%y0 : tensor<6x8xf16>) -> tensor<6x8xf16>
  return %y : tensor<6x8xf16>
}

//--- empty.mlir
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

//--- dynamic.mlir
func.func @main(%x: tensor<?x16xf32>, %w: tensor<8x16xf32>,
    %y0: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x16xf32>, tensor<8x16xf32>)
      outs(%y0 : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

//--- loop.mlir
func.func @main(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>,
    %y0: tensor<4x8xf32>, %n: index) -> tensor<4x8xf32> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %r = scf.for %i = %zero to %n step %one
      iter_args(%acc = %y0) -> tensor<4x8xf32> {
    %y = structured.linear {layer = "fc"}
        ins(%x, %w : tensor<4x16xf32>, tensor<8x16xf32>)
        outs(%acc : tensor<4x8xf32>) -> tensor<4x8xf32>
    scf.yield %y : tensor<4x8xf32>
  }
  return %r : tensor<4x8xf32>
}

//--- two.mlir
func.func @f(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>,
    %y0: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = structured.linear {layer = "a"}
      ins(%x, %w : tensor<4x16xf32>, tensor<8x16xf32>)
      outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
func.func @g(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>,
    %y0: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = structured.linear {layer = "b"}
      ins(%x, %w : tensor<4x16xf32>, tensor<8x16xf32>)
      outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

//--- called.mlir
func.func private @f(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>,
    %y0: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = structured.linear {layer = "a"}
      ins(%x, %w : tensor<4x16xf32>, tensor<8x16xf32>)
      outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
func.func @main(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>,
    %y0: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = call @f(%x, %w, %y0)
      : (tensor<4x16xf32>, tensor<8x16xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
