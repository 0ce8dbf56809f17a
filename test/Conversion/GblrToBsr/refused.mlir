// RUN: structured-opt %s --structured-gblr-to-bsr=min-tokens=256 --split-input-file --verify-diagnostics
// RUN: not structured-opt %s --structured-gblr-to-bsr=v-width=96 --split-input-file 2>&1 | FileCheck %s

// CHECK: error: structured-gblr-to-bsr needs panels of at least 1 row, and a multiple of 64 as v-width

func.func @f32(%x: tensor<512x64xf32>, %y0: tensor<512x128xf32>) -> tensor<512x128xf32> {
  %u = structured.parameter "u" : tensor<8xf32>
  %v = structured.parameter "v" : tensor<8xf32>
  // expected-remark @below {{not lowered to products with BSR matrices: its element type is neither f16 nor bf16}}
  %y = structured.gblr.matmul layout = <out = 128, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<512x64xf32>, tensor<8xf32>, tensor<8xf32>)
      outs(%y0 : tensor<512x128xf32>) -> tensor<512x128xf32>
  return %y : tensor<512x128xf32>
}

// -----

func.func @few_tokens(%x: tensor<255x64xf16>, %y0: tensor<255x128xf16>) -> tensor<255x128xf16> {
  %u = structured.parameter "u" : tensor<8xf16>
  %v = structured.parameter "v" : tensor<8xf16>
  // expected-remark @below {{not lowered to products with BSR matrices: it has 255 tokens, fewer than 256}}
  %y = structured.gblr.matmul layout = <out = 128, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<255x64xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<255x128xf16>) -> tensor<255x128xf16>
  return %y : tensor<255x128xf16>
}

// -----

func.func @dynamic(%x: tensor<?x64xf16>, %y0: tensor<?x128xf16>) -> tensor<?x128xf16> {
  %u = structured.parameter "u" : tensor<8xf16>
  %v = structured.parameter "v" : tensor<8xf16>
  // expected-remark @below {{not lowered to products with BSR matrices: its number of tokens is not known}}
  %y = structured.gblr.matmul layout = <out = 128, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<?x64xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<?x128xf16>) -> tensor<?x128xf16>
  return %y : tensor<?x128xf16>
}

// -----

func.func @sizes(%x: tensor<512x60xf16>, %y0: tensor<512x128xf16>) -> tensor<512x128xf16> {
  %u = structured.parameter "u" : tensor<8xf16>
  %v = structured.parameter "v" : tensor<8xf16>
  // expected-remark @below {{not lowered to products with BSR matrices: its sizes 128 and 60 are not both multiples of 8}}
  %y = structured.gblr.matmul layout = <out = 128, in = 60, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<512x60xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<512x128xf16>) -> tensor<512x128xf16>
  return %y : tensor<512x128xf16>
}

// -----

func.func @arguments(%x: tensor<512x64xf16>, %y0: tensor<512x128xf16>, %u: tensor<8xf16>, %v: tensor<8xf16>) -> tensor<512x128xf16> {
  // expected-remark @below {{not lowered to products with BSR matrices: its factors are not parameters as they are stored}}
  %y = structured.gblr.matmul layout = <out = 128, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<512x64xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<512x128xf16>) -> tensor<512x128xf16>
  return %y : tensor<512x128xf16>
}

// -----

func.func @types(%x: tensor<512x64xf16>, %y0: tensor<512x128xf32>) -> tensor<512x128xf32> {
  %u = structured.parameter "u" : tensor<8xf16>
  %v = structured.parameter "v" : tensor<8xf16>
  // expected-remark @below {{not lowered to products with BSR matrices: its operands have several element types}}
  %y = structured.gblr.matmul layout = <out = 128, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<512x64xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<512x128xf32>) -> tensor<512x128xf32>
  return %y : tensor<512x128xf32>
}

// -----

func.func @memrefs(%x: memref<512x64xf16>, %u: memref<8xf16>, %v: memref<8xf16>, %y: memref<512x128xf16>) {
  // expected-remark @below {{not lowered to products with BSR matrices: its operands are memrefs}}
  structured.gblr.matmul layout = <out = 128, in = 64, components = [<rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : memref<512x64xf16>, memref<8xf16>, memref<8xf16>) outs(%y : memref<512x128xf16>)
  return
}

// -----

// It is lowered all the same.

func.func @padded(%x: tensor<512x64xf16>, %y0: tensor<512x128xf16>) -> tensor<512x128xf16> {
  %u = structured.parameter "u" : tensor<8xf16>
  %v = structured.parameter "v" : tensor<8xf16>
  // expected-remark @below {{its blocks take 32768 multiply-adds for a token, more than the 8192 of a dense layer}}
  %y = structured.gblr.matmul layout = <out = 128, in = 64, components = [
        <rows 0 + 8, cols 0 + 8, rank 1>]>
      ins(%x, %u, %v : tensor<512x64xf16>, tensor<8xf16>, tensor<8xf16>)
      outs(%y0 : tensor<512x128xf16>) -> tensor<512x128xf16>
  return %y : tensor<512x128xf16>
}
