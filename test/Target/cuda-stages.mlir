// What the threads of a BLAST kernel read of a stage of shared memory has
// arrived before they give the stage back: an arrival at a barrier alone does
// not wait for it, and the copy engine could bring what is next first.
// RUN: structured-compile %s --target=cuda --costs=none --blast-kernel=fused --emit=ptx | FileCheck %s

func.func @main(%x: tensor<512x256xbf16>) -> tensor<512x256xbf16> {
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : tensor<512x256xbf16>
  %init = linalg.fill ins(%zero : bf16) outs(%empty : tensor<512x256xbf16>) -> tensor<512x256xbf16>
  %u = structured.parameter "u" : tensor<4x64x64xbf16>
  %s = structured.parameter "s" : tensor<4x4x64xbf16>
  %vt = structured.parameter "vt" : tensor<4x64x64xbf16>
  %y = structured.blast.matmul ins(%x, %u, %s, %vt : tensor<512x256xbf16>, tensor<4x64x64xbf16>, tensor<4x4x64xbf16>, tensor<4x64x64xbf16>)
      outs(%init : tensor<512x256xbf16>) -> tensor<512x256xbf16>
  return %y : tensor<512x256xbf16>
}

// CHECK-LABEL: .entry blast_stages12
// CHECK: ld.shared.v4
// CHECK-NOT: mbarrier.arrive
// CHECK: fence.proxy.async.shared::cta;
// CHECK: bar.warp.sync
// CHECK: mbarrier.arrive
