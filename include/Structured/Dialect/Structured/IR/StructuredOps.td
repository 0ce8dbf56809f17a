// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_OPS_TD
#define STRUCTURED_OPS_TD

include "Structured/Dialect/Structured/IR/StructuredAttrs.td"
include "Structured/Dialect/Structured/IR/StructuredDialect.td"
include "Structured/Dialect/Structured/IR/StructuredInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/TilingInterface.td"
include "mlir/IR/OpAsmInterface.td"

class Structured_Op<string mnemonic, list<Trait> traits = []>
    : Op<Structured_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Parameter
//===----------------------------------------------------------------------===//

def Structured_ParameterOp : Structured_Op<"parameter", [
    Pure, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a named tensor of the model's weights file";
  let description = [{
    Yields the tensor of that name. The numbers stay in the weights file
    (safetensors), which the passes that need them map into memory.

    With `permutation`, dimension `i` of the result is dimension
    `permutation[i]` of the stored tensor: a transpose that costs nothing at run
    time, because the compiled module's weights are stored in this order.

    ```mlir
    %w = structured.parameter "encoder.layer.0.output.dense.weight"
        : tensor<384x1536xf32>
    %wt = structured.parameter "encoder.layer.0.output.dense.weight"
        permutation = [1, 0] : tensor<1536x384xf32>
    ```

    With `packing`, the result holds the stored tensor, a factor of a GBLR
    matrix, by panels: [K, width], one row for each coordinate of each panel.
    This costs nothing at run time either.

    ```mlir
    %v = structured.parameter "encoder.layer.0.output.dense.gblr.V"
        packing = <v, widths = 16 : 32, layout = <…>> : tensor<5120x16xf32>
    ```

    If the packing has `columns`, a panel has blocks of so many columns, and the
    result is [K, width, columns].

    With `product`, the result is the dense matrix of BLAST factors, which is
    computed when the compiled module's weights are stored; the name is that
    under which it is stored there. It may have a permutation as well.

    ```mlir
    %w = structured.parameter "fc.U*fc.S*fc.Vt"
        product = <"fc.U", "fc.S", "fc.Vt", blocks = 4 : 4, rank = 80>
        : tensor<384x1536xf32>
    ```

    With `concatenation`, the stored tensor is several ones after each other
    along a dimension, put together when the compiled module's weights are
    stored; the name is that under which it is stored there. It may have a
    permutation as well.

    ```mlir
    %w = structured.parameter "k.weight;v.weight"
        concatenation = <dim = 0, parts = [<"k.weight", size = 128>,
                                           <"v.weight", size = 128>]>
        : tensor<256x512xf32>
    ```

    Constraints:

    - (C1) the name is not empty.
    - (C2) the result has a static shape.
    - (C3) `permutation`, if present, is a permutation of the result's
      dimensions.
    - (C4) with `packing` there is no `permutation`, and the result is
      [K, width], or [K, width, columns]. K is checked when the weights are
      stored.
    - (C5) with `product` there is no `packing`, and the stored tensor is a
      matrix of f16, bf16 or f32 whose sizes the blocks divide.
    - (C6) with `concatenation` there is neither `packing` nor `product`, the
      stored tensor has the dimension `dim`, of the size that the parts have
      together, and a part with a `product` is a matrix as in (C5).
  }];
  let arguments = (ins
    StrAttr:$name,
    OptionalAttr<DenseI64ArrayAttr>:$permutation,
    OptionalAttr<Structured_GblrPacking>:$packing,
    OptionalAttr<Structured_BlastProduct>:$product,
    OptionalAttr<Structured_Concatenation>:$concatenation);
  let results = (outs AnyRankedTensor:$result);
  let builders = [
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "::llvm::StringRef":$name,
                   "::mlir::DenseI64ArrayAttr":$permutation), [{
      build($_builder, $_state, type, name, permutation, GblrPackingAttr(),
            BlastProductAttr(), ConcatenationAttr());
    }]>,
    OpBuilder<(ins "::mlir::RankedTensorType":$type,
                   "::mlir::StringAttr":$name,
                   "::mlir::DenseI64ArrayAttr":$permutation), [{
      build($_builder, $_state, type, name, permutation, GblrPackingAttr(),
            BlastProductAttr(), ConcatenationAttr());
    }]>
  ];
  let assemblyFormat = [{
    $name (`permutation` `=` $permutation^)? (`packing` `=` $packing^)?
    (`product` `=` $product^)? (`concatenation` `=` $concatenation^)?
    attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The type the tensor has in the weights file, or would have if it is a
    /// product or a concatenation.
    ::mlir::RankedTensorType getStoredType();

    /// The type of a part of the concatenation there.
    ::mlir::RankedTensorType getStoredType(ParameterPartAttr part);

    /// Whether the result is a tensor of the weights file as it is there.
    bool isAsStored() {
      return !getPermutation() && !getPacking() && !getProduct() &&
             !getConcatenation();
    }
  }];
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

def Structured_Float : AnyTypeOf<[F16, BF16, F32]>;
class Structured_Shaped<int rank>
    : AnyTypeOf<[TensorRankOf<[Structured_Float], [rank]>,
                 MemRefRankOf<[Structured_Float], [rank]>],
                "tensor or memref of rank " # rank # " of f16, bf16 or f32",
                "::mlir::ShapedType">;

def Structured_AnyShaped
    : AnyTypeOf<[RankedTensorOf<[Structured_Float]>,
                 MemRefOf<[Structured_Float]>],
                "ranked tensor or memref of f16, bf16 or f32",
                "::mlir::ShapedType">;

class Structured_LayerOp<string mnemonic>
    : Structured_Op<mnemonic, [
        DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        DeclareOpInterfaceMethods<ConditionallySpeculatable>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
                                  ["reifyResultShapes"]>,
        DeclareOpInterfaceMethods<TilingInterface, [
          "getLoopIteratorTypes", "getIterationDomain",
          "getTiledImplementation", "getResultTilePosition",
          "getIterationDomainTileFromResultTile", "generateResultTileValue"]>,
        Structured_LayerOpInterface]> {
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let hasVerifier = 1;
  let hasCanonicalizer = 1;

  code layerClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getInitMutable();
    }
    // StructuredLayerOpInterface.
    ::mlir::Value getLayerInput() { return getInput(); }
    ::mlir::Value getLayerInit() { return getInit(); }
    int64_t getOutFeatures();
    int64_t getInFeatures();
    int64_t getParameterCount();
    int64_t getBytes(int64_t tokens);
    ::mlir::Value expandToDense(::mlir::OpBuilder &builder);
  }];
}

def Structured_LinearOp : Structured_LayerOp<"linear"> {
  let summary = "linear layer with a dense weight matrix";
  let description = [{
    `init + input · weightᵀ`. Every recognised dense layer, whatever its
    spelling, is raised to this op; `structured-to-linalg` is its way back.

    | operand | shape | element type |
    |---|---|---|
    | `input` | [T, n] | E: f32, f16 or bf16 |
    | `weight` | [m, n] | E |
    | `init`, result | [T, m] | E or f32 |

    Sums are formed in f32 and rounded once, after `init` is added.
    `layer` is the layer's name in the model, `plan` what is to become of it.

    ```mlir
    %y = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    Constraints (sizes that are dynamic are taken to agree):

    - (C1) `input` is [T, n], `weight` [m, n], `init` [T, m].
    - (C2) `input` and `weight` have the same element type E; `init` has E or
      f32.
    - (C3) either all operands are tensors and there is one result of `init`'s
      type, or all are memrefs and there is none.
    - (C4) m and n are static and positive.
    - (C5) a `plan` with blocks divides m and n.
  }];
  let arguments = (ins
    Structured_Shaped<2>:$input,
    Structured_Shaped<2>:$weight,
    Structured_Shaped<2>:$init,
    OptionalAttr<StrAttr>:$layer,
    OptionalAttr<Structured_Plan>:$plan);
  let assemblyFormat = [{
    attr-dict `ins` `(` $input `,` $weight `:` type($input) `,` type($weight)
    `)` `outs` `(` $init `:` type($init) `)` (`->` type($results)^)?
  }];
  let extraClassDeclaration = layerClassDeclaration # [{
    ::mlir::ValueRange getLayerFactors() {
      return getOperation()->getOperands().slice(1, 1);
    }
    ::structured::StructureKind getStructureKind() {
      return ::structured::StructureKind::Dense;
    }
  }];
}

def Structured_BlastMatmulOp : Structured_LayerOp<"blast.matmul"> {
  let summary = "linear layer with a BLAST weight matrix";
  let description = [{
    `init + input · Wᵀ` for a block-level adaptive structured matrix (Lee et
    al., NeurIPS 2024, arXiv 2410.21262): W is cut into `b_out × b_in` blocks of
    `p × q`, and block (i, j) is `U_i diag(s_ij) Vt_j`. `U_i` is shared by block
    row i, `Vt_j` by block column j, `s_ij` is the block's own.

    | operand | shape | authors' name | element type |
    |---|---|---|---|
    | `input` X | [T, b_in·q] | | E: f32, f16 or bf16 |
    | `u` U | [b_out, p, r] | B | E |
    | `s` S | [b_out, b_in, r] | D | E |
    | `vt` Vt | [b_in, r, q] | C | E |
    | `init`, result | [T, b_out·p] | | E or f32 |

    Computed in three stages, in f32:

    ```
    Y[j,t,ρ]      = Σ_q' X[t, j·q + q'] Vt[j,ρ,q']
    Z[i,t,ρ]      = Σ_j S[i,j,ρ] Y[j,t,ρ]
    O[t, i·p + p'] = init[t, i·p + p'] + Σ_ρ Z[i,t,ρ] U[i,p',ρ]
    ```

    The result is rounded once; a lowering may round Y and Z to E and says so.
    A layer has `r·(m + n + b_out·b_in)` parameters and as many multiply-adds
    per token.

    The iteration space for tiling is (T: parallel, b_out: parallel,
    r: reduction): the terms of different ρ are independent and add up in the
    destination.

    ```mlir
    %y = structured.blast.matmul
        ins(%x, %u, %s, %vt : tensor<?x8xf32>, tensor<3x4x5xf32>,
                              tensor<3x2x5xf32>, tensor<2x5x4xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    Constraints (token counts that are dynamic are taken to agree):

    - (C1) `u` is [b_out, p, r], `s` [b_out, b_in, r], `vt` [b_in, r, q] with the
      same b_out, b_in and r in each.
    - (C2) `input` is [T, b_in·q] and `init` [T, b_out·p].
    - (C3) `input`, `u`, `s` and `vt` have the same element type E; `init` has E
      or f32.
    - (C4) either all operands are tensors and there is one result of `init`'s
      type, or all are memrefs and there is none.
    - (C5) all sizes but T are positive; b_in, p and q are static, and so are
      the features of `input`. b_out and r may be dynamic, as tiling leaves them.
  }];
  let arguments = (ins
    Structured_Shaped<2>:$input,
    Structured_Shaped<3>:$u,
    Structured_Shaped<3>:$s,
    Structured_Shaped<3>:$vt,
    Structured_Shaped<2>:$init,
    OptionalAttr<StrAttr>:$layer);
  let assemblyFormat = [{
    attr-dict `ins` `(` $input `,` $u `,` $s `,` $vt `:` type($input) `,`
    type($u) `,` type($s) `,` type($vt) `)` `outs` `(` $init `:` type($init) `)`
    (`->` type($results)^)?
  }];
  let extraClassDeclaration = layerClassDeclaration # [{
    ::mlir::ValueRange getLayerFactors() {
      return getOperation()->getOperands().slice(1, 3);
    }
    ::structured::StructureKind getStructureKind() {
      return ::structured::StructureKind::Blast;
    }
    int64_t getBOut() { return getU().getType().getDimSize(0); }
    int64_t getP() { return getU().getType().getDimSize(1); }
    int64_t getRank() { return getU().getType().getDimSize(2); }
    int64_t getBIn() { return getVt().getType().getDimSize(0); }
    int64_t getQ() { return getVt().getType().getDimSize(2); }
  }];
}

def Structured_GblrMatmulOp : Structured_LayerOp<"gblr.matmul"> {
  let summary = "linear layer with a generalised block low-rank weight matrix";
  let description = [{
    `init + input · Wᵀ` for a generalised block low-rank matrix (Gaudi-GBLR,
    ICLR 2024): W is a sum of components, each of a rank of its own on an
    interval of rows and an interval of columns of its own. Intervals overlap
    freely and are periodic. `layout` says where the components lie.

    | operand | shape | element type |
    |---|---|---|
    | `input` X | [T, n] | E: f32, f16 or bf16 |
    | `u` | [Σ rank·rows] packed | E |
    | `v` | [Σ rank·cols] packed | E |
    | `init`, result | [T, m] | E or f32 |

    Component k of rank vectors `u_ρ[rows]`, `v_ρ[cols]` adds, in f32,

    ```
    O[t, (rowStart + a) mod m] += Σ_ρ u_ρ[a] Σ_c v_ρ[c] X[t, (colStart + c) mod n]
    ```

    A layer has `Σ rank·(rows + cols)` parameters and as many multiply-adds per
    token. The iteration space for tiling is (T: parallel); components are tiled
    by the lowering, which knows the layout.

    ```mlir
    %y = structured.gblr.matmul
        layout = <out = 12, in = 8, components = [
          <rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 2 + 5, rank 2>]>
        ins(%x, %u, %v : tensor<?x8xf32>, tensor<16xf32>, tensor<13xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    Constraints (token counts that are dynamic are taken to agree):

    - (C1) `u` has Σ rank·rows elements and `v` Σ rank·cols.
    - (C2) `input` is [T, layout.in], `init` [T, layout.out].
    - (C3) `input`, `u` and `v` have the same element type E; `init` has E or
      f32.
    - (C4) either all operands are tensors and there is one result of `init`'s
      type, or all are memrefs and there is none.
    - (C5) the layout is valid (see the attribute).
  }];
  let arguments = (ins
    Structured_Shaped<2>:$input,
    Structured_Shaped<1>:$u,
    Structured_Shaped<1>:$v,
    Structured_Shaped<2>:$init,
    Structured_GblrLayout:$layout,
    OptionalAttr<StrAttr>:$layer);
  let assemblyFormat = [{
    `layout` `=` $layout attr-dict `ins` `(` $input `,` $u `,` $v `:`
    type($input) `,` type($u) `,` type($v) `)` `outs` `(` $init `:` type($init)
    `)` (`->` type($results)^)?
  }];
  let extraClassDeclaration = layerClassDeclaration # [{
    ::mlir::ValueRange getLayerFactors() {
      return getOperation()->getOperands().slice(1, 2);
    }
    ::structured::StructureKind getStructureKind() {
      return ::structured::StructureKind::Gblr;
    }
  }];
}

//===----------------------------------------------------------------------===//
// What layers are lowered to
//===----------------------------------------------------------------------===//

def Structured_BlockSparseMatmulOp : Structured_Op<"block_sparse.matmul", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ConditionallySpeculatable>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
                              ["reifyResultShapes"]>]> {
  let summary = "product with a block-sparse matrix of p × 1 blocks";
  let description = [{
    `init + input · Wᵀ` for a matrix W [m, n] in block compressed sparse row
    form with blocks of p rows and one column. W is cut into panels of p rows,
    and panel i has numbers only in a list of columns of its own length:

    ```
    O[t, i·p + l] = init[t, i·p + l] +
        Σ_k input[t, coordinates[k]] values[k, l],
        positions[i] ≤ k < positions[i + 1]
    ```

    | operand | shape | element type |
    |---|---|---|
    | `input` | [T, n] | f32 |
    | `values` | [K, p] | f32, f16 or bf16 |
    | `positions` | [⌈m / p⌉ + 1] | i32 |
    | `coordinates` | [K] | i32 |
    | `init`, result | [T, m] | f32 |

    `positions` and `coordinates` are named as in the sparse_tensor dialect. If
    p does not divide m, the last panel's values beyond row m are ignored.
    Nothing checks at run time that positions ascend from 0 to K and that
    coordinates are below n: the op's producer sees to that.

    ```mlir
    %y = structured.block_sparse.matmul
        ins(%x, %values, %positions, %coordinates : tensor<?x8xf32>,
            tensor<5x4xf32>, tensor<4xi32>, tensor<5xi32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    Constraints (token counts that are dynamic are taken to agree):

    - (C1) the shapes are those of the table; all sizes but T are static and,
      K apart, positive.
    - (C2) either all operands are tensors and there is one result of `init`'s
      type, or all are memrefs and there is none.
  }];
  let arguments = (ins
    AnyTypeOf<[TensorRankOf<[F32], [2]>, MemRefRankOf<[F32], [2]>]>:$input,
    Structured_Shaped<2>:$values,
    AnyTypeOf<[TensorRankOf<[I32], [1]>, MemRefRankOf<[I32], [1]>]>:$positions,
    AnyTypeOf<[TensorRankOf<[I32], [1]>,
               MemRefRankOf<[I32], [1]>]>:$coordinates,
    AnyTypeOf<[TensorRankOf<[F32], [2]>, MemRefRankOf<[F32], [2]>]>:$init);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let hasVerifier = 1;
  let assemblyFormat = [{
    attr-dict `ins` `(` $input `,` $values `,` $positions `,` $coordinates `:`
    type($input) `,` type($values) `,` type($positions) `,` type($coordinates)
    `)` `outs` `(` $init `:` type($init) `)` (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getInitMutable();
    }
  }];
}

def Structured_BsrMatmulOp : Structured_Op<"bsr.matmul", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ConditionallySpeculatable>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
                              ["reifyResultShapes"]>]> {
  let summary = "product with a block-sparse matrix of p × s blocks";
  let description = [{
    `init + input · Wᵀ` for a matrix W [m, n] in block compressed sparse row
    form (BSR) with blocks of p rows and s columns, for tensor cores. W is cut
    into panels of p rows, and of panel i some blocks are stored:

    ```
    O[t, i·p + l] = init[t, i·p + l] +
        Σ_k Σ_c input[t, s·coordinates[k] + c] values[k, l, c],
        positions[i] ≤ k < positions[i + 1], 0 ≤ c < s
    ```

    | operand | shape | element type |
    |---|---|---|
    | `input` | [T, n] | f16 or bf16 |
    | `values` | [K, p, s] | the same |
    | `positions` | [⌈m / p⌉ + 1] | i32 |
    | `coordinates` | [K] | i32 |
    | `order` | [⌈m / p⌉] | i32 |
    | `init`, result | [T, m] | the same |

    Sums are in f32 and rounded once. Values beyond row m or column n are
    ignored. `order` is a permutation of the panels, the order in which it is
    good to multiply them; it does not change the result. Nothing checks at run
    time that it is one, that positions ascend from 0 to K, so that each panel
    has a block, and that coordinates are below n / s: the op's producer sees to
    that.

    ```mlir
    %y = structured.bsr.matmul
        ins(%x, %values, %positions, %coordinates, %order : tensor<?x256xbf16>,
            tensor<3x64x64xbf16>, tensor<3xi32>, tensor<3xi32>, tensor<2xi32>)
        outs(%y0 : tensor<?x128xbf16>) -> tensor<?x128xbf16>
    ```

    Constraints (token counts that are dynamic are taken to agree):

    - (C1) the shapes are those of the table; all sizes but T are static and
      positive.
    - (C2) the element types are those of the table.
    - (C3) either all operands are tensors and there is one result of `init`'s
      type, or all are memrefs and there is none.
  }];
  let arguments = (ins
    Structured_Shaped<2>:$input, Structured_Shaped<3>:$values,
    AnyTypeOf<[TensorRankOf<[I32], [1]>, MemRefRankOf<[I32], [1]>]>:$positions,
    AnyTypeOf<[TensorRankOf<[I32], [1]>,
               MemRefRankOf<[I32], [1]>]>:$coordinates,
    AnyTypeOf<[TensorRankOf<[I32], [1]>, MemRefRankOf<[I32], [1]>]>:$order,
    Structured_Shaped<2>:$init);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let hasVerifier = 1;
  let assemblyFormat = [{
    attr-dict `ins` `(` $input `,` $values `,` $positions `,` $coordinates `,`
    $order `:` type($input) `,` type($values) `,` type($positions) `,`
    type($coordinates) `,` type($order) `)` `outs` `(` $init `:` type($init)
    `)` (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getInitMutable();
    }
  }];
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def Structured_AttentionOp : Structured_Op<"attention", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    RecursiveMemoryEffects, RecursivelySpeculatable,
    SingleBlock,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
                              ["reifyResultShapes"]>]> {
  let summary = "softmax of products, times values";
  let description = [{
    Scaled dot-product attention (Vaswani et al., arXiv 1706.03762, eq. 1), in
    whatever order the operands' dimensions are, and with what is done to the
    scores before the softmax (a scale, a mask) as a region:

    ```
    P[b…, t, l] = score(Σ_d query[b…, t, d] key[b…, l, d], b…, t, l)
    A[b…, t, l] = exp(P[b…, t, l] - max_l P[b…, t, l])
    O[b…, t, e] = Σ_l A[b…, t, l] value[b…, l, e] / Σ_l A[b…, t, l]
    ```

    `indexing_maps` are those of `query`, `key`, `value` and `init` over the
    loops (b…, t, l, d, e): any number of batch loops (batches, heads, groups of
    heads), the loop of queries, of keys, of the features of `query` and `key`,
    and of those of `value`. A batch loop that is not in the key's map is one
    whose queries share their keys, as in grouped-query attention (Ainslie et
    al., arXiv 2305.13245). The region takes the score and the index of each of
    its loops (b…, t, l), and gives the score for the softmax. What else it
    needs it takes from outside.

    `query`, `key` and `value` have the element type E: f32, f16 or bf16; `init`
    has E or f32, and nothing but its shape matters. Scores and sums are in f32. A
    lowering may round what `value` is multiplied by to E, before or after the
    division. A row whose scores are all -∞ gives NaN.

    ```mlir
    %o = structured.attention
        indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
                         affine_map<(h, t, l, d, e) -> (l, h, d)>,
                         affine_map<(h, t, l, d, e) -> (l, h, e)>,
                         affine_map<(h, t, l, d, e) -> (t, h, e)>]
        ins(%q, %k, %v : tensor<?x8x64xf32>, tensor<?x8x64xf32>,
                         tensor<?x8x64xf32>) outs(%o0 : tensor<?x8x64xf32>) {
    ^bb0(%score: f32, %h: index, %t: index, %l: index):
      %scaled = arith.mulf %score, %scale : f32
      %seen = arith.cmpi ule, %l, %t : index
      %masked = arith.select %seen, %scaled, %infinity : f32
      structured.yield %masked : f32
    } -> tensor<?x8x64xf32>
    ```

    Constraints (sizes that are dynamic are taken to agree):

    - (C1) there are four indexing maps, projected permutations of the same
      loops, at least four, and each has as many results as its operand has
      dimensions.
    - (C2) t is in the maps of `query` and `init`, l in those of `key` and
      `value`, d in those of `query` and `key`, e in those of `value` and `init`,
      and nowhere else; each batch loop is in that of `init`.
    - (C3) the sizes of a loop agree.
    - (C4) the element types are those above.
    - (C5) either all operands are tensors and there is one result of `init`'s
      type, or all are memrefs and there is none.
    - (C6) the region takes an f32 and an index for each batch loop, t and l, and
      ends with `structured.yield` of an f32.
  }];
  let arguments = (ins
    AffineMapArrayAttr:$indexing_maps,
    Structured_AnyShaped:$query, Structured_AnyShaped:$key,
    Structured_AnyShaped:$value, Structured_AnyShaped:$init);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$score);
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let assemblyFormat = [{
    `indexing_maps` `=` $indexing_maps attr-dict `ins` `(` $query `,` $key `,`
    $value `:` type($query) `,` type($key) `,` type($value) `)` `outs` `(` $init
    `:` type($init) `)` $score (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getInitMutable();
    }

    // Loops, in the order of the maps' dimensions.
    unsigned getNumBatchLoops() { return getNumLoops() - 4; }
    unsigned getNumLoops() {
      return getMap(0).getNumDims();
    }
    unsigned getQueryLoop() { return getNumBatchLoops(); }
    unsigned getKeyLoop() { return getNumBatchLoops() + 1; }
    /// Of the features of query and key.
    unsigned getFeatureLoop() { return getNumBatchLoops() + 2; }
    /// Of those of value and init.
    unsigned getValueLoop() { return getNumBatchLoops() + 3; }

    /// The loop of an operand's rows, queries or keys, and of its columns, which
    /// are features.
    unsigned getRowLoop(unsigned operand);
    unsigned getColumnLoop(unsigned operand);

    /// The indexing map of the operand of that number.
    ::mlir::AffineMap getMap(unsigned operand) {
      return ::llvm::cast<::mlir::AffineMapAttr>(getIndexingMaps()[operand])
          .getValue();
    }
    /// The iterations of each loop, as far as they are static.
    ::llvm::SmallVector<int64_t> getLoopSizes();

    /// The region's arguments.
    ::mlir::Value getScoreArgument() {
      return getScore().front().getArgument(0);
    }
    /// Of a batch loop, t or l.
    ::mlir::Value getIndexArgument(unsigned loop) {
      return getScore().front().getArgument(1 + loop);
    }
  }];
}

def Structured_YieldOp : Structured_Op<"yield", [
    Pure, Terminator, HasParent<"AttentionOp">]> {
  let summary = "what a region of a structured op gives";
  let description = [{
    The score for the softmax, in the region of `structured.attention`:

    ```mlir
    structured.yield %score : f32
    ```

    Constraints:

    - (C1) it ends the region of `structured.attention`, and its operand is f32.
  }];
  let arguments = (ins F32:$result);
  let assemblyFormat = "$result attr-dict `:` type($result)";
}

#endif // STRUCTURED_OPS_TD
