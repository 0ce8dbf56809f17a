// RUN: structured-opt %s --structured-kernels-to-ptx | FileCheck %s --implicit-check-not=mma.sync

// The example of the pass's description: the lanes that store come together for
// the product. LLVM would else make two of it, one for each value of %isFirst.

// CHECK: gpu.binary @kernels [#gpu.object<#nvvm.target<chip = "sm_90a", features = "+ptx80">
// CHECK-SAME: assembly = "
// CHECK-SAME: .visible .entry product(
// CHECK-SAME: bra
// CHECK-SAME: st.global.b32
// CHECK-SAME: $L__
// CHECK-SAME: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-SAME: bra
// CHECK-SAME: st.global.b32
// CHECK-SAME: $L__
gpu.module @kernels [#nvvm.target<chip = "sm_90a", features = "+ptx80">] {
  llvm.func @product(%p: !llvm.ptr<1>, %q: !llvm.ptr<1>, %a: i32, %f: f32)
      attributes {gpu.kernel, nvvm.kernel} {
    %zero = llvm.mlir.constant(0 : i32) : i32
    %four = llvm.mlir.constant(4 : i32) : i32
    %thread = nvvm.read.ptx.sreg.tid.x : i32
    %isFirst = llvm.icmp "ult" %thread, %four : i32
    %b = llvm.inline_asm "mov.b32 $0, $1;", "=r,r" %a : (i32) -> i32
    llvm.cond_br %isFirst, ^store0, ^then
  ^store0:
    llvm.store %zero, %p : i32, !llvm.ptr<1>
    llvm.br ^then
  ^then:
    %sums = llvm.inline_asm has_side_effects
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};",
        "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f" %a, %a, %a, %a, %b, %b, %f, %f, %f, %f
        : (i32, i32, i32, i32, i32, i32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.cond_br %isFirst, ^store1, ^end
  ^store1:
    %sum = llvm.extractvalue %sums[0] : !llvm.struct<(f32, f32, f32, f32)>
    llvm.store %sum, %q : f32, !llvm.ptr<1>
    llvm.br ^end
  ^end:
    llvm.return
  }
}
