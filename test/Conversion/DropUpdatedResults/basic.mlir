// RUN: structured-opt %s --structured-drop-updated-results --split-input-file \
// RUN:     --verify-diagnostics | FileCheck %s

// The example of the pass's description.

// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    %[[X:.*]]: memref<4xf32>, %{{.*}}: memref<4xf32>) -> memref<4xf32>
// CHECK:         return %[[X]] : memref<4xf32>
func.func @decode(%x: memref<4xf32>, %cache: memref<4xf32> {structured.updated_by = 1 : i64})
    -> (memref<4xf32>, memref<4xf32>) {
  return %x, %cache : memref<4xf32>, memref<4xf32>
}

// -----

// Nothing is left to return, on either path. Other attributes stay.

// CHECK-LABEL: func.func @all(
// CHECK-SAME:    memref<4xf32> {structured.name = "a"}, %{{.*}}: memref<4xf32>, %{{.*}}: i1) {
// CHECK-COUNT-2: return{{$}}
func.func @all(%a: memref<4xf32> {structured.name = "a", structured.updated_by = 1 : i64},
               %b: memref<4xf32> {structured.updated_by = 0 : i64}, %which: i1)
    -> (memref<4xf32>, memref<4xf32>) {
  cf.cond_br %which, ^one, ^other
^one:
  return %b, %a : memref<4xf32>, memref<4xf32>
^other:
  return %b, %a : memref<4xf32>, memref<4xf32>
}

// -----

// CHECK-LABEL: func.func @none(
// CHECK-SAME:    -> memref<4xf32>
func.func @none(%x: memref<4xf32>) -> memref<4xf32> {
  return %x : memref<4xf32>
}

// -----

func.func @elsewhere(%x: memref<4xf32>, %cache: memref<4xf32> {structured.updated_by = 0 : i64})
    -> memref<4xf32> {
  // expected-error @+1 {{result 0 is not in the memory of argument 1, which it should update}}
  return %x : memref<4xf32>
}

// -----

// expected-error @+1 {{'update' updates its inputs and is called in the module; inline it first}}
func.func @update(%x: memref<4xf32> {structured.updated_by = 0 : i64}) -> memref<4xf32> {
  return %x : memref<4xf32>
}

func.func @caller(%x: memref<4xf32>) -> memref<4xf32> {
  %y = call @update(%x) : (memref<4xf32>) -> memref<4xf32>
  return %y : memref<4xf32>
}
