// RUN: structured-opt %s --structured-blast-to-hopper --split-input-file --verify-diagnostics

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
  // expected-remark @below {{no Hopper kernel: it has 255 tokens, fewer than 256}}
  structured.blast.matmul ins(%x, %u, %s, %vt : memref<255x16xf16>, memref<2x8x8xf16>,
      memref<2x2x8xf16>, memref<2x8x8xf16>) outs(%y : memref<255x16xf16>)
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
