// RUN: structured-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect

func.func @number_of_maps(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) there must be four indexing maps, got 3}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @other_loops(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 1 must be a projected permutation of the loops, at least four, which are the same in all maps}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e, x) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @three_loops(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 0 must be a projected permutation of the loops, at least four, which are the same in all maps}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d) -> (t, d)>,
                       affine_map<(t, l, d) -> (l, d)>,
                       affine_map<(t, l, d) -> (l, t)>,
                       affine_map<(t, l, d) -> (t, t)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @expression(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 2 must be a projected permutation of the loops, at least four, which are the same in all maps}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e + 1)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @loop_twice(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 3 must be a projected permutation of the loops, at least four, which are the same in all maps}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, t)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @constant(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 0 must be a projected permutation of the loops, at least four, which are the same in all maps}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, 0)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @symbol(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 0 must be a projected permutation of the loops, at least four, which are the same in all maps}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e)[s] -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @rank(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C1) indexing map 2 has 1 results, its operand 2 dimensions}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @no_queries(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of queries must be in indexing map 0}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (e, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @queries_in_key(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of queries must not be in indexing map 1}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, t)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @queries_in_value(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of queries must not be in indexing map 2}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, t)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @no_queries_in_init(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of queries must be in indexing map 3}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (d, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @keys_in_query(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of keys must not be in indexing map 0}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, l)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @no_keys(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of keys must be in indexing map 1}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (e, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @keys_in_init(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of keys must not be in indexing map 3}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, l)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @no_features(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of features of query and key must be in indexing map 1}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @features_in_value(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of features of query and key must not be in indexing map 2}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @value_features_in_query(%q: tensor<8x8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of features of value must not be in indexing map 0}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d, e)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @no_value_features(%q: tensor<8x8xf32>, %k: tensor<8x8xf32>, %v: tensor<8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) the loop of features of value must be in indexing map 2}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @batch_loop(%q: tensor<2x8x8xf32>, %k: tensor<2x8x8xf32>, %v: tensor<2x8x8xf32>, %o0: tensor<8x8xf32>) {
  // expected-error @below {{(C2) batch loop 0 must be in the indexing map of init}}
  %o = structured.attention
      indexing_maps = [affine_map<(b, t, l, d, e) -> (b, t, d)>,
                       affine_map<(b, t, l, d, e) -> (b, l, d)>,
                       affine_map<(b, t, l, d, e) -> (b, l, e)>,
                       affine_map<(b, t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<2x8x8xf32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>)
      outs(%o0 : tensor<8x8xf32>) {
  ^bb0(%score: f32, %b: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<8x8xf32>
  return
}

// -----

func.func @features(%q: tensor<5x8xf32>, %k: tensor<7x9xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C3) loop 2 is of 8, dimension 1 of operand 1 of 9}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x9xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @keys(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<9x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C3) loop 1 is of 7, dimension 0 of operand 2 of 9}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<9x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @queries(%q: tensor<5x8xf32>, %k: tensor<?x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<4x6xf32>) {
  // expected-error @below {{(C3) loop 0 is of 5, dimension 0 of operand 3 of 4}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<?x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<4x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<4x6xf32>
  return
}

// -----

func.func @key_type(%q: tensor<5x8xbf16>, %k: tensor<7x8xf32>, %v: tensor<7x6xbf16>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C4) query, key and value must have the same element type, got 'bf16' and 'f32'}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xbf16>, tensor<7x8xf32>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @value_type(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf16>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C4) query, key and value must have the same element type, got 'f32' and 'f16'}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf16>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @init_type(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xbf16>) {
  // expected-error @below {{(C4) init must have the element type 'f32' or f32, got 'bf16'}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xbf16>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xbf16>
  return
}

// -----

func.func @init_type_narrow(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>, %v: tensor<7x6xbf16>, %o0: tensor<5x6xf16>) {
  // expected-error @below {{(C4) init must have the element type 'bf16' or f32, got 'f16'}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xf16>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf16>
  return
}

// -----

func.func @mixed(%q: tensor<5x8xf32>, %k: memref<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C5) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, memref<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @no_result(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C5) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}

// -----

func.func @result_of_memrefs(%q: memref<5x8xf32>, %k: memref<7x8xf32>, %v: memref<7x6xf32>, %o0: memref<5x6xf32>) {
  // expected-error @below {{(C5) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : memref<5x8xf32>, memref<7x8xf32>, memref<7x6xf32>)
      outs(%o0 : memref<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @result_type(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C5) all operands must be tensors, with one result of init's type, or memrefs, with none}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<?x6xf32>
  return
}

// -----

func.func @few_arguments(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C6) the region must take an f32 and 2 of index}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @many_arguments(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C6) the region must take an f32 and 2 of index}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index, %x: index):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @argument_type(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C6) the region must take an f32 and 2 of index}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: i64):
    structured.yield %score : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @score_type(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C6) the region must take an f32 and 2 of index}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: bf16, %t: index, %l: index):
    %x = arith.extf %score : bf16 to f32
    structured.yield %x : f32
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @terminator(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>, %o0: tensor<5x6xf32>) {
  // expected-error @below {{(C6) the region must end with structured.yield}}
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>,
                       affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>,
                       affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    "test.end"() : () -> ()
  } -> tensor<5x6xf32>
  return
}

// -----

func.func @outside(%x: f32) {
  // expected-error @below {{'structured.yield' op expects parent op 'structured.attention'}}
  structured.yield %x : f32
}
