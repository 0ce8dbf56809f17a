// RUN: structured-opt %s -split-input-file -verify-diagnostics

// One case per numbered constraint of each op's specification.

// parameter (C1)
func.func @parameter_c1() {
  // expected-error @below {{(C1) the name must not be empty}}
  %w = structured.parameter "" : tensor<4xf32>
  return
}

// -----

// parameter (C2)
func.func @parameter_c2() {
  // expected-error @below {{(C2) the result must have a static shape}}
  %w = structured.parameter "w" : tensor<?x4xf32>
  return
}

// -----

// parameter (C3), not a permutation
func.func @parameter_c3() {
  // expected-error @below {{(C3) 'permutation' must be a permutation of the 2 dimensions}}
  %w = structured.parameter "w" permutation = [0, 0] : tensor<3x4xf32>
  return
}

// -----

// parameter (C3), too short
func.func @parameter_c3_length() {
  // expected-error @below {{(C3) 'permutation' must be a permutation of the 2 dimensions}}
  %w = structured.parameter "w" permutation = [0] : tensor<3x4xf32>
  return
}

// -----

// linear (C1), features of the input
func.func @linear_c1_input(%x: tensor<4x9xf32>, %w: tensor<12x8xf32>,
                           %y: tensor<4x12xf32>) {
  // expected-error @below {{(C1) input has 9 features, the weight matrix 8 columns}}
  %0 = structured.linear ins(%x, %w : tensor<4x9xf32>, tensor<12x8xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// linear (C1), features of the output
func.func @linear_c1_init(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                          %y: tensor<4x13xf32>) {
  // expected-error @below {{(C1) init has 13 features, the weight matrix 12 rows}}
  %0 = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y : tensor<4x13xf32>) -> tensor<4x13xf32>
  return
}

// -----

// linear (C1), tokens
func.func @linear_c1_tokens(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                            %y: tensor<5x12xf32>) {
  // expected-error @below {{(C1) input has 4 tokens, init 5}}
  %0 = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y : tensor<5x12xf32>) -> tensor<5x12xf32>
  return
}

// -----

// linear (C2), input and weight
func.func @linear_c2(%x: tensor<4x8xf32>, %w: tensor<12x8xf16>,
                     %y: tensor<4x12xf32>) {
  // expected-error @below {{(C2) the input and the factors must have the same element type, got 'f32' and 'f16'}}
  %0 = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf16>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// linear (C2), init
func.func @linear_c2_init(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                          %y: tensor<4x12xf16>) {
  // expected-error @below {{(C2) init must have the element type 'f32' or f32, got 'f16'}}
  %0 = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y : tensor<4x12xf16>) -> tensor<4x12xf16>
  return
}

// -----

// linear (C3), tensors and memrefs mixed
func.func @linear_c3(%x: tensor<4x8xf32>, %w: memref<12x8xf32>,
                     %y: tensor<4x12xf32>) {
  // expected-error @below {{(C3) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  %0 = structured.linear ins(%x, %w : tensor<4x8xf32>, memref<12x8xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// linear (C3), result missing
func.func @linear_c3_result(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                            %y: tensor<4x12xf32>) {
  // expected-error @below {{(C3) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y : tensor<4x12xf32>)
  return
}

// -----

// linear (C4)
func.func @linear_c4(%x: tensor<4x8xf32>, %w: tensor<?x8xf32>,
                     %y: tensor<4x12xf32>) {
  // expected-error @below {{(C4) the weight must have static, positive sizes}}
  %0 = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<?x8xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// linear (C5)
func.func @linear_c5(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                     %y: tensor<4x12xf32>) {
  // expected-error @below {{(C5) 5 : 2 blocks do not divide the weight matrix of 12 x 8}}
  %0 = structured.linear
      {plan = #structured.plan<blast, blocks = 5 : 2, rank = 4>}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C1), block rows
func.func @blast_c1_rows(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<2x2x5xf32>, %vt: tensor<2x5x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C1) u has 3 block rows, s 2}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<2x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C1), block columns: S given as [b_in, b_out, r]
func.func @blast_c1_columns(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x3x5xf32>, %vt: tensor<2x5x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C1) s has 3 block columns, vt 2}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x3x5xf32>, tensor<2x5x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C1), ranks
func.func @blast_c1_rank(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x2x5xf32>, %vt: tensor<2x6x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C1) u, s and vt have the ranks 5, 5 and 6}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x6x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C2), input
func.func @blast_c2_input(%x: tensor<4x10xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C2) input has 10 features, the weight matrix 8 columns}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x10xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C2), init
func.func @blast_c2_init(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>, %y: tensor<4x8xf32>) {
  // expected-error @below {{(C2) init has 8 features, the weight matrix 12 rows}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y : tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

// blast.matmul (C3)
func.func @blast_c3(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x2x5xbf16>, %vt: tensor<2x5x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C3) the input and the factors must have the same element type, got 'f32' and 'bf16'}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xbf16>, tensor<2x5x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C4)
func.func @blast_c4(%x: tensor<4x8xf32>, %u: tensor<3x4x5xf32>,
    %s: tensor<3x2x5xf32>, %vt: memref<2x5x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C4) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, memref<2x5x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C5), rank 0
func.func @blast_c5_rank(%x: tensor<4x8xf32>, %u: tensor<3x4x0xf32>,
    %s: tensor<3x2x0xf32>, %vt: tensor<2x0x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C5) b_out, b_in, p, q and r must be positive}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x4x0xf32>,
                            tensor<3x2x0xf32>, tensor<2x0x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// blast.matmul (C5), dynamic block size
func.func @blast_c5_dynamic(%x: tensor<4x8xf32>, %u: tensor<3x?x5xf32>,
    %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>, %y: tensor<4x12xf32>) {
  // expected-error @below {{(C5) b_in, p, q and the input's features must be static}}
  %0 = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<4x8xf32>, tensor<3x?x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// gblr.matmul (C1), u
func.func @gblr_c1_u(%x: tensor<4x8xf32>, %u: tensor<5xf32>, %v: tensor<3xf32>,
                     %y: tensor<4x12xf32>) {
  // expected-error @below {{(C1) u has 5 elements, the layout needs 4}}
  %0 = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<5xf32>, tensor<3xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// gblr.matmul (C1), v
func.func @gblr_c1_v(%x: tensor<4x8xf32>, %u: tensor<8xf32>, %v: tensor<3xf32>,
                     %y: tensor<4x12xf32>) {
  // expected-error @below {{(C1) v has 3 elements, the layout needs 6}}
  %0 = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 2>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<8xf32>, tensor<3xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// gblr.matmul (C2)
func.func @gblr_c2(%x: tensor<4x12xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                   %y: tensor<4x8xf32>) {
  // expected-error @below {{(C2) input has 12 features, the weight matrix 8 columns}}
  %0 = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<4x12xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y : tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

// gblr.matmul (C3)
func.func @gblr_c3(%x: tensor<4x8xf16>, %u: tensor<4xf16>, %v: tensor<3xf16>,
                   %y: tensor<4x12xbf16>) {
  // expected-error @below {{(C3) init must have the element type 'f16' or f32, got 'bf16'}}
  %0 = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf16>, tensor<4xf16>, tensor<3xf16>)
      outs(%y : tensor<4x12xbf16>) -> tensor<4x12xbf16>
  return
}

// -----

// gblr.matmul (C4)
func.func @gblr_c4(%x: memref<4x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                   %y: tensor<4x12xf32>) {
  // expected-error @below {{(C4) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  %0 = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : memref<4x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// gblr.matmul (C5), start outside of the period
func.func @gblr_c5_start(%x: tensor<4x8xf32>, %u: tensor<4xf32>,
                         %v: tensor<3xf32>, %y: tensor<4x12xf32>) {
  %0 = structured.gblr.matmul
      // expected-error @below {{component 0: rows 12 + 4 do not lie in a period of 12}}
      layout = <out = 12, in = 8, components = [
        <rows 12 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// gblr.matmul (C5), longer than the period
func.func @gblr_c5_size(%x: tensor<4x8xf32>, %u: tensor<4xf32>,
                        %v: tensor<9xf32>, %y: tensor<4x12xf32>) {
  %0 = structured.gblr.matmul
      // expected-error @below {{component 0: cols 0 + 9 do not lie in a period of 8}}
      layout = <out = 12, in = 8, components = [
        <rows 0 + 4, cols 0 + 9, rank 1>]>
      ins(%x, %u, %v : tensor<4x8xf32>, tensor<4xf32>, tensor<9xf32>)
      outs(%y : tensor<4x12xf32>) -> tensor<4x12xf32>
  return
}

// -----

// gblr.matmul (C5), negative rank
// expected-error @below {{component 0: negative rank -1}}
#layout = #structured.gblr<out = 12, in = 8, components = [
  <rows 0 + 4, cols 0 + 3, rank -1>]>

// -----

// gblr.matmul (C5), an empty matrix
// expected-error @below {{a GBLR layout needs out ≥ 1 and in ≥ 1, got out = 0, in = 8}}
#layout = #structured.gblr<out = 0, in = 8, components = []>

// -----

// expected-error @below {{a BLAST plan needs blocks and a rank of at least 1, got blocks = 4 : 4, rank = 0}}
#plan = #structured.plan<blast, blocks = 4 : 4, rank = 0>

// -----

// expected-error @below {{only a BLAST plan has blocks and a rank}}
#plan = #structured.plan<dense, blocks = 4 : 4, rank = 8>

// -----

// expected-error @below {{a GBLR plan needs a budget of at least 1 parameter, got 0}}
#plan = #structured.plan<gblr>

// -----

// expected-error @below {{only a GBLR plan has a budget}}
#plan = #structured.plan<dense, budget = 8>

// -----

// expected-error @below {{expected 'blocks'}}
#plan = #structured.plan<gblr, parameters = 8>

// -----

// expected-error @below {{unknown argument attribute 'structured.weight'}}
func.func @argument_unknown(%w: tensor<4xf32> {structured.weight = "w"}) {
  return
}

// -----

// expected-error @below {{argument attribute 'structured.parameter' must be a string that is not empty}}
func.func @argument_name(%w: tensor<4xf32> {structured.parameter = 1 : i32}) {
  return
}

// -----

// expected-error @below {{parameter 'w' must be a tensor or memref of static shape}}
func.func @argument_shape(%w: tensor<?xf32> {structured.parameter = "w"}) {
  return
}

// -----

// parameter (C5)
func.func @parameter_c5_blocks() -> tensor<12x8xf32> {
  // expected-error @below {{(C5) a product must be a matrix of f16, bf16 or f32 that its 3 : 5 blocks divide, without a packing, got 'tensor<12x8xf32>'}}
  %w = structured.parameter "w" product = <"u", "s", "vt", blocks = 3 : 5, rank = 5> : tensor<12x8xf32>
  return %w : tensor<12x8xf32>
}

// -----

// parameter (C5), where the permutation swaps the sizes that the blocks divide
func.func @parameter_c5_permutation() -> tensor<12x8xf32> {
  // expected-error @below {{(C5) a product must be a matrix of f16, bf16 or f32 that its 12 : 8 blocks divide, without a packing, got 'tensor<8x12xf32>'}}
  %w = structured.parameter "w" permutation = [1, 0]
      product = <"u", "s", "vt", blocks = 12 : 8, rank = 5> : tensor<12x8xf32>
  return %w : tensor<12x8xf32>
}

// -----

// parameter (C5), type
func.func @parameter_c5_type() -> tensor<12x8xi32> {
  // expected-error @below {{(C5) a product must be a matrix of f16, bf16 or f32}}
  %w = structured.parameter "w" product = <"u", "s", "vt", blocks = 1 : 1, rank = 5> : tensor<12x8xi32>
  return %w : tensor<12x8xi32>
}

// -----

// parameter (C6), with something else
func.func @parameter_c6_product() -> tensor<12x8xf32> {
  // expected-error @below {{(C6) a concatenation has neither a packing nor a product}}
  %w = structured.parameter "w" product = <"u", "s", "vt", blocks = 1 : 1, rank = 5>
      concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 8>]> : tensor<12x8xf32>
  return %w : tensor<12x8xf32>
}

// -----

// parameter (C6), size
func.func @parameter_c6_size() -> tensor<12x8xf32> {
  // expected-error @below {{(C6) the parts have 13 elements together along dimension 0 of 'tensor<12x8xf32>'}}
  %w = structured.parameter "w"
      concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 9>]> : tensor<12x8xf32>
  return %w : tensor<12x8xf32>
}

// -----

// parameter (C6), dimension; it is that of the stored tensor
func.func @parameter_c6_dim() -> tensor<12x8xf32> {
  // expected-error @below {{(C6) the parts have 8 elements together along dimension 0 of 'tensor<12x8xf32>'}}
  %v = structured.parameter "v"
      concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 4>]> : tensor<12x8xf32>
  return %v : tensor<12x8xf32>
}

// -----

func.func @parameter_c6_rank() -> tensor<12x8xf32> {
  // expected-error @below {{(C6) the parts have 12 elements together along dimension 2 of 'tensor<12x8xf32>'}}
  %v = structured.parameter "v"
      concatenation = <dim = 2, parts = [<"a", size = 4>, <"b", size = 8>]> : tensor<12x8xf32>
  return %v : tensor<12x8xf32>
}

// -----

// parameter (C6), a part
func.func @parameter_c6_part() -> tensor<12x8xf32> {
  // expected-error @below {{(C6) the part "b" is a product, but not a matrix of f16, bf16 or f32 that its blocks divide: 'tensor<8x8xf32>'}}
  %w = structured.parameter "w" concatenation = <dim = 0, parts = [<"a", size = 4>,
      <"b", size = 8, product = <"u", "s", "vt", blocks = 3 : 2, rank = 5>>]> : tensor<12x8xf32>
  return %w : tensor<12x8xf32>
}

// -----

// expected-error @below {{a concatenation needs at least two parts, got 1}}
#concatenation = #structured.concatenation<dim = 0, parts = [<"a", size = 4>]>

// -----

// expected-error @below {{negative dimension -1}}
#concatenation = #structured.concatenation<dim = -1, parts = [<"a", size = 4>, <"b", size = 4>]>

// -----

// expected-error @below {{a part needs a name and a size of at least 1, got "b" and 0}}
#concatenation = #structured.concatenation<dim = 0, parts = [<"a", size = 4>, <"b", size = 0>]>

// -----

// expected-error @below {{argument attribute 'structured.concatenation' must be a #structured.concatenation}}
func.func private @concatenation(tensor<5x8xf32> {structured.concatenation = 1})

// -----

// expected-error @below {{the factors of a product must have names}}
#product = #structured.blast_product<"u", "", "vt", blocks = 1 : 1, rank = 5>

// -----

// expected-error @below {{a product needs blocks and a rank of at least 1, got blocks = 1 : 1, rank = 0}}
#product = #structured.blast_product<"u", "s", "vt", blocks = 1 : 1, rank = 0>

// -----

// expected-error @below {{argument attribute 'structured.product' must be a #structured.blast_product}}
func.func private @product(tensor<5x8xf32> {structured.product = 1})

// -----

// expected-error @+1 {{argument attribute 'structured.updated_by' of argument 0 must be the number of a result}}
func.func @updated_by_none(%x: tensor<4xf32> {structured.updated_by = 1 : i64}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{argument attribute 'structured.updated_by' of argument 0 must be the number of a result}}
func.func @updated_by_name(%x: tensor<4xf32> {structured.updated_by = "x"}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{argument attribute 'structured.updated_by' of argument 1 needs an argument of static shape and of the type of result 0}}
func.func @updated_by_other(%x: tensor<4xf32>, %y: tensor<4xf16> {structured.updated_by = 0 : i64}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{argument attribute 'structured.updated_by' of argument 0 needs an argument of static shape}}
func.func @updated_by_dynamic(%x: tensor<?xf32> {structured.updated_by = 0 : i64}) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

// expected-error @+1 {{argument attribute 'structured.updated_by' of argument 0 is on a parameter, which nothing may write to}}
func.func @updated_parameter(%x: tensor<4xf32> {structured.parameter = "x", structured.updated_by = 0 : i64}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{argument attribute 'structured.updated_by' of argument 1 names result 0, which updates argument 0 already}}
func.func @updated_twice(%x: tensor<4xf32> {structured.updated_by = 0 : i64}, %y: tensor<4xf32> {structured.updated_by = 0 : i64}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
