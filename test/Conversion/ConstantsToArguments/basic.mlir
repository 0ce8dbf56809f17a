// RUN: structured-opt %s --structured-constants-to-arguments --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>, %[[C:.*]]: tensor<2xf32> {structured.constant = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>})
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // Equal constants are one argument.
  %d = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // CHECK-NOT: arith.constant
  // CHECK: linalg.add ins(%[[X]], %[[C]]
  // CHECK: linalg.mul ins(%{{.*}}, %[[C]]
  %s = linalg.add ins(%x, %c : tensor<2xf32>, tensor<2xf32>) outs(%x : tensor<2xf32>) -> tensor<2xf32>
  %m = linalg.mul ins(%s, %d : tensor<2xf32>, tensor<2xf32>) outs(%x : tensor<2xf32>) -> tensor<2xf32>
  return %m : tensor<2xf32>
}

// -----

// CHECK-LABEL: func.func @splat(%{{.*}}: tensor<2x3xf16>) ->
func.func @splat(%x: tensor<2x3xf16>) -> tensor<2x3xf16> {
  // CHECK: %[[V:.*]] = arith.constant 5.000000e-01 : f16
  // CHECK: %[[E:.*]] = tensor.empty() : tensor<2x3xf16>
  // CHECK: linalg.fill ins(%[[V]] : f16) outs(%[[E]] : tensor<2x3xf16>)
  %c = arith.constant dense<0.5> : tensor<2x3xf16>
  %s = linalg.add ins(%x, %c : tensor<2x3xf16>, tensor<2x3xf16>) outs(%x : tensor<2x3xf16>) -> tensor<2x3xf16>
  return %s : tensor<2x3xf16>
}

// -----

// A table that the host reads stays; scalars do too.

// CHECK-LABEL: func.func @host(%{{.*}}: index) -> i64
func.func @host(%i: index) -> i64 {
  // CHECK: arith.constant dense<[3, 4]> : tensor<2xi64>
  %table = arith.constant dense<[3, 4]> : tensor<2xi64>
  %e = tensor.extract %table[%i] : tensor<2xi64>
  return %e : i64
}

// -----

// A table that an op's body reads is the device's.

// CHECK-LABEL: func.func @gather
// CHECK-SAME: structured.constant
func.func @gather(%x: tensor<4xindex>) -> tensor<4xi64> {
  %table = arith.constant dense<[3, 4]> : tensor<2xi64>
  %empty = tensor.empty() : tensor<4xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}
      ins(%x : tensor<4xindex>) outs(%empty : tensor<4xi64>) {
  ^bb0(%a: index, %out: i64):
    %e = tensor.extract %table[%a] : tensor<2xi64>
    linalg.yield %e : i64
  } -> tensor<4xi64>
  return %y : tensor<4xi64>
}

// -----

func.func private @callee(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-note @+1 {{used here}}
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %s = linalg.add ins(%x, %c : tensor<2xf32>, tensor<2xf32>) outs(%x : tensor<2xf32>) -> tensor<2xf32>
  return %s : tensor<2xf32>
}
func.func @caller(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{call of 'callee', which uses a constant: inline it first}}
  %y = call @callee(%x) : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
