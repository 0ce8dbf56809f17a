// RUN: structured-opt %s --split-input-file --verify-diagnostics

func.func @dynamic(%x: tensor<1x8xf32>, %v: tensor<?x4xf32>, %p: tensor<4xi32>, %c: tensor<?xi32>,
                   %y0: tensor<1x12xf32>) -> tensor<1x12xf32> {
  // expected-error @below {{(C1) all sizes but the number of tokens must be static}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x8xf32>, tensor<?x4xf32>, tensor<4xi32>, tensor<?xi32>)
      outs(%y0 : tensor<1x12xf32>) -> tensor<1x12xf32>
  return %y : tensor<1x12xf32>
}

// -----

func.func @no_columns(%x: tensor<1x8xf32>, %v: tensor<5x0xf32>, %p: tensor<4xi32>, %c: tensor<5xi32>,
                      %y0: tensor<1x12xf32>) -> tensor<1x12xf32> {
  // expected-error @below {{(C1) the panels, input and init must have columns}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x8xf32>, tensor<5x0xf32>, tensor<4xi32>, tensor<5xi32>)
      outs(%y0 : tensor<1x12xf32>) -> tensor<1x12xf32>
  return %y : tensor<1x12xf32>
}

// -----

func.func @coordinates(%x: tensor<1x8xf32>, %v: tensor<5x4xf32>, %p: tensor<4xi32>, %c: tensor<6xi32>,
                       %y0: tensor<1x12xf32>) -> tensor<1x12xf32> {
  // expected-error @below {{(C1) there are 5 rows of values, but 6 coordinates}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x8xf32>, tensor<5x4xf32>, tensor<4xi32>, tensor<6xi32>)
      outs(%y0 : tensor<1x12xf32>) -> tensor<1x12xf32>
  return %y : tensor<1x12xf32>
}

// -----

func.func @positions(%x: tensor<1x8xf32>, %v: tensor<5x4xf32>, %p: tensor<3xi32>, %c: tensor<5xi32>,
                     %y0: tensor<1x13xf32>) -> tensor<1x13xf32> {
  // expected-error @below {{(C1) 13 rows in panels of 4 need 5 positions, got 3}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x8xf32>, tensor<5x4xf32>, tensor<3xi32>, tensor<5xi32>)
      outs(%y0 : tensor<1x13xf32>) -> tensor<1x13xf32>
  return %y : tensor<1x13xf32>
}

// -----

func.func @tokens(%x: tensor<1x8xf32>, %v: tensor<5x4xf32>, %p: tensor<4xi32>, %c: tensor<5xi32>,
                  %y0: tensor<2x12xf32>) -> tensor<2x12xf32> {
  // expected-error @below {{(C1) input has 1 tokens, init 2}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x8xf32>, tensor<5x4xf32>, tensor<4xi32>, tensor<5xi32>)
      outs(%y0 : tensor<2x12xf32>) -> tensor<2x12xf32>
  return %y : tensor<2x12xf32>
}

// -----

func.func @mixed(%x: tensor<1x8xf32>, %v: memref<5x4xf32>, %p: tensor<4xi32>, %c: tensor<5xi32>,
                 %y0: tensor<1x12xf32>) -> tensor<1x12xf32> {
  // expected-error @below {{(C2) all operands must be tensors}}
  %y = structured.block_sparse.matmul
      ins(%x, %v, %p, %c : tensor<1x8xf32>, memref<5x4xf32>, tensor<4xi32>, tensor<5xi32>)
      outs(%y0 : tensor<1x12xf32>) -> tensor<1x12xf32>
  return %y : tensor<1x12xf32>
}

// -----

func.func @packed() -> tensor<5x8xf32> {
  // expected-error @below {{(C4) a packed factor must be [K, 4], without a permutation, got 'tensor<5x8xf32>'}}
  %v = structured.parameter "v" packing = <v, widths = 4 : 8, layout =
      <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>> : tensor<5x8xf32>
  return %v : tensor<5x8xf32>
}

// -----

// expected-error @below {{panels must have widths of at least 1, got 0 : 8}}
#packing = #structured.gblr_packing<v, widths = 0 : 8, layout =
    <out = 4, in = 5, components = [<rows 0 + 1, cols 0 + 5, rank 2>]>>

// -----

// expected-error @below {{argument attribute 'structured.packing' must be a #structured.gblr_packing}}
func.func private @argument(tensor<5x8xf32> {structured.packing = 1})

// -----

// expected-error @below {{argument attribute 'structured.constant' must hold the argument's elements}}
func.func private @constant(tensor<3xf32> {structured.constant = dense<1.0> : tensor<2xf32>})
