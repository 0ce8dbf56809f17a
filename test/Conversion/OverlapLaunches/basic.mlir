// RUN: structured-opt %s --structured-overlap-launches --split-input-file | FileCheck %s

// Each launch is announced, and each thread of a kernel waits before it does
// anything.

// CHECK-LABEL: func.func @main
// CHECK: %[[PROGRAMMATIC:.*]] = arith.constant 1 : i32
// CHECK-NEXT: call @structuredCudaNextLaunch(%[[PROGRAMMATIC]])
// CHECK-NEXT: gpu.launch_func @kernels::@a
// CHECK: call @structuredCudaNextLaunch(
// CHECK-NEXT: gpu.launch_func @kernels::@a
// CHECK: gpu.func @a
// CHECK-NEXT: nvvm.griddepcontrol launch_dependents
// CHECK-NEXT: nvvm.griddepcontrol wait
// CHECK: memref.load
// A function that kernels call does not wait.
// CHECK: gpu.func @helper
// CHECK-NOT: griddepcontrol
// CHECK: gpu.return
// CHECK: func.func private @structuredCudaNextLaunch(i32)
module attributes {gpu.container_module} {
  func.func @main(%x: memref<4xf32>) {
    %c1 = arith.constant 1 : index
    gpu.launch_func @kernels::@a blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : memref<4xf32>)
    gpu.launch_func @kernels::@a blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : memref<4xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @a(%x: memref<4xf32>) kernel {
      %c0 = arith.constant 0 : index
      %value = memref.load %x[%c0] : memref<4xf32>
      %sum = arith.addf %value, %value : f32
      memref.store %sum, %x[%c0] : memref<4xf32>
      gpu.return
    }
    gpu.func @helper(%x: memref<4xf32>) {
      gpu.return
    }
  }
}

// -----

// A kernel of ours for Hopper waits where it is best for it: its launch says by
// itself whether it is programmatic.

// CHECK-LABEL: func.func @hopper
// CHECK-NOT: structuredCudaNextLaunch
// CHECK: gpu.launch_func @hopper_kernels::@b
// CHECK: llvm.func @b
// CHECK-NEXT: llvm.return
module attributes {gpu.container_module} {
  func.func @hopper(%x: memref<4xf32>) {
    %c1 = arith.constant 1 : index
    gpu.launch_func @hopper_kernels::@b blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : memref<4xf32>)
    return
  }
  gpu.module @hopper_kernels {
    llvm.func @b(%x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      llvm.return
    }
  }
}
