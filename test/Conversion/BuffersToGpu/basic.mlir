// RUN: structured-opt %s --structured-buffers-to-gpu --split-input-file --verify-diagnostics | FileCheck %s

memref.global "private" constant @table : memref<2xi64> = dense<[3, 4]>

// CHECK-LABEL: func.func @main
// CHECK: %[[A:.*]] = gpu.alloc () : memref<64xf32>
// CHECK: use(%[[A]])
// CHECK: gpu.dealloc %[[A]] : memref<64xf32>
func.func @main(%n: index) -> i64 {
  %a = memref.alloc() : memref<64xf32>
  func.call @use(%a) : (memref<64xf32>) -> ()
  memref.dealloc %a : memref<64xf32>
  // CHECK: gpu.alloc (%{{.*}}) : memref<?xf32>
  %b = memref.alloc(%n) : memref<?xf32>
  // A constant of the host code.
  %t = memref.get_global @table : memref<2xi64>
  // CHECK: memref.load
  %e = memref.load %t[%n] : memref<2xi64>
  return %e : i64
}
func.func private @use(memref<64xf32>)

// -----

func.func @load(%x: memref<4xf32>, %i: index) -> f32 {
  // expected-error @+1 {{the host reads an element of a tensor here, which lies in the memory of the device}}
  %e = memref.load %x[%i] : memref<4xf32>
  return %e : f32
}

// -----

func.func @store(%x: memref<4xf32>, %i: index, %v: f32) {
  // expected-error @+1 {{the host writes an element of a tensor here}}
  memref.store %v, %x[%i] : memref<4xf32>
  return
}

// -----

func.func @left(%x: memref<4xf32>, %v: f32) {
  // expected-error @+1 {{'linalg.fill' is left on the host: no kernel for it}}
  linalg.fill ins(%v : f32) outs(%x : memref<4xf32>)
  return
}
