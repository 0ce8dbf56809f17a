// RUN: structured-opt %s --structured-prepare-entries | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%{{.*}}: tensor<4xf32> {bufferization.writable = false}, %{{.*}}: i64)
// CHECK-SAME: attributes {llvm.emit_c_interface}
func.func @main(%x: tensor<4xf32>, %n: i64) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// CHECK: func.func private @helper(%{{.*}}: tensor<4xf32>) -> tensor<4xf32> {
func.func private @helper(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// CHECK: func.func private @external(tensor<4xf32>) -> tensor<4xf32>{{$}}
func.func private @external(tensor<4xf32>) -> tensor<4xf32>

// %b is a view of %a, and %c may be %x: copies. %d has its own memory.

// CHECK-LABEL: func.func @results
// CHECK: %[[a:.+]] = linalg.exp
// CHECK: %[[b:.+]] = tensor.expand_shape %[[a]]
// CHECK: %[[c:.+]] = arith.select
// CHECK: %[[d:.+]] = linalg.exp
// CHECK: %[[bc:.+]] = bufferization.alloc_tensor() copy(%[[b]])
// CHECK: %[[cc:.+]] = bufferization.alloc_tensor() copy(%[[c]])
// CHECK: return %[[a]], %[[bc]], %arg0, %[[cc]], %[[d]] :
func.func @results(%x: tensor<4xf32>, %y: tensor<4xf32>, %which: i1)
    -> (tensor<4xf32>, tensor<2x2xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %empty = tensor.empty() : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<4xf32>) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
  %b = tensor.expand_shape %a [[0, 1]] output_shape [2, 2] : tensor<4xf32> into tensor<2x2xf32>
  %c = arith.select %which, %x, %y : tensor<4xf32>
  %d = linalg.exp ins(%y : tensor<4xf32>) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %x, %c, %d
      : tensor<4xf32>, tensor<2x2xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// What updates an input is written to it, after all else has been copied that
// may share its memory.

// CHECK-LABEL: func.func @update
// CHECK-SAME: %[[c:[a-z0-9]+]]: tensor<4xf32> {bufferization.writable = true, structured.updated_by = 1 : i64}
// CHECK: %[[n:.+]] = tensor.insert_slice
// CHECK: %[[nc:.+]] = bufferization.alloc_tensor() copy(%[[n]])
// CHECK: %[[cc:.+]] = bufferization.alloc_tensor() copy(%[[c]])
// CHECK: %[[m:.+]] = bufferization.materialize_in_destination %[[n]] in %[[c]]
// CHECK: return %[[nc]], %[[m]], %[[cc]] :
func.func @update(%x: tensor<2xf32>, %c: tensor<4xf32> {structured.updated_by = 1 : i64})
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %n = tensor.insert_slice %x into %c[1] [2] [1] : tensor<2xf32> into tensor<4xf32>
  return %n, %n, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// Each is the other's new value.

// CHECK-LABEL: func.func @swap
// CHECK-SAME: (%[[a:[a-z0-9]+]]: tensor<4xf32> {{.*}}, %[[b:[a-z0-9]+]]: tensor<4xf32>
// CHECK: %[[bc:.+]] = bufferization.alloc_tensor() copy(%[[b]])
// CHECK: %[[ac:.+]] = bufferization.alloc_tensor() copy(%[[a]])
// CHECK: materialize_in_destination %[[bc]] in %[[a]]
// CHECK: materialize_in_destination %[[ac]] in %[[b]]
func.func @swap(%a: tensor<4xf32> {structured.updated_by = 0 : i64}, %b: tensor<4xf32> {structured.updated_by = 1 : i64})
    -> (tensor<4xf32>, tensor<4xf32>) {
  return %b, %a : tensor<4xf32>, tensor<4xf32>
}
