// RUN: structured-opt %s --structured-to-cuda-tensors 2>&1 | FileCheck %s
// RUN: structured-opt %s --structured-to-cuda-tensors=costs=none 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: structured-opt %s --structured-to-cuda-tensors=chip=sm_80 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: structured-opt %s --structured-to-cpu-tensors=costs=h200 2>&1 | FileCheck %s --check-prefix=CPU
// RUN: structured-opt %s --structured-to-cpu-tensors 2>&1 | FileCheck %s --check-prefix=CPU-NONE
// RUN: not structured-opt %s --structured-to-cuda-tensors=costs=missing.json 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not structured-opt %s --structured-to-cuda-buffers=blast-kernel=fastest 2>&1 | FileCheck %s --check-prefix=KERNEL
// RUN: structured-opt %s --structured-to-cuda="costs=none blast-kernel=fused" 2>&1 | FileCheck %s --check-prefix=FUSED
// RUN: structured-opt %s --structured-to-cuda="costs=none blast-kernel=unfused" 2>&1 | FileCheck %s --check-prefix=UNFUSED
// RUN: structured-opt %s --structured-to-cuda="costs=none blast-kernel=exchange" 2>&1 | FileCheck %s --check-prefix=EXCHANGE
// RUN: structured-opt %s --structured-to-cuda="costs=none blast-kernel=library" 2>&1 | FileCheck %s --check-prefix=LIBRARY

// A layer that does not pay on the chip is dense in the module: one parameter,
// the product, in the order that the target wants.

// CHECK: remark: made dense
// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<128x128xbf16> {{{.*}}structured.parameter = "u*s*vt", structured.product = #structured.blast_product<"u", "s", "vt", blocks = 2 : 2, rank = 64>}
// CHECK-NOT: structured.parameter
// CHECK: structured.linear
// NONE-NOT: remark
// NONE-LABEL: func.func @main
// NONE-SAME: tensor<2x64x64xbf16> {{{.*}}structured.parameter = "u"}
// NONE: structured.blast.matmul
// CPU: remark: made dense
// CPU-LABEL: func.func @main
// CPU-SAME: structured.parameter = "u*s*vt", structured.permutation = array<i64: 1, 0>, structured.product
// CPU-NONE-LABEL: func.func @main
// CPU-NONE-NOT: structured.product
// MISSING: error: cost table: 'missing.json' is neither one of h200
// KERNEL: Cannot find option named 'fastest'
// FUSED: @blast_stages12
// UNFUSED: @blast_stage2
// EXCHANGE: @blast_exchange
// LIBRARY-NOT: blast_stage
// LIBRARY: @kernels::@contraction
func.func @main(%x: tensor<512x128xbf16>) -> tensor<512x128xbf16> {
  %u = structured.parameter "u" : tensor<2x64x64xbf16>
  %s = structured.parameter "s" : tensor<2x2x64xbf16>
  %vt = structured.parameter "vt" : tensor<2x64x64xbf16>
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : tensor<512x128xbf16>
  %init = linalg.fill ins(%zero : bf16) outs(%empty : tensor<512x128xbf16>) -> tensor<512x128xbf16>
  %y = structured.blast.matmul ins(%x, %u, %s, %vt : tensor<512x128xbf16>, tensor<2x64x64xbf16>, tensor<2x2x64xbf16>, tensor<2x64x64xbf16>)
      outs(%init : tensor<512x128xbf16>) -> tensor<512x128xbf16>
  return %y : tensor<512x128xbf16>
}
