// RUN: structured-opt %s --structured-expand-shape-to-reinterpret-cast | FileCheck %s
// RUN: structured-opt %s --structured-expand-shape-to-reinterpret-cast --expand-strided-metadata \
// RUN:   | FileCheck %s --check-prefix=LOWERED --implicit-check-not=memref.expand_shape

// The example of the pass's description.
// CHECK-LABEL: func.func @example(
// CHECK-SAME:    %[[X:.+]]: memref<?x12xf32>, %[[B:.+]]: index, %[[T:.+]]: index)
// CHECK:         %[[S:.+]] = affine.apply #{{.+}}()[%[[T]]]
// CHECK:         %[[Y:.+]] = memref.reinterpret_cast %[[X]] to offset: [0], sizes: [%[[B]], %[[T]], 12], strides: [%[[S]], 12, 1] : memref<?x12xf32> to memref<?x?x12xf32>
// CHECK:         return %[[Y]]
// LOWERED-LABEL: func.func @example(
// LOWERED:         memref.reinterpret_cast
func.func @example(%x: memref<?x12xf32>, %b: index, %t: index) -> memref<?x?x12xf32> {
  %y = memref.expand_shape %x [[0, 1], [2]] output_shape [%b, %t, 12]
      : memref<?x12xf32> into memref<?x?x12xf32>
  return %y : memref<?x?x12xf32>
}

// A strided source: its strides are those of the last dimensions.
// CHECK-LABEL: func.func @strided(
// CHECK-SAME:    %[[X:.+]]: memref<?x6xf32, strided<[?, ?], offset: ?>>, %[[B:.+]]: index, %[[T:.+]]: index)
// CHECK:         %{{.+}}, %[[O:.+]], %{{.+}}:2, %[[STRIDES:.+]]:2 = memref.extract_strided_metadata %[[X]]
// CHECK-DAG:     %[[S0:.+]] = affine.apply #{{.+}}()[%[[STRIDES]]#0, %[[T]]]
// CHECK-DAG:     %[[S2:.+]] = affine.apply #{{.+}}()[%[[STRIDES]]#1]
// CHECK:         memref.reinterpret_cast %[[X]] to offset: [%[[O]]], sizes: [%[[B]], %[[T]], 2, 3], strides: [%[[S0]], %[[STRIDES]]#0, %[[S2]], %[[STRIDES]]#1]
func.func @strided(%x: memref<?x6xf32, strided<[?, ?], offset: ?>>, %b: index, %t: index)
    -> memref<?x?x2x3xf32, strided<[?, ?, ?, ?], offset: ?>> {
  %y = memref.expand_shape %x [[0, 1], [2, 3]] output_shape [%b, %t, 2, 3]
      : memref<?x6xf32, strided<[?, ?], offset: ?>> into memref<?x?x2x3xf32, strided<[?, ?, ?, ?], offset: ?>>
  return %y : memref<?x?x2x3xf32, strided<[?, ?, ?, ?], offset: ?>>
}

// One dynamic size is left to expand-strided-metadata.
// CHECK-LABEL: func.func @one_dynamic_size(
// CHECK:         memref.expand_shape
func.func @one_dynamic_size(%x: memref<?x12xf32>, %b: index) -> memref<?x4x12xf32> {
  %y = memref.expand_shape %x [[0, 1], [2]] output_shape [%b, 4, 12]
      : memref<?x12xf32> into memref<?x4x12xf32>
  return %y : memref<?x4x12xf32>
}
