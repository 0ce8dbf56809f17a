// RUN: structured-opt %s | structured-opt | FileCheck %s

// CHECK-LABEL: func @tensors
func.func @tensors(%x: tensor<?x256xbf16>, %p: tensor<3xi32>, %c: tensor<3xi32>, %o: tensor<2xi32>,
                   %y0: tensor<?x128xbf16>) -> tensor<?x128xbf16> {
  // CHECK: structured.parameter "v" packing = <v, widths = 64 : 128, layout = <out = 128, in = 256, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>, columns = 32> : tensor<3x64x32xbf16>
  %v = structured.parameter "v" packing = <v, widths = 64 : 128, layout =
      <out = 128, in = 256, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>, columns = 32> : tensor<3x64x32xbf16>
  // CHECK: structured.bsr.matmul ins(%{{.*}} : tensor<?x256xbf16>, tensor<3x64x32xbf16>, tensor<3xi32>, tensor<3xi32>, tensor<2xi32>) outs(%{{.*}} : tensor<?x128xbf16>) -> tensor<?x128xbf16>
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<?x256xbf16>, tensor<3x64x32xbf16>, tensor<3xi32>,
          tensor<3xi32>, tensor<2xi32>)
      outs(%y0 : tensor<?x128xbf16>) -> tensor<?x128xbf16>
  return %y : tensor<?x128xbf16>
}

// CHECK-LABEL: func @order
func.func @order() -> tensor<3x64x32xbf16> {
  // CHECK: columns = 32, order = [1, {{(-1, )*}}0, {{(-1, )*}}-1]>
  %v = structured.parameter "v" packing = <v, widths = 64 : 128, layout =
      <out = 128, in = 256, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>, columns = 32, order = [1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1]> : tensor<3x64x32xbf16>
  return %v : tensor<3x64x32xbf16>
}
