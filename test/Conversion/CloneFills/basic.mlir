// RUN: structured-opt %s --structured-clone-fills --split-input-file | FileCheck %s

// The example of the pass's description.

// CHECK-LABEL: func.func @layers(
// CHECK: %[[E:.*]] = tensor.empty()
// CHECK: %[[Z:.*]] = linalg.fill {{.*}} outs(%[[E]]
// CHECK: %[[E0:.*]] = tensor.empty()
// CHECK: %[[Z0:.*]] = linalg.fill {{.*}} outs(%[[E0]]
// CHECK: structured.linear {{.*}} outs(%[[Z0]] :
// CHECK-NOT: linalg.fill
// CHECK: structured.linear {{.*}} outs(%[[Z]] :
func.func @layers(%x: tensor<4x8xf32>, %v: tensor<12x8xf32>, %w: tensor<12x8xf32>)
    -> (tensor<4x12xf32>, tensor<4x12xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x12xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x12xf32>) -> tensor<4x12xf32>
  %a = structured.linear ins(%x, %v : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%z : tensor<4x12xf32>) -> tensor<4x12xf32>
  %b = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%z : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %a, %b : tensor<4x12xf32>, tensor<4x12xf32>
}

// -----

// Who only reads the fill goes on using it, and gets no other.

// CHECK-LABEL: func.func @reader(
// CHECK: %[[Z:.*]] = linalg.fill
// CHECK: %[[Z0:.*]] = linalg.fill
// CHECK: structured.linear {{.*}} outs(%[[Z0]] :
// CHECK: arith.addf %{{.*}}, %[[Z]]
// CHECK-NOT: linalg.fill
func.func @reader(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>, %t: index) -> tensor<?x12xf32> {
  %one = arith.constant 1.0 : f32
  %e = tensor.empty(%t) : tensor<?x12xf32>
  %z = linalg.fill ins(%one : f32) outs(%e : tensor<?x12xf32>) -> tensor<?x12xf32>
  %a = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%z : tensor<?x12xf32>) -> tensor<?x12xf32>
  %b = arith.addf %a, %z : tensor<?x12xf32>
  return %b : tensor<?x12xf32>
}

// -----

// Nothing is shared.

// CHECK-LABEL: func.func @single(
// CHECK: linalg.fill
// CHECK-NOT: linalg.fill
func.func @single(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>) -> tensor<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x12xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x12xf32>) -> tensor<4x12xf32>
  %a = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%z : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %a : tensor<4x12xf32>
}
