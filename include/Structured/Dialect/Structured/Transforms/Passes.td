// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef STRUCTURED_TRANSFORMS_PASSES_TD
#define STRUCTURED_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExpandToDense : Pass<"structured-expand-to-dense"> {
  let summary = "replace structured layers by dense ones of the same matrix";
  let description = [{
    Replaces each `structured.blast.matmul` and `structured.gblr.matmul` on
    tensors by a `structured.linear` whose weight is built from the factors:
    the reference that lowerings are compared with, and the way back where the
    structure does not pay.

    Before:

    ```mlir
    %y = structured.blast.matmul ins(%x, %u, %s, %vt : …) outs(%y0 : …) -> …
    ```

    After:

    ```mlir
    %w = linalg.generic … ins(%u, %s, %vt : …)   // U diag(S) Vt, block by block
    %y = structured.linear ins(%x, %w : …) outs(%y0 : …) -> …
    ```

    The example is run in test/Dialect/Structured/expand-to-dense.mlir. Layers on
    memrefs are left alone, with a remark.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numExpanded", "num-expanded", "Layers expanded">
  ];
}

def ExpandUnprofitable
    : Pass<"structured-expand-unprofitable", "::mlir::ModuleOp"> {
  let summary = "make layers dense whose structure does not pay on a machine";
  let description = [{
    Estimates the time of each `structured.blast.matmul` on tensors and of the
    dense layer of its sizes, by a table of what was measured on a machine
    (`costs`; docs/CostModel.md). A layer that would be slower than dense by more
    than `tolerance` becomes a `structured.linear` whose weight is a parameter
    with a `product`: the dense matrix, which `structured-compile` computes when
    it stores the weights. A remark gives both times and what the matrix takes.

    Before:

    ```mlir
    %u = structured.parameter "fc.U" : tensor<16x128x96xbf16>
    %s = structured.parameter "fc.S" : tensor<16x16x96xbf16>
    %vt = structured.parameter "fc.Vt" : tensor<16x96x128xbf16>
    %y = structured.blast.matmul {layer = "fc"} ins(%x, %u, %s, %vt :
        tensor<64x2048xbf16>, …) outs(%y0 : …) -> tensor<64x2048xbf16>
    ```

    After `structured-expand-unprofitable="costs=h200"`:

    ```mlir
    %w = structured.parameter "fc.U*fc.S*fc.Vt"
        product = <"fc.U", "fc.S", "fc.Vt", blocks = 16 : 16, rank = 96>
        : tensor<2048x2048xbf16>
    %y = structured.linear {layer = "fc"}
        ins(%x, %w : tensor<64x2048xbf16>, tensor<2048x2048xbf16>)
        outs(%y0 : …) -> tensor<64x2048xbf16>
    ```

    The example is run in test/Dialect/Structured/expand-unprofitable.mlir. A
    layer is left, with a remark, if there is no estimate (a dynamic number of
    tokens without the option `tokens`, another element type than was measured,
    GBLR), or if it is slower than dense but its factors are not parameters as
    they are in the weights file.
  }];
  let options = [
    Option<"costs", "costs", "std::string", "\"\"",
           "Table of measured times: the name of one that is built in (h200), or "
           "a file that structured-bench wrote">,
    Option<"tokens", "tokens", "int64_t", "0",
           "What a dynamic number of tokens is taken to be; 0: unknown">,
    Option<"tolerance", "tolerance", "double", "0.02",
           "By which fraction a layer may be slower than dense and keep its "
           "structure, which takes less memory">
  ];
  let dependentDialects = ["::structured::StructuredDialect"];
  let statistics = [
    Statistic<"numExpanded", "num-expanded", "Layers made dense">,
    Statistic<"numKept", "num-kept", "Layers whose structure pays">,
    Statistic<"numUnknown", "num-unknown", "Layers without an estimate">
  ];
}

def MergeSiblings : Pass<"structured-merge-siblings"> {
  let summary = "make one layer of dense layers that share their input";
  let description = [{
    Replaces the `structured.linear` ops of a block that have the same input (q,
    k and v of attention, gate and up of a feed-forward block) by one whose
    weight is theirs, one below the other: a parameter with a `concatenation`,
    which `structured-compile` stores as one tensor. So there is one launch
    instead of several, and a larger product. What was a layer's result is a
    slice, read where it lies with the row stride of the whole.

    If all that uses each of the results is an elementwise op on it and on
    vectors over its features that are parameters (a bias), and these ops do the
    same, they become one op before the slices.

    Before:

    ```mlir
    %v = structured.parameter "k.weight" : tensor<8x16xf32>
    %w = structured.parameter "v.weight" : tensor<4x16xf32>
    %k = structured.linear ins(%x, %v : …) outs(%zeros8 : …) -> tensor<5x8xf32>
    %v = structured.linear ins(%x, %w : …) outs(%zeros4 : …) -> tensor<5x4xf32>
    ```

    After:

    ```mlir
    %w = structured.parameter "k.weight;v.weight"
        concatenation = <dim = 0, parts = [<"k.weight", size = 8>,
                                           <"v.weight", size = 4>]>
        : tensor<12x16xf32>
    %kv = structured.linear ins(%x, %w : …) outs(%zeros : …) -> tensor<5x12xf32>
    %k = tensor.extract_slice %kv[0, 0] [5, 8] [1, 1]
    %v = tensor.extract_slice %kv[0, 8] [5, 4] [1, 1]
    ```

    The example is run in test/Dialect/Structured/merge-siblings.mlir. A layer
    that has siblings but is not merged is explained by a remark: its weight is
    not a parameter or has other users, it adds to its init, its rows are not a
    multiple of 16 bytes, or what uses its result would have to copy a slice (a
    return, a layer that is not dense, a reshape that merges tokens with
    features, an op that writes into it).
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let statistics = [
    Statistic<"numMerged", "num-merged", "Dense layers merged with others">,
    Statistic<"numLayers", "num-layers", "Layers that they became">,
    Statistic<"numRefused", "num-refused", "Layers that were left apart">
  ];
}

def RaiseLinear : Pass<"structured-raise-linear", "::mlir::ModuleOp"> {
  let summary = "raise every dense linear layer to structured.linear";
  let description = [{
    Replaces each linalg op, named or generic, that multiplies an activation by
    a weight matrix by a `structured.linear` on matrices [tokens, features],
    with the reshapes and transposes of the activations that this takes. What
    was the op's init stays the init. The weight becomes the matrix
    [out_features, in_features] made from the tensor that holds the weight by
    nothing but a reshape and a transpose; broadcasts and transposes that lay in
    between vanish. docs/Recognition.md says what counts as a linear layer, how
    weights are found, and why an op may be refused.

    The attribute `layer` is the weight's name without the suffix `.weight`: the
    name of the parameter, the key of the resource, the symbol of the global,
    `<function>.arg<k>`, or `<function>.linear<k>` for the k-th layer of the
    function whose weight has no name. Names that would occur twice, as for two
    layers that share a weight, get the suffix `#2`, `#3`, …

    Each contraction or convolution that stays is explained by a remark
    `not raised: <reason>`.

    Before:

    ```mlir
    %w = structured.parameter "query.weight" : tensor<12x8xf32>
    %wt = linalg.transpose ins(%w : …) outs(%e : …) permutation = [1, 0]
    %wb = linalg.broadcast ins(%wt : …) outs(%f : tensor<2x8x12xf32>)
        dimensions = [0]
    %y = linalg.batch_matmul ins(%x, %wb : tensor<2x4x8xf32>, …)
        outs(%y0 : tensor<2x4x12xf32>) -> tensor<2x4x12xf32>
    ```

    After:

    ```mlir
    %w = structured.parameter "query.weight" : tensor<12x8xf32>
    %x2 = tensor.collapse_shape %x [[0, 1], [2]] : …
    %y2 = structured.linear {layer = "query"}
        ins(%x2, %w : tensor<8x8xf32>, tensor<12x8xf32>)
        outs(%z : tensor<8x12xf32>) -> tensor<8x12xf32>
    %y = tensor.expand_shape %y2 [[0, 1], [2]] output_shape [2, 4, 12] : …
    ```

    The example is run in test/Dialect/Structured/raise-linear/example.mlir.
  }];
  let options = [
    Option<"matchArguments", "match-arguments", "bool", /*default=*/"true",
           "a function argument that is not marked by structured.parameter may "
           "be a weight, if no argument of its function is so marked, it is not "
           "named as an input, and no softmax makes the product one of "
           "attention">
  ];
  let statistics = [
    Statistic<"numRaised", "num-raised", "Linear layers raised">,
    Statistic<"numRefused", "num-refused",
              "Contractions and convolutions not raised">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
}

def RaiseAttention : Pass<"structured-raise-attention", "::mlir::ModuleOp"> {
  let summary = "raise attention on tensors to structured.attention";
  let description = [{
    Replaces two products with a softmax between them by `structured.attention`.
    It is meant for what the fusion on tensors leaves: a contraction, elementwise
    ops, the four ops of a softmax in f32 or a `linalg.softmax`, a contraction.
    docs/Recognition.md says which spellings are known.

    The elementwise ops between the scores and the softmax (a scale, a mask)
    become the op's region. Tensors that they read besides the scores are read
    there by `tensor.extract`.

    Before:

    ```mlir
    %s = linalg.contract indexing_maps = [#thd, #lhd, #htl]
        ins(%q, %k : tensor<5x2x8xf32>, tensor<7x2x8xf32>)
        outs(%zeros : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
    %m = linalg.generic … ins(%s, %mask : tensor<2x5x7xf32>, tensor<7xf32>) {
    ^bb0(%score: f32, %add: f32, %out: f32):
      %0 = arith.mulf %score, %scale : f32
      %1 = arith.addf %0, %add : f32
      linalg.yield %1 : f32
    }
    %w = linalg.softmax dimension(2) ins(%m : tensor<2x5x7xf32>) …
    %o = linalg.contract indexing_maps = [#htl, #lhe, #the]
        ins(%w, %v : tensor<2x5x7xf32>, tensor<7x2x6xf32>)
        outs(%zeros2 : tensor<5x2x6xf32>) -> tensor<5x2x6xf32>
    ```

    After:

    ```mlir
    %o = structured.attention
        indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
                         affine_map<(h, t, l, d, e) -> (l, h, d)>,
                         affine_map<(h, t, l, d, e) -> (l, h, e)>,
                         affine_map<(h, t, l, d, e) -> (t, h, e)>]
        ins(%q, %k, %v : tensor<5x2x8xf32>, tensor<7x2x8xf32>,
                         tensor<7x2x6xf32>) outs(%e : tensor<5x2x6xf32>) {
    ^bb0(%score: f32, %h: index, %t: index, %l: index):
      %add = tensor.extract %mask[%l] : tensor<7xf32>
      %0 = arith.mulf %score, %scale : f32
      %1 = arith.addf %0, %add : f32
      structured.yield %1 : f32
    } -> tensor<5x2x6xf32>
    ```

    The example is run in test/Dialect/Structured/raise-attention/example.mlir.
    A product of a softmax that stays is explained by a remark
    `no attention: <reason>`.
  }];
  let statistics = [
    Statistic<"numRaised", "num-raised", "Attentions raised">,
    Statistic<"numRefused", "num-refused", "Products of a softmax that stay">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect",
    "::structured::StructuredDialect"
  ];
}

def BindParameters : Pass<"structured-bind-parameters", "::mlir::ModuleOp"> {
  let summary = "turn the arguments that are weights into named parameters";
  let description = [{
    Importers hand a model's weights to its function as arguments. This pass
    replaces each argument with the attribute `structured.parameter` by a
    `structured.parameter` op of that name and removes the argument.

    With `names`, it first sets the attributes of the function's arguments from
    a JSON array of one entry per argument: a string is a weight's name,
    `{"input": "name"}` names a real input, `null` leaves the argument alone.

    Before:

    ```mlir
    func.func @main(%x: tensor<4x8xf32>,
        %w: tensor<12x8xf32> {structured.parameter = "fc.weight"}) …
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<4x8xf32>) … {
      %w = structured.parameter "fc.weight" : tensor<12x8xf32>
    ```

    The example is run in test/Dialect/Structured/bind-parameters.mlir. A
    function that is called in the module is refused: its callers would pass
    arguments it no longer has.
  }];
  let dependentDialects = ["::structured::StructuredDialect"];
  let options = [
    Option<"function", "function", "std::string", "\"\"",
           "The function that `names` is for; may be left out if the module has "
           "only one with a body">,
    Option<"names", "names", "std::string", "\"\"",
           "JSON file with the names of the function's arguments">
  ];
  let statistics = [
    Statistic<"numBound", "num-bound", "Arguments turned into parameters">
  ];
}

def Plan : Pass<"structured-plan", "::mlir::ModuleOp"> {
  let summary = "decide what becomes of each dense layer";
  let description = [{
    Sets the attribute `plan` of every `structured.linear`: dense, BLAST with
    its blocks and rank, or GBLR with its budget of parameters, on which the
    factorisation finds the components. With `keep`, the fraction of the layer's
    parameters to keep, BLAST's rank is floor(keep·m·n / (m + n + b_out·b_in))
    rounded down by `rank-multiple`, and GBLR's budget ⌊keep·m·n⌋. With
    `max-error` they are the smallest multiple of 16 and of m·n/32 with which the
    weight's relative Frobenius error stays within that bound (which factorises,
    and so needs `weights`).

    With `allocate=global`, `keep` is one `budget` for all planned layers
    together, of parameters or of multiply-adds, these with the layer's number of
    tokens. The error of each layer's weight (with `moments`, of its outputs) is
    measured with each of the `candidate-structures`: at five ranks for each of
    the `candidate-blocks`, at four budgets of GBLR; between them it is
    interpolated. Then each layer gets a structure, its blocks and rank or its
    budget, or stays dense, such that the sum of the squared relative errors,
    weighted by `importance`, becomes small; or with `max-loss`, such that the
    cost becomes small and that sum is within the bound (docs/Calibration.md).
    Low rank is BLAST of 1 block. `write-curves` keeps what was measured, and
    `read-curves` takes it for another budget. The plan file records the errors
    to expect and what the allocation used.

    A layer stays dense, with a remark and the reason in the plan file, if the
    filters leave it out, if the blocks do not divide its sizes, if the
    structure would take as many parameters as the dense matrix, or, with
    `costs`, if BLAST would be more than 2 % slower than dense
    (docs/CostModel.md).

    `write` writes the plan as JSON, to be looked at and edited; `read` takes
    the decisions from such a file instead of making them. A file that names a
    layer the model does not have, or another shape for it, is refused; a layer
    the file does not name stays dense.

    Before:

    ```mlir
    %y = structured.linear {layer = "fc"} ins(%x, %w : tensor<?x96xf32>,
        tensor<192x96xf32>) outs(%y0 : tensor<?x192xf32>) -> tensor<?x192xf32>
    ```

    After `structured-plan="keep=0.5 blocks=2"`:

    ```mlir
    %y = structured.linear
        {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 31>} …
    ```

    The example is run in test/Dialect/Structured/plan.mlir. One of structures
    that compete, where each matrix becomes what it is, in
    test/Dialect/Structured/plan-structures.mlir: `structured-plan="allocate=global
    keep=0.35 candidate-structures=blast,gblr blocks=8 rank-multiple=4
    iterations=100 weights=w.safetensors"` gives

    ```mlir
    %y1 = structured.linear {layer = "blocks",
        plan = #structured.plan<blast, blocks = 8 : 8, rank = 4>} …
    %y2 = structured.linear {layer = "intervals",
        plan = #structured.plan<gblr, budget = 256>} …
    ```
  }];
  let dependentDialects = ["::structured::StructuredDialect"];
  let options = [
    Option<"structure", "structure", "std::string", "\"blast\"",
           "What layers become: blast, gblr or dense">,
    Option<"keep", "keep", "double", "0.5",
           "Fraction of each layer's parameters to keep, between 0 and 1">,
    Option<"maxError", "max-error", "double", "0.0",
           "Bound on each layer's relative Frobenius error, instead of `keep`">,
    Option<"blocks", "blocks", "int64_t", "4",
           "Blocks along both sides of the matrix">,
    Option<"blocksOut", "blocks-out", "int64_t", "0",
           "Blocks along the output features, if other than `blocks`">,
    Option<"blocksIn", "blocks-in", "int64_t", "0",
           "Blocks along the input features, if other than `blocks`">,
    Option<"rankMultiple", "rank-multiple", "int64_t", "0",
           "Round ranks down to a multiple of this; 0: the largest of 16, 8, 4, "
           "2, 1 that gives up at most 2 % of the rank">,
    Option<"allocate", "allocate", "std::string", "\"uniform\"",
           "uniform: `keep` of each layer; global: `keep` of all together, by "
           "measured errors">,
    Option<"budget", "budget", "std::string", "\"parameters\"",
           "What `keep` is a fraction of under allocate=global: parameters or "
           "multiply-adds">,
    Option<"dynamicTokens", "dynamic-tokens", "int64_t", "1",
           "What a dynamic number of tokens counts as under "
           "budget=multiply-adds and for `costs`">,
    Option<"costs", "costs", "std::string", "\"\"",
           "Table of measured times by which BLAST that does not pay is left out: "
           "the name of one that is built in (h200), or a file that "
           "structured-bench wrote; none if empty">,
    Option<"maxLoss", "max-loss", "double", "0.0",
           "Under allocate=global, instead of `keep`: bound on the sum of "
           "importance * squared relative error; 0: none">,
    ListOption<"candidateStructures", "candidate-structures", "std::string",
               "Structures to choose from under allocate=global, beside dense: "
               "blast, gblr; default: `structure`">,
    ListOption<"candidateBlocks", "candidate-blocks", "int64_t",
               "Block counts to choose from under allocate=global; those that do "
               "not divide a layer's sizes are passed over; default: `blocks`">,
    Option<"moments", "moments", "std::string", "\"\"",
           "Safetensors file of the second moments of the layers' inputs, for "
           "allocate=global">,
    Option<"damping", "damping", "double", "0.01",
           "Added to the diagonal of the moments, relative to its mean">,
    Option<"importance", "importance", "std::string", "\"\"",
           "JSON file with a weight for each layer's squared error under "
           "allocate=global; 1 each if empty">,
    Option<"layers", "layers", "std::string", "\"\"",
           "Regular expression (POSIX extended, found anywhere in the name) of "
           "the layers to change; all if empty">,
    Option<"exclude", "exclude", "std::string", "\"\"",
           "Regular expression of the layers to leave dense">,
    Option<"minParameters", "min-parameters", "int64_t", "0",
           "Leave layers with fewer parameters dense">,
    Option<"iterations", "iterations", "int64_t", "20",
           "Iterations of each BLAST trial under `max-error` or "
           "allocate=global">,
    Option<"gblrIterations", "gblr-iterations", "int64_t", "1",
           "Rounds of improvement of each GBLR trial under `max-error` or "
           "allocate=global">,
    Option<"readCurves", "read-curves", "std::string", "\"\"",
           "JSON file of error curves to take instead of measuring, under "
           "allocate=global">,
    Option<"writeCurves", "write-curves", "std::string", "\"\"",
           "JSON file to write the measured error curves to">,
    Option<"progress", "progress", "bool", "false",
           "Show the measuring of error curves on standard error">,
    ListOption<"weights", "weights", "std::string",
               "Safetensors files of the weights, for `max-error` and "
               "allocate=global">,
    Option<"readPath", "read", "std::string", "\"\"",
           "Plan file to take the decisions from">,
    Option<"writePath", "write", "std::string", "\"\"",
           "Plan file to write">
  ];
  let statistics = [
    Statistic<"numPlanned", "num-planned", "Layers to become structured">,
    Statistic<"numDense", "num-dense", "Layers to stay dense">
  ];
}

def CollectMoments : Pass<"structured-collect-moments", "::mlir::ModuleOp"> {
  let summary = "add the second moments of the layers' inputs to the results";
  let description = [{
    For each input x [T, n] of a named `structured.linear`, appends the result
    XᵀX [n, n] in f32, the sum of x_t x_tᵀ over the T tokens, to the function's
    results. Layers with the same input value (query, key and value of an
    attention, after `cse`) share one. The compiled module, run on sample inputs,
    gives what `structured-factorize` needs for its option `moments`;
    docs/Calibration.md has the whole way.

    With `mask`, tokens whose element of that input is zero do not count: its
    elements, flattened, are one for each token.

    `write` writes a JSON file that says which result is whose: an object with
    `version` (1), `mask`, and the array `moments` of objects such as
    `{"result": 1, "layers": ["fc"], "features": 16, "tokens": 4}`.

    Before:

    ```mlir
    func.func @main(%x: tensor<4x16xf32>, …) -> tensor<4x32xf32> {
      …
      %y = structured.linear {layer = "fc"} ins(%x, %w : …) outs(%y0 : …) -> …
      return %y : tensor<4x32xf32>
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<4x16xf32>, …)
        -> (tensor<4x32xf32>, tensor<16x16xf32>) {
      …
      %moments = linalg.generic … ins(%x, %x : …) outs(%zero : …)   // XᵀX
      %y = structured.linear {layer = "fc"} ins(%x, %w : …) outs(%y0 : …) -> …
      return %y, %moments : tensor<4x32xf32>, tensor<16x16xf32>
    ```

    The example is run in test/Dialect/Structured/collect-moments.mlir. Refused:
    a layer in a loop or a branch, or of a dynamic number of tokens; layers in
    several functions; a function that is called in the module.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::structured::StructuredDialect"
  ];
  let options = [
    Option<"mask", "mask", "std::string", "\"\"",
           "Name of the input whose zeros are tokens that do not count">,
    Option<"writePath", "write", "std::string", "\"\"",
           "JSON file to write: which result belongs to which layers">
  ];
  let statistics = [
    Statistic<"numMoments", "num-moments", "Results added">
  ];
}

def Factorize : Pass<"structured-factorize", "::mlir::ModuleOp"> {
  let summary = "carry out the plan: replace weights by computed factors";
  let description = [{
    Factorises the weight of every `structured.linear` whose plan is BLAST or
    GBLR, writes the factors to the safetensors file `output` under the names
    `<layer>.U`, `<layer>.S` and `<layer>.Vt`, or `<layer>.gblr.U`,
    `<layer>.gblr.V` and `<layer>.gblr.components`, and replaces the layer by a
    `structured.blast.matmul` or a `structured.gblr.matmul` on parameters of
    these names; GBLR's components become the layout. Layers that share a
    weight and a plan share the factors.

    One layer is in memory at a time. Each finished layer is kept in `work-dir`
    (by default `<output>.work`, removed at the end), so that a run that was
    killed continues where it stopped; `output` appears only when it is whole.

    A layer stays dense, with a remark, if its weight cannot be read as numbers
    (an argument, say), or if its error exceeds `max-error`. A weight with a NaN
    or infinity, and one that the weights files lack or hold in another shape,
    is an error.

    With `moments`, a safetensors file of the second moments of the layers'
    inputs (`<layer>.moment` [n, n] F32, the mean of x xᵀ over the `samples` of
    the metadata), the error of the layers' outputs on such inputs is made small
    instead of that of the weights; docs/Calibration.md. The report has both as
    `output_error` and `relative_error`. Layers that share a weight have inputs
    of their own, and then factors of their own. Moments that are missing, not
    [n, n], not finite or of too few samples are an error.

    Before:

    ```mlir
    %w = structured.parameter "fc.weight" : tensor<32x16xf32>
    %y = structured.linear
        {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 4>}
        ins(%x, %w : …) outs(%y0 : …) -> …
    ```

    After:

    ```mlir
    %u = structured.parameter "fc.U" : tensor<2x16x4xf32>
    %s = structured.parameter "fc.S" : tensor<2x2x4xf32>
    %vt = structured.parameter "fc.Vt" : tensor<2x4x8xf32>
    %y = structured.blast.matmul {layer = "fc"}
        ins(%x, %u, %s, %vt : …) outs(%y0 : …) -> …
    ```

    The example is run in test/Dialect/Structured/factorize.mlir.
  }];
  let dependentDialects = ["::structured::StructuredDialect"];
  let options = [
    ListOption<"weights", "weights", "std::string",
               "Safetensors files of the weights">,
    Option<"output", "output", "std::string", "\"\"",
           "Safetensors file to write the factors to">,
    Option<"workDir", "work-dir", "std::string", "\"\"",
           "Directory of the finished layers; kept if given">,
    Option<"method", "method", "std::string", "\"als\"",
           "Of BLAST. als: alternating least squares; gradient: the authors' "
           "Algorithm 2">,
    Option<"gblrMethod", "gblr-method", "std::string", "\"greedy\"",
           "Of GBLR. greedy: residual pursuit and coordinate descent; "
           "energy-runs: a baseline, without moments">,
    Option<"gblrMinComponent", "gblr-min-component", "int64_t", "32",
           "The fewest parameters of a GBLR component: fewer give lower errors "
           "and more components">,
    Option<"iterations", "iterations", "int64_t", "100",
           "Iterations for each BLAST layer; als stops earlier when it has "
           "converged">,
    Option<"seed", "seed", "uint64_t", "0", "Seed of the random start">,
    Option<"maxError", "max-error", "double", "0.0",
           "Keep layers dense whose relative Frobenius error is larger; 0: no "
           "bound">,
    Option<"moments", "moments", "std::string", "\"\"",
           "Safetensors file of the second moments of the layers' inputs">,
    Option<"damping", "damping", "double", "0.01",
           "Added to the diagonal of the moments, relative to its mean">,
    Option<"report", "report", "std::string", "\"\"",
           "JSON file to write with one record per layer">,
    Option<"progress", "progress", "bool", "false",
           "Show progress on standard error">
  ];
  let statistics = [
    Statistic<"numFactorized", "num-factorized", "Layers factorised">,
    Statistic<"numRefused", "num-refused", "Planned layers left dense">
  ];
}

def Substitute : Pass<"structured-substitute", "::mlir::ModuleOp"> {
  let summary = "replace weights by factors read from a safetensors file";
  let description = [{
    Replaces each `structured.linear` for whose name the file `factors` holds
    factors: BLAST ones as `<layer>.U` [b_out, p, r], `<layer>.S`
    [b_out, b_in, r] and `<layer>.Vt` [b_in, r, q], or GBLR ones as
    `<layer>.gblr.U` and `<layer>.gblr.V`, packed, with `<layer>.gblr.components`
    (I64 [K, 5]: row start, rows, column start, columns, rank). Only the file's
    header and the components are read here; the factors become parameters.

    Factors whose shapes do not make up the layer's matrix, or of another type,
    are an error. Layers without factors get a remark and stay dense; so do all
    whose names `layers` does not match.

    Before:

    ```mlir
    %y = structured.linear {layer = "fc"} ins(%x, %w : …) outs(%y0 : …) -> …
    ```

    After, with fc.U, fc.S and fc.Vt in the file:

    ```mlir
    %u = structured.parameter "fc.U" : tensor<2x16x4xf32>
    …
    %y = structured.blast.matmul {layer = "fc"}
        ins(%x, %u, %s, %vt : …) outs(%y0 : …) -> …
    ```

    The example is run in test/Dialect/Structured/substitute.mlir.
  }];
  let dependentDialects = ["::structured::StructuredDialect"];
  let options = [
    Option<"factors", "factors", "std::string", "\"\"",
           "Safetensors file of the factors">,
    Option<"layers", "layers", "std::string", "\"\"",
           "Regular expression (POSIX extended, found anywhere in the name) of "
           "the layers to replace; all if empty">
  ];
  let statistics = [
    Statistic<"numSubstituted", "num-substituted", "Layers replaced">
  ];
}

#endif // STRUCTURED_TRANSFORMS_PASSES_TD
