// RUN: structured-opt %s --structured-merge-launches --split-input-file | FileCheck %s

// The example of the pass's description. A product in between, of other
// buffers, comes first then.

// CHECK-LABEL: func.func @example(
// CHECK-SAME:    %[[A:[a-z0-9]+]]: memref<512xf32>, %[[B:[a-z0-9]+]]: memref<256xf32>
// CHECK:         call @product
// CHECK:         gpu.launch blocks(%[[I:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %[[C6:.*]], %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) threads(%[[T:.*]], %{{.*}}, %{{.*}}) in
// CHECK-SAME:        module(@kernels) function(@elementwise)
// CHECK:           %[[C4:.*]] = arith.constant 4 : index
// CHECK:           %[[FIRST:.*]] = arith.cmpi ult, %[[I]], %[[C4]]
// CHECK:           scf.if %[[FIRST]] {
// CHECK:             affine.apply {{.*}}(%[[I]], %[[T]])
// CHECK:             memref.store %{{.*}}, %[[A]]
// CHECK:           } else {
// CHECK:             %[[J:.*]] = arith.subi %[[I]], %[[C4]]
// CHECK:             affine.apply {{.*}}(%[[J]], %[[T]])
// CHECK:             memref.store %{{.*}}, %[[B]]
// CHECK-NOT:     gpu.launch
#at = affine_map<(i, t) -> (i * 128 + t)>
func.func private @product(memref<4x4xf32>)
func.func @example(%a: memref<512xf32>, %b: memref<256xf32>, %c: memref<4x4xf32>) {
  %one = arith.constant 1 : index
  %two = arith.constant 2 : index
  %four = arith.constant 4 : index
  %threads = arith.constant 128 : index
  %f = arith.constant 1.0 : f32
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %four, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) module(@kernels) function(@elementwise) {
    %at = affine.apply #at(%i, %t)
    memref.store %f, %a[%at] : memref<512xf32>
    gpu.terminator
  }
  call @product(%c) : (memref<4x4xf32>) -> ()
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %two, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) module(@kernels) function(@elementwise) {
    %at = affine.apply #at(%i, %t)
    memref.store %f, %b[%at] : memref<256xf32>
    gpu.terminator
  }
  return
}

// -----

// Three become one.

// CHECK-LABEL: func.func @three(
// CHECK-COUNT-1: gpu.launch
// CHECK-COUNT-3: memref.store
// CHECK-NOT:     gpu.launch
func.func @three(%a: memref<128xf32>, %b: memref<128xf32>, %c: memref<128xf32>) {
  %one = arith.constant 1 : index
  %threads = arith.constant 128 : index
  %f = arith.constant 1.0 : f32
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    memref.store %f, %a[%t] : memref<128xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    memref.store %f, %b[%t] : memref<128xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    memref.store %f, %c[%t] : memref<128xf32>
    gpu.terminator
  }
  return
}

// -----

// One reads what the other writes: directly, through a view, or as what is in
// between, which is called or frees it.

// CHECK-LABEL: func.func @dependent(
// CHECK-COUNT-5: gpu.launch
func.func private @use(memref<128xf32>)
func.func @dependent(%a: memref<128xf32>, %b: memref<128xf32>, %c: memref<128xf32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %threads = arith.constant 128 : index
  %view = memref.subview %a[0] [64] [1] : memref<128xf32> to memref<64xf32, strided<[1]>>
  %d = memref.alloc() : memref<128xf32>
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    %e = memref.load %b[%t] : memref<128xf32>
    memref.store %e, %a[%t] : memref<128xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    %e = memref.load %view[%zero] : memref<64xf32, strided<[1]>>
    memref.store %e, %c[%t] : memref<128xf32>
    gpu.terminator
  }
  call @use(%c) : (memref<128xf32>) -> ()
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    %e = memref.load %d[%t] : memref<128xf32>
    memref.store %e, %b[%t] : memref<128xf32>
    gpu.terminator
  }
  memref.dealloc %d : memref<128xf32>
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    %e = memref.load %a[%t] : memref<128xf32>
    memref.store %e, %c[%t] : memref<128xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    %e = memref.load %b[%t] : memref<128xf32>
    memref.store %e, %a[%t] : memref<128xf32>
    gpu.terminator
  }
  return
}

// -----

// Of another number of threads, of a number of blocks that is large or not
// known, and with a barrier.

// CHECK-LABEL: func.func @unlike(
// CHECK-COUNT-5: gpu.launch
func.func @unlike(%a: memref<?xf32>, %b: memref<?xf32>, %c: memref<?xf32>, %d: memref<?xf32>, %e: memref<?xf32>,
                  %n: index) {
  %one = arith.constant 1 : index
  %many = arith.constant 1025 : index
  %threads = arith.constant 128 : index
  %others = arith.constant 256 : index
  %f = arith.constant 1.0 : f32
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    memref.store %f, %a[%t] : memref<?xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %others, %by = %one, %bz = %one) {
    memref.store %f, %b[%t] : memref<?xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %n, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    memref.store %f, %c[%t] : memref<?xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %many, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    memref.store %f, %d[%t] : memref<?xf32>
    gpu.terminator
  }
  gpu.launch blocks(%i, %iy, %iz) in (%gx = %one, %gy = %one, %gz = %one)
             threads(%t, %ty, %tz) in (%bx = %threads, %by = %one, %bz = %one) {
    gpu.barrier
    memref.store %f, %e[%t] : memref<?xf32>
    gpu.terminator
  }
  return
}
