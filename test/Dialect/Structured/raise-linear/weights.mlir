// RUN: structured-opt %s --structured-raise-linear -split-input-file | FileCheck %s

// Where weights are found and how layers are named.

// CHECK-LABEL: func.func @constant(
// CHECK:         %[[W:.+]] = arith.constant dense<{{\[\[}}1.0{{.+}} : tensor<3x2xf32>
// CHECK:         structured.linear {layer = "constant.linear0"} ins(%arg0, %[[W]] : tensor<4x2xf32>, tensor<3x2xf32>)
// CHECK:         structured.linear {layer = "constant.linear1"}
func.func @constant(%x: tensor<4x2xf32>, %y0: tensor<4x3xf32>, %z0: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %e = tensor.empty() : tensor<2x3xf32>
  %wt = linalg.transpose ins(%w : tensor<3x2xf32>) outs(%e : tensor<2x3xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %wt : tensor<4x2xf32>, tensor<2x3xf32>) outs(%y0 : tensor<4x3xf32>) -> tensor<4x3xf32>
  %z = linalg.matmul ins(%y, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%z0 : tensor<4x2xf32>) -> tensor<4x2xf32>
  return %z : tensor<4x2xf32>
}

// A splat is a weight like any other.
// CHECK-LABEL: func.func @splat(
// CHECK:         structured.linear {layer = "splat.linear0"}
func.func @splat(%x: tensor<4x2xf32>, %y0: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %w = arith.constant dense<0.5> : tensor<2x3xf32>
  %y = linalg.matmul ins(%x, %w : tensor<4x2xf32>, tensor<2x3xf32>) outs(%y0 : tensor<4x3xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// -----

// CHECK-LABEL: func.func @resource(
// CHECK:         structured.linear {layer = "encoder.fc1"}
func.func @resource(%x: tensor<4x2xf32>, %y0: tensor<4x1xf32>) -> tensor<4x1xf32> {
  %w = arith.constant dense_resource<"encoder.fc1.weight"> : tensor<2x1xf32>
  %y = linalg.matmul ins(%x, %w : tensor<4x2xf32>, tensor<2x1xf32>) outs(%y0 : tensor<4x1xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}
{-#
  dialect_resources: {
    builtin: {
      "encoder.fc1.weight": "0x040000000000803F00000040"
    }
  }
#-}

// -----

// Any constant-like op counts, here TOSA's.
// CHECK-LABEL: func.func @other_dialects_constant(
// CHECK:         %[[W:.+]] = linalg.transpose ins(%{{.+}} : tensor<2x3xf32>)
// CHECK:         structured.linear {layer = "other_dialects_constant.linear0"} ins(%{{.+}}, %[[W]] : tensor<4x2xf32>, tensor<3x2xf32>)
func.func @other_dialects_constant(%x: tensor<1x4x2xf32>, %y0: tensor<1x4x3xf32>) -> tensor<1x4x3xf32> {
  %w = "tosa.const"() <{values = dense<[[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]]> : tensor<1x2x3xf32>}> : () -> tensor<1x2x3xf32>
  %y = linalg.batch_matmul ins(%x, %w : tensor<1x4x2xf32>, tensor<1x2x3xf32>) outs(%y0 : tensor<1x4x3xf32>) -> tensor<1x4x3xf32>
  return %y : tensor<1x4x3xf32>
}

// -----

// The parameter op. Two layers that share a weight have names of their own.
// CHECK-LABEL: func.func @shared(
// CHECK:         %[[W:.+]] = structured.parameter "shared.weight" : tensor<8x8xf32>
// CHECK:         structured.linear {layer = "shared"} ins(%{{.+}}, %[[W]] :
// CHECK:         structured.linear {layer = "shared#2"} ins(%{{.+}}, %[[W]] :
func.func @shared(%x: tensor<4x8xf32>, %y0: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = structured.parameter "shared.weight" : tensor<8x8xf32>
  %e = tensor.empty() : tensor<8x8xf32>
  %wt = linalg.transpose ins(%w : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %wt : tensor<4x8xf32>, tensor<8x8xf32>) outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  %z = linalg.matmul ins(%y, %wt : tensor<4x8xf32>, tensor<8x8xf32>) outs(%y0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}

// -----

ml_program.global private @fc(dense<[[1.0, 2.0]]> : tensor<1x2xf32>) : tensor<1x2xf32>
ml_program.global private @fc2(#ml_program.extern<tensor<8x12xf32>>) : tensor<8x12xf32>
memref.global "private" constant @fc3 : memref<8x12xf32> = dense<1.0>

// CHECK-LABEL: func.func @globals(
// CHECK:         %[[W1:.+]] = ml_program.global_load @fc
// CHECK:         structured.linear {layer = "fc"} ins(%{{.+}}, %[[W1]] : tensor<4x2xf32>, tensor<1x2xf32>)
// CHECK:         structured.linear {layer = "fc2"}
// CHECK:         structured.linear {layer = "fc3"}
func.func @globals(%x: tensor<4x2xf32>, %y0: tensor<4x1xf32>, %z: tensor<4x8xf32>, %u0: tensor<4x12xf32>)
    -> (tensor<4x1xf32>, tensor<4x12xf32>, tensor<4x12xf32>) {
  %w = ml_program.global_load @fc : tensor<1x2xf32>
  %e = tensor.empty() : tensor<2x1xf32>
  %wt = linalg.transpose ins(%w : tensor<1x2xf32>) outs(%e : tensor<2x1xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %wt : tensor<4x2xf32>, tensor<2x1xf32>) outs(%y0 : tensor<4x1xf32>) -> tensor<4x1xf32>
  %w2 = ml_program.global_load_const @fc2 : tensor<8x12xf32>
  %u = linalg.matmul ins(%z, %w2 : tensor<4x8xf32>, tensor<8x12xf32>) outs(%u0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  %m = memref.get_global @fc3 : memref<8x12xf32>
  %w3 = bufferization.to_tensor %m restrict : memref<8x12xf32> to tensor<8x12xf32>
  %v = linalg.matmul ins(%z, %w3 : tensor<4x8xf32>, tensor<8x12xf32>) outs(%u0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y, %u, %v : tensor<4x1xf32>, tensor<4x12xf32>, tensor<4x12xf32>
}

// -----

// A marked argument is a weight wherever it stands; its function's other
// arguments are none.
// CHECK-LABEL: func.func @marked_argument(
// CHECK-SAME:    %[[W:.+]]: tensor<12x8xf32> {structured.parameter = "fc.weight"}, %[[X:.+]]: tensor<8x8xf32>
// CHECK:         %[[XT:.+]] = linalg.transpose ins(%[[X]]
// CHECK:         structured.linear {layer = "fc"} ins(%[[XT]], %[[W]] : tensor<8x8xf32>, tensor<12x8xf32>)
func.func @marked_argument(%w: tensor<12x8xf32> {structured.parameter = "fc.weight"},
                           %x: tensor<8x8xf32>, %y0: tensor<12x8xf32>) -> tensor<12x8xf32> {
  %y = linalg.matmul ins(%w, %x : tensor<12x8xf32>, tensor<8x8xf32>) outs(%y0 : tensor<12x8xf32>) -> tensor<12x8xf32>
  return %y : tensor<12x8xf32>
}

// -----

// A weight's shape is hidden by tensor.cast, tensor.reshape and a slice that
// drops a dimension of size 1.
// CHECK-LABEL: func.func @reshaped(
// CHECK:         %[[W:.+]] = tensor.collapse_shape %{{.+}} {{\[\[}}0], [1, 2, 3]] : tensor<12x2x1x4xf32> into tensor<12x8xf32>
// CHECK:         structured.linear {layer = "w"} ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<12x8xf32>)
func.func @reshaped(%x: tensor<4x8xf32>, %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %w = structured.parameter "w" : tensor<12x2x1x4xf32>
  %s = tensor.extract_slice %w[0, 0, 0, 0] [12, 2, 1, 4] [1, 1, 1, 1] : tensor<12x2x1x4xf32> to tensor<12x2x4xf32>
  %shape = arith.constant dense<[12, 8]> : tensor<2xi64>
  %r = tensor.reshape %s(%shape) : (tensor<12x2x4xf32>, tensor<2xi64>) -> tensor<12x8xf32>
  %e = tensor.empty() : tensor<8x12xf32>
  %t = linalg.transpose ins(%r : tensor<12x8xf32>) outs(%e : tensor<8x12xf32>) permutation = [1, 0]
  %c = tensor.cast %t : tensor<8x12xf32> to tensor<?x?xf32>
  %y = linalg.matmul ins(%x, %c : tensor<4x8xf32>, tensor<?x?xf32>) outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// Slices of a weight, as in attention with a packed projection of which the
// queries take one part and keys and values another.
// CHECK-LABEL: func.func @slices(
// CHECK-DAG:     %[[W:.+]] = structured.parameter "in_proj.weight" : tensor<12x4xf32>
// CHECK-DAG:     %[[Q:.+]] = tensor.extract_slice %[[W]][0, 0] [4, 4] [1, 1]
// CHECK-DAG:     %[[KV:.+]] = tensor.extract_slice %[[W]][4, 0] [8, 4] [1, 1]
// CHECK:         structured.linear {layer = "in_proj"} ins(%arg0, %[[Q]] : tensor<5x4xf32>, tensor<4x4xf32>)
// CHECK:         structured.linear {layer = "in_proj#2"} ins(%arg1, %[[KV]] : tensor<7x4xf32>, tensor<8x4xf32>)
func.func @slices(%x: tensor<5x4xf32>, %z: tensor<7x4xf32>, %q0: tensor<5x4xf32>, %k0: tensor<7x8xf32>)
    -> (tensor<5x4xf32>, tensor<7x8xf32>) {
  %w = structured.parameter "in_proj.weight" : tensor<12x4xf32>
  %wq = tensor.extract_slice %w[0, 0] [4, 4] [1, 1] : tensor<12x4xf32> to tensor<4x4xf32>
  %wk = tensor.extract_slice %w[4, 0] [8, 4] [1, 1] : tensor<12x4xf32> to tensor<8x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %wqt = linalg.transpose ins(%wq : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
  %f = tensor.empty() : tensor<4x8xf32>
  %wkt = linalg.transpose ins(%wk : tensor<8x4xf32>) outs(%f : tensor<4x8xf32>) permutation = [1, 0]
  %q = linalg.matmul ins(%x, %wqt : tensor<5x4xf32>, tensor<4x4xf32>) outs(%q0 : tensor<5x4xf32>) -> tensor<5x4xf32>
  %k = linalg.matmul ins(%z, %wkt : tensor<7x4xf32>, tensor<4x8xf32>) outs(%k0 : tensor<7x8xf32>) -> tensor<7x8xf32>
  return %q, %k : tensor<5x4xf32>, tensor<7x8xf32>
}
