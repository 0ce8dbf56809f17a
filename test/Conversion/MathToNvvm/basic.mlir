// RUN: structured-opt %s --pass-pipeline='builtin.module(gpu.module(structured-math-to-nvvm))' --split-input-file --verify-diagnostics | FileCheck %s

gpu.module @kernels {
  // CHECK-LABEL: gpu.func @main
  gpu.func @main(%x: f32, %h: f16, %d: f64, %i: i32) {
    // CHECK: %[[R:.*]] = llvm.call_intrinsic "llvm.sqrt"(%{{.*}}) : (f32) -> f32
    // CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
    // CHECK: llvm.call_intrinsic "llvm.nvvm.div.full"(%[[ONE]], %[[R]]) : (f32, f32) -> f32
    %y = math.rsqrt %x : f32
    // CHECK: llvm.call_intrinsic "llvm.fma"(%{{.*}}, %{{.*}}, %{{.*}}) : (f32, f32, f32) -> f32
    %f = math.fma %x, %y, %x : f32
    // Narrow types are computed in f32.
    // CHECK: %[[W:.*]] = arith.extf %{{.*}} : f16 to f32
    // CHECK: %[[S:.*]] = llvm.call_intrinsic "llvm.sqrt"(%[[W]]) : (f32) -> f32
    // CHECK: arith.truncf %[[S]] : f32 to f16
    %s = math.sqrt %h : f16
    // CHECK: llvm.call_intrinsic "llvm.floor"(%{{.*}}) : (f64) -> f64
    %g = math.floor %d : f64
    // The power of two is multiplied by 1 + the rest.
    // CHECK: %[[T:.*]] = arith.mulf %[[X:.*]], %{{.*}} : f32
    // CHECK: llvm.call_intrinsic "llvm.fma"(%[[X]],
    // CHECK: %[[REST:.*]] = llvm.call_intrinsic "llvm.fma"(%[[X]],
    // CHECK: %[[DELTA:.*]] = arith.mulf %[[REST]],
    // CHECK: %[[P:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"(%[[T]]) : (f32) -> f32
    // CHECK: llvm.call_intrinsic "llvm.fma"(%[[P]], %[[DELTA]], %[[P]])
    %e = math.exp %x : f32
    // CHECK: arith.extf
    // CHECK: ex2.approx
    // CHECK: arith.truncf %{{.*}} : f32 to f16
    %n = math.exp %h : f16
    // Quotients of other types are rounded correctly.
    // CHECK: arith.divf %{{.*}} : f64
    %q = arith.divf %d, %d : f64
    // CHECK: math.absi
    %a = math.absi %i : i32
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @main(%x: f32) {
    // expected-error @+1 {{'math.sin' on 'f32' has no code for NVIDIA GPUs here}}
    %y = math.sin %x : f32
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @main(%x: f64) {
    // expected-error @+1 {{'math.exp' on 'f64' has no code for NVIDIA GPUs here}}
    %y = math.exp %x : f64
    gpu.return
  }
}
