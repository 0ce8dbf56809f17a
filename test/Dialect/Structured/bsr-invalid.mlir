// RUN: structured-opt %s --split-input-file --verify-diagnostics

func.func @dynamic(%x: tensor<8x256xbf16>, %v: tensor<?x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<?xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C1) all sizes but the number of tokens must be static}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, tensor<?x64x64xbf16>, tensor<3xi32>, tensor<?xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @no_blocks(%x: tensor<8x256xbf16>, %v: tensor<0x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<0xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C1) there must be blocks, input and init must have columns}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, tensor<0x64x64xbf16>, tensor<3xi32>, tensor<0xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @coordinates(%x: tensor<8x256xbf16>, %v: tensor<3x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<4xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C1) there are 3 blocks, but 4 coordinates}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, tensor<3x64x64xbf16>, tensor<3xi32>, tensor<4xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @positions(%x: tensor<8x256xbf16>, %v: tensor<3x64x64xbf16>, %p: tensor<4xi32>, %c: tensor<3xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C1) 128 rows in panels of 64 need 3 positions and an order of 2, got 4 and 2}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, tensor<3x64x64xbf16>, tensor<4xi32>, tensor<3xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @order(%x: tensor<8x256xbf16>, %v: tensor<3x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<3xi32>,
    %o: tensor<3xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C1) 128 rows in panels of 64 need 3 positions and an order of 2, got 3 and 3}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, tensor<3x64x64xbf16>, tensor<3xi32>, tensor<3xi32>, tensor<3xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @tokens(%x: tensor<8x256xbf16>, %v: tensor<3x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<3xi32>,
    %o: tensor<2xi32>, %y0: tensor<9x128xbf16>) -> tensor<9x128xbf16> {
  // expected-error @below {{(C1) input has 8 tokens, init 9}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, tensor<3x64x64xbf16>, tensor<3xi32>, tensor<3xi32>, tensor<2xi32>)
      outs(%y0 : tensor<9x128xbf16>) -> tensor<9x128xbf16>
  return %y : tensor<9x128xbf16>
}

// -----

func.func @types(%x: tensor<8x256xf16>, %v: tensor<3x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<3xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C2) input, values and init must all be of f16 or all of bf16, got 'f16', 'bf16' and 'bf16'}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xf16>, tensor<3x64x64xbf16>, tensor<3xi32>, tensor<3xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @f32(%x: tensor<8x256xf32>, %v: tensor<3x64x64xf32>, %p: tensor<3xi32>, %c: tensor<3xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xf32>) -> tensor<8x128xf32> {
  // expected-error @below {{(C2) input, values and init must all be of f16 or all of bf16, got 'f32', 'f32' and 'f32'}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xf32>, tensor<3x64x64xf32>, tensor<3xi32>, tensor<3xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xf32>) -> tensor<8x128xf32>
  return %y : tensor<8x128xf32>
}

// -----

func.func @mixed(%x: tensor<8x256xbf16>, %v: memref<3x64x64xbf16>, %p: tensor<3xi32>, %c: tensor<3xi32>,
    %o: tensor<2xi32>, %y0: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  // expected-error @below {{(C3) all operands must be tensors}}
  %y = structured.bsr.matmul
      ins(%x, %v, %p, %c, %o : tensor<8x256xbf16>, memref<3x64x64xbf16>, tensor<3xi32>, tensor<3xi32>, tensor<2xi32>)
      outs(%y0 : tensor<8x128xbf16>) -> tensor<8x128xbf16>
  return %y : tensor<8x128xbf16>
}

// -----

func.func @packed() -> tensor<5x64xf16> {
  // expected-error @below {{(C4) a packed factor must be [K, 64, 32], without a permutation, got 'tensor<5x64xf16>'}}
  %v = structured.parameter "v" packing = <v, widths = 64 : 8, layout =
      <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>, columns = 32> : tensor<5x64xf16>
  return %v : tensor<5x64xf16>
}

// -----

// expected-error @below {{blocks must have at least 1 column, and panels of rank vectors a multiple of them, got 64 and 32}}
#packing = #structured.gblr_packing<v, widths = 32 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>, columns = 64>

// -----

// expected-error @below {{an order must be of the rows of panels of 4 and more than 1 column, got 3 rows and columns = 2}}
#packing = #structured.gblr_packing<v, widths = 4 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>, <rows 0 + 0, cols 0 + 5, rank 1>]>, columns = 2, order = [0, 1, -1]>

// -----

// expected-error @below {{an order must be of the rows of panels of 4 and more than 1 column, got 4 rows and columns = 1}}
#packing = #structured.gblr_packing<v, widths = 4 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>, <rows 0 + 0, cols 0 + 5, rank 1>]>, columns = 1, order = [0, 1, -1, -1]>

// -----

// expected-error @below {{an order must have different numbers of the 3 rank vectors, or -1, got 1}}
#packing = #structured.gblr_packing<v, widths = 4 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>, <rows 0 + 0, cols 0 + 5, rank 1>]>, columns = 2, order = [1, 0, 1, -1]>

// -----

// expected-error @below {{an order must have different numbers of the 3 rank vectors, or -1, got 3}}
#packing = #structured.gblr_packing<v, widths = 4 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>, <rows 0 + 0, cols 0 + 5, rank 1>]>, columns = 2, order = [0, 1, 3, -1]>

// -----

// expected-error @below {{an order must have different numbers of the 3 rank vectors, or -1, got -2}}
#packing = #structured.gblr_packing<v, widths = 4 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>, <rows 0 + 0, cols 0 + 5, rank 1>]>, columns = 2, order = [0, 1, -2, -1]>

// -----

// expected-error @below {{an order must have all rank vectors of components that are not empty, not without 0}}
#packing = #structured.gblr_packing<v, widths = 4 : 64, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>, <rows 0 + 0, cols 0 + 5, rank 1>]>, columns = 2, order = [1, 2, -1, -1]>
