// RUN: structured-opt %s | structured-opt | FileCheck %s
// RUN: structured-opt --mlir-print-op-generic %s | structured-opt | FileCheck %s

// CHECK-LABEL: func.func @parameter
func.func @parameter() -> (tensor<384x1536xf32>, tensor<1536x384xf32>) {
  // CHECK: structured.parameter "layer.0.weight" : tensor<384x1536xf32>
  %w = structured.parameter "layer.0.weight" : tensor<384x1536xf32>
  // CHECK: structured.parameter "layer.0.weight" permutation = [1, 0] : tensor<1536x384xf32>
  %wt = structured.parameter "layer.0.weight" permutation = [1, 0]
      : tensor<1536x384xf32>
  return %w, %wt : tensor<384x1536xf32>, tensor<1536x384xf32>
}

// CHECK-LABEL: func.func @argument_attributes
// CHECK-SAME: structured.name = "x"
// CHECK-SAME: structured.parameter = "layer.0.weight"
// CHECK-SAME: structured.updated_by = 0 : i64
func.func @argument_attributes(%x: tensor<?x8xf32> {structured.name = "x"},
    %w: tensor<12x8xf32> {structured.parameter = "layer.0.weight"},
    %cache: tensor<4x8xf32> {structured.updated_by = 0 : i64}) -> tensor<4x8xf32> {
  return %cache : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>,
                  %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: structured.linear {layer = "l0", plan = #structured.plan<blast, blocks = 3 : 2, rank = 5>}
  // CHECK-SAME: ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<12x8xf32>)
  // CHECK-SAME: outs(%{{.*}} : tensor<?x12xf32>) -> tensor<?x12xf32>
  %y = structured.linear
      {layer = "l0", plan = #structured.plan<blast, blocks = 3 : 2, rank = 5>}
      ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  // CHECK: #structured.plan<dense>
  %z = structured.linear {plan = #structured.plan<dense>}
      ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%y : tensor<?x12xf32>) -> tensor<?x12xf32>
  // CHECK: #structured.plan<gblr, budget = 40>
  %g = structured.linear {plan = #structured.plan<gblr, budget = 40>}
      ins(%x, %w : tensor<?x8xf32>, tensor<12x8xf32>)
      outs(%z : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %g : tensor<?x12xf32>
}

// CHECK-LABEL: func.func @linear_memref
func.func @linear_memref(%x: memref<4x8xf16>, %w: memref<12x8xf16>,
                         %y: memref<4x12xf32>) {
  // CHECK: structured.linear ins(%{{.*}} : memref<4x8xf16>, memref<12x8xf16>) outs(%{{.*}} : memref<4x12xf32>){{$}}
  structured.linear ins(%x, %w : memref<4x8xf16>, memref<12x8xf16>)
      outs(%y : memref<4x12xf32>)
  return
}

// CHECK-LABEL: func.func @blast
func.func @blast(%x: tensor<?x8xbf16>, %u: tensor<3x4x5xbf16>,
                 %s: tensor<3x2x5xbf16>, %vt: tensor<2x5x4xbf16>,
                 %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: structured.blast.matmul {layer = "l0"} ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8xbf16>, tensor<3x4x5xbf16>, tensor<3x2x5xbf16>, tensor<2x5x4xbf16>) outs(%{{.*}} : tensor<?x12xf32>) -> tensor<?x12xf32>
  %y = structured.blast.matmul {layer = "l0"}
      ins(%x, %u, %s, %vt : tensor<?x8xbf16>, tensor<3x4x5xbf16>,
                            tensor<3x2x5xbf16>, tensor<2x5x4xbf16>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// CHECK-LABEL: func.func @gblr
func.func @gblr(%x: tensor<?x8xf32>, %u: tensor<16xf32>, %v: tensor<13xf32>,
                %y0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: structured.gblr.matmul layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 2 + 5, rank 2>]>
  // CHECK-SAME: ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<16xf32>, tensor<13xf32>) outs(%{{.*}} : tensor<?x12xf32>) -> tensor<?x12xf32>
  %y = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 2 + 5, rank 2>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<16xf32>, tensor<13xf32>)
      outs(%y0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// A layout with no components is the zero matrix.
// CHECK-LABEL: func.func @gblr_zero
func.func @gblr_zero(%x: memref<4x8xf32>, %u: memref<0xf32>, %v: memref<0xf32>,
                     %y: memref<4x12xf32>) {
  // CHECK: structured.gblr.matmul layout = <out = 12, in = 8, components = []>
  structured.gblr.matmul layout = <out = 12, in = 8, components = []>
      ins(%x, %u, %v : memref<4x8xf32>, memref<0xf32>, memref<0xf32>)
      outs(%y : memref<4x12xf32>)
  return
}

// CHECK-LABEL: func @product
func.func @product() -> tensor<8x12xbf16> {
  // CHECK: structured.parameter "w" permutation = [1, 0] product = <"u", "s", "vt", blocks = 3 : 2, rank = 5> : tensor<8x12xbf16>
  %w = structured.parameter "w" permutation = [1, 0]
      product = <"u", "s", "vt", blocks = 3 : 2, rank = 5> : tensor<8x12xbf16>
  return %w : tensor<8x12xbf16>
}

// CHECK-LABEL: func @concatenation
func.func @concatenation() -> tensor<8x12xbf16> {
  // CHECK: structured.parameter "a;b" permutation = [1, 0] concatenation = <dim = 0, parts = [<"a", size = 4>, <"b", size = 8, product = <"u", "s", "vt", blocks = 2 : 4, rank = 3>>]> : tensor<8x12xbf16>
  %w = structured.parameter "a;b" permutation = [1, 0]
      concatenation = <dim = 0, parts = [<"a", size = 4>,
        <"b", size = 8, product = <"u", "s", "vt", blocks = 2 : 4, rank = 3>>]>
      : tensor<8x12xbf16>
  return %w : tensor<8x12xbf16>
}
