// RUN: structured-opt %s --structured-gblr-to-bsr | FileCheck %s

// The example of the pass's description. Of W's four blocks of 64 columns the
// three rank vectors need the last and, as component 1 wraps around, the first.

// CHECK-LABEL: func @wrap
// CHECK-SAME: %[[X:[^:]+]]: tensor<2048x256xbf16>, %[[Y0:[^:]+]]: tensor<2048x128xbf16>
func.func @wrap(%x: tensor<2048x256xbf16>, %y0: tensor<2048x128xbf16>) -> tensor<2048x128xbf16> {
  %u = structured.parameter "u" : tensor<384xbf16>
  %v = structured.parameter "v" : tensor<288xbf16>
  // CHECK: %[[ZEROS:.+]] = linalg.fill {{.*}} -> tensor<2048x256xbf16>
  // CHECK: %[[V:.+]] = structured.parameter "v" packing = <v, widths = 256 : 256, layout = <out = 128, in = 256, {{.*}}>, columns = 64, order = [{{[-0-9, ]*}}]> : tensor<2x256x64xbf16>
  // CHECK: %[[VPOSITIONS:.+]] = arith.constant dense<[0, 2]> : tensor<2xi32>
  // CHECK: %[[VCOORDINATES:.+]] = arith.constant dense<[0, 3]> : tensor<2xi32>
  // CHECK: %[[VORDER:.+]] = arith.constant dense<0> : tensor<1xi32>
  // CHECK: %[[A:.+]] = structured.bsr.matmul ins(%[[X]], %[[V]], %[[VPOSITIONS]], %[[VCOORDINATES]], %[[VORDER]] : {{.*}}) outs(%[[ZEROS]] : tensor<2048x256xbf16>)
  // CHECK: %[[U:.+]] = structured.parameter "u" packing = <u, widths = 256 : 256, layout = {{.*}}>, columns = 64, order = [{{[-0-9, ]*}}]> : tensor<1x256x64xbf16>
  // CHECK: %[[Y:.+]] = structured.bsr.matmul ins(%[[A]], %[[U]], {{.*}}) outs(%[[Y0]] : tensor<2048x128xbf16>)
  // CHECK: return %[[Y]]
  %y = structured.gblr.matmul layout = <out = 128, in = 256, components = [
        <rows 0 + 128, cols 192 + 64, rank 1>, <rows 64 + 128, cols 208 + 112, rank 2>,
        <rows 3 + 0, cols 0 + 0, rank 4>]>
      ins(%x, %u, %v : tensor<2048x256xbf16>, tensor<384xbf16>, tensor<288xbf16>)
      outs(%y0 : tensor<2048x128xbf16>) -> tensor<2048x128xbf16>
  return %y : tensor<2048x128xbf16>
}
