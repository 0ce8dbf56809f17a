// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_CONVERSION_PASSES_TD
#define STRUCTURED_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def StructuredToLinalg : Pass<"structured-to-linalg"> {
  let summary = "lower layers and attention on tensors to linalg contractions";
  let description = [{
    Replaces the layer ops on tensors by contractions that accumulate in f32:

    - `structured.linear` by one `linalg.matmul` with a transposed weight;
    - `structured.blast.matmul` by its three stages, with
      Y [b_in, T, r] and Z [b_out, T, r] in f32;
    - `structured.gblr.matmul` by a loop over the components of each rank, with
      a small contraction for each run of columns and of rows (two where an
      interval wraps around). Tables of constants say where a component lies.

    An `init` of f16 or bf16 is extended to f32 first, and the sum is rounded
    once.

    `structured.attention` becomes two contractions with a softmax between them:
    the scores in f32, the op's region as a `linalg.generic` (a tensor that it
    reads by the loops' indices as an operand), four ops for maxima,
    exponentials, sums and quotients, which are rounded to the values' element
    type, and a product that gives `init`'s. `structured-raise-attention` takes
    this back.

    Before:

    ```mlir
    %y = structured.linear ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    After:

    ```mlir
    %y = linalg.matmul
        indexing_maps = [affine_map<(t, m, n) -> (t, n)>,
                         affine_map<(t, m, n) -> (m, n)>,
                         affine_map<(t, m, n) -> (t, m)>]
        ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    The example is run in test/Conversion/StructuredToLinalg/linear.mlir,
    attention in attention.mlir there. Ops on memrefs are left alone, with a
    remark: run the pass before bufferization.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Layers and attentions lowered">
  ];
}

def GblrToBlockSparse : Pass<"structured-gblr-to-block-sparse"> {
  let summary = "lower GBLR layers to two block-sparse products";
  let description = [{
    Replaces each `structured.gblr.matmul` whose factors are parameters by two
    `structured.block_sparse.matmul`, with all rank vectors of all components
    side by side:

    ```
    Y[t, ρ]  = Σ_c X[t, c] v_ρ[c]
    O[t, a] += Σ_ρ Y[t, ρ] u_ρ[a]
    ```

    - Vᵀ is cut into panels of one or a few vectors of rank vectors. Rank
      vectors whose column intervals are alike are put into one panel; its
      coordinates are the union of their columns.
    - U is cut into panels of rows; a panel's coordinates are the rank vectors
      whose row intervals meet it.
    - A panel is dense: where an interval does not cover it there are zeros. The
      widths are chosen so that the estimated time, zeros and loads included, is
      smallest.
    - Intervals that wrap around cost nothing, since coordinates are lists.

    The factors get a `packing` (GblrPanels.h): structured-compile stores them
    by panels, so nothing is moved at run time. Sums and Y are in f32.

    Before:

    ```mlir
    %u = structured.parameter "u" : tensor<16xf32>
    %v = structured.parameter "v" : tensor<13xf32>
    %y = structured.gblr.matmul layout = <…>
        ins(%x, %u, %v : tensor<4x8xf32>, tensor<16xf32>, tensor<13xf32>)
        outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
    ```

    After, with `vector-bits=128`:

    ```mlir
    %vp = structured.parameter "v" packing = <v, widths = 4 : 4, layout = <…>>
        : tensor<8x4xf32>
    %a = structured.block_sparse.matmul
        ins(%x, %vp, %positions, %coordinates : …)
        outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
    %up = structured.parameter "u" packing = <u, widths = 4 : 4, layout = <…>>
        : tensor<6x4xf32>
    %y = structured.block_sparse.matmul
        ins(%a, %up, %positions_0, %coordinates_1 : …)
        outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
    ```

    The example is run in test/Conversion/GblrToBlockSparse/basic.mlir. A layer
    whose factors are not parameters is left, with a remark, for
    `structured-to-linalg`. Another remark names a layer whose panels hold more
    numbers than the dense matrix.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"256",
           "Size of a vector register in bits">,
    Option<"vectorRegisters", "vector-registers", "int64_t", /*default=*/"16",
           "Number of vector registers">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Layers lowered">,
    Statistic<"numMultiplyAdds", "num-multiply-adds",
              "Multiply-adds of the layers for a token">,
    Statistic<"numPaddedMultiplyAdds", "num-padded-multiply-adds",
              "The same with those of the panels' zeros">
  ];
}

def GblrToBsr : Pass<"structured-gblr-to-bsr"> {
  let summary = "lower GBLR layers to two products for tensor cores";
  let description = [{
    Replaces each `structured.gblr.matmul` of f16 or bf16 whose factors are
    parameters by two `structured.bsr.matmul`, with all rank vectors of all
    components side by side:

    ```
    Y[t, ρ]  = Σ_c X[t, c] v_ρ[c]
    O[t, a] += Σ_ρ Y[t, ρ] u_ρ[a]
    ```

    Both Vᵀ and U become matrices of dense blocks of 64 columns: Vᵀ in panels of
    `v-width` rank vectors, U in panels of `u-width` rows. Where an interval
    covers but a part of a block there are zeros, and they are multiplied. So
    the order of the rank vectors matters: those whose intervals meet the same
    blocks are put together (GblrPanels.h).

    The factors get a `packing` with columns: structured-compile stores them by
    blocks, so nothing is moved at run time. Y is rounded to the layer's element
    type.

    Before:

    ```mlir
    %u = structured.parameter "u" : tensor<384xbf16>
    %v = structured.parameter "v" : tensor<288xbf16>
    %y = structured.gblr.matmul layout = <…>
        ins(%x, %u, %v : tensor<2048x256xbf16>, tensor<384xbf16>,
            tensor<288xbf16>)
        outs(%y0 : tensor<2048x128xbf16>) -> tensor<2048x128xbf16>
    ```

    After:

    ```mlir
    %vp = structured.parameter "v"
        packing = <v, widths = 256 : 256, layout = <…>, columns = 64, order = […]>
        : tensor<2x256x64xbf16>
    %a = structured.bsr.matmul
        ins(%x, %vp, %positions, %coordinates, %order : …)
        outs(%zeros : tensor<2048x256xbf16>) -> tensor<2048x256xbf16>
    %up = structured.parameter "u"
        packing = <u, widths = 256 : 256, layout = <…>, columns = 64, order = […]>
        : tensor<1x256x64xbf16>
    %y = structured.bsr.matmul
        ins(%a, %up, %positions_0, %coordinates_1, %order_2 : …)
        outs(%y0 : tensor<2048x128xbf16>) -> tensor<2048x128xbf16>
    ```

    The example is run in test/Conversion/GblrToBsr/basic.mlir. Other layers,
    and those with few tokens, are left for `structured-gblr-to-block-sparse`,
    with a remark that says why. Another remark names a layer whose blocks hold
    more numbers than the dense matrix.
  }];
  let options = [
    Option<"vWidth", "v-width", "int64_t", /*default=*/"256",
           "Rank vectors in a panel of Vᵀ">,
    Option<"uWidth", "u-width", "int64_t", /*default=*/"256",
           "Rows in a panel of U">,
    Option<"minTokens", "min-tokens", "int64_t", /*default=*/"2048",
           "Leave layers with fewer tokens, and those whose number is not known">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Layers lowered">,
    Statistic<"numMultiplyAdds", "num-multiply-adds",
              "Multiply-adds of the layers for a token">,
    Statistic<"numPaddedMultiplyAdds", "num-padded-multiply-adds",
              "The same with those of the blocks' zeros">
  ];
}

def BlockSparseToVector : Pass<"structured-block-sparse-to-vector"> {
  let summary = "lower block-sparse products on memrefs to vector code";
  let description = [{
    Replaces each `structured.block_sparse.matmul` on memrefs by loops around a
    kernel that keeps a tile of the result, some rows of one panel, in vector
    registers:

    ```
    for each block of rows, panel, in parallel
      for each tile of rows: kernel
        for each coordinate of the panel
          load the panel's vectors
          for each row: multiply-add with the input's element at the coordinate
    ```

    The coordinate is loaded once for all rows of the tile. A tile of few rows
    takes several coordinates at once, so that the multiply-adds do not wait for
    each other. The result's columns beyond the last whole panel are masked.

    Before:

    ```mlir
    structured.block_sparse.matmul
        ins(%x, %values, %positions, %coordinates : memref<8x32xf32>,
            memref<20x8xf32>, memref<3xi32>, memref<20xi32>)
        outs(%y : memref<8x16xf32>)
    ```

    After, with `vector-bits=256`:

    ```mlir
    scf.for %panel = %0 to %2 step %1 {
      %begin = memref.load %positions[%panel] : memref<3xi32>
      …
      %sums:8 = scf.for %k = %begin to %end step %1 iter_args(…) {
        %c = memref.load %coordinates[%k] : memref<20xi32>
        %v = vector.load %values[%k, %0] : memref<20x8xf32>, vector<8xf32>
        %x0 = memref.load %x[%0, %c] : memref<8x32xf32>
        …
      }
    }
    ```

    The example is run in test/Conversion/BlockSparseToVector/basic.mlir. It is
    an error if a panel is not a whole number of vectors.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"256",
           "Size of a vector register in bits">,
    Option<"vectorRegisters", "vector-registers", "int64_t", /*default=*/"16",
           "Number of vector registers">,
    Option<"parallel", "parallel", "bool", /*default=*/"true",
           "Make the outer loops of large products scf.parallel">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
  let statistics = [
    Statistic<"numVectorised", "num-vectorised", "Products lowered">
  ];
}

def ContractionsToVector : Pass<"structured-contractions-to-vector"> {
  let summary = "lower contractions on memrefs to register-blocked vector code";
  let description = [{
    Replaces each contraction on memrefs (`linalg.matmul`, `linalg.contract`, a
    `linalg.generic` that multiplies and adds, …) by loops around a kernel that
    keeps a tile of the result in vector registers:

    ```
    for each batch, block of rows, panel of columns, in parallel
      for each block of the reduction
        pack the panel of the right-hand side
        for each tile of rows: kernel
    ```

    - The innermost dimension of the result is vectorised. It belongs to one
      operand only (then the other one's elements are broadcast), or to both.
    - The tile's rows and vectors are chosen from the sizes and the number of
      registers, so that the units are busy and remainders small. A remainder of
      columns is masked, one of rows gets a kernel of its own.
    - The panel is packed where it would be reused but not stay in the L1 cache,
      where its columns are not contiguous, or where its type is narrow.
    - Sums are formed in f32 (f64 for f64) and rounded once, also where the
      result has a narrower type.

    Before:

    ```mlir
    linalg.matmul ins(%a, %b : memref<2x8xf32>, memref<8x16xf32>)
                  outs(%c : memref<2x16xf32>)
    ```

    After, with `vector-bits=512`:

    ```mlir
    %c0 = vector.load %c[%0, %j] : memref<2x16xf32>, vector<16xf32>
    %c1 = vector.load %c[%1, %j] : memref<2x16xf32>, vector<16xf32>
    %sums:2 = scf.for %k = %0 to %8 step %1 iter_args(%s0 = %c0, %s1 = %c1) {
      %bk = vector.load %b[%k, %j] : memref<8x16xf32>, vector<16xf32>
      %a0 = memref.load %a[%0, %k] : memref<2x8xf32>
      …
      %n0 = vector.fma %a0v, %bk, %s0 : vector<16xf32>
      …
    }
    ```

    The example is run in test/Conversion/ContractionsToVector/matmul.mlir. A
    contraction that is refused (a remark says why) is left for
    `structured-linalg-to-vector`.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"256",
           "Size of a vector register in bits">,
    Option<"vectorRegisters", "vector-registers", "int64_t", /*default=*/"16",
           "Number of vector registers">,
    Option<"parallel", "parallel", "bool", /*default=*/"true",
           "Make the outer loops of large contractions scf.parallel">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
  let statistics = [
    Statistic<"numVectorised", "num-vectorised", "Contractions lowered">
  ];
}

def LinalgToVector : Pass<"structured-linalg-to-vector"> {
  let summary = "lower linalg ops on memrefs to loops of vectors";
  let description = [{
    Replaces every linalg op on memrefs, and every `memref.copy`, by a nest of
    loops. The innermost loop goes over vectors if some loop of the op allows
    it: each operand is the same for all its points or contiguous along it, and
    the body is made of element-wise ops. What is the same for all lanes stays
    scalar. A remainder is masked. A reduction over that loop keeps a vector of
    partial results. Up to two outer loops of a large op become one
    `scf.parallel`.

    Before:

    ```mlir
    linalg.generic {indexing_maps = [#ij, #i, #ij],
                    iterator_types = ["parallel", "parallel"]}
        ins(%x, %s : memref<4x32xf32>, memref<4xf32>)
        outs(%y : memref<4x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %m = arith.mulf %a, %b : f32
      linalg.yield %m : f32
    }
    ```

    After, with `vector-bits=512`:

    ```mlir
    scf.for %i = %0 to %4 step %1 {
      scf.for %j = %0 to %32 step %16 {
        %a = vector.load %x[%i, %j] : memref<4x32xf32>, vector<16xf32>
        %b = memref.load %s[%i] : memref<4xf32>
        %bv = vector.broadcast %b : f32 to vector<16xf32>
        %m = arith.mulf %a, %bv : vector<16xf32>
        vector.store %m, %y[%i, %j] : memref<4x32xf32>, vector<16xf32>
      }
    }
    ```

    The example is run in test/Conversion/LinalgToVector/elementwise.mlir. An op
    on tensors is left alone, with a remark.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"256",
           "Size of a vector register in bits">,
    Option<"parallel", "parallel", "bool", /*default=*/"true",
           "Make the outer loops of large ops scf.parallel">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
  let statistics = [
    Statistic<"numVectorised", "num-vectorised", "Ops with a loop of vectors">,
    Statistic<"numScalar", "num-scalar", "Ops with scalar loops only">
  ];
}

def TileLayers : Pass<"structured-tile-layers"> {
  let summary = "tile structured layers over tokens into parallel loops";
  let description = [{
    Tiles each BLAST and GBLR layer over its tokens with an `scf.forall`, so
    that what lies between the stages of a layer (Y and Z) stays in the cache of
    the core that computes the tile. Layers of no more tokens than a tile, and
    dense ones, which have nothing between, are left alone.

    Before:

    ```mlir
    %o = structured.blast.matmul ins(%x, … : tensor<128x8xf32>, …)
        outs(%o0 : tensor<128x12xf32>) -> tensor<128x12xf32>
    ```

    After, with `tokens=32`:

    ```mlir
    %o = scf.forall (%t) = (0) to (128) step (32)
        shared_outs(%out = %o0) -> (tensor<128x12xf32>) {
      %xt = tensor.extract_slice %x[%t, 0] [32, 8] [1, 1]
      %ot = tensor.extract_slice %out[%t, 0] [32, 12] [1, 1]
      %yt = structured.blast.matmul ins(%xt, … : tensor<32x8xf32>, …)
          outs(%ot : tensor<32x12xf32>) -> tensor<32x12xf32>
      scf.forall.in_parallel {
        tensor.parallel_insert_slice %yt into %out[%t, 0] [32, 12] [1, 1]
      }
    }
    ```

    The example is run in test/Conversion/TileLayers/blast.mlir.
  }];
  let options = [
    Option<"tokens", "tokens", "int64_t", /*default=*/"32",
           "Tokens in a tile">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [Statistic<"numTiled", "num-tiled", "Layers tiled">];
}

def FoldIntoContractions : Pass<"structured-fold-into-contractions"> {
  let summary = "fold copies and the layout of parameters into contractions";
  let description = [{
    Works on tensors:

    - every floating-point contraction becomes a `linalg.contract`;
    - `linalg.transpose`, `linalg.broadcast` and `linalg.copy` become
      `linalg.generic`;
    - an operand of a contraction that is a transposed or broadcast copy is replaced by
      the original, and the maps say how it is read;
    - a loop of one iteration of a contraction, and the dimensions along it, are
      left out, if there is another one in the same operands;
    - a transposed `structured.parameter` becomes a parameter with a
      `permutation`, which costs nothing at run time;
    - a parameter that a contraction multiplies with is stored in the order in
      which vector code reads it: a dense weight [m, n] as [n, m], BLAST's U
      [b_out, p, r] as [b_out, r, p] and its Vt [b_in, r, q] as [b_in, q, r].

    Before:

    ```mlir
    %w = structured.parameter "w" : tensor<12x8xf32>
    %y = linalg.matmul indexing_maps = [#tn, #mn, #tm]
        ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    After:

    ```mlir
    %w = structured.parameter "w" permutation = [1, 0] : tensor<8x12xf32>
    %y = linalg.contract indexing_maps = [#tn, #nm, #tm]
        ins(%x, %w : tensor<?x8xf32>, tensor<8x12xf32>)
        outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
    ```

    The example is run in test/Conversion/FoldIntoContractions/parameter.mlir.
  }];
  let dependentDialects = [
    "::mlir::linalg::LinalgDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numPermuted", "num-permuted", "Parameters with a permutation">
  ];
}

def FuseElementwise : Pass<"structured-fuse-elementwise"> {
  let summary = "fuse elementwise linalg ops, but not into contractions";
  let description = [{
    Fuses an elementwise `linalg.generic` on tensors into its only user, an
    elementwise op or a reduction. Unlike upstream's
    `linalg-fuse-elementwise-ops` it leaves contractions whole and moves no
    reshapes through them, so that they stay `linalg.contract` for
    `structured-contractions-to-vector`.

    Before:

    ```mlir
    %a = linalg.generic … ins(%x : tensor<4x8xf32>) … { math.exp }
    %b = linalg.generic … ins(%a, %y : tensor<4x8xf32>, …) … { arith.addf }
    ```

    After:

    ```mlir
    %b = linalg.generic … ins(%x, %y : tensor<4x8xf32>, …) … {
      math.exp, arith.addf }
    ```

    The example is run in test/Conversion/FuseElementwise/basic.mlir.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect"
  ];
}

def ParametersToArguments
    : Pass<"structured-parameters-to-arguments", "::mlir::ModuleOp"> {
  let summary = "turn parameters into trailing function arguments";
  let description = [{
    Replaces the `structured.parameter` ops of each function by arguments after
    its own, one for each name, permutation, packing, product and concatenation,
    in the order of first use: the form of a compiled module's entries. The
    argument has the attribute `structured.parameter` and, if the op has them,
    `structured.permutation`, `structured.packing`, `structured.product` or
    `structured.concatenation`.

    Before:

    ```mlir
    func.func @main(%x: tensor<4x8xf32>) -> tensor<8x12xf32> {
      %w = structured.parameter "w" permutation = [1, 0] : tensor<8x12xf32>
      return %w : tensor<8x12xf32>
    }
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<4x8xf32>,
                    %w: tensor<8x12xf32>
                        {structured.parameter = "w",
                         structured.permutation = array<i64: 1, 0>})
        -> tensor<8x12xf32> {
      return %w : tensor<8x12xf32>
    }
    ```

    The example is run in test/Conversion/ParametersToArguments/basic.mlir. It is
    an error if a function that uses parameters is called, or if a name is used
    with two types.
  }];
  let dependentDialects = ["::structured::StructuredDialect"];
  let statistics = [
    Statistic<"numArguments", "num-arguments", "Arguments added">
  ];
}

def PrepareEntries
    : Pass<"structured-prepare-entries", "::mlir::ModuleOp"> {
  let summary = "mark public functions as entries of a compiled module";
  let description = [{
    Asks for a C interface (`llvm.emit_c_interface`) of each public function
    with a body, and forbids bufferization to write into its arguments
    (`bufferization.writable = false`), but for the inputs that the function
    updates (`structured.updated_by`). The result that updates one is
    materialized in it. Another returned tensor that may share memory with one
    returned before it, or with an input that is updated, is copied, so that the
    caller can free each.

    Before:

    ```mlir
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32>
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<4xf32> {bufferization.writable = false})
        -> tensor<4xf32> attributes {llvm.emit_c_interface}
    ```

    The example is run in test/Conversion/PrepareEntries/basic.mlir.
  }];
  let dependentDialects = [
    "::mlir::bufferization::BufferizationDialect",
    "::mlir::LLVM::LLVMDialect"
  ];
  let statistics = [Statistic<"numEntries", "num-entries", "Functions marked">];
}

def DropUpdatedResults
    : Pass<"structured-drop-updated-results", "::mlir::ModuleOp"> {
  let summary = "do not return what updates an input";
  let description = [{
    Removes from functions on memrefs the results that update inputs
    (`structured.updated_by`), which are in those inputs' memory: the caller has
    them there. Else the deallocation of buffers would return copies, since
    whoever calls a function frees its results.

    Before:

    ```mlir
    func.func @decode(%x: memref<4xf32>, %cache: memref<4xf32> {structured.updated_by = 1 : i64})
        -> (memref<4xf32>, memref<4xf32>) {
      …
      return %y, %cache : memref<4xf32>, memref<4xf32>
    }
    ```

    After:

    ```mlir
    func.func @decode(%x: memref<4xf32>, %cache: memref<4xf32>) -> memref<4xf32> {
      …
      return %y : memref<4xf32>
    }
    ```

    The example is run in test/Conversion/DropUpdatedResults/basic.mlir. It is
    an error if such a result is not the argument itself, or if the function is
    called in the module.
  }];
  let statistics = [Statistic<"numResults", "num-results", "Results removed">];
}

def ApproximateMath : Pass<"structured-approximate-math"> {
  let summary = "replace erf, exp, log and tanh by polynomials";
  let description = [{
    Replaces `math.erf`, `math.exp`, `math.log` and `math.tanh` of f32 (f16 and
    bf16 are extended) by upstream's polynomial approximations, on scalars and
    vectors: unlike a call of libm they stay in vector registers.
    test/Integration/CPU/functions.py measures their errors.

    Before:

    ```mlir
    %y = math.exp %x : vector<8xf32>
    ```

    After:

    ```mlir
    %k = math.floor …
    %p = math.fma …
    ```

    The example is run in test/Conversion/ApproximateMath/basic.mlir.
  }];
  let options = [
    Option<"exp", "exp", "bool", /*default=*/"true",
           "Replace exp, too: GPUs have an instruction for it "
           "(`structured-math-to-nvvm`)">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def MathToNvvm : Pass<"structured-math-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "lower functions of math in kernels to instructions";
  let description = [{
    Replaces functions of `math` that an NVIDIA GPU has instructions for (square
    roots, roundings, fma) by LLVM's intrinsics. Upstream's
    `convert-gpu-to-nvvm` would call CUDA's libdevice, which we do without. It is
    an error if another function is left; `structured-approximate-math` replaces
    erf, log and tanh before.

    exp x, of f32 and narrower types, is 2^t with t = x log2(e), by the
    instruction ex2.approx, times 1 + δ, where δ is what the rounding of t and of
    log2(e) leaves out. The relative error is at most 2^-22 + 2^-24; what is
    smaller than the smallest normal number is 0.

    Quotients of f32 are by the instruction div.full, whose error is at most two
    units in the last place: one that is rounded correctly takes a function for
    operands that are zero or very small, as most of a masked softmax's are.

    Before:

    ```mlir
    %y = math.rsqrt %x : f32
    ```

    After:

    ```mlir
    %r = llvm.call_intrinsic "llvm.sqrt"(%x) : (f32) -> f32
    %y = llvm.call_intrinsic "llvm.nvvm.div.full"(%one, %r) : (f32, f32) -> f32
    ```

    The example is run in test/Conversion/MathToNvvm/basic.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect"];
  let statistics = [Statistic<"numLowered", "num-lowered", "Ops lowered">];
}

def PlanBuffers : Pass<"structured-plan-buffers", "::mlir::func::FuncOp"> {
  let summary = "give the buffers of a function places in one allocation";
  let description = [{
    Replaces the buffers of static size that the function's first block both
    allocates and frees by views of one allocation, in which buffers that do not
    live at the same time overlap (offsets are assigned greedily, the largest
    buffer first). So a run takes little memory, and takes and returns it once.

    Before:

    ```mlir
    %a = memref.alloc() : memref<64xf32>
    use(%a)
    memref.dealloc %a : memref<64xf32>
    %b = memref.alloc() : memref<32xf32>
    use(%b)
    memref.dealloc %b : memref<32xf32>
    ```

    After:

    ```mlir
    %arena = memref.alloc() {alignment = 64 : i64} : memref<256xi8>
    %a = memref.view %arena[%0][] : memref<256xi8> to memref<64xf32>
    use(%a)
    %b = memref.view %arena[%0][] : memref<256xi8> to memref<32xf32>
    use(%b)
    memref.dealloc %arena : memref<256xi8>
    ```

    The example is run in test/Conversion/PlanBuffers/basic.mlir. Run
    `optimize-allocation-liveness` first, so that buffers are freed after their
    last use.
  }];
  let options = [
    Option<"alignment", "alignment", "int64_t", /*default=*/"64",
           "Alignment of each buffer in bytes">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"
  ];
  let statistics = [
    Statistic<"numBuffers", "num-buffers", "Buffers placed">,
    Statistic<"numBytes", "num-bytes", "Bytes of the buffers">,
    Statistic<"numArenaBytes", "num-arena-bytes", "Bytes allocated for them">
  ];
}

def ExpandShapeToReinterpretCast
    : Pass<"structured-expand-shape-to-reinterpret-cast"> {
  let summary = "lower memref.expand_shape with several dynamic sizes";
  let description = [{
    Replaces each `memref.expand_shape` that expands a dimension to several of
    dynamic size, as results of layers over a dynamic batch of sequences of
    dynamic length are, by a `memref.reinterpret_cast` of the same buffer.
    Upstream's `expand-strided-metadata` (22.1), which lowers the others,
    crashes on these: run this pass before it.

    Before:

    ```mlir
    %y = memref.expand_shape %x [[0, 1], [2]] output_shape [%b, %t, 12]
        : memref<?x12xf32> into memref<?x?x12xf32>
    ```

    After:

    ```mlir
    %s = affine.apply affine_map<()[s0] -> (s0 * 12)>()[%t]
    %y = memref.reinterpret_cast %x to offset: [0], sizes: [%b, %t, 12],
        strides: [%s, 12, 1] : memref<?x12xf32> to memref<?x?x12xf32>
    ```

    The example is run in
    test/Conversion/ExpandShapeToReinterpretCast/dynamic.mlir.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Ops lowered">
  ];
}

def ConstantsToArguments
    : Pass<"structured-constants-to-arguments", "::mlir::ModuleOp"> {
  let summary = "turn constant tensors into trailing function arguments";
  let description = [{
    Code for a device cannot read what lies in the host's code. Replaces each
    constant tensor by an argument after the others, whose attribute
    `structured.constant` holds its elements: structured-compile stores them
    with the parameters. A constant with equal elements becomes a `linalg.fill`;
    one that only the host reads (by `tensor.extract` outside of linalg ops)
    stays.

    Before:

    ```mlir
    func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
      %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
      …
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<2xf32>,
                    %c: tensor<2xf32> {structured.constant =
                        dense<[1.0, 2.0]> : tensor<2xf32>}) -> tensor<2xf32> {
    ```

    The example is run in test/Conversion/ConstantsToArguments/basic.mlir. It is
    an error if a function that uses such a constant is called.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numArguments", "num-arguments", "Arguments added">,
    Statistic<"numFills", "num-fills", "Constants turned into fills">
  ];
}

def CloneFills : Pass<"structured-clone-fills", "::mlir::ModuleOp"> {
  let summary = "give each op that adds to a fill a fill of its own";
  let description = [{
    Clones a `linalg.fill` that several ops use, for each that adds to it. CSE
    makes the zeros that layers of the same size add to one tensor, which
    bufferization then copies for each of them. A fill of its own costs no copy,
    and lowerings that need not add leave it out
    (`structured-matmuls-to-cublas`, `structured-blast-to-hopper`).

    Before:

    ```mlir
    %e = tensor.empty() : tensor<4x12xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x12xf32>) -> tensor<4x12xf32>
    %a = structured.linear ins(%x, %v : …) outs(%z : tensor<4x12xf32>) -> tensor<4x12xf32>
    %b = structured.linear ins(%x, %w : …) outs(%z : tensor<4x12xf32>) -> tensor<4x12xf32>
    ```

    After:

    ```mlir
    %e0 = tensor.empty() : tensor<4x12xf32>
    %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %a = structured.linear ins(%x, %v : …) outs(%z0 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %e = tensor.empty() : tensor<4x12xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x12xf32>) -> tensor<4x12xf32>
    %b = structured.linear ins(%x, %w : …) outs(%z : tensor<4x12xf32>) -> tensor<4x12xf32>
    ```

    The example is run in test/Conversion/CloneFills/basic.mlir.
  }];
  let dependentDialects = [
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"
  ];
  let statistics = [Statistic<"numFills", "num-fills", "Fills cloned">];
}

def WriteInPlace : Pass<"structured-write-in-place"> {
  let summary = "let elementwise ops write into the product that they read";
  let description = [{
    An elementwise `linalg.generic` on tensors of at most two inputs writes into
    one of these, instead of a new tensor, if that is the result of a layer or a
    contraction that nothing else reads. Then there is one buffer for both, and
    `structured-matmuls-to-cublas` can make a bias or an activation part of the
    product.

    A `tensor.insert_slice` of an elementwise op's result, or of a reshape of
    it, gets the result as it is and a reshape of the destination, and the place
    is computed before the op: bufferization lets the op write there then.

    Before:

    ```mlir
    %p = structured.linear ins(%x, %w : …) outs(%zeros : …) -> tensor<4x12xf32>
    %e = tensor.empty() : tensor<4x12xf32>
    %y = linalg.generic … ins(%p, %bias : …) outs(%e : tensor<4x12xf32>) …
    ```

    After:

    ```mlir
    %p = structured.linear ins(%x, %w : …) outs(%zeros : …) -> tensor<4x12xf32>
    %y = linalg.generic … ins(%p, %bias : …) outs(%p : tensor<4x12xf32>) …
    ```

    The example is run in test/Conversion/WriteInPlace/basic.mlir.
  }];
  let dependentDialects = [
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"
  ];
  let statistics = [
    Statistic<"numOps", "num-ops", "Ops that write into what they read">,
    Statistic<"numInserts", "num-inserts", "Results inserted as they are">
  ];
}

def BlastToHopper : Pass<"structured-blast-to-hopper", "::mlir::ModuleOp"> {
  let summary = "lower BLAST layers on memrefs to tensor-core kernels for Hopper";
  let description = [{
    Replaces the first two stages of `structured.blast.matmul` by a kernel
    generated for the layer's sizes (Structured/Kernels/Hopper.h), with memory
    in which its thread blocks put parts of Y aside, and the third by a
    contraction of Z and U. If there are fewer tiles than `multiprocessors` and
    the number of tokens is static, several thread blocks share a tile and wait
    for each other; the kernel then does the third stage, too, if each of its
    thread blocks has one tile of the result. A layer of more blocks than
    `max-fused-blocks` and a static number of tokens becomes a kernel whose
    thread blocks exchange Y through the L2 cache
    (Structured/Kernels/BlastExchange.h) and a contraction of the transposed Z
    and U, where that kernel can be; else a
    contraction, a kernel for the second stage, and a contraction. `structured-matmuls-to-cublas` takes
    the contractions. Y and Z are rounded to the factors' element type, which
    must be f16 or bf16; sums are in f32.

    The launch stands in a private function of the layer's buffers, one for each
    kind of layer, in which the runtime is asked for the descriptors of the
    operands.

    A layer of a static number of tokens, at most 16, whose init is zeros becomes
    one kernel (Structured/Kernels/BlastDecode.h) whose blocks wait for each
    other: the runtime is asked for the memory in which they exchange Z. If the
    factors are parameters the kernel is launched programmatically: it reads
    them while the kernel before it is still running. Up to `max-siblings` such
    layers of the same sizes and input become one, where the first is, if their
    results' memory is free before: each gets a share of the multiprocessors.

    Before:

    ```mlir
    structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x256xbf16>,
        memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
        outs(%y : memref<512x256xbf16>)
    ```

    After:

    ```mlir
    %z = memref.alloc() : memref<2x512x64xbf16>
    %kept = memref.alloc() : memref<65536xi8>
    call @blast_stages12(%x, %vt, %s, %z, %kept) : …
    memref.dealloc %kept : memref<65536xi8>
    linalg.contract … ins(%z, %u : …) outs(%y3 : …)
    memref.dealloc %z : memref<2x512x64xbf16>
    ```

    Blocks of threads that share tiles, and zeros to be added to, before:

    ```mlir
    linalg.fill ins(%zero : bf16) outs(%y : memref<512x384xbf16>)
    structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x384xbf16>,
        memref<4x96x80xbf16>, memref<4x4x80xbf16>, memref<4x80x96xbf16>)
        outs(%y : memref<512x384xbf16>)
    ```

    After:

    ```mlir
    %z = memref.alloc() : memref<4x512x80xbf16>
    %kept = memref.alloc() : memref<524288xi8>
    call @blast_stages123(%x, %vt, %s, %z, %kept, %u, %y) : …
    ```

    Many blocks, before:

    ```mlir
    structured.blast.matmul ins(%x, %u, %s, %vt : memref<1030x768xbf16>,
        memref<16x24x88xbf16>, memref<16x12x88xbf16>, memref<12x88x64xbf16>)
        outs(%y : memref<1030x384xbf16>)
    ```

    After:

    ```mlir
    %z = memref.alloc() : memref<16x88x1088xbf16>
    %kept = memref.alloc() : memref<13107200xi8>
    call @blast_exchange(%x, %vt, %s, %z, %kept) : …
    memref.dealloc %kept : memref<13107200xi8>
    %tokens = memref.subview %z[0, 0, 0] [16, 88, 1030] [1, 1, 1] : …
    linalg.contract … ins(%tokens, %u : …) outs(%y3 : …)
    ```

    Few tokens, before:

    ```mlir
    linalg.fill ins(%zero : bf16) outs(%y : memref<4x256xbf16>)
    structured.blast.matmul ins(%x, %u, %s, %vt : memref<4x256xbf16>,
        memref<2x128x64xbf16>, memref<2x2x64xbf16>, memref<2x64x128xbf16>)
        outs(%y : memref<4x256xbf16>)
    ```

    After:

    ```mlir
    call @blast_decode(%x, %vt, %s, %u, %y) : …
    ```

    The examples are run in test/Conversion/BlastToHopper/basic.mlir, whole.mlir,
    exchange.mlir and decode.mlir. A layer that no kernel can take is left for
    `structured-matmuls-to-cublas`, with a remark that says why.
  }];
  let options = [
    Option<"minTokens", "min-tokens", "int64_t", /*default=*/"256",
           "Leave layers with fewer tokens, but for at most 16">,
    Option<"maxFusedBlocks", "max-fused-blocks", "int64_t", /*default=*/"8",
           "Block rows and columns up to which the first two stages are one "
           "kernel; with more, what it keeps of Y does not fit the L2 cache "
           "(docs/Hopper.md)">,
    Option<"minExchangeTokens", "min-exchange-tokens", "int64_t",
           /*default=*/"512",
           "Static number of tokens from which the thread blocks of a layer of "
           "more blocks than that exchange Y">,
    Option<"allStages", "all-stages", "bool", /*default=*/"true",
           "The third stage in the same kernel, where thread blocks share tiles, "
           "the init is zeros, and cuBLASLt would have no bias or activation to "
           "apply">,
    Option<"maxDecodeTokens", "max-decode-tokens", "int64_t", /*default=*/"16",
           "Tokens up to which one kernel computes the layer, at most 16">,
    Option<"maxSiblings", "max-siblings", "int64_t", /*default=*/"3",
           "Most layers of few tokens that one kernel computes">,
    Option<"costs", "costs", "std::string", /*default=*/"\"\"",
           "Table of measured times by which layers of more tokens get the "
           "fastest kernels, or none, instead of by `min-tokens`, "
           "`max-fused-blocks` and `min-exchange-tokens` (docs/CostModel.md)">,
    Option<"expectedTokens", "tokens", "int64_t", /*default=*/"0",
           "What a dynamic number of tokens is taken to be when the fastest "
           "kernels are chosen; 0: unknown">,
    Option<"multiprocessors", "multiprocessors", "int64_t", /*default=*/"132",
           "Multiprocessors of the GPU, on all of which a layer for few tokens "
           "runs; one with fewer cannot run it">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::gpu::GPUDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"
  ];
  let statistics = [Statistic<"numLayers", "num-layers", "Layers lowered">];
}

def BsrToHopper : Pass<"structured-bsr-to-hopper", "::mlir::ModuleOp"> {
  let summary = "lower products with BSR matrices to tensor-core kernels for Hopper";
  let description = [{
    Replaces `structured.bsr.matmul` on memrefs by a kernel generated for the
    product's sizes (`buildBlockSparseGemm`, Structured/Kernels/Hopper.h).
    Blocks must have 64 columns, and 128 or 256 rows. A `linalg.fill`
    with zeros before a product is left out. The launch stands in a private
    function of the product's buffers, one for each kind of product, in which the
    runtime is asked for the memory of the kernel's queue. An input or result
    that is not contiguous is copied.

    Two products become one kernel if the second multiplies what the first has
    made, added to zeros, in a buffer of a static size that nothing else uses,
    and if their panels are as wide. The first one's input must not be the second
    one's result, nor be written in between.

    Before:

    ```mlir
    linalg.fill ins(%zero : bf16) outs(%y : memref<512x128xbf16>)
    structured.bsr.matmul
        ins(%x, %values, %positions, %coordinates, %order : memref<512x256xbf16>,
            memref<2x128x64xbf16>, memref<2xi32>, memref<2xi32>, memref<1xi32>)
        outs(%y : memref<512x128xbf16>)
    ```

    After:

    ```mlir
    call @bsr_matmul(%x, %values, %positions, %coordinates, %order, %y) : …
    ```

    A pair, after:

    ```mlir
    call @bsr_matmul_pair(%x, %v, %positions, %coordinates, %order, %a,
        %u, %positions_0, %coordinates_1, %order_2, %y) : …
    ```

    The examples are run in test/Conversion/BsrToHopper/basic.mlir. A product that
    no kernel can take is left, with a remark that says why.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect"
  ];
  let statistics = [
    Statistic<"numProducts", "num-products", "Products lowered">,
    Statistic<"numPairs", "num-pairs", "Pairs of products in one kernel">
  ];
}

def AttentionToLinalg : Pass<"structured-attention-to-linalg"> {
  let summary = "lower attention on tensors to linalg ops";
  let description = [{
    What `structured-to-linalg` does to `structured.attention`, and to nothing
    else. With `keep-hopper` what `structured-attention-to-hopper` takes is
    left, and a remark names why something is not.

    Before:

    ```mlir
    %o = structured.attention indexing_maps = […]
        ins(%q, %k, %v : tensor<4x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>)
        outs(%o0 : tensor<4x8xf32>) {
    ^bb0(%score: f32, %t: index, %l: index):
      structured.yield %score : f32
    } -> tensor<4x8xf32>
    ```

    After:

    ```mlir
    %scores = linalg.contract … ins(%q, %k : …) outs(%zeros : …)
    %largest = linalg.generic … ins(%scores : …) outs(%infinities : …) …
    …
    %o = linalg.contract … ins(%weights, %v : …) outs(%zeros_0 : …)
    ```

    The example is run in test/Conversion/AttentionToLinalg/basic.mlir.
    Attention on memrefs is left alone, with a remark.
  }];
  let options = [
    Option<"keepHopper", "keep-hopper", "bool", /*default=*/"false",
           "Leave what structured-attention-to-hopper takes">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Attentions lowered">
  ];
}

def AttentionToHopper
    : Pass<"structured-attention-to-hopper", "::mlir::ModuleOp"> {
  let summary = "lower attention to a kernel for Hopper";
  let description = [{
    Replaces `structured.attention` on memrefs of f16 or bf16 by one kernel
    generated for its sizes and its region (`buildAttention`,
    Structured/Kernels/Attention.h), which does not store the scores. The launch
    stands in a private function of the operands and of what the region takes
    from outside, one for each kind of attention. An operand whose layout a
    descriptor cannot have is copied.

    If the region gives -∞ for all keys from some number on, by a comparison of
    the key's index with what is the query's plus something that is the same for
    all queries (a causal mask), or is the same for all (a number of keys that
    are used), blocks of keys that no query of a tile sees are not read, and no
    comparison is made in those that all see.

    Before:

    ```mlir
    structured.attention indexing_maps = […]
        ins(%q, %k, %v : memref<256x8x64xbf16>, memref<512x8x64xbf16>,
                         memref<512x8x64xbf16>)
        outs(%o : memref<256x8x64xbf16>) {
    ^bb0(%score: f32, %h: index, %t: index, %l: index):
      %first = memref.load %position[%c0] : memref<1xi64>
      %base = arith.index_cast %first : i64 to index
      %at = arith.addi %base, %t : index
      %seen = arith.cmpi ule, %l, %at : index
      %scaled = arith.mulf %score, %scale : f32
      %masked = arith.select %seen, %scaled, %infinity : f32
      structured.yield %masked : f32
    }
    ```

    After:

    ```mlir
    call @attention(%q, %k, %v, %o, %position) : …
    ```

    Where there are few tiles of queries several thread blocks share one, each
    with a part of the keys, and a `linalg.generic` puts the parts together:

    ```mlir
    %parts = memref.alloc() : memref<8x8x128x64xf32>
    %logs = memref.alloc() : memref<8x8x128xf32>
    call @attention(%q, %k, %v, %parts, %logs) : …
    linalg.generic … ins(%logs0, …, %logs7, %part0, …, %part7 : …) outs(%o : …)
    ```

    The examples are run in test/Conversion/AttentionToHopper/basic.mlir. What the
    kernel does not take is left, with a remark that says why: so few scores that
    products and a softmax of their own are faster (fewer than 2^20 of fewer than
    2048 keys, or than 2^22 if the region reads memory or has a function for each),
    features that are no multiple of 8 of at most 128 or that are not side by side,
    a region with other than scalar ops of arith and math and loads from memrefs
    of static shapes.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::gpu::GPUDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Attentions lowered">
  ];
}

def MatmulsToCublas
    : Pass<"structured-matmuls-to-cublas", "::mlir::ModuleOp"> {
  let summary = "lower layers and contractions on memrefs to cuBLASLt products";
  let description = [{
    Replaces layers and contractions on memrefs by calls of the runtime's
    `structuredCudaMatmul`, a batched matrix product by cuBLASLt with sums in
    f32:

    - `structured.linear` is one product;
    - `structured.blast.matmul` is a batched product (stage 1), a contraction
      that is none (the mix, left for `structured-linalg-to-gpu`) and a batched
      product (stage 3). Y and Z are rounded to the factors' element type;
    - a contraction is a batched product if its operands are f32, f16 or bf16,
      it sums over one loop (adjacent loops of contiguous operands count as
      one), and each operand is contiguous along rows or columns. Loops that are
      in both operands and the result are the batch; more of them, or of rows or
      columns that cannot be put together, become loops of the host around the
      call.

    The calls stand in private functions of the operands' buffers, one for each
    kind of product, so that passes that place buffers see who uses them. A
    `linalg.fill` with zeros before a product is left out. A product that adds
    to other elements of f16 or bf16 is formed in f32 and added by an op of its
    own, since cuBLASLt may round it before it adds.

    An op that adds a vector to all rows of a product's result in place, and may
    apply ReLU, becomes part of the product: the result is rounded once, after
    it. That is so for the third stage of a BLAST layer too, whose block rows
    each have a part of the vector.

    Before:

    ```mlir
    linalg.fill ins(%zero : f32) outs(%y : memref<4x12xf32>)
    structured.linear ins(%x, %w : memref<4x8xf32>, memref<12x8xf32>)
        outs(%y : memref<4x12xf32>)
    ```

    After:

    ```mlir
    call @matmul(%x, %w, %y)
        : (memref<4x8xf32>, memref<12x8xf32>, memref<4x12xf32>) -> ()
    ```

    The example is run in test/Conversion/MatmulsToCublas/linear.mlir. A remark
    names what is left, and why.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"
  ];
  let statistics = [
    Statistic<"numLayers", "num-layers", "Layers lowered">,
    Statistic<"numProducts", "num-products", "Products that became calls">,
    Statistic<"numEpilogues", "num-epilogues",
              "Biases and activations that became part of a product">
  ];
}

def SinkDeviceReads : Pass<"structured-sink-device-reads"> {
  let summary = "read elements that steer an op where the op is";
  let description = [{
    For a GPU, whose memory the host does not read. Copies the load of an
    element that is in front of a linalg op, a `structured.attention` or a
    `memref.copy` which uses it, or a number or view that is computed from it:
    to the beginning of its region, or directly before the op if it is an
    operand. `structured-linalg-to-gpu` takes what is there into the kernel. It
    is not copied if the element may be written to in between, or if it is one
    of a constant.

    Before:

    ```mlir
    %e = memref.load %position[%zero] : memref<1xi64>
    %i = arith.index_cast %e : i64 to index
    …
    %rows = memref.subview %cache[%i, 0] [2, 8] [1, 1] : memref<16x8xf32> to memref<2x8xf32, strided<[8, 1], offset: ?>>
    memref.copy %x, %rows : memref<2x8xf32> to memref<2x8xf32, strided<[8, 1], offset: ?>>
    linalg.generic … {
      %later = arith.cmpi ugt, %column, %i : index
      …
    }
    ```

    After:

    ```mlir
    …
    %e = memref.load %position[%zero] : memref<1xi64>
    %i = arith.index_cast %e : i64 to index
    %rows = memref.subview %cache[%i, 0] [2, 8] [1, 1] : memref<16x8xf32> to memref<2x8xf32, strided<[8, 1], offset: ?>>
    memref.copy %x, %rows : memref<2x8xf32> to memref<2x8xf32, strided<[8, 1], offset: ?>>
    linalg.generic … {
      %e1 = memref.load %position[%zero] : memref<1xi64>
      %i1 = arith.index_cast %e1 : i64 to index
      %later = arith.cmpi ugt, %column, %i1 : index
      …
    }
    ```

    The example is run in test/Conversion/SinkDeviceReads/basic.mlir.
  }];
}

def LinalgToGpu : Pass<"structured-linalg-to-gpu"> {
  let summary = "lower linalg ops on memrefs to GPU kernels";
  let description = [{
    Replaces every linalg op on memrefs, every `memref.copy` and
    `structured.block_sparse.matmul` by a `gpu.launch`:

    - an op with parallel loops by a thread for each few points, which are as
      many as one load of 16 bytes holds, if sizes and strides are known to
      allow it. What the body loads by itself is read so, too, where it is of
      neighbours. Reduction loops are gone through by the thread; contractions
      sum in f32;
    - a reduction over the innermost loop of an input by a block for each
      result: threads go along the row and combine their parts by shuffles;
    - with `fuse`, a run of ops that work on the same rows (the whole of a
      softmax or a layer norm) by one kernel with a block for each row. If the
      row's size is known and threads divide it, they hold their share in
      registers from op to op, and what nobody else reads is not stored; from
      4096 rows on a row has as few threads as can hold it. What the body of an
      op loads by itself must not be what one of these ops writes.

    What is computed from elements of buffers in front of an op, such as the
    place where it writes, is computed in the kernel
    (`structured-sink-device-reads`).

    Before:

    ```mlir
    linalg.generic {indexing_maps = [#ij, #ij],
                    iterator_types = ["parallel", "parallel"]}
        ins(%x : memref<4x32xf32>) outs(%y : memref<4x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %m = arith.mulf %a, %a : f32
      linalg.yield %m : f32
    }
    ```

    After:

    ```mlir
    gpu.launch blocks(%block, …) in (%c1, …) threads(%thread, …) in (%c128, …)
        module(@kernels) function(@elementwise) {
      …
      %v = vector.load %x[%i, %j] {alignment = 16 : i64}
          : memref<4x32xf32>, vector<4xf32>
      …
    ```

    The example is run in test/Conversion/LinalgToGpu/elementwise.mlir. Buffers
    are taken to be aligned to 16 bytes. An op on tensors is left alone, with a
    remark.
  }];
  let options = [
    Option<"fuse", "fuse", "bool", /*default=*/"true",
           "Put ops on the same rows into one kernel">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
  let statistics = [
    Statistic<"numKernels", "num-kernels", "Kernels">,
    Statistic<"numRowKernels", "num-row-kernels",
              "Of these, kernels with a block for each row">,
    Statistic<"numOps", "num-ops", "Linalg ops lowered">
  ];
}

def MergeLaunches : Pass<"structured-merge-launches"> {
  let summary = "put small launches that are independent into one";
  let description = [{
    Replaces two `gpu.launch` by one, which has the blocks of the first and then
    those of the second, where the second is. It is done if they have as many
    threads a block, at most 1024 blocks each, of a number that is known, and
    threads that have nothing to do with each other; if neither uses what the
    other writes; and if nothing in between does, so that the first can be
    executed later. A launch of few blocks takes longer to begin and to end than
    to run.

    Before:

    ```mlir
    gpu.launch blocks(%i, …) in (%c4, …) threads(%t, …) in (%c128, …) { "a"(%i, %t) }
    gpu.launch blocks(%i, …) in (%c2, …) threads(%t, …) in (%c128, …) { "b"(%i, %t) }
    ```

    After:

    ```mlir
    gpu.launch blocks(%i, …) in (%c6, …) threads(%t, …) in (%c128, …) {
      %first = arith.cmpi ult, %i, %c4 : index
      scf.if %first {
        "a"(%i, %t)
      } else {
        %j = arith.subi %i, %c4 : index
        "b"(%j, %t)
      }
    }
    ```

    The example is run in test/Conversion/MergeLaunches/basic.mlir.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::scf::SCFDialect"
  ];
  let statistics = [Statistic<"numMerged", "num-merged", "Launches merged">];
}

def AlignSharedMemory
    : Pass<"structured-align-shared-memory", "::mlir::gpu::GPUModuleOp"> {
  let summary = "align shared memory to the widest access";
  let description = [{
    Gives each array in shared memory an alignment of 16 bytes, if it has none.
    Otherwise LLVM (22.1) puts several loads of one together as if it had, but
    prints it aligned to its elements: the load faults.

    Before:

    ```mlir
    gpu.func @rows() workgroup(%a : memref<6xf32, #gpu.address_space<workgroup>>)
    ```

    After:

    ```mlir
    gpu.func @rows() workgroup(%a : memref<6xf32, #gpu.address_space<workgroup>>
                                    {llvm.align = 16 : i64})
    ```

    The example is run in test/Conversion/AlignSharedMemory/basic.mlir.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect",
                           "::mlir::LLVM::LLVMDialect"];
  let statistics = [Statistic<"numAligned", "num-aligned", "Arrays aligned">];
}

def KernelsToPtx : Pass<"structured-kernels-to-ptx", "::mlir::ModuleOp"> {
  let summary = "translate kernels to PTX";
  let description = [{
    What `gpu-module-to-binary` with `format=isa` does. In addition, LLVM is told
    which pieces of inline assembly all lanes of a warp must execute together:
    those with `.sync` in the name of an instruction, as `mma.sync` and
    `bar.sync`. They become `convergent` calls, as Clang makes all inline
    assembly of device code; MLIR's `llvm.inline_asm` cannot say so. Otherwise
    LLVM may make copies of such an instruction for the values of a condition
    that differs among the lanes, or move it to where some use its result, and
    the warp hangs.

    Before:

    ```mlir
    gpu.module @kernels [#nvvm.target<chip = "sm_90a", features = "+ptx80">] {
      llvm.func @main(%isFirst: i1, …) attributes {nvvm.kernel} {
        llvm.cond_br %isFirst, ^store0, ^then
      ^store0:
        llvm.store %zero, %p : i32, !llvm.ptr
        llvm.br ^then
      ^then:
        %sum = llvm.inline_asm has_side_effects "…mma.sync…", …
        llvm.cond_br %isFirst, ^store1, ^end
        …
    ```

    After:

    ```mlir
    gpu.binary @kernels [#gpu.object<#nvvm.target<…>, assembly = "…">]
    ```

    where the product is there once, between two branches.

    The example is run in test/Conversion/KernelsToPtx/basic.mlir.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect"];
  let statistics = [Statistic<"numConvergent", "num-convergent",
                              "Pieces of assembly made convergent">];
}

def DeduplicateKernels
    : Pass<"structured-deduplicate-kernels", "::mlir::ModuleOp"> {
  let summary = "let launches of equal kernels share one";
  let description = [{
    Removes kernels (`gpu.func`) that differ from another one of their
    `gpu.module` in their names only. A model's blocks need each kernel once.

    Before:

    ```mlir
    gpu.launch_func @kernels::@a blocks in … threads in … args(%x : …)
    gpu.launch_func @kernels::@b blocks in … threads in … args(%y : …)
    ```

    After, if the bodies of `@a` and `@b` are equal:

    ```mlir
    gpu.launch_func @kernels::@a blocks in … threads in … args(%x : …)
    gpu.launch_func @kernels::@a blocks in … threads in … args(%y : …)
    ```

    The example is run in test/Conversion/DeduplicateKernels/basic.mlir.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
  let statistics = [
    Statistic<"numRemoved", "num-removed", "Kernels removed">
  ];
}

def OverlapLaunches : Pass<"structured-overlap-launches", "::mlir::ModuleOp"> {
  let summary = "let kernels begin before those in front of them have ended";
  let description = [{
    Makes each launch of a kernel (`gpu.func`) of the module programmatic: the
    kernel may begin as soon as all thread blocks of the one in front of it have
    begun, and waits until that one has ended before it reads or writes
    anything. So launching it, and what else a kernel does before it begins,
    takes place meanwhile. All threads wait, so that a kernel that has ended
    has seen the end of all before it. A kernel that is launched otherwise, by a
    library, begins when the one in front of it has ended, as ever.

    Needs compute capability 9.0.

    Before:

    ```mlir
    gpu.launch_func @kernels::@a blocks in … threads in … args(%x : …)
    ```

    After:

    ```mlir
    func.call @structuredCudaNextLaunch(%c1_i32) : (i32) -> ()
    gpu.launch_func @kernels::@a blocks in … threads in … args(%x : …)

    gpu.func @a(%x : …) kernel {
      nvvm.griddepcontrol launch_dependents
      nvvm.griddepcontrol wait
      …
    ```

    The example is run in test/Conversion/OverlapLaunches/basic.mlir.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::gpu::GPUDialect", "::mlir::NVVM::NVVMDialect"
  ];
  let statistics = [
    Statistic<"numLaunches", "num-launches", "Launches made programmatic">
  ];
}

def BuffersToGpu : Pass<"structured-buffers-to-gpu", "::mlir::func::FuncOp"> {
  let summary = "allocate buffers in the device's memory";
  let description = [{
    Makes each `memref.alloc` and `memref.dealloc` of the host code a
    `gpu.alloc` and `gpu.dealloc`. It is an error if the host reads or writes an
    element of a buffer, or if an op is left that would.

    Before:

    ```mlir
    %a = memref.alloc() : memref<64xf32>
    gpu.launch_func … args(%a : memref<64xf32>)
    memref.dealloc %a : memref<64xf32>
    ```

    After:

    ```mlir
    %a = gpu.alloc () : memref<64xf32>
    gpu.launch_func … args(%a : memref<64xf32>)
    gpu.dealloc %a : memref<64xf32>
    ```

    The example is run in test/Conversion/BuffersToGpu/basic.mlir.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
  let statistics = [
    Statistic<"numAllocations", "num-allocations", "Allocations">
  ];
}

#endif // STRUCTURED_CONVERSION_PASSES_TD
