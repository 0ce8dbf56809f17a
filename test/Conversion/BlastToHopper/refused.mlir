// RUN: structured-opt %s --structured-blast-to-hopper --split-input-file --verify-diagnostics
// RUN: structured-opt %s --structured-blast-to-hopper=multiprocessors=1 --split-input-file 2>&1 | FileCheck %s

// A GPU with fewer multiprocessors than block rows:
// CHECK: no Hopper kernel: it has 2 block rows, more than the 1 multiprocessors

func.func @f32(%x: memref<512x8xf32>, %u: memref<2x4x8xf32>, %s: memref<2x2x8xf32>,
               %vt: memref<2x8x4xf32>, %y: memref<512x8xf32>) {
  // expected-remark @below {{no Hopper kernel: its element type is neither f16 nor bf16}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x8xf32>, memref<2x4x8xf32>,
      memref<2x2x8xf32>, memref<2x8x4xf32>) outs(%y : memref<512x8xf32>)
  return
}

// -----

func.func @few_tokens(%x: memref<255x16xf16>, %u: memref<2x8x8xf16>, %s: memref<2x2x8xf16>,
                      %vt: memref<2x8x8xf16>, %y: memref<255x16xf16>) {
  // expected-remark @below {{no Hopper kernel: it has 255 tokens, more than 16 and fewer than 256}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<255x16xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<255x16xf16>)
  return
}

// -----

func.func @more_than_a_few_tokens(%x: memref<17x16xf16>, %u: memref<2x8x8xf16>, %s: memref<2x2x8xf16>,
                                  %vt: memref<2x8x8xf16>, %y: memref<17x16xf16>) {
  // expected-remark @below {{no Hopper kernel: it has 17 tokens, more than 16 and fewer than 256}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<17x16xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<17x16xf16>)
  return
}

// -----

// For few tokens: what lowers when the init is zeros, and only then.

func.func @init(%x: memref<1x16xf16>, %u: memref<2x8x8xf16>, %s: memref<2x2x8xf16>,
                %vt: memref<2x8x8xf16>) -> (memref<1x16xf16>, memref<1x16xf16>) {
  %zero = arith.constant 0.0 : f16
  %y = memref.alloc() : memref<1x16xf16>
  linalg.fill ins(%zero : f16) outs(%y : memref<1x16xf16>)
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x16xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<1x16xf16>)
  %one = arith.constant 1.0 : f16
  %z = memref.alloc() : memref<1x16xf16>
  linalg.fill ins(%one : f16) outs(%z : memref<1x16xf16>)
  // expected-remark @below {{no Hopper kernel: it adds to its init, which the kernel for few tokens cannot}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x16xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%z : memref<1x16xf16>)
  return %y, %z : memref<1x16xf16>, memref<1x16xf16>
}

// -----

func.func @few_tokens_f32(%x: memref<1x16xf32>, %u: memref<2x8x8xf32>, %s: memref<2x2x8xf32>,
                          %vt: memref<2x8x8xf32>, %y: memref<1x16xf32>) {
  // expected-remark @below {{no Hopper kernel: its element type is neither f16 nor bf16}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x16xf32>, memref<2x8x8xf32>,
      memref<2x2x8xf32>, memref<2x8x8xf32>) outs(%y : memref<1x16xf32>)
  return
}

// -----

func.func @few_tokens_sizes(%x: memref<1x24xf16>, %u: memref<2x8x8xf16>, %s: memref<2x2x8xf16>,
                            %vt: memref<2x8x12xf16>, %y: memref<1x16xf16>) {
  // expected-remark @below {{no Hopper kernel: its blocks of 8 x 12 or its rank 8 are not multiples of 8}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x24xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x12xf16>) outs(%y : memref<1x16xf16>)
  return
}

// -----

func.func @few_tokens_wide(%x: memref<1x16xf16>, %u: memref<2x8x8xf16>, %s: memref<2x2x8xf16>,
                           %vt: memref<2x8x8xf16>) -> memref<1x16xf32> {
  %zero = arith.constant 0.0 : f32
  %y = memref.alloc() : memref<1x16xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<1x16xf32>)
  // expected-remark @below {{no Hopper kernel: its result is not of its factors' type}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x16xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<1x16xf32>)
  return %y : memref<1x16xf32>
}

// -----

func.func @few_tokens_strided(%x: memref<1x16xf16, strided<[32, 1]>>, %u: memref<2x8x8xf16>,
                              %s: memref<2x2x8xf16>, %vt: memref<2x8x8xf16>, %y: memref<1x16xf16>) {
  // expected-remark @below {{no Hopper kernel: an operand is not contiguous}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<1x16xf16, strided<[32, 1]>>,
      memref<2x8x8xf16>, memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<1x16xf16>)
  return
}

// -----

func.func @rank(%x: memref<512x16xf16>, %u: memref<2x8x12xf16>, %s: memref<2x2x12xf16>,
                %vt: memref<2x12x8xf16>, %y: memref<512x16xf16>) {
  // expected-remark @below {{no Hopper kernel: its rank 12 is not a multiple of 8}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x16xf16>, memref<2x8x12xf16>,
      memref<2x2x12xf16>, memref<2x12x8xf16>) outs(%y : memref<512x16xf16>)
  return
}

// -----

func.func @blocks(%x: memref<512x136xf16>, %u: memref<17x8x8xf16>, %s: memref<17x17x8xf16>,
                  %vt: memref<17x8x8xf16>, %y: memref<512x136xf16>) {
  // expected-remark @below {{no Hopper kernel: it has 17 : 17 blocks, not 1 to 16}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x136xf16>, memref<17x8x8xf16>,
      memref<17x17x8xf16>, memref<17x8x8xf16>) outs(%y : memref<512x136xf16>)
  return
}

// -----

func.func @strided(%x: memref<512x16xf16, strided<[32, 1]>>, %u: memref<2x8x8xf16>,
                   %s: memref<2x2x8xf16>, %vt: memref<2x8x8xf16>, %y: memref<512x16xf16>) {
  // expected-remark @below {{no Hopper kernel: an operand is not contiguous}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<512x16xf16, strided<[32, 1]>>,
      memref<2x8x8xf16>, memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<512x16xf16>)
  return
}

// -----

func.func @tensors(%x: tensor<512x16xf16>, %u: tensor<2x8x8xf16>, %s: tensor<2x2x8xf16>,
                   %vt: tensor<2x8x8xf16>, %y: tensor<512x16xf16>) -> tensor<512x16xf16> {
  // expected-remark @below {{no Hopper kernel: its operands are not memrefs}}
  %r = structured.blast.matmul ins(%x, %u, %s, %vt : tensor<512x16xf16>, tensor<2x8x8xf16>,
      tensor<2x2x8xf16>, tensor<2x8x8xf16>) outs(%y : tensor<512x16xf16>) -> tensor<512x16xf16>
  return %r : tensor<512x16xf16>
}
