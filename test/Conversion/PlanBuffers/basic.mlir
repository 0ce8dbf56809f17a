// RUN: structured-opt %s --structured-plan-buffers --split-input-file | FileCheck %s

func.func private @use(memref<?xf32>)

// CHECK-LABEL: func @disjoint
// CHECK: %[[arena:.+]] = memref.alloc() {alignment = 64 : i64} : memref<256xi8>
// CHECK: %[[zero:.+]] = arith.constant 0
// CHECK: %[[a:.+]] = memref.view %[[arena]][%[[zero]]][] : memref<256xi8> to memref<64xf32>
// CHECK: memref.cast %[[a]]
// CHECK: %[[zero2:.+]] = arith.constant 0
// CHECK: %[[b:.+]] = memref.view %[[arena]][%[[zero2]]][] : memref<256xi8> to memref<32xf32>
// CHECK: memref.cast %[[b]]
// CHECK-COUNT-1: memref.dealloc %[[arena]]
// CHECK-NOT: memref.dealloc
// CHECK: return
func.func @disjoint() {
  %a = memref.alloc() : memref<64xf32>
  %ac = memref.cast %a : memref<64xf32> to memref<?xf32>
  call @use(%ac) : (memref<?xf32>) -> ()
  memref.dealloc %a : memref<64xf32>
  %b = memref.alloc() : memref<32xf32>
  %bc = memref.cast %b : memref<32xf32> to memref<?xf32>
  call @use(%bc) : (memref<?xf32>) -> ()
  memref.dealloc %b : memref<32xf32>
  return
}

// -----

// %b lives with %a and with %c; %a and %c do not meet. 100 elements of f32 are
// rounded up to 448 bytes.

// CHECK-LABEL: func @overlapping
// CHECK: memref.alloc() {alignment = 64 : i64} : memref<704xi8>
// CHECK: %[[a:.+]] = arith.constant 0 : index
// CHECK: memref.view %{{.+}}[%[[a]]][] : memref<704xi8> to memref<100xf32>
// CHECK: %[[b:.+]] = arith.constant 448 : index
// CHECK: memref.view %{{.+}}[%[[b]]][] : memref<704xi8> to memref<64xf32>
// CHECK: %[[c:.+]] = arith.constant 0 : index
// CHECK: memref.view %{{.+}}[%[[c]]][] : memref<704xi8> to memref<48xf32>
func.func @overlapping() {
  %a = memref.alloc() : memref<100xf32>
  %b = memref.alloc() : memref<64xf32>
  memref.dealloc %a : memref<100xf32>
  %c = memref.alloc() : memref<48xf32>
  memref.dealloc %b : memref<64xf32>
  memref.dealloc %c : memref<48xf32>
  return
}

// -----

// Left alone: what is returned, of unknown size, or freed elsewhere; a single
// buffer gains nothing.

// CHECK-LABEL: func @kept
// CHECK-NOT: memref.view
// CHECK: return
func.func @kept(%n: index, %condition: i1) -> memref<64xf32> {
  %returned = memref.alloc() : memref<64xf32>
  %dynamic = memref.alloc(%n) : memref<?xf32>
  memref.dealloc %dynamic : memref<?xf32>
  %branch = memref.alloc() : memref<8xf32>
  scf.if %condition {
    memref.dealloc %branch : memref<8xf32>
  }
  %single = memref.alloc() : memref<64xf32>
  memref.dealloc %single : memref<64xf32>
  return %returned : memref<64xf32>
}
