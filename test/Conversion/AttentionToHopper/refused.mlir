// RUN: structured-opt %s --structured-attention-to-hopper --split-input-file --verify-diagnostics

// What the kernel does not take is left, with a remark.

func.func @tensors(%q: tensor<256x16x64xbf16>, %k: tensor<512x16x64xbf16>, %v: tensor<512x16x64xbf16>, %o: tensor<256x16x64xbf16>) -> tensor<256x16x64xbf16> {
  // expected-remark @below {{no Hopper kernel: its operands are not memrefs}}
  %r = structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : tensor<256x16x64xbf16>, tensor<512x16x64xbf16>, tensor<512x16x64xbf16>) outs(%o : tensor<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<256x16x64xbf16>
  return %r : tensor<256x16x64xbf16>
}

// -----

func.func @f32(%q: memref<256x16x64xf32>, %k: memref<512x16x64xf32>, %v: memref<512x16x64xf32>, %o: memref<256x16x64xf32>) {
  // expected-remark @below {{no Hopper kernel: its element type is neither f16 nor bf16}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xf32>, memref<512x16x64xf32>, memref<512x16x64xf32>) outs(%o : memref<256x16x64xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @result(%q: memref<256x16x64xbf16>, %k: memref<512x16x64xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xf32>) {
  // expected-remark @below {{no Hopper kernel: its result has another element type than its operands}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<512x16x64xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @few_scores(%q: memref<256x7x64xbf16>, %k: memref<512x7x64xbf16>, %v: memref<512x7x64xbf16>, %o: memref<256x7x64xbf16>) {
  // expected-remark @below {{no Hopper kernel: it has 917504 scores, fewer than 1048576}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x7x64xbf16>, memref<512x7x64xbf16>, memref<512x7x64xbf16>) outs(%o : memref<256x7x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @no_keys(%q: memref<256x16x64xbf16>, %k: memref<0x16x64xbf16>, %v: memref<0x16x64xbf16>, %o: memref<256x16x64xbf16>) {
  // expected-remark @below {{no Hopper kernel: it has no keys}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<0x16x64xbf16>, memref<0x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @features(%q: memref<256x16x136xbf16>, %k: memref<512x16x136xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xbf16>) {
  // expected-remark @below {{no Hopper kernel: it has 136 features, not a multiple of 8 of at most 128}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x136xbf16>, memref<512x16x136xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @value_features(%q: memref<256x16x64xbf16>, %k: memref<512x16x64xbf16>, %v: memref<512x16x60xbf16>, %o: memref<256x16x60xbf16>) {
  // expected-remark @below {{no Hopper kernel: it has 60 features, not a multiple of 8 of at most 128}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<512x16x64xbf16>, memref<512x16x60xbf16>) outs(%o : memref<256x16x60xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @dynamic(%q: memref<256x?x64xbf16>, %k: memref<512x?x64xbf16>, %v: memref<512x?x64xbf16>, %o: memref<256x?x64xbf16>) {
  // expected-remark @below {{no Hopper kernel: more than the numbers of queries and keys are dynamic}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x?x64xbf16>, memref<512x?x64xbf16>, memref<512x?x64xbf16>) outs(%o : memref<256x?x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @columns(%q: memref<256x16x64xbf16>, %k: memref<16x64x512xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xbf16>) {
  // expected-remark @below {{no Hopper kernel: the features are not the last dimension of its key}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (h, d, l)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<16x64x512xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @region_op(%q: memref<256x16x64xbf16>, %k: memref<512x16x64xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xbf16>, %m: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  // expected-remark @below {{no Hopper kernel: its region has memref.dim}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<512x16x64xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %n = memref.dim %m, %c0 : memref<?xf32>
    %x = arith.index_cast %n : index to i64
    %y = arith.sitofp %x : i64 to f32
    %s = arith.addf %score, %y : f32
    structured.yield %s : f32
  }
  return
}

// -----

func.func @region_shape(%q: memref<256x16x64xbf16>, %k: memref<512x16x64xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xbf16>, %m: memref<?xf32>) {
  // expected-remark @below {{no Hopper kernel: its region reads what has no static shape}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<512x16x64xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %n = memref.load %m[%l] : memref<?xf32>
    %s = arith.addf %score, %n : f32
    structured.yield %s : f32
  }
  return
}

// -----

func.func @region_type(%q: memref<256x16x64xbf16>, %k: memref<512x16x64xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xbf16>, %m: memref<512xindex>) {
  // expected-remark @below {{no Hopper kernel: its region reads what are neither integers nor floats}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<512x16x64xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %n = memref.load %m[%l] : memref<512xindex>
    %x = arith.index_cast %n : index to i64
    %y = arith.sitofp %x : i64 to f32
    %s = arith.addf %score, %y : f32
    structured.yield %s : f32
  }
  return
}

// -----

func.func @slow_region(%q: memref<256x16x64xbf16>, %k: memref<512x16x64xbf16>, %v: memref<512x16x64xbf16>, %o: memref<256x16x64xbf16>, %m: memref<512xf32>) {
  // expected-remark @below {{no Hopper kernel: it has 2097152 scores, fewer than 4194304}}
  structured.attention indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, d)>,
      affine_map<(h, t, l, d, e) -> (l, h, e)>,
      affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : memref<256x16x64xbf16>, memref<512x16x64xbf16>, memref<512x16x64xbf16>) outs(%o : memref<256x16x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %n = memref.load %m[%l] : memref<512xf32>
    %s = arith.addf %score, %n : f32
    structured.yield %s : f32
  }
  return
}
