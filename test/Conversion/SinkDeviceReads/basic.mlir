// RUN: structured-opt %s --structured-sink-device-reads --canonicalize --split-input-file \
// RUN:   | FileCheck %s

// The example of the pass's description.

#row = affine_map<(d) -> (d)>

// CHECK-LABEL: func.func @example(
// CHECK-NEXT:    %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-NEXT:    linalg.exp
// CHECK-NEXT:    %[[E:.*]] = memref.load %{{.*}}[%[[ZERO]]] : memref<1xi64>
// CHECK-NEXT:    %[[I:.*]] = arith.index_cast %[[E]]
// CHECK-NEXT:    %[[ROWS:.*]] = memref.subview %{{.*}}[%[[I]], 0]
// CHECK-NEXT:    memref.copy %{{.*}}, %[[ROWS]]
// CHECK-NEXT:    linalg.generic
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      %[[E1:.*]] = memref.load %{{.*}}[%[[ZERO]]] : memref<1xi64>
// CHECK-NEXT:      %[[I1:.*]] = arith.index_cast %[[E1]]
// CHECK-NEXT:      linalg.index
// CHECK-NEXT:      arith.cmpi ugt, %{{.*}}, %[[I1]]
func.func @example(%position: memref<1xi64>, %x: memref<2x8xf32>, %cache: memref<16x8xf32>, %y: memref<8xf32>) {
  %zero = arith.constant 0 : index
  %e = memref.load %position[%zero] : memref<1xi64>
  %i = arith.index_cast %e : i64 to index
  linalg.exp ins(%x : memref<2x8xf32>) outs(%x : memref<2x8xf32>)
  %rows = memref.subview %cache[%i, 0] [2, 8] [1, 1] : memref<16x8xf32> to memref<2x8xf32, strided<[8, 1], offset: ?>>
  memref.copy %x, %rows : memref<2x8xf32> to memref<2x8xf32, strided<[8, 1], offset: ?>>
  linalg.generic {indexing_maps = [#row], iterator_types = ["parallel"]} outs(%y : memref<8xf32>) {
  ^bb0(%out: f32):
    %column = linalg.index 0 : index
    %later = arith.cmpi ugt, %column, %i : index
    %r = arith.uitofp %later : i1 to f32
    linalg.yield %r : f32
  }
  return
}

// -----

// The element is written to in between, by an op and through a view of it.

// CHECK-LABEL: func.func @written(
// CHECK-COUNT-2: memref.load
// CHECK:         linalg.fill
// CHECK:         linalg.exp
// CHECK-NOT:     memref.load
func.func @written(%x: memref<8xf32>, %y: memref<8xf32>) {
  %zero = arith.constant 0 : index
  %f = arith.constant 0.0 : f32
  %places = memref.alloc() : memref<4xi64>
  %others = memref.alloc() : memref<4xindex>
  %part = memref.subview %places[2] [2] [1] : memref<4xi64> to memref<2xi64, strided<[1], offset: 2>>
  %e = memref.load %places[%zero] : memref<4xi64>
  %i = arith.index_cast %e : i64 to index
  %j = memref.load %others[%zero] : memref<4xindex>
  %one = arith.constant 1 : i64
  linalg.fill ins(%one : i64) outs(%part : memref<2xi64, strided<[1], offset: 2>>)
  linalg.exp ins(%x : memref<8xf32>) outs(%x : memref<8xf32>)
  memref.store %i, %others[%zero] : memref<4xindex>
  %from = memref.subview %x[%i] [2] [1] : memref<8xf32> to memref<2xf32, strided<[1], offset: ?>>
  %to = memref.subview %y[%j] [2] [1] : memref<8xf32> to memref<2xf32, strided<[1], offset: ?>>
  memref.copy %from, %to : memref<2xf32, strided<[1], offset: ?>> to memref<2xf32, strided<[1], offset: ?>>
  return
}

// -----

// The host has its constants. What depends on no element stays, too.

memref.global "private" constant @table : memref<2xindex> = dense<[3, 5]>

// CHECK-LABEL: func.func @constant(
// CHECK:         memref.load
// CHECK:         memref.subview
// CHECK:         memref.subview
// CHECK:         linalg.exp
// CHECK-NOT:     memref.load
// CHECK-NOT:     memref.subview
func.func @constant(%x: memref<8xf32>, %y: memref<8xf32>, %n: index) {
  %t = memref.get_global @table : memref<2xindex>
  %i = memref.load %t[%n] : memref<2xindex>
  %from = memref.subview %x[%i] [2] [1] : memref<8xf32> to memref<2xf32, strided<[1], offset: ?>>
  %to = memref.subview %y[%n] [2] [1] : memref<8xf32> to memref<2xf32, strided<[1], offset: ?>>
  linalg.exp ins(%x : memref<8xf32>) outs(%x : memref<8xf32>)
  memref.copy %from, %to : memref<2xf32, strided<[1], offset: ?>> to memref<2xf32, strided<[1], offset: ?>>
  return
}

// -----

// Attention's mask.

#q = affine_map<(t, l, d, e) -> (t, d)>
#k = affine_map<(t, l, d, e) -> (l, d)>
#v = affine_map<(t, l, d, e) -> (l, e)>
#o = affine_map<(t, l, d, e) -> (t, e)>

// CHECK-LABEL: func.func @attention(
// CHECK-NOT:     memref.load
// CHECK:         structured.attention
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      memref.load
// CHECK-NEXT:      arith.cmpi
func.func @attention(%at: memref<index>, %a: memref<5x8xf32>, %b: memref<7x8xf32>, %c: memref<7x8xf32>,
                     %o: memref<5x8xf32>) {
  %first = memref.load %at[] : memref<index>
  %zero = arith.constant 0.0 : f32
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%a, %b, %c : memref<5x8xf32>, memref<7x8xf32>, memref<7x8xf32>) outs(%o : memref<5x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    %seen = arith.cmpi ule, %l, %first : index
    %r = arith.select %seen, %score, %zero : f32
    structured.yield %r : f32
  }
  return
}
