// RUN: structured-opt %s --pass-pipeline='builtin.module(gpu.module(structured-align-shared-memory))' | FileCheck %s

gpu.module @kernels {
  // CHECK: gpu.func @rows() workgroup(%{{.*}} : memref<6xf32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64},
  // CHECK-SAME: %{{.*}} : memref<8xf32, #gpu.address_space<workgroup>> {llvm.align = 1024 : i64})
  gpu.func @rows() workgroup(%a : memref<6xf32, #gpu.address_space<workgroup>>,
                             %b : memref<8xf32, #gpu.address_space<workgroup>> {llvm.align = 1024 : i64}) kernel {
    gpu.return
  }
}
