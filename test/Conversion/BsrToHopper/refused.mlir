// RUN: structured-opt %s --structured-bsr-to-hopper --split-input-file --verify-diagnostics

func.func @columns(%x: memref<512x256xf16>, %v: memref<2x128x16xf16>, %p: memref<2xi32>,
    %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<512x128xf16>) {
  // expected-remark @below {{no Hopper kernel: its blocks have 16 columns, not 64}}
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x256xf16>, memref<2x128x16xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xf16>)
  return
}

// -----

func.func @rows(%x: memref<512x256xf16>, %v: memref<2x192x64xf16>, %p: memref<2xi32>,
    %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<512x128xf16>) {
  // expected-remark @below {{no Hopper kernel: tiles must have 128 rows, and 128 or 256 columns, not 128 and 192}}
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x256xf16>, memref<2x192x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xf16>)
  return
}

// -----

func.func @input(%x: memref<512x60xf16>, %v: memref<2x128x64xf16>, %p: memref<2xi32>,
    %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<512x128xf16>) {
  // expected-remark @below {{no Hopper kernel: its 60 input features are not a multiple of 8}}
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x60xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xf16>)
  return
}

// -----

func.func @output(%x: memref<512x64xf16>, %v: memref<2x128x64xf16>, %p: memref<2xi32>,
    %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<512x100xf16>) {
  // expected-remark @below {{no Hopper kernel: its 100 output features are not a positive multiple of 8}}
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x64xf16>, memref<2x128x64xf16>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<512x100xf16>)
  return
}

// -----

func.func @values(%x: memref<512x64xf16>, %v: memref<2x128x64xf16, strided<[8192, 128, 1]>>, %p: memref<2xi32>,
    %c: memref<2xi32>, %o: memref<1xi32>, %y: memref<512x128xf16>) {
  // expected-remark @below {{no Hopper kernel: its matrix is not contiguous}}
  structured.bsr.matmul ins(%x, %v, %p, %c, %o : memref<512x64xf16>, memref<2x128x64xf16, strided<[8192, 128, 1]>>, memref<2xi32>,
      memref<2xi32>, memref<1xi32>) outs(%y : memref<512x128xf16>)
  return
}

// -----

func.func @tensors(%x: tensor<512x64xf16>, %v: tensor<1x128x64xf16>, %p: tensor<2xi32>, %c: tensor<1xi32>,
    %o: tensor<1xi32>, %y0: tensor<512x128xf16>) -> tensor<512x128xf16> {
  // expected-remark @below {{no Hopper kernel: its operands are not memrefs}}
  %y = structured.bsr.matmul ins(%x, %v, %p, %c, %o : tensor<512x64xf16>, tensor<1x128x64xf16>, tensor<2xi32>,
      tensor<1xi32>, tensor<1xi32>) outs(%y0 : tensor<512x128xf16>) -> tensor<512x128xf16>
  return %y : tensor<512x128xf16>
}
