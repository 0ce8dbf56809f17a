// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_ATTRS_TD
#define STRUCTURED_ATTRS_TD

include "Structured/Dialect/Structured/IR/StructuredDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Structured_Attr<string name, string attrMnemonic>
    : AttrDef<Structured_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Structured_GblrComponent : Structured_Attr<"GblrComponent", "component"> {
  let summary = "one component of a GBLR matrix";
  let description = [{
    A component adds `Σ_ρ u_ρ v_ρᵀ`, ρ < rank, to the rows
    `rowStart … rowStart+rows-1` and the columns
    `colStart … colStart+cols-1` of the matrix, both taken modulo the matrix's
    size (intervals are periodic).

    ```mlir
    #structured.component<rows 10 + 4, cols 0 + 3, rank 1>
    ```
  }];
  let parameters = (ins
    "int64_t":$rowStart, "int64_t":$rows,
    "int64_t":$colStart, "int64_t":$cols,
    "int64_t":$rank);
  let assemblyFormat = [{
    `<` `rows` $rowStart `+` $rows `,` `cols` $colStart `+` $cols `,`
    `rank` $rank `>`
  }];
}

def Structured_GblrLayout : Structured_Attr<"GblrLayout", "gblr"> {
  let summary = "where the components of a GBLR matrix lie";
  let description = [{
    The layout of an `out × in` matrix
    `W = Σ_k P_k(Σ_ρ u_kρ v_kρᵀ)` with component `k` placed by `P_k` in its
    periodic intervals of rows and columns (Gaudi-GBLR, ICLR 2024; masks folded
    into the factors).

    The factors are packed, one component after the other: `U` holds for each
    component `rank` vectors of `rows` numbers, `V` `rank` vectors of `cols`
    numbers, so both take no more memory than `Σ rank·rows` and `Σ rank·cols`.

    ```mlir
    #structured.gblr<out = 12, in = 8, components = [
      <rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 12, cols 0 + 8, rank 2>]>
    ```

    Constraints: `out ≥ 1`, `in ≥ 1`; for each component
    `0 ≤ rowStart < out`, `0 ≤ rows ≤ out`, `0 ≤ colStart < in`,
    `0 ≤ cols ≤ in`, `rank ≥ 0`.
  }];
  let parameters = (ins
    "int64_t":$outFeatures,
    "int64_t":$inFeatures,
    OptionalArrayRefParameter<"GblrComponentAttr">:$components);
  let assemblyFormat = [{
    `<` `out` `=` $outFeatures `,` `in` `=` $inFeatures `,` `components` `=`
    `[` (`]`) : ($components^ `]`)? `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Numbers in U: Σ rank·rows.
    int64_t getUSize() const;
    /// Numbers in V: Σ rank·cols.
    int64_t getVSize() const;
    /// Rank vectors of all components.
    int64_t getRankSum() const;
  }];
}

def Structured_GblrFactor : I32EnumAttr<"GblrFactor",
    "a factor of a GBLR matrix", [
      I32EnumAttrCase<"U", 0, "u">,
      I32EnumAttrCase<"V", 1, "v">]> {
  let cppNamespace = "::structured";
}

def Structured_GblrPacking : Structured_Attr<"GblrPacking", "gblr_packing"> {
  let summary = "a factor of a GBLR matrix by panels";
  let description = [{
    The values of `structured.block_sparse.matmul` for a factor of a GBLR
    matrix, as GblrPanels.h describes them: Vᵀ is cut into panels of `vWidth`
    rank vectors, U into panels of `uWidth` rows. The order of U's columns, the
    rank vectors, is that of V's panels, so both factors have both widths.

    ```mlir
    #structured.gblr_packing<v, widths = 16 : 32, layout =
      <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>]>>
    ```

    With `columns`, a panel's blocks are that wide, and the values are those of
    `structured.bsr.matmul`.

    ```mlir
    #structured.gblr_packing<v, widths = 128 : 128, layout =
      <out = 128, in = 64, components = [<rows 0 + 99, cols 0 + 3, rank 1>]>,
      columns = 64>
    ```

    `order` then says which rank vector each row of V's panels is, by its number
    among those of all components, or -1 for none. It takes long to find; without
    it, it is found again.

    Constraints: both widths and the columns are at least 1; with more than one
    column, `vWidth` is a multiple of them; an order is of more than one column
    and of whole panels, and has the rank vectors of all components that are not
    empty, each once.
  }];
  let parameters = (ins
    EnumParameter<Structured_GblrFactor>:$factor,
    "int64_t":$vWidth,
    "int64_t":$uWidth,
    "GblrLayoutAttr":$layout,
    DefaultValuedParameter<"int64_t", "1">:$columns,
    OptionalArrayRefParameter<"int32_t">:$order);
  let assemblyFormat = [{
    `<` $factor `,` `widths` `=` $vWidth `:` $uWidth `,` `layout` `=` $layout
    (`,` `columns` `=` $columns^)? (`,` `order` `=` `[` $order^ `]`)? `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Width of this factor's panels.
    int64_t getWidth() const {
      return getFactor() == ::structured::GblrFactor::V ? getVWidth()
                                                        : getUWidth();
    }
    /// The shape of so many blocks of this factor.
    ::llvm::SmallVector<int64_t> getPackedShape(int64_t blocks) const {
      ::llvm::SmallVector<int64_t> shape = {blocks, getWidth()};
      if (getColumns() > 1)
        shape.push_back(getColumns());
      return shape;
    }
    /// Numbers in the factor as it is packed in the weights file.
    int64_t getSourceSize() const {
      return getFactor() == ::structured::GblrFactor::V
                 ? getLayout().getVSize()
                 : getLayout().getUSize();
    }
  }];
}

def Structured_BlastProduct : Structured_Attr<"BlastProduct", "blast_product"> {
  let summary = "the dense matrix of BLAST factors by their names";
  let description = [{
    The matrix W [m, n] with the blocks `U_i diag(s_ij) Vt_j`, where U
    [b_out, m / b_out, rank], S [b_out, b_in, rank] and Vt
    [b_in, rank, n / b_in] are tensors of the model's weights of these names.
    `structured-compile` computes it, with sums in f32, when it stores the
    weights.

    ```mlir
    #structured.blast_product<"fc.U", "fc.S", "fc.Vt", blocks = 4 : 2, rank = 80>
    ```

    Constraints: the names are not empty; blocks and rank are at least 1.
  }];
  let parameters = (ins
    "::mlir::StringAttr":$u, "::mlir::StringAttr":$s, "::mlir::StringAttr":$vt,
    "int64_t":$bOut, "int64_t":$bIn, "int64_t":$rank);
  let assemblyFormat = [{
    `<` $u `,` $s `,` $vt `,` `blocks` `=` $bOut `:` $bIn `,` `rank` `=` $rank
    `>`
  }];
  let genVerifyDecl = 1;
}

def Structured_ParameterPart : Structured_Attr<"ParameterPart", "part"> {
  let summary = "one of the tensors that are concatenated to a parameter";
  let description = [{
    The tensor `name` of the model's weights, or a product of several of them,
    with `size` elements along the dimension of the concatenation.

    ```mlir
    #structured.part<"attention.q.weight", size = 4096>
    ```
  }];
  let parameters = (ins
    "::mlir::StringAttr":$name, "int64_t":$size,
    OptionalParameter<"BlastProductAttr">:$product);
  let assemblyFormat = [{
    `<` $name `,` `size` `=` $size (`,` `product` `=` $product^)? `>`
  }];
}

def Structured_Concatenation
    : Structured_Attr<"Concatenation", "concatenation"> {
  let summary = "the tensors that are concatenated to a parameter";
  let description = [{
    The parts of a parameter that follow each other along the dimension `dim` of
    the stored tensor. `structured-compile` puts them together when it stores the
    weights.

    ```mlir
    #structured.concatenation<dim = 0, parts = [
      <"attention.k.weight", size = 1024>, <"attention.v.weight", size = 1024>]>
    ```

    Constraints: `dim ≥ 0`; there are at least two parts, each with a name and a
    size of at least 1.
  }];
  let parameters = (ins
    "int64_t":$dim, ArrayRefParameter<"ParameterPartAttr">:$parts);
  let assemblyFormat = [{
    `<` `dim` `=` $dim `,` `parts` `=` `[` $parts `]` `>`
  }];
  let genVerifyDecl = 1;
}

def Structured_StructureKind : I32EnumAttr<"StructureKind",
    "the structure of a weight matrix", [
      I32EnumAttrCase<"Dense", 0, "dense">,
      I32EnumAttrCase<"Blast", 1, "blast">,
      I32EnumAttrCase<"Gblr", 2, "gblr">]> {
  let cppNamespace = "::structured";
}

def Structured_Plan : Structured_Attr<"Plan", "plan"> {
  let summary = "what a layer's weight is to become";
  let description = [{
    Written by `structured-plan`, carried out by `structured-factorize` and
    `structured-substitute`.

    ```mlir
    #structured.plan<dense>
    #structured.plan<blast, blocks = 4 : 4, rank = 80>
    #structured.plan<gblr, budget = 73728>
    ```

    A GBLR plan has but the largest number of parameters: where the components
    lie is found with the factors.
  }];
  let parameters = (ins
    EnumParameter<Structured_StructureKind>:$structure,
    DefaultValuedParameter<"int64_t", "0">:$bOut,
    DefaultValuedParameter<"int64_t", "0">:$bIn,
    DefaultValuedParameter<"int64_t", "0">:$rank,
    DefaultValuedParameter<"int64_t", "0">:$budget);
  let assemblyFormat = [{
    `<` $structure `` custom<PlanNumbers>($bOut, $bIn, $rank, $budget) `>`
  }];
  let genVerifyDecl = 1;
}

#endif // STRUCTURED_ATTRS_TD
