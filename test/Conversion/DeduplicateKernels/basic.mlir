// RUN: structured-opt %s --structured-deduplicate-kernels | FileCheck %s

module attributes {gpu.container_module} {
  // CHECK-LABEL: func.func @main
  func.func @main(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<8xf32>) {
    %one = arith.constant 1 : index
    %two = arith.constant 2 : index
    // CHECK: gpu.launch_func @kernels::@a {{.*}} args(%{{.*}} : memref<4xf32>)
    // CHECK: gpu.launch_func @kernels::@a {{.*}} args(%{{.*}} : memref<4xf32>)
    // CHECK: gpu.launch_func @kernels::@c
    // CHECK: gpu.launch_func @kernels::@d
    // CHECK: gpu.launch_func @kernels::@e
    gpu.launch_func @kernels::@a blocks in (%one, %one, %one) threads in (%one, %one, %one) args(%x : memref<4xf32>)
    gpu.launch_func @kernels::@b blocks in (%two, %one, %one) threads in (%one, %one, %one) args(%y : memref<4xf32>)
    gpu.launch_func @kernels::@c blocks in (%one, %one, %one) threads in (%one, %one, %one) args(%z : memref<8xf32>)
    gpu.launch_func @kernels::@d blocks in (%one, %one, %one) threads in (%one, %one, %one) args(%x : memref<4xf32>)
    gpu.launch_func @kernels::@e blocks in (%one, %one, %one) threads in (%two, %one, %one) args(%x : memref<4xf32>)
    return
  }
  // CHECK: gpu.module @kernels
  gpu.module @kernels {
    // The grid's size is not part of a kernel.
    // CHECK: gpu.func @a({{.*}}) kernel attributes {known_block_size = array<i32: 1, 1, 1>}
    gpu.func @a(%x: memref<4xf32>) kernel attributes {known_block_size = array<i32: 1, 1, 1>, known_grid_size = array<i32: 1, 1, 1>} {
      %i = gpu.block_id x
      %v = arith.constant 1.0 : f32
      memref.store %v, %x[%i] : memref<4xf32>
      gpu.return
    }
    // CHECK-NOT: gpu.func @b
    gpu.func @b(%x: memref<4xf32>) kernel attributes {known_block_size = array<i32: 1, 1, 1>, known_grid_size = array<i32: 2, 1, 1>} {
      %i = gpu.block_id x
      %v = arith.constant 1.0 : f32
      memref.store %v, %x[%i] : memref<4xf32>
      gpu.return
    }
    // Another type, another constant, another block: other kernels.
    // CHECK: gpu.func @c
    gpu.func @c(%x: memref<8xf32>) kernel attributes {known_block_size = array<i32: 1, 1, 1>} {
      %i = gpu.block_id x
      %v = arith.constant 1.0 : f32
      memref.store %v, %x[%i] : memref<8xf32>
      gpu.return
    }
    // CHECK: gpu.func @d
    gpu.func @d(%x: memref<4xf32>) kernel attributes {known_block_size = array<i32: 1, 1, 1>} {
      %i = gpu.block_id x
      %v = arith.constant 2.0 : f32
      memref.store %v, %x[%i] : memref<4xf32>
      gpu.return
    }
    // CHECK: gpu.func @e
    gpu.func @e(%x: memref<4xf32>) kernel attributes {known_block_size = array<i32: 2, 1, 1>} {
      %i = gpu.block_id x
      %v = arith.constant 1.0 : f32
      memref.store %v, %x[%i] : memref<4xf32>
      gpu.return
    }
  }
}
